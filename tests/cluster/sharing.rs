//! Several pods on a volume that one node can mount are refused, or told where only the cluster knows.

use crate::support::*;
use anyhow::{Context as _, Result, ensure};
use moorage_harness::{ControlPlane, Sandbox};
use serde_json::json;
use std::sync::Arc;

crate::cases![what_one_node_can_mount_is_not_scaled];

const OF_OTHERS: &str = "
{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: legacy}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}
---
apiVersion: moorage.dev/v1alpha1
kind: App
metadata: {name: reader}
spec:
  image: registry.example.com/team/reader:1
  replicas: 2
  volumes: [{name: data, mountPath: /data, claim: {name: legacy}}]
---
apiVersion: moorage.dev/v1alpha1
kind: Registry
metadata: {name: images}
spec: {replicas: 2, storage: {claim: {name: legacy}}}
";

/// By the App's own scale it is refused; by its Deployment's, and with a claim of others, it is told, until there is one pod.
async fn what_one_node_can_mount_is_not_scaled(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "not-shared").await?;
    sandbox.apply(SHOP).await?;
    let shop = ready(&sandbox, "App", "shop").await?;
    let why = "StorageClaim shop-data has ReadWriteOnce, which one node at a time can mount";
    ensure!(shop["status"]["strategy"] == "Recreate" && shop["status"]["strategyMessage"] == why, "{}", shop["status"]);
    let scale = ["scale", "apps.moorage.dev/shop", "--replicas=3"];
    let refused = sandbox.kubectl(&scale).await.err().context("it was scaled")?;
    ensure!(format!("{refused:#}").contains("spec.replicas: Invalid value"), "{refused:#}");

    sandbox.kubectl(&["scale", "deployment/shop", "--replicas=2"]).await?;
    told(&sandbox, "App", "shop", &format!("{why}, and 2 pods are to")).await?;
    sandbox.kubectl(&["scale", "deployment/shop", "--replicas=1"]).await?;
    ready(&sandbox, "App", "shop").await?;

    sandbox.apply(OF_OTHERS).await?;
    let why = "PersistentVolumeClaim legacy has ReadWriteOnce, which one node at a time can mount, and 2 pods are to";
    for (kind, name) in [("App", "reader"), ("Registry", "images")] {
        told(&sandbox, kind, name, why).await?;
        patch(&sandbox, kind, name, &json!({"spec": {"replicas": 1}})).await?;
        ready(&sandbox, kind, name).await?;
    }
    Ok(())
}

async fn told(sandbox: &Sandbox, kind: &str, name: &str, why: &str) -> Result<()> {
    let object = reason(sandbox, kind, name, "Ready", "VolumeNotShareable").await?;
    ensure!(message(&object, "Ready").starts_with(why), "{}", message(&object, "Ready"));
    Ok(())
}
