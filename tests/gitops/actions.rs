//! Actions for Argo CD: what they do to an object is what they say, and no more.

use crate::argocd::folder;
use crate::{goldens, lua, root, yaml};
use moorage::core::kind::ParentKind;
use moorage::core::plan::PlanSettings;
use moorage::generate::render::rendered;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What a kind can do now, by the name of the action, as Argo CD reads it: enabled unless it says otherwise.
fn possible(kind: ParentKind, object: &Value) -> Vec<(String, bool)> {
    let found = lua::run_file(&folder(kind).join("actions/discovery.lua"), object);
    let found = found.as_object().unwrap();
    let mut found: Vec<(String, bool)> =
        found.iter().map(|(name, action)| (name.clone(), action["disabled"] != true)).collect();
    found.sort();
    found
}

fn done(kind: ParentKind, action: &str, object: &Value) -> Value {
    let result = lua::run_file(&folder(kind).join(format!("actions/{action}/action.lua")), object);
    mended(result, object)
}

/// Lua has one kind of table, so an empty map comes back as an empty list or the other way round; Argo CD takes either as it was.
fn mended(new: Value, old: &Value) -> Value {
    let is_empty = |value: &Value| *value == json!({}) || *value == json!([]);
    match new {
        new if is_empty(&new) && is_empty(old) => old.clone(),
        Value::Object(map) => {
            Value::Object(map.into_iter().map(|(key, value)| (key.clone(), mended(value, &old[&key]))).collect())
        }
        Value::Array(items) => {
            Value::Array(items.into_iter().enumerate().map(|(index, item)| mended(item, &old[index])).collect())
        }
        scalar => scalar,
    }
}

#[test]
fn the_scripts_pass_the_cases_beside_them() {
    let (mut actions, mut files) = (Vec::new(), Vec::new());
    for kind in [ParentKind::App, ParentKind::Registry] {
        let folder = folder(kind).join("actions");
        let tests = yaml(&folder.join("action_test.yaml"));
        for test in tests["discoveryTests"].as_array().unwrap() {
            let path = folder.join(test["inputPath"].as_str().unwrap());
            let told = test["result"].as_array().unwrap().iter();
            let mut told: Vec<(String, bool)> =
                told.map(|one| (one["name"].as_str().unwrap().to_owned(), one["disabled"] != true)).collect();
            told.sort();
            assert_eq!(possible(kind, &yaml(&path)), told, "{}", path.display());
            files.push(path);
        }
        for test in tests["actionTests"].as_array().unwrap() {
            let [action, input, output] =
                ["action", "inputPath", "expectedOutputPath"].map(|key| test[key].as_str().unwrap());
            let (input, output) = (folder.join(input), folder.join(output));
            assert_eq!(done(kind, action, &yaml(&input)), yaml(&output), "{action}: {}", output.display());
            actions.push(folder.join(action));
            files.extend([input, output]);
        }
        for entry in std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            let is_tested = actions.contains(&entry) || entry.ends_with("testdata") || entry.is_file();
            assert!(is_tested, "no case of {}", entry.display());
        }
        for entry in std::fs::read_dir(folder.join("testdata")).unwrap().map(|entry| entry.unwrap().path()) {
            assert!(files.contains(&entry), "no case reads {}", entry.display());
            let text = std::fs::read_to_string(&entry).unwrap();
            rendered(&text, &settings()).unwrap_or_else(|faults| panic!("{}: {faults:?}", entry.display()));
        }
    }
    assert!(!root().join("deploy/argocd/moorage.dev/StorageClaim/actions").exists(), "it needs a case");
}

fn settings() -> PlanSettings {
    PlanSettings { registry_image: "registry.example.com/distribution:3.1.1".to_owned(), ..PlanSettings::default() }
}

/// What would be applied, or nothing where the spec itself is bad.
fn applied(object: &Value) -> Option<Vec<Value>> {
    let mut object = object.clone();
    object.as_object_mut().unwrap().shift_remove("status");
    let objects = rendered(&object.to_string(), &settings()).ok()?;
    let mut bodies: Vec<Value> = objects.iter().map(|object| object.body.clone()).collect();
    // Hashes of the rest, our own notes.
    for body in &mut bodies {
        body["metadata"]["annotations"].as_object_mut().unwrap().retain(|key, _| !key.starts_with("moorage.dev/"));
    }
    Some(bodies)
}

/// Whatever is declared, a restart is a new pod template and nothing else, and the next one is another.
#[test]
fn a_restart_is_a_new_template_and_nothing_else() {
    let mut seen = BTreeSet::new();
    for (name, object) in goldens() {
        let kind = ParentKind::named(object["kind"].as_str().unwrap()).unwrap();
        if kind == ParentKind::StorageClaim || !seen.insert(object["spec"].to_string()) {
            continue;
        }
        let Some(before) = applied(&object) else { continue };
        let once = done(kind, "restart", &object);
        let mut after = applied(&once).unwrap_or_else(|| panic!("{name}: {once} is refused"));
        // None while its claim may not be used.
        let Some(deployment) = after.iter_mut().find(|object| object["kind"] == "Deployment") else { continue };
        let template = deployment["spec"]["template"]["metadata"].as_object_mut().unwrap();
        assert_eq!(
            template["annotations"].as_object_mut().unwrap().shift_remove("restarts"),
            Some(json!("1")),
            "{name}"
        );
        if template["annotations"] == json!({}) {
            template.shift_remove("annotations");
        }
        assert_eq!(before, after, "{name}");
        let twice = done(kind, "restart", &once);
        assert_eq!(twice["spec"]["pod"]["annotations"]["restarts"], "2", "{name}");
    }
    assert!(seen.len() > 60, "{}", seen.len());
}

/// Whatever is declared, one of them is possible at a time, and the second takes the first back.
#[test]
fn resume_undoes_pause() {
    for (name, object) in goldens().into_iter().filter(|(_, object)| object["kind"] == "App") {
        let is_paused = object["spec"]["paused"] == true;
        let can = |object: &Value, action: &str| {
            possible(ParentKind::App, object).iter().any(|(name, is_possible)| name == action && *is_possible)
        };
        assert_eq!((can(&object, "pause"), can(&object, "resume")), (!is_paused, is_paused), "{name}");
        let paused = done(ParentKind::App, "pause", &object);
        assert!(!can(&paused, "pause") && can(&paused, "resume") && !can(&paused, "restart"), "{name}");
        let mut declared = object.clone();
        declared["spec"].as_object_mut().unwrap().shift_remove("paused");
        assert_eq!(done(ParentKind::App, "resume", &paused), declared, "{name}");
    }
}
