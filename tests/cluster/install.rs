//! What is in `deploy/` installs as it stands.

use crate::support::*;
use anyhow::{Result, ensure};
use moorage_harness::{ControlPlane, OperatorOptions, build::workspace, eventually};
use serde_json::json;
use std::process::Command;
use std::sync::Arc;

crate::cases![the_kustomize_base_is_the_manifest, some_namespaces_need_nothing_outside];

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

/// What `moorage manifests` prints for these namespaces, for an operator that lives in `own`. The CRDs and the fence, which belong to
/// the cluster, are there already.
pub fn printed(own: &str, watched: &[&str]) -> Result<String> {
    let flags = watched.iter().flat_map(|namespace| ["--watch-namespace", namespace]);
    let output = Command::new(options().binary).arg("manifests").args(flags).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?.replace("moorage-system", own);
    let there = ["CustomResourceDefinition", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"];
    let is_there = |object: &&str| there.iter().any(|kind| object.contains(&format!("\nkind: {kind}\n")));
    Ok(text.split("---\n").filter(|object| !is_there(object)).collect::<Vec<_>>().join("---\n"))
}

/// Installed into a namespace of its own and bound in two others, the operator works in these and nowhere else, also if one is
/// bound late. Nobody in them has its rights, and so no pod that a user makes there.
async fn some_namespaces_need_nothing_outside(control_plane: Arc<ControlPlane>) -> Result<()> {
    const OWN: &str = "no-cluster-role";
    let (watched, other) = (["no-cluster-role-shop", "no-cluster-role-blog"], "no-cluster-role-other");
    for namespace in [OWN, other].into_iter().chain(watched) {
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        control_plane.apply_object(object, "").await?;
    }
    control_plane.apply(&printed(OWN, &watched)?, "").await?;
    let late = ["delete", "rolebindings", "--all", "--namespace", watched[1]];
    control_plane.run_kubectl(&late).await?;
    let watch_namespaces = watched.map(str::to_owned).to_vec();
    let operator = control_plane
        .operator(OperatorOptions { watch_namespaces, operator_namespace: OWN.to_owned(), ..options() })
        .await?;
    operator.ready().await?;
    for namespace in [other].into_iter().chain(watched) {
        control_plane.apply(WEB, namespace).await?;
    }
    is_ready(&control_plane, watched[0]).await?;
    let metrics = operator.metrics().await?;
    ensure!(metrics.contains("moorage_unseen_namespaces 1\n"), "{metrics}");
    let tenant = std::fs::read_to_string(workspace().join("deploy/namespaced/tenant.yaml"))?;
    control_plane.apply(&tenant.replace("moorage-system", OWN), watched[1]).await?;
    is_ready(&control_plane, watched[1]).await?;
    let untouched = control_plane.get(MOORAGE, "App", other, "web").await?;
    ensure!(
        untouched.is_some_and(|app| app.data["status"]["conditions"].is_null()),
        "it works where it does not watch"
    );
    let operator = format!("system:serviceaccount:{OWN}:moorage");
    for namespace in [other, "default", OWN] {
        ensure!(!may(&control_plane, &operator, &["list", "apps.moorage.dev"], namespace).await, "{namespace}");
        ensure!(!may(&control_plane, &operator, &["patch", "deployments.apps"], namespace).await, "{namespace}");
    }
    for namespace in watched {
        ensure!(may(&control_plane, &operator, &["patch", "deployments.apps"], namespace).await, "{namespace}");
        let accounts = ["get", "serviceaccounts", "--namespace", namespace, "--output=name"];
        let accounts = control_plane.run_kubectl(&accounts).await?;
        ensure!(accounts.contains("serviceaccount/web"), "{accounts}");
        for account in accounts.lines().filter_map(|line| line.strip_prefix("serviceaccount/")) {
            let tenant = format!("system:serviceaccount:{namespace}:{account}");
            for right in [["patch", "deployments.apps"], ["list", "apps.moorage.dev"], ["get", "secrets"]] {
                ensure!(!may(&control_plane, &tenant, &right, namespace).await, "{tenant} may {right:?}");
            }
        }
    }
    Ok(())
}

/// Whether an account may do that there.
async fn may(control_plane: &ControlPlane, account: &str, right: &[&str; 2], namespace: &str) -> bool {
    let ask = ["auth", "can-i", right[0], right[1], "--namespace", namespace, "--as", account];
    control_plane.run_kubectl(&ask).await.is_ok()
}

async fn is_ready(control_plane: &ControlPlane, namespace: &str) -> Result<()> {
    eventually(DEADLINE, "the App to be Ready", || async {
        let app = control_plane.get(MOORAGE, "App", namespace, "web").await?;
        let app = serde_json::to_value(app)?;
        ensure!(is_true(&app, "Ready"), "its status in {namespace} is {}", app["status"]);
        Ok(Some(()))
    })
    .await
}
