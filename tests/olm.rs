//! The bundle for Operator Lifecycle Manager keeps the rules of OLM, of its validators and of the community's catalogs, each a test
//! here. Where a rule stands: the validators in `operator-framework/api` (`pkg/validation`), scorecard in `operator-framework/operator-sdk`
//! (`internal/scorecard`), the kinds in `operator-framework/operator-registry` (`pkg/lib/bundle`). What OLM makes of it is played by
//! `tests/cluster/olm.rs`.

#![allow(clippy::panic, clippy::unwrap_used, reason = "every function here is part of a test")]

#[path = "olm/catalog.rs"]
mod catalog;
#[path = "olm/preflight.rs"]
mod preflight;

use k8s_openapi::ByteString;
use moorage::core::plan::PlanSettings;
use moorage::generate::{bundle, crds, manifests, render::rendered};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::LazyLock;

const VERSION: &str = env!("CARGO_PKG_VERSION");
const CSV: &str = "manifests/moorage.clusterserviceversion.yaml";

/// Every file, by its path in the bundle.
static FILES: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| {
    let folder = format!("olm/moorage/{VERSION}/");
    bundle().into_iter().filter_map(|(path, text)| Some((path.strip_prefix(&folder)?.to_owned(), text))).collect()
});

/// Every object that `deploy/` installs otherwise, components included.
static DEPLOYED: LazyLock<Vec<Value>> = LazyLock::new(|| {
    manifests().iter().flat_map(|(_, text)| serde_saphyr::from_multiple::<Value>(text).unwrap()).collect()
});

fn file(path: &str) -> &'static str {
    FILES.get(path).unwrap_or_else(|| panic!("no {path}"))
}

