//! The Deployment that runs the App.

use super::pod::pod_template;
use crate::api::app::{Rollout, RolloutStrategy};
use crate::api::common::AccessMode;
use crate::app::validate::{Source, ValidApp};
use crate::core::meta;
use crate::core::observed::Observed;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

/// The Deployment of the App's name. Unset `replicas` is not owned, so a user's own autoscaler is left alone.
pub fn deployment(app: &ValidApp<'_>, observed: &Observed) -> Deployment {
    let rollout = app.spec.rollout.clone().unwrap_or_default();
    Deployment {
        metadata: meta::owned(&app.identity, &app.identity.name),
        spec: Some(DeploymentSpec {
            replicas: app.spec.replicas,
            selector: LabelSelector { match_labels: Some(meta::selector(&app.identity)), ..LabelSelector::default() },
            template: pod_template(app),
            strategy: Some(strategy(app, &rollout, observed)),
            min_ready_seconds: rollout.min_ready_seconds,
            progress_deadline_seconds: rollout.progress_deadline_seconds,
            revision_history_limit: rollout.history_limit,
            ..DeploymentSpec::default()
        }),
        ..Deployment::default()
    }
}

fn strategy(app: &ValidApp<'_>, rollout: &Rollout, observed: &Observed) -> DeploymentStrategy {
    let derived =
        if mounts_on_one_node_only(app, observed) { RolloutStrategy::Recreate } else { RolloutStrategy::RollingUpdate };
    match rollout.strategy.unwrap_or(derived) {
        RolloutStrategy::Recreate => DeploymentStrategy { type_: Some("Recreate".to_owned()), rolling_update: None },
        RolloutStrategy::RollingUpdate => DeploymentStrategy {
            type_: Some("RollingUpdate".to_owned()),
            rolling_update: (rollout.max_surge.is_some() || rollout.max_unavailable.is_some()).then(|| {
                RollingUpdateDeployment {
                    max_surge: rollout.max_surge.clone(),
                    max_unavailable: rollout.max_unavailable.clone(),
                }
            }),
        },
    }
}

/// Whether a new pod on another node could not mount a volume that the old one holds. A claim that is no `StorageClaim`
/// is unknown to the operator and counts as shared: the author knows it and can say `rollout.strategy: Recreate`.
fn mounts_on_one_node_only(app: &ValidApp<'_>, observed: &Observed) -> bool {
    app.volumes.iter().any(|volume| match volume.source {
        Source::Storage(storage) => !storage.access_modes.iter().any(|mode| mode.is_shared()),
        Source::Claim(name) => observed.claims.get(name).is_some_and(|claim| {
            let shared = [AccessMode::ReadOnlyMany.as_str(), AccessMode::ReadWriteMany.as_str()];
            !claim.access_modes.iter().any(|mode| shared.contains(&mode.as_str()))
        }),
        Source::Secret(_) | Source::ConfigMap(_) | Source::EmptyDir(_) | Source::Projected(_) => false,
    })
}
