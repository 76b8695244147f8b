//! What a CSV says of the kinds that it owns, for consoles that make forms of it: all of it from their schemas and the examples.

use crate::core::kind::ParentKind;
use crate::generate::crds::crd;
use crate::shell::kinds::MANAGED;
use serde_json::{Value, json};

/// The quickstart, as OLM's consoles offer it.
const SAMPLES: [&str; 4] = [
    include_str!("../../../examples/quickstart/web.yaml"),
    include_str!("../../../examples/quickstart/database.yaml"),
    include_str!("../../../examples/quickstart/claim.yaml"),
    include_str!("../../../examples/quickstart/registry.yaml"),
];

/// How consoles show a field that they know better than as text.
const SHOWN: [(&str, &str); 5] = [
    ("conditions", "urn:alm:descriptor:io.kubernetes.conditions"),
    ("imagePullPolicy", "urn:alm:descriptor:com.tectonic.ui:imagePullPolicy"),
    ("paused", "urn:alm:descriptor:com.tectonic.ui:booleanSwitch"),
    ("replicas", "urn:alm:descriptor:com.tectonic.ui:podCount"),
    ("resources", "urn:alm:descriptor:com.tectonic.ui:resourceRequirements"),
];

/// Every sample.
pub fn samples() -> Vec<Value> {
    SAMPLES.iter().map(|text| serde_saphyr::from_str(text).unwrap_or_default()).collect()
}

/// One kind, with what is made for it and what its fields are.
pub fn owned(kind: ParentKind) -> Value {
    let crd = crd(kind);
    let version = &crd["spec"]["versions"][0];
    let schema = &version["schema"]["openAPIV3Schema"];
    let samples = samples();
    let samples: Vec<&Value> = samples.iter().filter(|sample| sample["kind"] == kind.as_str()).collect();
    let described = |part: &str| {
        let within: Vec<&Value> = samples.iter().filter_map(|sample| sample.get(part)).collect();
        let mut found = Vec::new();
        describe(&mut found, "", &schema["properties"][part], &within);
        found
    };
    json!({
        "name": crd["metadata"]["name"],
        "kind": kind.as_str(),
        "version": version["name"],
        "displayName": words(kind.as_str()),
        "description": schema["description"],
        "resources": resources(kind),
        "specDescriptors": described("spec"),
        "statusDescriptors": described("status"),
    })
}

/// What the operator makes for an object of that kind. One that a CRD brings is named by that.
fn resources(kind: ParentKind) -> Vec<Value> {
    let rows = MANAGED.iter().filter(|row| row.parents.contains(&kind));
    let resource = |row: &crate::shell::kinds::Row| {
        let name = if row.group.contains('.') { row.definition() } else { String::new() };
        json!({"kind": row.kind.as_str(), "name": name, "version": row.versions[0]})
    };
    rows.map(resource).collect()
}

/// A descriptor for each field at the top, and for each one below that a sample has. What a list holds is described with the list.
fn describe(found: &mut Vec<Value>, path: &str, schema: &Value, samples: &[&Value]) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let within: Vec<&Value> = samples.iter().filter_map(|sample| sample.get(name)).collect();
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        if path == *name || !within.is_empty() {
            found.push(descriptor(&path, name, field));
        }
        if !within.is_empty() {
            describe(found, &path, field, &within);
        }
    }
}

fn descriptor(path: &str, name: &str, field: &Value) -> Value {
    let mut made = json!({"path": path, "displayName": words(path), "description": field["description"]});
    if let Some((_, shown)) = SHOWN.iter().find(|(known, _)| *known == name) {
        made["x-descriptors"] = json!([shown]);
    }
    made
}

/// `Pod Security Context` of `pod.securityContext`.
fn words(path: &str) -> String {
    let mut words = String::new();
    for part in path.split('.') {
        for (place, letter) in part.char_indices() {
            if !words.is_empty() && (place == 0 || letter.is_uppercase()) {
                words.push(' ');
            }
            if place == 0 { words.extend(letter.to_uppercase()) } else { words.push(letter) }
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::{describe, words};
    use serde_json::json;

    #[test]
    fn fields_are_called_by_words() {
        for (path, said) in [
            ("image", "Image"),
            ("pod.securityContext", "Pod Security Context"),
            ("App", "App"),
            ("StorageClaim", "Storage Claim"),
        ] {
            assert_eq!(words(path), said);
        }
    }

    #[test]
    fn what_is_at_the_top_or_in_a_sample_is_described() {
        let leaf = json!({"description": "one"});
        let schema = json!({"properties": {
            "pod": {"properties": {"labels": {"additionalProperties": leaf}, "name": leaf, "other": leaf}},
            "ports": {"items": {"properties": {"port": leaf}}},
            "unused": {"properties": {"within": leaf}},
        }});
        let samples =
            [json!({"pod": {"labels": {"team": "shop"}}}), json!({"pod": {"name": "a"}, "ports": [{"port": 1}]})];
        let mut found = Vec::new();
        describe(&mut found, "", &schema, &samples.iter().collect::<Vec<_>>());
        let paths: Vec<&str> = found.iter().filter_map(|one| one["path"].as_str()).collect();
        assert_eq!(paths, ["pod", "pod.labels", "pod.name", "ports", "unused"]);
    }
}
