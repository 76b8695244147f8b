//! `deploy/argocd`: how Argo CD is told of our health and actions. `moorage.dev/` has the layout of Argo CD's own folder of such scripts
//! (`resource_customizations`), and `argocd-cm.yaml` the same scripts for an Argo CD that does not have them. `tests/gitops.rs` runs them
//! as Argo CD does; the cases beside them are its own.
//!
//! A `StorageClaim` has no actions, as nothing that is done to one is worth a button; a Registry can't be paused.

use super::files::{File, document, yaml};
use crate::api::GROUP;
use crate::core::kind::ParentKind;
use serde_json::{Map, Value, json};

const HEALTH: &str = include_str!("argocd/health.lua");
const PAUSE: (&str, &str) = ("pause", include_str!("argocd/pause.lua"));
const RESUME: (&str, &str) = ("resume", include_str!("argocd/resume.lua"));
const RESTART: (&str, &str) = ("restart", include_str!("argocd/restart.lua"));

/// What may be done to a kind: a script that says what is possible now, and one for each deed.
struct Actions {
    discovery: &'static str,
    deeds: &'static [(&'static str, &'static str)],
}

fn actions(kind: ParentKind) -> Option<Actions> {
    match kind {
        ParentKind::App => {
            Some(Actions { discovery: include_str!("argocd/app_discovery.lua"), deeds: &[PAUSE, RESTART, RESUME] })
        }
        ParentKind::Registry => {
            Some(Actions { discovery: include_str!("argocd/registry_discovery.lua"), deeds: &[RESTART] })
        }
        ParentKind::StorageClaim => None,
    }
}

/// Every file, by its path below `deploy/`.
pub fn argocd() -> Vec<File> {
    let scripts = ParentKind::ALL.into_iter().flat_map(scripts);
    let config_map = ("argocd/argocd-cm.yaml".to_owned(), yaml(&[config_map()]));
    scripts.map(|(path, text)| (format!("argocd/{GROUP}/{path}"), text.to_owned())).chain([config_map]).collect()
}

fn scripts(kind: ParentKind) -> Vec<(String, &'static str)> {
    let name = kind.as_str();
    let mut files = vec![(format!("{name}/health.lua"), HEALTH)];
    if let Some(actions) = actions(kind) {
        files.push((format!("{name}/actions/discovery.lua"), actions.discovery));
        files.extend(actions.deeds.iter().map(|(deed, text)| (format!("{name}/actions/{deed}/action.lua"), *text)));
    }
    files
}

/// Only our own keys, for a server-side apply to lay beside those that are there.
fn config_map() -> Value {
    let mut data = Map::new();
    for kind in ParentKind::ALL {
        let key = |what: &str| format!("resource.customizations.{what}.{GROUP}_{}", kind.as_str());
        data.insert(key("health"), json!(HEALTH));
        if let Some(actions) = actions(kind) {
            let deeds = actions.deeds.iter().map(|(name, text)| json!({"name": name, "action.lua": text}));
            let text = document(&json!({"discovery.lua": actions.discovery, "definitions": deeds.collect::<Vec<_>>()}));
            data.insert(key("actions"), json!(text));
        }
    }
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "argocd-cm", "namespace": "argocd"}, "data": data})
}
