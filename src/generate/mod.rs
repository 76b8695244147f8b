//! The committed artefacts, made of the code: `crds/`, `deploy/`, `docs/reference/`. `tests/generated.rs` holds that they agree.

mod about;
pub mod argocd;
pub mod crds;
pub mod deploy;
pub mod fence;
pub mod files;
pub mod fixed;
pub mod helm;
pub mod lint;
pub mod olm;
pub mod pod_rules;
pub mod rbac;
pub mod reference;
pub mod render;
mod rule_check;
pub mod rules;
pub mod self_monitoring;

pub use argocd::argocd;
pub use crds::crds;
pub use deploy::{install_for, manifests};
pub use files::emit;
pub use helm::chart;
pub use olm::bundle;
pub use reference::reference;
pub use self_monitoring::self_monitoring;

/// Every file, by its path below `deploy/`.
pub fn installs() -> Vec<files::File> {
    [manifests(), bundle(), chart(), argocd(), self_monitoring()].concat()
}
