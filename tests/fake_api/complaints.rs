//! What Events complain of is told of our own objects, by their UID, as long as it matters; a storm of strangers' leaves next to nothing.

use super::pods::{degraded, pod};
use super::scenarios::SHOP;
use super::world::World;
use anyhow::{Result, ensure};
use jiff::Timestamp;
use kube::runtime::watcher::Event;
use moorage::core::live::Live;
use moorage::core::plan::PlanSettings;
use moorage::shell::context::Context;
use moorage::shell::kinds::{Observable, Subject};
use moorage::shell::leader::Leadership;
use moorage::shell::metrics::Metrics;
use moorage::shell::objects::{Objects, take};
use moorage::shell::progress::Source;
use moorage::shell::scope::{Place, Scope, Watch};
use moorage::shell::watch::Intake as _;
use moorage::shell::writer::Writer;
use moorage_fake::{Fault, Faults};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

const MISSING: &str = "MountVolume.SetUp failed for volume \"db\" : secret \"db\" not found";

/// A Warning Event about an object of that UID, made twice.
fn event(name: &str, kind: &str, involved: &str, uid: &Value, (reason, message): (&str, &str)) -> Value {
    let now = Timestamp::now().to_string();
    json!({
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": name, "namespace": "default"},
        "involvedObject": {"kind": kind, "name": involved, "namespace": "default", "uid": uid},
        "type": "Warning", "reason": reason, "message": message, "count": 2, "firstTimestamp": now, "lastTimestamp": now,
    })
}

/// A pod of the shop that has a node and is to get its volumes; its UID.
fn starting(world: &World) -> Result<Value> {
    let set = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "shop-1a", "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}}}});
    let set = world.server.apply_as("test", set)?;
    let controller = json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "shop-1a", "uid": set["metadata"]["uid"], "controller": true}]);
    let mut starts = pod("shop-1a-x", &controller);
    starts["spec"]["nodeName"] = json!("node-1");
    starts["status"] = json!({"phase": "Pending", "containerStatuses": [{"name": "shop", "ready": false, "state": {"waiting": {"reason": "ContainerCreating"}}}]});
    Ok(world.server.create(starts)?["metadata"]["uid"].clone())
}

fn status_writes(world: &World) -> usize {
    world.server.count_requests(|entry| entry.call.summary() == "patch apps/status")
}

#[tokio::test(start_paused = true)]
async fn what_keeps_a_pod_from_starting_is_told_at_once_and_until_it_starts() -> Result<()> {
    let (world, mut replica) = SHOP.play(Faults::default()).await?;
    let uid = starting(&world)?;
    world.rest(&mut replica).await?;
    let since = Instant::now();
    world.server.create(event("x.1", "Pod", "shop-1a-x", &uid, ("FailedMount", MISSING)))?;
    degraded(&world, "shop", "True").await?;
    ensure!(since.elapsed() < Duration::from_secs(5), "it took {:?}", since.elapsed());
    let told = world.condition("App", "shop", "Degraded").unwrap_or_default();
    ensure!(told["reason"] == "FailedMount" && told["message"].to_string().contains("not found"), "{told}");

    // Repeated it is no news, and neither is it to another process.
    let writes = status_writes(&world);
    world.server.edit("Event", "default", "x.1", |event| event["count"] = json!(3))?;
    world.rest(&mut replica).await?;
    drop(replica);
    let mut replica = world.start("second", Faults::default()).await;
    world.rest(&mut replica).await?;
    ensure!(status_writes(&world) == writes, "{}", world.summary());

    world.server.edit("Pod", "default", "shop-1a-x", |pod| {
        pod["status"]["conditions"] = json!([{"type": "PodReadyToStartContainers", "status": "True"}]);
    })?;
    degraded(&world, "shop", "False").await
}

/// A pod of the same name, and one of ours of which somebody else's Event speaks, have nothing to do with it; nor has one of several
/// Events that ends with the others.
#[tokio::test(start_paused = true)]
async fn only_what_is_said_of_this_very_object_counts() -> Result<()> {
    let (world, mut replica) = SHOP.play(Faults::default()).await?;
    let uid = starting(&world)?;
    world.rest(&mut replica).await?;
    let before = world.cost();
    for (name, kind, uid, reason) in [
        ("x.0", "Pod", &json!("another"), "FailedMount"),
        ("x.1", "Pod", &Value::Null, "FailedMount"),
        ("x.2", "Node", &uid, "FailedMount"),
        ("x.3", "Pod", &uid, "SomethingElse"),
    ] {
        world.server.create(event(name, kind, "shop-1a-x", uid, (reason, MISSING)))?;
    }
    world.rest(&mut replica).await?;
    degraded(&world, "shop", "False").await?;
    ensure!(world.cost() == before, "{}", world.summary());
    for (name, message) in [("x.4", "no secret"), ("x.5", "no configmap")] {
        world.server.create(event(name, "Pod", "shop-1a-x", &uid, ("FailedMount", message)))?;
    }
    degraded(&world, "shop", "True").await?;
    world.server.delete("Event", "default", "x.4")?;
    world.rest(&mut replica).await?;
    let told = world.condition("App", "shop", "Degraded").unwrap_or_default();
    ensure!(told["message"].to_string().contains("no configmap"), "{told}");
    world.server.delete("Event", "default", "x.5")?;
    degraded(&world, "shop", "False").await
}

