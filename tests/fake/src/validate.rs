//! Refusals that operators meet in practice: bad names and labels, immutable fields,
//! selectors that miss their own template, shrinking claims.

use serde_json::Value;

use crate::resource::Resource;
use crate::status::{Failure, Outcome};

/// Refuses an object that the real server would not store. `live` is what it replaces.
pub(crate) fn check(resource: &Resource, live: Option<&Value>, object: &Value) -> Outcome<()> {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let invalid = |why: String| Failure::invalid(resource, name, &why);
    check_name(resource, name).map_err(invalid)?;
    check_labels(object).map_err(invalid)?;
    if let Some(live) = live {
        check_finalizers(live, object).map_err(invalid)?;
    }
    if let Some(check) = resource.check {
        check(object).map_err(invalid)?;
    }
    if resource.custom {
        return Ok(());
    }
    let by_kind = match resource.kind.as_str() {
        "Deployment" => workload(live, object, &[]),
        "StatefulSet" => workload(live, object, &STATEFUL_SET_MUTABLE),
        "PersistentVolumeClaim" => claim(live, object),
        "Service" => service(live, object),
        "ConfigMap" | "Secret" => data(live, object),
        _ => Ok(()),
    };
    by_kind.map_err(invalid)
}

fn check_name(resource: &Resource, name: &str) -> Result<(), String> {
    // Roles and their bindings take any path segment, `system:node` for instance.
    let free = resource.group == "rbac.authorization.k8s.io";
    let label = matches!(resource.kind.as_str(), "Service" | "Namespace");
    let most = if label { 63 } else { 253 };
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let starts = !(resource.kind == "Service" && name.starts_with(|c: char| c.is_ascii_digit()));
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || (c == '.' && !label);
    let fits = edge(name.chars().next()) && edge(name.chars().last()) && name.chars().all(inner) && starts;
    if name.len() <= most && (fits || (free && !name.is_empty())) {
        return Ok(());
    }
    let rule = if label { "a DNS-1035 label" } else { "a lowercase RFC 1123 subdomain" };
    Err(format!("metadata.name: Invalid value: \"{name}\": must be {rule} of no more than {most} characters"))
}

fn check_labels(object: &Value) -> Result<(), String> {
    for (key, value) in object["metadata"]["labels"].as_object().into_iter().flatten() {
        let text =
            value.as_str().ok_or_else(|| format!("metadata.labels: Invalid value: {value}: must be a string"))?;
        let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let edges = [text.chars().next(), text.chars().last()];
        let framed = edges.iter().flatten().all(char::is_ascii_alphanumeric);
        if text.len() > 63 || !text.chars().all(inner) || !framed {
            return Err(format!("metadata.labels: Invalid value: \"{text}\": must be a valid label value (key {key})"));
        }
    }
    Ok(())
}

