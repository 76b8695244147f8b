//! Volumes of the pod and where the container sees them.

use crate::api::volume::{AppVolume, ClaimTemplate, EphemeralVolume};
use crate::app::validate::ValidApp;
use crate::app::volumes::{Target, ValidVolume};
use crate::core::image::default_pull_policy;
use crate::core::template::unless_empty;
use k8s_openapi::api::core::v1::{
    EphemeralVolumeSource, ImageVolumeSource, PersistentVolumeClaimTemplate, PersistentVolumeClaimVolumeSource, Volume,
    VolumeDevice, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// The pod's volumes.
pub fn volumes(app: &ValidApp<'_>) -> Option<Vec<Volume>> {
    unless_empty(app.volumes.iter().map(|volume| pod_volume(app, volume)).collect())
}

fn pod_volume(app: &ValidApp<'_>, volume: &ValidVolume<'_>) -> Volume {
    let AppVolume {
        name,
        mount_path: _,
        device_path: _,
        sub_path: _,
        read_only,
        storage: _,
        claim: _,
        secret,
        config_map,
        empty_dir,
        projected,
        downward_api,
        ephemeral,
        image,
        csi,
    } = volume.declared.clone();
    let claim = app
        .claim_name(volume)
        .map(|claim_name| PersistentVolumeClaimVolumeSource { claim_name, read_only: read_only.then_some(true) });
    Volume {
        name,
        persistent_volume_claim: claim,
        secret,
        config_map,
        empty_dir,
        projected,
        downward_api,
        ephemeral: ephemeral.map(ephemeral_volume),
        image: image.map(image_volume),
        csi,
        ..Volume::default()
    }
}

fn ephemeral_volume(EphemeralVolume { volume_claim_template }: EphemeralVolume) -> EphemeralVolumeSource {
    let ClaimTemplate { metadata, spec } = volume_claim_template;
    let metadata = metadata.map(|metadata| ObjectMeta {
        labels: Some(metadata.labels).filter(|labels| !labels.is_empty()),
        annotations: Some(metadata.annotations).filter(|annotations| !annotations.is_empty()),
        ..ObjectMeta::default()
    });
    EphemeralVolumeSource { volume_claim_template: Some(PersistentVolumeClaimTemplate { metadata, spec }) }
}

/// Kubernetes' default of the policy depends on the reference, and is given once.
fn image_volume(image: ImageVolumeSource) -> ImageVolumeSource {
    let default = image.reference.as_deref().map(|reference| default_pull_policy(reference).to_owned());
    ImageVolumeSource { pull_policy: image.pull_policy.or(default), ..image }
}

/// The container's mounts of file systems.
pub fn volume_mounts(app: &ValidApp<'_>) -> Option<Vec<VolumeMount>> {
    unless_empty(app.volumes.iter().filter_map(volume_mount).collect())
}

fn volume_mount(volume: &ValidVolume<'_>) -> Option<VolumeMount> {
    let Target::Mount(path) = volume.target else { return None };
    Some(VolumeMount {
        name: volume.declared.name.clone(),
        mount_path: path.to_owned(),
        sub_path: volume.declared.sub_path.clone(),
        read_only: volume.declared.read_only.then_some(true),
        ..VolumeMount::default()
    })
}

/// The container's block devices.
pub fn volume_devices(app: &ValidApp<'_>) -> Option<Vec<VolumeDevice>> {
    unless_empty(
        app.volumes
            .iter()
            .filter_map(|volume| match volume.target {
                Target::Device(path) => {
                    Some(VolumeDevice { name: volume.declared.name.clone(), device_path: path.to_owned() })
                }
                Target::Mount(_) => None,
            })
            .collect(),
    )
}
