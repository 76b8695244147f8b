//! Parts of the cluster that are down are named, and no outage looks like a rollout.

use crate::support::*;
use anyhow::{Result, ensure};
use moorage_harness::{ControlPlane, Options, build::workspace};
use serde_json::json;
use std::sync::Arc;

crate::cases![own: what_is_down_is_named];

async fn what_is_down_is_named(_shared: Arc<ControlPlane>) -> Result<()> {
    // kwok says every 25 s at most that its nodes are well.
    let grace = ("kube-controller-manager".to_owned(), "--node-monitor-grace-period=40s".to_owned());
    let own = ControlPlane::start(Options { extra_args: vec![grace], ..Options::default() }).await?;
    own.install(&workspace().join("crds"), &workspace().join("deploy")).await?;
    let sandbox = own.sandbox("down", options()).await?;
    sandbox.apply(WEB).await?;
    ready(&sandbox, "App", "web").await?;

    own.stop("kube-controller-manager").await?;
    patch(&sandbox, "App", "web", &json!({"spec": {"image": "registry.example.com/team/web:2"}})).await?;
    until(&sandbox, "App", "web", "to say that its Deployment is not taken up", |app| {
        has_reason(app, "Ready", "RollingOut")
            && message(app, "Ready").contains("the Deployment controller has not taken it up")
    })
    .await?;
    own.resume("kube-controller-manager").await?;
    ready(&sandbox, "App", "web").await?;

    own.stop("kube-scheduler").await?;
    own.stop("kwok").await?;
    sandbox.apply(&WEB.replace("name: web", "name: late")).await?;
    let app = until(&sandbox, "App", "web", "to say that its node is lost", |app| {
        has_reason(app, "Degraded", "NodeLost") && has_reason(app, "Ready", "NodeLost")
    })
    .await?;
    let told = message(&app, "Ready");
    ensure!(told.contains("kubectl describe node node-") && told.contains("does not report any more"), "{told}");
    until(&sandbox, "App", "late", "to say that no scheduler takes its pod", |app| {
        has_reason(app, "Degraded", "Unschedulable")
            && message(app, "Degraded").contains("no scheduler named default-scheduler has said why")
    })
    .await?;
    own.resume("kube-scheduler").await?;
    until(&sandbox, "App", "late", "to say that no node takes its pod", |app| {
        message(app, "Degraded").contains("0/3 nodes are available")
    })
    .await
    .map(drop)
}
