//! What Apps and Registries have in common about their storage.

use super::conditions::Summary;
use super::facts::Claim;
use super::meta;
use super::observed::Observed;
use super::plan::{ChildKind, Identity};
use super::reason::Reason;
use crate::api::StorageClaim;
use crate::api::common::DeletionPolicy;
use crate::api::storage_claim::StorageClaimSpec;

/// A `StorageClaim` of `parent`'s own. It carries the parent's label and no owner, so it outlives the parent, unless its
/// policy is Delete.
pub fn storage_claim(parent: &Identity, name: &str, spec: StorageClaimSpec) -> StorageClaim {
    let metadata = match spec.deletion_policy {
        DeletionPolicy::Retain => meta::kept(parent, name),
        DeletionPolicy::Delete => meta::owned(parent, name),
    };
    StorageClaim { metadata, spec, status: None }
}

/// What the first of the mounted claims that is not ready waits for; `None` when all are, or are no `StorageClaims`.
pub fn not_ready(claims: &[String], observed: &Observed) -> Option<Summary> {
    claims.iter().find_map(|name| {
        let claim = observed.claims.get(name)?;
        (!claim.ready).then(|| summary(name, claim))
    })
}

fn summary(name: &str, claim: &Claim) -> Summary {
    let detail = if claim.message.is_empty() { "waits for its first status" } else { &claim.message };
    let message = format!("{} {name}: {detail}", ChildKind::StorageClaim);
    if claim.stalled {
        Summary::Stalled(Reason::StorageNotReady, message)
    } else {
        Summary::Waiting(Reason::StorageNotReady, message)
    }
}
