//! What an existing object keeps from its making is no dead end: the object is made anew, or the message says what to do.

use crate::support::*;
use anyhow::{Context, Result, ensure};
use moorage_harness::{AuditEvent, ControlPlane, Sandbox, eventually};
use serde_json::{Value, json};
use std::sync::Arc;

crate::cases![
    a_service_of_ours_is_made_anew,
    what_somebody_made_immutable_is_made_anew,
    what_would_be_refused_stays,
    what_is_not_ours_to_delete_is_explained,
    what_would_cost_data_or_pods_is_explained,
    storage_of_an_app_stays_what_it_is,
];

/// Ways between an address, none, and a port on every node. Some are refused, in some the old value is kept without a word.
async fn a_service_of_ours_is_made_anew(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "fixed-service").await?;
    sandbox.apply(WEB).await?;
    ready(&sandbox, "App", "web").await?;
    let mark = control_plane.audit().mark()?;
    for (type_, headless, anew) in [
        ("ClusterIP", true, true),
        ("NodePort", false, true),
        ("ClusterIP", false, false),
        ("ClusterIP", true, true),
        ("ClusterIP", false, true),
    ] {
        let before = must_get(&sandbox, "Service", "web").await?["metadata"]["uid"].clone();
        patch(&sandbox, "App", "web", &json!({"spec": {"service": {"type": type_, "headless": headless}}})).await?;
        let what = format!("to be {type_}, headless: {headless}");
        let stands = |service: &Value| {
            let spec = &service["spec"];
            spec["type"] == type_ && spec["clusterIP"].is_string() && (spec["clusterIP"] == "None") == headless
        };
        // For a moment there is none.
        eventually(DEADLINE, &what, || async { Ok(get(&sandbox, "Service", "web").await?.filter(stands).map(drop)) })
            .await?;
        ready(&sandbox, "App", "web").await?;
        let after = must_get(&sandbox, "Service", "web").await?;
        ensure!(stands(&after) && (after["metadata"]["uid"] != before) == anew, "{what}: anew is {}", !anew);
    }
    let deletes = |event: &AuditEvent| event.verb == "delete" && event.resource == "services" && event.code == 200;
    exactly(&control_plane, &sandbox, mark, 4, deletes).await
}

/// Somebody protects our objects from change; the edit of their author counts more.
async fn what_somebody_made_immutable_is_made_anew(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "fixed-immutable").await?;
    sandbox.apply(IMAGES).await?;
    ready(&sandbox, "Registry", "images").await?;
    let uid = |object: &Value| object["metadata"]["uid"].clone();
    let config = uid(&must_get(&sandbox, "ConfigMap", "images-config").await?);
    patch(&sandbox, "ConfigMap", "images-config", &json!({"immutable": true})).await?;
    patch(&sandbox, "Registry", "images", &json!({"spec": {"readOnly": true}})).await?;
    ready(&sandbox, "Registry", "images").await?;
    let now = must_get(&sandbox, "ConfigMap", "images-config").await?;
    ensure!(uid(&now) != config && now["data"].to_string().contains("enabled: true"), "{now}");
    Ok(())
}

/// The new one is tried out first, once each time, so that there is a Service as long as it can't be had.
async fn what_would_be_refused_stays(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "fixed-refused").await?;
    let holder = "{apiVersion: v1, kind: Service, metadata: {name: holder}, spec: {type: NodePort, ports: [{port: 1, nodePort: 30071}]}}";
    sandbox.apply(holder).await?;
    sandbox.apply(&format!("{WEB}  service: {{headless: true}}\n")).await?;
    ready(&sandbox, "App", "web").await?;
    let before = must_get(&sandbox, "Service", "web").await?;
    let mark = control_plane.audit().mark()?;
    let open = |port: u16| json!({"spec": {"service": {"type": "NodePort", "headless": false}, "ports": [{"port": 8080, "nodePort": port}]}});

    patch(&sandbox, "App", "web", &open(30071)).await?;
    let told = reason(&sandbox, "App", "web", "Stalled", "Rejected").await?;
    let why = "Service web: spec.ports[0].nodePort: Invalid value: 30071: provided port is already allocated";
    ensure!(message(&told, "Ready").starts_with(why), "{}", message(&told, "Ready"));
    let stays = must_get(&sandbox, "Service", "web").await?;
    let (uid, gone) = (&stays["metadata"]["uid"], &stays["metadata"]["deletionTimestamp"]);
    ensure!(*uid == before["metadata"]["uid"] && gone.is_null() && stays["spec"]["clusterIP"] == "None", "{stays}");

    patch(&sandbox, "App", "web", &open(30072)).await?;
    eventually(DEADLINE, "the Service to have its port", || async {
        let has_port = |service: &Value| service["spec"]["ports"][0]["nodePort"] == 30072;
        Ok(get(&sandbox, "Service", "web").await?.filter(has_port).map(drop))
    })
    .await?;
    ready(&sandbox, "App", "web").await?;
    let of_services = |event: &AuditEvent| event.resource == "services" && event.name != "holder";
    let deletes = |event: &AuditEvent| of_services(event) && event.verb == "delete";
    exactly(&control_plane, &sandbox, mark, 1, deletes).await?;
    // Each event brings another try, and so refusals may be several.
    let taken = |event: &AuditEvent| of_services(event) && event.uri.contains("dryRun=All") && event.code < 400;
    exactly(&control_plane, &sandbox, mark, 1, taken).await
}

