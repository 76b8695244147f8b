//! Discovery, plain and aggregated, from the table of resources.

use serde_json::{Value, json};

use crate::resource::Resource;
use crate::status::Failure;
use crate::store::Store;

/// The answer to a path outside the resources, or `None` where the real server has nothing.
pub(crate) fn answer(store: &Store, path: &str, aggregated: bool) -> Option<Value> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    match parts.as_slice() {
        ["version"] => Some(json!({"major": "1", "minor": "36", "gitVersion": "v1.36.3", "gitCommit": "",
            "gitTreeState": "clean", "buildDate": "", "goVersion": "", "compiler": "gc", "platform": "linux/amd64"})),
        ["api"] if aggregated => Some(group_list(&[core(store)])),
        ["apis"] if aggregated => Some(group_list(&groups(store))),
        ["api"] => Some(json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})),
        ["apis"] => {
            let groups: Vec<_> = groups(store).iter().map(plain_group).collect();
            Some(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}))
        }
        ["api", version] => resources(store, "", version),
        ["apis", name] => groups(store).iter().find(|group| group.name == *name).map(|group| {
            let mut answer = plain_group(group);
            answer["kind"] = json!("APIGroup");
            answer["apiVersion"] = json!("v1");
            answer
        }),
        ["apis", group, version] => resources(store, group, version),
        ["healthz" | "livez" | "readyz"] => Some(json!("ok")),
        _ => None,
    }
}

/// A review of the client's own access: allowed unless `denied` says why not.
pub(crate) fn access_review(body: &Value, denied: Option<&Failure>) -> Value {
    let mut answer = body.clone();
    answer["status"] = match denied {
        None => json!({"allowed": true}),
        Some(failure) => json!({"allowed": false, "reason": failure.message}),
    };
    answer
}

struct Group<'a> {
    name: &'a str,
    version: &'a str,
    resources: Vec<&'a Resource>,
}

fn core(store: &Store) -> Group<'_> {
    Group { name: "", version: "v1", resources: of(store, "", "v1") }
}

fn groups(store: &Store) -> Vec<Group<'_>> {
    let mut found: Vec<(&str, &str)> = store
        .tables
        .values()
        .map(|table| (table.resource.group.as_str(), table.resource.version.as_str()))
        .filter(|(group, _)| !group.is_empty())
        .collect();
    found.sort_unstable();
    found.dedup();
    let group = |(name, version)| Group { name, version, resources: of(store, name, version) };
    found.into_iter().map(group).collect()
}

fn of<'a>(store: &'a Store, group: &str, version: &str) -> Vec<&'a Resource> {
    let resources = store.tables.values().map(|table| &table.resource);
    resources.filter(|resource| resource.group == group && resource.version == version).collect()
}

fn plain_group(group: &Group<'_>) -> Value {
    let version = json!({"groupVersion": format!("{}/{}", group.name, group.version), "version": group.version});
    json!({"name": group.name, "versions": [version], "preferredVersion": version})
}

const VERBS: [&str; 7] = ["create", "delete", "get", "list", "patch", "update", "watch"];

fn resources(store: &Store, group: &str, version: &str) -> Option<Value> {
    let resources = of(store, group, version);
    if resources.is_empty() {
        return None;
    }
    let mut list = Vec::new();
    for resource in resources {
        let row = |name: String, verbs: &[&str]| {
            json!({"name": name, "singularName": resource.kind.to_lowercase(), "namespaced": resource.namespaced,
                "kind": resource.kind, "verbs": verbs})
        };
        list.push(row(resource.plural.clone(), &VERBS));
        if resource.status {
            list.push(row(format!("{}/status", resource.plural), &["get", "patch", "update"]));
        }
    }
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    Some(json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": list}))
}

fn group_list(groups: &[Group<'_>]) -> Value {
    let items: Vec<_> = groups.iter().map(aggregated_group).collect();
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items})
}

fn aggregated_group(group: &Group<'_>) -> Value {
    let row = |resource: &&Resource| {
        json!({
            "resource": resource.plural, "singularResource": resource.kind.to_lowercase(), "verbs": VERBS,
            "responseKind": {"group": resource.group, "version": resource.version, "kind": resource.kind},
            "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        })
    };
    let rows: Vec<_> = group.resources.iter().map(row).collect();
    json!({
        "metadata": {"name": group.name, "creationTimestamp": null},
        "versions": [{"version": group.version, "freshness": "Current", "resources": rows}],
    })
}
