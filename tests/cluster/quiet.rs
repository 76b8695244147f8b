//! A converged cluster costs nothing: no request at rest, no write across a restart.

use crate::support::*;
use anyhow::{Result, ensure};
use moorage_harness::{AuditEvent, ControlPlane, Sandbox, eventually};
use std::sync::Arc;
use std::time::{Duration, Instant};

crate::cases![no_request_at_rest, no_write_across_a_restart];

/// How long "at rest" is watched.
const REST: Duration = Duration::from_secs(60);

async fn converged(control_plane: &ControlPlane, name: &str) -> Result<Sandbox> {
    let sandbox = sandbox(control_plane, name).await?;
    sandbox.apply(SHOP).await?;
    sandbox.apply(WEB).await?;
    sandbox.apply(IMAGES).await?;
    sandbox.apply(SEEN).await?;
    sandbox.apply(COUNTED).await?;
    for (kind, name) in [
        ("App", "shop"),
        ("App", "web"),
        ("App", "seen"),
        ("App", "counted"),
        ("Registry", "images"),
        ("StorageClaim", "shop-data"),
    ] {
        ready(&sandbox, kind, name).await?;
    }
    settled(control_plane, &sandbox, DEADLINE).await?;
    Ok(sandbox)
}

async fn no_request_at_rest(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = converged(&control_plane, "rest").await?;
    let (mark, since) = (control_plane.audit().mark()?, Instant::now());
    eventually(REST + DEADLINE, "a minute at rest", || {
        let over = since.elapsed() >= REST;
        async move { Ok(over.then_some(())) }
    })
    .await?;
    let events = control_plane.audit().by_user(&sandbox.user(), mark)?;
    let allowed = |event: &AuditEvent| event.verb == "watch" || (event.resource == "leases" && event.verb == "update");
    let noisy: Vec<AuditEvent> = events.into_iter().filter(|event| !allowed(event)).collect();
    ensure!(noisy.is_empty(), "requests at rest:\n{}", lines(&noisy));
    Ok(())
}

async fn no_write_across_a_restart(control_plane: Arc<ControlPlane>) -> Result<()> {
    let mut sandbox = converged(&control_plane, "restart").await?;
    let mark = control_plane.audit().mark()?;
    sandbox.operator.restart().await?;
    sandbox.operator.ready().await?;
    settled(&control_plane, &sandbox, DEADLINE).await?;
    let written = writes(&control_plane, &sandbox, mark)?;
    ensure!(written.is_empty(), "writes across a restart:\n{}", lines(&written));
    // Silence must not mean blindness: an edit is seen and repaired.
    let mark = control_plane.audit().mark()?;
    patch(&sandbox, "Service", "web", &serde_json::json!({"spec": {"selector": {"moorage.dev/app": "x"}}})).await?;
    until(&sandbox, "Service", "web", "to be repaired", |object| {
        object["spec"]["selector"]["moorage.dev/app"] == "web"
    })
    .await?;
    exactly(&control_plane, &sandbox, mark, 1, |_| true).await
}
