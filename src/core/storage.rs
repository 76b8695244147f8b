//! What Apps and Registries have in common about their storage.

use super::conditions::Summary;
use super::facts::{Claim, Facts};
use super::kind::{ChildKind, Identity};
use super::known::Known;
use super::meta;
use super::object::Object;
use super::observed::{Child, Observed};
use super::owner::Ownership;
use super::plan::Plan;
use super::readiness;
use super::reason::Reason;
use super::reference::{Reference, ReferenceKind};
use super::referent::Mountable;
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

/// What is referred to by who mounts a claim of that name: its `StorageClaim`, and unless that is its own, a `PersistentVolumeClaim` that
/// may be nobody's.
pub fn references(claim: &str, is_own: bool) -> impl Iterator<Item = Reference> {
    let unkept = (!is_own).then_some(ReferenceKind::PersistentVolumeClaim);
    let kinds = [ReferenceKind::StorageClaim].into_iter().chain(unkept);
    kinds.map(move |kind| Reference::new(kind, claim))
}

/// Holds the workload back until each of the parent's own claims has said that its volume is its own. Pods mount a volume by
/// name: they would read and write the data that the claim itself was refused. While somebody deletes a volume that is mounted, a new
/// template would stop the last pod, and with it go the data: only who scales to zero asks for that.
pub fn hold_until_owned(plan: &mut Plan, parent: &Identity, observed: &Observed) {
    let ends = |object: &Object| object.kind == ChildKind::Deployment && object.body["spec"]["replicas"] == 0;
    let may_go = plan.objects.iter().any(ends);
    let is_owned =
        |claim: &Object| observed.child(claim.kind, &claim.name).is_some_and(|child| owns(child, parent, may_go));
    let owns_all = plan.objects.iter().filter(|object| object.kind == ChildKind::StorageClaim).all(is_owned);
    let keeps_all = observed.claims.values().all(|claim| claim.reason != Reason::VolumeDeleting.as_str())
        && mounted(observed).all(|name| stays(parent, name, observed));
    if !owns_all || !may_go && !keeps_all {
        plan.hold(ChildKind::Deployment);
    }
}

/// Names of the `PersistentVolumeClaims` that the parent mounts as they are.
fn mounted(observed: &Observed) -> impl Iterator<Item = &str> {
    let claims = observed.referents.keys().filter(|it| it.kind == ReferenceKind::PersistentVolumeClaim);
    claims.map(|claim| &*claim.name)
}

/// Whether no data goes with the pods that run. Of a claim of which nothing is known it may; whose `StorageClaim` is known, that tells.
fn stays(parent: &Identity, name: &str, observed: &Observed) -> bool {
    match observed.mountable(name) {
        Known::Known(volume) => !volume.is_going(),
        Known::Unknown => observed.claims.contains_key(name) || observed.workload(&parent.name).is_none(),
        Known::Absent => true,
    }
}

/// Whether a claim is the parent's, and the volume is the claim's and stays, unless it may go.
fn owns(child: &Child, parent: &Identity, may_go: bool) -> bool {
    let Facts::Claim(claim) = &child.facts else { return false };
    let says = |reason: &Reason| claim.reason == reason.as_str();
    let refused = [Reason::AdoptionNeeded, Reason::NameConflict].iter().any(says);
    let goes = says(&Reason::VolumeDeleting) && !may_go;
    child.owner.to(parent) == Ownership::Ours && !child.deleting && !claim.reason.is_empty() && !refused && !goes
}

