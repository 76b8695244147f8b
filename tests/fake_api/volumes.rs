//! What becomes of data is told while it can still be kept, and once it is gone.

use super::scenarios::{SHOP, adopt_volume, consent, create_volume};
use super::world::World;
use anyhow::{Context, Result, ensure};
use moorage_fake::{Call, Fault, Faults};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

/// The Events of that reason about an object of ours.
pub fn events(world: &World, reason: &str, name: &str) -> Vec<Value> {
    let events = world.server.list("events.events.k8s.io").into_iter();
    events.filter(|event| event["reason"] == reason && event["regarding"]["name"] == name).collect()
}

/// The only Event of that reason, which is of that type and says these words.
fn told_once(world: &World, (reason, name): (&str, &str), type_: &str, words: &[&str]) -> Result<()> {
    let events = events(world, reason, name);
    let [event] = events.as_slice() else { anyhow::bail!("{} Events {reason} about {name}", events.len()) };
    let note = event["note"].as_str().unwrap_or_default();
    ensure!(event["type"] == type_ && event.get("series").is_none(), "{event}");
    ensure!(words.iter().all(|word| note.contains(word)), "{note}");
    Ok(())
}

fn deployment(world: &World) -> Result<Value> {
    Ok(world.server.get("Deployment", "default", "shop").context("there is no Deployment")?["spec"].clone())
}

/// Nothing that the operator does lets the data go, but what says so: no pods.
#[tokio::test(start_paused = true)]
async fn a_volume_that_is_deleted_under_its_app_is_told_and_held_until_the_app_lets_go() -> Result<()> {
    let (world, mut replica) = SHOP.play(Faults::default()).await?;
    let volume = || world.server.get("PersistentVolumeClaim", "default", "shop-data").unwrap_or_default();
    let (uid, bound) = (volume()["metadata"]["uid"].clone(), volume()["spec"]["volumeName"].clone());
    let bound = bound.as_str().unwrap_or_default();
    world.server.delete("PersistentVolumeClaim", "default", "shop-data")?;
    world.rest(&mut replica).await?;
    let told = format!(
        "PersistentVolumeClaim shop-data is being deleted while App/shop mounts it: its data goes when the last pod stops, and an empty \
         volume follows. To keep it: copy it now, or set persistentVolumeReclaimPolicy of PersistentVolume {bound} to Retain"
    );
    for (kind, name, reason, message) in [
        ("StorageClaim", "shop-data", "VolumeDeleting", told.clone()),
        ("App", "shop", "StorageNotReady", format!("StorageClaim shop-data: {told}")),
    ] {
        for (type_, status) in [("Ready", "False"), ("Degraded", "True")] {
            let condition = world.condition(kind, name, type_).unwrap_or_default();
            ensure!(condition["status"] == status && condition["reason"] == reason, "{condition}");
            ensure!(condition["message"] == *message, "{condition}");
        }
        ensure!(world.condition(kind, name, "Reconciling").is_none(), "{kind} waits for nothing");
        told_once(&world, (reason, name), "Warning", &[&told])?;
    }

    let before = deployment(&world)?;
    let image = |image: &str| {
        let change = |app: &mut Value| app["spec"]["image"] = json!(image);
        world.server.edit_as("kubectl", "App", "default", "shop", change)
    };
    image("registry.example.com/team/shop:2")?;
    world.rest(&mut replica).await?;
    ensure!(deployment(&world)? == before, "its last pod was stopped: {}", world.summary());
    world.server.edit_as("kubectl", "App", "default", "shop", |app| app["spec"]["replicas"] = json!(0))?;
    world.rest(&mut replica).await?;
    ensure!(deployment(&world)?["replicas"] == 0, "{}", world.summary());
    ensure!(events(&world, "VolumeEmptied", "shop-data").is_empty());

    let release = |volume: &mut Value| volume["metadata"]["finalizers"] = json!([]);
    world.server.edit("PersistentVolumeClaim", "default", "shop-data", release)?;
    world.rest(&mut replica).await?;
    ensure!(!volume().is_null() && volume()["metadata"]["uid"] != uid, "it is not made anew");
    world.expect_ready("StorageClaim", "shop-data")?;
    world.expect_ready("App", "shop")?;
    drop(replica);
    let mut replica = world.start("second", Faults::default()).await;
    world.rest(&mut replica).await?;
    told_once(&world, ("VolumeEmptied", "shop-data"), "Warning", &["made anew and is empty", bound, "kubectl get pv"])
}

