//! What is committed is what the code generates, and the schemas and roles keep their promises.

#![allow(clippy::panic, clippy::unwrap_used, reason = "every function here is part of a test")]

use moorage::core::plan::PlanSettings;
use moorage::generate;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Whether a file is of the bundle of another version, which stays as it was released.
fn is_released(path: &Path) -> bool {
    let bundles = root().join("deploy/olm/moorage");
    let version = path.strip_prefix(bundles).ok().and_then(|path| path.iter().next()).and_then(|name| name.to_str());
    version.is_some_and(|version| {
        changelog().contains(&format!("\n## [{version}]")) && version != env!("CARGO_PKG_VERSION")
    })
}

fn changelog() -> String {
    std::fs::read_to_string(root().join("CHANGELOG.md")).unwrap()
}

/// Whether a file is one of the cases beside Argo CD's scripts, which `tests/gitops.rs` reads.
fn is_case(path: &Path) -> bool {
    let is_test = path.file_name().is_some_and(|name| name == "health_test.yaml" || name == "action_test.yaml");
    path.starts_with(root().join("deploy/argocd"))
        && (is_test || path.parent().is_some_and(|it| it.ends_with("testdata")))
}

fn compare(folder: &str, files: Vec<generate::files::File>) {
    let mut folders = vec![root().join(folder)];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else {
                let is_made = files.iter().any(|(path, _)| entry == root().join(folder).join(path));
                assert!(
                    is_made || is_case(&entry) || is_released(&entry),
                    "{} is not generated; delete it",
                    entry.display()
                );
            }
        }
    }
    for (path, text) in files {
        let path = root().join(folder).join(path);
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(committed == text, "{} is not what the code generates; run `cargo xtask generate`", path.display());
    }
}

#[test]
fn crds_are_current() {
    compare("crds", generate::crds());
}

#[test]
fn manifests_are_current() {
    compare("deploy", generate::installs());
}

/// A name that a stranger could register would let them run as the operator wherever it is installed as it stands.
#[test]
fn the_operators_image_is_nobodys_until_it_is_published() {
    let manifests = generate::manifests();
    let lines = manifests.iter().flat_map(|(_, text)| text.lines());
    let images: Vec<&str> =
        lines.filter_map(|line| line.trim().strip_prefix("image: ")).filter(|image| image.contains('/')).collect();
    assert!(images.len() >= 3, "{images:?}");
    assert!(images.iter().all(|image| image.starts_with("registry.invalid/")), "{images:?}");
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    assert!(readme.contains(images[0]), "README.md does not say how to put another name for {}", images[0]);
}

/// `kubectl explain` has a sentence for every field.
#[test]
fn every_field_says_what_it_is_for() {
    fn mute(path: &str, schema: &Value, found: &mut Vec<String>) {
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.{name}");
            if field["description"].as_str().is_none_or(str::is_empty) {
                found.push(path.clone());
            }
            mute(&path, field, found);
        }
        for within in ["items", "additionalProperties"].into_iter().filter_map(|within| schema.get(within)) {
            mute(&format!("{path}[]"), within, found);
        }
    }
    for (path, text) in generate::crds() {
        let crd: Value = serde_saphyr::from_str(&text).unwrap();
        let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        for part in ["spec", "status"] {
            let mut found = Vec::new();
            mute(part, &schema["properties"][part], &mut found);
            assert!(found.is_empty(), "{path}: nothing is said of {found:?}");
        }
    }
}

#[test]
fn the_reference_is_current() {
    compare("docs/reference", generate::reference());
}

#[test]
fn each_crd_fits_into_an_annotation_with_room_to_spare() {
    for (path, text) in generate::crds() {
        // `kubectl apply` keeps it as JSON, and all annotations together have 256 KiB.
        let crd: Value = serde_saphyr::from_str(&text).unwrap();
        let bytes = crd.to_string().len();
        assert!(bytes < 240_000, "{path} has {bytes} bytes");
    }
}

