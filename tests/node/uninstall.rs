//! The operator is uninstalled as the README says; nothing of it stays but the data.

use crate::support::*;
use anyhow::{Result, ensure};
use moorage_harness::build::workspace;
use moorage_harness::node::NodeCluster;
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
    let manifest = workspace().join("deploy/install.yaml").display().to_string();
    for command in [
        &["--namespace=moorage-system", "delete", "deployment", "moorage"][..],
        &["delete", "apps.moorage.dev,registries.moorage.dev", "--all", "--all-namespaces", "--cascade=orphan"],
        &["delete", "storageclaims.moorage.dev", "--all", "--all-namespaces", "--wait=false"],
        &["delete", "--filename", &manifest, "--ignore-not-found"],
    ] {
        cluster.run_kubectl(command).await?;
    }
    ensure!(identities(&cluster, "kept", "web").await? == before, "the pods were disturbed");
    let kept = get(&cluster, "v1", "PersistentVolumeClaim", ("kept", "web-data")).await?;
    ensure!(kept["metadata"]["uid"] == volume && kept["metadata"]["deletionTimestamp"] == json!(null), "{kept}");
    for kind in ["customresourcedefinitions", "clusterroles", "clusterrolebindings", "namespaces"] {
        let names = cluster.run_kubectl(&["get", kind, "--output=name"]).await?;
        ensure!(!names.contains("moorage"), "left are {names}");
    }
    Ok(())
}
