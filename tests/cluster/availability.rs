//! What is kept available while nodes are drained.

use crate::support::*;
use anyhow::{Context as _, Result, ensure};
use moorage_harness::{ControlPlane, Sandbox};
use serde_json::{Value, json};
use std::sync::Arc;

crate::cases![evictions_keep_within_the_budget];

/// As documented; what a drain does, which evicts pod by pod, is refused where the budget says so; and one pod has no budget.
async fn evictions_keep_within_the_budget(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "budget").await?;
    let mark = control_plane.audit().mark()?;
    let text = section("docs/concepts/app.md", "Availability")?;
    sandbox.apply(blocks(&text, "yaml").first().context("no example")?).await?;
    ready(&sandbox, "App", "always-there").await?;
    exactly(&control_plane, &sandbox, mark, 3, |event| event.subresource.is_empty()).await?;
    let budget = allows(&sandbox, 1).await?;
    ensure!(budget["spec"]["minAvailable"] == 2 && budget["spec"].get("maxUnavailable").is_none(), "{budget}");
    let deployment = must_get(&sandbox, "Deployment", "always-there").await?;
    let keys: Vec<&str> = deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|constraint| constraint["topologyKey"].as_str())
        .collect();
    ensure!(keys == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"], "{deployment}");

    patch(&sandbox, "App", "always-there", &json!({"spec": {"availability": {"minAvailable": 3}}})).await?;
    allows(&sandbox, 0).await?;
    let refused = evict(&sandbox).await.err().context("a pod was evicted")?;
    ensure!(format!("{refused:#}").contains("disruption budget"), "{refused:#}");

    patch(&sandbox, "App", "always-there", &json!({"spec": {"availability": {"minAvailable": null}}})).await?;
    let budget = allows(&sandbox, 1).await?;
    ensure!(budget["spec"]["maxUnavailable"] == 1 && budget["spec"].get("minAvailable").is_none(), "{budget}");
    evict(&sandbox).await?;
    ready(&sandbox, "App", "always-there").await?;

    sandbox.kubectl(&["scale", "apps.moorage.dev/always-there", "--replicas=1"]).await?;
    until_gone(&sandbox, "PodDisruptionBudget", "always-there").await?;
    ready(&sandbox, "App", "always-there").await.map(drop)
}

/// Waits until the budget allows so many evictions.
async fn allows(sandbox: &Sandbox, evictions: u32) -> Result<Value> {
    until(sandbox, "PodDisruptionBudget", "always-there", &format!("to allow {evictions}"), |budget| {
        let (status, metadata) = (&budget["status"], &budget["metadata"]);
        status["disruptionsAllowed"] == evictions && status["observedGeneration"] == metadata["generation"]
    })
    .await
}

/// Evicts a pod, as `kubectl drain` does.
async fn evict(sandbox: &Sandbox) -> Result<String> {
    let first =
        ["get", "pods", "--selector=moorage.dev/app=always-there", "--output=jsonpath={.items[0].metadata.name}"];
    let pod = sandbox.kubectl(&first).await?;
    let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": sandbox.namespace}});
    let file = std::env::temp_dir().join(format!("moorage-eviction-{}.json", std::process::id()));
    std::fs::write(&file, eviction.to_string())?;
    let path = format!("/api/v1/namespaces/{}/pods/{pod}/eviction", sandbox.namespace);
    let done = sandbox.kubectl(&["create", "--raw", &path, "--filename", &file.display().to_string()]).await;
    std::fs::remove_file(&file)?;
    done
}
