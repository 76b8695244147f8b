//! N Apps cost N times what one costs: counted in requests.

use crate::support::*;
use anyhow::{Result, ensure};
use kube::api::ListParams;
use moorage_harness::{ControlPlane, eventually};
use std::sync::Arc;
use std::time::Duration;

crate::cases![five_hundred_apps_at_once];

const COUNT: usize = 500;

async fn five_hundred_apps_at_once(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "many").await?;
    let mark = control_plane.audit().mark()?;
    let apps: Vec<String> = (0..COUNT).map(|index| WEB.replace("name: web", &format!("name: web-{index}"))).collect();
    let file = sandbox.work_dir().join("many.yaml");
    std::fs::write(&file, apps.join("---"))?;
    sandbox.kubectl(&["create", "-f", &file.display().to_string()]).await?;
    eventually(Duration::from_secs(300), "500 Apps to be Ready", || async {
        let apps = api(&sandbox, "App").list(&ListParams::default()).await?;
        let ready = apps
            .items
            .iter()
            .filter_map(|app| serde_json::to_value(app).ok())
            .filter(|app| is_true(app, "Ready"))
            .count();
        ensure!(ready == COUNT, "{ready} are Ready");
        Ok(Some(()))
    })
    .await?;
    exactly(&control_plane, &sandbox, mark, 3 * COUNT, |event| event.subresource.is_empty()).await?;
    exactly(&control_plane, &sandbox, mark, 2 * COUNT, |event| event.subresource == "status").await?;
    let reads = control_plane.audit().by_user(&sandbox.user(), mark)?;
    let reads: Vec<_> = reads.into_iter().filter(|event| matches!(event.verb.as_str(), "get" | "list")).collect();
    ensure!(reads.is_empty(), "reads beside the watches:\n{}", lines(&reads));
    sandbox.kubectl(&["delete", "apps.moorage.dev", "--all", "--wait=false"]).await?;
    Ok(())
}