/// Of a claim that is nobody's `StorageClaim` likewise: it is watched once somebody mounts it, and no longer.
#[tokio::test(start_paused = true)]
async fn a_claim_of_others_is_watched_while_it_is_mounted_and_held_while_it_goes() -> Result<()> {
    let world = World::new();
    let is_watched = || world.server.count_requests(|entry| is_of_others(&entry.call));
    world.server.apply(PLAIN)?;
    let mut replica = world.start("first", Faults::default()).await;
    world.rest(&mut replica).await?;
    ensure!(is_watched() == 0, "nobody mounts it");
    world.server.apply(SHELF)?;
    world.rest(&mut replica).await?;
    world.expect_ready("App", "shelf")?;
    let (asked, at_rest) = (is_watched(), world.cost());
    ensure!(asked > 0, "nobody looked at it");
    tokio::time::sleep(Duration::from_secs(240)).await;
    ensure!(world.cost() == at_rest, "it costs something at rest");

    world.server.delete("PersistentVolumeClaim", "default", "books")?;
    let since = Instant::now();
    while world.condition("App", "shelf", "Degraded").unwrap_or_default()["reason"] != "VolumeDeleting" {
        ensure!(since.elapsed() < Duration::from_secs(5), "it is not told within five seconds: {}", world.summary());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let template = || world.server.get("Deployment", "default", "shelf").map(|it| it["spec"]["template"].clone());
    let before = template();
    world.server.edit_as("kubectl", "App", "default", "shelf", |app| app["spec"]["image"] = json!("shelf:2"))?;
    world.rest(&mut replica).await?;
    ensure!(template() == before, "its last pod was stopped: {}", world.summary());

    // Who mounts another lets it go.
    world.server.edit_as("kubectl", "App", "default", "shelf", |app| app["spec"]["volumes"] = json!([]))?;
    world.rest(&mut replica).await?;
    world.expect_ready("App", "shelf")?;
    ensure!(template() != before, "it is held for ever: {}", world.summary());
    Ok(())
}

/// A process that starts while claims can't be read: what the author has changed meanwhile waits.
#[tokio::test(start_paused = true)]
async fn while_nothing_is_known_of_a_claim_its_last_pod_is_not_stopped() -> Result<()> {
    let world = World::new();
    world.server.apply(PLAIN)?;
    world.server.apply(SHELF)?;
    let mut replica = world.start("first", Faults::default()).await;
    world.rest(&mut replica).await?;
    let template = || world.server.get("Deployment", "default", "shelf").map(|it| it["spec"]["template"].clone());
    let before = template();
    replica.endpoint.crash();
    world.server.delete("PersistentVolumeClaim", "default", "books")?;
    world.server.edit_as("kubectl", "App", "default", "shelf", |app| app["spec"]["image"] = json!("shelf:2"))?;
    let refused = Faults::new(|call| if is_of_others(call) { Fault::Status(503) } else { Fault::None });
    let mut replica = world.start("second", refused).await;
    world.rest(&mut replica).await?;
    ensure!(template() == before, "its last pod was stopped: {}", world.summary());
    let told = world.condition("App", "shelf", "Ready").unwrap_or_default();
    ensure!(told["message"].to_string().contains("PersistentVolumeClaim books can't be looked up"), "{told}");
    Ok(())
}

/// A request by which claims are followed that others made.
fn is_of_others(call: &Call) -> bool {
    call.resource == "persistentvolumeclaims" && !call.selects
}

const PLAIN: &str = "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: books, namespace: default, finalizers: [kubernetes.io/pvc-protection]}, \
    spec: {volumeName: pv-books, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}";

const SHELF: &str = "{apiVersion: moorage.dev/v1alpha1, kind: App, metadata: {name: shelf, namespace: default}, \
    spec: {image: 'shelf:1', volumes: [{name: data, mountPath: /data, claim: {name: books}}]}}";

/// By which policy data goes, and with which claim, is told once; what is kept is no news.
#[tokio::test(start_paused = true)]
async fn data_that_goes_by_its_policy_is_told_once() -> Result<()> {
    for policy in ["Delete", "Retain"] {
        let (world, mut replica) = SHOP.play(Faults::default()).await?;
        let declare = |app: &mut Value| app["spec"]["volumes"][0]["storage"]["deletionPolicy"] = json!(policy);
        world.server.edit_as("kubectl", "App", "default", "shop", declare)?;
        world.rest(&mut replica).await?;
        world.server.delete("App", "default", "shop")?;
        world.rest(&mut replica).await?;
        if world.has("StorageClaim", "shop-data") {
            world.server.delete("StorageClaim", "default", "shop-data")?;
            world.rest(&mut replica).await?;
        }
        ensure!(world.has("PersistentVolumeClaim", "shop-data") == (policy == "Retain"), "{policy}");
        if policy == "Retain" {
            ensure!(events(&world, "VolumeDeleted", "shop-data").is_empty());
        } else {
            let words = [
                "StorageClaim shop-data of App/shop was deleted",
                "spec.deletionPolicy is Delete",
                "(PersistentVolume pvc-",
            ];
            told_once(&world, ("VolumeDeleted", "shop-data"), "Normal", &words)?;
        }
    }
    Ok(())
}

/// The release's uninstall takes the data, until the chart keeps it.
#[tokio::test(start_paused = true)]
async fn a_volume_of_a_helm_release_is_told_once_when_it_is_adopted() -> Result<()> {
    let world = World::new();
    create_volume(&world.server)?;
    consent(&world.server)?;
    let annotate = |key: &'static str, value: &'static str| {
        world.server.edit_as("helm", "PersistentVolumeClaim", "default", "data", move |volume| {
            volume["metadata"]["annotations"][key] = json!(value);
        })
    };
    annotate("meta.helm.sh/release-name", "demo")?;
    adopt_volume(&world.server)?;
    let mut replica = world.start("first", Faults::default()).await;
    world.rest(&mut replica).await?;
    drop(replica);
    let mut replica = world.start("second", Faults::default()).await;
    world.rest(&mut replica).await?;
    world.expect_ready("StorageClaim", "data")?;
    let words = ["helm uninstall demo deletes it, and its data", "helm.sh/resource-policy: keep"];
    told_once(&world, ("HelmRelease", "data"), "Warning", &words)?;
    let message = || world.condition("StorageClaim", "data", "Ready").unwrap_or_default()["message"].to_string();
    ensure!(message().contains(words[0]), "{}", message());
    annotate("helm.sh/resource-policy", "keep")?;
    world.rest(&mut replica).await?;
    ensure!(message().contains("bound to") && !message().contains("helm"), "{}", message());
    Ok(())
}
