//! The CRDs may come after the operator, and go and come back under it; what the API server does not know of them yet is no denial.

use crate::support::*;
use anyhow::{Context, Result, ensure};
use moorage_harness::{ControlPlane, Options, eventually};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;

crate::cases![crds_come_late_go_and_come_back];

/// On a control plane of its own, as CRDs are everybody's.
async fn crds_come_late_go_and_come_back(_shared: Arc<ControlPlane>) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (crds, deploy) = (root.join("crds"), root.join("deploy"));
    let control_plane = ControlPlane::start(Options::default()).await?;
    control_plane.install(&crds, &deploy).await?;
    let paths: Vec<String> = ["apps", "storageclaims", "registries"]
        .map(|name| crds.join(format!("{name}.yaml")).display().to_string())
        .to_vec();
    let delete = |path: &String| vec!["delete".to_owned(), "-f".to_owned(), path.clone(), "--timeout=60s".to_owned()];
    for path in &paths {
        let arguments = delete(path);
        control_plane.run_kubectl(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).await?;
    }
    let operator = {
        let mut options = options();
        options.watch_namespaces = Vec::new();
        control_plane.operator(options).await?
    };
    eventually(DEADLINE, "the operator to say what is missing", || async {
        Ok(operator.logs().contains("is its CRD installed?").then_some(()))
    })
    .await?;
    control_plane.install(&crds, &deploy).await?;
    operator.ready().await?;
    let works = |round: u32| {
        let control_plane = &control_plane;
        async move {
            let name = format!("round{round}");
            control_plane.apply(&WEB.replace("name: web", &format!("name: {name}")), "default").await?;
            eventually(DEADLINE, "the App to be Ready", || async {
                let app = control_plane.get(MOORAGE, "App", "default", &name).await?;
                let app = serde_json::to_value(app)?;
                Ok(is_true(&app, "Ready").then_some(()))
            })
            .await
        }
    };
    works(1).await?;
    let mark = control_plane.audit().mark()?;
    for path in &paths {
        let arguments = delete(path);
        control_plane.run_kubectl(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).await?;
    }
    owner_is_unknown(&control_plane, &operator.user()).await?;
    control_plane.install(&crds, &deploy).await?;
    works(2).await?;
    for event in control_plane.audit().by_user(&operator.user(), mark)? {
        let written = event.request_object.map(|object| object["status"]["conditions"].to_string()).unwrap_or_default();
        ensure!(!written.contains("Denied"), "it was told as a denial: {written}");
    }
    ensure!(operator.process().exited()?.is_none(), "the operator ended");
    let tries = control_plane.audit().by_user(&operator.user(), mark)?.len();
    ensure!(tries < 500, "{tries} requests while the CRDs were gone: a hot loop");
    Ok(())
}

/// Has the admission plugin `OwnerReferencesPermissionEnforcement` look up all kinds while ours are not there: for ten seconds it refuses
/// what they own. Of an admin, who may do anything, it asks nothing.
async fn owner_is_unknown(control_plane: &ControlPlane, user: &str) -> Result<()> {
    let owner =
        json!({"apiVersion": MOORAGE, "kind": "App", "name": "none", "uid": "none", "blockOwnerDeletion": true});
    let (change, user) = (json!({"metadata": {"ownerReferences": [owner]}}).to_string(), format!("--as={user}"));
    let patch = ["patch", "serviceaccount", "default", "--type=merge", "--patch", &change, &user];
    eventually(DEADLINE, "the API server to look up all kinds", || async {
        let refused = control_plane.run_kubectl(&patch).await.err().context("what nobody knows owns something")?;
        Ok(format!("{refused:#}").contains("cannot find RESTMapping").then_some(()))
    })
    .await
}
