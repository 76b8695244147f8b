//! The Deployment that runs the registry.

use super::pod::pod_template;
use crate::core::observed::Observed;
use crate::core::plan::PlanSettings;
use crate::core::{hash, meta, rollout};
use crate::registry::validate::ValidRegistry;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::collections::BTreeMap;

/// The Deployment of the Registry's name.
///
/// Where the storage is not shared there is never more than one pod: `replicas` is owned as 1 unless the author says 0,
/// and the old pod goes before the new one comes. Elsewhere unset `replicas` is left to whoever scales it.
pub fn deployment(
    registry: &ValidRegistry<'_>,
    observed: &Observed,
    settings: &PlanSettings,
    config: &str,
) -> Deployment {
    let (replicas, strategy) = if registry.shared {
        (registry.spec.replicas, rollout::rolling_update(None, None))
    } else {
        (Some(registry.spec.replicas.unwrap_or(1)), rollout::recreate())
    };
    let (template, record) = template(registry, observed, settings, config);
    Deployment {
        metadata: ObjectMeta {
            annotations: record.map(|record| BTreeMap::from([(meta::DEFAULT_IMAGE.to_owned(), record)])),
            ..meta::owned(&registry.identity, &registry.identity.name)
        },
        spec: Some(DeploymentSpec {
            replicas,
            selector: meta::label_selector(&registry.identity),
            template,
            strategy: Some(strategy),
            ..DeploymentSpec::default()
        }),
        ..Deployment::default()
    }
}

/// The pod template, and its record where the image is the default. A new default alone restarts nothing: the image that was the
/// default when the pods were declared is kept until something else in the template changes.
fn template(
    registry: &ValidRegistry<'_>,
    observed: &Observed,
    settings: &PlanSettings,
    config: &str,
) -> (PodTemplateSpec, Option<String>) {
    let with = |image: &str| {
        let template = pod_template(registry, image, config);
        let record = serde_json::to_value(&template).ok().map(|json| format!("{:016x} {image}", hash::of(&json)));
        (template, record)
    };
    if let Some(named) = &registry.spec.image {
        return (with(named).0, None);
    }
    let before = observed.workload(&registry.identity.name).and_then(|workload| workload.default_image.as_deref());
    let kept = before
        .and_then(|record| Some(with(record.split_once(' ')?.1)).filter(|kept| kept.1.as_deref() == Some(record)));
    kept.unwrap_or_else(|| with(&settings.registry_image))
}
