//! What keeps pods available while nodes are drained.

use crate::app::validate::ValidApp;
use crate::core::meta;
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// The budget of the App's name, if the author asks for one and there may be several pods: that of one pod could only keep its node from
/// being drained.
pub fn disruption_budget(app: &ValidApp<'_>) -> Option<PodDisruptionBudget> {
    let several = app.spec.replicas.is_none_or(|replicas| replicas > 1);
    let declared = app.spec.availability.clone().filter(|_| several)?;
    let default = declared.min_available.is_none().then_some(IntOrString::Int(1));
    Some(PodDisruptionBudget {
        metadata: meta::owned(&app.identity, &app.identity.name),
        spec: Some(PodDisruptionBudgetSpec {
            min_available: declared.min_available,
            max_unavailable: declared.max_unavailable.or(default),
            selector: Some(meta::label_selector(&app.identity)),
            // Else a pod that never becomes ready keeps its node from being drained.
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
        }),
        ..PodDisruptionBudget::default()
    })
}
