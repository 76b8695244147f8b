//! What an API server takes and does not keep, or does not know, is told with its field.

use crate::support::*;
use anyhow::{Result, ensure};
use kube::api::{Patch, PatchParams};
use moorage::core::plan::ErrorClass;
use moorage::shell::error::Error;
use moorage_harness::ControlPlane;
use serde_json::json;
use std::sync::Arc;

crate::cases![what_a_feature_gate_drops_is_told, what_the_api_server_does_not_know_is_told];

/// Fields whose feature gates are off in the rig, as on most clusters.
const GATED: &str = "
apiVersion: moorage.dev/v1alpha1
kind: App
metadata: {name: web}
spec:
  image: registry.example.com/team/web:1
  lifecycle: {stopSignal: SIGINT}
  volumes:
    - {name: trust, mountPath: /trust, projected: {sources: [{clusterTrustBundle: {name: ca, path: ca.pem}}]}}
";

async fn what_a_feature_gate_drops_is_told(control_plane: Arc<ControlPlane>) -> Result<()> {
    let mut sandbox = sandbox(&control_plane, "dropped").await?;
    let mark = control_plane.audit().mark()?;
    sandbox.apply(GATED).await?;
    let app = reason(&sandbox, "App", "web", "Stalled", "FieldsDropped").await?;
    let said = message(&app, "Ready");
    for part in [
        "Deployment web: the API server dropped ",
        "spec.template.spec.containers[name=web].lifecycle.stopSignal",
        "spec.template.spec.volumes[name=trust].projected.sources[0].clusterTrustBundle",
        "this cluster doesn't support them",
    ] {
        ensure!(said.contains(part), "{said}");
    }
    until(&sandbox, "App", "web", "to have its pod", |app| app["status"]["readyReplicas"] == 1).await?;
    let is_child = |event: &moorage_harness::AuditEvent| event.subresource.is_empty();
    exactly(&control_plane, &sandbox, mark, 2, is_child).await?;

    // An operator that starts anew tries it once.
    let mark = control_plane.audit().mark()?;
    sandbox.operator.restart().await?;
    sandbox.operator.ready().await?;
    exactly(&control_plane, &sandbox, mark, 1, is_child).await?;
    patch(&sandbox, "App", "web", &json!({"spec": {"lifecycle": null, "volumes": null}})).await?;
    ready(&sandbox, "App", "web").await?;
    exactly(&control_plane, &sandbox, mark, 2, is_child).await
}

/// An older API server says that a newer field is not in its schema, as this one does of one that there is not.
async fn what_the_api_server_does_not_know_is_told(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "unknown-field").await?;
    let container = json!({"name": "web", "image": "a", "lifecycle": {"fromTheFuture": 1}});
    let body = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {
        "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [container]}},
    }});
    let params = PatchParams::apply("moorage").force().validation_strict();
    let Err(refusal) = api(&sandbox, "Deployment").patch("web", &params, &Patch::Apply(&body)).await else {
        anyhow::bail!("it was taken")
    };
    let error = Error::Request { action: "apply".to_owned(), source: Box::new(refusal) };
    ensure!(error.class() == ErrorClass::Invalid, "{error:?}");
    let field = "spec.template.spec.containers[name=\"web\"].lifecycle.fromTheFuture";
    ensure!(
        error.message().starts_with(&format!("the API server does not know {field}: this cluster")),
        "{}",
        error.message()
    );
    Ok(())
}
