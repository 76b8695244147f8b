//! Watches break, expire, are refused and come back; nothing that happened meanwhile is missed.

use super::scenarios::SHOP;
use super::world::{Replica, World, is_lease};
use anyhow::{Result, ensure};
use moorage_fake::{Call, Fault, Faults};
use serde_json::json;
use std::time::Duration;

/// An App with a Service.
pub const WEB: &str = "{apiVersion: moorage.dev/v1alpha1, kind: App, metadata: {name: web, namespace: default},
    spec: {image: 'web:1', ports: [{port: 80}]}}";

fn is_read(call: &Call) -> bool {
    matches!(call.verb.as_str(), "watch" | "list")
}

fn refuse(replica: &Replica, which: fn(&Call) -> bool) {
    replica.endpoint.set_faults(Faults::new(move |call| if which(call) { Fault::Status(503) } else { Fault::None }));
}

/// What changed while no watch was open is repaired, also when history is gone and everything is listed again.
#[tokio::test(start_paused = true)]
async fn what_happened_during_an_outage_is_repaired() -> Result<()> {
    for compacted in [false, true] {
        let (world, mut replica) = SHOP.play(Faults::default()).await?;
        let before = world.server.snapshot();
        refuse(&replica, is_read);
        world.server.break_watches();
        world.server.delete("Deployment", "default", "shop")?;
        world.server.edit_as("kubectl", "Service", "default", "shop", |service| {
            service["spec"]["selector"] = json!({"moorage.dev/app": "other"});
        })?;
        if compacted {
            world.server.compact();
        }
        world.rest(&mut replica).await?;
        replica.endpoint.set_faults(Faults::default());
        world.rest(&mut replica).await?;
        world.expect_ready("App", "shop")?;
        let after = world.server.snapshot();
        ensure!(after == before, "compacted {compacted}: {}", super::world::difference(&before, &after));
    }
    Ok(())
}

/// An App that was deleted while nobody watched is forgotten, and the collector is not fought meanwhile.
#[tokio::test(start_paused = true)]
async fn a_deletion_that_no_watch_told_is_noticed() -> Result<()> {
    let (world, mut replica) = SHOP.play(Faults::default()).await?;
    refuse(&replica, |call| is_read(call) && call.resource == "apps");
    world.server.break_watches();
    world.server.delete("App", "default", "shop")?;
    world.server.compact();
    world.rest(&mut replica).await?;
    replica.endpoint.set_faults(Faults::default());
    world.rest(&mut replica).await?;
    for kind in ["App", "Deployment", "Service", "ServiceAccount"] {
        ensure!(world.server.get(kind, "default", "shop").is_none(), "{kind} shop is there");
    }
    ensure!(world.server.get("PersistentVolumeClaim", "default", "shop-data").is_some(), "the data is gone");
    Ok(())
}

/// Without the right to see what it can do without, everything else works.
#[tokio::test(start_paused = true)]
async fn a_refused_optional_kind_delays_nothing() -> Result<()> {
    for resource in ["secrets", "storageclasses", "events"] {
        let world = World::new();
        let mut replica = world.start("first", Faults::on("", resource, Fault::Status(403))).await;
        world.server.apply(WEB)?;
        world.rest(&mut replica).await?;
        world.expect_ready("App", "web")?;
    }
    Ok(())
}

/// The right to publish Events is optional, and used once in ten minutes where it is not given.
#[tokio::test(start_paused = true)]
async fn refused_events_are_not_tried_again_and_again() -> Result<()> {
    let world = World::new();
    let is_event = |call: &Call| call.resource == "events" && call.is_write();
    let faults = Faults::new(move |call| if is_event(call) { Fault::Status(403) } else { Fault::None });
    let mut replica = world.start("first", faults).await;
    world.server.apply(WEB)?;
    for port in 1..4 {
        world.rest(&mut replica).await?;
        world.server.edit_as("kubectl", "Service", "default", "web", |service| {
            service["spec"]["selector"] = json!({"moorage.dev/app": format!("other-{port}")});
        })?;
    }
    world.rest(&mut replica).await?;
    world.expect_ready("App", "web")?;
    let tried = world.server.count_requests(|entry| is_event(&entry.call));
    ensure!(tried == 1, "{tried} tries\n{}", world.summary());
    Ok(())
}

