//! Specs that can't be carried out.

use super::{claim, empty_dir, registry, settings, volume, with_claim};
use crate::api::common::AccessMode;
use crate::api::registry::RegistryStorage;
use crate::core::observed::Observed;
use crate::core::parent::Parent;
use jiff::Timestamp;

#[test]
fn storage_is_exactly_one() {
    let both = RegistryStorage { claim: claim("shared").claim, ..empty_dir() };
    for storage in [RegistryStorage::default(), both] {
        let plan = registry(storage).plan(&Observed::default(), &settings(), Timestamp::UNIX_EPOCH);
        assert_eq!(plan.invalid, ["spec.storage: must have exactly one of volume, claim and emptyDir"]);
        assert_eq!(plan.objects, []);
    }
}

#[test]
fn every_error_is_told_at_once_and_names_its_field() {
    let mut bad = registry(volume(&[]));
    bad.metadata.name = Some("x".repeat(56));
    bad.spec.image = Some("https://registry.example.com/x".to_owned());
    bad.spec.storage.volume.as_mut().unwrap().size = "much".to_owned();
    bad.spec.replicas = Some(-1);
    let invalid = bad.plan(&Observed::default(), &settings(), Timestamp::UNIX_EPOCH).invalid;
    let fields: Vec<_> = invalid.iter().map(|error| error.split(": ").next().unwrap()).collect();
    assert_eq!(fields, ["spec.image", "spec.replicas", "spec.storage.volume.size", "metadata.name"]);
}

#[test]
fn several_replicas_need_shared_storage() {
    for (storage, observed, why) in [
        (volume(&[AccessMode::ReadWriteOnce]), Observed::default(), "spec.storage.volume.accessModes has no mode"),
        (volume(&[AccessMode::ReadOnlyMany]), Observed::default(), "spec.storage.volume.accessModes has no mode"),
        (claim("shared"), with_claim(&[]), "StorageClaim shared has no access mode"),
        (empty_dir(), Observed::default(), "with spec.storage.emptyDir each pod would"),
    ] {
        let mut images = registry(storage);
        images.spec.replicas = Some(2);
        let plan = images.plan(&observed, &settings(), Timestamp::UNIX_EPOCH);
        assert_eq!(plan.invalid.len(), 1);
        assert!(plan.invalid[0].starts_with(&format!("spec.replicas: must be 1 because {why}")), "{:?}", plan.invalid);
        assert_eq!(plan.objects, []);
    }
}
