//! Moorage.
pub mod api;
