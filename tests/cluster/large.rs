//! Objects as large as the API server takes them cost the operator little memory, and others nothing.

use crate::support::*;
use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use kube::api::PostParams;
use moorage_fake::Effort;
use moorage_harness::{ControlPlane, Sandbox};
use serde_json::{Value, json};
use std::sync::Arc;

crate::cases![large_objects_harm_nobody];

/// What the manifests let the operator use, in MiB; and what of that it may take here.
const LIMIT: u64 = 128;
const MAY: u64 = LIMIT / 2;

fn app(index: usize, bytes: usize) -> Value {
    let value = "x".repeat(bytes / 256);
    let env: Vec<Value> = (0..256).map(|number| json!({"name": format!("A{number}"), "value": value})).collect();
    json!({"apiVersion": MOORAGE, "kind": "App", "metadata": {"name": format!("large-{index}")},
        "spec": {"image": "web:1", "env": env}})
}

fn config_map(index: usize, bytes: usize) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": format!("large-{index}"), "labels": {"app.kubernetes.io/managed-by": "moorage"}},
        "data": {"text": "x".repeat(bytes)}})
}

async fn make(sandbox: &Sandbox, object: Value) -> Result<()> {
    let api = api(sandbox, object["kind"].as_str().unwrap_or_default());
    api.create(&PostParams::default(), &serde_json::from_value(object)?).await?;
    Ok(())
}

/// The most memory that the process ever had, in MiB.
fn peak(sandbox: &Sandbox) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", sandbox.operator.process().pid()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? / 1024)
}

async fn large_objects_harm_nobody(control_plane: Arc<ControlPlane>) -> Result<()> {
    let (apps, config_maps) = Effort::given().of((4, 8), (10, 20), (100, 1000));
    let mut sandbox = sandbox(&control_plane, "large").await?;
    let many = (0..apps).map(|index| app(index, 1_300_000));
    let many = many.chain((0..config_maps).map(|index| config_map(index, 1_000_000)));
    stream::iter(many.map(|object| make(&sandbox, object))).buffer_unordered(4).try_collect::<Vec<_>>().await?;
    for index in 0..apps {
        let told = |object: &Value| has_reason(object, "Stalled", "TooLarge");
        until(&sandbox, "App", &format!("large-{index}"), "to be TooLarge", told).await?;
    }
    for (number, start) in ["first", "second"].into_iter().enumerate() {
        sandbox.apply(&WEB.replace("name: web", &format!("name: web-{number}"))).await?;
        ready(&sandbox, "App", &format!("web-{number}")).await?;
        let peak = peak(&sandbox)?;
        println!("{start}: {peak} MiB with {apps} Apps and {config_maps} ConfigMaps of more than 1 MB");
        ensure!(peak <= MAY, "the {start} operator had {peak} MiB");
        sandbox.operator.restart().await?;
    }
    Ok(())
}
