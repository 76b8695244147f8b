//! What the pod templates of Apps and Registries have in common.

use super::kind::Identity;
use super::{meta, security};
use crate::api::common::PodSettings;
use k8s_openapi::api::core::v1::{PodSpec, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// The template of `parent`'s pods: `spec` with the author's pod settings over it and the restricted defaults under them.
/// The operator's own labels win over the author's, as the selector needs them.
pub fn pod_template(parent: &Identity, settings: PodSettings, spec: PodSpec) -> PodTemplateSpec {
    let PodSettings {
        mut labels,
        annotations,
        node_selector,
        tolerations,
        security_context,
        termination_grace_period_seconds,
    } = settings;
    labels.extend(meta::labels(parent));
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(labels),
            annotations: Some(annotations).filter(|annotations| !annotations.is_empty()),
            ..ObjectMeta::default()
        }),
        spec: Some(PodSpec {
            node_selector: Some(node_selector).filter(|selector| !selector.is_empty()),
            tolerations: Some(tolerations).filter(|tolerations| !tolerations.is_empty()),
            security_context: Some(security::pod(security_context.as_ref())),
            termination_grace_period_seconds,
            ..spec
        }),
    }
}
