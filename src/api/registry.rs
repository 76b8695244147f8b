//! `Registry`: an image registry on storage of its own.

use super::common::{AccessMode, ChildStatus, DeletionPolicy, PodSettings, Problem};
use super::schema::upstream;
use super::volume::ClaimReference;
use k8s_openapi::api::core::v1::{EmptyDirVolumeSource, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The registry that is wanted. Only `storage` is required.
#[derive(CustomResource, Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "moorage.dev",
    version = "v1alpha1",
    kind = "Registry",
    plural = "registries",
    namespaced,
    status = "RegistryStatus",
    derive = "PartialEq",
    category = "moorage",
    shortname = "mreg",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Endpoint", type_ = "string", json_path = ".status.endpoint.internal"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Message",
        type_ = "string",
        priority = 1,
        json_path = ".status.conditions[?(@.type==\"Ready\")].message"
    ),
    doc = "Registry runs an OCI image registry on storage that outlives it."
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RegistrySpec {
    /// The registry software: Distribution (the CNCF reference server).
    #[serde(default)]
    pub engine: Engine,
    /// Image of the registry software. Default: the operator's `--registry-image`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Number of pods. More than one needs storage that several nodes can mount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// Where images are kept. Exactly one of volume, claim and emptyDir must be given.
    pub storage: RegistryStorage,
    /// Refuses pushes and deletions while true.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
    /// What the registry writes into its log, as Distribution names it. `Info` adds a line for each request, `Debug` several.
    #[serde(default)]
    pub log_level: LogLevel,
    /// CPU and memory that the registry asks for and may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "upstream::<ResourceRequirements>")]
    pub resources: Option<ResourceRequirements>,
    /// Pod settings that are not about the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodSettings>,
}

/// Registry software.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants are core Kubernetes words, and docs on them would split the schema")]
pub enum Engine {
    #[default]
    Distribution,
}

/// From which importance on something is logged.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants are the usual words, and docs on them would split the schema")]
pub enum LogLevel {
    Error,
    #[default]
    Warn,
    Info,
    Debug,
}

impl LogLevel {
    /// The word in Distribution's configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

/// Where images are kept. Exactly one source.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RegistryStorage {
    /// Storage of the Registry's own: makes a `StorageClaim` named after the Registry that outlives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<RegistryVolume>,
    /// An existing `StorageClaim` or `PersistentVolumeClaim` of this namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<ClaimReference>,
    /// Scratch space: every image is lost with the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "upstream::<EmptyDirVolumeSource>")]
    pub empty_dir: Option<EmptyDirVolumeSource>,
}

/// Storage that the Registry declares for itself.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RegistryVolume {
    /// Size, for example `20Gi`. May grow, never shrink.
    pub size: String,
    /// `StorageClass` to use. Default: the cluster's default class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_class_name: Option<String>,
    /// How the volume may be mounted. Default: `ReadWriteOnce`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub access_modes: Vec<AccessMode>,
    /// Retain (the default) keeps the images when the Registry is deleted; Delete removes them with it.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

/// What the operator last saw of the Registry.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct RegistryStatus {
    /// Generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready (the summary), Available, Progressing, Degraded; Reconciling, Stalled and Altered only while they are true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "upstream::<Vec<Condition>>")]
    pub conditions: Vec<Condition>,
    /// Where the registry answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<RegistryEndpoint>,
    /// Pods that are ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_replicas: Option<i32>,
    /// What is wrong with single pods, worst first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
    /// The objects that the operator keeps for this Registry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<ChildStatus>,
}

/// Addresses of the registry.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct RegistryEndpoint {
    /// Host and port inside the cluster, for example `images.team.svc:5000`.
    pub internal: String,
}
