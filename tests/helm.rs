//! The chart, rendered by the real Helm: what it installs is what `deploy/` has, each value does something, and what is no value is refused
//! by its name. `tests/cluster/ways.rs` installs it.

#![allow(clippy::panic, clippy::unwrap_used, reason = "every function here is part of a test")]

use moorage::generate::helm::values::{Setting, settings};
use moorage::generate::rbac::{COMPONENTS, Grant, Place, base};
use moorage::generate::{deploy, fence::fence, manifests};
use moorage_harness::{Progress, build};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

const NAMESPACE: &str = "moorage-system";
const IMAGE: &str = "registry.example.com/team/moorage";

static HELM: LazyLock<PathBuf> = LazyLock::new(|| build::program(build::HELM, Progress::stderr()).unwrap());

/// Objects by kind and name, and by namespace where that is not the release's.
type Objects = BTreeMap<String, Value>;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn chart() -> PathBuf {
    root().join("deploy/helm/moorage")
}

/// Runs Helm with these values and nothing of this machine's; what it says if it fails.
fn helm(arguments: &[&str], values: &Value) -> Result<String, String> {
    let mut command = Command::new(&*HELM);
    for folder in ["CACHE", "CONFIG", "DATA"] {
        command.env(format!("HELM_{folder}_HOME"), Path::new(env!("CARGO_TARGET_TMPDIR")).join("helm"));
    }
    command.env("KUBECONFIG", "/dev/null").args(arguments).args(["--values", "-"]);
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    child.stdin.take().unwrap().write_all(values.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

fn template(namespace: &str, values: &Value) -> Result<Objects, String> {
    let chart = chart().display().to_string();
    let text = helm(&["template", "moorage", &chart, "--namespace", namespace], values)?;
    let mut objects = Objects::new();
    for object in serde_saphyr::from_multiple::<Value>(&text).unwrap() {
        let key = key(&object, namespace);
        assert!(objects.insert(key.clone(), object).is_none(), "{key} comes twice");
    }
    Ok(objects)
}

fn key(object: &Value, namespace: &str) -> String {
    let [kind, name] = [&object["kind"], &object["metadata"]["name"]].map(|text| text.as_str().unwrap());
    match object["metadata"]["namespace"].as_str() {
        Some(other) if other != namespace => format!("{kind} {other}/{name}"),
        _ => format!("{kind} {name}"),
    }
}

/// The values that an installer must set, and these.
fn with_image(values: &Value) -> Value {
    let mut all = json!({"image": {"repository": IMAGE}});
    merge(&mut all, values);
    all
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                match into.get_mut(key) {
                    Some(there) => merge(there, value),
                    None => drop(into.insert(key.clone(), value.clone())),
                }
            }
        }
        (into, from) => *into = from.clone(),
    }
}

/// What is rendered with the image and these values.
fn rendered(values: &Value) -> Objects {
    template(NAMESPACE, &with_image(values)).unwrap_or_else(|error| panic!("{values}: {error}"))
}

/// A value at a path of `values.yaml`.
fn at(path: &str, value: &Value) -> Value {
    path.rsplit('.').fold(value.clone(), |value, name| json!({name: value}))
}

fn rows(file: &str) -> Vec<Value> {
    serde_saphyr::from_str(&std::fs::read_to_string(root().join("tests/helm").join(file)).unwrap()).unwrap()
}

/// Every component on, for all namespaces.
fn all_components() -> Value {
    let mut values = json!({});
    for setting in settings().iter().filter(|setting| setting.path.starts_with("components.")) {
        let on = if setting.default.is_array() { json!(["shop"]) } else { json!(true) };
        merge(&mut values, &at(&setting.path, &on));
    }
    values
}

#[test]
fn helm_finds_nothing_to_complain_of() {
    let chart = chart().display().to_string();
    for values in [json!({}), with_image(&json!({})), with_image(&all_components())] {
        let said = helm(&["lint", "--strict", &chart], &values).unwrap();
        assert!(said.contains("1 chart(s) linted, 0 chart(s) failed"), "{said}");
        assert!(!said.contains("[INFO]") && !said.contains("[WARNING]"), "{said}");
    }
}