/// Without a kind that it can't do without the operator does nothing, says which, and goes on when it may.
#[tokio::test(start_paused = true)]
async fn a_refused_required_kind_is_told_and_waited_for() -> Result<()> {
    let world = World::new();
    let mut replica = world.start("first", Faults::on("", "services", Fault::Status(403))).await;
    world.server.apply(WEB)?;
    world.rest(&mut replica).await?;
    ensure!(world.server.get("Deployment", "default", "web").is_none(), "it works on what it can't see");
    let missing = replica.health.sight().missing.join(", ");
    ensure!(missing.contains("services"), "/readyz says: {missing}");
    replica.endpoint.set_faults(Faults::default());
    world.rest(&mut replica).await?;
    world.expect_ready("App", "web")
}

/// A watch that stays silent does not mislead: what the operator wrote itself it knows.
#[tokio::test(start_paused = true)]
async fn a_silent_watch_causes_no_second_write() -> Result<()> {
    let world = World::new();
    let mut replica = world.start("first", Faults::default()).await;
    world.rest(&mut replica).await?;
    for plural in ["deployments", "services", "serviceaccounts"] {
        world.server.freeze(plural);
    }
    world.server.apply(WEB)?;
    world.rest(&mut replica).await?;
    let applies =
        |kind: &str| world.work().iter().filter(|entry| entry.call.summary() == format!("patch {kind}")).count();
    for plural in ["deployments", "services", "serviceaccounts"] {
        ensure!(applies(plural) == 1, "{} applies of {plural}\n{}", applies(plural), world.summary());
        world.server.thaw(plural);
    }
    world.rest(&mut replica).await?;
    world.expect_ready("App", "web")
}

/// A right that is missing for a moment, as when the API server has just started, leaves nothing forgotten behind.
#[tokio::test(start_paused = true)]
async fn a_right_that_comes_back_brings_everything_back() -> Result<()> {
    let world = World::new();
    let mut replica = world.start("first", Faults::default()).await;
    world.rest(&mut replica).await?;
    let optional = |call: &Call| matches!(call.resource.as_str(), "storageclasses" | "secrets");
    replica.endpoint.set_faults(Faults::new(move |call| if optional(call) { Fault::Status(403) } else { Fault::None }));
    world.server.break_watches();
    tokio::time::sleep(Duration::from_secs(5)).await;
    replica.endpoint.set_faults(Faults::default());
    tokio::time::sleep(Duration::from_secs(75)).await;
    // One class moves; the others must be known as well.
    world.server.apply("{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: new}, provisioner: x}")?;
    world.server.apply(
        "{apiVersion: moorage.dev/v1alpha1, kind: StorageClaim, metadata: {name: data, namespace: default},
          spec: {size: 1Gi, storageClassName: standard}}",
    )?;
    world.server.apply(
        "{apiVersion: moorage.dev/v1alpha1, kind: Registry, metadata: {name: images, namespace: default},
          spec: {replicas: 2, storage: {volume: {size: 1Gi, accessModes: [ReadWriteMany]}}}}",
    )?;
    world.rest(&mut replica).await?;
    world.expect_ready("StorageClaim", "data")?;
    world.expect_ready("Registry", "images")
}