/// A volume claim that is made anew inherits no complaint; of two, the end of one leaves the other.
#[tokio::test(start_paused = true)]
async fn a_new_volume_claim_inherits_no_complaint() -> Result<()> {
    let world = World::new();
    let mut replica = world.start("first", Faults::on("", "storageclasses", Fault::Status(403))).await;
    world.server.apply("{apiVersion: moorage.dev/v1alpha1, kind: StorageClaim, metadata: {name: tape, namespace: default}, spec: {size: 1Gi, storageClassName: tape}}")?;
    world.rest(&mut replica).await?;
    let uid = |world: &World| {
        world.server.get("PersistentVolumeClaim", "default", "tape").unwrap_or_default()["metadata"]["uid"].clone()
    };
    let former = uid(&world);
    world.server.create(event(
        "tape.1",
        "PersistentVolumeClaim",
        "tape",
        &former,
        ("ProvisioningFailed", "the robot is stuck"),
    ))?;
    world.rest(&mut replica).await?;
    let ready = || world.condition("StorageClaim", "tape", "Ready").unwrap_or_default().to_string();
    ensure!(ready().contains("the robot is stuck"), "{}", ready());
    let again = event("tape.2", "PersistentVolumeClaim", "tape", &former, ("ProvisioningFailed", "no tape is left"));
    world.server.create(again)?;
    world.rest(&mut replica).await?;
    world.server.delete("Event", "default", "tape.2")?;
    world.rest(&mut replica).await?;
    ensure!(ready().contains("the robot is stuck"), "one that ends leaves the other: {}", ready());
    world.server.delete("PersistentVolumeClaim", "default", "tape")?;
    world.rest(&mut replica).await?;
    ensure!(uid(&world) != former && !ready().contains("the robot is stuck"), "{}", ready());
    Ok(())
}

/// Without the right to see Events the status says less, and nothing else changes; with it, it is told.
#[tokio::test(start_paused = true)]
async fn without_the_right_to_events_less_is_told() -> Result<()> {
    let (world, mut replica) = SHOP.play(Faults::on("", "events", Fault::Status(403))).await?;
    let uid = starting(&world)?;
    world.server.create(event("x.1", "Pod", "shop-1a-x", &uid, ("FailedMount", MISSING)))?;
    world.rest(&mut replica).await?;
    degraded(&world, "shop", "False").await?;
    replica.endpoint.set_faults(Faults::default());
    degraded(&world, "shop", "True").await?;
    replica.endpoint.set_faults(Faults::on("", "events", Fault::Status(403)));
    world.server.break_watches();
    world.server.compact();
    degraded(&world, "shop", "False").await
}

/// A storm of strangers' Events costs no request, and at most a few of them are remembered, whether they are listed or watched.
#[tokio::test(start_paused = true)]
async fn a_storm_of_strangers_costs_no_request_and_leaves_next_to_nothing() -> Result<()> {
    let (world, mut replica) = SHOP.play(Faults::default()).await?;
    let uid = starting(&world)?;
    world.server.create(event("x.1", "Pod", "shop-1a-x", &uid, ("FailedMount", MISSING)))?;
    world.rest(&mut replica).await?;
    let before = world.cost();
    let strange = |index: usize| {
        event(&format!("storm.{index}"), "Pod", "shop-1a-y", &json!(index.to_string()), ("FailedMount", MISSING))
    };
    for index in 0..1_000 {
        world.server.create(strange(index))?;
    }
    world.rest(&mut replica).await?;
    ensure!(world.cost() == before, "{}", world.summary());
    let told = world.condition("App", "shop", "Degraded").unwrap_or_default();
    ensure!(told["message"].to_string().contains("pod shop-1a-x"), "{told}");

    let context = context(&world);
    take(
        &context,
        Subject::Observed(Observable::Pod),
        Live::new(world.server.get("Pod", "default", "shop-1a-x").unwrap()),
        Source::List,
    );
    let mut events = Objects::new(
        context.clone(),
        Watch { place: Place::Everywhere, subject: Subject::Observed(Observable::Event) },
    );
    events.take(Event::Init);
    for index in 0..1_000 {
        events.take(Event::InitApply(Live::new(strange(index))));
    }
    events.take(Event::InitApply(Live::new(event("x.1", "Pod", "shop-1a-x", &uid, ("FailedMount", MISSING)))));
    ensure!(events.remembered() == 1, "{} are remembered", events.remembered());
    events.take(Event::InitDone);
    for index in 0..1_000 {
        events.take(Event::Apply(Live::new(strange(index))));
    }
    let count = context.caches().troubles.complaints.count();
    ensure!(count < 100, "{count} complaints");
    Ok(())
}

fn context(world: &World) -> Context {
    let client = world.server.connect("paper").client();
    let writer = Writer::new(client, Leadership::never(), None);
    Context::new(writer, PlanSettings::default(), Scope::default(), 4, Metrics::new())
}
