//! One file per object, one function named for it.

pub mod container;
pub mod deployment;
pub mod disruption_budget;
pub mod monitor;
pub mod pod;
pub mod service;
pub mod service_account;
pub mod storage_claim;
pub mod volumes;
