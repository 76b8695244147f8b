//! The operator as `deploy/install.yaml` runs it.

use crate::support::*;
use anyhow::{Context, Result, ensure};
use moorage_harness::node::{NodeCluster, OPERATOR_NAMESPACE};
use serde_json::Value;
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

/// A replica is in no Service and in no rollout before it has seen everything that it watches.
pub async fn readiness_follows_the_watches(cluster: Arc<NodeCluster>) -> Result<()> {
    for pod in operator_pods(&cluster).await? {
        let probe = &pod["spec"]["containers"][0]["readinessProbe"]["httpGet"]["path"];
        ensure!(probe == "/readyz", "the readiness probe asks {probe}");
        let path = format!("/api/v1/namespaces/{OPERATOR_NAMESPACE}/pods/{}:8080/proxy/readyz", name(&pod));
        let answer = cluster.run_kubectl(&["get", "--raw", &path]).await?;
        ensure!(answer.trim() == "ok", "/readyz answers {answer}");
    }
    Ok(())
}

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
