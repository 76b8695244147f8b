//! What a cluster extension may change of its CRDs, by the rules of OLM v1's check before an upgrade
//! (operator-framework.github.io/operator-controller/concepts/crd-upgrade-safety): what they don't name as allowed is refused.

use super::{VERSION, list, parsed, text};
use moorage::core::kind::ParentKind;
use moorage::generate::crds::crd;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Limits that may only become smaller.
const LOWER: [&str; 4] = ["minimum", "minLength", "minItems", "minProperties"];
/// Limits that may only become larger.
const UPPER: [&str; 4] = ["maximum", "maxLength", "maxItems", "maxProperties"];

/// Every change that is refused between two versions of a CRD, with its place in the schema.
fn refusals(old: &Value, new: &Value) -> Vec<String> {
    let mut found = Vec::new();
    if old["spec"]["scope"] != new["spec"]["scope"] {
        found.push("scope".to_owned());
    }
    let now = list(&new["spec"]["versions"]);
    for before in list(&old["spec"]["versions"]) {
        let name = text(&before["name"]);
        match now.iter().find(|version| version["name"] == before["name"]) {
            Some(after) if after["served"] != before["served"] => found.push(format!("{name}.served")),
            Some(after) => schema(&name, &before["schema"], &after["schema"], &mut found),
            None => found.push(name),
        }
    }
    found
}

/// Those of one schema.
fn schema(place: &str, old: &Value, new: &Value, found: &mut Vec<String>) {
    let (Some(before), Some(after)) = (old.as_object(), new.as_object()) else {
        if old != new {
            found.push(place.to_owned());
        }
        return;
    };
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for key in keys {
        let place = format!("{place}.{key}");
        let (old, new) = (&old[key], &new[key]);
        match key.as_str() {
            "properties" => properties(&place, old, new, found),
            "items" | "additionalProperties" | "openAPIV3Schema" => schema(&place, old, new, found),
            _ if !is_allowed(key, old, new) => found.push(place),
            _ => {}
        }
    }
}

fn properties(place: &str, old: &Value, new: &Value, found: &mut Vec<String>) {
    for (name, before) in old.as_object().unwrap_or(&Map::new()) {
        schema(&format!("{place}.{name}"), before, &new[name], found);
    }
}

/// Whether one keyword of a schema may change so.
fn is_allowed(key: &str, old: &Value, new: &Value) -> bool {
    let all = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let both = old.as_f64().zip(new.as_f64());
    old == new
        || match key {
            "description" => true,
            "required" => all(new).iter().all(|field| all(old).contains(field)),
            "enum" => old.is_array() && all(old).iter().all(|value| all(new).contains(value)),
            _ if LOWER.contains(&key) => both.is_some_and(|(old, new)| new < old),
            _ if UPPER.contains(&key) => both.is_some_and(|(old, new)| new > old),
            _ => false,
        }
}

const SPEC: &str = "/spec/versions/0/schema/openAPIV3Schema/properties/spec";

/// Puts a value at a place below the schema of a spec; takes away what is there for null.
fn change(crd: &mut Value, place: &str, value: &Value) {
    let (above, key) = place.rsplit_once('/').unwrap_or_default();
    let pointer = format!("{SPEC}{above}");
    let parent = crd.pointer_mut(&pointer).and_then(Value::as_object_mut).unwrap_or_else(|| panic!("no {pointer}"));
    if value.is_null() {
        parent.remove(key);
    } else {
        parent.insert(key.to_owned(), value.clone());
    }
}

/// An App's CRD with that at that place.
fn with(place: &str, value: &Value) -> Value {
    let mut app = crd(ParentKind::App);
    change(&mut app, place, value);
    app
}

