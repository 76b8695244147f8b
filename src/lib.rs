//! Moorage.
pub mod api;
pub mod app;
pub mod core;
