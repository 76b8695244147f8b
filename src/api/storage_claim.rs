//! `StorageClaim`: a volume with a policy for what becomes of its data.

use super::common::{AccessMode, DeletionPolicy, VolumeMode};
use super::schema::upstream;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The volume that is wanted. Only `size` is required.
#[derive(CustomResource, Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "moorage.dev",
    version = "v1alpha1",
    kind = "StorageClaim",
    namespaced,
    status = "StorageClaimStatus",
    derive = "PartialEq",
    category = "moorage",
    shortname = "mclaim",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Capacity", type_ = "string", json_path = ".status.capacity"),
    printcolumn(name = "Class", type_ = "string", json_path = ".status.storageClassName"),
    printcolumn(name = "Used-By", type_ = "string", json_path = ".status.consumers"),
    printcolumn(name = "Policy", type_ = "string", json_path = ".spec.deletionPolicy"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Volume", type_ = "string", priority = 1, json_path = ".status.volumeName"),
    printcolumn(
        name = "Message",
        type_ = "string",
        priority = 1,
        json_path = ".status.conditions[?(@.type==\"Ready\")].message"
    ),
    doc = "StorageClaim keeps a PersistentVolumeClaim of the same name and decides what becomes of its data."
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StorageClaimSpec {
    /// Size, for example `2Gi`. May grow; less than the volume already has changes nothing.
    pub size: String,
    /// `StorageClass` to use. Default: the cluster's default class. Can't be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_class_name: Option<String>,
    /// How the volume may be mounted. Default: `ReadWriteOnce`. Can't be changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub access_modes: Vec<AccessMode>,
    /// Filesystem (the default) or Block. Can't be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume_mode: Option<VolumeMode>,
    /// Binds only volumes with these labels. Can't be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "upstream::<LabelSelector>")]
    pub selector: Option<LabelSelector>,
    /// Binds this `PersistentVolume`. Can't be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume_name: Option<String>,
    /// Retain (the default) keeps the `PersistentVolumeClaim` and its data when this claim is deleted; Delete removes both (but what Moorage did not make only
    /// while it carries the annotation `moorage.dev/adoptable` with this claim's name).
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// Takes over an existing `PersistentVolumeClaim` of the same name that was retained; one that Moorage did not make must carry the
    /// annotation `moorage.dev/adoptable` with this claim's name as well.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adopt: bool,
}

/// What the operator last saw of the claim.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct StorageClaimStatus {
    /// Generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready (the summary), Bound, Resized, `InUse`; Reconciling, Stalled and Degraded only while they are true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "upstream::<Vec<Condition>>")]
    pub conditions: Vec<Condition>,
    /// Size that the `PersistentVolumeClaim` asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested: Option<String>,
    /// Size that the volume really has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<String>,
    /// `StorageClass` in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_class_name: Option<String>,
    /// `PersistentVolume` that is bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume_name: Option<String>,
    /// How the bound volume may be mounted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub access_modes: Vec<AccessMode>,
    /// Apps and Registries that mount this claim, as `App/shop`; at most 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub consumers: Vec<String>,
}
