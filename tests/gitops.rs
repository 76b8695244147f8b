//! What tools that keep a cluster as Git says make of our statuses is what they should. Their scripts and expressions are run by engines of their
//! own languages, over every status that a golden case records. `GOLDEN=update cargo test --test gitops` writes the cases beside the scripts anew.

#![allow(clippy::panic, clippy::unwrap_used, reason = "every function here is part of a test")]

#[path = "gitops/actions.rs"]
mod actions;
#[path = "gitops/argocd.rs"]
mod argocd;
#[path = "gitops/examples.rs"]
mod examples;
#[path = "gitops/flux.rs"]
mod flux;
#[path = "gitops/kstatus.rs"]
mod kstatus;
#[path = "gitops/lua.rs"]
mod lua;

use moorage::core::conditions::{Summary, Type, condition, merge};
use moorage::core::kind::ParentKind;
use moorage::core::reason::Reason;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn yaml(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The object of a golden case, with the status that is recorded of it.
fn golden(kind: ParentKind, case: &str) -> Value {
    let folder = root().join("tests/golden").join(kind.as_str().to_lowercase()).join(case);
    let mut object = yaml(&folder.join("input.yaml"));
    object["status"] = yaml(&folder.join("plan.yaml"))["status"].clone();
    object
}

/// The objects of all golden cases, each with its name.
fn goldens() -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for kind in ParentKind::ALL {
        let folder = root().join("tests/golden").join(kind.as_str().to_lowercase());
        for entry in std::fs::read_dir(folder).unwrap() {
            let case = entry.unwrap().file_name().into_string().unwrap();
            found.push((format!("{} {case}", kind.as_str()), golden(kind, &case)));
        }
    }
    assert!(found.len() > 150, "{} cases", found.len());
    found
}

/// An object of each summary with each reason, pods that fail or not, and each way to have or not to have looked at its generation.
fn thinkable() -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for reason in Reason::ALL.iter().copied() {
        let told = || format!("Deployment web: {}", reason.as_str());
        for summary in [
            Summary::Ready(reason, told()),
            Summary::Waiting(reason, told()),
            Summary::Stalled(reason, told()),
            Summary::Impaired(reason, told()),
        ] {
            for degraded in [None, Some(false), Some(true)] {
                for observed in [json!(3), json!(2), json!(4), json!(-1), Value::Null] {
                    let mut wanted = summary.conditions();
                    wanted.extend(degraded.map(|is| condition(Type::Degraded, is, Reason::CrashLoopBackOff, "")));
                    let conditions = merge(&[], wanted, observed.as_i64().unwrap_or(0), jiff::Timestamp::UNIX_EPOCH);
                    let mut status = json!({"conditions": conditions});
                    if !observed.is_null() {
                        status["observedGeneration"] = observed.clone();
                    }
                    let name = format!("{summary:?}, degraded {degraded:?}, observed {observed}");
                    found.push((name, json!({"metadata": {"generation": 3}, "spec": {}, "status": status})));
                }
            }
        }
    }
    for status in [Value::Null, json!({}), json!({"observedGeneration": -1}), json!({"observedGeneration": 3})] {
        let object = json!({"metadata": {"generation": 3}, "spec": {}, "status": status});
        found.push((format!("status {status}"), object));
    }
    found
}

/// The condition of that type.
fn found<'a>(object: &'a Value, type_: &str) -> &'a Value {
    let mut conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    conditions.find(|one| one["type"] == type_).unwrap_or(&Value::Null)
}

fn is_true(object: &Value, type_: &str) -> bool {
    found(object, type_)["status"] == "True"
}

fn is_observed(object: &Value) -> bool {
    let observed = &object["status"]["observedGeneration"];
    !observed.is_null() && *observed == object["metadata"]["generation"]
}

/// Compares a file with what it should hold, or writes it.
fn settle(path: &PathBuf, text: &str) {
    if std::env::var("GOLDEN").is_ok_and(|mode| mode == "update") {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let stands = std::fs::read_to_string(path).unwrap_or_default();
    assert!(stands == text, "{} is not what it should be; GOLDEN=update writes it anew", path.display());
}
