//! What is wrong with a document that is meant to be one of ours, as the API server would say it, without one: its kind and version, and
//! whatever the schema of its CRD and the rules in it refuse, or drop.

use super::crds::crd;
use super::rule_check;
use crate::api::{API_VERSION, GROUP};
use crate::core::kind::ParentKind;
use regex::Regex;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// What a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Document {
    /// One of ours.
    Ours(ParentKind),
    /// Another API's, which is none of our business.
    Another,
}

/// What a document is.
///
/// # Errors
/// It is meant to be one of ours, or of anybody's, and names no kind that there is.
pub fn document(document: &Value) -> Result<Document, String> {
    let text = |field: &str| document[field].as_str().filter(|text| !text.is_empty());
    let (version, kind) = match (text("apiVersion"), text("kind")) {
        (None, _) => return Err("apiVersion: Required value".to_owned()),
        (_, None) => return Err("kind: Required value".to_owned()),
        (Some(version), Some(kind)) => (version, kind),
    };
    let kinds = || ParentKind::ALL.map(ParentKind::as_str).join(", ");
    if version.split_once('/').is_none_or(|(group, _)| group != GROUP) {
        return Ok(Document::Another);
    }
    if version != API_VERSION {
        return Err(format!("apiVersion: Unsupported value: {version:?}: supported: {API_VERSION}"));
    }
    ParentKind::named(kind)
        .map(Document::Ours)
        .ok_or_else(|| format!("kind: Unsupported value: {kind:?}: {API_VERSION} has {}", kinds()))
}

/// Made once, however many documents there are.
static CRDS: LazyLock<BTreeMap<ParentKind, Value>> =
    LazyLock::new(|| ParentKind::ALL.into_iter().map(|kind| (kind, crd(kind))).collect());

/// What the schema of its kind refuses in a document, or drops, each beginning with the field.
pub fn faults(kind: ParentKind, document: &Value) -> Vec<String> {
    let crd = CRDS.get(&kind).unwrap_or(&Value::Null);
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let mut found = rule_check::broken("", &schema["x-kubernetes-validations"], document);
    found.extend(metadata(&document["metadata"]));
    for (name, value) in document.as_object().into_iter().flatten() {
        match name.as_str() {
            "apiVersion" | "kind" | "metadata" => {}
            name => match schema["properties"].get(name) {
                Some(schema) => found.extend(refused(name, schema, value)),
                None => found.push(format!("{name}: unknown field")),
            },
        }
    }
    if document.get("spec").is_none() {
        found.push("spec: Required value".to_owned());
    }
    found
}

/// Fields of `metadata` (`ObjectMeta`).
const METADATA: [&str; 15] = [
    "name",
    "generateName",
    "namespace",
    "labels",
    "annotations",
    "finalizers",
    "ownerReferences",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
    "selfLink",
];

fn metadata(metadata: &Value) -> Vec<String> {
    let mut found = Vec::new();
    match metadata["name"].as_str() {
        None | Some("") => found.push("metadata.name: Required value".to_owned()),
        Some(name) if !is_name(name) => {
            found.push(format!(
                "metadata.name: Invalid value: {name:?}: must be lower-case letters, digits, '-' and '.'"
            ));
        }
        Some(_) => {}
    }
    let fields = metadata.as_object().into_iter().flatten();
    let unknown = fields.filter(|(field, _)| !METADATA.contains(&field.as_str()));
    found.extend(unknown.map(|(field, _)| format!("metadata.{field}: unknown field")));
    for field in ["labels", "annotations"] {
        let entries = metadata[field].as_object().into_iter().flatten();
        let texts = entries.filter(|(_, value)| !value.is_string());
        found.extend(texts.map(|(key, _)| format!("metadata.{field}[{key:?}]: Invalid value: must be of type string")));
    }
    found
}

/// Whether it is an RFC 1123 subdomain.
fn is_name(name: &str) -> bool {
    let is_edge =
        |letter: Option<char>| letter.is_some_and(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit());
    let is_part = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "-.".contains(letter);
    name.len() <= 253 && name.chars().all(is_part) && is_edge(name.chars().next()) && is_edge(name.chars().next_back())
}

