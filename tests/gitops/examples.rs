//! The examples for Argo CD and Flux are what these tools take, and lead to what is there.

use crate::root;
use moorage::generate::lint::refused;
use serde_json::{Value, json};
use std::path::Path;

/// A folder with the tools' own CRDs, which are not part of this project: of argo-cd `manifests/crds`, of fluxcd's kustomize-controller
/// and source-controller `config/crd/bases`.
const SCHEMAS: &str = "GITOPS_CRDS";

fn objects(folder: &Path) -> Vec<Value> {
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let texts = paths.iter().map(|path| std::fs::read_to_string(path).unwrap());
    texts.flat_map(|text| serde_saphyr::from_multiple::<Value>(&text).unwrap()).collect()
}

fn tools() -> Vec<Value> {
    ["argocd", "flux"].iter().flat_map(|folder| objects(&root().join("examples/gitops").join(folder))).collect()
}

#[test]
fn the_tools_apply_what_is_there() {
    let tools = tools();
    let mut found = Vec::new();
    for object in &tools {
        let spec = &object["spec"];
        let paths = [&spec["path"], &spec["source"]["path"], &spec["template"]["spec"]["source"]["path"]];
        for path in paths.into_iter().filter_map(Value::as_str) {
            assert!(root().join(path).join("kustomization.yaml").is_file(), "{path}");
            found.push(object["kind"].as_str().unwrap());
        }
    }
    found.sort_unstable();
    assert_eq!(found, ["Application", "ApplicationSet", "Kustomization"]);
    let kustomization = tools.iter().find(|object| object["kind"] == "Kustomization").unwrap();
    let source = &kustomization["spec"]["sourceRef"];
    let is_source = |object: &&Value| object["kind"] == source["kind"] && object["metadata"]["name"] == source["name"];
    assert!(tools.iter().any(|object| is_source(&object)), "no {source}");
    // kustomize applies what it lists, and nothing else lies beside it.
    let shop = root().join("examples/gitops/shop");
    let (lists, others): (Vec<Value>, Vec<Value>) =
        objects(&shop).into_iter().partition(|object| object["kind"] == "Kustomization");
    assert_eq!(lists[0]["resources"].as_array().unwrap().len(), others.len());
    let mut kinds: Vec<&Value> = others.iter().map(|object| &object["kind"]).collect();
    kinds.sort_by_key(ToString::to_string);
    assert_eq!(json!(kinds), json!(["App", "Registry", "StorageClaim"]));
}

#[test]
fn the_tools_take_them() {
    let Some(schemas) = std::env::var_os(SCHEMAS) else {
        return eprintln!("skipped: the examples by the tools' own schemas, as {SCHEMAS} is not set");
    };
    let crds = objects(Path::new(&schemas));
    for object in tools() {
        let (group, version) = object["apiVersion"].as_str().unwrap().split_once('/').unwrap();
        let is_its = |crd: &&Value| crd["spec"]["group"] == group && crd["spec"]["names"]["kind"] == object["kind"];
        let crd = crds.iter().find(is_its).unwrap_or_else(|| panic!("no CRD of {}", object["kind"]));
        let mut versions = crd["spec"]["versions"].as_array().unwrap().iter();
        let served = versions.find(|served| served["name"] == version && served["served"] == true);
        let schema = &served.unwrap_or_else(|| panic!("no {version}"))["schema"]["openAPIV3Schema"];
        let mut errors = refused("spec", &schema["properties"]["spec"], &object["spec"]);
        // What a generator's elements hold is up to the template; of bounds, those count that our own schemas have too.
        errors.retain(|error| !error.contains(".list.elements[") && !error.ends_with("which is not understood"));
        assert!(errors.is_empty(), "{} {}: {errors:?}", object["kind"], object["metadata"]["name"]);
    }
}
