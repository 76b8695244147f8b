//! `healthCheckExprs` for Flux: not needed, as kstatus reads our statuses, and of one mind with it where somebody wants them.

use crate::kstatus::kstatus;
use crate::{goldens, is_true, root, thinkable};
use cel::{Context, Program, Value as Cel};
use moorage::core::kind::ParentKind;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The checks of the Kustomization in the examples.
fn checks() -> Vec<Value> {
    let text = std::fs::read_to_string(root().join("examples/gitops/flux/kustomization.yaml")).unwrap();
    let kustomization: Value = serde_saphyr::from_str(&text).unwrap();
    kustomization["spec"]["healthCheckExprs"].as_array().unwrap().clone()
}

/// Whether an expression is true of an object, whose fields are its variables. None where it is an error, which for Flux is one.
fn holds(expression: &str, object: &Value) -> Option<bool> {
    let program = Program::compile(expression).unwrap_or_else(|error| panic!("{expression}: {error}"));
    let mut context = Context::default();
    for (name, value) in object.as_object().unwrap() {
        context.add_variable(name.clone(), value).unwrap();
    }
    match program.execute(&context) {
        Ok(Cel::Bool(holds)) => Some(holds),
        Ok(_) | Err(_) => None,
    }
}

/// What Flux makes of an object by such a check (its RFC 9, `runtime/cel/status_evaluator.go` of `fluxcd/pkg`).
fn read(check: &Value, object: &Value) -> Option<&'static str> {
    let observed = &object["status"]["observedGeneration"];
    if !observed.is_null() && *observed != object["metadata"]["generation"] {
        return Some("InProgress");
    }
    for (name, status) in [("inProgress", "InProgress"), ("failed", "Failed"), ("current", "Current")] {
        if let Some(expression) = check[name].as_str()
            && holds(expression, object)?
        {
            return Some(status);
        }
    }
    Some("InProgress")
}

#[test]
fn the_expressions_say_what_kstatus_says() {
    let checks = checks();
    let kinds: BTreeSet<&str> = checks.iter().map(|check| check["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ParentKind::ALL.map(ParentKind::as_str).into());
    let mut told = BTreeSet::new();
    for check in &checks {
        assert_eq!(check["apiVersion"], "moorage.dev/v1alpha1");
        for name in ["inProgress", "failed", "current"] {
            assert_eq!(check[name], checks[0][name], "the kinds have different expressions");
        }
    }
    let of_golden = goldens().into_iter().filter(|(_, object)| object["metadata"]["deletionTimestamp"].is_null());
    for (name, object) in of_golden.chain(thinkable()) {
        let status = &object["status"];
        // The CRD gives every object a status, and the first that is told has both.
        if status["observedGeneration"].is_null()
            || (status["conditions"].is_null() && status["observedGeneration"] == 3)
        {
            continue;
        }
        let read = read(&checks[0], &object);
        assert_eq!(read, Some(kstatus(&object)), "{name}: {object}");
        assert_eq!(read == Some("Current"), is_true(&object, "Ready") && kstatus(&object) == "Current", "{name}");
        told.insert(read.unwrap());
    }
    assert_eq!(told, ["Current", "Failed", "InProgress"].into());
}

/// What the recipe offers to who wants to be told of failing pods at once.
#[test]
fn the_stricter_expression_fails_with_the_pods() {
    let page = std::fs::read_to_string(root().join("docs/recipes/gitops.md")).unwrap();
    let block = page.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let mut check = checks()[0].clone();
    check["failed"] = serde_saphyr::from_str::<Value>(block).unwrap()["failed"].clone();
    for (name, object) in goldens() {
        let fails = is_true(&object, "Stalled") || (is_true(&object, "Degraded") && !is_true(&object, "Reconciling"));
        assert_eq!(read(&check, &object) == Some("Failed"), fails, "{name}: {object}");
    }
}

/// Where there are no conditions yet nothing is Current, and no expression is an error.
#[test]
fn nothing_is_current_before_it_is_told() {
    for status in [json!({}), json!({"observedGeneration": -1}), json!({"observedGeneration": 1})] {
        let object = json!({"metadata": {"generation": 1}, "status": status});
        assert_eq!(read(&checks()[0], &object), Some("InProgress"), "{object}");
    }
}
