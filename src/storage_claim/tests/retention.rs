//! Whose data it is, and what becomes of it.

use super::{
    KIND, UID, bound, claim, consenting, deleting, foreign, message, of_app, plan, retained, seen, status, told,
};
use crate::api::StorageClaim;
use crate::api::common::DeletionPolicy;
use crate::core::conditions::Type;
use crate::core::meta::FINALIZER;
use crate::core::observed::Observed;
use crate::core::parent::Parent;
use crate::core::plan::{FinalizerChange, Plan};
use serde_json::json;

#[test]
fn a_kept_volume_is_taken_over_only_by_consent() {
    let mut adopting = claim("5Gi");
    adopting.spec.adopt = true;
    let cases = [
        (claim("5Gi"), false),
        (of_app(claim("5Gi"), "other"), false),
        (of_app(claim("5Gi"), "shop"), true),
        (adopting, true),
    ];
    for (claim, taken) in cases {
        let plan = plan(&claim, &seen(&retained()));
        assert_eq!(plan.objects.len(), usize::from(taken), "{claim:?}");
        assert!(plan.prune.is_empty());
        let status = status(&claim, seen(&retained()));
        assert_eq!(told(&status, Type::Ready) == "True AsExpected", taken, "{claim:?}");
        assert_eq!(told(&status, Type::Stalled) == "True AdoptionNeeded", !taken, "{claim:?}");
        assert_eq!(status.capacity.is_some(), taken);
    }
}

#[test]
fn what_an_earlier_claim_declared_stays_when_the_later_one_is_silent() {
    let mut live = retained();
    live["spec"]["accessModes"] = json!(["ReadWriteMany"]);
    live["spec"]["storageClassName"] = json!("");
    live["spec"]["selector"] = json!({"matchLabels": {"a": "b"}});
    let claim = of_app(claim("5Gi"), "shop");
    let taken = plan(&claim, &seen(&live));
    let spec = &taken.objects[0].body["spec"];
    for field in ["accessModes", "storageClassName", "selector", "volumeMode", "volumeName"] {
        assert_eq!(spec[field], live["spec"][field], "{field}");
    }
    live["metadata"]["annotations"] = taken.objects[0].body["metadata"]["annotations"].clone();
    assert_eq!(plan(&claim, &seen(&live)).objects, taken.objects, "the next plan wants the same");
}

#[test]
fn a_strangers_volume_is_left_to_the_conflict() {
    let mut live = retained();
    live["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db", "uid": "u", "controller": true}]);
    live["metadata"]["annotations"]["moorage.dev/claim-uid"] = json!(UID);
    let leaving = deleting(claim("5Gi"), DeletionPolicy::Delete, &[FINALIZER]);
    let plan = plan(&leaving, &seen(&live));
    assert_eq!((plan.prune.len(), plan.finalizer), (0, FinalizerChange::Remove));
}

#[test]
fn the_finalizer_is_there_exactly_under_delete() {
    let cases = [
        (DeletionPolicy::Retain, false, FinalizerChange::Keep),
        (DeletionPolicy::Retain, true, FinalizerChange::Remove),
        (DeletionPolicy::Delete, false, FinalizerChange::Add),
        (DeletionPolicy::Delete, true, FinalizerChange::Keep),
    ];
    for (policy, present, change) in cases {
        let mut claim = claim("5Gi");
        claim.spec.deletion_policy = policy;
        claim.metadata.finalizers = present.then(|| vec![FINALIZER.to_owned()]);
        let plan = plan(&claim, &Observed::default());
        assert_eq!((plan.finalizer, plan.objects.len()), (change, 1), "{policy:?} {present}");
    }
}

