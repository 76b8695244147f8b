//! Tests of the fake API server, in one binary so that it links once.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod conformance;
mod controllers;
mod faults;
mod lists;
mod runtime;
mod snapshot;
mod watches;

use serde_json::{Value, json};

/// A `ConfigMap` with one label and one entry.
pub fn config_map(name: &str, label: &str, entry: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "default", "labels": {"app": label}},
        "data": {"entry": entry},
    })
}

/// A Deployment that mounts a claim.
pub fn deployment(name: &str, image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": 2, "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {
                    "containers": [{"name": "main", "image": image}],
                    "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
                },
            },
        },
    })
}
