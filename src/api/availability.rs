//! How many pods of an App stay while nodes are drained, and how they are spread.

use super::schema::upstream;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is kept available while nodes are drained or upgraded.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Availability {
    /// Pods that must stay, as a number or a percentage. As many as there are keep nodes from being drained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "upstream::<IntOrString>")]
    pub min_available: Option<IntOrString>,
    /// Pods that may be missing, as a number or a percentage. Default: 1, unless minAvailable is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "upstream::<IntOrString>")]
    pub max_unavailable: Option<IntOrString>,
    /// Spreads the pods evenly over hosts, or over zones and the hosts in them, as far as there is room. Default: as the scheduler does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread: Option<Spread>,
}

/// Over what pods are spread.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the field says what they mean, and docs on them would split the schema")]
pub enum Spread {
    Host,
    Zone,
}

impl Spread {
    /// The labels of nodes by which pods are spread, what is wider first.
    pub const fn topology_keys(self) -> &'static [&'static str] {
        match self {
            Self::Host => &["kubernetes.io/hostname"],
            Self::Zone => &["topology.kubernetes.io/zone", "kubernetes.io/hostname"],
        }
    }
}
