//! One of several fields that exclude each other is declared in place of another one, which a second manager holds as well.

use crate::support::*;
use anyhow::{Context, Result, ensure};
use kube::api::{Patch, PatchParams};
use moorage_harness::ControlPlane;
use serde_json::{Value, json};
use std::sync::Arc;

crate::cases![the_member_that_is_declared_no_longer_goes];

const APP: &str = "
apiVersion: moorage.dev/v1alpha1
kind: App
metadata: {name: web}
spec:
  image: registry.example.com/team/web:1
  ports: [{port: 8080}]
  env: [{name: A, value: a}, {name: B, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]
  readinessProbe: {httpGet: {port: 8080}}
  lifecycle: {preStop: {sleep: {seconds: 1}}}
  volumes: [{name: scratch, mountPath: /scratch, emptyDir: {}}]
";

/// What a second manager holds as it stands.
fn held() -> Value {
    let container = json!({
        "name": "web",
        "env": [{"name": "A", "value": "a"}, {"name": "B", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}}],
        "readinessProbe": {"httpGet": {"port": 8080}, "periodSeconds": 7},
        "lifecycle": {"preStop": {"sleep": {"seconds": 1}}},
    });
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"template": {"spec": {
        "containers": [container], "volumes": [{"name": "scratch", "emptyDir": {}}],
    }}}})
}

async fn the_member_that_is_declared_no_longer_goes(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "unions").await?;
    sandbox.apply(APP).await?;
    ready(&sandbox, "App", "web").await?;
    let params = PatchParams::apply("team");
    api(&sandbox, "Deployment").patch("web", &params, &Patch::Apply(&held())).await?;
    ready(&sandbox, "App", "web").await?;
    let others = [
        json!({"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}, {"name": "B", "value": "b"}]}),
        json!({"readinessProbe": {"httpGet": null, "tcpSocket": {"port": 8080}}}),
        json!({"lifecycle": {"preStop": {"sleep": null, "exec": {"command": ["true"]}}}}),
        json!({"volumes": [{"name": "scratch", "mountPath": "/scratch", "configMap": {"name": "c", "optional": true}}]}),
    ];
    for spec in others {
        patch(&sandbox, "App", "web", &json!({"spec": spec})).await?;
        ready(&sandbox, "App", "web").await?;
    }
    let deployment = must_get(&sandbox, "Deployment", "web").await?;
    let pod = &deployment["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let field = json!({"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}});
    ensure!(container["env"] == json!([{"name": "A", "valueFrom": field}, {"name": "B", "value": "b"}]), "{container}");
    let probe = &container["readinessProbe"];
    ensure!(probe["tcpSocket"]["port"] == 8080 && probe.get("httpGet").is_none(), "{probe}");
    ensure!(probe["periodSeconds"] == 7, "what another manager holds beside stays: {probe}");
    ensure!(container["lifecycle"] == json!({"preStop": {"exec": {"command": ["true"]}}}), "{container}");
    let volume = &pod["volumes"][0];
    ensure!(volume["configMap"]["name"] == "c" && volume.get("emptyDir").is_none(), "{volume}");
    let told = told(&sandbox, "reason=FieldTakenOut", 5).await?.join("\n");
    ensure!(told.matches("so it was taken out").count() >= 5, "{told}");
    let field =
        "Deployment web: team held spec.template.spec.containers[name=web].env[name=A].value, which can't stand";
    told.contains(field).then_some(()).with_context(|| told.clone())
}
