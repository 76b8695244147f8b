//! Health for Argo CD, in the layout of its own `resource_customizations`. Their tests there read `health_test.yaml` as this one does.

use crate::kstatus::kstatus;
use crate::{found, golden, goldens, is_observed, is_true, lua, root, settle, thinkable, yaml};
use moorage::core::kind::ParentKind;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Golden cases that stand beside the scripts; the first of each kind also without a status, and of a generation ago.
const CASES: [(ParentKind, &[&str]); 3] = [
    (
        ParentKind::App,
        &[
            "ready",
            "rolling-out",
            "pod-not-ready-yet",
            "crash-loop",
            "invalid",
            "rejected",
            "auto-rollback-failed",
            "paused",
            "deployment-paused-and-complete",
        ],
    ),
    (
        ParentKind::StorageClaim,
        &["bound", "first-consumer", "minimal", "grow-under-way", "provisioning-failed", "grow-not-allowed", "lost"],
    ),
    (ParentKind::Registry, &["ready", "volume", "crash-loop", "invalid"]),
];

pub fn folder(kind: ParentKind) -> PathBuf {
    root().join("deploy/argocd/moorage.dev").join(kind.as_str())
}

fn script(kind: ParentKind) -> String {
    std::fs::read_to_string(folder(kind).join("health.lua")).unwrap()
}

/// What the health is by what kstatus says, and by the table in `docs/concepts/status-and-conditions.md`.
fn expected(object: &Value) -> Value {
    let is_paused = found(object, "Ready")["reason"] == "Paused";
    let is_failing = is_true(object, "Degraded");
    let status = match kstatus(object) {
        _ if !is_observed(object) => "Progressing",
        "Failed" => "Degraded",
        "Terminating" => "Progressing",
        "InProgress" if is_true(object, "Reconciling") => "Progressing",
        _ if is_failing => "Degraded",
        _ if is_paused => "Suspended",
        "Current" if is_true(object, "Ready") => "Healthy",
        _ => "Progressing",
    };
    let told = found(object, "Ready")["message"].as_str().unwrap_or_default();
    let message = if is_observed(object) { told } else { "Moorage has not looked at this generation yet" };
    json!({"status": status, "message": message})
}

#[test]
fn every_status_has_the_health_that_it_should() {
    let scripts = ParentKind::ALL.map(script);
    assert!(scripts.iter().all(|script| *script == scripts[0]), "the kinds have different scripts");
    let mut told = BTreeSet::new();
    let goldens = goldens();
    for (name, object) in goldens.iter().chain(&thinkable()) {
        let health = lua::run(&scripts[0], object);
        assert_eq!(health, expected(object), "{name}: {object}");
        let is_well = is_true(object, "Ready") && is_observed(object);
        assert!(health["status"] != "Healthy" || is_well, "{name} is Healthy: {object}");
        assert!(health["status"] != "Healthy" || kstatus(object) == "Current", "{name}: kstatus disagrees");
        let is_failed = kstatus(object) == "Failed" && is_observed(object);
        assert!(!is_failed || health["status"] == "Degraded", "{name}: kstatus disagrees");
        told.insert(health["status"].as_str().unwrap().to_owned());
    }
    assert_eq!(told, ["Degraded", "Healthy", "Progressing", "Suspended"].map(str::to_owned).into());
    // What Ready says is what a golden case's health says, so nobody sees a red mark without a word.
    for (name, object) in &goldens {
        let health = lua::run(&scripts[0], object);
        assert!(health["status"] == "Healthy" || health["message"] != "", "{name}: {health}");
    }
}

/// The files beside a script: the objects, and the list of them.
fn cases(kind: ParentKind, names: &[&str]) -> (Vec<(String, Value)>, Value) {
    let mut objects: Vec<(String, Value)> = names.iter().map(|name| ((*name).to_owned(), golden(kind, name))).collect();
    let first = golden(kind, names[0]);
    let mut bare = first.clone();
    bare.as_object_mut().unwrap().shift_remove("status");
    let mut default = first.clone();
    default["status"] = json!({"observedGeneration": -1});
    let mut edited = first;
    edited["metadata"]["generation"] = json!(edited["metadata"]["generation"].as_i64().unwrap() + 1);
    objects.extend([("no-status", bare), ("fresh", default), ("edited", edited)].map(|(name, it)| (name.into(), it)));
    let paths = objects.into_iter().map(|(name, object)| (format!("testdata/{name}.yaml"), object));
    let paths: Vec<(String, Value)> = paths.collect();
    let tests: Vec<Value> =
        paths.iter().map(|(path, object)| json!({"healthStatus": expected(object), "inputPath": path})).collect();
    (paths, json!({"tests": tests}))
}

#[test]
fn the_cases_beside_the_scripts_are_golden_ones() {
    for (kind, names) in CASES {
        let (objects, tests) = cases(kind, names);
        for (path, object) in &objects {
            settle(&folder(kind).join(path), &serde_saphyr::to_string(object).unwrap());
        }
        settle(&folder(kind).join("health_test.yaml"), &serde_saphyr::to_string(&tests).unwrap());
        let stand = std::fs::read_dir(folder(kind).join("testdata")).unwrap().count();
        assert_eq!(stand, objects.len(), "{kind:?} has files in testdata that no case reads");
    }
}

/// From what is committed only, as the test of Argo CD's own repository does.
#[test]
fn the_scripts_pass_the_cases_beside_them() {
    for kind in ParentKind::ALL {
        let folder = folder(kind);
        let tests = yaml(&folder.join("health_test.yaml"))["tests"].clone();
        let tests = tests.as_array().unwrap();
        assert!(tests.len() >= 5, "{kind:?}");
        for test in tests {
            let path = folder.join(test["inputPath"].as_str().unwrap());
            assert_eq!(lua::run(&script(kind), &yaml(&path)), test["healthStatus"], "{}", path.display());
        }
    }
}

/// `argocd-cm.yaml` has the scripts that lie beside it, and nothing that an Argo CD has set itself.
#[test]
fn the_config_map_has_the_same_scripts() {
    let map = yaml(&root().join("deploy/argocd/argocd-cm.yaml"));
    assert_eq!((&map["kind"], &map["metadata"]["name"]), (&json!("ConfigMap"), &json!("argocd-cm")));
    let data = map["data"].as_object().unwrap();
    let read = |path: PathBuf| Value::from(std::fs::read_to_string(path).unwrap());
    let mut read_from = 0;
    for kind in ParentKind::ALL {
        let key = |what: &str| format!("resource.customizations.{what}.moorage.dev_{}", kind.as_str());
        assert_eq!(data[&key("health")], read(folder(kind).join("health.lua")));
        read_from += 1;
        let actions = folder(kind).join("actions");
        let Some(text) = data.get(&key("actions")) else {
            assert!(!actions.exists(), "{kind:?} has actions that the ConfigMap lacks");
            continue;
        };
        read_from += 1;
        let given: Value = serde_saphyr::from_str(text.as_str().unwrap()).unwrap();
        assert_eq!(given["discovery.lua"], read(actions.join("discovery.lua")));
        let definitions = given["definitions"].as_array().unwrap();
        let folders = std::fs::read_dir(&actions).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_dir());
        assert_eq!(definitions.len() + 1, folders.count(), "{kind:?}: and testdata");
        for one in definitions {
            let name = one["name"].as_str().unwrap();
            assert_eq!(one["action.lua"], read(actions.join(name).join("action.lua")), "{kind:?} {name}");
        }
    }
    assert_eq!(data.len(), read_from, "keys that are no script of ours: {:?}", data.keys());
}
