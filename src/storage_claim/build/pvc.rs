//! The `PersistentVolumeClaim` behind a claim.

use crate::core::facts::Volume;
use crate::core::meta;
use crate::storage_claim::retention::Holding;
use crate::storage_claim::validate::ValidClaim;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use std::collections::BTreeMap;

/// Access mode when none is declared.
const DEFAULT_ACCESS_MODE: &str = "ReadWriteOnce";

/// The `PersistentVolumeClaim` of the claim's name, asking for `request`. It has no owner, so it outlives the claim;
/// the labels find it again.
///
/// Of a volume that an earlier claim made, everything that this claim leaves open is repeated as it is: what is left
/// out of an apply counts as removed, and Kubernetes refuses to remove it.
pub fn pvc(claim: &ValidClaim<'_>, holding: &Holding<'_>, request: &str) -> PersistentVolumeClaim {
    let (identity, spec) = (&claim.identity, claim.spec);
    let earlier = holding.adopted();
    let mut metadata = meta::kept(identity, &identity.name);
    metadata.labels.get_or_insert_default().extend(claim.parent_labels.clone());
    metadata.annotations = Some(annotations(&identity.uid, earlier.is_some()));
    let mode = spec.volume_mode.map(|mode| mode.as_str().to_owned());
    PersistentVolumeClaim {
        metadata,
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(access_modes(claim, holding.volume())),
            volume_mode: mode.or_else(|| earlier?.mode.clone()),
            storage_class_name: spec.storage_class_name.clone().or_else(|| earlier?.class.clone()),
            selector: spec.selector.clone().or_else(|| selector(earlier?)),
            volume_name: spec.volume_name.clone().or_else(|| earlier?.volume.clone()),
            resources: Some(VolumeResourceRequirements {
                requests: Some(BTreeMap::from([("storage".to_owned(), Quantity(request.to_owned()))])),
                ..VolumeResourceRequirements::default()
            }),
            ..PersistentVolumeClaimSpec::default()
        }),
        ..PersistentVolumeClaim::default()
    }
}

fn annotations(uid: &str, adopted: bool) -> BTreeMap<String, String> {
    let mut annotations = BTreeMap::from([(meta::CLAIM_UID.to_owned(), uid.to_owned())]);
    if adopted {
        annotations.insert(meta::ADOPTED.to_owned(), "true".to_owned());
    }
    annotations
}

/// As declared, else as the existing volume has them, else the default.
fn access_modes(claim: &ValidClaim<'_>, volume: Option<&Volume>) -> Vec<String> {
    let declared: Vec<_> = claim.spec.access_modes.iter().map(|mode| mode.as_str().to_owned()).collect();
    let existing = || volume.map(|volume| volume.declared_modes.clone()).filter(|modes| !modes.is_empty());
    if declared.is_empty() { existing().unwrap_or_else(|| vec![DEFAULT_ACCESS_MODE.to_owned()]) } else { declared }
}

fn selector(volume: &Volume) -> Option<LabelSelector> {
    serde_json::from_value(volume.selector.clone()?).ok()
}
