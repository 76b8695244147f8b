//! What an administrator does with kubectl works as on any workload.

use crate::support::*;
use anyhow::{Context, Result, ensure};
use moorage_harness::ControlPlane;
use serde_json::{Value, json};
use std::sync::Arc;

crate::cases![
    rollout_restart_is_kept,
    scale_through_the_app,
    delete_in_the_background,
    delete_in_the_foreground,
    delete_and_orphan,
    rollout_undo,
    what_a_pod_may_say_is_taken_however_it_is_applied
];

/// As templates of charts and people leave it: numbers without quotes, and lists without items.
const LOOSE: &str = "
apiVersion: moorage.dev/v1alpha1
kind: App
metadata:
  name: web
  labels:
spec:
  image: registry.example.com/team/web:1
  command:
  args:
  env:
  envFrom:
  ports:
    - {port: 8080, name: , protocol: TCP}
  volumes:
    - {name: scratch, mountPath: /scratch, emptyDir: {sizeLimit: }}
    - {name: data, mountPath: /data, storage: {size: 1Gi, storageClassName: , accessModes: }}
  imagePullSecrets:
  resources: {requests: {cpu: 0.5, memory: 64Mi}, limits: {cpu: 1}, claims: }
  readinessProbe:
  lifecycle:
  securityContext:
  service: {annotations: }
  serviceAccount:
  rollout:
  monitoring:
  paused:
  pod:
    labels:
    nodeSelector:
    tolerations:
    terminationGracePeriodSeconds:
";

async fn what_a_pod_may_say_is_taken_however_it_is_applied(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "kubectl-loose").await?;
    let mut templates = Vec::new();
    for (name, how) in [("client", None), ("server", Some("--server-side"))] {
        let path = sandbox.work_dir().join(format!("{name}.yaml"));
        std::fs::write(&path, LOOSE.replace("name: web", &format!("name: {name}")))?;
        let path = path.display().to_string();
        let arguments: Vec<&str> = ["apply", "-f", &path].into_iter().chain(how).collect();
        sandbox.kubectl(&arguments).await?;
        ready(&sandbox, "App", name).await?;
        let container = &must_get(&sandbox, "Deployment", name).await?["spec"]["template"]["spec"]["containers"][0];
        templates.push((container["resources"].clone(), container["env"].clone()));
        ensure!(container["resources"]["requests"]["cpu"] == "500m", "{name}: {container}");
    }
    ensure!(templates[0] == templates[1], "{templates:?}");
    // What may not change is compared with what it was at each write, the operator's own ones included.
    let path = sandbox.work_dir().join("claim.yaml");
    std::fs::write(&path, LOOSE_CLAIM)?;
    sandbox.kubectl(&["apply", "--server-side", "-f", &path.display().to_string()]).await?;
    patch(&sandbox, "StorageClaim", "loose", &json!({"metadata": {"labels": {"a": "b"}}})).await?;
    until(&sandbox, "StorageClaim", "loose", "to have a status", |claim| condition(claim, "Ready").is_some()).await?;
    sandbox.kubectl(&["delete", "storageclaim", "loose"]).await?;
    Ok(())
}

/// Every field that may have no value has none.
const LOOSE_CLAIM: &str = "
apiVersion: moorage.dev/v1alpha1
kind: StorageClaim
metadata: {name: loose}
spec:
  size: 1Gi
  storageClassName:
  accessModes:
  selector:
  volumeName:
  adopt:
  deletionPolicy: Delete
";

async fn rollout_restart_is_kept(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "kubectl-restart").await?;
    sandbox.apply(WEB).await?;
    ready(&sandbox, "App", "web").await?;
    let mark = control_plane.audit().mark()?;
    sandbox.kubectl(&["rollout", "restart", "deployment/web"]).await?;
    sandbox.kubectl(&["rollout", "status", "deployment/web", "--timeout=60s"]).await?;
    ready(&sandbox, "App", "web").await?;
    let template = &must_get(&sandbox, "Deployment", "web").await?["spec"]["template"];
    ensure!(template["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"].is_string(), "{template}");
    exactly(&control_plane, &sandbox, mark, 0, |event| event.subresource.is_empty()).await
}

async fn scale_through_the_app(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "kubectl-scale").await?;
    sandbox.apply(WEB).await?;
    ready(&sandbox, "App", "web").await?;
    sandbox.kubectl(&["scale", "apps.moorage.dev/web", "--replicas=3"]).await?;
    until(&sandbox, "App", "web", "to have 3 ready pods", |app| app["status"]["readyReplicas"] == 3).await?;
    sandbox.kubectl(&["scale", "apps.moorage.dev/web", "--replicas=0"]).await?;
    until(&sandbox, "Deployment", "web", "to be scaled to 0", |object| object["spec"]["replicas"] == 0).await?;
    ready(&sandbox, "App", "web").await?;
    // Without replicas in the App, the Deployment's are its own, or an autoscaler's.
    patch(&sandbox, "App", "web", &serde_json::json!({"spec": {"replicas": null}})).await?;
    ready(&sandbox, "App", "web").await?;
    let mark = control_plane.audit().mark()?;
    sandbox.kubectl(&["scale", "deployment/web", "--replicas=2"]).await?;
    until(&sandbox, "App", "web", "to have 2 ready pods", |app| app["status"]["readyReplicas"] == 2).await?;
    exactly(&control_plane, &sandbox, mark, 0, |event| event.subresource.is_empty()).await
}

