//! The pod template: a function of the declared inputs that concern pods, and of nothing else.

use super::container::container;
use super::volumes::volumes;
use crate::app::validate::ValidApp;
use crate::core::{meta, security};
use k8s_openapi::api::core::v1::{PodSpec, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// The template of the App's pods.
pub fn pod_template(app: &ValidApp<'_>) -> PodTemplateSpec {
    let pod = app.spec.pod.clone().unwrap_or_default();
    let mut labels = pod.labels;
    labels.extend(meta::labels(&app.identity));
    let automount = app.spec.service_account.as_ref().is_some_and(|account| account.automount_token);
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(labels),
            annotations: Some(pod.annotations).filter(|annotations| !annotations.is_empty()),
            ..ObjectMeta::default()
        }),
        spec: Some(PodSpec {
            containers: vec![container(app)],
            volumes: volumes(app),
            image_pull_secrets: Some(app.spec.image_pull_secrets.clone()).filter(|secrets| !secrets.is_empty()),
            service_account_name: Some(app.service_account_name().to_owned()),
            automount_service_account_token: Some(automount),
            node_selector: Some(pod.node_selector).filter(|selector| !selector.is_empty()),
            tolerations: Some(pod.tolerations).filter(|tolerations| !tolerations.is_empty()),
            security_context: Some(security::pod(pod.security_context.as_ref())),
            termination_grace_period_seconds: pod.termination_grace_period_seconds,
            ..PodSpec::default()
        }),
    }
}