/// As with the placeholder in `deploy/`, nothing is pulled before the installer says whose image it is.
#[test]
fn no_image_is_a_default() {
    let refused = template(NAMESPACE, &json!({})).map(drop).unwrap_err();
    assert!(refused.contains("image.repository must be set: no image of Moorage is published yet"), "{refused}");
    for file in ["values.yaml", "README.md", "Chart.yaml"] {
        let text = std::fs::read_to_string(chart().join(file)).unwrap();
        assert!(!text.contains("registry.invalid"), "{file} has a placeholder that would be taken for an image");
    }
    assert!(deploy::IMAGE.starts_with("registry.invalid/"), "once there is one, the chart has it");
}

/// Where the chart and `deploy/install.yaml` differ: in objects of a kind (`*` is every one), what, and why.
const DIFFERENCES: [(&str, &str, &str); 4] = [
    ("Namespace", "", "Helm makes it, or an admin: `docs/install/helm.md`"),
    ("*", "/metadata/labels", "Helm has labels of its own, beside ours"),
    ("CustomResourceDefinition", "/metadata/annotations", "kept when the release is uninstalled"),
    ("Deployment", "/spec/template/spec/containers/0/image", "the installer says which"),
];

#[test]
fn it_installs_what_the_manifest_does() {
    let files: BTreeMap<String, String> = manifests().into_iter().collect();
    let installed: Vec<Value> = serde_saphyr::from_multiple(&files["install.yaml"]).unwrap();
    let mut expected: Objects = installed.into_iter().map(|object| (key(&object, NAMESPACE), object)).collect();
    let mut found = rendered(&json!({}));
    for (kind, path, why) in DIFFERENCES {
        let concerned = |key: &String| kind == "*" || key.starts_with(&format!("{kind} "));
        let keys: Vec<String> = expected.keys().filter(|key| concerned(key)).cloned().collect();
        assert!(!keys.is_empty(), "{kind}: {why}");
        for key in keys {
            if path.is_empty() {
                expected.remove(&key);
                continue;
            }
            let (parent, name) = path.rsplit_once('/').unwrap();
            let take = |objects: &mut Objects| {
                let object = objects.get_mut(&key).unwrap_or_else(|| panic!("no {key}"));
                object.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name)
            };
            let (ours, theirs) = (take(&mut expected), take(&mut found));
            assert_ne!(ours, theirs, "{key}: {path} does not differ");
            for (label, value) in ours.iter().filter_map(Value::as_object).flatten() {
                assert_eq!(theirs.as_ref().unwrap()[label], *value, "{key}: {path} lacks {label}");
            }
        }
    }
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (key, object) in expected {
        assert_eq!(found[&key], object, "{key}");
    }
}

/// A CRD that went with a release would take every App along.
#[test]
fn definitions_are_kept_and_nothing_else_is() {
    for (key, object) in rendered(&all_components()) {
        let policy = &object["metadata"]["annotations"]["helm.sh/resource-policy"];
        assert_eq!(*policy == "keep", key.starts_with("CustomResourceDefinition "), "{key}");
    }
}

/// Every role of the operator, and whether it is one of a component.
fn grants() -> Vec<(Grant, bool)> {
    let base = base().into_iter().map(|grant| (grant, false));
    base.chain(COMPONENTS.iter().flat_map(|component| (component.grants)()).map(|grant| (grant, true))).collect()
}

/// The role of that name, and the binding of it to the operator's account.
fn check(objects: &mut Objects, prefix: &str, place: &str, grant: &Grant, is_bound: bool) {
    let role = objects.remove(&format!("{prefix}Role {place}{}", grant.name));
    let role = role.unwrap_or_else(|| panic!("no {prefix}Role {place}{}", grant.name));
    assert_eq!(role["rules"], json!(grant.rules), "{}", grant.name);
    let binding = objects.remove(&format!("{prefix}RoleBinding {place}{}", grant.name));
    assert_eq!(binding.is_some(), is_bound, "{}", grant.name);
    if let Some(binding) = binding {
        let kind = format!("{prefix}Role");
        let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": grant.name});
        assert_eq!(binding["roleRef"], role);
        let account = json!([{"kind": "ServiceAccount", "name": "moorage", "namespace": NAMESPACE}]);
        assert_eq!(binding["subjects"], account, "{}", grant.name);
    }
}

