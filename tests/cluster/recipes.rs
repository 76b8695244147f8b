//! What the recipes and the cheat-sheet say is true.

use crate::support::*;
use anyhow::{Context, Result, bail, ensure};
use moorage_harness::ControlPlane;
use serde_json::json;
use std::sync::Arc;

crate::cases![images_that_want_root, an_autoscaler, the_cheat_sheet];

async fn images_that_want_root(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "recipe-root").await?;
    let recipe = page("docs/recipes/root.md")?;
    sandbox.kubectl(&["label", "namespace", "recipe-root", "pod-security.kubernetes.io/enforce=restricted"]).await?;
    for manifest in blocks(&recipe, "yaml") {
        sandbox.apply(&manifest).await?;
    }
    for name in ["web", "named"] {
        ready(&sandbox, "App", name).await?;
    }
    let app = reason(&sandbox, "App", "legacy", "Degraded", "PodsRefused").await?;
    ensure!(message(&app, "Degraded").contains("PodSecurity"), "{}", message(&app, "Degraded"));
    for line in blocks(&recipe, "sh").concat().replace("NAMESPACE", "recipe-root").lines() {
        run(&sandbox, line).await?;
    }
    sandbox.kubectl(&["rollout", "restart", "deployment/legacy"]).await?;
    ready(&sandbox, "App", "legacy").await?;
    Ok(())
}

async fn an_autoscaler(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "recipe-autoscaling").await?;
    let mark = control_plane.audit().mark()?;
    let manifests = blocks(&page("docs/recipes/autoscaling.md")?, "yaml");
    let [app, handover] = manifests.as_slice() else { bail!("the recipe has {} manifests", manifests.len()) };
    sandbox.apply(app).await?;
    until(&sandbox, "App", "shop", "to have the autoscaler's number of pods", |app| {
        app["status"]["pods"] == "3/3" && is_true(app, "Ready")
    })
    .await?;
    exactly(&control_plane, &sandbox, mark, 1, |event| event.resource == "deployments").await?;
    // From a declared number: none of the pods stops on the way.
    sandbox.kubectl(&["delete", "horizontalpodautoscaler", "shop"]).await?;
    patch(&sandbox, "App", "shop", &json!({"spec": {"replicas": 3}})).await?;
    ready(&sandbox, "App", "shop").await?;
    sandbox.apply(handover).await?;
    patch(&sandbox, "App", "shop", &json!({"spec": {"replicas": null}})).await?;
    let app = ready(&sandbox, "App", "shop").await?;
    ensure!(app["status"]["pods"] == "3/3", "{}", app["status"]);
    ensure!(must_get(&sandbox, "Deployment", "shop").await?["spec"]["replicas"] == 3, "it was scaled");
    Ok(())
}

/// A line of the cheat-sheet that a node has to answer, or that is no line of kubectl's alone.
fn needs_more(line: &str) -> bool {
    ["kubectl logs", "kubectl top", "kubectl exec", "kubectl port-forward", "kubectl debug", "moorage", "kubectl apply"]
        .iter()
        .any(|begin| line.starts_with(begin))
}

async fn the_cheat_sheet(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "cheat-sheet").await?;
    sandbox.apply(WEB).await?;
    ready(&sandbox, "App", "web").await?;
    let lines = blocks(&page("docs/kubectl.md")?, "sh").concat();
    let lines: Vec<&str> = lines.lines().filter(|line| !needs_more(line)).collect();
    ensure!(lines.len() > 15, "{lines:?}");
    for line in lines {
        let printed = run(&sandbox, line).await?;
        match line {
            "kubectl get moorage" => ensure!(printed.contains("app.moorage.dev/web"), "{line}\n{printed}"),
            line if line.contains("-o wide") => {
                let (head, row) = printed.split_once('\n').context("no row")?;
                let head: Vec<&str> = head.split_whitespace().collect();
                ensure!(
                    head == ["NAME", "READY", "PODS", "REASON", "IMAGE", "AGE", "STRATEGY", "MESSAGE"],
                    "{line}\n{printed}"
                );
                ensure!(row.contains("1/1") && row.contains("RollingUpdate"), "{line}\n{printed}");
            }
            line if line.contains("children") => ensure!(printed.contains("Deployment web true"), "{line}\n{printed}"),
            line if line.contains("\"paused\":true") => {
                until(&sandbox, "App", "web", "to be paused", |app| has_reason(app, "Ready", "Paused")).await?;
            }
            _ => {}
        }
    }
    ensure!(get(&sandbox, "App", "web").await?.is_none(), "it was deleted, and its Deployment left");
    must_get(&sandbox, "Deployment", "web").await?;
    Ok(())
}
