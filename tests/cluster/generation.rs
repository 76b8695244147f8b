//! A status never speaks of a generation whose children are not applied.

use crate::support::*;
use anyhow::{Result, ensure};
use moorage_harness::{AuditEvent, ControlPlane};
use serde_json::json;
use std::sync::Arc;

crate::cases![observed_generation_is_never_ahead];

async fn observed_generation_is_never_ahead(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "generation").await?;
    let mark = control_plane.audit().mark()?;
    sandbox.apply(WEB).await?;
    for version in 2..8 {
        let image = format!("registry.example.com/team/web:{version}");
        patch(&sandbox, "App", "web", &json!({"spec": {"image": image}})).await?;
    }
    ready(&sandbox, "App", "web").await?;
    let mut applied = String::new();
    for event in writes(&control_plane, &sandbox, mark)? {
        if event.resource == "deployments" {
            applied = image(&event);
        } else if event.subresource == "status" {
            let told = event.request_object.as_ref().map(|body| body["status"]["observedGeneration"].clone());
            let generation = told.and_then(|told| told.as_i64()).unwrap_or(0);
            ensure!(applied.ends_with(&format!(":{generation}")), "generation {generation} was told after {applied}");
        }
    }
    Ok(())
}

fn image(event: &AuditEvent) -> String {
    let template =
        event.request_object.as_ref().map(|body| body["spec"]["template"]["spec"]["containers"][0]["image"].clone());
    template.and_then(|image| image.as_str().map(str::to_owned)).unwrap_or_default()
}
