//! Volumes of an App: where they come from and where its containers see them.

use super::common::{AccessMode, DeletionPolicy, VolumeMode};
use super::schema::upstream;
use k8s_openapi::api::core::v1::{
    CSIVolumeSource, ConfigMapVolumeSource, DownwardAPIVolumeSource, EmptyDirVolumeSource, ImageVolumeSource,
    PersistentVolumeClaimSpec, ProjectedVolumeSource, SecretVolumeSource,
};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;

/// A volume of the App and where the container sees it. Exactly one source must be given.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AppVolume {
    /// Name of the volume, unique in the App.
    pub name: String,
    /// Where the App's own container sees the volume. Needed unless it is a block device, or mounted elsewhere only.
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
    /// Further places, also in containers beside the App's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<VolumePlace>,
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
    /// Fields of the pod as files.
    #[serde(default, rename = "downwardAPI", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "upstream::<DownwardAPIVolumeSource>")]
    pub downward_api: Option<DownwardAPIVolumeSource>,
    /// A volume that each pod gets anew, and that goes with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ephemeral: Option<EphemeralVolume>,
    /// The files of an image, read-only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "upstream::<ImageVolumeSource>")]
    pub image: Option<ImageVolumeSource>,
    /// What a driver on the node makes for the pod, such as secrets from a vault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "upstream::<CSIVolumeSource>")]
    pub csi: Option<CSIVolumeSource>,
}

/// A volume of each pod's own; as in core.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EphemeralVolume {
    /// The claim that is made for each pod, named after pod and volume.
    pub volume_claim_template: ClaimTemplate,
}

/// The claim of such a volume; of its metadata Kubernetes takes labels and annotations only.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClaimTemplate {
    /// Labels and annotations of the claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<ClaimMetadata>,
    /// What is asked for; access modes and a size must be.
    #[schemars(schema_with = "claim_spec")]
    pub spec: PersistentVolumeClaimSpec,
}

/// Metadata of a claim that is made for a pod.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClaimMetadata {
    /// Labels of the claim.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations of the claim.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// A claim's spec with what the API server asks of one, though the type says that all is optional.
fn claim_spec(generator: &mut SchemaGenerator) -> Schema {
    let mut value = upstream::<PersistentVolumeClaimSpec>(generator).to_value();
    value["required"] = json!(["accessModes", "resources"]);
    value["properties"]["accessModes"]["minItems"] = json!(1);
    value["properties"]["resources"]["required"] = json!(["requests"]);
    value["properties"]["resources"]["properties"]["requests"]["required"] = json!(["storage"]);
    Schema::try_from(value).unwrap_or_default()
}

/// A further place where a volume is seen.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VolumePlace {
    /// Name of the container. Default: the App's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// Where it sees the volume.
    pub mount_path: String,
    /// Mounts only this path of the volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub_path: Option<String>,
    /// Mounts the volume read-only there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
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