#[test]
fn only_delete_deletes_and_only_its_own_volume() {
    let gone = Observed::default();
    let mut terminating = bound("5Gi", "5Gi");
    terminating["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    let mut unmanaged = bound("5Gi", "5Gi");
    unmanaged["metadata"]["managedFields"].take();
    let prune = vec![(KIND, "data".to_owned())];
    let (delete, retain) = (DeletionPolicy::Delete, DeletionPolicy::Retain);
    let ours = || seen(&bound("5Gi", "5Gi"));
    let cases = [
        (delete, [FINALIZER].as_slice(), ours(), prune.clone(), FinalizerChange::Keep),
        (delete, &[FINALIZER], seen(&consenting(foreign(), "data")), prune.clone(), FinalizerChange::Keep),
        (delete, &[FINALIZER], seen(&consenting(foreign(), "another")), vec![], FinalizerChange::Remove),
        (delete, &[FINALIZER], seen(&foreign()), vec![], FinalizerChange::Remove),
        (delete, &[FINALIZER], seen(&unmanaged), vec![], FinalizerChange::Remove),
        (delete, &[FINALIZER], seen(&terminating), vec![], FinalizerChange::Keep),
        (delete, &[FINALIZER], gone.clone(), vec![], FinalizerChange::Remove),
        (delete, &[FINALIZER], seen(&retained()), vec![], FinalizerChange::Remove),
        (retain, &[FINALIZER], ours(), vec![], FinalizerChange::Remove),
        (retain, &["other"], ours(), vec![], FinalizerChange::Keep),
        (retain, &["other"], gone, vec![], FinalizerChange::Keep),
    ];
    for (policy, finalizers, observed, prune, finalizer) in cases {
        let mut claim = deleting(claim("5Gi"), policy, finalizers);
        claim.spec.adopt = true;
        let plan = plan(&claim, &observed);
        assert_eq!(plan, Plan { prune, finalizer, ..Plan::default() }, "{policy:?} {finalizers:?}");
    }
}

/// Of a spec that is too large nothing is known, of one of another version some.
#[test]
fn what_cannot_be_read_goes_by_its_policy_or_loses_nothing() {
    for (spec, dies) in [
        (json!(null), false),
        (json!({"deletionPolicy": "Delete", "future": 1}), true),
        (json!({"deletionPolicy": "Retain", "future": 1}), false),
        (json!({"deletionPolicy": "Archive"}), false),
        (json!({"deletionPolicy": null}), false),
    ] {
        let leaving = deleting(claim("5Gi"), DeletionPolicy::Delete, &[FINALIZER]);
        let mut body = serde_json::to_value(&leaving).unwrap();
        body["spec"] = spec.clone();
        let read = StorageClaim::departing(&body).unwrap();
        let expected = plan(&deleting(claim("5Gi"), policy(dies), &[FINALIZER]), &seen(&bound("5Gi", "5Gi")));
        assert_eq!(plan(&read, &seen(&bound("5Gi", "5Gi"))), expected, "{spec}");
        assert_eq!(expected.prune.len(), usize::from(dies));
        body["metadata"].as_object_mut().unwrap().remove("deletionTimestamp");
        assert_eq!(StorageClaim::departing(&body), None, "one that stays is not touched");
    }
}

const fn policy(dies: bool) -> DeletionPolicy {
    if dies { DeletionPolicy::Delete } else { DeletionPolicy::Retain }
}

#[test]
fn a_claim_says_that_its_policy_does_not_reach_what_others_made() {
    let mut doomed = claim("5Gi");
    doomed.spec.deletion_policy = DeletionPolicy::Delete;
    let spared = status(&doomed, seen(&foreign()));
    assert_eq!(told(&spared, Type::Ready), "True AsExpected");
    let told = message(&spared);
    assert!(told.ends_with("kubectl -n shop annotate pvc data moorage.dev/adoptable=data"), "{told}");
    for reached in [bound("5Gi", "5Gi"), consenting(foreign(), "data")] {
        let status = status(&doomed, seen(&reached));
        assert!(!message(&status).contains("adoptable"), "{}", message(&status));
    }
}

#[test]
fn a_claim_that_leaves_says_who_still_uses_it() {
    let leaving = deleting(claim("5Gi"), DeletionPolicy::Delete, &[FINALIZER]);
    let used = Observed { consumers: vec!["App/shop".to_owned()], ..seen(&bound("5Gi", "5Gi")) };
    let used = status(&leaving, used);
    assert_eq!((told(&used, Type::Ready), told(&used, Type::Bound)), ("False Deleting".into(), "True Bound".into()));
    assert!(message(&used).ends_with("still used by App/shop"), "{}", message(&used));
    let kept = status(&deleting(claim("5Gi"), DeletionPolicy::Retain, &["other"]), seen(&bound("5Gi", "5Gi")));
    assert!(message(&kept).contains("and its data stay; held by finalizer other"), "{}", message(&kept));
}
