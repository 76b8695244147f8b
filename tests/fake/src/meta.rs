//! Small surgery on objects that the write verbs share: what a body may say about
//! status and system metadata, and when an object is finished with.

use serde_json::{Map, Value, json};

use crate::store::Store;
use crate::write::Write;

/// Metadata that the server writes and bodies cannot change.
const SYSTEM: [&str; 9] = [
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "managedFields",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
];

/// The live object with the body's status.
pub(crate) fn with_status_of(live: &Value, body: &Value) -> Value {
    let mut object = live.clone();
    copy(body, &mut object, "status");
    object
}

/// The body less everything but its identity and status.
pub(crate) fn status_only(body: &Value) -> Value {
    let mut out = json!({"apiVersion": body["apiVersion"], "kind": body["kind"]});
    copy(body, &mut out, "status");
    out
}

/// The body as the main endpoint reads it: without status where `/status` exists.
pub(crate) fn drop_status(write: &Write, mut body: Value) -> Value {
    if write.resource.status
        && let Some(map) = body.as_object_mut()
    {
        map.remove("status");
    }
    body
}

/// Sets or removes a top-level field so that it equals that of `from`.
pub(crate) fn copy(from: &Value, to: &mut Value, field: &str) {
    copy_within(from.as_object(), to.as_object_mut(), field);
}

fn copy_within(from: Option<&Map<String, Value>>, to: Option<&mut Map<String, Value>>, field: &str) {
    let Some(to) = to else { return };
    match from.and_then(|from| from.get(field)) {
        Some(value) => to.insert(field.to_owned(), value.clone()),
        None => to.remove(field),
    };
}

/// Restores what only the server writes.
pub(crate) fn keep_system_metadata(live: &Value, object: &mut Value) {
    if !object["metadata"].is_object() {
        object["metadata"] = json!({});
    }
    for field in SYSTEM {
        copy_within(live["metadata"].as_object(), object["metadata"].as_object_mut(), field);
    }
    for field in ["apiVersion", "kind"] {
        copy(live, object, field);
    }
}

/// The object under the name and namespace of the request.
pub(crate) fn named(write: &Write, mut object: Value) -> Value {
    object["metadata"]["name"] = json!(write.key.1);
    if let Some(meta) = object["metadata"].as_object_mut() {
        meta.remove("resourceVersion");
    }
    object
}

/// Everything whose change moves `generation`.
pub(crate) fn content(object: &Value) -> Map<String, Value> {
    let mut content = object.as_object().cloned().unwrap_or_default();
    content.retain(|key, _| key != "metadata" && key != "status");
    content
}

/// Whether nothing holds a deleted object back.
pub(crate) fn is_finished(object: &Value) -> bool {
    let none = |list: &Value| list.as_array().is_none_or(Vec::is_empty);
    let namespace = object["kind"] == "Namespace" && object["apiVersion"] == "v1";
    none(&object["metadata"]["finalizers"]) && (!namespace || none(&object["spec"]["finalizers"]))
}

/// Writes the finalizer that stands for a propagation policy.
pub(crate) fn set_propagation(object: &mut Value, policy: Option<&str>) {
    let Some(policy) = policy else { return };
    let mut list = object["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
    list.retain(|finalizer| finalizer != "orphan" && finalizer != "foregroundDeletion");
    match policy {
        "Orphan" => list.push(json!("orphan")),
        "Foreground" => list.push(json!("foregroundDeletion")),
        _ => {}
    }
    if let Some(meta) = object["metadata"].as_object_mut() {
        if list.is_empty() {
            meta.remove("finalizers");
        } else {
            meta.insert("finalizers".to_owned(), Value::Array(list));
        }
    }
}

/// Marks an object as being deleted.
pub(crate) fn mark_deleted(store: &Store, write: &Write, object: &mut Value) {
    object["metadata"]["deletionTimestamp"] = json!(store.now());
    object["metadata"]["deletionGracePeriodSeconds"] = json!(0);
    if let Some(generation) = object["metadata"]["generation"].as_i64() {
        object["metadata"]["generation"] = json!(generation + 1);
    }
    if write.resource.kind == "Namespace" {
        object["status"]["phase"] = json!("Terminating");
    }
}
