//! `moorage render` prints what the operator applies, byte for byte.

use crate::support::*;
use anyhow::{Context, Result, ensure};
use moorage_harness::ControlPlane;
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;

crate::cases![rendered_objects_are_the_applied_ones];

async fn rendered_objects_are_the_applied_ones(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "render").await?;
    let mark = control_plane.audit().mark()?;
    sandbox.apply(&format!("{SHOP}  monitoring: {{}}\n")).await?;
    let app = ready(&sandbox, "App", "shop").await?;
    let kinds = ["serviceaccounts", "storageclaims", "services", "deployments", "servicemonitors"];
    let ours = |resource: &str| kinds.contains(&resource);
    let applied: BTreeSet<String> = writes(&control_plane, &sandbox, mark)?
        .into_iter()
        .filter(|event| ours(&event.resource) && event.subresource.is_empty())
        .filter_map(|event| event.request_object)
        .map(without_precondition)
        .collect();
    let rendered: BTreeSet<String> = render(&app.to_string())?.lines().map(str::to_owned).collect();
    ensure!(applied.len() == kinds.len() && applied == rendered, "applied:\n{applied:#?}\nrendered:\n{rendered:#?}");
    Ok(())
}

/// The precondition is the only thing that the operator adds to what is rendered.
fn without_precondition(mut body: Value) -> String {
    if let Some(metadata) = body["metadata"].as_object_mut() {
        metadata.remove("resourceVersion");
        metadata.remove("uid");
    }
    body.to_string()
}

fn render(input: &str) -> Result<String> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_moorage"))
        .args(["render", "--filename=-", "--output=json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    child.stdin.take().context("no standard input")?.write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success());
    Ok(String::from_utf8(output.stdout)?)
}