fn check_finalizers(live: &Value, object: &Value) -> Result<(), String> {
    let list = |value: &Value| value["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
    let before = list(live);
    let added = list(object).into_iter().find(|finalizer| !before.contains(finalizer));
    match added {
        Some(added) if !live["metadata"]["deletionTimestamp"].is_null() => Err(format!(
            "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, \
             found new finalizers [{added}]"
        )),
        _ => Ok(()),
    }
}

const STATEFUL_SET_MUTABLE: [&str; 7] = [
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "minReadySeconds",
    "persistentVolumeClaimRetentionPolicy",
];

/// `mutable` lists the only fields of `spec` that may change; empty means all but the selector.
fn workload(live: Option<&Value>, object: &Value, mutable: &[&str]) -> Result<(), String> {
    let spec = &object["spec"];
    let wanted = spec["selector"]["matchLabels"].as_object();
    let labels = &spec["template"]["metadata"]["labels"];
    if wanted.is_none_or(serde_json::Map::is_empty) && spec["selector"]["matchExpressions"].is_null() {
        return Err("spec.selector: Required value".to_owned());
    }
    if wanted.into_iter().flatten().any(|(key, value)| &labels[key] != value) {
        return Err(format!(
            "spec.template.metadata.labels: Invalid value: {labels}: `selector` does not match template `labels`"
        ));
    }
    check_containers(&spec["template"]["spec"]["containers"])?;
    let strategy = &spec["strategy"];
    if strategy["type"] == "Recreate" && !strategy["rollingUpdate"].is_null() {
        return Err("spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'"
            .to_owned());
    }
    let Some(live) = live else { return Ok(()) };
    if live["spec"]["selector"] != spec["selector"] {
        return Err(format!("spec.selector: Invalid value: {}: field is immutable", spec["selector"]));
    }
    if mutable.is_empty() || without(&live["spec"], mutable) == without(spec, mutable) {
        return Ok(());
    }
    Err(format!("spec: Forbidden: updates to statefulset spec for fields other than {mutable:?} are forbidden"))
}

fn check_containers(containers: &Value) -> Result<(), String> {
    let list = containers.as_array().map(Vec::as_slice).unwrap_or_default();
    if list.is_empty() {
        return Err("spec.template.spec.containers: Required value".to_owned());
    }
    let field = |name: &str| list.iter().position(|container| container[name].as_str().is_none_or(str::is_empty));
    let missing = ["name", "image"].into_iter().find_map(|name| Some((name, field(name)?)));
    missing.map_or(Ok(()), |(name, at)| Err(format!("spec.template.spec.containers[{at}].{name}: Required value")))
}

fn claim(live: Option<&Value>, object: &Value) -> Result<(), String> {
    let spec = &object["spec"];
    if spec["accessModes"].as_array().is_none_or(Vec::is_empty) {
        return Err("spec.accessModes: Required value: at least 1 access mode is required".to_owned());
    }
    if spec["resources"]["requests"]["storage"].is_null() {
        return Err("spec.resources[storage]: Required value".to_owned());
    }
    let Some(live) = live else { return Ok(()) };
    let mut before = live["spec"].clone();
    // These may be set once, by the binder or by a default.
    for once in ["volumeName", "storageClassName"] {
        if before[once].is_null() && !spec[once].is_null() {
            before[once] = spec[once].clone();
        }
    }
    let mutable = ["resources", "volumeAttributesClassName"];
    if without(&before, &mutable) != without(spec, &mutable) {
        return Err("spec: Forbidden: spec is immutable after creation except resources.requests and \
                    volumeAttributesClassName for bound claims"
            .to_owned());
    }
    let (old, new) = (size(&live["spec"]["resources"]["requests"]), size(&spec["resources"]["requests"]));
    if new == old || live["status"]["phase"] == "Bound" && new > old {
        return Ok(());
    }
    if new < old && new >= size(&live["status"]["capacity"]) && live["status"]["phase"] == "Bound" && new > 0 {
        return Ok(());
    }
    Err("spec.resources.requests.storage: Forbidden: field can not be less than status.capacity".to_owned())
}

fn data(live: Option<&Value>, object: &Value) -> Result<(), String> {
    let Some(live) = live else { return Ok(()) };
    if !live["type"].is_null() && live["type"] != object["type"] {
        return Err(format!("type: Invalid value: {}: field is immutable", object["type"]));
    }
    let same = ["data", "binaryData", "immutable"].iter().all(|field| live[*field] == object[*field]);
    if live["immutable"] == true && !same {
        return Err("data: Forbidden: field is immutable when `immutable` is set".to_owned());
    }
    Ok(())
}

fn size(quantities: &Value) -> i128 {
    quantities["storage"].as_str().and_then(crate::quantity::nanos_of).unwrap_or_default()
}

fn service(live: Option<&Value>, object: &Value) -> Result<(), String> {
    let spec = &object["spec"];
    let ports = spec["ports"].as_array().map(Vec::as_slice).unwrap_or_default();
    let portless = spec["clusterIP"] == "None" || spec["type"] == "ExternalName";
    if ports.is_empty() && !portless {
        return Err("spec.ports: Required value".to_owned());
    }
    if ports.len() > 1 && ports.iter().any(|port| port["name"].is_null()) {
        return Err("spec.ports.name: Required value".to_owned());
    }
    let before = live.map_or(&Value::Null, |live| &live["spec"]["clusterIP"]);
    let kept = before.is_null() || before == &spec["clusterIP"] || spec["type"] == "ExternalName";
    if kept {
        return Ok(());
    }
    Err(format!("spec.clusterIPs[0]: Invalid value: {}: may not change once set", spec["clusterIP"]))
}

fn without(spec: &Value, fields: &[&str]) -> Value {
    let mut spec = spec.clone();
    if let Some(map) = spec.as_object_mut() {
        map.retain(|key, value| !fields.contains(&key.as_str()) && !value.is_null());
    }
    spec
}
