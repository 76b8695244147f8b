//! What the demo shows of an object: its readiness in one line, its children and pods as a tree.

use std::fmt::Write;

use anyhow::Result;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt,
    api::{DynamicObject, ListParams},
};
use moorage_harness::Access;
use serde_json::Value;

/// `App shop`.
pub fn title(object: &DynamicObject) -> String {
    let kind = object.types.as_ref().map_or("", |types| &types.kind);
    format!("{kind} {}", object.name_any())
}

/// The object as it is now.
pub async fn live(access: &Access, object: &DynamicObject) -> Result<Option<DynamicObject>> {
    let Some(types) = &object.types else {
        return Ok(None);
    };
    let namespace = object.namespace().unwrap_or_default();
    access.get(&types.api_version, &types.kind, &namespace, &object.name_any()).await
}

/// Whether the Ready condition is true for this generation, and what it says.
pub fn readiness(object: Option<&DynamicObject>) -> (bool, String) {
    let Some(object) = object else {
        return (false, "is gone".into());
    };
    let conditions = object.data["status"]["conditions"].as_array();
    let ready = conditions.into_iter().flatten().find(|condition| condition["type"] == "Ready");
    let Some(ready) = ready else {
        return (false, "no status yet".into());
    };
    let current = ready["observedGeneration"].as_i64() == object.metadata.generation;
    let status = text(ready, "status");
    let state = format!("Ready={status} {}: {}", text(ready, "reason"), text(ready, "message"));
    (current && status == "True", state)
}

/// Every object with its children and pods, indented.
pub async fn render(access: &Access, objects: &[DynamicObject]) -> Result<String> {
    let mut tree = String::new();
    for object in objects {
        let Some(object) = live(access, object).await? else {
            continue;
        };
        let (_, state) = readiness(Some(&object));
        writeln!(tree, "{}  {state}", title(&object))?;
        let mut lines = children(&object);
        lines.extend(pods(access, &object).await?);
        let last = lines.len().saturating_sub(1);
        for (index, line) in lines.iter().enumerate() {
            let branch = if index == last { "└─" } else { "├─" };
            writeln!(tree, "{branch} {line}")?;
        }
    }
    Ok(tree)
}

fn children(object: &DynamicObject) -> Vec<String> {
    let children = object.data["status"]["children"].as_array();
    children
        .into_iter()
        .flatten()
        .map(|child| {
            let mark = if child["ready"] == true { "ready" } else { "not ready" };
            let line = format!("{} {}  {mark}  {}", text(child, "kind"), text(child, "name"), text(child, "message"));
            line.trim_end().to_owned()
        })
        .collect()
}

async fn pods(access: &Access, object: &DynamicObject) -> Result<Vec<String>> {
    let kind = object.types.as_ref().map(|types| types.kind.to_lowercase()).unwrap_or_default();
    let selector = format!("moorage.dev/{kind}={}", object.name_any());
    let namespace = object.namespace().unwrap_or_default();
    let api: Api<Pod> = Api::namespaced(access.client(), &namespace);
    let pods = api.list(&ListParams::default().labels(&selector)).await?;
    let line = |pod: &Pod| {
        let phase = pod.status.as_ref().and_then(|status| status.phase.clone());
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
        format!("Pod {}  {} on {}", pod.name_any(), phase.unwrap_or_default(), node.unwrap_or_else(|| "no node".into()))
    };
    Ok(pods.iter().map(line).collect())
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}
