//! The `StorageClaims` of the App's own volumes.

use crate::api::StorageClaim;
use crate::api::storage_claim::StorageClaimSpec;
use crate::app::validate::ValidApp;
use crate::app::volumes::Source;
use crate::core::storage;

/// One claim per `storage` volume, named after the App and the volume, and the field that declares it.
pub fn storage_claims(app: &ValidApp<'_>) -> Vec<(String, StorageClaim)> {
    app.volumes
        .iter()
        .enumerate()
        .filter_map(|(index, volume)| {
            let Source::Storage(storage) = volume.source else { return None };
            let name = app.claim_name(volume)?;
            let spec = StorageClaimSpec {
                size: storage.size.clone(),
                storage_class_name: storage.storage_class_name.clone(),
                access_modes: storage.access_modes.clone(),
                volume_mode: storage.volume_mode,
                deletion_policy: storage.deletion_policy,
                ..StorageClaimSpec::default()
            };
            Some((format!("spec.volumes[{index}].storage"), storage::storage_claim(&app.identity, &name, spec)))
        })
        .collect()
}
