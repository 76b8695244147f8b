//! The rules by which drift is told are the API server's own.

use anyhow::{Context, Result, ensure};
use moorage_harness::ControlPlane;
use serde_json::{Map, Value, json};
use std::path::Path;
use std::sync::Arc;

crate::cases![merge_rules_are_the_servers];

/// Where each kind of ours is described.
const KINDS: [(&str, &str); 10] = [
    ("ConfigMap", "api/v1"),
    ("Deployment", "apis/apps/v1"),
    ("PersistentVolumeClaim", "api/v1"),
    ("PodDisruptionBudget", "apis/policy/v1"),
    ("PodMonitor", "apis/monitoring.coreos.com/v1"),
    ("Secret", "api/v1"),
    ("Service", "api/v1"),
    ("ServiceAccount", "api/v1"),
    ("ServiceMonitor", "apis/monitoring.coreos.com/v1"),
    ("StorageClaim", "apis/moorage.dev/v1alpha1"),
];

/// `src/core/merge.json` is what stands in the server's `OpenAPI`, made short. If this fails after a change of the rig's
/// version, take over the file that it names.
async fn merge_rules_are_the_servers(control_plane: Arc<ControlPlane>) -> Result<()> {
    let mut lines = Vec::new();
    for (kind, path) in KINDS {
        let text = control_plane.run_kubectl(&["get", "--raw", &format!("/openapi/v3/{path}")]).await?;
        let document: Value = serde_json::from_str(&text)?;
        let schemas = document["components"]["schemas"].as_object().context("no schemas")?;
        let (group, version) = path.rsplit_once('/').unwrap_or_default();
        let group = group.strip_prefix("apis/").unwrap_or_default();
        let named = json!({"group": group, "kind": kind, "version": version});
        let is_kind = |schema: &&Value| schema["x-kubernetes-group-version-kind"] == json!([named]);
        let schema = schemas.values().find(is_kind).with_context(|| format!("no schema of {kind}"))?;
        lines.push(format!("\"{kind}\": {}", short(schemas, schema)));
    }
    let current = format!("{{\n{}\n}}\n", lines.join(",\n"));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (committed, fresh) = (root.join("src/core/merge.json"), root.join("target/tests/merge.json"));
    let same = std::fs::read_to_string(&committed).is_ok_and(|text| text == current);
    if !same {
        std::fs::write(&fresh, current)?;
    }
    ensure!(same, "{} is not what the server says, which is in {}", committed.display(), fresh.display());
    Ok(())
}

/// What of a schema tells how a value merges or compares; what follows the rule (maps merge by field, lists are atomic) is left
/// out.
fn short(schemas: &Map<String, Value>, schema: &Value) -> Value {
    let mut rules = Map::new();
    let reference = schema["$ref"].as_str().or_else(|| schema["allOf"][0]["$ref"].as_str());
    if let Some(name) = reference.and_then(|reference| reference.rsplit('/').next()) {
        if name.ends_with(".Quantity") {
            return json!({"quantity": true});
        }
        rules.extend(short(schemas, &schemas[name]).as_object().cloned().unwrap_or_default());
    }
    if schema["x-kubernetes-map-type"] == "atomic" {
        rules.insert("atomic".to_owned(), json!(true));
    }
    match schema["x-kubernetes-list-type"].as_str() {
        Some("map") => drop(rules.insert("keys".to_owned(), schema["x-kubernetes-list-map-keys"].clone())),
        Some("set") => drop(rules.insert("set".to_owned(), json!(true))),
        _ => {}
    }
    let mut fields = Map::new();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let inner = short(schemas, property);
        if name != "managedFields" && name != "status" && inner != json!({}) {
            fields.insert(name.clone(), inner);
        }
    }
    if !fields.is_empty() {
        rules.insert("fields".to_owned(), Value::Object(fields));
    }
    for (field, name) in [("items", "items"), ("additionalProperties", "values")] {
        let inner = schema.get(field).map_or(json!({}), |inner| short(schemas, inner));
        if inner != json!({}) {
            rules.insert(name.to_owned(), inner);
        }
    }
    Value::Object(rules)
}
