//! `crds/`: the `CustomResourceDefinitions`, made of the types and the bounds in [`crate::api`] and the rules in [`super::rules`].

use super::files::{Compact, File, yaml};
use super::fixed::FIXED;
use super::pod_rules::POD_RULES;
use super::rules::{RULES, Rule};
use crate::api::schema::{bound, optional_is_nullable};
use crate::api::{App, Registry, StorageClaim};
use crate::core::kind::ParentKind;
use kube::CustomResourceExt;
use serde_json::{Value, json};

/// One file per kind.
pub fn crds() -> Vec<File> {
    ParentKind::ALL.into_iter().map(|kind| (format!("{}.yaml", kind.plural()), yaml(&[Compact(&crd(kind))]))).collect()
}

/// The CRD of a kind.
pub fn crd(kind: ParentKind) -> Value {
    let generated = match kind {
        ParentKind::App => App::crd(),
        ParentKind::StorageClaim => StorageClaim::crd(),
        ParentKind::Registry => Registry::crd(),
    };
    let mut crd = serde_json::to_value(generated).unwrap_or_default();
    let schema = &mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    bound(schema, "");
    optional_is_nullable(&mut schema["properties"]["spec"], &[]);
    for rule in rules().filter(|rule| rule.kinds.contains(&kind)) {
        attach(schema, rule);
    }
    let status = &mut schema["properties"]["status"];
    for place in ["/properties/replicas", "/properties/revisions/items/properties/replicas"] {
        if let Some(replicas) = status.pointer_mut(place) {
            // More than may be declared, if something else scaled it.
            replicas["maximum"] = json!(i32::MAX);
        }
    }
    // Without a status a fresh object looks ready to tools that follow kstatus (fluxcd/flux2#4346).
    status["default"] = json!({"observedGeneration": -1});
    crd
}

/// Every rule.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    RULES.iter().chain(POD_RULES).chain(FIXED)
}

/// Puts a rule at its place, or at its places.
fn attach(schema: &mut Value, rule: &Rule) {
    let (begin, end) = rule.path.split_once("**").map_or((rule.path, None), |(begin, end)| (begin, Some(end)));
    let mut place = schema;
    for part in begin.split('.').filter(|part| !part.is_empty()) {
        place = match part.strip_suffix("[]") {
            Some(list) => &mut place["properties"][list]["items"],
            None => &mut place["properties"][part],
        };
    }
    match end {
        Some(end) => attach_below(place, begin, end, rule),
        None => put(place, rule),
    }
}

/// Puts a rule wherever the path ends like that.
fn attach_below(place: &mut Value, path: &str, end: &str, rule: &Rule) {
    if path.ends_with(end) {
        put(place, rule);
    }
    let Some(map) = place.as_object_mut() else { return };
    for (name, property) in map.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        attach_below(property, &format!("{path}.{name}"), end, rule);
    }
    if let Some(items) = map.get_mut("items") {
        attach_below(items, &format!("{path}[]"), end, rule);
    }
}

fn put(place: &mut Value, rule: &Rule) {
    let mut made = json!({"rule": rule.rule, "message": rule.message});
    if !rule.words.is_empty() {
        made["messageExpression"] = json!(rule.words);
    }
    if !rule.field.is_empty() {
        made["fieldPath"] = json!(rule.field);
    }
    let rules = &mut place["x-kubernetes-validations"];
    match rules.as_array_mut() {
        Some(rules) => rules.push(made),
        None => *rules = json!([made]),
    }
}
