//! What the user is told.

use super::{claim, empty_dir, keyless, planned, registry, settings, volume, with_claim};
use crate::api::Registry;
use crate::api::common::AccessMode;
use crate::api::registry::RegistryStatus;
use crate::core::conditions::{Type, find};
use crate::core::facts::{Facts, Workload};
use crate::core::kind::{ChildKind, ParentKind};
use crate::core::observed::{Child, Observed, Verdict};
use crate::core::owner::Owner;
use crate::core::parent::Parent;
use crate::core::plan::{Outcome, Plan, PlanSettings};
use jiff::Timestamp;

/// Pods read it when they start; what runs costs no request.
#[test]
fn the_shared_secret_is_due_while_pods_start() {
    let images = registry(empty_dir());
    let plan = images.plan(&Observed::default(), &settings(), Timestamp::UNIX_EPOCH);
    assert!(plan.once.iter().all(|secret| secret.kind == ChildKind::Secret && !secret.held), "{:?}", plan.once);
    let mut observed = standing(&plan, Observed::default(), 1);
    assert!(
        !images.plan(&observed, &settings(), Timestamp::UNIX_EPOCH).once[0].held,
        "whether it is there is not known yet"
    );
    observed.made = true;
    assert!(images.plan(&observed, &settings(), Timestamp::UNIX_EPOCH).once[0].held);
    let mut changed = images.clone();
    changed.spec.read_only = true;
    assert!(
        !changed.plan(&observed, &settings(), Timestamp::UNIX_EPOCH).once[0].held,
        "the pods are about to be changed"
    );
    let deployment = observed.children.get_mut(&(ChildKind::Deployment, "images".to_owned())).unwrap();
    deployment.facts = Facts::Workload(Workload { desired: 1, observed: true, ..Workload::default() }.into());
    assert!(!images.plan(&observed, &settings(), Timestamp::UNIX_EPOCH).once[0].held);
}

/// What is seen once `plan` stands and `pods` of its pods are available.
fn standing(plan: &Plan, observed: Observed, pods: i32) -> Observed {
    let mut observed = observed;
    for object in &plan.objects {
        let workload = Workload {
            observed: true,
            desired: pods,
            replicas: pods,
            updated: pods,
            ready: pods,
            available: pods,
            ..Workload::default()
        };
        let child = Child {
            uid: "child".into(),
            version: 1,
            verdict: Verdict::Agrees(object.hash),
            applied: Some(object.hash),
            fingerprint: 0,
            witness: 0,
            copied: false,
            good: None,
            added: Box::default(),
            owner: Owner::Controller { kind: ParentKind::Registry, name: "images".into(), uid: "uid-1".into() },
            deleting: false,
            finalizers: Box::default(),
            unlike: None,
            facts: if object.kind == ChildKind::Deployment { Facts::Workload(workload.into()) } else { Facts::None },
        };
        observed.children.insert((object.kind, object.name.clone()), child);
    }
    observed
}

fn told(registry: &Registry, observed: Observed, pods: i32) -> RegistryStatus {
    told_with(&settings(), registry, observed, pods)
}

fn told_with(settings: &PlanSettings, registry: &Registry, observed: Observed, pods: i32) -> RegistryStatus {
    let plan = registry.plan(&observed, settings, Timestamp::UNIX_EPOCH);
    let observed = standing(&plan, observed, pods);
    registry.status(&plan, &Outcome::default(), &observed, Timestamp::UNIX_EPOCH)
}

/// Reason and message of the condition, with whether it is true.
fn tells(status: &RegistryStatus, type_: Type) -> (bool, &str, &str) {
    let condition = find(&status.conditions, type_).unwrap_or_else(|| panic!("{type_:?} in {:?}", status.conditions));
    (condition.status == "True", &condition.reason, &condition.message)
}

#[test]
fn ready_with_an_address() {
    let status = told(&registry(empty_dir()), Observed::default(), 1);
    assert_eq!(tells(&status, Type::Ready), (true, "AsExpected", "1 of 1 pods are available"));
    assert!(tells(&status, Type::Available).0);
    assert_eq!(status.endpoint.unwrap().internal, "images.team.svc:5000");
    assert_eq!(status.ready_replicas, Some(1));
    assert_eq!(status.observed_generation, Some(3));
    assert!(status.children.iter().all(|child| child.ready));
    assert_eq!(status.children.len(), 3);
}

#[test]
fn objects_on_their_way() {
    let images = registry(volume(&[]));
    let status = images.status(&planned(&images), &Outcome::default(), &Observed::default(), Timestamp::UNIX_EPOCH);
    assert_eq!(tells(&status, Type::Reconciling).1, "Applying");
    assert!(find(&status.conditions, Type::Stalled).is_none());
}

#[test]
fn storage_comes_before_pods() {
    let mut observed = with_claim(&["ReadWriteOnce"]);
    let shared = observed.claims.get_mut("shared").unwrap();
    (shared.ready, shared.message, shared.reason) = (false, "no class".to_owned(), "NoDefaultStorageClass".to_owned());
    let status = told(&registry(claim("shared")), observed, 0);
    assert_eq!(tells(&status, Type::Reconciling), (true, "StorageNotReady", "StorageClaim shared: no class"));
}

#[test]
fn bad_spec_is_for_the_user() {
    let mut images = registry(empty_dir());
    images.spec.replicas = Some(2);
    let (stalled, reason, message) = {
        let status = told(&images, Observed::default(), 0);
        let (stalled, reason, message) = tells(&status, Type::Stalled);
        (stalled, reason.to_owned(), message.to_owned())
    };
    assert!(stalled);
    assert_eq!(reason, "InvalidSpec");
    assert!(message.starts_with("spec.replicas: "), "{message}");
}

#[test]
fn several_pods_need_the_shared_secret() {
    let mut images = registry(volume(&[AccessMode::ReadWriteMany]));
    let one = told_with(&keyless(), &images, Observed::default(), 1);
    assert!(tells(&one, Type::Ready).0);
    let scaled_by_somebody = told_with(&keyless(), &images, Observed::default(), 2);
    assert_eq!(tells(&scaled_by_somebody, Type::Stalled).1, "SecretAccessMissing");
    images.spec.replicas = Some(3);
    let status = told_with(&keyless(), &images, Observed::default(), 3);
    let (_, reason, message) = tells(&status, Type::Stalled);
    assert_eq!(reason, "SecretAccessMissing");
    assert!(message.contains("deploy/components/registry-secrets"), "{message}");
    assert!(message.contains("spec.replicas to 1, which works without"), "{message}");
    assert!(status.children.iter().any(|child| child.kind == "Deployment" && child.ready));
    assert!(tells(&told(&images, Observed::default(), 3), Type::Ready).0);
}
