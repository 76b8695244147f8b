//! How a change of an App reaches its pods.

use super::schema::upstream;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a change reaches the pods.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rollout {
    /// `RollingUpdate` (the default) or Recreate (the default when a volume can be mounted on one node only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<RolloutStrategy>,
    /// Pods above `replicas` during a rolling update, as a number or a percentage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "upstream::<IntOrString>")]
    pub max_surge: Option<IntOrString>,
    /// Pods that may be missing during a rolling update, as a number or a percentage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "upstream::<IntOrString>")]
    pub max_unavailable: Option<IntOrString>,
    /// Seconds a new pod must be ready before it counts as available.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_ready_seconds: Option<i32>,
    /// Seconds without progress after which the rollout counts as failed. Kubernetes' default is 600.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress_deadline_seconds: Option<i32>,
    /// Old revisions to keep. Kubernetes' default is 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history_limit: Option<i32>,
    /// What becomes of the pods when a `ConfigMap` or Secret changes that they read: Restart (the default) rolls them out anew, Ignore
    /// leaves them as they are. Secrets are followed where the operator may read them; Restart, once it is written, says so where it
    /// may not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_config_change: Option<OnConfigChange>,
    /// `ConfigMaps` and Secrets whose changes restart nothing, for programs that read them again by themselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore_changes_of: Vec<ConfigReference>,
    /// Number of a revision (`status.revisions`) whose pod template runs in place of the declared one, until this is unset or the
    /// declared one changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_revision: Option<i32>,
    /// When a rollout exceeds its deadline, the last revision that was rolled out to the end runs again, until the declared template
    /// or the configuration that its pods read changes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub auto_rollback: bool,
}

/// What becomes of pods when their configuration changes.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the field says what they mean, and docs on them would split the schema")]
pub enum OnConfigChange {
    Restart,
    Ignore,
}

/// Configuration of the same namespace, by kind and name.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConfigReference {
    /// `ConfigMap` or Secret.
    pub kind: ConfigKind,
    /// Its name.
    pub name: String,
}

/// Kinds that hold configuration.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants are core Kubernetes words, and docs on them would split the schema")]
pub enum ConfigKind {
    ConfigMap,
    Secret,
}

/// Whether old pods make room one by one or all at once.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants are core Kubernetes words, and docs on them would split the schema")]
pub enum RolloutStrategy {
    RollingUpdate,
    Recreate,
}
