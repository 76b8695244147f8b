//! The file-based catalog keeps the rules that `opm validate` has (`operator-framework/operator-registry`, `alpha/declcfg` and
//! `alpha/model`), and those that it has beside: how versions follow each other.

use super::{csv, list, parsed, text};
use moorage::generate::bundle;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// Every file, by its path in the catalog's folder.
static FILES: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| {
    let files = bundle().into_iter();
    files.filter_map(|(path, text)| Some((path.strip_prefix("olm/catalog/")?.to_owned(), text))).collect()
});

/// What is rendered, of that schema.
fn of_schema(schema: &str) -> Vec<Value> {
    let all: Vec<Value> = serde_saphyr::from_multiple(&FILES["moorage/catalog.yaml"]).unwrap();
    all.into_iter().filter(|one| one["schema"] == schema).collect()
}

/// A catalog is read document by document, too.
#[test]
fn a_catalog_has_a_package_channels_and_bundles_and_nothing_before_them() {
    let count = |schema: &str| of_schema(schema).len();
    assert_eq!((count("olm.package"), count("olm.channel") > 0, count("olm.bundle") > 0), (1, true, true));
    let all: Vec<Value> = serde_saphyr::from_multiple(&FILES["moorage/catalog.yaml"]).unwrap();
    assert_eq!(all.len(), 1 + count("olm.channel") + count("olm.bundle"));
    assert!(FILES.iter().all(|(path, text)| path == "catalog.Dockerfile" || text.starts_with("schema: ")));
}

#[test]
fn the_package_has_its_default_channel_and_the_icon() {
    let package = of_schema("olm.package").remove(0);
    let names: BTreeSet<String> = of_schema("olm.channel").iter().map(|channel| text(&channel["name"])).collect();
    assert!(names.contains(&text(&package["defaultChannel"])), "{names:?}");
    let known = ["candidate", "fast", "stable"];
    assert!(names.iter().all(|name| known.iter().any(|begin| name.starts_with(begin))), "{names:?}");
    assert_eq!(package["icon"], csv()["spec"]["icon"][0]);
    assert_eq!(package["description"], csv()["metadata"]["annotations"]["description"]);
}

#[test]
fn each_channel_has_one_head_and_each_bundle_an_entry() {
    let bundles: BTreeSet<String> = of_schema("olm.bundle").iter().map(|bundle| text(&bundle["name"])).collect();
    let mut placed = BTreeSet::new();
    for channel in of_schema("olm.channel") {
        assert_eq!(channel["package"], "moorage");
        let entries = list(&channel["entries"]);
        let names: BTreeSet<String> = entries.iter().map(|entry| text(&entry["name"])).collect();
        assert_eq!(names.len(), entries.len(), "an entry comes twice: {channel}");
        let passed = |entry: &Value| {
            let skipped = entry["skips"].as_array().into_iter().flatten().map(text);
            entry.get("replaces").map(text).into_iter().chain(skipped).collect::<Vec<_>>()
        };
        let passed: BTreeSet<String> = entries.iter().flat_map(passed).collect();
        let heads: Vec<&String> = names.difference(&passed).collect();
        assert_eq!(heads.len(), 1, "{channel}");
        placed.extend(names);
    }
    assert_eq!(placed, bundles);
}

#[test]
fn a_bundle_in_the_catalog_says_what_its_csv_does() {
    let csv = csv();
    let bundles = of_schema("olm.bundle");
    let bundle = bundles.iter().find(|bundle| bundle["name"] == csv["metadata"]["name"]).unwrap();
    let of = |kind: &str| -> Vec<Value> {
        let properties = list(&bundle["properties"]).into_iter().filter(|property| property["type"] == kind);
        properties.map(|property| property["value"].clone()).collect()
    };
    assert_eq!(of("olm.package"), [json!({"packageName": "moorage", "version": csv["spec"]["version"]})]);
    let owned = list(&csv["spec"]["customresourcedefinitions"]["owned"]);
    let kinds: Vec<Value> = owned
        .iter()
        .map(|one| json!({"group": "moorage.dev", "kind": one["kind"], "version": one["version"]}))
        .collect();
    assert_eq!(of("olm.gvk"), kinds);
    let metadata = of("olm.csv.metadata").remove(0);
    assert_eq!(metadata["annotations"], csv["metadata"]["annotations"]);
    assert_eq!(metadata["crdDescriptions"]["owned"], json!(owned));
    for field in ["description", "displayName", "installModes", "links", "minKubeVersion", "provider"] {
        assert_eq!(metadata[field], csv["spec"][field], "{field}");
    }
    let images = list(&bundle["relatedImages"]);
    assert!(list(&csv["spec"]["relatedImages"]).iter().all(|image| images.contains(image)), "{images:?}");
    assert!(images.iter().any(|image| image["image"] == bundle["image"]), "{images:?}");
    assert!(text(&bundle["image"]).starts_with("registry.invalid/"), "it could be anybody's");
    assert!(of("olm.bundle.object").is_empty() && of("olm.constraint").is_empty(), "OLM v1 takes no such");
}

#[test]
fn the_template_is_what_was_rendered() {
    let template = parsed(&FILES["template.yaml"]);
    assert_eq!(template["schema"], "olm.template.basic");
    let entries = list(&template["entries"]);
    for schema in ["olm.package", "olm.channel"] {
        let of_template: Vec<Value> = entries.iter().filter(|entry| entry["schema"] == schema).cloned().collect();
        assert_eq!(of_template, of_schema(schema));
    }
    let images = |all: &[Value]| -> Vec<Value> {
        all.iter().filter(|one| one["schema"] == "olm.bundle").map(|one| one["image"].clone()).collect()
    };
    assert_eq!(images(&entries), images(&of_schema("olm.bundle")));
}

#[test]
fn the_catalogs_image_serves_what_its_label_says() {
    let dockerfile = &FILES["catalog.Dockerfile"];
    let configs = "/configs";
    assert!(dockerfile.contains(&format!("\nLABEL operators.operatorframework.io.index.configs.v1={configs}\n")));
    assert!(dockerfile.contains(&format!("\nCOPY moorage {configs}/moorage/\n")));
    assert!(dockerfile.contains(&format!("CMD [\"serve\", \"{configs}\"")), "{dockerfile}");
}
