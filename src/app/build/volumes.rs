//! Volumes of the pod and where the container sees them.

use crate::api::volume::{AppVolume, ClaimTemplate, EphemeralVolume, VolumePlace};
use crate::app::containers::is_read_only;
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
        read_only: _,
        mounts: _,
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
    // Said of a claim it holds for every place where that is mounted.
    let reads_only = is_read_only(app.spec, volume.declared);
    let claim = app
        .claim_name(volume)
        .map(|claim_name| PersistentVolumeClaimVolumeSource { claim_name, read_only: reads_only.then_some(true) });
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

/// The mounts of file systems of the App's own container.
pub fn volume_mounts(app: &ValidApp<'_>) -> Option<Vec<VolumeMount>> {
    let shorthand = app.volumes.iter().filter_map(volume_mount);
    unless_empty(shorthand.chain(volume_mounts_of(app, &app.identity.name)).collect())
}

fn volume_mount(volume: &ValidVolume<'_>) -> Option<VolumeMount> {
    let Target::Mount(path) = volume.target else { return None };
    let AppVolume { name, sub_path, read_only, .. } = volume.declared;
    Some(mount(name, path, sub_path.as_ref(), *read_only))
}

/// What the volumes say of a container, beside the shorthand.
pub fn volume_mounts_of<'a>(app: &'a ValidApp<'_>, container: &'a str) -> impl Iterator<Item = VolumeMount> + 'a {
    let own = app.identity.name.as_str();
    let places = app.volumes.iter().flat_map(|volume| volume.declared.mounts.iter().map(move |place| (volume, place)));
    let places = places.filter(move |(_, place)| place.container.as_deref().unwrap_or(own) == container);
    places.map(|(volume, place)| {
        let VolumePlace { container: _, mount_path, sub_path, read_only } = place;
        mount(&volume.declared.name, mount_path, sub_path.as_ref(), *read_only)
    })
}

fn mount(name: &str, mount_path: &str, sub_path: Option<&String>, read_only: bool) -> VolumeMount {
    VolumeMount {
        name: name.to_owned(),
        mount_path: mount_path.to_owned(),
        sub_path: sub_path.cloned(),
        read_only: read_only.then_some(true),
        ..VolumeMount::default()
    }
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
                Target::Mount(_) | Target::Elsewhere => None,
            })
            .collect(),
    )
}
