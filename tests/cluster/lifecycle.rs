//! From create to Ready, and every change after it, in as few writes as it takes.

use crate::support::*;
use anyhow::{Result, ensure};
use kube::api::{Patch, PatchParams};
use moorage_harness::{AuditEvent, ControlPlane};
use serde_json::json;
use std::sync::Arc;

crate::cases![
    an_app_becomes_ready,
    an_update_reaches_the_pods,
    all_three_kinds_become_ready,
    a_paused_app_is_left_alone,
    defaults_follow_the_spec,
    a_load_balancer_is_waited_for,
    surplus_children_go
];

/// A new App with k children costs k writes of children and two of its status.
async fn an_app_becomes_ready(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "app-ready").await?;
    let mark = control_plane.audit().mark()?;
    sandbox.apply(WEB).await?;
    let app = ready(&sandbox, "App", "web").await?;
    ensure!(app["status"]["replicas"] == 1 && app["status"]["readyReplicas"] == 1, "{}", app["status"]);
    ensure!(app["status"]["selector"] == "moorage.dev/app=web");
    let children = app["status"]["children"].as_array().cloned().unwrap_or_default();
    ensure!(children.len() == 3 && children.iter().all(|child| child["ready"] == true), "{children:?}");
    exactly(&control_plane, &sandbox, mark, 3, |event| event.subresource.is_empty()).await?;
    // Progressing and then Ready, or Ready at once where the pod is ready by the time the last object is applied.
    let told = |event: &AuditEvent| event.subresource == "status";
    let told = writes(&control_plane, &sandbox, mark)?.into_iter().filter(told).count();
    ensure!((1..=2).contains(&told), "the status was written {told} times");
    Ok(())
}

async fn an_update_reaches_the_pods(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "app-update").await?;
    sandbox.apply(WEB).await?;
    ready(&sandbox, "App", "web").await?;
    let mark = control_plane.audit().mark()?;
    patch(&sandbox, "App", "web", &json!({"spec": {"image": "registry.example.com/team/web:2", "replicas": 3}}))
        .await?;
    let app = ready(&sandbox, "App", "web").await?;
    ensure!(app["status"]["readyReplicas"] == 3, "{}", app["status"]);
    let deployment = must_get(&sandbox, "Deployment", "web").await?;
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    ensure!(container["image"] == "registry.example.com/team/web:2", "{container}");
    exactly(&control_plane, &sandbox, mark, 1, |event| event.subresource.is_empty()).await
}

async fn all_three_kinds_become_ready(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "all-kinds").await?;
    sandbox.apply(SHOP).await?;
    sandbox.apply(IMAGES).await?;
    let app = ready(&sandbox, "App", "shop").await?;
    ready(&sandbox, "StorageClaim", "shop-data").await?;
    let registry = ready(&sandbox, "Registry", "images").await?;
    ensure!(registry["status"]["endpoint"]["internal"] == "images.all-kinds.svc:5000", "{}", registry["status"]);
    let claim = must_get(&sandbox, "StorageClaim", "shop-data").await?;
    ensure!(claim["status"]["consumers"] == json!(["App/shop"]), "{}", claim["status"]);
    let strategy = &must_get(&sandbox, "Deployment", "shop").await?["spec"]["strategy"];
    ensure!(strategy["type"] == "Recreate", "a ReadWriteOnce claim derives Recreate: {strategy}");
    ensure!(
        app["status"]["conditions"].as_array().is_some_and(|conditions| conditions.len() == 4),
        "{}",
        app["status"]
    );
    Ok(())
}

async fn a_paused_app_is_left_alone(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "app-paused").await?;
    sandbox.apply(WEB).await?;
    ready(&sandbox, "App", "web").await?;
    let mark = control_plane.audit().mark()?;
    patch(&sandbox, "App", "web", &json!({"spec": {"paused": true, "image": "registry.example.com/team/web:2"}}))
        .await?;
    let app = reason(&sandbox, "App", "web", "Ready", "Paused").await?;
    ensure!(message(&app, "Ready").contains("Deployment web"), "{}", message(&app, "Ready"));
    exactly(&control_plane, &sandbox, mark, 0, |event| event.subresource.is_empty()).await?;
    patch(&sandbox, "App", "web", &json!({"spec": {"paused": null}})).await?;
    ready(&sandbox, "App", "web").await?;
    exactly(&control_plane, &sandbox, mark, 1, |event| event.subresource.is_empty()).await
}

async fn surplus_children_go(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "app-prune").await?;
    sandbox.apply(WEB).await?;
    ready(&sandbox, "App", "web").await?;
    sandbox.kubectl(&["create", "serviceaccount", "own"]).await?;
    patch(&sandbox, "App", "web", &json!({"spec": {"ports": null, "serviceAccount": {"name": "own"}}})).await?;
    until_gone(&sandbox, "Service", "web").await?;
    until_gone(&sandbox, "ServiceAccount", "web").await?;
    ready(&sandbox, "App", "web").await?;
    Ok(())
}

/// What Kubernetes derives from one field when it is first set follows when that field changes: the pull policy the image,
/// and what only an outward Service has its type.
async fn defaults_follow_the_spec(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "defaults").await?;
    sandbox.apply(&WEB.replace("ports:", "service: {type: NodePort}\n  ports:")).await?;
    ready(&sandbox, "App", "web").await?;
    patch(&sandbox, "App", "web", &json!({"spec": {"image": "registry.example.com/team/web", "service": null}}))
        .await?;
    until(&sandbox, "Deployment", "web", "to pull the latest image", |deployment| {
        deployment["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] == "Always"
    })
    .await?;
    let service =
        until(&sandbox, "Service", "web", "to turn inward", |service| service["spec"]["type"] == "ClusterIP").await?;
    ensure!(service["spec"].get("externalTrafficPolicy").is_none(), "{}", service["spec"]);
    ready(&sandbox, "App", "web").await?;
    Ok(())
}

/// The controller that gives addresses is played by the test.
async fn a_load_balancer_is_waited_for(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "load-balancer").await?;
    sandbox.apply(&WEB.replace("ports:", "service: {type: LoadBalancer}\n  ports:")).await?;
    let app = reason(&sandbox, "App", "web", "Ready", "WaitingForAddress").await?;
    let said = "Service web: waits for a load balancer address";
    ensure!(message(&app, "Ready").starts_with(said) && is_true(&app, "Available"), "{}", app["status"]);
    let address = json!({"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}});
    api(&sandbox, "Service").patch_status("web", &PatchParams::default(), &Patch::Merge(&address)).await?;
    let app = ready(&sandbox, "App", "web").await?;
    let service = must_get(&sandbox, "Service", "web").await?;
    let opened = json!([{"name": "tcp-8080", "port": 8080, "nodePort": service["spec"]["ports"][0]["nodePort"]}]);
    ensure!(app["status"]["addresses"] == json!(["192.0.2.1"]), "{}", app["status"]);
    ensure!(app["status"]["nodePorts"] == opened, "{}", app["status"]);
    Ok(())
}
