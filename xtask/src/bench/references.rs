//! What it costs that Apps read configuration of others' making, in a namespace full of Secrets that nobody refers to.

use std::fs;

use anyhow::Result;
use moorage_harness::{ControlPlane, Operator, build::workspace};
use serde_json::{Value, json};

use super::{
    Figures, counts,
    load::{self, NAMESPACE, name},
    measure::Usage,
};

/// Secrets that nobody refers to.
const FOREIGN: usize = 30_000;

/// An App that reads a `ConfigMap` and a Secret of its own.
fn app(index: usize) -> Value {
    let mut app = load::app(index);
    let name = name(index);
    app["spec"]["envFrom"] = json!([{"configMapRef": {"name": name}}, {"secretRef": {"name": name}}]);
    app
}

fn holder(kind: &str, name: &str, field: &str, value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": NAMESPACE}, field: {"CONTENT": value}})
}

/// Makes what is read, the foreign Secrets, and the binding by which the operator sees them.
pub async fn prepare(rig: &ControlPlane, count: usize) -> Result<()> {
    let binding = fs::read_to_string(workspace().join("deploy/components/config-secrets/binding.yaml"))?;
    rig.apply(&binding, NAMESPACE).await?;
    let content = "x".repeat(1024);
    let foreign = (0..FOREIGN).map(|index| holder("Secret", &format!("foreign-{index:05}"), "stringData", &content));
    let read = ["ConfigMap", "Secret"].into_iter().flat_map(|kind| {
        let field = if kind == "Secret" { "stringData" } else { "data" };
        let content = &content;
        (0..count).map(move |index| holder(kind, &name(index), field, content))
    });
    load::apply_all(rig, foreign.chain(read)).await
}

/// Apps that read them, and a change of each `ConfigMap`.
pub async fn run(rig: &ControlPlane, operator: &Operator, count: usize, figures: &mut Figures) -> Result<()> {
    figures.add("foreign Secrets of 1 KiB", FOREIGN);
    let mark = rig.audit().mark()?;
    let ready = load::ready(rig.client(), count, 1);
    load::apply_all(rig, (0..count).map(app)).await?;
    ready.await??;
    counts(rig, operator, mark, count, "with configuration", figures).await?;
    figures.add("with configuration: peak RSS, MiB", Usage::of(operator)?.peak_mib);

    let mark = rig.audit().mark()?;
    let rolled_out = load::restarts(rig.client(), count);
    load::apply_all(rig, (0..count).map(|index| holder("ConfigMap", &name(index), "data", "another"))).await?;
    rolled_out.await??;
    counts(rig, operator, mark, count, "ConfigMap change on all", figures).await?;
    Ok(())
}
