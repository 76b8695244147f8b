//! The API that users write: `App`, `StorageClaim` and `Registry` in `moorage.dev/v1alpha1`.
//!
//! Field names are those of core Kubernetes wherever the meaning is the same. Only fields that the
//! operator acts on exist here. The `CustomResourceDefinition`s in `crds/` are generated from these types.

pub mod app;
pub mod availability;
pub mod common;
pub mod container;
pub mod monitoring;
pub mod registry;
pub mod rollout;
pub mod schema;
pub mod storage_claim;
pub mod volume;
pub mod words;

pub use app::App;
pub use registry::Registry;
pub use storage_claim::StorageClaim;

/// API group of all three kinds.
pub const GROUP: &str = "moorage.dev";
/// The one served version.
pub const VERSION: &str = "v1alpha1";
/// `apiVersion` of all three kinds.
pub const API_VERSION: &str = "moorage.dev/v1alpha1";
