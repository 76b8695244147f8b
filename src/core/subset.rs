//! Whether a live object has everything we would apply.
//!
//! Defaults that the API server adds and fields of other managers are not differences. Lists that server-side apply
//! merges by key are compared by key, all others as a whole. Quantities compare by value.

use super::quantity::Quantity;
use serde_json::{Map, Value};

/// Whether `live` contains `wanted`. A wrong "no" costs one apply that changes nothing.
pub fn contains(live: &Value, wanted: &Value) -> bool {
    contains_at("", live, wanted)
}

/// The same for one top-level field of an object.
pub fn contains_at(field: &str, live: &Value, wanted: &Value) -> bool {
    compare(live, wanted, Place { field, parent: "" })
}

/// Where in the object a value stands: its field and the field that holds that one.
#[derive(Clone, Copy)]
struct Place<'a> {
    field: &'a str,
    parent: &'a str,
}

impl Place<'_> {
    fn is_quantity(self) -> bool {
        matches!(self.parent, "requests" | "limits") || matches!(self.field, "sizeLimit" | "divisor")
    }

    /// Keys by which server-side apply merges this list; empty for an atomic one.
    fn merge_keys(self) -> &'static [&'static str] {
        match (self.parent, self.field) {
            (_, "containers" | "initContainers" | "env" | "imagePullSecrets") | ("spec", "volumes") => &["name"],
            (_, "volumeMounts") => &["mountPath"],
            (_, "volumeDevices") => &["devicePath"],
            (_, "ownerReferences") => &["uid"],
            ("spec", "ports") => &["port", "protocol"],
            (_, "ports") => &["containerPort", "protocol"],
            (_, "hostAliases") => &["ip"],
            (_, "topologySpreadConstraints") => &["topologyKey", "whenUnsatisfiable"],
            _ => &[],
        }
    }
}

fn compare(live: &Value, wanted: &Value, place: Place<'_>) -> bool {
    match (wanted, live) {
        (Value::Object(wanted), Value::Object(live)) => contains_fields(live, wanted, place),
        (Value::Array(wanted), Value::Array(live)) => contains_items(live, wanted, place),
        (Value::Number(wanted), Value::Number(live)) => wanted.as_f64() == live.as_f64(),
        (Value::Bool(false), Value::Null) => !TRUE_BY_DEFAULT.contains(&place.field),
        (_, Value::Null) => is_empty(wanted),
        _ if place.is_quantity() => match (quantity(wanted), quantity(live)) {
            (Some(wanted), Some(live)) => wanted == live,
            _ => wanted == live,
        },
        _ => wanted == live,
    }
}

fn contains_fields(live: &Map<String, Value>, wanted: &Map<String, Value>, place: Place<'_>) -> bool {
    wanted.iter().all(|(key, value)| {
        let inner = Place { field: key, parent: place.field };
        compare(live.get(key).unwrap_or(&Value::Null), value, inner)
    })
}

fn contains_items(live: &[Value], wanted: &[Value], place: Place<'_>) -> bool {
    let keys = place.merge_keys();
    let inner = Place { field: place.field, parent: place.parent };
    if keys.is_empty() {
        return live.len() == wanted.len()
            && live.iter().zip(wanted).all(|(live, wanted)| compare(live, wanted, inner));
    }
    wanted.iter().all(|wanted| {
        live.iter().any(|live| {
            keys.iter().all(|key| live.get(key) == wanted.get(key) || wanted.get(key).is_none())
                && compare(live, wanted, inner)
        })
    })
}

/// Fields whose absence means true: a `false` that is gone from them is a difference.
const TRUE_BY_DEFAULT: [&str; 4] =
    ["allowPrivilegeEscalation", "automountServiceAccountToken", "enableServiceLinks", "allocateLoadBalancerNodePorts"];

/// An empty value that we apply may be left out by the API server, which omits empty fields.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.values().all(is_empty),
    }
}

fn quantity(value: &Value) -> Option<Quantity> {
    match value {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.to_string().parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::contains;
    use serde_json::{Value, json};

    fn deployment(container: &Value) -> Value {
        json!({"spec": {"template": {"spec": {"containers": [container]}}}})
    }

    #[test]
    fn defaults_and_foreign_fields_are_not_differences() {
        let wanted =
            deployment(&json!({"name": "a", "image": "x", "ports": [{"containerPort": 80, "protocol": "TCP"}]}));
        let live = json!({"spec": {"replicas": 1, "template": {"spec": {"restartPolicy": "Always", "containers": [
            {"name": "mesh", "image": "m"},
            {"name": "a", "image": "x", "imagePullPolicy": "Always", "ports": [{"containerPort": 80, "protocol": "TCP"}]}
        ]}}}});
        assert!(contains(&live, &wanted));
    }

    #[test]
    fn an_edited_field_is_a_difference() {
        let wanted = deployment(&json!({"name": "a", "image": "x"}));
        assert!(!contains(&deployment(&json!({"name": "a", "image": "y"})), &wanted));
        assert!(!contains(&deployment(&json!({"name": "b", "image": "x"})), &wanted));
        assert!(!contains(&json!({"spec": {}}), &wanted));
    }

    #[test]
    fn atomic_lists_compare_whole() {
        assert!(!contains(&json!({"args": ["a", "b"]}), &json!({"args": ["a"]})));
        assert!(!contains(&json!({"args": ["b", "a"]}), &json!({"args": ["a", "b"]})));
        assert!(contains(&json!({"args": ["a"]}), &json!({"args": ["a"]})));
    }

    #[test]
    fn quantities_compare_by_value_and_only_where_they_are_quantities() {
        let limits = |memory: &str| json!({"resources": {"limits": {"memory": memory}}});
        assert!(contains(&limits("1Gi"), &limits("1024Mi")));
        assert!(!contains(&limits("1Gi"), &limits("1G")));
        assert!(!contains(&json!({"labels": {"a": "1Gi"}}), &json!({"labels": {"a": "1024Mi"}})));
    }

    #[test]
    fn empty_values_may_be_absent() {
        assert!(contains(&json!({"env": [{"name": "A"}]}), &json!({"env": [{"name": "A", "value": ""}]})));
        assert!(!contains(&json!({}), &json!({"a": {"b": "c"}})));
    }
}
