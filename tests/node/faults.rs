//! What breaks beneath a running App comes back, ends in the same state, and restarts no container of it.

use crate::install::{leader, operator_pods};
use crate::support::*;
use anyhow::{Context, Result, ensure};
use moorage_harness::eventually;
use moorage_harness::node::NodeCluster;
use std::sync::Arc;

pub async fn the_operator_is_killed_amid_a_rollout(cluster: Arc<NodeCluster>) -> Result<()> {
    namespace(&cluster, "killed").await?;
    cluster.apply(WEB, "killed").await?;
    ready(&cluster, "killed", "web").await?;
    cluster.apply(&WEB.replace("replicas: 2", "replicas: 2\n  env: [{name: GREETING, value: moin}]"), "killed").await?;
    until(&cluster, ("killed", "web"), "to roll out", |app| condition(app, "Progressing")["status"] == "True").await?;
    kill_leader(&cluster).await?;
    ready(&cluster, "killed", "web").await?;
    answers(&cluster, "killed", "web", "moin").await?;
    cluster.operator_available().await
}

pub async fn kubelet_is_restarted(cluster: Arc<NodeCluster>) -> Result<()> {
    undisturbed_by_restarts_of(&cluster, "kubelet-restart", &["kubelet"]).await
}

pub async fn containerd_is_restarted(cluster: Arc<NodeCluster>) -> Result<()> {
    undisturbed_by_restarts_of(&cluster, "containerd-restart", &["containerd"]).await
}

pub async fn the_control_plane_is_restarted(cluster: Arc<NodeCluster>) -> Result<()> {
    undisturbed_by_restarts_of(&cluster, "control-plane-restart", &["etcd", "kube-apiserver"]).await
}

/// An App runs on with the same containers, and a change made afterwards arrives.
async fn undisturbed_by_restarts_of(cluster: &NodeCluster, namespace_name: &str, names: &[&str]) -> Result<()> {
    namespace(cluster, namespace_name).await?;
    cluster.apply(WEB, namespace_name).await?;
    ready(cluster, namespace_name, "web").await?;
    let before = identities(cluster, namespace_name, "web").await?;
    // All are down at once, as after a power cut.
    for name in names {
        cluster.kill(name)?;
    }
    for name in names {
        cluster.resume(name).await?;
    }
    ready(cluster, namespace_name, "web").await?;
    let after = identities(cluster, namespace_name, "web").await?;
    ensure!(before == after, "the pods were {before:?} and are {after:?}");
    cluster.apply(&WEB.replace("replicas: 2", "replicas: 3"), namespace_name).await?;
    let app =
        until(cluster, (namespace_name, "web"), "to have 3 pods", |app| app["status"]["readyReplicas"] == 3).await?;
    ensure!(condition(&app, "Degraded")["status"] != "True", "the status is {}", app["status"]);
    cluster.operator_available().await
}

/// Kills the leader's process with SIGKILL, as the kernel would.
async fn kill_leader(cluster: &NodeCluster) -> Result<()> {
    let holder = leader(cluster).await?;
    let pods = operator_pods(cluster).await?;
    let pod = pods.iter().find(|pod| name(pod) == holder).context("the leader has no pod")?;
    let id = pod["status"]["containerStatuses"][0]["containerID"].as_str().unwrap_or_default();
    cluster.kill_container(id.trim_start_matches("containerd://"))?;
    eventually(DEADLINE, "another replica to lead", || async {
        let now = leader(cluster).await?;
        let restarted = operator_pods(cluster)
            .await?
            .iter()
            .any(|pod| name(pod) == holder && pod["status"]["containerStatuses"][0]["restartCount"].as_i64() > Some(0));
        Ok((now != holder || restarted).then_some(()))
    })
    .await
}
