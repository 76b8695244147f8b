//! The fields of the status.

use super::{bound, claim, seen, status, told};
use crate::api::common::AccessMode;
use crate::api::storage_claim::StorageClaimStatus;
use crate::core::conditions::Type;
use crate::core::observed::Observed;

#[test]
fn the_status_shows_the_volume_and_who_mounts_it() {
    let used =
        Observed { consumers: vec!["App/shop".to_owned(), "Registry/r".to_owned()], ..seen(&bound("5Gi", "8Gi")) };
    let StorageClaimStatus {
        observed_generation,
        conditions: _,
        requested,
        capacity,
        storage_class_name,
        volume_name,
        access_modes,
        consumers,
    } = status(&claim("5Gi"), used.clone());
    assert_eq!(observed_generation, Some(3));
    assert_eq!(
        [requested, capacity, storage_class_name, volume_name].map(Option::unwrap),
        ["5Gi", "8Gi", "fast", "pv-1"]
    );
    assert_eq!((access_modes, consumers.len()), (vec![AccessMode::ReadWriteOnce], 2), "an unknown mode is left out");
    assert_eq!(told(&status(&claim("5Gi"), used), Type::InUse), "True Mounted");
    assert_eq!(told(&status(&claim("5Gi"), seen(&bound("5Gi", "5Gi"))), Type::InUse), "False NotMounted");
}

#[test]
fn before_the_volume_is_seen_it_is_being_applied() {
    let status = status(&claim("5Gi"), Observed::default());
    assert_eq!(
        (told(&status, Type::Ready), told(&status, Type::Resized)),
        ("False Applying".into(), "False Applying".into())
    );
}
