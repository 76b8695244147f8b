//! The Deployment that runs the App.

use super::pod::pod_template;
use crate::api::rollout::{Rollout, RolloutStrategy};
use crate::app::configuration::configuration;
use crate::app::sharing::holds_up;
use crate::app::validate::ValidApp;
use crate::core::observed::Observed;
use crate::core::plan::PlanSettings;
use crate::core::{meta, rollout};
use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::collections::BTreeMap;

/// The Deployment of the App's name. Unset `replicas` is not owned, so a user's own autoscaler is left alone.
pub fn deployment(app: &ValidApp<'_>, observed: &Observed, settings: &PlanSettings) -> Deployment {
    let declared = app.spec.rollout.clone().unwrap_or_default();
    let configuration = configuration(app, observed, settings);
    let remembered = configuration.annotation().map(|text| BTreeMap::from([(meta::CONFIGURATION.to_owned(), text)]));
    Deployment {
        metadata: ObjectMeta { annotations: remembered, ..meta::owned(&app.identity, &app.identity.name) },
        spec: Some(DeploymentSpec {
            replicas: app.spec.replicas,
            selector: meta::label_selector(&app.identity),
            template: pod_template(app, configuration.rolled),
            strategy: Some(strategy(app, &declared, observed)),
            min_ready_seconds: declared.min_ready_seconds,
            progress_deadline_seconds: declared.progress_deadline_seconds,
            revision_history_limit: declared.history_limit,
            ..DeploymentSpec::default()
        }),
        ..Deployment::default()
    }
}

fn strategy(app: &ValidApp<'_>, declared: &Rollout, observed: &Observed) -> DeploymentStrategy {
    let derived = holds_up(&app.identity.name, app.spec, observed)
        .map_or(RolloutStrategy::RollingUpdate, |_| RolloutStrategy::Recreate);
    match declared.strategy.unwrap_or(derived) {
        RolloutStrategy::Recreate => rollout::recreate(),
        RolloutStrategy::RollingUpdate => {
            rollout::rolling_update(declared.max_surge.as_ref(), declared.max_unavailable.as_ref())
        }
    }
}
