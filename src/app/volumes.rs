//! An App's volumes: each with its one source, and where its container sees it.

use crate::api::common::VolumeMode;
use crate::api::volume::{AppVolume, VolumeStorage};
use crate::core::checks::{NAME_LIMIT, size};
use std::collections::BTreeSet;

/// What a volume may come from, in words.
const SOURCES: &str = "storage, claim, secret, configMap, emptyDir, projected, downwardAPI, ephemeral, image and csi";

/// A volume with its one source.
#[derive(Debug)]
pub struct ValidVolume<'a> {
    /// The volume as written.
    pub declared: &'a AppVolume,
    /// Its source.
    pub source: Source<'a>,
    /// Where and as what the container sees it.
    pub target: Target<'a>,
}

/// Where a volume comes from.
#[derive(Debug)]
pub enum Source<'a> {
    /// A `StorageClaim` of the App's own.
    Storage(&'a VolumeStorage),
    /// An existing claim.
    Claim(&'a str),
    /// What each pod gets by itself: as in core, and as written.
    Elsewhere,
}

/// How the container sees a volume.
#[derive(Debug)]
pub enum Target<'a> {
    /// As a directory or file.
    Mount(&'a str),
    /// As a block device.
    Device(&'a str),
    /// Only elsewhere, if at all.
    Elsewhere,
}

/// Name of the claim of a volume that has storage of the App's own.
pub fn own_claim(app: &str, volume: &AppVolume) -> String {
    format!("{app}-{}", volume.name)
}

/// The volumes that make sense; what is wrong with the others is added to the errors.
pub fn volumes<'a>(app: &str, declared: &'a [AppVolume], errors: &mut Vec<String>) -> Vec<ValidVolume<'a>> {
    let mut names = BTreeSet::new();
    let mut valid = Vec::new();
    for (index, volume) in declared.iter().enumerate() {
        let field = format!("spec.volumes[{index}]");
        if !names.insert(&volume.name) {
            errors.push(format!("{field}.name: must be unique"));
        }
        match (source(volume), target(volume)) {
            (Ok(source), Ok(target)) => {
                if let Source::Storage(storage) = source {
                    if app.len() + 1 + volume.name.len() > NAME_LIMIT {
                        errors.push(format!("{field}.name: must be shorter: the claim's name {} may have at most {NAME_LIMIT} characters", own_claim(app, volume)));
                    }
                    errors.extend(size(&storage.size).map(|error| format!("{field}.storage.{error}")));
                }
                valid.push(ValidVolume { declared: volume, source, target });
            }
            (source, target) => {
                errors.extend(source.err().into_iter().chain(target.err()).map(|error| format!("{field}{error}")));
            }
        }
    }
    valid
}

fn source(volume: &AppVolume) -> Result<Source<'_>, String> {
    let AppVolume {
        name: _,
        mount_path: _,
        device_path: _,
        sub_path: _,
        read_only: _,
        mounts: _,
        storage,
        claim,
        secret,
        config_map,
        empty_dir,
        projected,
        downward_api,
        ephemeral,
        image,
        csi,
    } = volume;
    let elsewhere = [
        secret.is_some(),
        config_map.is_some(),
        empty_dir.is_some(),
        projected.is_some(),
        downward_api.is_some(),
        ephemeral.is_some(),
        image.is_some(),
        csi.is_some(),
    ];
    let elsewhere = elsewhere.into_iter().filter(|is_given| *is_given).map(|_| Source::Elsewhere);
    let storage = storage.as_ref().map(Source::Storage);
    let claim = claim.as_ref().map(|claim| Source::Claim(&claim.name));
    let mut given = storage.into_iter().chain(claim).chain(elsewhere);
    match (given.next(), given.next()) {
        (Some(source), None) => Ok(source),
        _ => Err(format!(": must have exactly one of {SOURCES}")),
    }
}

fn target(volume: &AppVolume) -> Result<Target<'_>, String> {
    let storage = volume.storage.as_ref().and_then(|storage| storage.volume_mode);
    let claim =
        volume.ephemeral.as_ref().and_then(|ephemeral| ephemeral.volume_claim_template.spec.volume_mode.as_deref());
    let block = storage == Some(VolumeMode::Block) || claim == Some(VolumeMode::Block.as_str());
    if block && !volume.mounts.is_empty() {
        return Err(".mounts: must be unset when volumeMode is Block".to_owned());
    }
    match (&volume.mount_path, &volume.device_path) {
        (Some(path), None) if !block && path.starts_with('/') => Ok(Target::Mount(path)),
        (Some(_), None) if !block => Err(".mountPath: must be an absolute path".to_owned()),
        (None, Some(path)) if block || volume.claim.is_some() => Ok(Target::Device(path)),
        (None, None) if volume.sub_path.is_some() => Err(".subPath: must be unset without a mountPath".to_owned()),
        (None, None) => Ok(Target::Elsewhere),
        (_, _) if block => Err(".mountPath: must be unset when volumeMode is Block".to_owned()),
        (_, _) => Err(".devicePath: must be unset unless volumeMode is Block".to_owned()),
    }
}
