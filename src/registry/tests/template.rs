//! What restarts pods, and what they run with.

use super::{deployment_spec, empty_dir, keyless, registry, settings, volume};
use crate::api::Registry;
use crate::api::common::{AccessMode, PodSettings};
use crate::core::kind::ChildKind;
use crate::core::observed::Observed;
use crate::core::parent::Parent;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::PodSecurityContext;
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn template(registry: &Registry) -> Value {
    deployment_spec(registry, &Observed::default())["template"].clone()
}

fn with_pod(pod: PodSettings) -> Registry {
    let mut images = registry(empty_dir());
    images.spec.pod = Some(pod);
    images
}

fn with_security(security_context: PodSecurityContext) -> Value {
    let pod = PodSettings { security_context: Some(security_context), ..PodSettings::default() };
    template(&with_pod(pod))["spec"]["securityContext"].clone()
}

#[test]
fn configuration_restarts_pods() {
    let mut images = registry(empty_dir());
    let before = template(&images);
    images.spec.read_only = true;
    let after = template(&images);
    let hash = |template: &Value| template["metadata"]["annotations"]["moorage.dev/config-hash"].clone();
    assert_ne!(hash(&before), hash(&after));
    assert_eq!(before["spec"], after["spec"]);
}

#[test]
fn what_does_not_concern_pods_does_not_restart_them() {
    let mut images = registry(volume(&[AccessMode::ReadWriteMany]));
    let before = template(&images);
    images.spec.replicas = Some(3);
    images.metadata.labels = Some(BTreeMap::from([("team".to_owned(), "blue".to_owned())]));
    images.metadata.annotations = Some(BTreeMap::from([("note".to_owned(), "x".to_owned())]));
    images.spec.storage.volume.as_mut().unwrap().size = "40Gi".to_owned();
    assert_eq!(template(&images), before);
    let plan = images.plan(&Observed::default(), &keyless(), Timestamp::UNIX_EPOCH);
    let without_secret = &plan.object(ChildKind::Deployment, "images").unwrap().body["spec"]["template"];
    assert_eq!(without_secret, &before);
}

#[test]
fn pods_pass_the_restricted_policy_and_can_write() {
    let pod = template(&registry(volume(&[])))["spec"].clone();
    let wanted = json!({
        "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
        "fsGroupChangePolicy": "OnRootMismatch", "seccompProfile": {"type": "RuntimeDefault"}
    });
    assert_eq!(pod["securityContext"], wanted);
    let wanted = json!({
        "readOnlyRootFilesystem": true, "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}
    });
    assert_eq!(pod["containers"][0]["securityContext"], wanted);
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!(pod["enableServiceLinks"], false);
    assert_eq!(pod["terminationGracePeriodSeconds"], 30);
}

#[test]
fn author_decides_on_users() {
    let own = with_security(PodSecurityContext { run_as_user: Some(1000), ..PodSecurityContext::default() });
    assert_eq!((&own["runAsUser"], &own["fsGroup"]), (&json!(1000), &json!(65532)));
    let platform = with_security(PodSecurityContext::default());
    assert_eq!(platform, json!({"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}}));
}

#[test]
fn operators_labels_and_hash_win() {
    let foreign = |key: &str| BTreeMap::from([(key.to_owned(), "x".to_owned()), ("own".to_owned(), "y".to_owned())]);
    let metadata = template(&with_pod(PodSettings {
        labels: foreign("moorage.dev/registry"),
        annotations: foreign("moorage.dev/config-hash"),
        ..PodSettings::default()
    }))["metadata"]
        .clone();
    assert_eq!(metadata["labels"]["moorage.dev/registry"], "images");
    assert_ne!(metadata["annotations"]["moorage.dev/config-hash"], "x");
    assert_eq!((&metadata["labels"]["own"], &metadata["annotations"]["own"]), (&json!("y"), &json!("y")));
}

#[test]
fn container_runs_the_named_image_with_our_configuration() {
    let mut images = registry(empty_dir());
    let container = template(&images)["spec"]["containers"][0].clone();
    assert_eq!(container["image"], settings().registry_image);
    assert_eq!(container["command"], json!(["registry", "serve", "/etc/distribution-config/config.yml"]));
    let secret = json!({"secretKeyRef": {"name": "images-http-73b9df32", "key": "secret", "optional": true}});
    let env = json!([
        {"name": "OTEL_TRACES_EXPORTER", "value": "none"},
        {"name": "REGISTRY_HTTP_SECRET", "valueFrom": secret}
    ]);
    assert_eq!(container["env"], env);
    images.spec.image = Some("registry.example.com/mine:3".to_owned());
    assert_eq!(template(&images)["spec"]["containers"][0]["image"], "registry.example.com/mine:3");
}
