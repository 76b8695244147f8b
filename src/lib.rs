//! Moorage: an operator that keeps Apps, `StorageClaims` and Registries as declared.
//!
//! In reading order: [`api`] is what users write; [`core`] the pure vocabulary of plans and observations; [`app`],
//! [`storage_claim`] and [`registry`] decide what is wanted, purely; [`shell`] watches and writes; [`generate`] makes
//! the committed artefacts.

pub mod api;
pub mod app;
pub mod cli;
pub mod core;
pub mod generate;
pub mod registry;
pub mod shell;
pub mod storage_claim;
