//! Drift is repaired for every kind, edited or deleted, with exactly one write.

use crate::support::*;
use anyhow::{Context, Result, ensure};
use moorage_harness::{ControlPlane, Sandbox};
use serde_json::{Value, json};
use std::sync::Arc;

crate::cases![
    edited_children_are_repaired,
    removed_declarations_come_back,
    deleted_children_come_back,
    deleted_storage_comes_back,
    a_lost_label_comes_back,
    foreign_fields_survive,
    what_others_let_pods_do_is_told,
    pull_secrets_of_others_survive,
];

/// A child of every kind, and an edit that makes it differ from what is declared.
fn children() -> Vec<(&'static str, &'static str, Value)> {
    let replaced = |key: &str| json!({"metadata": {"labels": {key: null}}});
    vec![
        ("ServiceAccount", "shop", json!({"automountServiceAccountToken": true})),
        ("StorageClaim", "shop-data", replaced("app.kubernetes.io/name")),
        (
            "PersistentVolumeClaim",
            "shop-data",
            json!({"metadata": {"annotations": {"moorage.dev/claim-uid": "forged"}}}),
        ),
        ("Service", "shop", json!({"spec": {"selector": {"moorage.dev/app": "other"}}})),
        ("Deployment", "shop", json!({"spec": {"template": {"spec": {"containers": null}}}})),
        ("ConfigMap", "images-config", json!({"data": {"config.yml": "version: 0.1"}})),
        ("Service", "images", replaced("moorage.dev/registry")),
        ("ServiceMonitor", "seen", json!({"spec": {"endpoints": [{"port": "other"}]}})),
        ("PodMonitor", "counted", json!({"spec": {"podMetricsEndpoints": [{"portNumber": 1}]}})),
    ]
}

async fn converged(control_plane: &ControlPlane, name: &str) -> Result<Sandbox> {
    let sandbox = sandbox(control_plane, name).await?;
    sandbox.apply(SHOP).await?;
    sandbox.apply(IMAGES).await?;
    sandbox.apply(SEEN).await?;
    sandbox.apply(COUNTED).await?;
    for app in ["shop", "seen", "counted"] {
        ready(&sandbox, "App", app).await?;
    }
    ready(&sandbox, "Registry", "images").await?;
    Ok(sandbox)
}

async fn edited_children_are_repaired(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = converged(&control_plane, "drift-edit").await?;
    for (kind, name, mut edit) in children() {
        let before = must_get(&sandbox, kind, name).await?;
        if kind == "Deployment" {
            edit = json!({"spec": {"template": {"spec": {"containers": [
                {"name": "shop", "image": "registry.example.com/intruder:1"}
            ]}}}});
        }
        let mark = control_plane.audit().mark()?;
        patch(&sandbox, kind, name, &edit).await.with_context(|| format!("edit {kind} {name}"))?;
        until(&sandbox, kind, name, "to be repaired", |object| repaired(&before, object)).await?;
        ready(&sandbox, "App", "shop").await?;
        exactly(&control_plane, &sandbox, mark, 1, |event| event.subresource.is_empty())
            .await
            .with_context(|| format!("after the edit of {kind} {name}"))?;
    }
    Ok(())
}

/// Whether everything declared is as it was.
fn repaired(before: &Value, now: &Value) -> bool {
    let part = |object: &Value, field: &str| object[field].clone();
    let metadata = |object: &Value| {
        json!([object["metadata"]["labels"], object["metadata"]["annotations"]["moorage.dev/claim-uid"]])
    };
    ["spec", "data", "automountServiceAccountToken"].iter().all(|field| part(before, field) == part(now, field))
        && metadata(before) == metadata(now)
}

/// What was declared and is gone is drift too: an annotation, and a `false` that would otherwise mean true.
async fn removed_declarations_come_back(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "drift-removed").await?;
    sandbox.apply(&format!("{WEB}  service: {{annotations: {{example.com/internal: 'yes'}}}}\n")).await?;
    ready(&sandbox, "App", "web").await?;
    for (kind, edit, wanted) in [
        (
            "Service",
            json!([{"op": "remove", "path": "/metadata/annotations/example.com~1internal"}]),
            "/metadata/annotations/example.com~1internal",
        ),
        (
            "ServiceAccount",
            json!([{"op": "remove", "path": "/automountServiceAccountToken"}]),
            "/automountServiceAccountToken",
        ),
        (
            "Deployment",
            json!([{"op": "remove", "path": "/spec/template/spec/containers/0/securityContext/allowPrivilegeEscalation"}]),
            "/spec/template/spec/containers/0/securityContext/allowPrivilegeEscalation",
        ),
    ] {
        let declared = must_get(&sandbox, kind, "web").await?.pointer(wanted).cloned();
        ensure!(declared.is_some(), "{kind} web has no {wanted}");
        let mark = control_plane.audit().mark()?;
        sandbox.kubectl(&["patch", kind, "web", "--type=json", "--patch", &edit.to_string()]).await?;
        until(&sandbox, kind, "web", "to be repaired", |object| object.pointer(wanted) == declared.as_ref()).await?;
        ready(&sandbox, "App", "web").await?;
        exactly(&control_plane, &sandbox, mark, 1, |event| event.subresource.is_empty()).await?;
    }
    Ok(())
}

