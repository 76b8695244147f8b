//! N Apps cost N times what one costs: counted in requests.

use crate::support::*;
use anyhow::{Context, Result, ensure};
use futures::TryStreamExt;
use jiff::Timestamp;
use kube::runtime::{WatchStreamExt, watcher};
use moorage::shell::kinds::{Row, optional};
use moorage::shell::reported::GATHERING;
use moorage_harness::{AuditEvent, ControlPlane, Sandbox, eventually};
use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

crate::cases![five_hundred_apps_at_once];

const COUNT: usize = 500;

async fn five_hundred_apps_at_once(control_plane: Arc<ControlPlane>) -> Result<()> {
    let start = control_plane.audit().mark()?;
    let sandbox = sandbox(&control_plane, "many").await?;
    // What is optional is listed a moment after the operator is ready.
    eventually(DEADLINE, "what is optional to be listed", || async {
        let events = control_plane.audit().by_user(&sandbox.user(), start)?;
        let is_listed = |row: &Row| events.iter().any(|event| event.verb == "list" && event.resource == row.plural);
        Ok(optional().all(is_listed).then_some(()))
    })
    .await?;
    let mark = control_plane.audit().mark()?;
    let apps: Vec<String> = (0..COUNT).map(|index| WEB.replace("name: web", &format!("name: web-{index}"))).collect();
    let file = sandbox.work_dir().join("many.yaml");
    std::fs::write(&file, apps.join("---"))?;
    sandbox.kubectl(&["create", "-f", &file.display().to_string()]).await?;
    tokio::time::timeout(Duration::from_secs(300), all_ready(&sandbox)).await.context("waiting for 500 Apps")??;
    exactly(&control_plane, &sandbox, mark, 3 * COUNT, |event| event.subresource.is_empty()).await?;
    statuses_are_gathered(&writes(&control_plane, &sandbox, mark)?)?;
    let reads = control_plane.audit().by_user(&sandbox.user(), mark)?;
    let reads: Vec<_> = reads.into_iter().filter(|event| matches!(event.verb.as_str(), "get" | "list")).collect();
    ensure!(reads.is_empty(), "reads beside the watches:\n{}", lines(&reads));
    sandbox.kubectl(&["delete", "apps.moorage.dev", "--all", "--wait=false"]).await?;
    Ok(())
}

/// Waits by a watch: to list them all again and again would be most of the load.
async fn all_ready(sandbox: &Sandbox) -> Result<()> {
    let mut ready = BTreeSet::new();
    let mut seen = pin!(watcher(api(sandbox, "App"), watcher::Config::default()).applied_objects());
    while ready.len() < COUNT {
        let app = serde_json::to_value(seen.try_next().await?.context("the watch ended")?)?;
        let name = app["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        if is_true(&app, "Ready") {
            ready.insert(name);
        } else {
            ready.remove(&name);
        }
    }
    Ok(())
}

/// Two status writes per App, "Progressing" and "Ready", or one where its pods are ready by the time its last object is
/// applied; a rollout that takes longer is told of in between, no more often
/// than small news are gathered for.
fn statuses_are_gathered(events: &[AuditEvent]) -> Result<()> {
    let mut times: BTreeMap<&str, Vec<Timestamp>> = BTreeMap::new();
    for event in events.iter().filter(|event| event.subresource == "status") {
        times.entry(&event.name).or_default().push(event.received.parse()?);
    }
    ensure!(times.len() == COUNT, "{} Apps have a status", times.len());
    for (name, times) in times {
        let (first, last) = (times[0], times[times.len() - 1]);
        let between = last.duration_since(first).as_secs().unsigned_abs() / GATHERING.as_secs();
        let count = u64::try_from(times.len())?;
        ensure!((1..=2 + between).contains(&count), "{name} had {count} status writes from {first} to {last}");
    }
    Ok(())
}
