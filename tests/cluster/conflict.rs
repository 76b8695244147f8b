//! Objects of others are never touched, and the App says who holds the name.

use crate::support::*;
use anyhow::{Result, ensure};
use moorage_harness::{ControlPlane, Sandbox};
use serde_json::{Value, json};
use std::sync::Arc;

crate::cases![
    a_foreign_service_is_untouched,
    a_foreign_deployment_is_untouched,
    a_foreign_service_account_is_untouched,
    a_foreign_volume_claim_is_untouched,
    a_foreign_config_map_is_untouched,
    a_foreign_storage_claim_is_untouched,
    a_foreign_monitor_is_untouched,
    a_foreign_volume_is_not_mounted,
    a_service_with_copied_labels_stays,
    a_name_taken_later_is_respected,
    two_kinds_of_one_name_do_not_share,
];

async fn untouched(
    control_plane: &ControlPlane,
    namespace: &str,
    foreign: (&str, &str, &str),
    parent: (&str, &str, &str),
) -> Result<Sandbox> {
    let sandbox = sandbox(control_plane, namespace).await?;
    let (kind, name, yaml) = foreign;
    sandbox.apply(yaml).await?;
    let before = until(&sandbox, kind, name, "to be at rest", at_rest).await?;
    let (parent_kind, parent_name, parent_yaml) = parent;
    sandbox.apply(parent_yaml).await?;
    let object = reason(&sandbox, parent_kind, parent_name, "Stalled", "NameConflict").await?;
    ensure!(message(&object, "Ready").starts_with(&format!("{kind} {name}")), "{}", message(&object, "Ready"));
    let after = must_get(&sandbox, kind, name).await?;
    for part in ["spec", "data"] {
        ensure!(before[part] == after[part], "{part} changed");
    }
    ensure!(managers(&before) == managers(&after), "the operator wrote into a foreign {kind}");
    Ok(sandbox)
}

/// Whether no controller of the cluster's own has anything left to do on the object.
fn at_rest(object: &Value) -> bool {
    object["kind"] != "PersistentVolumeClaim" || object["status"]["phase"] == "Bound"
}

fn managers(object: &Value) -> Vec<String> {
    let fields = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let named = fields.iter().filter_map(|entry| entry["manager"].as_str().map(str::to_owned));
    named.filter(|manager| manager == "moorage").collect()
}

async fn a_foreign_service_is_untouched(control_plane: Arc<ControlPlane>) -> Result<()> {
    let foreign = "{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {ports: [{port: 1}]}}";
    let sandbox = untouched(&control_plane, "taken-service", ("Service", "web", foreign), ("App", "web", WEB)).await?;
    // Once the name is free, any touch of the App brings it home without further ado.
    sandbox.kubectl(&["delete", "service", "web"]).await?;
    sandbox.kubectl(&["annotate", "apps.moorage.dev", "web", "example.com/touch=1"]).await?;
    ready(&sandbox, "App", "web").await?;
    Ok(())
}

async fn a_foreign_deployment_is_untouched(control_plane: Arc<ControlPlane>) -> Result<()> {
    let foreign = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {a: b}}
  template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: x}]}}
";
    untouched(&control_plane, "taken-deployment", ("Deployment", "web", foreign), ("App", "web", WEB)).await?;
    Ok(())
}

async fn a_foreign_service_account_is_untouched(control_plane: Arc<ControlPlane>) -> Result<()> {
    let foreign = "{apiVersion: v1, kind: ServiceAccount, metadata: {name: web}}";
    let foreign = ("ServiceAccount", "web", foreign);
    let sandbox = untouched(&control_plane, "taken-account", foreign, ("App", "web", WEB)).await?;
    // Every namespace has an account of that name.
    sandbox.apply(&WEB.replace("name: web", "name: default")).await?;
    for name in ["web", "default"] {
        let app = reason(&sandbox, "App", name, "Stalled", "NameConflict").await?;
        let advice = format!("or set spec.serviceAccount.name: {name} to run the pods as it");
        ensure!(message(&app, "Ready").ends_with(&advice), "{}", message(&app, "Ready"));
        ensure!(get(&sandbox, "Deployment", name).await?.is_none(), "pods would run as a foreign account");
        patch(&sandbox, "App", name, &json!({"spec": {"serviceAccount": {"name": name}}})).await?;
        ready(&sandbox, "App", name).await?;
    }
    Ok(())
}

async fn a_foreign_volume_claim_is_untouched(control_plane: Arc<ControlPlane>) -> Result<()> {
    let foreign = "
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: shop-data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
";
    let claim =
        "{apiVersion: moorage.dev/v1alpha1, kind: StorageClaim, metadata: {name: shop-data}, spec: {size: 5Gi}}";
    let foreign = ("PersistentVolumeClaim", "shop-data", foreign);
    untouched(&control_plane, "taken-volume", foreign, ("StorageClaim", "shop-data", claim)).await?;
    Ok(())
}

async fn a_foreign_config_map_is_untouched(control_plane: Arc<ControlPlane>) -> Result<()> {
    let foreign = "{apiVersion: v1, kind: ConfigMap, metadata: {name: images-config}, data: {a: b}}";
    let foreign = ("ConfigMap", "images-config", foreign);
    let sandbox = untouched(&control_plane, "taken-config", foreign, ("Registry", "images", IMAGES)).await?;
    ensure!(get(&sandbox, "Deployment", "images").await?.is_none(), "pods would read a foreign configuration");
    Ok(())
}