fn parsed(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

fn csv() -> Value {
    parsed(file(CSV))
}

/// Every object below `manifests/`.
fn objects() -> Vec<Value> {
    FILES.iter().filter(|(path, _)| path.starts_with("manifests/")).map(|(_, text)| parsed(text)).collect()
}

fn of_kind(kind: &str) -> Vec<Value> {
    objects().into_iter().filter(|object| object["kind"] == kind).collect()
}

/// The one of that kind and name, which stands alike wherever it stands, but for where it is bound.
fn deployed_as(kind: &str, name: &str) -> Value {
    let found = DEPLOYED.iter().find(|object| object["kind"] == kind && object["metadata"]["name"] == name);
    found.cloned().unwrap_or_else(|| panic!("no {kind} {name} in deploy/"))
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_else(|| panic!("no list: {value}"))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

fn map(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_else(|| panic!("no map: {value}"))
}

fn annotation(key: &str) -> String {
    text(&csv()["metadata"]["annotations"][key])
}

fn samples() -> Vec<Value> {
    serde_json::from_str(&annotation("alm-examples")).unwrap()
}

fn owned() -> Vec<Value> {
    list(&csv()["spec"]["customresourcedefinitions"]["owned"])
}

fn container() -> Value {
    let deployments = list(&csv()["spec"]["install"]["spec"]["deployments"]);
    assert_eq!(deployments.len(), 1);
    let containers = list(&deployments[0]["spec"]["template"]["spec"]["containers"]);
    assert_eq!(containers.len(), 1);
    containers[0].clone()
}

/// The schema of a kind's spec or status.
fn schema(kind: &str, part: &str) -> Value {
    let crds = of_kind("CustomResourceDefinition");
    let crd = crds.iter().find(|crd| crd["spec"]["names"]["kind"] == kind).unwrap();
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"][part].clone()
}

/// The field of a schema that a path leads to.
fn field<'a>(schema: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(schema, |schema, name| schema["properties"].get(name))
}

#[test]
fn everything_is_in_the_bundle_or_the_catalog() {
    let folders = [format!("olm/moorage/{VERSION}/"), "olm/catalog/".to_owned()];
    for (path, _) in bundle() {
        assert!(path == SUBMISSION || folders.iter().any(|folder| path.starts_with(folder)), "{path}");
    }
}

/// Beside its versions an operator has one file in the community's catalogs. Who reviews is a user of theirs, and so nobody's to make up.
const SUBMISSION: &str = "olm/moorage/ci.yaml";

#[test]
fn a_submission_says_how_versions_follow_each_other() {
    let files = bundle();
    let (_, settings) = files.iter().find(|(path, _)| path == SUBMISSION).unwrap();
    assert_eq!(parsed(settings), json!({"updateGraph": "replaces-mode"}));
    let catalog = parsed(&files.iter().find(|(path, _)| path == "olm/catalog/template.yaml").unwrap().1);
    let channels = list(&catalog["entries"]).into_iter().filter(|entry| entry["schema"] == "olm.channel");
    let entries: Vec<Value> = channels.flat_map(|channel| list(&channel["entries"])).collect();
    let first = entries.iter().filter(|entry| entry["replaces"].is_null()).count();
    assert!(
        first == 1 && entries.iter().all(|entry| entry["skipRange"].is_null()),
        "our own does not go by it: {entries:?}"
    );
}

#[test]
fn the_bundle_has_its_folders_and_nothing_within_them() {
    for path in FILES.keys() {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let known = [("", "bundle.Dockerfile"), ("metadata", "annotations.yaml"), ("tests/scorecard", "config.yaml")];
        let is_manifest = folder == "manifests" && Path::new(name).extension().is_some_and(|kind| kind == "yaml");
        assert!(is_manifest || known.contains(&(folder, name)), "{path}");
    }
}

/// OLM decodes the first document of a file, and a comment above a `---` is one.
#[test]
fn each_file_has_one_object_and_nothing_before_it() {
    for (path, text) in FILES.iter().filter(|(path, _)| path.starts_with("manifests/")) {
        assert!(text.starts_with("apiVersion: "), "{path}: {:?}", text.lines().next());
        assert!(text.lines().all(|line| !line.starts_with("---") && line != "..."), "{path} has several documents");
    }
}

#[test]
fn only_kinds_that_olm_takes_are_in_it() {
    let taken = [
        "CustomResourceDefinition",
        "ClusterServiceVersion",
        "ClusterRole",
        "Role",
        "RoleBinding",
        "PodDisruptionBudget",
    ];
    let mut names = BTreeSet::new();
    for object in objects() {
        let (kind, name) = (text(&object["kind"]), text(&object["metadata"]["name"]));
        assert!(taken.contains(&kind.as_str()), "{kind} {name}");
        assert!(names.insert((kind.clone(), name.clone())), "{kind} {name} comes twice");
    }
    assert_eq!(of_kind("ClusterServiceVersion").len(), 1);
}

#[test]
fn nothing_names_a_namespace() {
    for object in objects().iter().filter(|object| object["kind"] != "ClusterServiceVersion") {
        let subjects = object["subjects"].as_array().into_iter().flatten();
        for place in subjects.chain([&object["metadata"]]) {
            assert!(place.get("namespace").is_none(), "{object}");
        }
    }
}

#[test]
fn what_is_owned_is_what_the_crds_are() {
    let of_csv: BTreeSet<[String; 3]> =
        owned().iter().map(|one| [&one["name"], &one["kind"], &one["version"]].map(text)).collect();
    let of_crds: BTreeSet<[String; 3]> = of_kind("CustomResourceDefinition")
        .iter()
        .flat_map(|crd| {
            let (name, kind) = (&crd["metadata"]["name"], &crd["spec"]["names"]["kind"]);
            list(&crd["spec"]["versions"]).into_iter().map(move |version| [name, kind, &version["name"]].map(text))
        })
        .collect();
    assert_eq!(of_csv, of_crds);
    assert_eq!(of_csv.len(), 3);
    let committed: Vec<Value> = crds().iter().map(|(_, text)| parsed(text)).collect();
    let bundled = of_kind("CustomResourceDefinition");
    assert!(
        bundled.len() == committed.len() && committed.iter().all(|crd| bundled.contains(crd)),
        "not those of crds/"
    );
}

#[test]
fn each_owned_kind_is_described_and_has_resources_and_a_sample() {
    for one in owned() {
        assert!(text(&one["description"]).len() > 20 && !text(&one["displayName"]).is_empty(), "{one}");
        let resources = list(&one["resources"]);
        assert!(!resources.is_empty(), "{}", one["kind"]);
        for resource in resources {
            assert!(!text(&resource["kind"]).is_empty() && !text(&resource["version"]).is_empty(), "{resource}");
        }
        assert!(samples().iter().any(|sample| sample["kind"] == one["kind"]), "no sample of {}", one["kind"]);
    }
}

#[test]
fn each_sample_fits_its_crd() {
    for sample in samples() {
        assert!(sample["metadata"].get("namespace").is_none(), "{sample}");
        rendered(&sample.to_string(), &PlanSettings::default()).unwrap_or_else(|faults| panic!("{sample}: {faults:?}"));
    }
}

#[test]
fn every_field_in_a_sample_has_its_descriptor() {
    fn paths(schema: &Value, value: &Value, before: &str, found: &mut BTreeSet<String>) {
        for (name, value) in value.as_object().into_iter().flatten() {
            if let Some(field) = schema["properties"].get(name) {
                let path = format!("{before}{name}");
                paths(field, value, &format!("{path}."), found);
                found.insert(path);
            }
        }
    }
    for sample in samples() {
        let (kind, mut wanted) = (text(&sample["kind"]), BTreeSet::new());
        paths(&schema(&kind, "spec"), &sample["spec"], "", &mut wanted);
        let owned = owned().into_iter().find(|one| one["kind"] == sample["kind"]).unwrap();
        let described: BTreeSet<String> =
            list(&owned["specDescriptors"]).iter().map(|one| text(&one["path"])).collect();
        assert!(!wanted.is_empty() && wanted.is_subset(&described), "{kind}: {:?}", wanted.difference(&described));
    }
}

#[test]
fn every_descriptor_leads_to_a_field_and_says_what_it_is() {
    for one in owned() {
        for (part, descriptors) in [("spec", "specDescriptors"), ("status", "statusDescriptors")] {
            let (schema, mut paths) = (schema(&text(&one["kind"]), part), BTreeSet::new());
            for descriptor in list(&one[descriptors]) {
                let path = text(&descriptor["path"]);
                let found = field(&schema, &path).unwrap_or_else(|| panic!("{} has no {part}.{path}", one["kind"]));
                assert_eq!(descriptor["description"], found["description"], "{path}");
                assert!(!text(&descriptor["description"]).is_empty(), "{path}");
                assert!(text(&descriptor["displayName"]).chars().all(|c| c.is_alphanumeric() || c == ' '), "{path}");
                assert!(paths.insert(path.clone()), "{path} comes twice");
            }
            assert!(!paths.is_empty(), "{} has no {descriptors}", one["kind"]);
        }
    }
}

#[test]
fn it_is_named_for_its_version() {
    let csv = csv();
    assert_eq!(csv["metadata"]["name"], format!("moorage.v{VERSION}"));
    assert_eq!(csv["spec"]["version"], VERSION);
    let (core, _) = VERSION.split_once(['-', '+']).unwrap_or((VERSION, ""));
    assert!(core.split('.').count() == 3 && core.split('.').all(|part| part.parse::<u32>().is_ok()), "{VERSION}");
}

#[test]
fn the_oldest_kubernetes_has_three_parts_and_is_the_readmes() {
    let oldest = text(&csv()["spec"]["minKubeVersion"]);
    let (minor, patch) = oldest.rsplit_once('.').unwrap();
    assert!(oldest.split('.').count() == 3 && patch == "0", "{oldest}");
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    assert!(readme.contains(&format!("Kubernetes {minor} or newer")), "README.md does not say {minor}");
}

#[test]
fn every_install_mode_is_listed_and_supported() {
    let modes: BTreeMap<String, bool> = list(&csv()["spec"]["installModes"])
        .iter()
        .map(|mode| (text(&mode["type"]), mode["supported"].as_bool().unwrap()))
        .collect();
    let all = ["OwnNamespace", "SingleNamespace", "MultiNamespace", "AllNamespaces"];
    assert_eq!(modes, all.map(|mode| (mode.to_owned(), true)).into());
}

#[test]
fn it_says_where_its_image_runs() {
    let labels = map(&csv()["metadata"]["labels"]);
    for kind in ["arch", "os"] {
        let prefix = format!("operatorframework.io/{kind}.");
        let supported = labels.iter().filter(|(key, value)| key.starts_with(&prefix) && **value == "supported");
        assert!(supported.count() > 0, "no {kind} in {labels:?}");
    }
}

#[test]
fn it_says_who_makes_it_and_where() {
    let spec = csv()["spec"].clone();
    assert!(!text(&spec["provider"]["name"]).is_empty());
    let (maintainers, links) = (list(&spec["maintainers"]), list(&spec["links"]));
    assert!(!maintainers.is_empty() && !links.is_empty() && !list(&spec["keywords"]).is_empty());
    for one in maintainers {
        let (name, host) = (text(&one["email"]), text(&one["email"]));
        let (user, host) = (name.split('@').next().unwrap(), host.split('@').nth(1).unwrap_or_default());
        assert!(!user.is_empty() && host.contains('.') && !text(&one["name"]).is_empty(), "{one}");
    }
    for link in links {
        assert!(text(&link["url"]).starts_with("https://") && !text(&link["name"]).is_empty(), "{link}");
    }
    assert!((3..=50).contains(&text(&spec["displayName"]).len()));
}

/// What leads elsewhere from a page of this repository leads nowhere from a console.
#[test]
fn the_description_stands_by_itself() {
    let description = text(&csv()["spec"]["description"]);
    assert!(description.len() > 200 && !description.contains("]("), "{description}");
    assert!((20..=135).contains(&annotation("description").len()), "{}", annotation("description"));
}

#[test]
fn there_is_one_icon_and_it_is_an_svg() {
    let icons = list(&csv()["spec"]["icon"]);
    assert!(icons.len() == 1 && icons[0]["mediatype"] == "image/svg+xml");
    let ByteString(bytes) = serde_json::from_value(icons[0]["base64data"].clone()).unwrap();
    let image = String::from_utf8(bytes).unwrap();
    assert!(image.starts_with("<svg ") && image.trim_end().ends_with("</svg>") && image.len() < 4096, "{image}");
    assert!(!image.contains("<script") && !image.contains("href"), "{image}");
}

#[test]
fn categories_capabilities_and_channels_are_from_their_sets() {
    let categories = [
        "AI/Machine Learning",
        "Application Runtime",
        "Big Data",
        "Cloud Provider",
        "Developer Tools",
        "Drivers and plugins",
        "Integration & Delivery",
        "Logging & Tracing",
        "Modernization & Migration",
        "Monitoring",
        "Networking",
        "OpenShift Optional",
        "Security",
        "Storage",
        "Streaming & Messaging",
        "Database",
    ];
    let levels = ["Basic Install", "Seamless Upgrades", "Full Lifecycle", "Deep Insights", "Auto Pilot"];
    assert!(annotation("categories").split(',').all(|one| categories.contains(&one.trim())));
    assert!(levels.contains(&annotation("capabilities").as_str()));
    let annotations = parsed(file("metadata/annotations.yaml"))["annotations"].clone();
    for key in ["bundle.channels.v1", "bundle.channel.default.v1"] {
        let channels = text(&annotations[format!("operators.operatorframework.io.{key}")]);
        let known = |channel: &str| ["candidate", "fast", "stable"].iter().any(|begin| channel.starts_with(begin));
        assert!(channels.split(',').all(known), "{channels}");
    }
}

#[test]
fn it_says_when_it_was_made_and_the_same_each_time() {
    annotation("createdAt").parse::<jiff::Timestamp>().unwrap();
    assert!(bundle() == bundle());
}

#[test]
fn every_image_is_a_related_one() {
    let csv = csv();
    let related: BTreeMap<String, String> = list(&csv["spec"]["relatedImages"])
        .iter()
        .map(|related| (text(&related["image"]), text(&related["name"])))
        .collect();
    let container = container();
    let by_setting = list(&container["env"]).into_iter().filter(|one| text(&one["name"]).ends_with("_IMAGE"));
    let used: BTreeSet<String> = by_setting
        .map(|one| text(&one["value"]))
        .chain([text(&container["image"]), annotation("containerImage")])
        .collect();
    assert_eq!(related.keys().cloned().collect::<BTreeSet<_>>(), used);
    assert_eq!(related.values().collect::<BTreeSet<_>>().len(), 2, "one name for two images: {related:?}");
    assert_eq!(container["image"], annotation("containerImage"));
    assert!(annotation("containerImage").starts_with("registry.invalid/"), "it could be anybody's");
    // One that mirrors need digests for is not claimed to be mirrored.
    let by_digest = related.keys().all(|image| image.contains("@sha256:"));
    assert!(by_digest || annotation("features.operators.openshift.io/disconnected") == "false");
}

#[test]
fn the_container_asks_for_what_it_needs_and_says_why_it_ended() {
    let container = container();
    for what in ["cpu", "memory"] {
        assert!(!text(&container["resources"]["requests"][what]).is_empty());
    }
    assert_eq!(container["terminationMessagePolicy"], "FallbackToLogsOnError");
}

#[test]
fn the_suggested_namespace_is_restricted_as_ours_is() {
    let template: Value =
        serde_json::from_str(&annotation("operatorframework.io/suggested-namespace-template")).unwrap();
    assert_eq!(template, deployed_as("Namespace", "moorage-system"));
    assert_eq!(template["metadata"]["labels"]["pod-security.kubernetes.io/enforce"], "restricted");
    assert_eq!(annotation("operatorframework.io/suggested-namespace"), "moorage-system");
}

#[test]
fn every_feature_of_openshift_is_claimed_or_not() {
    let prefix = "features.operators.openshift.io/";
    let annotations = map(&csv()["metadata"]["annotations"]);
    let features: BTreeMap<&str, &str> =
        annotations.iter().filter_map(|(key, value)| Some((key.strip_prefix(prefix)?, value.as_str()?))).collect();
    let names = [
        "cnf",
        "cni",
        "csi",
        "disconnected",
        "fips-compliant",
        "proxy-aware",
        "tls-profiles",
        "token-auth-aws",
        "token-auth-azure",
        "token-auth-gcp",
    ];
    assert_eq!(features.keys().copied().collect::<BTreeSet<_>>(), names.into());
    assert!(features.values().all(|value| ["true", "false"].contains(value)), "{features:?}");
}

#[test]
fn the_images_labels_are_the_annotations() {
    let dockerfile = file("bundle.Dockerfile");
    let labels: BTreeMap<&str, &str> =
        dockerfile.lines().filter_map(|line| line.strip_prefix("LABEL ")?.split_once('=')).collect();
    let annotations = map(&parsed(file("metadata/annotations.yaml"))["annotations"]);
    let annotations: BTreeMap<&str, &str> =
        annotations.iter().map(|(key, value)| (key.as_str(), value.as_str().unwrap())).collect();
    assert_eq!(labels, annotations);
    let of = |name: &str| annotations[format!("operators.operatorframework.io.{name}").as_str()];
    assert_eq!((of("bundle.mediatype.v1"), of("bundle.package.v1")), ("registry+v1", "moorage"));
    assert!(of("bundle.channels.v1").split(',').any(|channel| channel == of("bundle.channel.default.v1")));
    for folder in [of("bundle.manifests.v1"), of("bundle.metadata.v1"), of("test.config.v1")] {
        assert!(FILES.keys().any(|path| path.starts_with(folder)), "nothing in {folder}");
        assert!(dockerfile.contains(&format!("COPY {} /{folder}\n", folder.trim_end_matches('/'))), "{dockerfile}");
    }
    assert!(dockerfile.contains("\nFROM scratch\n"), "{dockerfile}");
}

/// A `ConfigMap` holds it gzipped, and pods hold the CSV's annotations.
#[test]
fn it_is_small() {
    let size: usize = FILES.values().map(String::len).sum();
    assert!(size < 1024 * 1024, "{size} bytes even before gzip");
    let annotations = csv()["metadata"]["annotations"].to_string().len();
    assert!(annotations < 64 * 1024, "{annotations} bytes of annotations");
}

/// Named as in deploy/: each entry of a list has the rules of one role there, and nothing of it is left out.
#[test]
fn rights_are_those_of_the_other_installs() {
    let spec = csv()["spec"]["install"]["spec"].clone();
    let account = &list(&spec["deployments"])[0]["spec"]["template"]["spec"]["serviceAccountName"];
    let expected = |names: &[&str]| -> Vec<Value> {
        let role = |name: &&str| deployed_as("ClusterRole", name)["rules"].clone();
        names.iter().map(|name| json!({"serviceAccountName": account, "rules": role(name)})).collect()
    };
    let watched =
        ["moorage", "moorage-events", "moorage-monitoring", "moorage-owner-references", "moorage-registry-secrets"];
    assert_eq!(list(&spec["permissions"]), expected(&watched));
    assert_eq!(list(&spec["clusterPermissions"]), expected(&["moorage-cluster"]));
    let tenant = manifests().into_iter().find(|(path, _)| path == "namespaced/tenant.yaml").unwrap().1;
    let bound: BTreeSet<String> = serde_saphyr::from_multiple::<Value>(&tenant)
        .unwrap()
        .iter()
        .map(|one| text(&one["roleRef"]["name"]))
        .collect();
    assert_eq!(bound, watched.map(str::to_owned).into(), "deploy/namespaced grants something else");
}

/// As `permissions` they would be rights on every Lease, or on none where the operator elects its leader.
#[test]
fn rights_in_the_own_namespace_are_plain_roles() {
    let names = ["moorage-leader", "moorage-registry-key"];
    for kind in ["Role", "RoleBinding"] {
        let found: BTreeSet<String> = of_kind(kind).iter().map(|object| text(&object["metadata"]["name"])).collect();
        assert_eq!(found, names.map(str::to_owned).into(), "{kind}");
    }
    for role in of_kind("Role") {
        assert_eq!(role["rules"], deployed_as("Role", role["metadata"]["name"].as_str().unwrap())["rules"]);
    }
    for binding in of_kind("RoleBinding") {
        let name = &binding["metadata"]["name"];
        assert_eq!(binding["roleRef"], json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}));
        assert_eq!(binding["subjects"], json!([{"kind": "ServiceAccount", "name": "moorage"}]));
    }
    let permissions = csv()["spec"]["install"]["spec"].clone();
    for which in ["permissions", "clusterPermissions"] {
        assert!(!permissions[which].to_string().contains("\"leases\""), "{which}");
    }
}

