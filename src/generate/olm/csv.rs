//! The `ClusterServiceVersion`: what the operator is, what it owns, and how it is run.

use super::descriptors::{owned, samples};
use crate::core::kind::ParentKind;
use crate::generate::about::{
    CAPABILITIES, ICON, KEYWORDS, KUBERNETES, MAIL, MAINTAINERS, SITE, SUMMARY, TITLE, VERSION,
};
use crate::generate::deploy::{self, IMAGE, NAME, NAMESPACE, field, labels};
use crate::generate::rbac::{Grant, Place};
use crate::shell::settings::REGISTRY_IMAGE;
use k8s_openapi::ByteString;
use serde_json::{Map, Value, json};

/// What that version is called.
pub const CSV: &str = concat!("moorage.v", env!("CARGO_PKG_VERSION"));
/// When the release was made. A constant, so that the same code gives the same bytes.
const CREATED: &str = "2026-11-27T00:00:00Z";
/// Every way in which OLM has an operator watch namespaces, and all of them work.
const MODES: [&str; 4] = ["OwnNamespace", "SingleNamespace", "MultiNamespace", "AllNamespaces"];
const DESCRIPTION: &str = include_str!("description.md");

/// The CSV of an operator with these rights.
///
/// The images have tags: digests are there once images are published. Who installs puts their own image's name in place of `IMAGE`.
pub fn csv(grants: &[Grant]) -> Value {
    json!({
        "apiVersion": "operators.coreos.com/v1alpha1",
        "kind": "ClusterServiceVersion",
        "metadata": {"name": CSV, "labels": platforms(), "annotations": annotations()},
        "spec": {
            "displayName": TITLE,
            "description": DESCRIPTION,
            "version": VERSION,
            "maturity": "alpha",
            "minKubeVersion": KUBERNETES,
            "keywords": KEYWORDS,
            "provider": {"name": TITLE, "url": SITE},
            "maintainers": [{"name": MAINTAINERS, "email": MAIL}],
            "links": [{"name": TITLE, "url": SITE}],
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
        ("capabilities", CAPABILITIES.to_owned()),
        ("categories", "Application Runtime, Developer Tools, Storage".to_owned()),
        ("containerImage", IMAGE.to_owned()),
        ("createdAt", CREATED.to_owned()),
        ("description", SUMMARY.to_owned()),
        ("operatorframework.io/suggested-namespace", NAMESPACE.to_owned()),
        ("operatorframework.io/suggested-namespace-template", pretty(&deploy::namespace())),
        ("repository", SITE.to_owned()),
        ("support", MAINTAINERS.to_owned()),
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
