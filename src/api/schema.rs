//! Schemas: embedded Kubernetes types without their descriptions, and bounds on everything.
//!
//! The API server refuses what the schema refuses, before anything is stored, so every string, list, map and number
//! is bounded here, every list says how server-side apply merges it, and what is optional may be null, which is no value.

use super::words::explanation;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

/// The schema of an upstream Kubernetes type, without its own descriptions, in whose place there are [short ones](super::words).
pub fn upstream<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let mut value = T::json_schema(generator).to_value();
    strip_descriptions(&mut value);
    Schema::try_from(value).unwrap_or_default()
}

fn strip_descriptions(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if map.get("description").is_some_and(Value::is_string) {
                map.remove("description");
            }
            map.values_mut().for_each(strip_descriptions);
        }
        Value::Array(items) => items.iter_mut().for_each(strip_descriptions),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Fields of upstream types that hold quantities.
const QUANTITIES: [&str; 4] = ["limits[]", "requests[]", "sizeLimit", "divisor"];

/// Keys and values of labels, wherever they are compared.
const LABEL_KEY: &str = "^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$";
const LABEL_VALUE: &str = "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$";

/// A relative path of which no part is `..`; where there need not be one, also none.
const RELATIVE: &str = r"^([^/.][^/]*|[.]|[.][^/.][^/]*|[.][.][^/]+)(/([^/.][^/]*|[.]|[.][^/.][^/]*|[.][.][^/]+)?)*$";
const RELATIVE_OR_NONE: &str =
    r"^(([^/.][^/]*|[.]|[.][^/.][^/]*|[.][.][^/]+)(/([^/.][^/]*|[.]|[.][^/.][^/]*|[.][.][^/]+)?)*)?$";

/// An absolute path without `:` of which no part is `..`.
const ABSOLUTE: &str = r"^(/([^/.:][^/:]*|[.]|[.][^/.:][^/:]*|[.][.][^/:]+)?)+$";

/// Likewise of a device, which may have `:` in it.
const DEVICE: &str = r"^(/([^/.][^/]*|[.]|[.][^/.][^/]*|[.][.][^/]+)?)+$";

/// Names of objects, and of what is within one.
const SUBDOMAIN: &str = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$";
const LABEL_NAME: &str = "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$";

/// A share of pods; of a text only, as a number of them is none.
const PERCENTAGE: &str = "^([0-9]{1,2}|100)%$";

/// A port's name; of a text only, as one of digits is none.
const PORT_NAME: &str = "^[-a-z0-9]*[a-z][-a-z0-9]*$";

const IMAGE: &str = r"^[A-Za-z0-9\[][-A-Za-z0-9._:/@\[\]]*$";

/// A field of a pod, and an amount of a container, that its programs may be told.
const FIELD: &str = r"^(metadata[.](name|namespace|uid|labels|annotations)|metadata[.](labels|annotations)\['[^']+'\]|spec[.](nodeName|serviceAccountName)|status[.](hostIP|hostIPs|podIP|podIPs))$";
const AMOUNT: &str = "^(limits|requests)[.](cpu|memory|ephemeral-storage|hugepages-[A-Za-z0-9]+)$";

/// A quantity, as Kubernetes' own documentation of the type spells it.
const QUANTITY: &str = r"^[+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$";

/// Makes a schema what the API server should enforce.
pub fn bound(schema: &mut Value, field: &str) {
    let Some(map) = schema.as_object_mut() else { return };
    map.remove("nullable");
    if map.contains_key("x-kubernetes-int-or-string") && QUANTITIES.contains(&field) {
        amount(map);
    } else if map.contains_key("x-kubernetes-int-or-string") {
        // The bounds concern numbers only; a longer one would not fit the type that Kubernetes decodes it to.
        bound_integer(map, field);
        map.remove("format");
        map.entry("maxLength").or_insert(json!(253));
    }
    match map.get("type").and_then(Value::as_str) {
        Some("array") => bound_list(map, field),
        Some("string") => bound_string(map, field),
        Some("integer") => bound_integer(map, field),
        Some("object") => bound_object(map, field),
        Some(_) | None => {}
    }
}

