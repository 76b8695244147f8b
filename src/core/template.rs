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
        affinity,
        topology_spread_constraints,
        priority_class_name,
        preemption_policy,
        runtime_class_name,
        scheduler_name,
        os,
        readiness_gates,
        resource_claims,
        host_aliases,
        dns_policy,
        dns_config,
        enable_service_links,
        share_process_namespace,
        host_users,
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
            tolerations: unless_empty(tolerations),
            affinity,
            topology_spread_constraints: unless_empty(topology_spread_constraints),
            priority_class_name,
            preemption_policy,
            runtime_class_name,
            scheduler_name,
            security_context: Some(security::pod(security_context.as_ref(), security::Os::of(os.as_ref()))),
            os,
            readiness_gates: unless_empty(readiness_gates),
            resource_claims: unless_empty(resource_claims),
            host_aliases: unless_empty(host_aliases),
            dns_policy,
            dns_config,
            enable_service_links,
            share_process_namespace,
            host_users,
            termination_grace_period_seconds,
            ..spec
        }),
    }
}

/// What is empty is not declared.
pub fn unless_empty<T>(items: Vec<T>) -> Option<Vec<T>> {
    Some(items).filter(|items| !items.is_empty())
}