/// What a schema refuses in a value, or drops. A word of it that is not understood is a fault as well.
pub fn refused(path: &str, schema: &Value, value: &Value) -> Vec<String> {
    let words = schema.as_object().into_iter().flatten();
    let mut found: Vec<String> = words.flat_map(|(word, bound)| broken(path, schema, word, bound, value)).collect();
    for (name, inner) in value.as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        match schema["properties"].get(name).or_else(|| schema.get("additionalProperties")) {
            Some(schema) => found.extend(refused(&path, schema, inner)),
            None => found.push(format!("{path}: unknown field")),
        }
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        found.extend(refused(&format!("{path}[{index}]"), &schema["items"], item));
    }
    found
}

/// What one word of a schema refuses.
fn broken(path: &str, schema: &Value, word: &str, bound: &Value, value: &Value) -> Vec<String> {
    match word {
        "description"
        | "title"
        | "properties"
        | "additionalProperties"
        | "items"
        | "default"
        | "nullable"
        | "x-kubernetes-list-type"
        | "x-kubernetes-preserve-unknown-fields" => Vec::new(),
        "x-kubernetes-validations" => rule_check::broken(path, bound, value),
        "type" => {
            let is = match bound.as_str() {
                Some("object") => value.is_object(),
                Some("array") => value.is_array(),
                Some("string") => value.is_string(),
                Some("integer") => value.is_i64(),
                Some("boolean") => value.is_boolean(),
                _ => false,
            };
            invalid(path, value, is, &format!("must be of type {}", bound.as_str().unwrap_or_default()))
        }
        "x-kubernetes-int-or-string" => {
            invalid(path, value, value.is_i64() || value.is_string(), "must be an integer or a string")
        }
        "required" => {
            let names = bound.as_array().into_iter().flatten().filter_map(Value::as_str);
            let missing = names.filter(|name| value.is_object() && value.get(name).is_none());
            missing.map(|name| format!("{path}.{name}: Required value")).collect()
        }
        "maxLength" | "maxItems" | "minItems" | "maxProperties" | "minimum" | "maximum" => {
            beyond(path, word, bound, value)
        }
        "not" => invalid(path, value, !refused(path, bound, value).is_empty(), &format!("must not be {bound}")),
        "enum" => {
            let choices = bound.as_array().map(Vec::as_slice).unwrap_or_default();
            let names: Vec<String> = choices.iter().map(ToString::to_string).collect();
            let told = format!("{path}: Unsupported value: {:.80}: supported: {}", value.to_string(), names.join(", "));
            if choices.contains(value) { Vec::new() } else { vec![told] }
        }
        "pattern" => {
            let pattern = bound.as_str().and_then(|pattern| Regex::new(pattern).ok());
            let fits = value.as_str().is_none_or(|text| pattern.is_some_and(|pattern| pattern.is_match(text)));
            invalid(path, value, fits, &format!("must match {bound}"))
        }
        "format" => {
            let fits = match bound.as_str() {
                Some("int32") => value.as_i64().is_none_or(|number| i32::try_from(number).is_ok()),
                Some("int64") => true,
                Some("date-time") => value.as_str().is_none_or(|text| text.parse::<jiff::Timestamp>().is_ok()),
                _ => false,
            };
            invalid(path, value, fits, &format!("must be of format {bound}"))
        }
        "x-kubernetes-list-map-keys" => duplicates(path, schema, bound, value),
        _ => vec![format!("{path}: its schema says {word}, which is not understood")],
    }
}

fn invalid(path: &str, value: &Value, fits: bool, what: &str) -> Vec<String> {
    let told = || format!("{path}: Invalid value: {:.80}: {what}", value.to_string());
    if fits { Vec::new() } else { vec![told()] }
}

/// A value that is larger or smaller than it may be; one of another type is not.
fn beyond(path: &str, word: &str, bound: &Value, value: &Value) -> Vec<String> {
    let length = |count: usize| u32::try_from(count).ok().map(f64::from);
    let items = || value.as_array().and_then(|items| length(items.len()));
    let (size, is_most, words) = match word {
        "maxLength" => (value.as_str().and_then(|text| length(text.chars().count())), true, "may not be longer than"),
        "maxItems" => (items(), true, "may not have more items than"),
        "minItems" => (items(), false, "may not have fewer items than"),
        "maxProperties" => {
            (value.as_object().and_then(|map| length(map.len())), true, "may not have more entries than")
        }
        "minimum" => (value.as_f64(), false, "may not be less than"),
        _ => (value.as_f64(), true, "may not be more than"),
    };
    let fits = size.zip(bound.as_f64()).is_none_or(|(size, bound)| if is_most { size <= bound } else { size >= bound });
    invalid(path, value, fits, &format!("{words} {bound}"))
}

