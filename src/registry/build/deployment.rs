//! The Deployment that runs the registry.

use super::pod::pod_template;
use crate::core::plan::PlanSettings;
use crate::core::{meta, rollout};
use crate::registry::validate::ValidRegistry;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

/// The Deployment of the Registry's name.
///
/// Where the storage is not shared there is never more than one pod: `replicas` is owned as 1 unless the author says 0,
/// and the old pod goes before the new one comes. Elsewhere unset `replicas` is left to whoever scales it.
pub fn deployment(registry: &ValidRegistry<'_>, settings: &PlanSettings, config: &str) -> Deployment {
    let (replicas, strategy) = if registry.shared {
        (registry.spec.replicas, rollout::rolling_update(None, None))
    } else {
        (Some(registry.spec.replicas.unwrap_or(1)), rollout::recreate())
    };
    Deployment {
        metadata: meta::owned(&registry.identity, &registry.identity.name),
        spec: Some(DeploymentSpec {
            replicas,
            selector: LabelSelector {
                match_labels: Some(meta::selector(&registry.identity)),
                ..LabelSelector::default()
            },
            template: pod_template(registry, settings, config),
            strategy: Some(strategy),
            ..DeploymentSpec::default()
        }),
        ..Deployment::default()
    }
}
