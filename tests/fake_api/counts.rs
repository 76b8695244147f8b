//! What an undisturbed operator asks for, exactly.

use super::scenarios::ALL;
use super::world::World;
use anyhow::{Result, ensure};
use moorage_fake::{Entry, Faults};
use serde_json::{Value, json};
use std::time::Duration;

fn is_lease(entry: &Entry) -> bool {
    entry.call.resource == "leases"
}

#[tokio::test(start_paused = true)]
async fn a_new_app_costs_a_write_per_child_and_two() -> Result<()> {
    let world = World::new();
    let mut replica = world.start("first", Faults::default()).await;
    world.rest(&mut replica).await?;
    let mark = world.work().len();
    world.server.apply(super::watches::WEB)?;
    world.rest(&mut replica).await?;
    world.expect_ready("App", "web")?;
    let work: Vec<String> = world.work().split_off(mark).iter().map(|entry| entry.call.summary()).collect();
    let expected = ["serviceaccounts", "deployments", "services", "apps/status", "apps/status"]
        .map(|kind| format!("patch {kind}"));
    ensure!(work == expected, "{work:?}");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn rest_costs_watch_renewals_and_the_lease() -> Result<()> {
    for scenario in ALL {
        let (world, _replica) = scenario.play(Faults::default()).await?;
        let mark = world.server.request_count();
        tokio::time::sleep(Duration::from_secs(600)).await;
        let requests = world.server.requests().split_off(mark);
        let others: Vec<_> = requests
            .iter()
            .filter(|entry| !is_lease(entry) && entry.call.verb != "watch")
            .map(|entry| entry.call.summary())
            .collect();
        ensure!(others.is_empty(), "{}: {others:?}", scenario.name);
        let renewals = requests.iter().filter(|entry| is_lease(entry) && entry.call.is_write()).count();
        ensure!((110..=130).contains(&renewals), "{renewals} writes of the Lease in 600 s");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_restart_writes_nothing_but_the_lease() -> Result<()> {
    for scenario in ALL {
        let (world, replica) = scenario.play(Faults::default()).await?;
        let mark = world.server.request_count();
        replica.stop().await;
        let mut next = world.start("next", Faults::default()).await;
        world.rest(&mut next).await?;
        let writes = world
            .server
            .requests()
            .split_off(mark)
            .into_iter()
            .filter(|entry| entry.call.is_write() && entry.code != Some(409) && !is_lease(entry));
        let writes: Vec<_> = writes.map(|entry| entry.call.summary()).collect();
        ensure!(writes.is_empty(), "{}: {writes:?}", scenario.name);
    }
    Ok(())
}

/// Two Apps cost twice what one does, whatever their number.
#[tokio::test(start_paused = true)]
async fn work_grows_with_the_number_of_apps_and_no_faster() -> Result<()> {
    let mut costs = Vec::new();
    for count in [1_usize, 20] {
        let world = World::new();
        let mut replica = world.start("first", Faults::default()).await;
        world.rest(&mut replica).await?;
        let mark = world.work().len();
        for index in 0..count {
            world.server.apply(&format!(
                "{{apiVersion: moorage.dev/v1alpha1, kind: App, metadata: {{name: app-{index}, namespace: default}},
                  spec: {{image: 'web:1', ports: [{{port: 80}}]}}}}"
            ))?;
        }
        world.rest(&mut replica).await?;
        costs.push(world.work().len() - mark);
    }
    ensure!(costs[1] == 20 * costs[0], "{costs:?}");
    Ok(())
}

/// The condition that everybody looks at.
fn of_ready(app: &mut Value) -> &mut Value {
    let conditions = app["status"]["conditions"].as_array_mut().unwrap();
    conditions.iter_mut().find(|condition| condition["type"] == "Ready").unwrap()
}

/// What others write in a status is theirs, and no news. What they write over ours is taken back.
#[tokio::test(start_paused = true)]
async fn a_strangers_condition_costs_no_write() -> Result<()> {
    let writes = |world: &World| world.server.count_requests(|entry| entry.call.summary() == "patch apps/status");
    let large = super::watches::WEB.replace("image:", &format!("args: [{}], image:", "x".repeat(600 << 10)));
    for (manifest, reason) in [(super::watches::WEB, "AsExpected"), (&*large, "TooLarge")] {
        let world = World::new();
        let mut replica = world.start("first", Faults::default()).await;
        world.server.apply(manifest)?;
        world.rest(&mut replica).await?;
        let edit = |change: fn(&mut Value)| world.server.edit_as("auditor", "App", "default", "web", change).map(drop);
        let before = writes(&world);
        edit(|app| {
            let audited = json!({"type": "Audited", "status": "True", "reason": "Fine", "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z"});
            if let Some(conditions) = app["status"]["conditions"].as_array_mut() {
                conditions.insert(0, audited);
            }
        })?;
        for _ in 0..5 {
            edit(|app| app["metadata"]["annotations"]["look"] = json!(app["metadata"]["resourceVersion"]))?;
            world.rest(&mut replica).await?;
        }
        drop(replica);
        replica = world.start("second", Faults::default()).await;
        world.rest(&mut replica).await?;
        ensure!(writes(&world) == before, "{reason}: {} writes\n{}", writes(&world) - before, world.summary());
        ensure!(world.condition("App", "web", "Audited").is_some(), "{reason}: the stranger's condition is gone");

        // Whatever becomes theirs of what we wrote is taken back by one write, and keeps nothing from being read.
        let theirs: [fn(&mut Value); 3] = [
            |app| of_ready(app)["reason"] = json!("Mine"),
            |app| of_ready(app)["lastTransitionTime"] = json!("2026-01-01T00:00:00Z"),
            |app| {
                if let Some(ready) = app.pointer_mut("/status/children/0/ready") {
                    *ready = json!(false);
                }
            },
        ];
        for (turn, change) in theirs.into_iter().enumerate() {
            let (writes_before, status_before) = (writes(&world), world.server.get("App", "default", "web"));
            edit(change)?;
            let is_news = world.server.get("App", "default", "web") != status_before;
            world.rest(&mut replica).await?;
            let ready = world.condition("App", "web", "Ready").unwrap_or_default();
            ensure!(ready["reason"] == reason, "{turn}: {ready}");
            let count = writes(&world) - writes_before;
            ensure!(count == usize::from(is_news), "{reason}, {turn}: {count} writes\n{}", world.summary());
        }
        ensure!(world.condition("App", "web", "Audited").is_some(), "{reason}: the stranger's condition is gone");
    }
    Ok(())
}