/// A predecessor that is waited for, and whose end no event tells, is looked at within a minute.
#[tokio::test(start_paused = true)]
async fn what_is_waited_for_is_looked_at_within_a_minute() -> Result<()> {
    for (kind, plural) in
        [("ServiceAccount", "serviceaccounts"), ("Deployment", "deployments"), ("Service", "services")]
    {
        let world = World::new();
        let mut replica = world.start("first", Faults::default()).await;
        world.server.apply(WEB)?;
        world.rest(&mut replica).await?;
        let hold = |on: bool| {
            world.server.edit(kind, "default", "web", |object| {
                object["metadata"]["finalizers"] = if on { json!(["example.com/slow"]) } else { json!([]) };
            })
        };
        hold(true)?;
        world.server.delete(kind, "default", "web")?;
        tokio::time::sleep(Duration::from_secs(120)).await;
        let ready = world.condition("App", "web", "Ready").unwrap_or_default();
        ensure!(ready["reason"] == "WaitingForDeletion", "{kind}: {ready}");
        world.server.freeze(plural);
        hold(false)?;
        world.server.lose(plural);
        tokio::time::sleep(Duration::from_secs(61)).await;
        ensure!(world.has(kind, "web"), "the {kind} did not come back\n{}", world.summary());
        world.rest(&mut replica).await?;
        world.expect_ready("App", "web")?;
    }
    Ok(())
}

/// What no event told is found within hours, and as long as nothing differs that costs no write.
#[tokio::test(start_paused = true)]
async fn what_was_lost_is_found_by_the_next_full_list() -> Result<()> {
    const HOURS: Duration = Duration::from_secs(6 * 3600);
    let (world, mut replica) = SHOP.play(Faults::default()).await?;
    let writes = || {
        world
            .server
            .count_requests(|entry| entry.call.client == "first" && entry.call.is_write() && !is_lease(&entry.call))
    };
    let before = writes();
    tokio::time::sleep(HOURS).await;
    ensure!(writes() == before, "{} writes at rest\n{}", writes() - before, world.summary());
    for (kind, plural) in [("Deployment", "deployments"), ("Service", "services"), ("StorageClaim", "storageclaims")] {
        world.server.freeze(plural);
        world.server.delete_with(
            kind,
            "default",
            if kind == "StorageClaim" { "shop-data" } else { "shop" },
            "Background",
        )?;
        world.server.lose(plural);
    }
    tokio::time::sleep(HOURS).await;
    world.rest(&mut replica).await?;
    for (kind, name) in [("Deployment", "shop"), ("Service", "shop"), ("StorageClaim", "shop-data")] {
        ensure!(world.has(kind, name), "the {kind} did not come back");
    }
    world.expect_ready("App", "shop")
}

/// What `--cascade=orphan` leaves is left, also by an operator that has not heard yet that its App is gone.
#[tokio::test(start_paused = true)]
async fn an_orphan_is_not_claimed_for_an_app_that_is_gone() -> Result<()> {
    let (world, mut replica) = SHOP.play(Faults::default()).await?;
    let uid = |kind: &str| world.server.get(kind, "default", "shop").map(|object| object["metadata"]["uid"].clone());
    let before = ["Deployment", "Service", "ServiceAccount"].map(|kind| (kind, uid(kind)));
    world.server.freeze("apps");
    world.server.delete_with("App", "default", "shop", "Orphan")?;
    world.rest(&mut replica).await?;
    for (kind, uid_before) in &before {
        ensure!(uid(kind) == *uid_before, "the {kind} is gone\n{}", world.summary());
    }
    world.server.thaw("apps");
    world.rest(&mut replica).await?;
    for (kind, uid_before) in &before {
        ensure!(uid(kind) == *uid_before, "the {kind} is gone\n{}", world.summary());
    }
    ensure!(!world.has("App", "shop"), "the App is there");
    Ok(())
}

/// A spec of a newer version is told as what it is, and read once it can be.
#[tokio::test(start_paused = true)]
async fn a_spec_that_cannot_be_read_is_told() -> Result<()> {
    let world = World::new();
    let mut replica = world.start("first", Faults::default()).await;
    world.server.apply(&WEB.replace("image:", "fromTheFuture: 1, image:"))?;
    world.rest(&mut replica).await?;
    let stalled = world.condition("App", "web", "Stalled").unwrap_or_default();
    ensure!(stalled["reason"] == "InvalidSpec", "{stalled}");
    ensure!(stalled["message"].as_str().is_some_and(|text| text.contains("fromTheFuture")), "{stalled}");
    world.server.apply(WEB)?;
    world.rest(&mut replica).await?;
    world.expect_ready("App", "web")
}
