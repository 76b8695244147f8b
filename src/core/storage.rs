//! What Apps and Registries have in common about their storage.

use super::conditions::Summary;
use super::facts::Facts;
use super::kind::{ChildKind, Identity};
use super::meta;
use super::object::Object;
use super::observed::{Child, Observed};
use super::owner::Ownership;
use super::plan::Plan;
use super::readiness;
use super::reason::Reason;
use super::reference::{Reference, ReferenceKind};
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

/// Holds the workload back until each of the parent's own claims has said that its volume is its own. Pods mount a volume by
/// name: they would read and write the data that the claim itself was refused. While somebody deletes the volume, a new template
/// would stop the last pod, and with it go the data: only who scales to zero asks for that.
pub fn hold_until_owned(plan: &mut Plan, parent: &Identity, observed: &Observed) {
    let ends = |object: &Object| object.kind == ChildKind::Deployment && object.body["spec"]["replicas"] == 0;
    let may_go = plan.objects.iter().any(ends);
    let is_owned =
        |claim: &Object| observed.child(claim.kind, &claim.name).is_some_and(|child| owns(child, parent, may_go));
    if !plan.objects.iter().filter(|object| object.kind == ChildKind::StorageClaim).all(is_owned) {
        plan.hold(ChildKind::Deployment);
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

/// What the first of the mounted claims that is not ready waits for; `None` when all are, or are no `StorageClaims`, and
/// nothing is held back.
pub fn not_ready(mounted: &[Reference], plan: &Plan, observed: &Observed) -> Option<Summary> {
    let claims = mounted.iter().filter(|reference| reference.kind == ReferenceKind::StorageClaim);
    let waits = claims.map(|claim| &*claim.name).find_map(|name| {
        Some(readiness::claim_unready(observed.claims.get(name)?)?.summary(ChildKind::StorageClaim, name))
    });
    waits.or_else(|| {
        let held = plan.objects.iter().find(|object| object.held && !observed.agrees(object))?;
        let message = format!("{} {} {HELD}", held.kind, held.name);
        Some(Summary::Waiting(Reason::StorageNotReady, message))
    })
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