/// What the first of the claims waits for that `parent` mounts and that is not ready; `None` when all are, and nothing is held back. That
/// data is going comes first, whatever else a claim says.
pub fn not_ready(parent: &Identity, references: &[Reference], plan: &Plan, observed: &Observed) -> Option<Summary> {
    let waits = || {
        references.iter().find_map(|Reference { kind, name }| match kind {
            ReferenceKind::StorageClaim => {
                Some(readiness::claim_unready(observed.claims.get(&**name)?)?.summary(ChildKind::StorageClaim, name))
            }
            ReferenceKind::PersistentVolumeClaim => unkept_unready(name, observed),
            ReferenceKind::ConfigMap | ReferenceKind::Secret => None,
        })
    };
    mounted(observed).find_map(|name| vanishing(parent, name, observed)).or_else(waits).or_else(|| {
        let held = plan.objects.iter().find(|object| object.held && !observed.agrees(object))?;
        let unknown = mounted(observed).find(|name| !stays(parent, name, observed));
        let message = match unknown {
            Some(claim) => format!(
                "{} {} stays as it is while PersistentVolumeClaim {claim} can't be looked up: it may be on its way out",
                held.kind, held.name
            ),
            None => format!("{} {} {HELD}", held.kind, held.name),
        };
        Some(Summary::Waiting(Reason::StorageNotReady, message))
    })
}

/// That a mounted `PersistentVolumeClaim` goes with its data, unless its `StorageClaim` says so.
fn vanishing(parent: &Identity, name: &str, observed: &Observed) -> Option<Summary> {
    let is_told = |claim: &Claim| claim.reason == Reason::VolumeDeleting.as_str();
    let Known::Known(volume) = observed.mountable(name) else { return None };
    if !volume.is_going() || observed.claims.get(name).is_some_and(is_told) {
        return None;
    }
    let mounted = format!(" while {}/{} mounts it", parent.kind.as_str(), parent.name);
    let message = going(name, &mounted, volume.volume.as_deref().unwrap_or_default(), "no other follows");
    Some(Summary::Impaired(Reason::VolumeDeleting, message))
}

/// Why a mounted `PersistentVolumeClaim` is not ready that no `StorageClaim` keeps.
fn unkept_unready(name: &str, observed: &Observed) -> Option<Summary> {
    if observed.claims.contains_key(name) {
        return None;
    }
    match observed.mountable(name) {
        Known::Absent => {
            let message = format!(
                "PersistentVolumeClaim {name} does not exist; create it, or a StorageClaim of that name, or mount another claim"
            );
            Some(Summary::Waiting(Reason::StorageNotReady, message))
        }
        Known::Known(Mountable { deleting: true, .. }) => {
            let message = format!("PersistentVolumeClaim {name} is being deleted; create another once it is gone");
            Some(Summary::Waiting(Reason::WaitingForDeletion, message))
        }
        Known::Known(Mountable { lost: true, volume, .. }) => {
            let volume = volume.as_deref().unwrap_or_default();
            Some(Summary::Stalled(Reason::VolumeLost, lost(name, volume, "create another claim and mount that")))
        }
        Known::Known(_) | Known::Unknown => None,
    }
}

/// What is said of a volume with data that somebody deletes: Kubernetes holds it as long as a pod mounts it.
pub fn going(name: &str, mounted: &str, volume: &str, then: &str) -> String {
    format!(
        "PersistentVolumeClaim {name} is being deleted{mounted}: its data goes when the last pod stops, and {then}. To keep it: copy it \
         now, or set persistentVolumeReclaimPolicy of PersistentVolume {volume} to Retain"
    )
}

/// What is said of a volume claim whose volume is gone.
pub fn lost(name: &str, volume: &str, or: &str) -> String {
    format!("PersistentVolumeClaim {name} lost its PersistentVolume {volume}; restore that PersistentVolume, or {or}")
}

/// What is said of a workload that waits for its claims.
pub const HELD: &str = "is held back until its StorageClaims have volumes of their own";

/// What a claim says that is ready before it has a volume. The rules of the CRDs know by it that nothing is kept yet.
pub const TO_COME: &str = "its volume is made when the first pod uses it";

/// Whether a claim's volume is made when its first pod uses it, and none has.
pub fn is_to_come(observed: &Observed, claim: &Object) -> bool {
    let child = observed.child(claim.kind, &claim.name);
    child.is_some_and(|child| match &child.facts {
        Facts::Claim(claim) => claim.reason == Reason::WaitingForFirstConsumer.as_str(),
        _ => false,
    })
}
