//! Whatever somebody does to a field that is ours is repaired by one write. Which fields those are, the API server says itself.

use crate::support::*;
use anyhow::{Context, Result, ensure};
use kube::Error;
use kube::api::{DynamicObject, Patch, PatchParams};
use moorage_harness::{ControlPlane, Sandbox, eventually};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

crate::cases![every_edit_of_what_is_ours_is_repaired, a_swapped_member_of_a_union_is_told];

/// An App with values that are empty, that have several spellings, and that are one value although they look like many. No pod
/// runs, so that no edit costs a rollout.
const RICH: &str = "
apiVersion: moorage.dev/v1alpha1
kind: App
metadata: {name: NAME}
spec:
  image: registry.example.com/team/rich:1
  replicas: 0
  args: [serve, --all]
  ports: [{name: http, port: 80, containerPort: 8080}]
  env:
    - {name: EMPTY, value: ''}
    - {name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
    - {name: PASSWORD, valueFrom: {secretKeyRef: {name: database, key: password}}}
  readinessProbe: {httpGet: {path: /ready, port: http}, initialDelaySeconds: 0}
  resources: {requests: {cpu: 100m, memory: 0.5Gi}, limits: {memory: 1Gi}}
  securityContext: {readOnlyRootFilesystem: false}
  pod:
    nodeSelector: {kubernetes.io/arch: amd64}
    tolerations: [{key: dedicated, operator: Equal, value: shop, effect: NoSchedule}]
    terminationGracePeriodSeconds: 0
  service: {annotations: {example.com/internal: 'yes'}}
  monitoring: {path: /stats, interval: 1m, labels: {release: stack}}
  volumes:
    - {name: scratch, mountPath: /tmp, emptyDir: {}}
    - {name: certs, mountPath: /certs, readOnly: true, secret: {secretName: tls, defaultMode: 256}}
";

const CHILDREN: [&str; 4] = ["ServiceAccount", "Deployment", "Service", "ServiceMonitor"];

/// So many edits of one object are no fight yet.
const FEW: usize = 4;

fn rich(name: &str) -> String {
    RICH.replace("NAME", name)
}

async fn every_edit_of_what_is_ours_is_repaired(control_plane: Arc<ControlPlane>) -> Result<()> {
    let mut sandbox = sandbox(&control_plane, "owned").await?;
    sandbox.apply(&rich("rich")).await?;
    ready(&sandbox, "App", "rich").await?;
    let mut accepted = Vec::new();
    for kind in CHILDREN {
        let edits = edits(&must_get(&sandbox, kind, "rich").await?);
        for (group, edits) in edits.chunks(FEW).enumerate() {
            let name = format!("{}-{group}", kind.to_lowercase());
            sandbox.apply(&rich(&name)).await?;
            ready(&sandbox, "App", &name).await?;
            for edit in edits {
                if is_repaired_by_one_write(&control_plane, &sandbox, kind, &name, edit)
                    .await
                    .with_context(|| format!("{kind} {name}: after {edit}"))?
                {
                    accepted.push((kind, edit.clone()));
                }
            }
        }
    }
    ensure!(accepted.len() > 60, "only {} edits were accepted", accepted.len());

    let kinds: BTreeSet<&str> = accepted.iter().map(|(kind, _)| *kind).collect();
    ensure!(kinds.len() == CHILDREN.len(), "edits were accepted of {kinds:?} only");

    // The same, while no operator watches. Without its labels and its owner an object would be nobody's.
    accepted.retain(|(_, edit)| edit[0]["path"].as_str().is_some_and(|path| !path.starts_with("/metadata")));
    let mut before = Vec::new();
    for kind in CHILDREN {
        before.push((kind, must_get(&sandbox, kind, "rich").await?));
    }
    sandbox.operator.stop().await?;
    for (kind, edit) in &accepted {
        changes(&sandbox, kind, "rich", edit).await?;
    }
    let mark = control_plane.audit().mark()?;
    sandbox.operator.restart().await?;
    for (kind, before) in &before {
        as_before(&sandbox, kind, "rich", before).await.context("after all edits together")?;
    }
    exactly(&control_plane, &sandbox, mark, CHILDREN.len(), |event| event.subresource.is_empty()).await
}

/// Makes an edit and fails unless it is taken back by one write. False if the API server refuses it.
async fn is_repaired_by_one_write(
    control_plane: &ControlPlane,
    sandbox: &Sandbox,
    kind: &str,
    name: &str,
    edit: &Value,
) -> Result<bool> {
    let (before, mark) = (must_get(sandbox, kind, name).await?, control_plane.audit().mark()?);
    if !changes(sandbox, kind, name, edit).await? {
        return Ok(false);
    }
    as_before(sandbox, kind, name, &before).await?;
    exactly(control_plane, sandbox, mark, 1, |event| event.subresource.is_empty()).await?;
    Ok(true)
}

/// A volume can't have two sources. One that the operator may write in no object it can't take out either: the status says which it
/// is and who holds it, until somebody takes it out.
async fn a_swapped_member_of_a_union_is_told(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "union").await?;
    sandbox.apply(&rich("rich")).await?;
    ready(&sandbox, "App", "rich").await?;
    let volume = "/spec/template/spec/volumes/0";
    let swap = json!([
        {"op": "remove", "path": format!("{volume}/emptyDir")},
        {"op": "add", "path": format!("{volume}/hostPath"), "value": {"path": "/"}},
    ]);
    ensure!(changes(&sandbox, "Deployment", "rich", &swap).await?);
    let app = reason(&sandbox, "App", "rich", "Stalled", "Rejected").await?;
    let said = message(&app, "Stalled");
    for part in [
        "volumes[0].hostPath",
        "holds spec.template.spec.volumes[name=scratch].hostPath",
        "kubectl edit deployment rich",
    ] {
        ensure!(said.contains(part), "{said}");
    }
    let back = json!([
        {"op": "remove", "path": format!("{volume}/hostPath")},
        {"op": "add", "path": format!("{volume}/emptyDir"), "value": {}},
    ]);
    ensure!(changes(&sandbox, "Deployment", "rich", &back).await?);
    ready(&sandbox, "App", "rich").await?;
    Ok(())
}

