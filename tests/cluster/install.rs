//! What is in `deploy/` installs as it stands.

use crate::support::*;
use anyhow::{Result, ensure};
use moorage_harness::{ControlPlane, OperatorOptions, build::workspace, eventually};
use serde_json::json;
use std::sync::Arc;

crate::cases![the_kustomize_base_is_the_manifest, one_namespace_needs_nothing_outside];

async fn the_kustomize_base_is_the_manifest(control_plane: Arc<ControlPlane>) -> Result<()> {
    let deploy = workspace().join("deploy");
    let built = control_plane.run_kubectl(&["kustomize", &deploy.display().to_string()]).await?;
    let kinds = |text: &str| {
        let mut kinds: Vec<String> =
            text.lines().filter(|line| line.starts_with("kind: ")).map(str::to_owned).collect();
        kinds.sort();
        kinds
    };
    let manifest = std::fs::read_to_string(deploy.join("install.yaml"))?;
    ensure!(kinds(&built) == kinds(&manifest), "kustomize makes {:?}", kinds(&built));
    Ok(())
}

/// Installed into a namespace of its own by `kubectl apply -f`, the operator leads and works there, and its account may do
/// nothing anywhere else.
async fn one_namespace_needs_nothing_outside(control_plane: Arc<ControlPlane>) -> Result<()> {
    let namespace = "no-cluster-role";
    let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
    control_plane.apply_object(object, "").await?;
    let manifest = workspace().join("deploy/namespaced/install.yaml").display().to_string();
    control_plane.run_kubectl(&["--namespace", namespace, "apply", "-f", &manifest]).await?;
    let operator = control_plane
        .operator(OperatorOptions {
            watch_namespaces: vec![namespace.to_owned()],
            operator_namespace: namespace.to_owned(),
            ..options()
        })
        .await?;
    operator.ready().await?;
    control_plane.apply(WEB, namespace).await?;
    eventually(DEADLINE, "the App to be Ready", || async {
        let app = control_plane.get(MOORAGE, "App", namespace, "web").await?;
        let app = serde_json::to_value(app)?;
        ensure!(is_true(&app, "Ready"), "its status is {}", app["status"]);
        Ok(Some(()))
    })
    .await?;
    let account = format!("--as=system:serviceaccount:{namespace}:moorage");
    let elsewhere = ["auth", "can-i", "list", "apps.moorage.dev", "--namespace=default", &account];
    let answer = control_plane.run_kubectl(&elsewhere).await;
    ensure!(answer.is_err(), "it may look into other namespaces");
    Ok(())
}
