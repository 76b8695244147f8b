//! GET and LIST, and the metadata-only form of both.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::resource::Resource;
use crate::route::{Call, Query};
use crate::status::{Failure, Outcome};
use crate::store::Store;

/// GET of one object, or of its `/status` or `/scale`.
pub(crate) fn get(store: &Store, resource: &Resource, call: &Call) -> Outcome<Value> {
    let name = call.name.clone().unwrap_or_default();
    let key = (call.namespace.clone().unwrap_or_default(), name.clone());
    let object = store.get(&resource.id(), &key).ok_or_else(|| Failure::not_found(resource, &name))?;
    match call.subresource.as_deref() {
        Some("scale") => Ok(scale(&object.value)),
        _ => Ok(Value::clone(&object.value)),
    }
}

/// LIST with selectors and paging.
pub(crate) fn list(store: &mut Store, resource: &Resource, call: &Call, query: &Query) -> Outcome<Value> {
    let selector = query.selector()?;
    let asked = query.get("resourceVersion").parse::<u64>().unwrap_or_default();
    if asked > store.version {
        return Err(too_large(asked, store.version));
    }
    let mut items: Vec<Arc<Value>> = match query.get("continue") {
        "" => {
            let table = store.tables.get(&resource.id()).map(|table| &table.objects);
            let all = table.into_iter().flatten();
            let here = all.filter(|(key, _)| call.namespace.as_ref().is_none_or(|namespace| key.0 == *namespace));
            here.map(|(_, object)| Arc::clone(&object.value)).filter(|object| selector.matches(object)).collect()
        }
        token => store.pages.remove(token).ok_or_else(|| {
            let mut failure = Failure::expired();
            "The provided continue parameter is too old to display a consistent list result."
                .clone_into(&mut failure.message);
            failure
        })?,
    };
    let mut meta = json!({"resourceVersion": version_of(store, query)});
    let limit = query.get("limit").parse().unwrap_or(0);
    if limit > 0 && items.len() > limit {
        let rest = items.split_off(limit);
        let token = format!("{}-{}", version_of(store, query), store.count());
        meta["continue"] = json!(token);
        meta["remainingItemCount"] = json!(rest.len());
        store.pages.insert(token, rest);
    }
    let shown = items.iter().map(|object| as_item(resource, object));
    Ok(json!({
        "kind": format!("{}List", resource.kind), "apiVersion": resource.api_version(),
        "metadata": meta, "items": shown.collect::<Vec<_>>(),
    }))
}

/// A continued list keeps the version of its first page, so that a watch misses nothing.
fn version_of(store: &Store, query: &Query) -> String {
    let first = query.get("continue").split('-').next().unwrap_or_default();
    if first.is_empty() { store.version.to_string() } else { first.to_owned() }
}

/// Items of built-in lists carry neither apiVersion nor kind.
fn as_item(resource: &Resource, object: &Value) -> Value {
    let mut item = object.clone();
    if !resource.custom
        && let Some(map) = item.as_object_mut()
    {
        map.retain(|key, _| key != "apiVersion" && key != "kind");
    }
    item
}

/// What a client is told that knows more than this server.
pub(crate) fn too_large(asked: u64, current: u64) -> Failure {
    let mut failure = Failure::new(504, format!("Too large resource version: {asked}, current: {current}"));
    failure.details = json!({"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
        "retryAfterSeconds": 1});
    failure
}

/// The object as `autoscaling/v1 Scale`.
pub(crate) fn scale(object: &Value) -> Value {
    let meta = &object["metadata"];
    let selector = match &object["status"]["selector"] {
        Value::Null => labels_text(&object["spec"]["selector"]["matchLabels"]),
        text => text.as_str().unwrap_or_default().to_owned(),
    };
    let mut scale = json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": meta["name"], "namespace": meta["namespace"], "uid": meta["uid"],
            "resourceVersion": meta["resourceVersion"], "creationTimestamp": meta["creationTimestamp"],
        },
        "spec": {"replicas": object["spec"]["replicas"].as_i64().unwrap_or_default()},
        "status": {"replicas": object["status"]["replicas"].as_i64().unwrap_or_default()},
    });
    if !selector.is_empty() {
        scale["status"]["selector"] = json!(selector);
    }
    scale
}

fn labels_text(labels: &Value) -> String {
    let pairs = labels.as_object().into_iter().flatten();
    let pairs: Vec<_> = pairs.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
    pairs.join(",")
}

/// The object, or each item of a list, reduced to its metadata.
pub(crate) fn metadata_only(value: &Value) -> Value {
    if let Some(items) = value["items"].as_array() {
        let items: Vec<_> = items.iter().map(metadata_only).collect();
        return json!({
            "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1",
            "metadata": value["metadata"], "items": items,
        });
    }
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": value["metadata"]})
}