async fn deleted_children_come_back(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = converged(&control_plane, "drift-delete").await?;
    for (kind, name, _) in children() {
        if kind == "PersistentVolumeClaim" || kind == "StorageClaim" {
            continue; // The next test: one is held by pods, the other has a volume to find again.
        }
        let uid = must_get(&sandbox, kind, name).await?["metadata"]["uid"].clone();
        let mark = control_plane.audit().mark()?;
        sandbox.kubectl(&["delete", kind, name, "--wait=false"]).await?;
        until(&sandbox, kind, name, "to be made again", |object| object["metadata"]["uid"] != uid).await?;
        exactly(&control_plane, &sandbox, mark, 1, |event| event.subresource.is_empty())
            .await
            .with_context(|| format!("after the deletion of {kind} {name}"))?;
        ready(&sandbox, "App", "shop").await?;
        ready(&sandbox, "Registry", "images").await?;
    }
    Ok(())
}

/// A deleted claim comes back and finds its volume; a deleted volume is held by Kubernetes while pods use it, and comes back,
/// empty, once they are gone.
async fn deleted_storage_comes_back(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = converged(&control_plane, "drift-storage").await?;
    let volume = must_get(&sandbox, "PersistentVolumeClaim", "shop-data").await?["metadata"]["uid"].clone();
    let claim = must_get(&sandbox, "StorageClaim", "shop-data").await?["metadata"]["uid"].clone();
    let mark = control_plane.audit().mark()?;
    sandbox.kubectl(&["delete", "storageclaims.moorage.dev/shop-data", "--wait=false"]).await?;
    until(&sandbox, "StorageClaim", "shop-data", "to be made again", |object| object["metadata"]["uid"] != claim)
        .await?;
    ready(&sandbox, "StorageClaim", "shop-data").await?;
    ready(&sandbox, "App", "shop").await?;
    exactly(&control_plane, &sandbox, mark, 1, |event| {
        event.resource == "storageclaims" && event.subresource.is_empty()
    })
    .await?;
    let kept = must_get(&sandbox, "PersistentVolumeClaim", "shop-data").await?;
    ensure!(kept["metadata"]["uid"] == volume, "the volume was replaced");

    sandbox.kubectl(&["delete", "persistentvolumeclaim/shop-data", "--wait=false"]).await?;
    reason(&sandbox, "StorageClaim", "shop-data", "Ready", "VolumeDeleting").await?;
    let mark = control_plane.audit().mark()?;
    sandbox.kubectl(&["scale", "mapp/shop", "--replicas=0"]).await?;
    until(&sandbox, "PersistentVolumeClaim", "shop-data", "to be made again", |object| {
        object["metadata"]["uid"] != volume
    })
    .await?;
    ready(&sandbox, "StorageClaim", "shop-data").await?;
    exactly(&control_plane, &sandbox, mark, 1, |event| event.resource == "persistentvolumeclaims").await
}

/// Without the label the watches no longer tell of an object. What it is found by then: its owner, its annotation, our fields.
async fn a_lost_label_comes_back(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = converged(&control_plane, "drift-label").await?;
    for label in [Value::Null, json!("Helm")] {
        for (kind, name, _) in children() {
            let before = must_get(&sandbox, kind, name).await?;
            let mark = control_plane.audit().mark()?;
            let edit = json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": label}}});
            patch(&sandbox, kind, name, &edit).await?;
            let whole = |now: &Value| {
                let same = |field: &str| now["metadata"][field] == before["metadata"][field];
                same("uid") && same("labels") && same("ownerReferences") && same("deletionTimestamp")
            };
            until(&sandbox, kind, name, "to have its label again", whole).await?;
            // Between the edit and its repair stands a creation that is refused.
            exactly(&control_plane, &sandbox, mark, 2, |event| event.subresource.is_empty())
                .await
                .with_context(|| format!("{kind} {name}, {label}"))?;
            ready(&sandbox, "App", "shop").await?;
            ready(&sandbox, "Registry", "images").await?;
        }
    }
    Ok(())
}

async fn inject(sandbox: &Sandbox, operations: &Value) -> Result<()> {
    let (manager, operations) = ("--field-manager=sidecar-injector", operations.to_string());
    sandbox.kubectl(&["patch", "deployment", "web", "--type=json", manager, "-p", &operations]).await?;
    Ok(())
}

