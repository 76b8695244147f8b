//! What is being deleted and still there says what is left of it and who holds that, and nothing of it is made again.

use crate::support::*;
use anyhow::{Result, ensure};
use moorage_harness::{AuditEvent, ControlPlane, Sandbox};
use serde_json::json;
use std::sync::Arc;

crate::cases![whoever_holds_it_is_named, what_a_foreground_deletion_waits_for_is_named];

/// A claim that nobody mounts.
const DATA: &str = "
apiVersion: moorage.dev/v1alpha1
kind: StorageClaim
metadata: {name: data}
spec: {size: 1Gi, deletionPolicy: Delete}
";

async fn hold(sandbox: &Sandbox, kind: &str, name: &str, finalizers: &[&str]) -> Result<()> {
    patch(sandbox, kind, name, &json!({"metadata": {"finalizers": finalizers}})).await
}

async fn whoever_holds_it_is_named(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "deleting-held").await?;
    for (kind, name, yaml, left) in [
        ("App", "web", WEB, "still there: ServiceAccount web, Deployment web, Service web"),
        ("Registry", "images", IMAGES, "still there: ConfigMap images-config, Deployment images, Service images"),
        ("StorageClaim", "data", DATA, "there is no PersistentVolumeClaim data"),
    ] {
        sandbox.apply(yaml).await?;
        ready(&sandbox, kind, name).await?;
        let ours = if kind == "StorageClaim" { vec!["moorage.dev/deletion-policy"] } else { Vec::new() };
        hold(&sandbox, kind, name, &[ours.as_slice(), &["example.com/backup"]].concat()).await?;
        let mark = control_plane.audit().mark()?;
        let resource = format!("{}.moorage.dev", kind.to_lowercase());
        sandbox.kubectl(&["delete", &resource, name, "--wait=false"]).await?;
        let told = until(&sandbox, kind, name, "to say who holds it", |object| {
            message(object, "Ready").contains("held by finalizer example.com/backup")
                && message(object, "Ready").contains(left)
        })
        .await?;
        ensure!(has_reason(&told, "Ready", "Deleting") && is_true(&told, "Reconciling"), "{}", told["status"]);
        ensure!(told["status"]["observedGeneration"] == told["metadata"]["generation"], "{}", told["status"]);
        if kind == "App" {
            // What is taken from it now is not made again.
            sandbox.kubectl(&["delete", "service", name]).await?;
            let is_told = |object: &serde_json::Value| !message(object, "Ready").contains("Service web");
            until(&sandbox, kind, name, "to know that its Service is gone", is_told).await?;
            ensure!(get(&sandbox, "Service", name).await?.is_none(), "the Service was made again");
        }
        let written = writes(&control_plane, &sandbox, mark)?;
        let written: Vec<AuditEvent> = written.into_iter().filter(|event| event.name == name).collect();
        let beside = written.iter().filter(|event| event.subresource != "status").count();
        let ours = if kind == "StorageClaim" { 2 } else { 0 };
        ensure!(beside == ours && written.len() <= 4, "{}", lines(&written));
        hold(&sandbox, kind, name, &[]).await?;
        until_gone(&sandbox, kind, name).await?;
    }
    until_gone(&sandbox, "Deployment", "web").await
}

async fn what_a_foreground_deletion_waits_for_is_named(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "deleting-foreground").await?;
    sandbox.apply(&WEB.replace("ports:", "pod: {terminationGracePeriodSeconds: 1}\n  ports:")).await?;
    ready(&sandbox, "App", "web").await?;
    let pod = sandbox.kubectl(&["get", "pods", "-o=jsonpath={.items[0].metadata.name}"]).await?;
    hold(&sandbox, "Pod", &pod, &["example.com/drain"]).await?;
    let mark = control_plane.audit().mark()?;
    sandbox.kubectl(&["delete", "apps.moorage.dev", "web", "--cascade=foreground", "--wait=false"]).await?;
    let stuck = format!("pod {pod}: TerminationStuck");
    let told = until(&sandbox, "App", "web", "to name the pod that it waits for", |app| {
        message(app, "Ready").contains(&stuck)
    })
    .await?;
    let said = message(&told, "Ready");
    ensure!(has_reason(&told, "Ready", "Deleting") && has_reason(&told, "Degraded", "TerminationStuck"), "{told}");
    for part in
        ["Deployment web (being deleted, once its pods have stopped)", "on node", "its finalizers: example.com/drain"]
    {
        ensure!(said.contains(part), "{said}");
    }
    let written = writes(&control_plane, &sandbox, mark)?;
    ensure!(written.iter().all(|event| event.subresource == "status") && written.len() <= 6, "{}", lines(&written));
    hold(&sandbox, "Pod", &pod, &[]).await?;
    until_gone(&sandbox, "App", "web").await
}
