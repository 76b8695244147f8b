//! How fields merge: which lists are keyed, which are sets, and which lists and maps
//! are replaced whole. The rules are those of the `x-kubernetes-list-type` and
//! `x-kubernetes-map-type` markers in the published `OpenAPI` of Kubernetes 1.33+.

use crate::fields::Step;
use crate::resource::Resource;

/// How a list merges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ListType {
    /// Replaced whole.
    Atomic,
    /// Merged by value.
    Set,
    /// Merged by these keys.
    Map(Vec<String>),
}

/// How the list at `path` of an object of this resource merges.
pub(crate) fn list_type(resource: &Resource, path: &[Step]) -> ListType {
    let Some(Step::Field(name)) = path.last() else {
        return ListType::Atomic;
    };
    match in_metadata(path, name) {
        Some(known) => known,
        None if resource.custom => custom(resource, name),
        None => builtin(resource, path, name).map_or(ListType::Atomic, keyed),
    }
}

/// Whether the map at `path` is replaced whole.
pub(crate) fn atomic_map(resource: &Resource, path: &[Step]) -> bool {
    if let [.., Step::Field(list), Step::Key(_)] = path {
        return matches!(list.as_str(), "ownerReferences" | "imagePullSecrets")
            || (list == "secrets" && resource.kind == "ServiceAccount");
    }
    let Some(Step::Field(name)) = path.last() else {
        return false;
    };
    let reference =
        matches!(name.as_str(), "secretKeyRef" | "configMapKeyRef" | "fieldRef" | "resourceFieldRef" | "fileKeyRef");
    let selector = matches!(
        name.as_str(),
        "selector"
            | "nodeSelector"
            | "labelSelector"
            | "namespaceSelector"
            | "podSelector"
            | "dataSource"
            | "regarding"
            | "involvedObject"
    );
    !resource.custom && (reference || selector)
}

fn in_metadata(path: &[Step], name: &str) -> Option<ListType> {
    let parent = path.len().checked_sub(2).map(|at| &path[at]);
    if parent != Some(&Step::Field("metadata".to_owned())) {
        return None;
    }
    match name {
        "finalizers" => Some(ListType::Set),
        "ownerReferences" => Some(keyed(&["uid"])),
        _ => None,
    }
}

fn custom(resource: &Resource, name: &str) -> ListType {
    let rule = resource.list_maps.iter().find(|(field, _)| field == name);
    rule.map_or(ListType::Atomic, |(_, keys)| ListType::Map(keys.clone()))
}

fn builtin(resource: &Resource, path: &[Step], name: &str) -> Option<&'static [&'static str]> {
    let within = |field: &str| path.iter().any(|step| matches!(step, Step::Field(name) if name == field));
    let account = resource.kind == "ServiceAccount";
    match name {
        "containers" | "initContainers" | "ephemeralContainers" | "volumes" | "env" | "resourceClaims" => {
            Some(&["name"])
        }
        "imagePullSecrets" if !account => Some(&["name"]),
        "secrets" if account => Some(&["name"]),
        "volumeMounts" => Some(&["mountPath"]),
        "volumeDevices" => Some(&["devicePath"]),
        "hostAliases" | "podIPs" | "hostIPs" => Some(&["ip"]),
        "topologySpreadConstraints" => Some(&["topologyKey", "whenUnsatisfiable"]),
        "claims" if within("resources") => Some(&["name"]),
        "conditions" if within("status") => Some(&["type"]),
        "ports" if within("containers") || within("initContainers") => Some(&["containerPort", "protocol"]),
        "ports" if resource.kind == "Service" && path.len() == 2 => Some(&["port", "protocol"]),
        _ => None,
    }
}

fn keyed(keys: &[&str]) -> ListType {
    ListType::Map(keys.iter().map(|key| (*key).to_owned()).collect())
}