async fn a_foreign_monitor_is_untouched(control_plane: Arc<ControlPlane>) -> Result<()> {
    for (kind, parent, endpoints) in [
        ("ServiceMonitor", ("App", "seen", SEEN), "endpoints"),
        ("PodMonitor", ("App", "counted", COUNTED), "podMetricsEndpoints"),
    ] {
        let name = parent.1;
        let foreign = format!(
            "{{apiVersion: monitoring.coreos.com/v1, kind: {kind}, metadata: {{name: {name}}},
              spec: {{selector: {{matchLabels: {{a: b}}}}, {endpoints}: [{{port: theirs}}]}}}}"
        );
        untouched(&control_plane, &format!("taken-{}", kind.to_lowercase()), (kind, name, &foreign), parent).await?;
    }
    Ok(())
}

async fn a_foreign_storage_claim_is_untouched(control_plane: Arc<ControlPlane>) -> Result<()> {
    let foreign =
        "{apiVersion: moorage.dev/v1alpha1, kind: StorageClaim, metadata: {name: shop-data}, spec: {size: 3Gi}}";
    let foreign = ("StorageClaim", "shop-data", foreign);
    let sandbox = sandbox(&control_plane, "taken-claim").await?;
    sandbox.apply(foreign.2).await?;
    ready(&sandbox, "StorageClaim", "shop-data").await?;
    sandbox.apply(SHOP).await?;
    reason(&sandbox, "App", "shop", "Stalled", "NameConflict").await?;
    ensure!(must_get(&sandbox, "StorageClaim", "shop-data").await?["spec"]["size"] == "3Gi");
    ensure!(get(&sandbox, "Deployment", "shop").await?.is_none(), "pods would mount the data of a foreign claim");
    Ok(())
}

/// The claim of an App is ours, the volume of its name is not: no pod may mount it, whatever it is called.
async fn a_foreign_volume_is_not_mounted(control_plane: Arc<ControlPlane>) -> Result<()> {
    let foreign = "
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: shop-data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
";
    let sandbox = sandbox(&control_plane, "not-mounted").await?;
    sandbox.apply(foreign).await?;
    sandbox.apply(SHOP).await?;
    let app = reason(&sandbox, "App", "shop", "Stalled", "StorageNotReady").await?;
    ensure!(message(&app, "Ready").contains("PersistentVolumeClaim shop-data"), "{}", message(&app, "Ready"));
    ensure!(get(&sandbox, "Deployment", "shop").await?.is_none(), "pods would mount a foreign volume");
    sandbox.kubectl(&["delete", "pvc", "shop-data"]).await?;
    // The claim tries again by itself; an edit makes it try at once.
    sandbox.kubectl(&["annotate", "storageclaim.moorage.dev", "shop-data", "look=again"]).await?;
    ready(&sandbox, "App", "shop").await?;
    Ok(())
}

/// `kubectl expose` copies the labels of what it exposes. They don't make the Service ours to delete or to change.
async fn a_service_with_copied_labels_stays(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "copied-labels").await?;
    sandbox.apply(WEB).await?;
    ready(&sandbox, "App", "web").await?;
    sandbox.kubectl(&["expose", "deployment", "web", "--name=web-extra", "--port=80"]).await?;
    let copy = must_get(&sandbox, "Service", "web-extra").await?;
    ensure!(copy["metadata"]["labels"]["moorage.dev/app"] == "web", "the labels were not copied: {copy}");
    patch(&sandbox, "App", "web", &json!({"spec": {"ports": null}})).await?;
    until_gone(&sandbox, "Service", "web").await?;
    ready(&sandbox, "App", "web").await?;
    let now = must_get(&sandbox, "Service", "web-extra").await?;
    ensure!(now["metadata"]["uid"] == copy["metadata"]["uid"] && now["metadata"]["deletionTimestamp"].is_null());
    // Nor to change.
    sandbox.kubectl(&["expose", "deployment", "web", "--port=80"]).await?;
    patch(&sandbox, "App", "web", &json!({"spec": {"ports": [{"port": 8080}]}})).await?;
    let app = reason(&sandbox, "App", "web", "Stalled", "NameConflict").await?;
    ensure!(message(&app, "Ready").starts_with("Service web"), "{}", message(&app, "Ready"));
    let theirs = must_get(&sandbox, "Service", "web").await?;
    ensure!(theirs["spec"]["ports"][0]["port"] == 80 && managers(&theirs).is_empty(), "{theirs}");
    Ok(())
}

/// Somebody deletes our Service and puts one of their own in its place before we can.
async fn a_name_taken_later_is_respected(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "taken-later").await?;
    sandbox.apply(WEB).await?;
    ready(&sandbox, "App", "web").await?;
    sandbox.operator.stop().await?;
    sandbox.kubectl(&["delete", "service", "web"]).await?;
    sandbox.kubectl(&["create", "service", "clusterip", "web", "--tcp=1234"]).await?;
    let mut sandbox = sandbox;
    sandbox.operator.restart().await?;
    let app = reason(&sandbox, "App", "web", "Stalled", "NameConflict").await?;
    ensure!(message(&app, "Ready").contains("Service web"), "{}", message(&app, "Ready"));
    ensure!(must_get(&sandbox, "Service", "web").await?["spec"]["ports"][0]["port"] == 1234);
    Ok(())
}

async fn two_kinds_of_one_name_do_not_share(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "one-name").await?;
    sandbox.apply(IMAGES).await?;
    ready(&sandbox, "Registry", "images").await?;
    sandbox.apply(&WEB.replace("name: web", "name: images")).await?;
    let app = reason(&sandbox, "App", "images", "Stalled", "NameConflict").await?;
    ensure!(message(&app, "Ready").contains("Registry images"), "the holder is named: {}", message(&app, "Ready"));
    ready(&sandbox, "Registry", "images").await?;
    Ok(())
}