/// What a backup brought back without its owner is a copy of ours to change, not to delete.
async fn what_is_not_ours_to_delete_is_explained(control_plane: Arc<ControlPlane>) -> Result<()> {
    let marks = "annotations: {moorage.dev/applied-hash: 1a}, labels: {app.kubernetes.io/managed-by: moorage";
    for (namespace, parent, kind, name, object, told) in [
        (
            "fixed-theirs-service",
            ("App", "web", format!("{WEB}  service: {{headless: true}}\n")),
            "Service",
            "web",
            format!(
                "{{apiVersion: v1, kind: Service, metadata: {{name: web, {marks}, moorage.dev/app: web}}}}, spec: {{ports: [{{port: 1}}]}}}}"
            ),
            "spec.clusterIP",
        ),
        (
            "fixed-theirs-config",
            ("Registry", "images", IMAGES.to_owned()),
            "ConfigMap",
            "images-config",
            format!(
                "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: images-config, {marks}, moorage.dev/registry: images}}}}, immutable: true}}"
            ),
            "immutable",
        ),
    ] {
        let sandbox = sandbox(&control_plane, namespace).await?;
        sandbox.apply(&object).await?;
        explained(&sandbox, &parent, kind, name, told).await?;
        sandbox.kubectl(&["delete", kind, name]).await?;
        ready(&sandbox, parent.0, parent.1).await?;
    }
    Ok(())
}

async fn what_would_cost_data_or_pods_is_explained(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "fixed-kept").await?;
    sandbox
        .apply(
            "
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  annotations: {moorage.dev/applied-hash: 1a}
  labels: {app.kubernetes.io/managed-by: moorage, moorage.dev/app: web}
spec:
  selector: {matchLabels: {a: b}}
  template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: x}]}}
",
        )
        .await?;
    explained(&sandbox, &("App", "web", WEB.to_owned()), "Deployment", "web", "spec.selector").await?;

    sandbox
        .apply(
            "
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: old, annotations: {moorage.dev/adoptable: old}}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
",
        )
        .await?;
    let claim = "{apiVersion: moorage.dev/v1alpha1, kind: StorageClaim, metadata: {name: old}, spec: {size: 1Gi, accessModes: [ReadWriteMany], adopt: true}}";
    sandbox.apply(claim).await?;
    let told = reason(&sandbox, "StorageClaim", "old", "Stalled", "Rejected").await?;
    let says =
        "spec.accessModes: can't be changed to ReadWriteMany: PersistentVolumeClaim old has ReadWriteOnce; it stays";
    ensure!(message(&told, "Ready").starts_with(says), "{}", message(&told, "Ready"));
    Ok(())
}

/// Declares the storage of the shop's volume, and an image; what the API server says if it refuses.
async fn declare(sandbox: &Sandbox, name: &str, storage: &Value, tag: u8) -> Result<Option<String>> {
    let volumes = json!([{"name": "data", "mountPath": "/data", "storage": storage}]);
    let spec = json!({"volumes": volumes, "image": format!("registry.example.com/team/shop:{tag}")});
    match patch(sandbox, "App", name, &json!({"spec": spec})).await.map_err(anyhow::Error::downcast) {
        Ok(()) => Ok(None),
        Err(Ok(kube::Error::Api(status))) => Ok(Some(status.message)),
        Err(Ok(error)) => Err(error.into()),
        Err(Err(error)) => Err(error),
    }
}

