//! The operator is uninstalled, and the rest removed, by the commands of the pages; nothing of it stays but the data and what runs.

use crate::support::*;
use anyhow::{Result, ensure};
use moorage_harness::Way;
use moorage_harness::node::NodeCluster;
use moorage_harness::page::{section, steps};
use serde_json::json;
use std::sync::Arc;

pub async fn what_was_installed_goes_and_the_rest_stays(cluster: Arc<NodeCluster>) -> Result<()> {
    namespace(&cluster, "kept").await?;
    let app = format!("{WEB}    - {{name: data, mountPath: /data, storage: {{size: 1Gi}}}}\n")
        .replace("volumes: [{name: scratch, mountPath: /scratch, emptyDir: {}}]", "volumes:");
    cluster.apply(&app.replace("replicas: 2", "replicas: 1"), "kept").await?;
    ready(&cluster, "kept", "web").await?;
    let before = identities(&cluster, "kept", "web").await?;
    let volume = get(&cluster, "v1", "PersistentVolumeClaim", ("kept", "web-data")).await?["metadata"]["uid"].clone();
    let installer = cluster.installer(Way::Kubectl, |_| ()).await?;
    installer.uninstall().await?;
    ensure!(identities(&cluster, "kept", "web").await? == before, "the pods were disturbed");
    installer.does(&steps(&section("docs/install/README.md", "Remove the rest, keep the data")?)).await?;
    ensure!(identities(&cluster, "kept", "web").await? == before, "the pods were disturbed");
    let kept = get(&cluster, "v1", "PersistentVolumeClaim", ("kept", "web-data")).await?;
    ensure!(kept["metadata"]["uid"] == volume && kept["metadata"]["deletionTimestamp"] == json!(null), "{kept}");
    for kind in [
        "customresourcedefinitions",
        "clusterroles",
        "clusterrolebindings",
        "validatingadmissionpolicies",
        "namespaces",
    ] {
        let names = cluster.run_kubectl(&["get", kind, "--output=name"]).await?;
        ensure!(!names.contains("moorage"), "left are {names}");
    }
    Ok(())
}