#[test]
fn what_would_break_a_stored_resource_or_its_author_is_refused() {
    let string = json!({"type": "string"});
    let without = |place: &str, left_out: &str| {
        let kept = list(crd(ParentKind::App).pointer(&format!("{SPEC}{place}")).unwrap());
        json!(kept.into_iter().filter(|one| one != left_out).collect::<Vec<_>>())
    };
    let pull = "/properties/imagePullPolicy/enum";
    for (what, before, after, is_refused) in [
        ("a field goes", None, Some(("/properties/replicas", json!(null))), true),
        ("a field of a list's item goes", None, Some(("/properties/ports/items/properties/name", json!(null))), true),
        ("a field comes", None, Some(("/properties/later", string.clone())), false),
        ("a field has to be there", None, Some(("/required", json!(["image", "replicas"]))), true),
        ("a field may be left out", None, Some(("/required", json!([]))), false),
        ("another type", None, Some(("/properties/image/type", json!("integer"))), true),
        ("another type of list", None, Some(("/properties/ports/x-kubernetes-list-type", json!("atomic"))), true),
        ("a default comes", None, Some(("/properties/replicas/default", json!(1))), true),
        ("a default goes", Some(("/properties/replicas/default", json!(1))), None, true),
        ("a choice goes", None, Some((pull, without(pull, "Never"))), true),
        ("a choice comes", Some((pull, without(pull, "Never"))), None, false),
        ("choices come", Some((pull, json!(null))), None, true),
        ("a limit is raised", Some(("/properties/image/maxLength", json!(1))), None, false),
        ("a limit is lowered", None, Some(("/properties/image/maxLength", json!(1))), true),
        ("a limit comes", Some(("/properties/image/maxLength", json!(null))), None, true),
        ("a least amount is raised", None, Some(("/properties/image/minLength", json!(9))), true),
        ("a rule changes", None, Some(("/x-kubernetes-validations", json!([{"rule": "true"}]))), true),
        ("other words", None, Some(("/properties/image/description", json!("Another."))), false),
    ] {
        let make = |change: &Option<(&str, Value)>| {
            change.as_ref().map_or_else(|| crd(ParentKind::App), |(place, value)| with(place, value))
        };
        let found = refusals(&make(&before), &make(&after));
        assert_eq!(!found.is_empty(), is_refused, "{what}: {found:?}");
    }
    let app = crd(ParentKind::App);
    let mut other = app.clone();
    let mut version = other["spec"]["versions"][0].clone();
    version["name"] = json!("v1");
    other["spec"]["versions"].as_array_mut().unwrap().push(version);
    assert!(refusals(&app, &other).is_empty(), "a version comes");
    assert_eq!(refusals(&other, &app), ["v1"], "a version goes");
    other["spec"]["scope"] = json!("Cluster");
    assert_eq!(refusals(&app, &other), ["scope"]);
    let status = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties/pods";
    let mut other = app.clone();
    *other.pointer_mut(status).unwrap() = json!({"type": "integer"});
    assert!(!refusals(&app, &other).is_empty(), "a field of the status counts as well");
}

/// From the first release on. The CRDs of a release are those of its bundle, which stays.
#[test]
fn no_release_changes_what_the_one_before_promised() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let changelog = fs::read_to_string(root.join("CHANGELOG.md")).unwrap();
    let sections = changelog.split("\n## [").skip(1).filter_map(|section| section.split_once(']'));
    let (unreleased, released): (Vec<_>, Vec<_>) = sections.partition(|(name, _)| *name == "Unreleased");
    let is_news = unreleased.iter().any(|(_, text)| !text.trim().is_empty());
    for (version, _) in released {
        assert!(!is_news || version != VERSION, "{version} is out, and what is new since then needs another version");
        for kind in ParentKind::ALL.into_iter().filter(|_| version != VERSION) {
            let name = format!("{}.moorage.dev.customresourcedefinition.yaml", kind.plural());
            let path = root.join(format!("deploy/olm/moorage/{version}/manifests/{name}"));
            let old = parsed(&fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())));
            let found = refusals(&old, &crd(kind));
            assert!(found.is_empty(), "{version} is in use; of its {}, this can't change: {found:#?}", kind.plural());
        }
    }
}