/// For some namespaces, rights are granted in these only, to an account that lives in none of them.
#[test]
fn an_install_for_some_namespaces_grants_nothing_outside() {
    let objects = |text: &str| -> Vec<Value> { serde_saphyr::from_multiple(text).unwrap() };
    let files = generate::install_for(&["shop".to_owned(), "blog".to_owned()]);
    let tenant = generate::manifests().into_iter().find(|(path, _)| path == "namespaced/tenant.yaml").unwrap();
    let operator = generate::manifests().into_iter().find(|(path, _)| path == "namespaced/operator.yaml").unwrap();
    let mut bound = Vec::new();
    for object in objects(&files[0].1) {
        assert_ne!(object["kind"], "ClusterRoleBinding", "{object}");
        if object["kind"] == "ServiceAccount" {
            assert_eq!(object["metadata"]["namespace"], "moorage-system");
        }
        if object["kind"] == "RoleBinding" {
            assert_eq!(object["subjects"][0]["namespace"], "moorage-system", "{object}");
            bound.push(object["metadata"]["namespace"].as_str().unwrap().to_owned());
        }
        if object["kind"] == "Deployment" {
            let env = object["spec"]["template"]["spec"]["containers"][0]["env"].as_array().unwrap().clone();
            let watched = env.iter().find(|variable| variable["name"] == "MOORAGE_WATCH_NAMESPACE").unwrap();
            assert_eq!(watched["value"], "shop,blog");
        }
    }
    bound.sort();
    bound.dedup();
    assert_eq!(bound, ["blog", "moorage-system", "shop"]);
    let count = |text: &str| objects(text).len();
    assert_eq!(count(&files[0].1), count(&operator.1) + 2 * count(&tenant.1), "the same in files of their own");
}

fn schemas() -> Vec<(String, Value)> {
    moorage::core::kind::ParentKind::ALL
        .into_iter()
        .map(|kind| {
            let crd = generate::crds::crd(kind);
            (kind.as_str().to_owned(), crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone())
        })
        .collect()
}

#[test]
fn every_schema_is_bounded_and_what_is_optional_may_be_null() {
    for (path, schema) in schemas() {
        bounded(&path, &schema);
        let [spec, status] = ["spec", "status"].map(|part| &schema["properties"][part]);
        assert!(!schema["properties"]["metadata"].to_string().contains("nullable"), "{path}.metadata");
        assert!(!status.to_string().contains("nullable"), "{path}.status is the operator's own");
        nullable(&format!("{path}.spec"), spec, &[]);
    }
}

/// `kubectl apply` drops a field without a value, `--server-side` sends it, and charts leave many.
fn nullable(path: &str, schema: &Value, keys: &[&str]) {
    let names = |list: &'static str| schema[list].as_array().into_iter().flatten().filter_map(Value::as_str);
    let required: Vec<&str> = names("required").collect();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let needed = required.contains(&name.as_str())
            || keys.contains(&name.as_str())
            || name == "replicas"
            || property.get("enum").is_some();
        assert_eq!(property["nullable"] == true, !needed, "{path}.{name}");
        if name == "selector" {
            assert!(!property["properties"].to_string().contains("nullable"), "{path}.{name} would not equal itself");
            continue;
        }
        nullable(&format!("{path}.{name}"), property, &[]);
    }
    let keys: Vec<&str> = names("x-kubernetes-list-map-keys").collect();
    if let Some(items) = schema.get("items") {
        nullable(&format!("{path}[]"), items, &keys);
    }
}

