//! The `StorageClaim` of the Registry's own volume.

use crate::api::StorageClaim;
use crate::api::storage_claim::StorageClaimSpec;
use crate::core::storage;
use crate::registry::validate::{Source, ValidRegistry};

/// The claim that holds the images, unless they are kept elsewhere.
pub fn storage_claim(registry: &ValidRegistry<'_>) -> Option<StorageClaim> {
    let Source::Volume(volume) = registry.source else { return None };
    let spec = StorageClaimSpec {
        size: volume.size.clone(),
        storage_class_name: volume.storage_class_name.clone(),
        access_modes: volume.access_modes.clone(),
        deletion_policy: volume.deletion_policy,
        ..StorageClaimSpec::default()
    };
    Some(storage::storage_claim(&registry.identity, &registry.claim_name()?, spec))
}
