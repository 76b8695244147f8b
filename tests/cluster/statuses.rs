//! The API server takes the largest statuses that there can be. That all others fit as well, a property holds (tests/properties).

use crate::support::*;
use anyhow::{Result, ensure};
use jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use moorage::api::{App, Registry, StorageClaim};
use moorage::core::live::Live;
use moorage::core::observed::Observed;
use moorage::core::parent::Parent;
use moorage::core::plan::{ErrorClass, Failure, Outcome, PlanSettings};
use moorage::core::pods::pod;
use moorage_harness::{ControlPlane, Sandbox};
use serde_json::{Value, json};
use std::sync::Arc;

crate::cases![the_largest_statuses_are_taken];

/// A megabyte that can't be cut just anywhere.
fn megabyte() -> String {
    "\u{65e5}\u{1f980}e\u{301}".repeat(100_000)
}

async fn the_largest_statuses_are_taken(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "statuses").await?;
    let volume = |index: usize| json!({"name": format!("v{index}"), "mountPath": format!("/{index}"), "storage": {"size": "1Gi"}});
    let volumes: Vec<Value> = (0..32).map(volume).collect();
    let app = json!({"apiVersion": MOORAGE, "kind": "App", "metadata": {"name": "a".repeat(59)},
        "spec": {"image": "a", "ports": [{"port": 1}], "volumes": volumes}});
    taken::<App>(&sandbox, app, 35).await?;
    let claim = json!({"apiVersion": MOORAGE, "kind": "StorageClaim", "metadata": {"name": "c".repeat(63)}, "spec": {"size": "1Gi"}});
    taken::<StorageClaim>(&sandbox, claim, 0).await?;
    let registry = json!({"apiVersion": MOORAGE, "kind": "Registry", "metadata": {"name": "r".repeat(55)},
        "spec": {"storage": {"volume": {"size": "1Gi"}}}});
    taken::<Registry>(&sandbox, registry, 4).await
}

/// Tells of everything that can go wrong with an object at once, at the greatest length. Nothing is stored.
async fn taken<P: Parent>(sandbox: &Sandbox, object: Value, least_children: usize) -> Result<()> {
    sandbox.apply(&object.to_string()).await?;
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let live = must_get(sandbox, P::KIND.as_str(), name).await?;
    let parent: P = serde_json::from_value(live)?;
    let observed = Observed {
        pods: (0..40).filter_map(failing_pod).map(|(_, _, pod)| pod).collect(),
        consumers: (0..5_000).map(|index| format!("Registry/{index:0>63}")).collect(),
        ..Observed::default()
    };
    let plan = parent.plan(
        &observed,
        &PlanSettings { registry_image: "a".to_owned(), ..PlanSettings::default() },
        Timestamp::now(),
    );
    let objects = plan.objects.iter().map(|object| format!("{} {}", object.kind, object.name));
    let failure = |object| Failure { object, class: ErrorClass::Invalid, message: megabyte(), field: None };
    let outcome = Outcome { failures: objects.map(failure).collect(), ..Outcome::default() };
    let status = serde_json::to_value(parent.status(&plan, &outcome, &observed, Timestamp::now()))?;
    let children = status["children"].as_array().map_or(0, Vec::len);
    ensure!(children >= least_children, "{children} children");
    ensure!(status.to_string().len() < 256 << 10, "{} bytes", status.to_string().len());
    let params = PatchParams { dry_run: true, ..PatchParams::apply("test").force().validation_strict() };
    let body = json!({"apiVersion": MOORAGE, "kind": P::KIND.as_str(), "metadata": {"name": name}, "status": status});
    let kept = api(sandbox, P::KIND.as_str()).patch_status(name, &params, &Patch::Apply(&body)).await?;
    // What the operator itself told of it stands beside that.
    for (field, told) in body["status"].as_object().into_iter().flatten() {
        let (kept, told) =
            (&kept.data["status"][field], told.as_array().map_or_else(|| vec![told], |items| items.iter().collect()));
        let has = |told: &Value| kept == told || kept.as_array().is_some_and(|items| items.contains(told));
        ensure!(told.into_iter().all(has), "{field} was dropped: {kept}");
    }
    Ok(())
}

fn failing_pod(index: usize) -> Option<(moorage::core::kind::ParentKind, String, moorage::core::pods::Pod)> {
    let waiting = json!({"name": "c".repeat(63), "ready": false, "restartCount": i32::MAX,
        "state": {"waiting": {"reason": megabyte(), "message": megabyte()}}});
    pod(&Live::new(json!({
        "metadata": {"name": format!("{index:0>253}"),
            "labels": {"app.kubernetes.io/managed-by": "moorage", "moorage.dev/app": "a", "pod-template-hash": "1"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "a-1", "controller": true}]},
        "status": {"containerStatuses": [waiting]},
    })))
}
