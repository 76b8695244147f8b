//! What is being deleted is told of as long as it is there, and left alone. A `StorageClaim` that can't be read any more goes
//! nevertheless, and takes no data with it that its policy does not reach.

use super::scenarios::SHOP;
use super::world::World;
use anyhow::{Result, ensure};
use moorage_fake::{Entry, Faults};
use serde_json::{Value, json};

/// What is told of a claim that can't be read, what makes it so, and whether its policy can still be read.
type Case = (&'static str, fn(&mut Value), bool);

fn cases() -> [Case; 3] {
    let too_large =
        |claim: &mut Value| claim["spec"]["selector"] = json!({"matchLabels": {"a": "x".repeat(600 << 10)}});
    let newer = |claim: &mut Value| claim["spec"]["future"] = json!(1);
    let newer_policy = |claim: &mut Value| claim["spec"]["deletionPolicy"] = json!("Archive");
    [("TooLarge", too_large, false), ("InvalidSpec", newer, true), ("InvalidSpec", newer_policy, false)]
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_cannot_be_read_goes_by_its_policy_or_loses_nothing() -> Result<()> {
    for (reason, edit, dies) in cases() {
        let world = World::new();
        let mut replica = world.start("first", Faults::default()).await;
        world.server.apply(
            "{apiVersion: moorage.dev/v1alpha1, kind: StorageClaim, metadata: {name: data, namespace: default},
              spec: {size: 1Gi, storageClassName: standard, deletionPolicy: Delete}}",
        )?;
        world.rest(&mut replica).await?;
        world.expect_ready("StorageClaim", "data")?;
        world.server.edit_as("kubectl", "StorageClaim", "default", "data", edit)?;
        world.rest(&mut replica).await?;
        let stalled = world.condition("StorageClaim", "data", "Stalled").unwrap_or_default();
        ensure!(stalled["reason"] == reason && world.has("PersistentVolumeClaim", "data"), "{stalled}");

        world.server.delete("StorageClaim", "default", "data")?;
        world.rest(&mut replica).await?;
        ensure!(!world.has("StorageClaim", "data"), "{reason}: it is held for ever\n{}", world.summary());
        ensure!(world.has("PersistentVolumeClaim", "data") != dies, "{reason}: the data goes is {}", !dies);
    }
    Ok(())
}

/// Whichever way it is deleted: who holds it is told, in few writes, and its children are the garbage collector's.
#[tokio::test(start_paused = true)]
async fn a_deletion_that_is_held_is_told_and_nothing_is_made_again() -> Result<()> {
    for (policy, kind, left) in [
        ("Foreground", "Service", "still there: Service shop (being deleted, held by finalizer example.com/hold"),
        ("Background", "App", "still there: ServiceAccount shop, Deployment shop, Service shop"),
        ("Orphan", "App", "held by finalizer example.com/hold"),
    ] {
        let (world, mut replica) = SHOP.play(Faults::default()).await?;
        let hold = |finalizers: Value| {
            world.server.edit_as("kubectl", kind, "default", "shop", move |object| {
                object["metadata"]["finalizers"] = finalizers.clone();
            })
        };
        hold(json!(["example.com/hold"]))?;
        world.rest(&mut replica).await?;
        let before = world.server.request_count();
        world.server.delete_with("App", "default", "shop", policy)?;
        world.rest(&mut replica).await?;
        let app = world.server.get("App", "default", "shop").unwrap_or_default();
        let ready = world.condition("App", "shop", "Ready").unwrap_or_default();
        let message = ready["message"].as_str().unwrap_or_default();
        ensure!(ready["reason"] == "Deleting" && message.contains(left), "{policy}: {ready}");
        ensure!(app["status"]["observedGeneration"] == app["metadata"]["generation"], "{policy}: {app}");
        let is_ours = |entry: &&Entry| {
            let call = &entry.call;
            call.client == "first" && call.is_write() && !["leases", "events"].contains(&call.resource.as_str())
        };
        let requests = world.server.requests();
        let written: Vec<String> = requests.iter().skip(before).filter(is_ours).map(super::world::line).collect();
        let is_status =
            |line: &String| line.contains("apps") && line.contains("status") || line.contains("storageclaims");
        ensure!(written.iter().all(is_status) && written.len() <= 4, "{policy}: {}", written.join("\n"));
        if kind == "App" && policy == "Background" {
            world.server.delete("Service", "default", "shop")?;
            world.rest(&mut replica).await?;
            ensure!(!world.has("Service", "shop"), "it was made again");
        }
        hold(json!([]))?;
        world.rest(&mut replica).await?;
        ensure!(!world.has("App", "shop") && world.has("Service", "shop") == (policy == "Orphan"), "{policy}");
    }
    Ok(())
}

/// What it declares is of no interest any more; that it can't be read is told after that it goes, and what holds it.
#[tokio::test(start_paused = true)]
async fn an_app_that_cannot_be_read_says_that_it_is_being_deleted() -> Result<()> {
    let (world, mut replica) = SHOP.play(Faults::default()).await?;
    world.server.edit_as("kubectl", "App", "default", "shop", |app| {
        app["metadata"]["finalizers"] = json!(["example.com/hold"]);
        app["spec"]["future"] = json!(1);
    })?;
    world.rest(&mut replica).await?;
    world.server.delete("App", "default", "shop")?;
    world.rest(&mut replica).await?;
    let ready = world.condition("App", "shop", "Ready").unwrap_or_default();
    let message = ready["message"].as_str().unwrap_or_default();
    ensure!(ready["reason"] == "Deleting" && message.contains("held by finalizer example.com/hold"), "{ready}");
    ensure!(world.condition("App", "shop", "Stalled").is_none_or(|stalled| stalled["status"] != "True"), "{ready}");
    Ok(())
}
