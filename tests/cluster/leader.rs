//! Two replicas, one leader: handed over at once on SIGTERM, taken over after the lease duration on a kill.

use crate::support::*;
use anyhow::{Result, ensure};
use moorage_harness::{ControlPlane, Operator, OperatorOptions, Sandbox, eventually};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};

crate::cases![a_stopped_leader_hands_over, a_killed_leader_is_replaced, a_frozen_leader_does_not_act];

async fn second(control_plane: &ControlPlane, sandbox: &Sandbox) -> Result<Operator> {
    let options = OperatorOptions {
        name: "second".to_owned(),
        watch_namespaces: vec![sandbox.namespace.clone()],
        operator_namespace: sandbox.namespace.clone(),
        ..options()
    };
    let second = control_plane.operator(options).await?;
    second.ready().await?;
    Ok(second)
}

async fn leads(operator: &Operator) -> Result<bool> {
    Ok(operator.metrics().await?.lines().any(|line| line == "moorage_leader 1"))
}

async fn until_leading(operator: &Operator) -> Result<Duration> {
    let since = Instant::now();
    eventually(DEADLINE, "the replica to lead", || async { Ok(leads(operator).await?.then(|| since.elapsed())) }).await
}

async fn a_stopped_leader_hands_over(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "handover").await?;
    until_leading(&sandbox.operator).await?;
    let second = second(&control_plane, &sandbox).await?;
    ensure!(!leads(&second).await?, "two leaders");
    sandbox.apply(WEB).await?;
    sandbox.operator.stop().await?;
    let took = until_leading(&second).await?;
    ensure!(took <= Duration::from_secs(2), "the hand-over took {took:?}");
    ready(&sandbox, "App", "web").await?;
    Ok(())
}

async fn a_killed_leader_is_replaced(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "takeover").await?;
    until_leading(&sandbox.operator).await?;
    let second = second(&control_plane, &sandbox).await?;
    sandbox.operator.kill();
    sandbox.apply(WEB).await?;
    let took = until_leading(&second).await?;
    ensure!(took <= Duration::from_secs(17), "the takeover took {took:?}");
    ready(&sandbox, "App", "web").await?;
    Ok(())
}

/// Stopped past its lease and resumed, the old leader finds that it no longer leads and writes nothing.
async fn a_frozen_leader_does_not_act(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "zombie").await?;
    until_leading(&sandbox.operator).await?;
    sandbox.apply(WEB).await?;
    ready(&sandbox, "App", "web").await?;
    let second = second(&control_plane, &sandbox).await?;
    sandbox.operator.process().freeze()?;
    until_leading(&second).await?;
    let mark = control_plane.audit().mark()?;
    sandbox.operator.process().thaw()?;
    patch(&sandbox, "Service", "web", &json!({"spec": {"selector": {"moorage.dev/app": "x"}}})).await?;
    until(&sandbox, "Service", "web", "to be repaired", |object| {
        object["spec"]["selector"]["moorage.dev/app"] == "web"
    })
    .await?;
    exactly(&control_plane, &sandbox, mark, 1, |_| true).await?;
    ensure!(!leads(&sandbox.operator).await? && leads(&second).await?);
    Ok(())
}