/// A quantity as Kubernetes takes it: text, or any number, so that `cpu: 0.5` is good here as in a pod. No type of a schema is text or
/// a number with a fraction, so this one has none, and refuses all else.
fn amount(map: &mut Map<String, Value>) {
    map.remove("x-kubernetes-int-or-string");
    let bounds = json!({
        "x-kubernetes-preserve-unknown-fields": true, "pattern": QUANTITY, "maxLength": 32, "minimum": 0,
        "maxItems": 0, "maxProperties": 0, "not": {"enum": [true, false, [], {}]},
    });
    map.extend(bounds.as_object().cloned().unwrap_or_default());
}

fn bound_object(map: &mut Map<String, Value>, field: &str) {
    if let Some(properties) = map.get_mut("properties").and_then(Value::as_object_mut) {
        for (name, property) in properties {
            choose(property, field.trim_end_matches("[]"), name);
            // What fields of nodes are compared with is their names, and no values of labels.
            let is_of_nodes = (field, name.as_str()) == ("matchFields[]", "values");
            bound(property, if is_of_nodes { "nodes" } else { name });
            explain(property, field.trim_end_matches("[]"), name);
        }
    }
    if let Some(values) = map.get_mut("additionalProperties") {
        bound(values, &format!("{field}[]"));
        map.entry("maxProperties").or_insert(json!(64));
    }
}

