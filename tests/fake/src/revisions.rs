//! `ReplicaSets` as the Deployment controller keeps them: one per pod template, numbered, and numbered anew when it is gone back to.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Value, json};

use crate::State;
use crate::controllers::MANAGER;
use crate::delete;
use crate::helpers::{edit, plain};
use crate::store::Key;
use crate::write;

const NUMBER: &str = "deployment.kubernetes.io/revision";
const FORMER: &str = "deployment.kubernetes.io/revision-history";
const HASH: &str = "pod-template-hash";

/// Makes, numbers, scales and deletes the `ReplicaSets` of a Deployment. The number of its template, and its `ReplicaSet`.
pub(crate) fn of_deployment(state: &mut State, key: &Key, deployment: &Value) -> anyhow::Result<(u64, String)> {
    let mut template = deployment["spec"]["template"].clone();
    let mut hasher = DefaultHasher::new();
    template.to_string().hash(&mut hasher);
    let hash = format!("{:010x}", hasher.finish() & 0xff_ffff_ffff);
    let name: Key = (key.0.clone(), format!("{}-{hash}", key.1));
    template["metadata"]["labels"][HASH] = json!(hash);
    let all = owned(state, deployment);
    let newest = all.iter().filter(|(other, _)| *other != name).map(|(_, set)| number(set)).max().unwrap_or(0) + 1;
    let current = all.iter().find(|(other, _)| *other == name);
    let before = current.map_or(0, |(_, set)| number(set));
    let revision = before.max(newest);
    if current.is_none() {
        make(state, &name, deployment, &template, revision)?;
    }
    let replicas = deployment["spec"]["replicas"].clone();
    edit(&mut state.store, MANAGER, "ReplicaSet", &name, &|set| {
        let notes = &mut set["metadata"]["annotations"];
        if before > 0 && before < revision {
            let former = notes[FORMER].as_str().map_or_else(|| before.to_string(), |list| format!("{list},{before}"));
            notes[FORMER] = json!(former);
        }
        notes[NUMBER] = json!(revision.to_string());
        scale(set, &replicas);
    })?;
    for (other, _) in all.iter().filter(|(other, _)| *other != name) {
        edit(&mut state.store, MANAGER, "ReplicaSet", other, &|set| scale(set, &json!(0)))?;
    }
    let limit = deployment["spec"]["revisionHistoryLimit"].as_u64().unwrap_or(10);
    let mut old: Vec<_> = all.into_iter().filter(|(other, _)| *other != name).collect();
    old.sort_unstable_by_key(|(_, set)| std::cmp::Reverse(number(set)));
    for (other, _) in old.into_iter().skip(usize::try_from(limit)?) {
        let resource = state.store.find("ReplicaSet").map(|table| table.resource.clone());
        let Some(resource) = resource else { continue };
        delete::delete(&mut state.store, &plain(resource, other, None, MANAGER), &json!({}))?;
    }
    Ok((revision, name.1))
}

fn owned(state: &State, deployment: &Value) -> Vec<(Key, Value)> {
    let sets = state.store.find("ReplicaSet").into_iter().flat_map(|table| &table.objects);
    let is_owned = |set: &Value| set["metadata"]["ownerReferences"][0]["uid"] == deployment["metadata"]["uid"];
    sets.filter(|(_, set)| is_owned(&set.value)).map(|(key, set)| (key.clone(), Value::clone(&set.value))).collect()
}

fn number(set: &Value) -> u64 {
    set["metadata"]["annotations"][NUMBER].as_str().and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn scale(set: &mut Value, replicas: &Value) {
    set["spec"]["replicas"] = replicas.clone();
    set["status"]["replicas"] = replicas.clone();
}

fn make(state: &mut State, name: &Key, deployment: &Value, template: &Value, revision: u64) -> anyhow::Result<()> {
    let Some(resource) = state.store.find("ReplicaSet").map(|table| table.resource.clone()) else { return Ok(()) };
    let owner = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": deployment["metadata"]["name"],
        "uid": deployment["metadata"]["uid"], "controller": true, "blockOwnerDeletion": true});
    let mut selector = deployment["spec"]["selector"].clone();
    selector["matchLabels"][HASH] = template["metadata"]["labels"][HASH].clone();
    let body = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"name": name.1, "namespace": name.0, "labels": template["metadata"]["labels"],
            "annotations": {NUMBER: revision.to_string()}, "ownerReferences": [owner]},
        "spec": {"replicas": deployment["spec"]["replicas"], "selector": selector, "template": template},
    });
    write::create(&mut state.store, plain(resource, name.clone(), None, MANAGER), body)?;
    Ok(())
}
