//! `crds/`: the `CustomResourceDefinitions`, made of the types and the bounds in [`crate::api`] and the rules in [`super::rules`].

use super::files::{Compact, File, yaml};
use super::fixed::FIXED;
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
    for rule in rules().filter(|rule| rule.kind == kind) {
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
    RULES.iter().chain(FIXED)
}

/// Puts a rule at its place.
fn attach(schema: &mut Value, rule: &Rule) {
    let mut place = schema;
    for part in rule.path.split('.').filter(|part| !part.is_empty()) {
        place = match part.strip_suffix("[]") {
            Some(list) => &mut place["properties"][list]["items"],
            None => &mut place["properties"][part],
        };
    }
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
