//! What the server adds or refuses with knowledge of other objects: namespaces that are
//! missing or going away, cluster IPs and node ports, the default storage class, the
//! protection finalizer of claims, and whether a class lets a claim grow.

use serde_json::{Value, json};

use crate::resource::Resource;
use crate::status::{Failure, Outcome};
use crate::store::{Key, Store};

/// Refuses a creation in a namespace that is missing or terminating.
pub(crate) fn namespace(store: &Store, resource: &Resource, namespace: &str, name: &str) -> Outcome<()> {
    if !resource.namespaced {
        return Ok(());
    }
    let found = store.tables.get("namespaces").and_then(|table| {
        let object = table.objects.get(&(String::new(), namespace.to_owned()))?;
        Some((table, object))
    });
    match found {
        None => Err(Failure::new(404, format!("namespaces \"{namespace}\" not found"))),
        Some((_, object)) if !object.value["metadata"]["deletionTimestamp"].is_null() => {
            let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
            let mut failure = Failure::forbidden(resource, name, &why);
            failure.details["causes"] = json!([{"reason": "NamespaceTerminating", "message": why}]);
            Err(failure)
        }
        Some(_) => Ok(()),
    }
}

/// Refuses a port of the nodes that another Service has.
pub(crate) fn ports(store: &Store, resource: &Resource, key: &Key, object: &Value) -> Outcome<()> {
    if resource.kind != "Service" || resource.custom {
        return Ok(());
    }
    let ports = |service: &Value| service["spec"]["ports"].as_array().cloned().unwrap_or_default();
    let services = store.tables.get("services").map(|table| &table.objects);
    let others = services.into_iter().flatten().filter(|(other, _)| *other != key);
    let taken: Vec<Value> =
        others.flat_map(|(_, other)| ports(&other.value)).map(|port| port["nodePort"].clone()).collect();
    for (index, port) in ports(object).iter().enumerate() {
        let wanted = &port["nodePort"];
        if !wanted.is_null() && taken.contains(wanted) {
            let why =
                format!("spec.ports[{index}].nodePort: Invalid value: {wanted}: provided port is already allocated");
            return Err(Failure::invalid(resource, &key.1, &why));
        }
    }
    Ok(())
}

/// Fills in what only the server can know. `live` is what the object replaces.
pub(crate) fn allocate(store: &mut Store, resource: &Resource, live: Option<&Value>, object: &mut Value) {
    (store.webhook.0)(object);
    if resource.custom {
        return;
    }
    match resource.kind.as_str() {
        "Service" => service(store, live, object),
        "PersistentVolumeClaim" if live.is_none() => claim(store, object),
        "Namespace" if live.is_none() => {
            object["spec"] = json!({"finalizers": ["kubernetes"]});
            object["status"] = json!({"phase": "Active"});
            let name = object["metadata"]["name"].clone();
            object["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
        }
        _ => {}
    }
}

/// Refuses to grow a claim whose class does not allow it.
pub(crate) fn resize(store: &Store, resource: &Resource, live: &Value, object: &Value) -> Outcome<()> {
    let request = |claim: &Value| claim["spec"]["resources"]["requests"]["storage"].clone();
    if resource.kind != "PersistentVolumeClaim" || request(live) == request(object) {
        return Ok(());
    }
    let class = object["spec"]["storageClassName"].as_str().unwrap_or_default();
    let found = store.get("storageclasses.storage.k8s.io", &(String::new(), class.to_owned()));
    if found.is_some_and(|class| class.value["allowVolumeExpansion"] == true) {
        return Ok(());
    }
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let why = "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must \
               support resize";
    Err(Failure::forbidden(resource, name, why))
}

fn service(store: &mut Store, live: Option<&Value>, object: &mut Value) {
    let kind = object["spec"]["type"].as_str().unwrap_or_default().to_owned();
    let spec = &mut object["spec"];
    if kind == "ExternalName" {
        return;
    }
    let before = live.map_or(Value::Null, |live| live["spec"].clone());
    for field in ["clusterIP", "clusterIPs"] {
        if spec[field].is_null() {
            spec[field] = before[field].clone();
        }
    }
    if spec["clusterIP"].is_null() {
        let number = store.count();
        spec["clusterIP"] = json!(format!("10.96.{}.{}", number / 250 % 250, number % 250 + 1));
    }
    if spec["clusterIPs"].is_null() {
        spec["clusterIPs"] = json!([spec["clusterIP"]]);
    }
    let family = json!(["IPv4"]);
    for (field, default) in [("ipFamilies", family), ("ipFamilyPolicy", json!("SingleStack"))] {
        if spec[field].is_null() {
            spec[field] = default;
        }
    }
    if matches!(kind.as_str(), "NodePort" | "LoadBalancer") {
        node_ports(store, &before, spec);
    }
    drop_what_the_type_lost(&before, spec);
}

/// What only the former type needed goes, unless this very update touches it (`dropTypeDependentFields` of the API server).
fn drop_what_the_type_lost(before: &Value, spec: &mut Value) {
    let balanced = |spec: &Value| spec["type"] == "LoadBalancer";
    let outside = |spec: &Value| balanced(spec) || spec["type"] == "NodePort";
    let mut lost: Vec<&str> = Vec::new();
    if outside(before) && !outside(spec) {
        lost.push("externalTrafficPolicy");
        if before["ports"] == spec["ports"] {
            for port in spec["ports"].as_array_mut().into_iter().flatten() {
                port.as_object_mut().and_then(|port| port.remove("nodePort"));
            }
        }
    }
    if balanced(before) && !balanced(spec) {
        lost.extend(["allocateLoadBalancerNodePorts", "loadBalancerClass"]);
    }
    for field in lost {
        if before[field] == spec[field]
            && let Some(spec) = spec.as_object_mut()
        {
            spec.remove(field);
        }
    }
}

fn node_ports(store: &mut Store, before: &Value, spec: &mut Value) {
    let known = before["ports"].as_array().cloned().unwrap_or_default();
    for port in spec["ports"].as_array_mut().into_iter().flatten() {
        if !port["nodePort"].is_null() {
            continue;
        }
        let same = |old: &&Value| old["port"] == port["port"] && old["protocol"] == port["protocol"];
        let kept = known.iter().find(same).map_or(Value::Null, |old| old["nodePort"].clone());
        port["nodePort"] = if kept.is_null() { json!(30000 + store.count() % 2768) } else { kept };
    }
}

fn claim(store: &Store, object: &mut Value) {
    if object["spec"]["storageClassName"].is_null()
        && let Some(class) = default_class(store)
    {
        object["spec"]["storageClassName"] = class;
    }
    let finalizers = &mut object["metadata"]["finalizers"];
    if finalizers.is_null() {
        *finalizers = json!([]);
    }
    let protection = json!("kubernetes.io/pvc-protection");
    if let Some(list) = finalizers.as_array_mut()
        && !list.contains(&protection)
    {
        list.push(protection);
    }
}

fn default_class(store: &Store) -> Option<Value> {
    let classes = store.tables.get("storageclasses.storage.k8s.io")?;
    let marked =
        |class: &&Value| class["metadata"]["annotations"]["storageclass.kubernetes.io/is-default-class"] == "true";
    let class = classes.objects.values().map(|object| &*object.value).find(marked)?;
    Some(class["metadata"]["name"].clone())
}
