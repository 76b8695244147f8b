//! How an App is scraped.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How Prometheus scrapes the pods.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Monitoring {
    /// Name of the port, as in `ports` or, of an unnamed one, as in the Service (`tcp-8080`). Default: the only port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// Path of the metrics. Prometheus' default is `/metrics`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Time between two scrapes, for example `30s`. Default: what Prometheus is set to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<String>,
    /// HTTP (Prometheus' default) or HTTPS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheme: Option<Scheme>,
    /// `ServiceMonitor` scrapes by way of the Service, `PodMonitor` the pods themselves. Default: as the port is private or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<MonitorKind>,
    /// Labels of that object, by which a Prometheus selects what it scrapes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// Scheme of a URL.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs, reason = "the variants are core Kubernetes words, and docs on them would split the schema")]
pub enum Scheme {
    Http,
    Https,
}

impl Scheme {
    /// As prometheus-operator spells it.
    pub const fn as_prometheus(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// Kind of the object by which Prometheus finds the pods.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants are names of kinds, and docs on them would split the schema")]
pub enum MonitorKind {
    ServiceMonitor,
    PodMonitor,
}
