//! Data is kept or deleted as declared, and what a volume waits for has a name.

use crate::support::*;
use anyhow::{Context as _, Result, ensure};
use moorage_harness::{ControlPlane, Sandbox};
use serde_json::json;
use std::sync::Arc;

crate::cases![
    data_outlives_the_app,
    a_retained_volume_is_adopted,
    a_deleted_claim_takes_its_volume_along,
    a_change_of_policy_is_told,
    a_claim_grows_and_is_never_shrunk,
    waiting_for_the_first_consumer_is_ready,
    every_pending_volume_has_its_reason,
];

fn claim(name: &str, spec: &str) -> String {
    format!("{{apiVersion: moorage.dev/v1alpha1, kind: StorageClaim, metadata: {{name: {name}}}, spec: {spec}}}")
}

/// The App goes and comes back; its volume is the same one.
async fn data_outlives_the_app(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "data-kept").await?;
    sandbox.apply(SHOP).await?;
    ready(&sandbox, "App", "shop").await?;
    let volume = must_get(&sandbox, "PersistentVolumeClaim", "shop-data").await?;
    sandbox.kubectl(&["delete", "apps.moorage.dev", "shop", "--timeout=60s"]).await?;
    until_gone(&sandbox, "Deployment", "shop").await?;
    sandbox.apply(SHOP).await?;
    ready(&sandbox, "App", "shop").await?;
    let after = must_get(&sandbox, "PersistentVolumeClaim", "shop-data").await?;
    ensure!(after["metadata"]["uid"] == volume["metadata"]["uid"] && after["spec"] == volume["spec"]);
    // Taking the volume out of the spec leaves the claim as well.
    patch(&sandbox, "App", "shop", &json!({"spec": {"volumes": null}})).await?;
    ready(&sandbox, "App", "shop").await?;
    must_get(&sandbox, "StorageClaim", "shop-data").await?;
    Ok(())
}

async fn a_retained_volume_is_adopted(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "adopt").await?;
    sandbox.apply(&claim("files", "{size: 1Gi}")).await?;
    ready(&sandbox, "StorageClaim", "files").await?;
    let uid = must_get(&sandbox, "PersistentVolumeClaim", "files").await?["metadata"]["uid"].clone();
    sandbox.kubectl(&["delete", "storageclaim", "files", "--timeout=60s"]).await?;
    ensure!(must_get(&sandbox, "PersistentVolumeClaim", "files").await?["metadata"]["deletionTimestamp"].is_null());
    sandbox.apply(&claim("files", "{size: 1Gi}")).await?;
    let asked = reason(&sandbox, "StorageClaim", "files", "Stalled", "AdoptionNeeded").await?;
    ensure!(message(&asked, "Ready").contains("spec.adopt"), "{}", message(&asked, "Ready"));
    sandbox.apply(&claim("files", "{size: 2Gi, adopt: true}")).await?;
    ready(&sandbox, "StorageClaim", "files").await?;
    let adopted = must_get(&sandbox, "PersistentVolumeClaim", "files").await?;
    ensure!(adopted["metadata"]["uid"] == uid && adopted["spec"]["resources"]["requests"]["storage"] == "2Gi");
    // A volume that Moorage never made can be taken over as well, when asked to.
    sandbox
        .apply("{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: old}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}")
        .await?;
    until(&sandbox, "PersistentVolumeClaim", "old", "to be bound", |object| object["status"]["phase"] == "Bound")
        .await?;
    sandbox.apply(&claim("old", "{size: 1Gi, adopt: true, deletionPolicy: Delete}")).await?;
    let refused = reason(&sandbox, "StorageClaim", "old", "Stalled", "NameConflict").await?;
    consent(&sandbox, &refused).await?;
    ready(&sandbox, "StorageClaim", "old").await?;
    // Without it no policy reaches the data, also if it is withdrawn later or an earlier version never asked for it.
    sandbox.kubectl(&["annotate", "pvc", "old", "moorage.dev/adoptable-"]).await?;
    let told = until(&sandbox, "StorageClaim", "old", "to say that its policy does not reach the data", |object| {
        message(object, "Ready").contains("does not reach it before")
    })
    .await?;
    sandbox.kubectl(&["delete", "storageclaim", "old", "--timeout=60s"]).await?;
    ensure!(must_get(&sandbox, "PersistentVolumeClaim", "old").await?["metadata"]["deletionTimestamp"].is_null());
    sandbox.apply(&claim("old", "{size: 1Gi, adopt: true, deletionPolicy: Delete}")).await?;
    ready(&sandbox, "StorageClaim", "old").await?;
    consent(&sandbox, &told).await?;
    until(&sandbox, "StorageClaim", "old", "to reach the data", |object| {
        is_true(object, "Ready") && !message(object, "Ready").contains("does not reach it")
    })
    .await?;
    sandbox.kubectl(&["delete", "storageclaim", "old", "--timeout=60s"]).await?;
    until_gone(&sandbox, "PersistentVolumeClaim", "old").await
}