fn only_rbac(objects: Objects) -> Objects {
    objects.into_iter().filter(|(key, _)| key.split(' ').next().unwrap().contains("Role")).collect()
}

/// What users have, which is nothing of the operator's.
fn without_users(mut objects: Objects) -> Objects {
    for role in deploy::user_roles() {
        let found = objects.remove(&key(&role, NAMESPACE)).unwrap();
        assert_eq!(found["rules"], role["rules"]);
        for (label, value) in role["metadata"]["labels"].as_object().unwrap() {
            assert_eq!(found["metadata"]["labels"][label], *value);
        }
    }
    objects
}

#[test]
fn rules_are_those_of_every_other_install() {
    let mut objects = without_users(only_rbac(rendered(&all_components())));
    for (grant, _) in grants() {
        let (prefix, place) = match grant.place {
            Place::Watched | Place::Cluster | Place::Others => ("Cluster", ""),
            Place::Own => ("", ""),
            Place::Chosen => ("", "shop/"),
        };
        check(&mut objects, prefix, place, &grant, grant.place != Place::Others);
    }
    assert!(objects.is_empty(), "more than anybody grants: {:?}", objects.keys());
}

#[test]
fn for_some_namespaces_the_same_rules_are_granted_in_each_and_nowhere_else() {
    let mut values = all_components();
    merge(&mut values, &json!({"watchNamespaces": ["shop", "blog", NAMESPACE]}));
    let mut objects = without_users(only_rbac(rendered(&values)));
    for (grant, is_component) in grants() {
        match grant.place {
            Place::Watched => {
                for place in ["shop/", "blog/", ""] {
                    check(&mut objects, "", place, &grant, true);
                }
            }
            Place::Own => check(&mut objects, "", "", &grant, true),
            Place::Chosen => check(&mut objects, "", "shop/", &grant, true),
            Place::Cluster | Place::Others if is_component => {
                check(&mut objects, "Cluster", "", &grant, grant.place == Place::Cluster);
            }
            Place::Cluster | Place::Others => {}
        }
    }
    assert!(objects.is_empty(), "more than anybody grants: {:?}", objects.keys());
}

/// Whoever may install into these namespaces and no more needs nothing of the cluster's.
#[test]
fn for_some_namespaces_nothing_need_be_of_the_cluster() {
    let components = json!({"events": true, "monitoring": true, "ownerReferences": true, "registrySecrets": true});
    let mut values = json!({"watchNamespaces": ["shop"], "components": components});
    let mut of_cluster = |more: Value| -> BTreeSet<String> {
        merge(&mut values, &more);
        let objects = rendered(&values).into_iter().filter(|(_, object)| object["metadata"].get("namespace").is_none());
        objects.map(|(key, _)| key).collect()
    };
    assert!(of_cluster(json!({})).iter().all(|key| !key.starts_with("ClusterRoleBinding ")));
    let none = of_cluster(json!({"crds": {"install": false}, "userRoles": false, "fence": false}));
    assert!(none.is_empty(), "{none:?}");
}

#[test]
fn in_another_namespace_everything_is_there_and_the_fence_is_around_that() {
    let objects = template("elsewhere", &with_image(&all_components())).unwrap();
    let text = json!(objects).to_string();
    assert!(!text.contains(NAMESPACE), "{text}");
    for mut policy in fence("elsewhere", "moorage", &json!(null)) {
        let mut found = objects[&key(&policy, "elsewhere")].clone();
        for object in [&mut policy, &mut found] {
            object["metadata"]["labels"].take();
        }
        assert_eq!(found, policy);
    }
}

