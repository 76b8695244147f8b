//! Zero values that Go's `omitempty` drops, and quantities.

use serde_json::{Map, Value};

use crate::quantity::canonical;

/// Maps whose keys are the user's: nothing inside them is ever dropped.
const FREE_MAPS: [&str; 10] = [
    "labels",
    "annotations",
    "data",
    "stringData",
    "binaryData",
    "matchLabels",
    "nodeSelector",
    "parameters",
    "volumeAttributes",
    "selector",
];

/// Text fields that are pointers, or always written, so that an empty text is a statement.
const KEPT_TEXTS: [&str; 6] =
    ["storageClassName", "volumeAttributesClassName", "service", "type", "apiGroup", "holderIdentity"];

/// Plain booleans and numbers, dropped when false or zero. Others are pointers and stay.
const DROPPED: [&str; 13] = [
    "readOnly",
    "stdin",
    "stdinOnce",
    "tty",
    "hostNetwork",
    "hostPID",
    "hostIPC",
    "paused",
    "publishNotReadyAddresses",
    "minReadySeconds",
    "initialDelaySeconds",
    "hostPort",
    "nodePort",
];

/// Maps that vanish when empty; other empty maps are statements (`emptyDir: {}`).
const DROPPED_MAPS: [&str; 9] =
    ["labels", "annotations", "data", "binaryData", "stringData", "nodeSelector", "matchLabels", "limits", "requests"];

/// Drops what the server would not store.
pub(super) fn zero_values(value: &mut Value) {
    match value {
        Value::Object(map) => {
            let ours = map.iter_mut().filter(|(key, child)| !is_free(key, child));
            ours.for_each(|(_, child)| zero_values(child));
            map.retain(|key, child| !is_omitted(key, child));
        }
        Value::Array(items) => items.iter_mut().for_each(zero_values),
        _ => {}
    }
}

/// A map of plain texts under one of the free names; a label selector is not one.
fn is_free(key: &str, child: &Value) -> bool {
    let texts = |map: &Map<String, Value>| map.values().all(Value::is_string);
    FREE_MAPS.contains(&key) && child.as_object().is_some_and(texts)
}

fn is_omitted(key: &str, value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty() && DROPPED_MAPS.contains(&key),
        Value::String(text) => text.is_empty() && !KEPT_TEXTS.contains(&key),
        Value::Bool(false) => DROPPED.contains(&key),
        Value::Number(number) => number.as_i64() == Some(0) && DROPPED.contains(&key),
        Value::Bool(true) => false,
    }
}

/// Brings every quantity into canonical form.
pub(super) fn quantities(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, child) in map.iter_mut() {
                match key.as_str() {
                    "limits" | "requests" | "capacity" | "allocatedResources" | "hard" => {
                        child.as_object_mut().into_iter().flatten().for_each(|(_, quantity)| store(quantity));
                    }
                    "sizeLimit" | "divisor" | "averageValue" => store(child),
                    _ => quantities(child),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(quantities),
        _ => {}
    }
}

fn store(quantity: &mut Value) {
    let text = match &*quantity {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return,
    };
    if let Some(stored) = canonical(&text) {
        *quantity = Value::String(stored);
    }
}
