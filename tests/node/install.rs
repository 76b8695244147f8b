//! The operator as `deploy/install.yaml` runs it.

use crate::support::*;
use anyhow::{Context, Result, ensure};
use moorage_harness::eventually;
use moorage_harness::node::{NodeCluster, OPERATOR_NAMESPACE};
use serde_json::{Value, json};
use std::net::IpAddr;
use std::sync::Arc;

pub async fn the_operator_runs_as_installed(cluster: Arc<NodeCluster>) -> Result<()> {
    let namespace = get(&cluster, "v1", "Namespace", ("", OPERATOR_NAMESPACE)).await?;
    let enforced = &namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"];
    ensure!(enforced == "restricted", "Pod Security enforces {enforced}");
    let pods = operator_pods(&cluster).await?;
    ensure!(pods.len() == 2, "there are {} replicas", pods.len());
    for pod in &pods {
        let context = &pod["spec"]["containers"][0]["securityContext"];
        ensure!(context["readOnlyRootFilesystem"] == true, "{context}");
        ensure!(pod["status"]["containerStatuses"][0]["restartCount"] == 0, "{} was restarted", name(pod));
        let user = &pod["status"]["containerStatuses"][0]["user"]["linux"]["uid"];
        ensure!(user == 65532, "{} runs as user {user}", name(pod));
    }
    Ok(())
}

/// A replica is not ready before it has seen everything that it watches, and says what it waits for.
pub async fn readiness_follows_the_watches(cluster: Arc<NodeCluster>) -> Result<()> {
    for pod in operator_pods(&cluster).await? {
        let probe = &pod["spec"]["containers"][0]["readinessProbe"]["httpGet"]["path"];
        ensure!(probe == "/readyz", "the readiness probe asks {probe}");
        let (code, answer) = readyz(&cluster, &pod).await?;
        ensure!(code == 200 && answer.trim() == "ok", "/readyz answers {code} {answer}");
    }
    let binding = get(&cluster, RBAC, "ClusterRoleBinding", ("", "moorage")).await?;
    cluster.run_kubectl(&["delete", "clusterrolebinding", "moorage"]).await?;
    let before = operator_pods(&cluster).await?;
    let old: Vec<&str> = before.iter().map(name).collect();
    cluster.run_kubectl(&["-n", OPERATOR_NAMESPACE, "delete", "pod", old[0], "--wait=false"]).await?;
    let blind = eventually(DEADLINE, "a replica without rights to say what it waits for", || async {
        let pods = operator_pods(&cluster).await?;
        let new = pods.iter().find(|pod| !old.contains(&name(pod))).context("no new replica yet")?;
        let (code, answer) = readyz(&cluster, new).await?;
        ensure!(code == 503 && answer.contains("apps.moorage.dev"), "/readyz answers {code} {answer}");
        ensure!(new["status"]["containerStatuses"][0]["ready"] == false, "{} is ready", name(new));
        Ok(Some(()))
    });
    let blind = blind.await;
    let again = json!({
        "apiVersion": RBAC,
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "moorage", "labels": binding["metadata"]["labels"]},
        "roleRef": binding["roleRef"],
        "subjects": binding["subjects"],
    });
    cluster.apply_object(again, "").await?;
    blind?;
    cluster.operator_available().await
}

/// What a replica's `/readyz` answers.
async fn readyz(cluster: &NodeCluster, pod: &Value) -> Result<(u16, String)> {
    let address: IpAddr = pod["status"]["podIP"].as_str().context("it has no address yet")?.parse()?;
    cluster.http_get((address, 8080).into(), "/readyz").await
}

const RBAC: &str = "rbac.authorization.k8s.io/v1";

/// The operator's pods, but for those that are on their way out.
pub async fn operator_pods(cluster: &NodeCluster) -> Result<Vec<Value>> {
    let selector = "--selector=app.kubernetes.io/name=moorage";
    let text = cluster.run_kubectl(&["-n", OPERATOR_NAMESPACE, "get", "pods", selector, "--output=json"]).await?;
    let list: Value = serde_json::from_str(&text)?;
    let pods = list["items"].as_array().context("no list")?;
    Ok(pods.iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null()).cloned().collect())
}

/// The pod that holds the Lease.
pub async fn leader(cluster: &NodeCluster) -> Result<String> {
    let lease = get(cluster, "coordination.k8s.io/v1", "Lease", (OPERATOR_NAMESPACE, "moorage")).await?;
    Ok(lease["spec"]["holderIdentity"].as_str().filter(|holder| !holder.is_empty()).context("nobody leads")?.to_owned())
}