/// Consents by the very command that the status names.
async fn consent(sandbox: &Sandbox, told: &serde_json::Value) -> Result<()> {
    let message = message(told, "Ready");
    let (_, command) = message.split_once("kubectl ").context("no command is named")?;
    let command: Vec<&str> = command.split(';').next().unwrap_or_default().split_whitespace().collect();
    sandbox.kubectl(&command).await?;
    Ok(())
}

async fn a_deleted_claim_takes_its_volume_along(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "policy-delete").await?;
    sandbox.apply(&claim("scratch", "{size: 1Gi, deletionPolicy: Delete}")).await?;
    let made = ready(&sandbox, "StorageClaim", "scratch").await?;
    ensure!(made["metadata"]["finalizers"] == json!(["moorage.dev/deletion-policy"]), "{}", made["metadata"]);
    sandbox.kubectl(&["delete", "storageclaim", "scratch", "--timeout=60s"]).await?;
    until_gone(&sandbox, "PersistentVolumeClaim", "scratch").await?;
    // The policy counts at the time of the deletion.
    sandbox.apply(&claim("kept", "{size: 1Gi, deletionPolicy: Delete}")).await?;
    ready(&sandbox, "StorageClaim", "kept").await?;
    sandbox.apply(&claim("kept", "{size: 1Gi, deletionPolicy: Retain}")).await?;
    until(&sandbox, "StorageClaim", "kept", "to have no finalizer", |object| {
        object["metadata"]["finalizers"].is_null()
    })
    .await?;
    sandbox.kubectl(&["delete", "storageclaim", "kept", "--timeout=60s"]).await?;
    ensure!(must_get(&sandbox, "PersistentVolumeClaim", "kept").await?["metadata"]["deletionTimestamp"].is_null());
    // A volume of an App with that policy goes with the App.
    sandbox.apply(&SHOP.replace("size: 1Gi", "size: 1Gi, deletionPolicy: Delete")).await?;
    ready(&sandbox, "App", "shop").await?;
    sandbox.kubectl(&["delete", "apps.moorage.dev", "shop", "--timeout=60s"]).await?;
    until_gone(&sandbox, "PersistentVolumeClaim", "shop-data").await
}

/// A change of policy alone is told: what waits for the claim's status would wait for good.
async fn a_change_of_policy_is_told(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "policy").await?;
    sandbox.apply(&SHOP.replace("{size: 1Gi}", "{size: 1Gi, deletionPolicy: Delete}")).await?;
    ready(&sandbox, "App", "shop").await?;
    sandbox.apply(SHOP).await?;
    ready(&sandbox, "App", "shop").await?;
    ready(&sandbox, "StorageClaim", "shop-data").await?;
    let claim = must_get(&sandbox, "StorageClaim", "shop-data").await?;
    ensure!(claim["metadata"]["finalizers"].is_null() && claim["spec"]["deletionPolicy"] == "Retain", "{claim}");
    Ok(())
}