fn bounded(path: &str, schema: &Value) {
    let has = |key: &str| schema.get(key).is_some();
    // A quantity may be text or a number, and is nothing that fields could be in.
    let is_amount = ["maxLength", "maxItems", "maxProperties", "not"].iter().all(|bound| has(bound));
    assert!(!has("x-kubernetes-preserve-unknown-fields") || is_amount, "{path} keeps unknown fields");
    match schema["type"].as_str() {
        Some("array") => {
            assert!(has("maxItems") && has("x-kubernetes-list-type"), "{path} is an unbounded or untyped list");
            bounded(&format!("{path}[]"), &schema["items"]);
        }
        Some("string") => {
            assert!(has("maxLength") || has("enum") || has("format"), "{path} is an unbounded string");
        }
        Some("integer") => assert!(has("minimum") || path.ends_with("observedGeneration"), "{path} is unbounded"),
        Some("number") => panic!("{path} is a float"),
        _ => {}
    }
    if has("additionalProperties") {
        assert!(has("maxProperties"), "{path} is an unbounded map");
        bounded(&format!("{path}{{}}"), &schema["additionalProperties"]);
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        bounded(&format!("{path}.{name}"), property);
    }
}

#[test]
fn fields_of_ours_are_described() {
    for (kind, schema) in schemas() {
        for part in ["spec", "status"] {
            for (name, property) in schema["properties"][part]["properties"].as_object().into_iter().flatten() {
                assert!(property["description"].is_string(), "{kind}.{part}.{name} has no description");
            }
        }
    }
}

#[test]
fn every_rule_stands_somewhere_and_says_must() {
    for rule in generate::crds::rules() {
        assert!(rule.message.contains("must"), "{}: {}", rule.path, rule.message);
        let quoted = serde_json::to_string(rule.rule).unwrap();
        for kind in rule.kinds {
            let crd = generate::crds::crd(*kind).to_string();
            assert!(crd.contains(&quoted), "{} is in no schema of {kind:?}", rule.rule);
        }
    }
}

/// Rights on Secrets come with components: to make one, to read the operator's own key, and, where an admin chooses that namespace by
/// namespace, to read any.
#[test]
fn roles_ask_for_nothing_dangerous() {
    use generate::rbac::{COMPONENTS, Place, base};
    let base = base().into_iter().map(|grant| (grant, true));
    let more = COMPONENTS.iter().flat_map(|component| (component.grants)()).map(|grant| (grant, false));
    for (grant, is_base) in base.chain(more) {
        for rule in grant.rules {
            let text = rule.to_string();
            for word in ["*", "escalate", "bind", "impersonate", "pods/exec", "serviceaccounts/token", "nodes"] {
                assert!(!text.contains(&format!("\"{word}\"")), "{text}");
            }
            if text.contains("\"secrets\"") {
                let is_key = rule["resourceNames"] == json!(["moorage-key"]) && rule["verbs"] == json!(["get"]);
                let is_chosen = grant.place == Place::Chosen && rule["verbs"] == json!(["get", "list", "watch"]);
                assert!(!is_base && (is_key || is_chosen || rule["verbs"] == json!(["create"])), "{text}");
            }
        }
    }
}

/// The right to read Secrets is bound by nothing but the one file that says how to.
#[test]
fn no_manifest_binds_the_right_to_read_secrets_by_itself() {
    let mut binding = 0;
    let files = generate::manifests().into_iter().chain(generate::install_for(&["shop".to_owned()]));
    for (path, text) in files {
        for object in serde_saphyr::from_multiple::<Value>(&text).unwrap() {
            if object["roleRef"]["name"] == "moorage-config-secrets" {
                assert_eq!(path, "components/config-secrets/binding.yaml");
                assert_eq!((&object["kind"], &object["metadata"]["namespace"]), (&json!("RoleBinding"), &Value::Null));
                binding += 1;
            }
        }
    }
    assert_eq!(binding, 1);
}

