//! Whose data it is: what the `PersistentVolumeClaim` of a claim's name is to the claim, and what becomes of it.
//!
//! The rule that no data is lost stands here: a volume is deleted only under the policy Delete, only while the
//! `StorageClaim` itself is being deleted, and only if it was kept for that very `StorageClaim`; one that somebody else made, only
//! if it consents.

use crate::api::StorageClaim;
use crate::api::common::DeletionPolicy;
use crate::api::storage_claim::{StorageClaimSpec, StorageClaimStatus};
use crate::core::facts::Volume;
use crate::core::kind::{ChildKind, ParentKind};
use crate::core::meta::{FINALIZER, parent_label};
use crate::core::observed::{Child, Observed};
use crate::core::owner::Ownership;
use crate::core::parent::Parent;
use crate::core::plan::{FinalizerChange, Plan};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Kinds whose storage a `StorageClaim` can be.
const STORAGE_USERS: [ParentKind; 2] = [ParentKind::App, ParentKind::Registry];

/// What the `PersistentVolumeClaim` of a claim's name is to the claim.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Holding<'a> {
    /// There is none that matters: none at all, one on its way out, or a stranger's, which no apply touches.
    Absent,
    /// It was kept for this very claim.
    Ours(&'a Volume),
    /// A deleted claim left it behind, and this one takes it over.
    Inherited(&'a Volume),
    /// A deleted claim left it behind, and nobody said that this one may have it.
    Retained,
}

impl<'a> Holding<'a> {
    /// What was seen, from the view of `claim`.
    pub fn of(claim: &StorageClaim, observed: &'a Observed) -> Self {
        let identity = claim.identity();
        let Some(child) = child(&identity.name, observed) else { return Self::Absent };
        let Some(volume) = observed.volume(&identity.name) else { return Self::Absent };
        if child.owner.to(&identity) != Ownership::Ours {
            return Self::Absent;
        }
        if volume.claim_uid.as_deref() == Some(identity.uid.as_str()) {
            return Self::Ours(volume);
        }
        if child.deleting {
            return Self::Absent;
        }
        let same_user = volume.parent_label.is_some() && volume.parent_label == storage_user(claim);
        if claim.spec.adopt || same_user { Self::Inherited(volume) } else { Self::Retained }
    }

    /// The volume that the claim has, or is about to have.
    pub const fn volume(&self) -> Option<&'a Volume> {
        match self {
            Self::Ours(volume) | Self::Inherited(volume) => Some(volume),
            Self::Absent | Self::Retained => None,
        }
    }

    /// The volume, if an earlier claim made it.
    pub fn adopted(&self) -> Option<&'a Volume> {
        match self {
            Self::Inherited(volume) => Some(volume),
            Self::Ours(volume) => Some(*volume).filter(|volume| volume.adopted),
            Self::Absent | Self::Retained => None,
        }
    }
}

/// The labels by which a claim says whose storage it is.
pub fn parent_labels(claim: &StorageClaim) -> BTreeMap<String, String> {
    let labels = claim.metadata.labels.iter().flatten();
    labels
        .filter(|(key, _)| STORAGE_USERS.iter().any(|kind| parent_label(*kind) == key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// Whose storage a claim is, in the form of [`Volume::parent_label`].
fn storage_user(claim: &StorageClaim) -> Option<String> {
    let labels = parent_labels(claim);
    STORAGE_USERS.into_iter().find_map(|kind| Some(format!("{}/{}", kind.as_str(), labels.get(parent_label(kind))?)))
}

/// What becomes of the finalizer while the claim lives: it is there exactly under the policy Delete.
pub fn finalizer(claim: &StorageClaim) -> FinalizerChange {
    match (claim.spec.deletion_policy, has_finalizer(claim)) {
        (DeletionPolicy::Delete, false) => FinalizerChange::Add,
        (DeletionPolicy::Retain, true) => FinalizerChange::Remove,
        (DeletionPolicy::Delete, true) | (DeletionPolicy::Retain, false) => FinalizerChange::Keep,
    }
}

/// What tells how a claim goes that is being deleted and can't be read, as its spec is too large or of another version: its policy,
/// if that can be read, and else the one that loses nothing.
pub fn departing(body: &Value) -> Option<StorageClaim> {
    body["metadata"].get("deletionTimestamp")?;
    let policy = DeletionPolicy::deserialize(&body["spec"]["deletionPolicy"]).unwrap_or(DeletionPolicy::Retain);
    Some(StorageClaim {
        metadata: ObjectMeta::deserialize(&body["metadata"]).ok()?,
        spec: StorageClaimSpec { deletion_policy: policy, ..StorageClaimSpec::default() },
        status: StorageClaimStatus::deserialize(&body["status"]).ok(),
    })
}

/// The plan for a claim that is being deleted: nothing under Retain; under Delete the volume goes, then the finalizer.
pub fn farewell(claim: &StorageClaim, observed: &Observed) -> Plan {
    let name = claim.identity().name;
    let mut plan = Plan::default();
    if doomed(claim, observed).is_some() {
        plan.prune = child(&name, observed)
            .filter(|child| !child.deleting)
            .map(|_| (ChildKind::PersistentVolumeClaim, name.clone()))
            .into_iter()
            .collect();
    } else if has_finalizer(claim) {
        plan.finalizer = FinalizerChange::Remove;
    }
    plan
}

/// The volume that somebody deletes under a claim that stays.
pub fn vanishing<'a>(claim: &StorageClaim, observed: &'a Observed) -> Option<&'a Volume> {
    let identity = claim.identity();
    let deleting = child(&identity.name, observed).is_some_and(|child| child.deleting);
    match Holding::of(claim, observed) {
        Holding::Ours(volume) if deleting && !identity.deleting => Some(volume),
        Holding::Ours(_) | Holding::Inherited(_) | Holding::Absent | Holding::Retained => None,
    }
}

/// The `PersistentVolume` that a claim had and has no longer, as its status tells.
pub fn former<'a>(claim: &'a StorageClaim, observed: &Observed) -> Option<&'a str> {
    let told = claim.status.as_ref()?.volume_name.as_deref();
    told.filter(|_| child(&claim.identity().name, observed).is_none())
}

/// The volume that goes with a claim that is being deleted; `None` once it is gone, or if it stays.
pub fn doomed<'a>(claim: &StorageClaim, observed: &'a Observed) -> Option<&'a Volume> {
    let dies =
        claim.identity().deleting && claim.spec.deletion_policy == DeletionPolicy::Delete && has_finalizer(claim);
    match Holding::of(claim, observed) {
        Holding::Ours(volume) if dies && !is_spared(volume) => Some(volume),
        Holding::Ours(_) | Holding::Inherited(_) | Holding::Absent | Holding::Retained => None,
    }
}

/// Whether no policy reaches a volume: somebody else made it, and did not consent to its adoption (or does no longer).
pub const fn is_spared(volume: &Volume) -> bool {
    volume.foreign && !volume.adoptable
}

fn has_finalizer(claim: &StorageClaim) -> bool {
    claim.metadata.finalizers.iter().flatten().any(|finalizer| finalizer == FINALIZER)
}

fn child<'a>(name: &str, observed: &'a Observed) -> Option<&'a Child> {
    observed.child(ChildKind::PersistentVolumeClaim, name)
}