/// Edits of everything in an object that is ours: taken out, changed, added to.
fn edits(object: &Value) -> Vec<Value> {
    let entries = object["metadata"]["managedFields"].as_array().into_iter().flatten();
    let ours = entries.filter(|entry| entry["manager"] == "moorage" && entry["operation"] == "Apply");
    let mut paths = Vec::new();
    for entry in ours {
        walk(object, &entry["fieldsV1"], "", &Value::Null, &mut paths);
    }
    // Without the label by which it is watched an object is not seen any more: that is found out by a refused creation.
    paths.retain(|path| path != "/metadata/labels/app.kubernetes.io~1managed-by");
    let edits = paths.iter().flat_map(|path| {
        let value = object.pointer(path).cloned().unwrap_or_default();
        let changed = match &value {
            Value::String(text) => json!(format!("{text}x")),
            Value::Number(number) => json!(number.as_i64().unwrap_or_default() + 1),
            Value::Bool(flag) => json!(!flag),
            Value::Object(_) | Value::Array(_) | Value::Null => Value::Null,
        };
        let edit = |op: &str, path: &str, value: &Value| json!([{"op": op, "path": path, "value": value}]);
        let more = match &value {
            Value::Object(_) => Some(edit("add", &format!("{path}/added"), &json!("x"))),
            Value::Array(items) => Some(edit("add", &format!("{path}/-"), items.first().unwrap_or(&json!("x")))),
            _ => None,
        };
        let change = (!changed.is_null()).then(|| edit("replace", path, &changed));
        [Some(json!([{"op": "remove", "path": path}])), change, more].into_iter().flatten()
    });
    edits.collect()
}

/// The JSON pointers to every leaf, and to every item of a list, that a part of `fieldsV1` lists. By its keys an item is known:
/// with others it is another item, which is not ours.
fn walk(value: &Value, fields: &Value, path: &str, keys: &Value, paths: &mut Vec<String>) {
    let steps = fields.as_object().into_iter().flatten();
    let steps: Vec<_> =
        steps.filter(|(step, _)| *step != "." && keys.get(step.trim_start_matches("f:")).is_none()).collect();
    if steps.is_empty() || keys.is_object() {
        paths.push(path.to_owned());
    }
    for (step, inner) in steps {
        let (name, keys) = match step.split_once(':') {
            Some(("f", name)) => (name.replace('~', "~0").replace('/', "~1"), Value::Null),
            Some(("k", keys)) => {
                let keys = serde_json::from_str(keys).unwrap_or_default();
                (index(value, &keys).map(|index| index.to_string()).unwrap_or_default(), keys)
            }
            _ => continue,
        };
        if let Some(part) = value.pointer(&format!("/{name}")) {
            walk(part, inner, &format!("{path}/{name}"), &keys, paths);
        }
    }
}

fn index(list: &Value, keys: &Value) -> Option<usize> {
    let keys = keys.as_object()?;
    list.as_array()?.iter().position(|item| keys.iter().all(|(key, value)| item[key] == *value))
}

/// Makes an edit as a user does. False if the API server refuses it, or if it leaves everything as it was.
async fn changes(sandbox: &Sandbox, kind: &str, name: &str, edit: &Value) -> Result<bool> {
    let params = PatchParams { field_manager: Some("a-user".to_owned()), ..PatchParams::default() };
    let before = must_get(sandbox, kind, name).await?;
    let patch: Patch<DynamicObject> = Patch::Json(serde_json::from_value(edit.clone())?);
    match api(sandbox, kind).patch(name, &params, &patch).await {
        Ok(object) => Ok(lasting(&serde_json::to_value(object)?) != lasting(&before)),
        Err(Error::Api(status)) if [400, 422].contains(&status.code) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Waits until an object is what it was.
async fn as_before(sandbox: &Sandbox, kind: &str, name: &str, before: &Value) -> Result<()> {
    eventually(DEADLINE, &format!("{kind} {name} to be repaired"), || async {
        let now = must_get(sandbox, kind, name).await?;
        ensure!(lasting(&now) == lasting(before), "it is {}", lasting(&now));
        Ok(Some(()))
    })
    .await
}

/// What of an object no controller of the cluster writes.
fn lasting(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
    }
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.retain(|field, _| ["labels", "annotations", "ownerReferences"].contains(&field.as_str()));
    }
    if let Some(annotations) = object["metadata"]["annotations"].as_object_mut() {
        annotations.remove("deployment.kubernetes.io/revision");
    }
    object
}
