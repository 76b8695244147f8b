//! The `ClusterServiceVersion`: what the operator is, what it owns, and how it is run.

use super::descriptors::{owned, samples};
use crate::core::kind::ParentKind;
use crate::generate::deploy::{self, IMAGE, NAME, NAMESPACE, SITE, field, labels};
use crate::generate::rbac::{Grant, Place};
use crate::shell::settings::REGISTRY_IMAGE;
use k8s_openapi::ByteString;
use serde_json::{Map, Value, json};

/// The operator's version, and so the bundle's.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// What that version is called.
pub const CSV: &str = concat!("moorage.v", env!("CARGO_PKG_VERSION"));
/// When the release was made. A constant, so that the same code gives the same bytes.
const CREATED: &str = "2026-11-27T00:00:00Z";
/// The oldest Kubernetes that works, as OLM wants it: in three parts.
const KUBERNETES: &str = "1.33.0";
/// Nobody's either.
const MAIL: &str = "maintainers@moorage.invalid";
/// Every way in which OLM has an operator watch namespaces, and all of them work.
const MODES: [&str; 4] = ["OwnNamespace", "SingleNamespace", "MultiNamespace", "AllNamespaces"];
const DESCRIPTION: &str = include_str!("description.md");
const ICON: &str = include_str!("icon.svg");
/// One line for lists of operators, which show 135 characters.
const SUMMARY: &str = "A small application platform: apps, their storage and image registries, kept as declared, with a status that says why not.";

/// The CSV of an operator with these rights.
///
/// The images have tags: digests are there once images are published. Who installs puts their own image's name in place of `IMAGE`.
pub fn csv(grants: &[Grant]) -> Value {
    json!({
        "apiVersion": "operators.coreos.com/v1alpha1",
        "kind": "ClusterServiceVersion",
        "metadata": {"name": CSV, "labels": platforms(), "annotations": annotations()},
        "spec": {
            "displayName": "Moorage",
            "description": DESCRIPTION,
            "version": VERSION,
            "maturity": "alpha",
            "minKubeVersion": KUBERNETES,
            "keywords": ["application", "platform", "deployment", "storage", "volume", "registry"],
            "provider": {"name": "Moorage", "url": SITE},
            "maintainers": [{"name": "The Moorage maintainers", "email": MAIL}],
            "links": [{"name": "Moorage", "url": SITE}],
            "icon": [{"base64data": ByteString(ICON.into()), "mediatype": "image/svg+xml"}],
            "installModes": MODES.map(|mode| json!({"type": mode, "supported": true})),
            "customresourcedefinitions": {"owned": ParentKind::ALL.map(owned)},
            "install": {
                "strategy": "deployment",
                "spec": {
                    "permissions": permissions(grants, Place::Watched),
                    "clusterPermissions": permissions(grants, Place::Cluster),
                    "deployments": [{"name": NAME, "label": labels(), "spec": deployment()["spec"]}],
                },
            },
            "relatedImages": [
                {"name": "operator", "image": IMAGE},
                {"name": "registry", "image": REGISTRY_IMAGE},
            ],
        },
    })
}

/// What is bound in one kind of place, each with the very rules of its role.
fn permissions(grants: &[Grant], place: Place) -> Vec<Value> {
    let bound = grants.iter().filter(|grant| grant.place == place);
    bound.map(|grant| json!({"serviceAccountName": NAME, "rules": grant.rules})).collect()
}

/// The operator as everywhere, but that OLM says what it watches, and that whoever mirrors images may replace the registry's.
fn deployment() -> Value {
    deploy::deployment([
        field("MOORAGE_WATCH_NAMESPACE", "metadata.annotations['olm.targetNamespaces']"),
        json!({"name": "MOORAGE_REGISTRY_IMAGE", "value": REGISTRY_IMAGE}),
    ])
}

/// Where the operator's image runs.
fn platforms() -> Map<String, Value> {
    let platforms = ["arch.amd64", "os.linux"];
    platforms.map(|name| (format!("operatorframework.io/{name}"), json!("supported"))).into_iter().collect()
}

/// OLM copies them to the operator's pods, so any that changes rolls the operator.
fn annotations() -> Map<String, Value> {
    let pretty = |value: &Value| serde_json::to_string_pretty(value).unwrap_or_default();
    let mut annotations: Map<String, Value> = [
        ("alm-examples", pretty(&Value::Array(samples()))),
        ("capabilities", "Seamless Upgrades".to_owned()),
        ("categories", "Application Runtime, Developer Tools, Storage".to_owned()),
        ("containerImage", IMAGE.to_owned()),
        ("createdAt", CREATED.to_owned()),
        ("description", SUMMARY.to_owned()),
        ("operatorframework.io/suggested-namespace", NAMESPACE.to_owned()),
        ("operatorframework.io/suggested-namespace-template", pretty(&deploy::namespace())),
        ("repository", SITE.to_owned()),
        ("support", "The Moorage maintainers".to_owned()),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), json!(value)))
    .collect();
    // None of these is claimed: `disconnected` asks for digests, `proxy-aware` for an operator that leaves the cluster.
    let features = [
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
    annotations.extend(features.map(|name| (format!("features.operators.openshift.io/{name}"), json!("false"))));
    annotations
}