#[test]
fn users_get_their_roles() {
    let roles = of_kind("ClusterRole");
    let names: Vec<String> = roles.iter().map(|role| text(&role["metadata"]["name"])).collect();
    assert_eq!(names, ["moorage-edit", "moorage-view"]);
    for (role, name) in roles.iter().zip(names) {
        assert_eq!(*role, deployed_as("ClusterRole", &name));
    }
    assert!(roles[0]["rules"].to_string().contains("\"apps/scale\""), "who may edit may not scale");
}

#[test]
fn the_operator_is_deployed_as_everywhere() {
    let deployment = list(&csv()["spec"]["install"]["spec"]["deployments"])[0].clone();
    let elsewhere = deployed_as("Deployment", "moorage");
    assert_eq!(csv()["spec"]["install"]["strategy"], "deployment");
    assert_eq!(deployment["name"], "moorage");
    assert_eq!(deployment["label"], elsewhere["metadata"]["labels"]);
    let mut spec = deployment["spec"].clone();
    let env = spec["template"]["spec"]["containers"][0]["env"].as_array_mut().unwrap();
    let added = env.split_off(3);
    assert_eq!(spec, elsewhere["spec"]);
    let by_annotation = json!({"fieldRef": {"fieldPath": "metadata.annotations['olm.targetNamespaces']"}});
    assert_eq!(added[0], json!({"name": "MOORAGE_WATCH_NAMESPACE", "valueFrom": by_annotation}));
    assert_eq!((added.len(), &added[1]["name"]), (2, &json!("MOORAGE_REGISTRY_IMAGE")));
}

