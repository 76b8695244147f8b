//! What is written for a claim.

use super::{UID, bound, claim, deleting, of_app, pending, plan, seen, status, told};
use crate::api::common::DeletionPolicy;
use crate::core::conditions::Type;
use crate::core::meta::FINALIZER;
use crate::core::observed::Observed;
use crate::core::plan::FinalizerChange;
use serde_json::json;

#[test]
fn a_new_claim_makes_a_volume_that_nothing_owns() {
    let mut new = of_app(claim("5Gi"), "shop");
    new.metadata.labels.as_mut().unwrap().insert("team".to_owned(), "a".to_owned());
    let plan = plan(&new, &Observed::default());
    let body = &plan.objects[0].body;
    assert_eq!(body["spec"], json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "5Gi"}}}));
    assert_eq!(
        body["metadata"]["labels"],
        json!({
            "app.kubernetes.io/managed-by": "moorage", "app.kubernetes.io/name": "data",
            "moorage.dev/storage-claim": "data", "moorage.dev/app": "shop"
        })
    );
    assert_eq!(body["metadata"]["annotations"]["moorage.dev/claim-uid"], UID);
    assert!(body["metadata"].get("ownerReferences").is_none());
    assert_eq!((plan.finalizer, plan.prune.len(), plan.objects[0].adopt), (FinalizerChange::Keep, 0, false));
}

#[test]
fn every_declared_field_reaches_the_volume() {
    let mut full = claim("5Gi");
    full.spec = serde_json::from_value(json!({
        "size": "5Gi", "storageClassName": "", "accessModes": ["ReadWriteMany"], "volumeMode": "Block",
        "selector": {"matchLabels": {"a": "b"}}, "volumeName": "pv-9", "adopt": true
    }))
    .unwrap();
    let plan = plan(&full, &Observed::default());
    assert_eq!(
        plan.objects[0].body["spec"],
        json!({
            "storageClassName": "", "accessModes": ["ReadWriteMany"], "volumeMode": "Block",
            "selector": {"matchLabels": {"a": "b"}}, "volumeName": "pv-9", "resources": {"requests": {"storage": "5Gi"}}
        })
    );
    assert!(plan.objects[0].adopt);
}

#[test]
fn a_volume_seen_asks_for_no_other_body_than_the_one_that_made_it() {
    for claim in [claim("5Gi"), claim("5120Mi")] {
        let made = plan(&claim, &Observed::default()).objects[0].hash;
        for live in [pending("5Gi"), bound("5Gi", "5Gi"), bound("5Gi", "8Gi")] {
            assert_eq!(plan(&claim, &seen(&live)).objects[0].hash, made, "{live}");
        }
    }
}

#[test]
fn an_invalid_spec_writes_nothing_but_never_blocks_a_deletion() {
    let invalid = claim("0");
    let planned = plan(&invalid, &seen(&bound("5Gi", "5Gi")));
    assert!(planned.objects.is_empty() && planned.prune.is_empty() && !planned.invalid.is_empty());
    let status = status(&invalid, seen(&bound("5Gi", "5Gi")));
    assert_eq!(told(&status, Type::Stalled), "True InvalidSpec");
    assert_eq!(
        (told(&status, Type::Bound), told(&status, Type::Resized)),
        ("True Bound".into(), "False InvalidSpec".into())
    );
    let leaving = deleting(invalid, DeletionPolicy::Delete, &[FINALIZER]);
    assert_eq!(plan(&leaving, &Observed::default()).finalizer, FinalizerChange::Remove);
}
