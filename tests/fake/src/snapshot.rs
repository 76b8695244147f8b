//! The whole cluster as one comparable value.
//!
//! Two runs that end in the same state give equal snapshots: uids become the names of
//! what they identify, times and versions disappear, and `observedGeneration` says only
//! whether it is current. Events and leases record history and are left out.

use std::collections::BTreeMap;

use k8s_openapi::jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::Server;

const UID_PREFIX: &str = "00000000-0000-4000-8000-";
const UID_LENGTH: usize = 36;

impl Server {
    /// Every object, masked, by `Kind.group/namespace/name`.
    pub fn snapshot(&self) -> BTreeMap<String, Value> {
        let state = self.lock();
        let identity = |table: &crate::store::Table, key: &crate::store::Key| {
            format!("{}/{}/{}", table.resource.qualified_kind(), key.0, key.1)
        };
        let uid = |object: &Value| object["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
        let names = state.store.all().map(|(table, key, object)| (uid(object), identity(table, key))).collect();
        let lasting =
            state.store.all().filter(|(table, ..)| !matches!(table.resource.kind.as_str(), "Event" | "Lease"));
        lasting.map(|(table, key, object)| (identity(table, key), mask_object(object, &names))).collect()
    }
}

fn mask_object(object: &Value, names: &BTreeMap<String, String>) -> Value {
    let generation = object["metadata"]["generation"].clone();
    let mut masked = mask("", object, &generation, names);
    if let Some(meta) = masked["metadata"].as_object_mut() {
        for field in ["uid", "resourceVersion", "creationTimestamp", "generation"] {
            meta.remove(field);
        }
        let managers = meta.get("managedFields").and_then(Value::as_array).cloned().unwrap_or_default();
        let mut owners: Vec<_> = managers.iter().map(owner).collect();
        owners.sort_unstable();
        meta.insert("managedFields".to_owned(), json!(owners));
    }
    masked
}

fn owner(entry: &Value) -> String {
    let text = |field: &str| entry[field].as_str().unwrap_or_default();
    format!("{} {} {}", text("manager"), text("operation"), text("subresource"))
}

fn mask(key: &str, value: &Value, generation: &Value, names: &BTreeMap<String, String>) -> Value {
    match (key, value) {
        ("observedGeneration", observed) if observed == generation => json!("current"),
        ("observedGeneration", _) => json!("stale"),
        ("clusterIP" | "nodePort", allocated) if allocated != "None" => json!("<allocated>"),
        ("clusterIPs", _) => json!("<allocated>"),
        (_, Value::Object(map)) => {
            let masked = map.iter().map(|(key, child)| (key.clone(), mask(key, child, generation, names)));
            Value::Object(masked.collect::<Map<_, _>>())
        }
        (_, Value::Array(items)) => items.iter().map(|item| mask(key, item, generation, names)).collect(),
        (_, Value::String(text)) if text.parse::<Timestamp>().is_ok() => json!("<time>"),
        (_, Value::String(text)) => Value::String(mask_uids(text, names)),
        (_, other) => other.clone(),
    }
}

fn mask_uids(text: &str, names: &BTreeMap<String, String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(UID_PREFIX) {
        let end = (at + UID_LENGTH).min(rest.len());
        let name = rest.get(at..end).and_then(|uid| names.get(uid)).map_or("<gone>", String::as_str);
        out.push_str(&rest[..at]);
        out.extend(["<uid of ", name, ">"]);
        rest = rest.get(end..).unwrap_or_default();
    }
    out + rest
}