/// One that lets no pod go keeps nodes from being drained, and so clusters from being upgraded.
#[test]
fn its_pods_can_be_evicted_one_by_one() {
    let budgets = of_kind("PodDisruptionBudget");
    assert_eq!(budgets.len(), 1);
    assert_eq!(budgets[0]["spec"], deployed_as("PodDisruptionBudget", "moorage")["spec"]);
    assert_eq!(budgets[0]["spec"]["maxUnavailable"], 1);
}

#[test]
fn scorecard_runs_each_of_its_tests() {
    let config = parsed(file("tests/scorecard/config.yaml"));
    assert_eq!(config["apiVersion"], "scorecard.operatorframework.io/v1alpha3");
    let tests: BTreeSet<String> = list(&config["stages"])
        .iter()
        .flat_map(|stage| list(&stage["tests"]))
        .map(|test| {
            let entry: Vec<String> = list(&test["entrypoint"]).iter().map(text).collect();
            assert!(entry.len() == 2 && entry[0] == "scorecard-test" && !text(&test["image"]).is_empty(), "{test}");
            assert_eq!(test["labels"]["test"], format!("{}-test", entry[1]));
            entry[1].clone()
        })
        .collect();
    let names = [
        "basic-check-spec",
        "olm-bundle-validation",
        "olm-crds-have-resources",
        "olm-crds-have-validation",
        "olm-spec-descriptors",
        "olm-status-descriptors",
    ];
    assert_eq!(tests, names.map(str::to_owned).into());
}
