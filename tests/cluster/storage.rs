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
    a_volume_that_is_deleted_in_use_is_told_while_it_can_be_kept,
    a_named_volume_that_does_not_fit_is_told_with_what_to_set,
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
        .apply("{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: old, annotations: {meta.helm.sh/release-name: demo}}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}")
        .await?;
    until(&sandbox, "PersistentVolumeClaim", "old", "to be bound", |object| object["status"]["phase"] == "Bound")
        .await?;
    sandbox.apply(&claim("old", "{size: 1Gi, adopt: true, deletionPolicy: Delete}")).await?;
    let refused = reason(&sandbox, "StorageClaim", "old", "Stalled", "NameConflict").await?;
    ensure!(!message(&refused, "Ready").contains("delete"), "{}", message(&refused, "Ready"));
    consent(&sandbox, &refused).await?;
    let adopted = ready(&sandbox, "StorageClaim", "old").await?;
    ensure!(message(&adopted, "Ready").contains("helm uninstall demo deletes it"), "{}", message(&adopted, "Ready"));
    let event = event(&sandbox, "HelmRelease", "old").await?;
    ensure!(event.starts_with("Warning ") && event.contains("helm.sh/resource-policy: keep"), "{event}");
    sandbox.kubectl(&["annotate", "pvc", "old", "helm.sh/resource-policy=keep"]).await?;
    until(&sandbox, "StorageClaim", "old", "to be kept by its release", |object| {
        !message(object, "Ready").contains("helm")
    })
    .await?;
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
    until_gone(&sandbox, "PersistentVolumeClaim", "shop-data").await?;
    let told = event(&sandbox, "VolumeDeleted", "shop-data").await?;
    let why = "as StorageClaim shop-data of App/shop was deleted and its spec.deletionPolicy is Delete";
    ensure!(
        told.starts_with("Normal PersistentVolumeClaim shop-data (PersistentVolume ") && told.contains(why),
        "{told}"
    );
    ensure!(sandbox.operator.process().tail(1_000).contains(why), "the log does not tell");
    Ok(())
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

/// Waits for an Event of that reason about an object of ours, and gives its words.
async fn event(sandbox: &Sandbox, reason: &str, about: &str) -> Result<String> {
    let of = format!("reason={reason},involvedObject.name={about}");
    let messages = told(sandbox, &of, 1).await?;
    ensure!(messages.len() == 1, "{messages:?}");
    let type_ = events(sandbox, &of).await?[0]["type"].as_str().unwrap_or_default().to_owned();
    Ok(format!("{type_} {}", messages[0]))
}

/// Both the claim and the App that mounts it say so; what follows is told once.
async fn a_volume_that_is_deleted_in_use_is_told_while_it_can_be_kept(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "data-deleted").await?;
    sandbox.apply(SHOP).await?;
    ready(&sandbox, "App", "shop").await?;
    let before = must_get(&sandbox, "PersistentVolumeClaim", "shop-data").await?;
    let volume = before["spec"]["volumeName"].as_str().context("it is not bound")?;
    sandbox.kubectl(&["delete", "pvc", "shop-data", "--wait=false"]).await?;
    let told = format!(
        "PersistentVolumeClaim shop-data is being deleted while App/shop mounts it: its data goes when the last pod stops, and an empty \
         volume follows. To keep it: copy it now, or set persistentVolumeReclaimPolicy of PersistentVolume {volume} to Retain"
    );
    for (kind, name, why) in [("StorageClaim", "shop-data", "VolumeDeleting"), ("App", "shop", "StorageNotReady")] {
        let object = reason(&sandbox, kind, name, "Degraded", why).await?;
        ensure!(message(&object, "Ready").ends_with(&told) && !is_true(&object, "Ready"), "{}", object["status"]);
        ensure!(condition(&object, "Reconciling").is_none(), "{}", object["status"]);
        let event = event(&sandbox, why, name).await?;
        ensure!(event.starts_with("Warning ") && event.contains(&told), "{event}");
    }
    sandbox.kubectl(&["scale", "apps.moorage.dev", "shop", "--replicas=0"]).await?;
    until(&sandbox, "StorageClaim", "shop-data", "to have another volume", |claim| {
        is_true(claim, "Ready") && claim["status"]["volumeName"] != volume
    })
    .await?;
    sandbox.kubectl(&["scale", "apps.moorage.dev", "shop", "--replicas=1"]).await?;
    ready(&sandbox, "App", "shop").await?;
    let emptied = event(&sandbox, "VolumeEmptied", "shop-data").await?;
    ensure!(emptied.starts_with("Warning ") && emptied.contains(volume), "{emptied}");
    ensure!(sandbox.operator.process().tail(1_000).contains("was made anew and is empty"), "the log does not tell");
    Ok(())
}

/// In the controller's words; the command that the status names mends it.
async fn a_named_volume_that_does_not_fit_is_told_with_what_to_set(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "named").await?;
    let gone = format!("claimRef: {{namespace: {}, name: gone, uid: 1a}}", sandbox.namespace);
    for (name, more, spec, why, told) in [
        ("class", "", "size: 1Gi", "VolumeMismatch", "StorageClass \"kwok-volume\": set spec.storageClassName"),
        ("small", "", "size: 5Gi, storageClassName: by-hand", "VolumeMismatch", "it asks for 5Gi: set spec.size"),
        (
            "mode",
            "",
            "size: 1Gi, storageClassName: by-hand, volumeMode: Block",
            "VolumeMismatch",
            "for Block: set spec.volumeMode",
        ),
        (
            "access",
            "",
            "size: 1Gi, storageClassName: by-hand, accessModes: [ReadWriteMany]",
            "VolumeMismatch",
            "set spec.accessModes",
        ),
        ("released", &gone, "size: 1Gi, storageClassName: by-hand", "FailedBinding", "kubectl patch pv"),
    ] {
        let volume = format!("{}-{name}", sandbox.namespace);
        sandbox
            .apply(&format!(
                "{{apiVersion: v1, kind: PersistentVolume, metadata: {{name: {volume}}}, spec: {{capacity: {{storage: 1Gi}},
                  accessModes: [ReadWriteOnce], storageClassName: by-hand, persistentVolumeReclaimPolicy: Retain, hostPath: {{path: /none}}, {more}}}}}"
            ))
            .await?;
        sandbox.apply(&claim(name, &format!("{{{spec}, volumeName: {volume}}}"))).await?;
        let stalled = reason(&sandbox, "StorageClaim", name, "Stalled", why).await?;
        let said = message(&stalled, "Ready");
        ensure!(said.contains(&volume) && said.contains(told), "{said}");
        ensure!(condition(&stalled, "Reconciling").is_none(), "{}", stalled["status"]);
    }
    let volume = format!("{}-released", sandbox.namespace);
    let patch = r#"--patch=[{"op":"remove","path":"/spec/claimRef"}]"#;
    sandbox.kubectl(&["patch", "pv", &volume, "--type=json", patch]).await?;
    ready(&sandbox, "StorageClaim", "released").await?;
    sandbox.kubectl(&["delete", "storageclaim,pvc", "class"]).await?;
    sandbox
        .apply(&claim(
            "class",
            &format!("{{size: 1Gi, storageClassName: by-hand, volumeName: {}-class}}", sandbox.namespace),
        ))
        .await?;
    ready(&sandbox, "StorageClaim", "class").await?;
    Ok(())
}