/// What the API server refuses by the table of bad specs, `moorage render` refuses without one, in the same field.
#[test]
fn render_refuses_what_the_api_server_refuses() {
    let text = std::fs::read_to_string(root().join("tests/cluster/bad_specs.yaml")).unwrap();
    let rows: Vec<Value> = serde_saphyr::from_str(&text).unwrap();
    let mut wrong = Vec::new();
    for row in rows.iter().filter(|row| row.get("before").is_none()) {
        let mut spec = row["spec"].clone();
        if row["kind"] == "App" && spec.get("image").is_none() {
            spec["image"] = json!("registry.example.com/team/shop:1");
        }
        let name = row.get("name").cloned().unwrap_or_else(|| json!("sample"));
        let document = json!({"apiVersion": "moorage.dev/v1alpha1", "kind": row["kind"], "metadata": {"name": name}, "spec": spec});
        let field = row["message"].as_str().unwrap().split([':', ' ']).next().unwrap();
        match generate::render::rendered(&document.to_string(), &PlanSettings::default()) {
            Ok(_) if field == "nothing" => {}
            Ok(_) => wrong.push(format!("{row}: accepted")),
            Err(faults) if faults.iter().any(|fault| fault.contains(field)) => {}
            Err(faults) => wrong.push(format!("{row}: {faults:?}")),
        }
    }
    assert!(rows.len() > 100 && wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn render_takes_every_example() {
    for entry in std::fs::read_dir(root().join("examples")).unwrap().map(|entry| entry.unwrap().path()) {
        let (success, _, err) = render(&["-R", "-f", &entry.display().to_string()]);
        assert!(success, "{}: {err}", entry.display());
    }
}

fn render(arguments: &[&str]) -> (bool, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_moorage")).arg("render").args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

#[test]
fn render_takes_files_folders_and_lists_and_prints_nothing_if_anything_is_wrong() {
    let folder = std::env::temp_dir().join(format!("moorage-render-{}", std::process::id()));
    let within = folder.join("more");
    std::fs::create_dir_all(&within).unwrap();
    let app = |name: &str, rest: &str| {
        format!("{{apiVersion: moorage.dev/v1alpha1, kind: App, metadata: {{name: {name}}}, spec: {{image: a{rest}}}}}")
    };
    let write = |path: &Path, text: &str| std::fs::write(path, text).unwrap();
    let path = |path: &Path| path.display().to_string();
    write(
        &folder.join("one.yaml"),
        &format!("# one\n---\n{}\n---\n{{apiVersion: v1, kind: Secret}}\n", app("one", "")),
    );
    write(&folder.join("two.json"), &format!("{{apiVersion: v1, kind: List, items: [{}]}}", app("two", "")));
    write(&folder.join("notes.txt"), "no resource");
    // As kubectl reads it: an octal number, and a field without a value.
    let mode = ", env: null, volumes: [{name: a, mountPath: /a, configMap: {name: a, defaultMode: 0644}}]";
    write(&within.join("three.yml"), &app("three", mode));
    assert!(render(&["-o", "json", "-f", &path(&within)]).1.contains("\"defaultMode\":420"));
    let deployments = |arguments: &[&str]| {
        let (success, out, err) = render(arguments);
        assert!(success, "{err}");
        out.lines().filter(|line| line.trim() == "kind: Deployment").count()
    };
    assert_eq!(deployments(&["-f", &path(&folder)]), 2);
    assert_eq!(deployments(&["-R", "-f", &path(&folder)]), 3);
    assert_eq!(deployments(&["-f", &path(&folder.join("one.yaml")), "-f", &path(&within)]), 2);
    write(
        &within.join("bad.yaml"),
        &format!("{}\n---\n{}", app("four", ", memory: 512MB"), app("five", ", replicas: -1")),
    );
    let (success, out, err) = render(&["-R", "-f", &path(&folder)]);
    assert!(!success && out.is_empty(), "{out}");
    for line in ["bad.yaml: App four: spec.memory: unknown field", "bad.yaml: App five: spec.replicas: Invalid value"] {
        assert!(err.contains(line), "{err}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