#[test]
fn every_value_does_what_its_row_says() {
    let rows = rows("values.yaml");
    for Setting { path, .. } in settings() {
        assert!(rows.iter().any(|row| row["value"] == path), "tests/helm/values.yaml has no row for {path}");
    }
    for row in rows {
        let path = row["value"].as_str().unwrap();
        let mut values = row.get("with").cloned().unwrap_or_else(|| json!({}));
        let before = rendered(&values);
        merge(&mut values, &at(path, &row["set"]));
        let after = rendered(&values);
        let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        let changed: BTreeSet<&str> =
            keys.iter().filter(|key| before.get(**key) != after.get(**key)).map(|key| key.as_str()).collect();
        let wanted: Vec<&str> = match row["changes"].as_array() {
            Some(keys) => keys.iter().map(|key| key.as_str().unwrap()).collect(),
            None => keys.iter().map(|key| key.as_str()).collect(),
        };
        assert_eq!(changed, wanted.iter().copied().collect(), "{path}");
        if let Some(field) = row["field"].as_str() {
            let found = after[wanted[0]].pointer(field).unwrap_or(&Value::Null);
            assert_eq!(*found, row["is"], "{path}: {field} of {}", wanted[0]);
        }
    }
}

/// What is not a value, or has another form, is refused with its name.
#[test]
fn nothing_is_ignored() {
    for Setting { path, .. } in settings() {
        let pointer = format!("'/{}", path.replace('.', "/"));
        let refused = template(NAMESPACE, &with_image(&at(&path, &json!({"wrong": 1})))).map(drop).unwrap_err();
        assert!(refused.contains(&pointer), "{path}: {refused}");
        let mistyped = format!("{path}x");
        let refused = template(NAMESPACE, &with_image(&at(&mistyped, &json!(1)))).map(drop).unwrap_err();
        let name = mistyped.rsplit('.').next().unwrap();
        assert!(refused.contains(&format!("additional properties '{name}' not allowed")), "{mistyped}: {refused}");
    }
    for row in rows("bad-values.yaml") {
        let refused = template(NAMESPACE, &with_image(&row["values"])).map(drop).expect_err(&row.to_string());
        for said in row["says"].as_array().unwrap() {
            assert!(refused.contains(said.as_str().unwrap()), "{row}: {refused}");
        }
    }
}

/// A chart above this one shares values with it.
#[test]
fn as_a_part_of_another_chart_it_takes_what_that_shares() {
    assert_eq!(rendered(&json!({"global": {"imageRegistry": "mirror.example.com"}})), rendered(&json!({})));
}

/// Pods that do not change are not restarted.
#[test]
fn labels_of_the_pods_have_no_version() {
    let labels = rendered(&json!({}))["Deployment moorage"]["spec"]["template"]["metadata"]["labels"].clone();
    assert_eq!(labels, deploy::labels());
}

#[test]
fn the_notes_say_what_is_installed_and_what_is_not() {
    let chart = chart().display().to_string();
    let notes = |values: &Value| {
        let install = ["install", "moorage", &chart, "--namespace", NAMESPACE, "--dry-run=client"];
        let said = helm(&install, &with_image(values)).unwrap();
        said.split_once("\nNOTES:\n").unwrap().1.to_owned()
    };
    let plain = notes(&json!({}));
    for said in [
        "in the namespace moorage-system, for all namespaces.",
        "components are off: configSecrets, events, metricsAuth, monitoring, ownerReferences, registrySecrets.",
        "kubectl -n moorage-system rollout status deployment/moorage",
        "helm uninstall moorage -n moorage-system` keeps what runs",
    ] {
        assert!(plain.contains(said), "{said}: {plain}");
    }
    assert!(!plain.contains("The fence is off"), "{plain}");
    let mut values = all_components();
    merge(&mut values, &json!({"watchNamespaces": ["shop", "blog"], "fence": false}));
    let full = notes(&values);
    assert!(full.contains("for the namespaces shop, blog.") && full.contains("The fence is off"), "{full}");
    assert!(!full.contains("components are off"), "{full}");
}
