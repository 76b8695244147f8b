//! Moorage.
pub mod api;
pub mod app;
pub mod core;
pub mod storage_claim;