/// Fields of upstream types that take some words only, by the field that holds them; the types themselves know no choices.
const CHOICES: &[(&str, &str, &[&str])] = &[
    ("pod", "dnsPolicy", &["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"]),
    ("pod", "preemptionPolicy", &["PreemptLowerPriority", "Never"]),
    ("os", "name", &["linux", "windows"]),
    ("topologySpreadConstraints", "whenUnsatisfiable", &["DoNotSchedule", "ScheduleAnyway"]),
    ("topologySpreadConstraints", "nodeAffinityPolicy", &["Honor", "Ignore"]),
    ("topologySpreadConstraints", "nodeTaintsPolicy", &["Honor", "Ignore"]),
    ("matchExpressions", "operator", &["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]),
    ("matchFields", "operator", &["In", "NotIn"]),
    ("resizePolicy", "resourceName", &["cpu", "memory"]),
    ("resizePolicy", "restartPolicy", &["NotRequired", "RestartContainer"]),
    ("initContainers", "imagePullPolicy", &["Always", "IfNotPresent", "Never"]),
    ("sidecars", "imagePullPolicy", &["Always", "IfNotPresent", "Never"]),
    ("ports", "protocol", &["TCP", "UDP", "SCTP"]),
    ("volumeMounts", "mountPropagation", &["None", "HostToContainer", "Bidirectional"]),
    ("volumeMounts", "recursiveReadOnly", &["Disabled", "IfPossible", "Enabled"]),
    ("httpGet", "scheme", &["HTTP", "HTTPS"]),
    ("image", "pullPolicy", &["Always", "IfNotPresent", "Never"]),
    ("spec", "volumeMode", &["Filesystem", "Block"]),
    ("", "terminationMessagePolicy", &["File", "FallbackToLogsOnError"]),
];

/// Fields within lists that have a form, by the field that holds them: the API server grants rules (CEL) only so much there.
const PATTERNS: &[(&str, &str, &str)] = &[
    ("items", "path", RELATIVE),
    ("availability", "minAvailable", PERCENTAGE),
    ("availability", "maxUnavailable", PERCENTAGE),
    ("rollout", "maxUnavailable", PERCENTAGE),
    ("rollout", "maxSurge", "^[0-9]+%$"),
    ("mounts", "subPath", RELATIVE_OR_NONE),
    ("volumeMounts", "subPath", RELATIVE_OR_NONE),
    ("volumeMounts", "subPathExpr", RELATIVE_OR_NONE),
    ("volumeDevices", "devicePath", DEVICE),
    ("env", "name", "^[^=]+$"),
    ("ports", "name", "^[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?$"),
    ("mounts", "mountPath", ABSOLUTE),
    ("volumeMounts", "mountPath", ABSOLUTE),
    ("httpGet", "port", PORT_NAME),
    ("tcpSocket", "port", PORT_NAME),
    ("matchExpressions", "key", LABEL_KEY),
    ("", "topologyKey", LABEL_KEY),
    ("fieldRef", "fieldPath", FIELD),
    ("resourceFieldRef", "resource", AMOUNT),
    ("secretKeyRef", "name", SUBDOMAIN),
    ("configMapKeyRef", "name", SUBDOMAIN),
    ("secretRef", "name", SUBDOMAIN),
    ("configMapRef", "name", SUBDOMAIN),
    ("initContainers", "name", LABEL_NAME),
    ("sidecars", "name", LABEL_NAME),
    ("initContainers", "image", IMAGE),
    ("sidecars", "image", IMAGE),
];

fn choose(property: &mut Value, within: &str, name: &str) {
    let is_it =
        |(holder, field, _): &&(&str, &str, &[&str])| (holder.is_empty() || *holder == within) && *field == name;
    if let Some((_, _, choices)) = CHOICES.iter().find(is_it) {
        property["enum"] = json!(choices);
    }
    let is_it = |(holder, field, _): &&(&str, &str, &str)| (holder.is_empty() || *holder == within) && *field == name;
    if let Some((_, _, pattern)) = PATTERNS.iter().find(is_it) {
        property["pattern"] = json!(pattern);
    }
}

/// Says what a field of an upstream type is for.
fn explain(property: &mut Value, within: &str, name: &str) {
    let Some(map) = property.as_object_mut().filter(|map| !map.contains_key("description")) else { return };
    if let Some(text) = explanation(within, name) {
        map.insert("description".to_owned(), json!(text));
    }
}

fn bound_list(map: &mut Map<String, Value>, field: &str) {
    // A container's own ports have no port of a Service.
    let is_container = map.get("items").is_some_and(|items| {
        items["properties"].get("containerPort").is_some() && items["properties"].get("port").is_none()
    });
    let (most, keys) = length_and_keys(field, is_container);
    map.entry("maxItems").or_insert(json!(most));
    if field == "nodeSelectorTerms" {
        map.insert("minItems".to_owned(), json!(1));
    }
    if keys.is_empty() {
        map.insert("x-kubernetes-list-type".to_owned(), json!("atomic"));
    } else {
        map.insert("x-kubernetes-list-type".to_owned(), json!("map"));
        map.insert("x-kubernetes-list-map-keys".to_owned(), json!(keys));
    }
    let Some(items) = map.get_mut("items") else { return };
    bound(items, &format!("{field}[]"));
    for key in keys {
        require(items, key);
    }
}

/// How long a list may be, and by which keys server-side apply tells its items apart.
fn length_and_keys(field: &str, is_container: bool) -> (u32, &'static [&'static str]) {
    match field {
        "ports" if is_container => (32, &["containerPort", "protocol"]),
        "volumeMounts" => (64, &["mountPath"]),
        "volumeDevices" => (16, &["devicePath"]),
        "env" => (256, &["name"]),
        "volumes" => (32, &["name"]),
        "ports" => (32, &["port", "protocol"]),
        "imagePullSecrets" | "resourceClaims" | "claims" | "initContainers" | "sidecars" => (16, &["name"]),
        "conditions" => (16, &["type"]),
        "revisions" => (16, &["number"]),
        "children" => (128, &["kind", "name"]),
        "hostAliases" => (64, &["ip"]),
        "resizePolicy" => (2, &["resourceName"]),
        "topologySpreadConstraints" => (16, &["topologyKey", "whenUnsatisfiable"]),
        "args" | "command" => (256, &[]),
        "consumers" => (1024, &[]),
        "accessModes" => (4, &[]),
        "nameservers" => (3, &[]),
        "searches" => (32, &[]),
        // Lists within lists: rules are granted only so much.
        "mounts"
        | "requiredDuringSchedulingIgnoredDuringExecution"
        | "preferredDuringSchedulingIgnoredDuringExecution"
        | "nodeSelectorTerms"
        | "matchExpressions"
        | "matchFields" => (16, &[]),
        _ => (64, &[]),
    }
}

/// Lets what is optional be null, as charts and people leave it (`env:` and nothing behind it): `kubectl apply` leaves that out by itself,
/// `--server-side` does not. Not `replicas`, in which `/scale` wants a number, nor the `keys` of a list's items, nor choices, of which the API
/// server takes no null even where it stands among them.
pub fn optional_is_nullable(schema: &mut Value, keys: &[Value]) {
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let items_keys = schema["x-kubernetes-list-map-keys"].as_array().cloned().unwrap_or_default();
    let Some(map) = schema.as_object_mut() else { return };
    for (name, property) in map.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        // A rule compares what a selector was with what it is, and nothing that has a null in it equals itself there.
        if name != "selector" {
            optional_is_nullable(property, &[]);
        }
        let name = json!(name);
        if !required.contains(&name) && !keys.contains(&name) && name != "replicas" && property.get("enum").is_none() {
            property["nullable"] = json!(true);
        }
    }
    map.get_mut("items").into_iter().for_each(|items| optional_is_nullable(items, &items_keys));
}

