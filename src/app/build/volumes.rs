//! Volumes of the pod and where the container sees them.

use crate::app::validate::{Source, Target, ValidApp, ValidVolume};
use crate::core::template::unless_empty;
use k8s_openapi::api::core::v1::{PersistentVolumeClaimVolumeSource, Volume, VolumeDevice, VolumeMount};

/// The pod's volumes.
pub fn volumes(app: &ValidApp<'_>) -> Option<Vec<Volume>> {
    unless_empty(app.volumes.iter().map(|volume| pod_volume(app, volume)).collect())
}

fn pod_volume(app: &ValidApp<'_>, volume: &ValidVolume<'_>) -> Volume {
    let mut made = Volume { name: volume.declared.name.clone(), ..Volume::default() };
    match volume.source {
        Source::Storage(_) | Source::Claim(_) => {
            made.persistent_volume_claim = app.claim_name(volume).map(|claim_name| PersistentVolumeClaimVolumeSource {
                claim_name,
                read_only: volume.declared.read_only.then_some(true),
            });
        }
        Source::Secret(source) => made.secret = Some(source.clone()),
        Source::ConfigMap(source) => made.config_map = Some(source.clone()),
        Source::EmptyDir(source) => made.empty_dir = Some(source.clone()),
        Source::Projected(source) => made.projected = Some(source.clone()),
    }
    made
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
