//! One file per object, one function named for it.

pub mod config;
pub mod deployment;
pub mod pod;
pub mod secret;
pub mod service;
pub mod storage_claim;