/// A list's key must be required, or have a default.
fn require(items: &mut Value, key: &str) {
    if items["properties"][key].get("default").is_some() {
        return;
    }
    let Some(map) = items.as_object_mut() else { return };
    let required = map.entry("required").or_insert_with(|| json!([]));
    if let Some(required) = required.as_array_mut()
        && !required.contains(&json!(key))
    {
        required.push(json!(key));
    }
}

fn bound_string(map: &mut Map<String, Value>, field: &str) {
    if let Some(choices) = map.get_mut("enum").and_then(Value::as_array_mut) {
        choices.retain(|choice| !choice.is_null());
    }
    if map.contains_key("enum") || map.get("format").is_some_and(|format| format == "date-time") {
        return;
    }
    let most = match field {
        "value" | "args[]" | "command[]" | "message" | "strategyMessage" => 32768,
        "mountPath" | "devicePath" | "subPath" | "path" | "terminationMessagePath" | "workingDir" | "image" => 1024,
        "annotations[]" => 16384,
        "labels[]" | "nodeSelector[]" | "matchLabels[]" | "values[]" => 63,
        "size" => 32,
        _ => 253,
    };
    map.entry("maxLength").or_insert(json!(most));
    if ["matchLabels[]", "values[]"].contains(&field) {
        map.entry("pattern").or_insert(json!(LABEL_VALUE));
    }
}

fn bound_integer(map: &mut Map<String, Value>, field: &str) {
    map.remove("format").filter(|format| format == "int64").map(|_| map.insert("format".to_owned(), json!("int64")));
    map.entry("format").or_insert(json!("int32"));
    let (least, most) = match field {
        "port" | "containerPort" | "nodePort" => (1, 65535),
        "replicas" => (0, 10_000),
        "toRevision" | "maxSkew" | "minDomains" => (1, 2_147_483_647),
        "weight" => (1, 100),
        "observedGeneration" => return,
        "exitCode" => (-2_147_483_648, 2_147_483_647),
        "runAsUser" | "runAsGroup" | "fsGroup" | "supplementalGroups[]" => (0, 4_294_967_295_i64),
        "periodSeconds" | "timeoutSeconds" | "successThreshold" | "failureThreshold" => (1, 86_400),
        "expirationSeconds" => (600, 4_294_967_296),
        "defaultMode" | "mode" => (0, 0o777),
        _ => (0, 2_147_483_647),
    };
    map.entry("minimum").or_insert(json!(least));
    map.entry("maximum").or_insert(json!(most));
}