/// What changes what pods may do is told with field and manager, left, and told no longer when it is gone; the rest is not told.
async fn what_others_let_pods_do_is_told(control_plane: Arc<ControlPlane>) -> Result<()> {
    let mut sandbox = sandbox(&control_plane, "drift-added").await?;
    sandbox.apply(WEB).await?;
    ready(&sandbox, "App", "web").await?;
    let place = "/spec/template/spec";
    inject(
        &sandbox,
        &json!([
            {"op": "add", "path": format!("{place}/containers/-"), "value": {"name": "proxy", "image": "proxy:1"}},
            {"op": "add", "path": format!("{place}/hostPID"), "value": true},
            {"op": "add", "path": format!("{place}/containers/0/env"), "value": [{"name": "A", "value": "b"}]},
        ]),
    )
    .await?;
    let altered = |app: &Value| has_reason(app, "Altered", "FieldsAdded") && is_true(app, "Ready");
    let app = until(&sandbox, "App", "web", "to be Altered and Ready", altered).await?;
    let told = "Deployment web: sidecar-injector added spec.template.spec.hostPID; sidecar-injector added \
                spec.template.spec.containers[name=proxy]. ";
    ensure!(message(&app, "Altered").starts_with(told), "{}", message(&app, "Altered"));
    sandbox.operator.restart().await?;
    inject(
        &sandbox,
        &json!([
            {"op": "remove", "path": format!("{place}/containers/1")},
            {"op": "remove", "path": format!("{place}/hostPID")},
        ]),
    )
    .await?;
    until(&sandbox, "App", "web", "not to be Altered", |app| condition(app, "Altered").is_none()).await?;
    let deployment = must_get(&sandbox, "Deployment", "web").await?;
    ensure!(deployment.pointer(&format!("{place}/containers/0/env/0/name")) == Some(&json!("A")), "{deployment}");
    Ok(())
}

/// What others add to our objects is theirs: annotations, labels, an injected container, pull secrets.
async fn foreign_fields_survive(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = converged(&control_plane, "drift-foreign").await?;
    let mark = control_plane.audit().mark()?;
    let sidecar = json!({"metadata": {"annotations": {"example.com/note": "x"}}, "spec": {"template": {"metadata": {"labels": {"example.com/mesh": "on"}}}}});
    patch(&sandbox, "Deployment", "shop", &sidecar).await?;
    patch(&sandbox, "ServiceAccount", "shop", &json!({"imagePullSecrets": [{"name": "foreign"}]})).await?;
    patch(&sandbox, "App", "shop", &json!({"spec": {"env": [{"name": "A", "value": "b"}]}})).await?;
    let has_env = |object: &Value| object["spec"]["template"]["spec"]["containers"][0]["env"][0]["name"] == "A";
    let deployment = until(&sandbox, "Deployment", "shop", "to have the new env", has_env).await?;
    ready(&sandbox, "App", "shop").await?;
    ensure!(deployment["metadata"]["annotations"]["example.com/note"] == "x");
    ensure!(deployment["spec"]["template"]["metadata"]["labels"]["example.com/mesh"] == "on");
    ensure!(must_get(&sandbox, "ServiceAccount", "shop").await?["imagePullSecrets"][0]["name"] == "foreign");
    exactly(&control_plane, &sandbox, mark, 1, |event| event.subresource.is_empty()).await
}

/// The list is one value, which two managers can't share: a platform that adds its own to every account is not fought.
async fn pull_secrets_of_others_survive(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "pull-secrets").await?;
    let declare = |names: &[&str]| {
        let secrets: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
        json!({"spec": {"serviceAccount": {"imagePullSecrets": secrets}}})
    };
    let names = |account: &Value| -> Vec<String> {
        let secrets = account["imagePullSecrets"].as_array().into_iter().flatten();
        secrets.map(|secret| secret["name"].as_str().unwrap_or_default().to_owned()).collect()
    };
    sandbox.apply(WEB).await?;
    ready(&sandbox, "App", "web").await?;
    patch(&sandbox, "App", "web", &declare(&["team"])).await?;
    until(&sandbox, "ServiceAccount", "web", "to have the team's", |account| names(account) == ["team"]).await?;
    patch(
        &sandbox,
        "ServiceAccount",
        "web",
        &json!({"imagePullSecrets": [{"name": "team"}, {"name": "web-dockercfg-x"}]}),
    )
    .await?;
    for (declared, wanted) in [
        (vec!["other"], vec!["other", "web-dockercfg-x"]),
        (vec![], vec!["web-dockercfg-x"]),
        (vec!["team", "web-dockercfg-x"], vec!["team", "web-dockercfg-x"]),
    ] {
        patch(&sandbox, "App", "web", &declare(&declared)).await?;
        let what = format!("to have {wanted:?}");
        let account = until(&sandbox, "ServiceAccount", "web", &what, |account| names(account) == wanted).await?;
        ready(&sandbox, "App", "web").await?;
        let now = must_get(&sandbox, "ServiceAccount", "web").await?;
        ensure!(now["metadata"]["resourceVersion"] == account["metadata"]["resourceVersion"], "it is written again");
    }
    Ok(())
}
