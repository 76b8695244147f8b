//! One table per decision, over live objects as the API server would show them.

mod binding;
mod plan;
mod retention;
mod size;
mod status;

use crate::api::StorageClaim;
use crate::api::common::DeletionPolicy;
use crate::api::storage_claim::{StorageClaimSpec, StorageClaimStatus};
use crate::core::conditions::{Type, find};
use crate::core::kind::ChildKind;
use crate::core::live::Live;
use crate::core::observed::{Child, Observed, StorageClass, Verdict};
use crate::core::parent::Parent;
use crate::core::plan::{Outcome, Plan, PlanSettings};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const KIND: ChildKind = ChildKind::PersistentVolumeClaim;
const UID: &str = "uid-new";

pub fn claim(size: &str) -> StorageClaim {
    let mut claim =
        StorageClaim::new("data", StorageClaimSpec { size: size.to_owned(), ..StorageClaimSpec::default() });
    claim.metadata.namespace = Some("shop".to_owned());
    claim.metadata.uid = Some(UID.to_owned());
    claim.metadata.generation = Some(3);
    claim
}

fn of_app(mut claim: StorageClaim, app: &str) -> StorageClaim {
    claim.metadata.labels = Some(BTreeMap::from([("moorage.dev/app".to_owned(), app.to_owned())]));
    claim
}

fn deleting(mut claim: StorageClaim, policy: DeletionPolicy, finalizers: &[&str]) -> StorageClaim {
    claim.spec.deletion_policy = policy;
    claim.metadata.finalizers = Some(finalizers.iter().map(|&finalizer| finalizer.to_owned()).collect());
    claim.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
    claim
}

/// A live `PersistentVolumeClaim` kept for the claim of that UID.
fn volume(uid: &str, requested: &str, status: &Value) -> Value {
    json!({
        "metadata": {
            "name": "data", "namespace": "shop", "uid": "pvc-uid", "resourceVersion": "7",
            "labels": {"app.kubernetes.io/managed-by": "moorage"},
            "annotations": {"moorage.dev/claim-uid": uid},
            "managedFields": [{"manager": "moorage", "operation": "Apply", "fieldsV1": {"f:spec": {"f:accessModes": {}}}}]
        },
        "spec": {
            "accessModes": ["ReadWriteOnce"], "volumeMode": "Filesystem", "storageClassName": "fast",
            "volumeName": "pv-1", "resources": {"requests": {"storage": requested}}
        },
        "status": status
    })
}

fn bound(requested: &str, capacity: &str) -> Value {
    volume(
        UID,
        requested,
        &json!({
            "phase": "Bound", "capacity": {"storage": capacity}, "accessModes": ["ReadWriteOnce", "ReadWriteFuture"]
        }),
    )
}

fn pending(requested: &str) -> Value {
    let mut pending = volume(UID, requested, &json!({"phase": "Pending"}));
    pending["spec"]["volumeName"].take();
    pending
}

fn retained() -> Value {
    let mut retained = bound("5Gi", "5Gi");
    retained["metadata"]["annotations"]["moorage.dev/claim-uid"] = json!("uid-old");
    retained["metadata"]["labels"]["moorage.dev/app"] = json!("shop");
    retained
}

/// One that somebody else made, in the hands of the claim.
fn foreign() -> Value {
    let mut foreign = bound("5Gi", "5Gi");
    let made = json!({"manager": "helm", "operation": "Update", "fieldsV1": {"f:spec": {"f:accessModes": {}}}});
    foreign["metadata"]["managedFields"].as_array_mut().unwrap().push(made);
    foreign
}

fn consenting(mut volume: Value, to: &str) -> Value {
    volume["metadata"]["annotations"]["moorage.dev/adoptable"] = json!(to);
    volume
}

fn class(expandable: bool, waits_for_consumer: bool, default: bool) -> StorageClass {
    StorageClass { default, waits_for_consumer, expandable }
}

fn seen(body: &Value) -> Observed {
    let child = Child::of(KIND, &Live::new(body.clone()));
    Observed {
        children: BTreeMap::from([((KIND, "data".to_owned()), child)]),
        classes: Some(BTreeMap::from([("fast".to_owned(), class(true, false, true))])),
        ..Observed::default()
    }
}

fn plan(claim: &StorageClaim, observed: &Observed) -> Plan {
    claim.plan(observed, &PlanSettings::default(), Timestamp::UNIX_EPOCH)
}

fn request(plan: &Plan) -> &str {
    plan.object(KIND, "data").unwrap().body["spec"]["resources"]["requests"]["storage"].as_str().unwrap()
}

/// The status once the plan was carried out and seen to be.
fn status(claim: &StorageClaim, mut observed: Observed) -> StorageClaimStatus {
    let plan = plan(claim, &observed);
    for object in &plan.objects {
        if let Some(child) = observed.children.get_mut(&(KIND, object.name.clone())) {
            child.verdict = Verdict::Agrees(object.hash);
        }
    }
    claim.status(&plan, &Outcome::default(), &observed, Timestamp::UNIX_EPOCH)
}

/// A condition as `True AsExpected`.
fn told(status: &StorageClaimStatus, type_: Type) -> String {
    find(&status.conditions, type_).map_or_else(|| "absent".to_owned(), |c| format!("{} {}", c.status, c.reason))
}

fn message(status: &StorageClaimStatus) -> &str {
    &find(&status.conditions, Type::Ready).unwrap().message
}
