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

    sandbox.apply(SHOP).await?;
    ready(&sandbox, "App", "shop").await?;
    for (storage, told) in [
        (json!({"size": "1Gi", "accessModes": ["ReadWriteMany"]}), "spec.accessModes"),
        (json!({"size": "1Gi", "storageClassName": "other"}), "spec.storageClassName"),
    ] {
        let volumes = json!([{"name": "data", "mountPath": "/data", "storage": storage}]);
        patch(&sandbox, "App", "shop", &json!({"spec": {"volumes": volumes}})).await?;
        let stalled = |app: &Value| has_reason(app, "Stalled", "Rejected") && message(app, "Ready").contains(told);
        let app = until(&sandbox, "App", "shop", &format!("to tell of {told}"), stalled).await?;
        ensure!(
            message(&app, "Ready").starts_with(&format!("StorageClaim shop-data: {told} can't be changed")),
            "{}",
            message(&app, "Ready")
        );
    }

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
    explained(&sandbox, &("StorageClaim", "old", claim.to_owned()), "PersistentVolumeClaim", "old", "spec.accessModes")
        .await
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
