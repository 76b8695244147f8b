//! Pods follow the configuration that they read.

use crate::support::*;
use anyhow::{Result, ensure};
use kube::api::ListParams;
use moorage_harness::{ControlPlane, Sandbox};
use serde_json::{Value, json};
use std::sync::Arc;

crate::cases![a_change_is_rolled_out_once, what_is_missing_is_named];

const SETTINGS: &str = "
apiVersion: v1
kind: ConfigMap
metadata: {name: shop-config}
data: {colour: blue, size: '9'}
";

const CONFIGURED: &str = "
apiVersion: moorage.dev/v1alpha1
kind: App
metadata: {name: shop}
spec:
  image: registry.example.com/team/shop:1
  replicas: 2
  envFrom:
    - {configMapRef: {name: shop-config}}
  volumes:
    - {name: settings, mountPath: /etc/shop, configMap: {name: shop-config}}
";

async fn replica_sets(sandbox: &Sandbox) -> Result<usize> {
    let all = ListParams::default().labels("moorage.dev/app=shop");
    Ok(api(sandbox, "ReplicaSet").list(&all).await?.items.len())
}

fn hash(deployment: &Value) -> &Value {
    &deployment["spec"]["template"]["metadata"]["annotations"]["moorage.dev/config-hash"]
}

async fn a_change_is_rolled_out_once(control_plane: Arc<ControlPlane>) -> Result<()> {
    let mut sandbox = sandbox(&control_plane, "config").await?;
    sandbox.apply(SETTINGS).await?;
    sandbox.apply(CONFIGURED).await?;
    ready(&sandbox, "App", "shop").await?;
    ensure!(replica_sets(&sandbox).await? == 1, "the first pods were rolled out again");
    let mark = control_plane.audit().mark()?;
    for colour in ["red", "green"] {
        patch(&sandbox, "ConfigMap", "shop-config", &json!({"data": {"colour": colour}})).await?;
    }
    let rolled = until(&sandbox, "Deployment", "shop", "to have a hash", |it| hash(it).is_string()).await?;
    ready(&sandbox, "App", "shop").await?;
    exactly(&control_plane, &sandbox, mark, 1, |event| event.resource == "deployments").await?;
    ensure!(replica_sets(&sandbox).await? == 2, "one change, one rollout");
    // A restarted operator finds what the pods have, and sees what changed meanwhile.
    let mark = control_plane.audit().mark()?;
    sandbox.operator.restart().await?;
    patch(&sandbox, "ConfigMap", "shop-config", &json!({"metadata": {"labels": {"a": "b"}}})).await?;
    patch(&sandbox, "ConfigMap", "shop-config", &json!({"data": {"size": "10"}})).await?;
    until(&sandbox, "Deployment", "shop", "to have another hash", |it| hash(it) != hash(&rolled)).await?;
    ready(&sandbox, "App", "shop").await?;
    exactly(&control_plane, &sandbox, mark, 1, |event| event.resource == "deployments").await
}

async fn what_is_missing_is_named(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "no-config").await?;
    sandbox.apply(CONFIGURED).await?;
    let told = until(&sandbox, "App", "shop", "to name what is missing", |app| {
        has_reason(app, "Ready", "ConfigurationMissing")
    });
    ensure!(message(&told.await?, "Ready").starts_with("ConfigMap shop-config does not exist. Create it"));
    sandbox.apply(SETTINGS).await?;
    ready(&sandbox, "App", "shop").await?;
    let key = json!([{"name": "MODE", "valueFrom": {"configMapKeyRef": {"name": "shop-config", "key": "mode"}}}]);
    patch(&sandbox, "App", "shop", &json!({"spec": {"env": key}})).await?;
    let told = until(&sandbox, "App", "shop", "to name the key", |app| message(app, "Ready").contains("no key mode"));
    ensure!(
        message(&told.await?, "Ready").starts_with("ConfigMap shop-config has no key mode; it has: colour, size. ")
    );
    ensure!(replica_sets(&sandbox).await? <= 2, "the edit is one rollout");
    patch(&sandbox, "ConfigMap", "shop-config", &json!({"data": {"mode": "dark"}})).await?;
    ready(&sandbox, "App", "shop").await.map(drop)
}
