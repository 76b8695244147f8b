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
    let leader = leader_process(&cluster).await?;
    // One pod after the other, each for some seconds, so that the rollout outlives what happens meanwhile.
    let slow = "replicas: 2\n  env: [{name: GREETING, value: moin}]\n  rollout: {maxSurge: 1, maxUnavailable: 0, minReadySeconds: 4}";
    cluster.apply(&WEB.replace("replicas: 2", slow), "killed").await?;
    until(&cluster, ("killed", "web"), "to roll out", |app| condition(app, "Progressing")["status"] == "True").await?;
    cluster.kill_container(&leader.container)?;
    let app = app(&cluster, "killed", "web").await?;
    ensure!(condition(&app, "Ready")["status"] == "False", "the rollout was over too soon: {}", app["status"]);
    leadership_moves(&cluster, &leader).await?;
    ready(&cluster, "killed", "web").await?;
    answers(&cluster, "killed", "web", "moin").await?;
    let restarts: Vec<i64> = identities(&cluster, "killed", "web").await?.into_iter().map(|(_, count)| count).collect();
    ensure!(restarts == [0, 0], "the pods were restarted {restarts:?} times");
    let revisions = cluster.run_kubectl(&["--namespace=killed", "get", "replicasets", "--output=name"]).await?;
    ensure!(revisions.lines().count() == 2, "one change made these revisions: {revisions}");
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
    // A third pod that is ready has passed through all of them, so each has come back and seen what runs.
    cluster.apply(&WEB.replace("replicas: 2", "replicas: 3"), namespace_name).await?;
    let app =
        until(cluster, (namespace_name, "web"), "to have 3 pods", |app| app["status"]["readyReplicas"] == 3).await?;
    ensure!(condition(&app, "Degraded")["status"] != "True", "the status is {}", app["status"]);
    cluster.operator_available().await?;
    ready(cluster, namespace_name, "web").await?;
    let after = identities(cluster, namespace_name, "web").await?;
    let undisturbed = before.len() == 2 && after.len() == 3 && before.iter().all(|pod| after.contains(pod));
    ensure!(undisturbed, "the pods were {before:?} and are {after:?}");
    Ok(())
}

struct Leader {
    pod: String,
    container: String,
}

async fn leader_process(cluster: &NodeCluster) -> Result<Leader> {
    let holder = leader(cluster).await?;
    let pods = operator_pods(cluster).await?;
    let pod = pods.iter().find(|pod| name(pod) == holder).context("the leader has no pod")?;
    let id = pod["status"]["containerStatuses"][0]["containerID"].as_str().unwrap_or_default();
    Ok(Leader { pod: holder, container: id.trim_start_matches("containerd://").to_owned() })
}

/// Waits until another pod leads, or the same one in a new container.
async fn leadership_moves(cluster: &NodeCluster, before: &Leader) -> Result<()> {
    eventually(DEADLINE, "another replica to lead", || async {
        let now = leader_process(cluster).await?;
        Ok((now.pod != before.pod || now.container != before.container).then_some(()))
    })
    .await
}
