//! A backup's copies of our objects keep nothing that the App declares no longer; what others add to our own stays.

use crate::support::*;
use anyhow::{Context, Result, ensure};
use kube::api::{DynamicObject, PostParams};
use moorage_harness::{ControlPlane, Mark, Sandbox};
use serde_json::{Value, json};
use std::sync::Arc;

crate::cases![a_copy_becomes_what_is_declared, a_copy_over_what_stands_is_taken_back, an_env_var_of_kubectl_stays];

/// What the App was when it was saved.
const SAVED: &str = "
apiVersion: moorage.dev/v1alpha1
kind: App
metadata: {name: web}
spec:
  image: registry.example.com/team/web:1
  replicas: 1
  ports: [{port: 8080}]
  env: [{name: A, value: saved}]
  service: {annotations: {example.com/saved: 'yes'}}
  serviceAccount: {annotations: {example.com/saved: 'yes'}}
";

const CHILDREN: [&str; 3] = ["ServiceAccount", "Deployment", "Service"];

/// The App is another by the time its children come back, before it or in its absence.
async fn a_copy_becomes_what_is_declared(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "restored").await?;
    let copies = saved(&sandbox).await?;
    sandbox.kubectl(&["delete", "apps.moorage.dev/web", "--cascade=foreground", "--timeout=60s"]).await?;
    for (kind, copy) in &copies {
        until_gone(&sandbox, kind, "web").await?;
        let params = PostParams { field_manager: Some("velero-server".to_owned()), ..PostParams::default() };
        let restored: DynamicObject = serde_json::from_value(copy.clone())?;
        api(&sandbox, kind).create(&params, &restored).await?;
    }
    until(&sandbox, "Deployment", "web", "to be rolled out", |copy| copy["status"]["readyReplicas"] == 1).await?;
    let mark = control_plane.audit().mark()?;
    sandbox.apply(WEB).await?;
    as_declared(&control_plane, &sandbox, mark).await?;
    let kept = must_get(&sandbox, "Deployment", "web").await?["metadata"]["labels"]["velero.io/restore-name"].clone();
    ensure!(kept == "nightly", "the backup's own label is gone");
    Ok(())
}

/// A restore that is told to overwrite what exists.
async fn a_copy_over_what_stands_is_taken_back(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "restored-over").await?;
    let copies = saved(&sandbox).await?;
    let without = json!({"spec": {"env": null, "service": null, "serviceAccount": null}});
    patch(&sandbox, "App", "web", &without).await?;
    ready(&sandbox, "App", "web").await?;
    let mark = control_plane.audit().mark()?;
    for (kind, copy) in &copies {
        let params = PostParams { field_manager: Some("velero-server".to_owned()), ..PostParams::default() };
        let mut restored: DynamicObject = serde_json::from_value(copy.clone())?;
        restored.metadata.owner_references = None;
        api(&sandbox, kind).replace("web", &params, &restored).await?;
    }
    as_declared(&control_plane, &sandbox, mark).await
}

/// Makes the App as it was, and tells its children as a backup keeps them.
async fn saved(sandbox: &Sandbox) -> Result<Vec<(&'static str, Value)>> {
    sandbox.apply(SAVED).await?;
    ready(sandbox, "App", "web").await?;
    let mut copies = Vec::new();
    for kind in CHILDREN {
        let mut copy = must_get(sandbox, kind, "web").await?;
        copy.as_object_mut().context("no object")?.remove("status");
        let metadata = copy["metadata"].as_object_mut().context("no metadata")?;
        metadata.retain(|field, _| ["name", "namespace", "labels", "annotations"].contains(&field.as_str()));
        metadata["labels"]["velero.io/restore-name"] = json!("nightly");
        copies.push((kind, copy));
    }
    Ok(copies)
}

/// Waits until nothing is left of what was saved, which takes one read and two writes of each child and no more. A write that a
/// controller came before is refused, and the child is read again.
async fn as_declared(control_plane: &ControlPlane, sandbox: &Sandbox, mark: Mark) -> Result<()> {
    let traces = |object: &Value| {
        let env = object["spec"]["template"]["spec"]["containers"][0].get("env");
        env.is_some() || object["metadata"]["annotations"].get("example.com/saved").is_some()
    };
    for kind in CHILDREN {
        let ours = |object: &Value| !traces(object) && object["metadata"]["ownerReferences"][0]["name"] == "web";
        let child = until(sandbox, kind, "web", "to be as declared", ours).await?;
        let entries = child["metadata"]["managedFields"].as_array().context("no managers")?;
        let mut copiers = entries.iter().filter(|entry| entry["manager"] == "velero-server");
        ensure!(copiers.all(|entry| entry["fieldsV1"]["f:metadata"].get("f:annotations").is_none()), "{kind}: {child}");
    }
    ready(sandbox, "App", "web").await?;
    exactly(control_plane, sandbox, mark, 2 * CHILDREN.len(), |event| event.subresource.is_empty() && event.code < 400)
        .await?;
    let refused = writes(control_plane, sandbox, mark)?.into_iter().filter(|event| event.code == 409).count();
    let events = control_plane.audit().by_user(&sandbox.user(), mark)?;
    let reads: Vec<_> = events.into_iter().filter(|event| event.verb == "get" && event.resource != "leases").collect();
    ensure!(reads.len() == CHILDREN.len() + refused, "{refused} refused:\n{}", lines(&reads));
    Ok(())
}

/// Whoever holds no mark of ours made no copy.
async fn an_env_var_of_kubectl_stays(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "restored-none").await?;
    sandbox.apply(SAVED).await?;
    ready(&sandbox, "App", "web").await?;
    let mark = control_plane.audit().mark()?;
    sandbox.kubectl(&["set", "env", "deployment/web", "OTHER=x"]).await?;
    sandbox.kubectl(&["rollout", "status", "deployment/web", "--timeout=60s"]).await?;
    patch(&sandbox, "App", "web", &json!({"spec": {"env": null}})).await?;
    let names = |object: &Value| {
        let env = object["spec"]["template"]["spec"]["containers"][0]["env"].as_array().cloned().unwrap_or_default();
        env.into_iter().map(|variable| variable["name"].clone()).collect::<Vec<_>>()
    };
    until(&sandbox, "Deployment", "web", "to have kubectl's variable alone", |object| names(object) == ["OTHER"])
        .await?;
    ready(&sandbox, "App", "web").await?;
    exactly(&control_plane, &sandbox, mark, 1, |event| event.subresource.is_empty()).await
}
