//! Volumes of an App: where they come from and where its containers see them.

use super::common::{AccessMode, DeletionPolicy, VolumeMode};
use super::schema::upstream;
use k8s_openapi::api::core::v1::{
    ConfigMapVolumeSource, EmptyDirVolumeSource, ProjectedVolumeSource, SecretVolumeSource,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A volume of the App and where the container sees it. Exactly one source must be given.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AppVolume {
    /// Name of the volume, unique in the App.
    pub name: String,
    /// Where the container sees the volume. Required unless the volume is a block device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mount_path: Option<String>,
    /// Where the container sees a block device (`volumeMode: Block`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_path: Option<String>,
    /// Mounts only this path of the volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub_path: Option<String>,
    /// Mounts the volume read-only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
    /// Storage of the App's own: makes a `StorageClaim` named after the App and the volume that outlives the App.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<VolumeStorage>,
    /// An existing `StorageClaim` or `PersistentVolumeClaim` of this namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<ClaimReference>,
    /// Keys of a Secret as files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "upstream::<SecretVolumeSource>")]
    pub secret: Option<SecretVolumeSource>,
    /// Keys of a `ConfigMap` as files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "upstream::<ConfigMapVolumeSource>")]
    pub config_map: Option<ConfigMapVolumeSource>,
    /// Scratch space that lives as long as the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "upstream::<EmptyDirVolumeSource>")]
    pub empty_dir: Option<EmptyDirVolumeSource>,
    /// Several sources under one path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "upstream::<ProjectedVolumeSource>")]
    pub projected: Option<ProjectedVolumeSource>,
}

/// Storage that the App declares for itself.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VolumeStorage {
    /// Size, for example `2Gi`. May grow, never shrink.
    pub size: String,
    /// `StorageClass` to use. Default: the cluster's default class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_class_name: Option<String>,
    /// How the volume may be mounted. Default: `ReadWriteOnce`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub access_modes: Vec<AccessMode>,
    /// Filesystem (the default) or Block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume_mode: Option<VolumeMode>,
    /// Retain (the default) keeps the data when the App is deleted; Delete removes it with the App.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

/// A claim of the same namespace, by name.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClaimReference {
    /// Name of the `StorageClaim` or `PersistentVolumeClaim`.
    pub name: String,
}