async fn delete_in_the_background(control_plane: Arc<ControlPlane>) -> Result<()> {
    delete(&control_plane, "kubectl-background", "background").await
}

async fn delete_in_the_foreground(control_plane: Arc<ControlPlane>) -> Result<()> {
    delete(&control_plane, "kubectl-foreground", "foreground").await
}

/// Everything of the App goes; its claim and its data stay.
async fn delete(control_plane: &ControlPlane, namespace: &str, cascade: &str) -> Result<()> {
    let sandbox = sandbox(control_plane, namespace).await?;
    sandbox.apply(SHOP).await?;
    ready(&sandbox, "App", "shop").await?;
    let mark = control_plane.audit().mark()?;
    sandbox.kubectl(&["delete", "apps.moorage.dev", "shop", &format!("--cascade={cascade}"), "--timeout=60s"]).await?;
    for (kind, name) in [("Deployment", "shop"), ("Service", "shop"), ("ServiceAccount", "shop")] {
        until_gone(&sandbox, kind, name).await?;
    }
    let claim = until(&sandbox, "StorageClaim", "shop-data", "to have no consumer", |claim| {
        claim["status"]["consumers"].is_null() && is_true(claim, "Ready")
    })
    .await?;
    ensure!(has_reason(&claim, "InUse", "NotMounted"), "{}", claim["status"]);
    must_get(&sandbox, "PersistentVolumeClaim", "shop-data").await?;
    exactly(control_plane, &sandbox, mark, 0, |event| event.verb == "delete").await
}

/// What is orphaned keeps running, and an App of the same name takes it back without a restart.
async fn delete_and_orphan(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "kubectl-orphan").await?;
    sandbox.apply(WEB).await?;
    ready(&sandbox, "App", "web").await?;
    let before = must_get(&sandbox, "Deployment", "web").await?;
    sandbox.kubectl(&["delete", "apps.moorage.dev", "web", "--cascade=orphan", "--timeout=60s"]).await?;
    let orphaned = until(&sandbox, "Deployment", "web", "to have no owner", |object| {
        object["metadata"]["ownerReferences"].as_array().is_none_or(Vec::is_empty)
    })
    .await?;
    ensure!(orphaned["metadata"]["uid"] == before["metadata"]["uid"]);
    sandbox.apply(WEB).await?;
    ready(&sandbox, "App", "web").await?;
    let after = must_get(&sandbox, "Deployment", "web").await?;
    ensure!(after["metadata"]["uid"] == before["metadata"]["uid"], "the Deployment was made anew");
    ensure!(after["spec"]["template"] == before["spec"]["template"], "the pods were restarted");
    Ok(())
}

/// What acts on the Deployment alone is taken back, as the App declares otherwise, and an Event tells how to do it instead.
async fn rollout_undo(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "kubectl-undo").await?;
    sandbox.apply(WEB).await?;
    ready(&sandbox, "App", "web").await?;
    let image = "registry.example.com/team/web:2";
    patch(&sandbox, "App", "web", &json!({"spec": {"image": image}})).await?;
    let is_declared = |object: &Value| object["spec"]["template"]["spec"]["containers"][0]["image"] == image;
    let before = until(&sandbox, "Deployment", "web", "to have the new image", is_declared).await?;
    sandbox.kubectl(&["rollout", "undo", "deployment/web"]).await?;
    let is_repaired =
        |object: &Value| is_declared(object) && object["metadata"]["generation"] != before["metadata"]["generation"];
    until(&sandbox, "Deployment", "web", "to have the declared image again", is_repaired).await?;
    let told = told(&sandbox, "reason=DriftReverted", 1).await?.join("\n");
    for part in ["Deployment web: kubectl", "spec.template.spec.containers[name=web].image", "`kubectl rollout undo`"] {
        ensure!(told.contains(part), "{told}");
    }
    ready(&sandbox, "App", "web").await?;
    // The line that it tells does it.
    let (_, line) = told.split_once("spec.rollout.toRevision: ").context("no line to do it by")?;
    let number: i64 = line.chars().take_while(char::is_ascii_digit).collect::<String>().parse()?;
    patch(&sandbox, "App", "web", &json!({"spec": {"rollout": {"toRevision": number}}})).await?;
    reason(&sandbox, "App", "web", "Ready", "RolledBack").await?;
    let is_first = |object: &Value| {
        object["spec"]["template"]["spec"]["containers"][0]["image"] == "registry.example.com/team/web:1"
    };
    until(&sandbox, "Deployment", "web", "to have the first image", is_first).await?;
    Ok(())
}