/// Items of a list that have the same keys as an earlier one.
fn duplicates(path: &str, schema: &Value, keys: &Value, list: &Value) -> Vec<String> {
    let key = |item: &Value| -> Vec<String> {
        let keys = keys.as_array().into_iter().flatten().filter_map(Value::as_str);
        let default = |key: &str| schema["items"]["properties"][key]["default"].clone();
        keys.map(|key| item.get(key).cloned().unwrap_or_else(|| default(key)).to_string()).collect()
    };
    let mut seen = BTreeSet::new();
    let items = list.as_array().into_iter().flatten().enumerate();
    let again = items.filter(|(_, item)| !seen.insert(key(item)));
    again.map(|(index, item)| format!("{path}[{index}]: Duplicate value: {:.80}", key(item).join(", "))).collect()
}

#[cfg(test)]
mod tests {
    use super::{Document, ParentKind, document, faults};
    use serde_json::{Value, json};

    #[test]
    fn what_is_meant_to_be_ours_is_known_by_its_group() {
        for (version, kind, expected) in [
            ("moorage.dev/v1alpha1", "App", Ok(Document::Ours(ParentKind::App))),
            ("apps/v1", "Deployment", Ok(Document::Another)),
            ("v1", "Secret", Ok(Document::Another)),
            ("argoproj.io/v1alpha1", "App", Ok(Document::Another)),
            (
                "moorage.dev/v1alpha1",
                "Ap",
                Err("kind: Unsupported value: \"Ap\": moorage.dev/v1alpha1 has App, StorageClaim, Registry"),
            ),
            (
                "moorage.dev/v1",
                "App",
                Err("apiVersion: Unsupported value: \"moorage.dev/v1\": supported: moorage.dev/v1alpha1"),
            ),
            ("", "App", Err("apiVersion: Required value")),
            ("moorage.dev/v1alpha1", "", Err("kind: Required value")),
        ] {
            let found = document(&json!({"apiVersion": version, "kind": kind}));
            assert_eq!(found, expected.map_err(str::to_owned), "{version} {kind}");
        }
    }

    #[test]
    fn what_the_api_server_would_drop_or_refuse_is_named_with_its_field() {
        let of = |spec: Value| {
            faults(
                ParentKind::App,
                &json!({"apiVersion": "moorage.dev/v1alpha1", "kind": "App", "metadata": {"name": "a"}, "spec": spec}),
            )
        };
        for cpu in [json!("500m"), json!(1), json!(0.5)] {
            assert_eq!(of(json!({"image": "a", "resources": {"limits": {"cpu": cpu}}})), Vec::<String>::new());
        }
        for (spec, field) in [
            (json!({"image": "a", "imagee": "b"}), "spec.imagee: unknown field"),
            (json!({}), "spec.image: Required value"),
            (
                json!({"image": "a", "resources": {"limits": {"memory": "512MB"}}}),
                "spec.resources.limits.memory: Invalid value",
            ),
            (json!({"image": "a", "resources": {"limits": {"cpu": true}}}), "spec.resources.limits.cpu: Invalid value"),
            (json!({"image": "a", "replicas": "2"}), "spec.replicas: Invalid value"),
            (
                json!({"image": "a", "ports": [{"port": 80}, {"port": 80, "protocol": "TCP"}]}),
                "spec.ports[1]: Duplicate value",
            ),
        ] {
            let found = of(spec.clone());
            assert!(found.iter().any(|fault| fault.starts_with(field)), "{spec}: {found:?}");
        }
        let named =
            |metadata: Value| faults(ParentKind::StorageClaim, &json!({"metadata": metadata, "spec": {"size": "1Gi"}}));
        assert_eq!(named(json!({"name": "a.b", "labels": {"a": "b"}})), Vec::<String>::new());
        for (metadata, field) in [
            (json!({"name": "Data_1"}), "metadata.name: Invalid value"),
            (json!({"name": "a", "lables": {}}), "metadata.lables: unknown field"),
            (json!({"name": "a", "labels": {"a": 1}}), "metadata.labels[\"a\"]: Invalid value"),
        ] {
            let found = named(metadata.clone());
            assert!(found.iter().any(|fault| fault.starts_with(field)), "{metadata}: {found:?}");
        }
        let empty = faults(ParentKind::App, &json!({"specs": {}}));
        for field in ["metadata.name: Required value", "spec: Required value", "specs: unknown field"] {
            assert!(empty.iter().any(|fault| fault == field), "{field}: {empty:?}");
        }
    }
}