async fn a_claim_grows_and_is_never_shrunk(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "grow").await?;
    sandbox.apply(&claim("files", "{size: 1Gi}")).await?;
    ready(&sandbox, "StorageClaim", "files").await?;
    sandbox.apply(&claim("files", "{size: 3Gi}")).await?;
    let requested = |object: &serde_json::Value| object["spec"]["resources"]["requests"]["storage"] == "3Gi";
    until(&sandbox, "PersistentVolumeClaim", "files", "to ask for 3Gi", requested).await?;
    until(&sandbox, "StorageClaim", "files", "to have 3Gi", |object| {
        object["status"]["capacity"] == "3Gi" && is_true(object, "Ready")
    })
    .await?;
    // Neither an author who declares less nor an autoresizer that asks for more is a problem.
    sandbox.apply(&claim("files", "{size: 2Gi}")).await?;
    let larger = reason(&sandbox, "StorageClaim", "files", "Resized", "LargerThanDeclared").await?;
    ensure!(is_true(&larger, "Ready") && larger["status"]["requested"] == "3Gi", "{}", larger["status"]);
    let more = json!({"spec": {"resources": {"requests": {"storage": "4Gi"}}}});
    patch(&sandbox, "PersistentVolumeClaim", "files", &more).await?;
    until(&sandbox, "StorageClaim", "files", "to have 4Gi", |object| {
        object["status"]["capacity"] == "4Gi" && is_true(object, "Ready")
    })
    .await?;
    let requested = must_get(&sandbox, "PersistentVolumeClaim", "files").await?;
    ensure!(requested["spec"]["resources"]["requests"]["storage"] == "4Gi", "{requested}");
    Ok(())
}

async fn waiting_for_the_first_consumer_is_ready(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "first-consumer").await?;
    sandbox.apply(&claim("files", "{size: 1Gi, storageClassName: kwok-wait}")).await?;
    let waits = reason(&sandbox, "StorageClaim", "files", "Ready", "WaitingForFirstConsumer").await?;
    ensure!(is_true(&waits, "Ready"), "{}", waits["status"]);
    // Growth is held while the volume is pending, and reaches it once it is bound.
    sandbox.apply(&claim("files", "{size: 2Gi, storageClassName: kwok-wait}")).await?;
    reason(&sandbox, "StorageClaim", "files", "Resized", "ResizePending").await?;
    sandbox
        .apply(&WEB.replace("ports:", "volumes: [{name: f, mountPath: /f, claim: {name: files}}]\n  ports:"))
        .await?;
    ready(&sandbox, "App", "web").await?;
    until(&sandbox, "StorageClaim", "files", "to have 2Gi", |object| object["status"]["capacity"] == "2Gi").await?;
    Ok(())
}

async fn every_pending_volume_has_its_reason(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "pending").await?;
    sandbox.apply(&claim("typo", "{size: 1Gi, storageClassName: fsat}")).await?;
    let typo = reason(&sandbox, "StorageClaim", "typo", "Ready", "StorageClassNotFound").await?;
    ensure!(message(&typo, "Ready").contains("fsat"), "{}", message(&typo, "Ready"));
    provisioning_failure(&sandbox).await
}

/// A driver complains by an Event on the volume claim, and only there.
async fn provisioning_failure(sandbox: &Sandbox) -> Result<()> {
    sandbox
        .apply("{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: broken}, provisioner: example.com/broken}")
        .await?;
    sandbox.apply(&claim("failing", "{size: 1Gi, storageClassName: broken}")).await?;
    reason(sandbox, "StorageClaim", "failing", "Ready", "WaitingForVolume").await?;
    let volume = must_get(sandbox, "PersistentVolumeClaim", "failing").await?;
    let event = json!({
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": "failing.1"},
        "involvedObject": {"kind": "PersistentVolumeClaim", "namespace": sandbox.namespace, "name": "failing",
            "uid": volume["metadata"]["uid"]},
        "reason": "ProvisioningFailed", "message": "the array is full", "type": "Warning",
    });
    sandbox.apply(&event.to_string()).await?;
    let failing = reason(sandbox, "StorageClaim", "failing", "Ready", "ProvisioningFailed").await?;
    ensure!(message(&failing, "Ready").contains("the array is full"), "{}", message(&failing, "Ready"));
    Ok(())
}
