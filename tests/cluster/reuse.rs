//! A name that is used again belongs to the new object only.

use crate::support::*;
use anyhow::{Result, ensure};
use moorage_harness::ControlPlane;
use std::sync::Arc;

crate::cases![a_name_is_reused_at_once];

/// Deleted and created again while the old children are still there.
async fn a_name_is_reused_at_once(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "reuse").await?;
    sandbox.apply(SHOP).await?;
    let first = ready(&sandbox, "App", "shop").await?;
    let mut before = first["metadata"]["uid"].clone();
    for _ in 0..3 {
        sandbox.kubectl(&["delete", "apps.moorage.dev", "shop", "--cascade=background"]).await?;
        sandbox.apply(SHOP).await?;
        let app = ready(&sandbox, "App", "shop").await?;
        ensure!(app["metadata"]["uid"] != before, "the App is the old one");
        before = app["metadata"]["uid"].clone();
        let deployment = must_get(&sandbox, "Deployment", "shop").await?;
        ensure!(deployment["metadata"]["ownerReferences"][0]["uid"] == before, "{}", deployment["metadata"]);
    }
    Ok(())
}
