//! From a `StorageClaim` as written to a [`ValidClaim`], or every error at once, each starting with its field.

use crate::api::StorageClaim;
use crate::api::common::AccessMode;
use crate::api::storage_claim::StorageClaimSpec;
use crate::core::checks::{NAME_LIMIT, size};
use crate::core::kind::Identity;
use crate::core::parent::Parent;
use crate::core::quantity::Quantity;
use std::collections::BTreeMap;

/// A claim whose every part makes sense; what the builder takes.
#[derive(Debug)]
pub struct ValidClaim<'a> {
    /// Who it is.
    pub identity: Identity,
    /// The spec as written.
    pub spec: &'a StorageClaimSpec,
    /// `spec.size`, to compare by.
    pub size: Quantity,
    /// Labels that name the App or Registry whose storage it is.
    pub parent_labels: BTreeMap<String, String>,
}

/// Checks a claim.
///
/// # Errors
/// Every error found, each starting with the field.
pub fn validate(claim: &StorageClaim) -> Result<ValidClaim<'_>, Vec<String>> {
    let (identity, spec) = (claim.identity(), &claim.spec);
    let mut errors = Vec::new();
    errors.extend(name(&identity.name));
    errors.extend(size(&spec.size).map(|error| format!("spec.{error}")));
    errors.extend(access_modes(&spec.access_modes));
    match spec.size.parse() {
        Ok(size) if errors.is_empty() => {
            Ok(ValidClaim { identity, spec, size, parent_labels: super::retention::parent_labels(claim) })
        }
        Ok(_) | Err(_) => Err(errors),
    }
}

fn name(name: &str) -> Option<String> {
    (name.is_empty() || name.len() > NAME_LIMIT).then(|| {
        format!("metadata.name: must have at most {NAME_LIMIT} characters, as it becomes a label of the PersistentVolumeClaim")
    })
}

fn access_modes(modes: &[AccessMode]) -> Option<String> {
    let exclusive = modes.contains(&AccessMode::ReadWriteOncePod) && modes.len() > 1;
    exclusive.then(|| "spec.accessModes: must have no other mode beside ReadWriteOncePod".to_owned())
}

#[cfg(test)]
mod tests {
    use super::validate;
    use crate::api::common::AccessMode;
    use crate::storage_claim::tests::claim;

    #[test]
    fn every_error_is_told_at_once_and_names_its_field() {
        let mut bad = claim("0");
        bad.metadata.name = Some("x".repeat(64));
        bad.spec.access_modes = vec![AccessMode::ReadWriteOncePod, AccessMode::ReadWriteOnce];
        let errors = validate(&bad).unwrap_err();
        let fields: Vec<_> = errors.iter().map(|error| error.split(':').next().unwrap()).collect();
        assert_eq!(fields, ["metadata.name", "spec.size", "spec.accessModes"]);
    }

    #[test]
    fn an_unreadable_size_is_an_error_of_the_spec() {
        for size in ["", "five", "5Xi", "-1Gi"] {
            assert!(validate(&claim(size)).unwrap_err()[0].starts_with("spec.size: must be"), "{size}");
        }
        assert!(validate(&claim("5Gi")).is_ok());
    }
}
