//! An object of ours that lost the marks by which it is found is found again, and is the same object.

use super::scenarios::SHOP;
use super::world::{Replica, World};
use anyhow::{Context, Result, ensure};
use moorage_fake::Faults;
use serde_json::{Value, json};

/// Kind and name of a child of every kind, with the fields that it is found by.
const CHILDREN: [(&str, &str); 6] = [
    ("ServiceAccount", "shop"),
    ("StorageClaim", "shop-data"),
    ("PersistentVolumeClaim", "shop-data"),
    ("Deployment", "shop"),
    ("Service", "shop"),
    ("ConfigMap", "images-config"),
];

type Loss = fn(&mut Value);

/// What becomes of the marks: a label policy, Helm, and somebody thorough.
const LOSSES: [(&str, Loss); 5] = [
    ("no managed-by", |object| drop(labels(object).remove("app.kubernetes.io/managed-by"))),
    ("managed by Helm", |object| drop(labels(object).insert("app.kubernetes.io/managed-by".into(), "Helm".into()))),
    ("no parent", |object| labels(object).retain(|key, _| !key.starts_with("moorage.dev/"))),
    ("no label", |object| labels(object).clear()),
    ("no label and no owner", |object| {
        labels(object).clear();
        object["metadata"].as_object_mut().unwrap().remove("ownerReferences");
    }),
];

fn labels(object: &mut Value) -> &mut serde_json::Map<String, Value> {
    object["metadata"]["labels"].as_object_mut().unwrap()
}

async fn shop_and_images() -> Result<(World, Replica)> {
    let (world, mut replica) = SHOP.play(Faults::default()).await?;
    world.server.apply(
        "{apiVersion: moorage.dev/v1alpha1, kind: Registry, metadata: {name: images, namespace: default},
          spec: {storage: {emptyDir: {}}}}",
    )?;
    world.rest(&mut replica).await?;
    Ok((world, replica))
}

#[tokio::test(start_paused = true)]
async fn what_lost_its_marks_is_found_and_marked_again() -> Result<()> {
    for (kind, name) in CHILDREN {
        for (loss, lose) in LOSSES {
            for down in [false, true] {
                let what = format!("{kind}, {loss}, operator down: {down}");
                let (world, mut replica) = shop_and_images().await?;
                let before = world.server.get(kind, "default", name).context("it was never made")?;
                if down {
                    replica.endpoint.crash();
                }
                world.server.edit_as("policy", kind, "default", name, lose)?;
                world.rest(&mut replica).await?;
                let after = world.server.get(kind, "default", name).with_context(|| what.clone())?;
                for field in ["uid", "labels", "ownerReferences", "deletionTimestamp"] {
                    let (before, after) = (&before["metadata"][field], &after["metadata"][field]);
                    ensure!(before == after, "{what}: {field} is {after}\n{}", world.summary());
                }
                world.expect_ready("App", "shop").with_context(|| what.clone())?;
                world.expect_ready("Registry", "images").with_context(|| what.clone())?;
                world.expect_ready("StorageClaim", "shop-data").context(what)?;
            }
        }
    }
    Ok(())
}

/// The data of an earlier claim is not taken for this one's.
#[tokio::test(start_paused = true)]
async fn what_was_kept_for_another_claim_is_not_taken() -> Result<()> {
    let world = World::new();
    world.server.apply_as(
        "backup",
        json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data", "namespace": "default",
            "annotations": {"moorage.dev/claim-uid": "an-earlier-one"}},
            "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "standard", "resources": {"requests": {"storage": "1Gi"}}}}),
    )?;
    world.server.apply(
        "{apiVersion: moorage.dev/v1alpha1, kind: StorageClaim, metadata: {name: data, namespace: default},
          spec: {size: 1Gi, storageClassName: standard}}",
    )?;
    let mut replica = world.start("first", Faults::default()).await;
    world.rest(&mut replica).await?;
    let stalled = world.condition("StorageClaim", "data", "Stalled").unwrap_or_default();
    let message = stalled["message"].as_str().unwrap_or_default();
    ensure!(stalled["reason"] == "NameConflict" && message.contains("an earlier StorageClaim"), "{stalled}");
    let volume = world.server.get("PersistentVolumeClaim", "default", "data").unwrap_or_default();
    ensure!(volume["metadata"]["labels"].is_null(), "it was written to: {volume}");
    Ok(())
}

/// Kept data whose label was lost while no claim stood can still be had, and nobody is told to delete it.
#[tokio::test(start_paused = true)]
async fn kept_data_that_lost_its_label_is_adopted() -> Result<()> {
    let world = World::new();
    let mut replica = world.start("first", Faults::default()).await;
    let claim = |adopt: bool| {
        format!(
            "{{apiVersion: moorage.dev/v1alpha1, kind: StorageClaim, metadata: {{name: data, namespace: default}},
              spec: {{size: 1Gi, storageClassName: standard, adopt: {adopt}}}}}"
        )
    };
    world.server.apply(&claim(false))?;
    world.rest(&mut replica).await?;
    world.server.delete("StorageClaim", "default", "data")?;
    world.rest(&mut replica).await?;
    let before = world.server.get("PersistentVolumeClaim", "default", "data").context("the data is gone")?;
    world.server.edit_as("policy", "PersistentVolumeClaim", "default", "data", |volume| labels(volume).clear())?;
    world.server.apply(&claim(false))?;
    world.rest(&mut replica).await?;
    let stalled = world.condition("StorageClaim", "data", "Stalled").unwrap_or_default();
    let message = stalled["message"].as_str().unwrap_or_default();
    ensure!(stalled["reason"] == "NameConflict" && message.contains("set spec.adopt to true"), "{stalled}");
    ensure!(!message.contains("delete"), "{stalled}");
    world.server.apply(&claim(true))?;
    world.rest(&mut replica).await?;
    world.expect_ready("StorageClaim", "data")?;
    let after = world.server.get("PersistentVolumeClaim", "default", "data").context("the data is gone")?;
    ensure!(after["metadata"]["uid"] == before["metadata"]["uid"], "it was made anew");
    ensure!(after["spec"] == before["spec"], "{}\n{}", before["spec"], after["spec"]);
    Ok(())
}

/// What takes the mark away while it is written is told, slowly tried again, and makes no loop.
#[tokio::test(start_paused = true)]
async fn a_policy_that_takes_the_mark_is_told() -> Result<()> {
    let world = World::new();
    let mut replica = world.start("first", Faults::default()).await;
    world.server.admit(|object| {
        if object["kind"] == "Service" {
            object["metadata"]["labels"]["app.kubernetes.io/managed-by"] = json!("policy");
        }
    });
    world.server.apply(super::watches::WEB)?;
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    let before = world.cost();
    tokio::time::sleep(std::time::Duration::from_secs(600)).await;
    let cost = world.cost() - before;
    ensure!(cost <= 50, "{cost} requests in ten minutes\n{}", world.summary());
    let ready = world.condition("App", "web", "Ready").unwrap_or_default();
    let message = ready["message"].as_str().unwrap_or_default();
    ensure!(message.contains("app.kubernetes.io/managed-by"), "{ready}");
    world.server.admit(|_| {});
    // The longest wait after a refusal is longer than what counts as rest.
    tokio::time::sleep(std::time::Duration::from_secs(61)).await;
    world.rest(&mut replica).await?;
    world.expect_ready("App", "web")
}