/// Of an App's own storage the API server refuses a change once there is a volume. What it can't know the App tells in its own field,
/// and the rest of it goes on.
async fn storage_of_an_app_stays_what_it_is(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "fixed-storage").await?;
    sandbox.apply(SHOP).await?;
    ready(&sandbox, "App", "shop").await?;
    for (storage, tag, said) in [
        (
            json!({"size": "1Gi", "storageClassName": "other"}),
            1,
            "storageClassName: can't be changed from unset to other: ",
        ),
        (
            json!({"size": "1Gi", "storageClassName": "other"}),
            2,
            "storageClassName: can't be changed from unset to other: ",
        ),
        (
            json!({"size": "1Gi", "accessModes": ["ReadWriteMany"]}),
            2,
            "accessModes: can't be changed from unset to ReadWriteMany: ",
        ),
        (
            json!({"size": "1Gi", "volumeMode": "Filesystem"}),
            2,
            "volumeMode: can't be changed from unset to Filesystem: ",
        ),
        (json!({"size": "500Mi"}), 2, "size: can't be changed from 1Gi to 500Mi: "),
    ] {
        let refused = declare(&sandbox, "shop", &storage, tag).await?.context("it was taken")?;
        let words = format!("spec.volumes[0].storage.{said}StorageClaim shop-data ");
        ensure!(refused.contains(&words), "{refused}");
    }
    ensure!(declare(&sandbox, "shop", &json!({"size": "1024Mi"}), 2).await?.is_none(), "it is the same size");
    ready(&sandbox, "App", "shop").await?;

    // Of a volume that was taken out and comes back it can't know.
    patch(&sandbox, "App", "shop", &json!({"spec": {"volumes": null}})).await?;
    ready(&sandbox, "App", "shop").await?;
    ensure!(declare(&sandbox, "shop", &json!({"size": "1Gi", "storageClassName": "other"}), 3).await?.is_none());
    let told = reason(&sandbox, "App", "shop", "Stalled", "Rejected").await?;
    let says = "spec.volumes[0].storage.storageClassName: can't be changed to other: StorageClaim shop-data has kwok-volume; it stays, with its data";
    ensure!(message(&told, "Ready").starts_with(says), "{}", message(&told, "Ready"));
    until(&sandbox, "Deployment", "shop", "to have the new image", |deployment| {
        deployment["spec"]["template"]["spec"]["containers"][0]["image"] == "registry.example.com/team/shop:3"
    })
    .await?;
    ensure!(declare(&sandbox, "shop", &json!({"size": "1Gi"}), 3).await?.is_none(), "it can't be mended");
    ready(&sandbox, "App", "shop").await?;
    a_class_that_is_mistyped_can_be_mended(&sandbox).await
}

/// As long as there is no data, what is made by mistake is made anew by the very command that the App names.
async fn a_class_that_is_mistyped_can_be_mended(sandbox: &Sandbox) -> Result<()> {
    let typo = SHOP.replace("shop", "typo").replace("{size: 1Gi}", "{size: 1Gi, storageClassName: kwwok}");
    sandbox.apply(&typo).await?;
    reason(sandbox, "App", "typo", "Ready", "StorageNotReady").await?;
    ensure!(declare(sandbox, "typo", &json!({"size": "1Gi", "storageClassName": "kwok-volume"}), 1).await?.is_none());
    let told = reason(sandbox, "App", "typo", "Stalled", "Rejected").await?;
    let told = message(&told, "Ready");
    ensure!(told.starts_with("spec.volumes[0].storage.storageClassName: can't be changed to kwok-volume: "), "{told}");
    let (_, command) = told.split_once("kubectl ").context(told.to_owned())?;
    let command: Vec<&str> = command.split(')').next().unwrap_or_default().split_whitespace().collect();
    sandbox.kubectl(&command).await?;
    ready(sandbox, "App", "typo").await?;
    Ok(())
}

/// Declares the parent and waits until it tells of the field and what to do; the object stays.
async fn explained(
    sandbox: &Sandbox,
    parent: &(&str, &str, String),
    kind: &str,
    name: &str,
    field: &str,
) -> Result<()> {
    let before = must_get(sandbox, kind, name).await?["metadata"]["uid"].clone();
    sandbox.apply(&parent.2).await?;
    let told = reason(sandbox, parent.0, parent.1, "Stalled", "Rejected").await?;
    let message = message(&told, "Ready");
    ensure!(message.starts_with(&format!("{kind} {name}: {field} can't be changed once")), "{message}");
    let after = must_get(sandbox, kind, name).await.context(message.to_owned())?;
    ensure!(after["metadata"]["uid"] == before && after["metadata"]["deletionTimestamp"].is_null(), "it was deleted");
    Ok(())
}
