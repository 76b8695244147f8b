//! Ready is not said while anything that is declared is otherwise in the cluster.

use crate::{Outcome, Paper, as_listed, check, create, json, prop_assert, server, worlds};
use moorage::core::kind::{ChildKind, ParentKind};
use moorage::core::parent::Parent;
use moorage::core::plan;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value;
use std::cell::Cell;

/// What controllers write of an object that does what it is there for.
fn well(kind: ChildKind, mut object: Value) -> Value {
    let condition = |type_: &str| json!({"type": type_, "status": "True", "reason": "Fine", "observedGeneration": object["metadata"]["generation"]});
    let status = match kind {
        ChildKind::Deployment => {
            let replicas = object["spec"]["replicas"].as_i64().unwrap_or(1);
            json!({
                "observedGeneration": object["metadata"]["generation"], "replicas": replicas, "updatedReplicas": replicas,
                "readyReplicas": replicas, "availableReplicas": replicas, "conditions": [condition("Available")],
            })
        }
        ChildKind::StorageClaim => {
            json!({"observedGeneration": object["metadata"]["generation"], "conditions": [condition("Ready")]})
        }
        ChildKind::PersistentVolumeClaim => {
            let asked = &object["spec"]["resources"]["requests"];
            json!({"phase": "Bound", "capacity": asked, "accessModes": object["spec"]["accessModes"]})
        }
        ChildKind::Service => json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}),
        _ => Value::Null,
    };
    if !status.is_null() {
        object["status"] = status;
    }
    object
}

/// Where something is declared: pointers to every text, number and switch. What else an object is named is another object.
fn declared(path: &str, value: &Value) -> Vec<String> {
    const WHICH: [&str; 4] = ["/apiVersion", "/kind", "/metadata/name", "/metadata/namespace"];
    let below: Vec<(String, &Value)> = match value {
        Value::Object(map) => {
            let key = |name: &String| name.replace('~', "~0").replace('/', "~1");
            map.iter().map(|(name, inner)| (format!("{path}/{}", key(name)), inner)).collect()
        }
        Value::Array(items) => {
            items.iter().enumerate().map(|(index, inner)| (format!("{path}/{index}"), inner)).collect()
        }
        Value::Null => return Vec::new(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => return vec![path.to_owned()],
    };
    below
        .into_iter()
        .flat_map(|(path, inner)| declared(&path, inner))
        .filter(|path| !WHICH.contains(&path.as_str()))
        .collect()
}

/// What somebody may make of a value.
fn another(value: &Value) -> Value {
    match value {
        Value::Bool(is) => json!(!is),
        Value::Number(number) => json!(number.as_i64().unwrap_or(0) + 1),
        Value::String(text) if text.is_empty() => json!("theirs"),
        Value::String(text) => json!(format!("{text}x")),
        other => other.clone(),
    }
}

/// Of objects that stand and work as declared, one has one field otherwise, or not at all: that is not Ready.
pub fn ready_means_that_all_is_live_as_declared<P: Parent>(specs: &BoxedStrategy<Value>) {
    let (ready, changed, all) = (Cell::new(0), Cell::new(0), Cell::new(0));
    check(&(specs, any::<Index>(), any::<Index>(), any::<bool>()), |(input, which, place, gone)| -> Outcome {
        let (paper, server) = (Paper::new(), server());
        let cluster = paper.context();
        cluster.show_input(input);
        let objects = cluster.plan::<P>().objects;
        for object in &objects {
            cluster.take(object.kind, as_listed(well(object.kind, create(&server, object)?)));
        }
        let is_ready = || {
            let status = cluster.status::<P>(|_| plan::Outcome::default()).unwrap();
            let mut conditions = status["conditions"].as_array().into_iter().flatten();
            (conditions.any(|one| one["type"] == "Ready" && one["status"] == "True"), status.clone())
        };
        all.set(all.get() + 1);
        if !is_ready().0 {
            return Ok(());
        }
        ready.set(ready.get() + 1);
        let object = &objects[which.index(objects.len())];
        let places = declared("", &object.body);
        let path = &places[place.index(places.len())];
        let (parent, field) = path.rsplit_once('/').unwrap();
        let field = field.replace("~1", "/").replace("~0", "~");
        let edit = |child: &mut Value| match child.pointer_mut(parent) {
            Some(Value::Object(map)) if gone => drop(map.remove(&field)),
            // A switch that is off is not kept.
            _ => {
                if let Some(value) = child.pointer_mut(path) {
                    *value = another(value);
                }
            }
        };
        let before = server.get(object.kind.as_str(), "shop", &object.name).unwrap();
        // What may not be changed, or has the same default, is as it was.
        let Ok(child) = server.edit_as("somebody", object.kind.as_str(), "shop", &object.name, edit) else {
            return Ok(());
        };
        if child.pointer(path) == before.pointer(path) {
            return Ok(());
        }
        changed.set(changed.get() + 1);
        let child = well(object.kind, child);
        cluster.take(object.kind, as_listed(child.clone()));
        let (is_ready, status) = is_ready();
        prop_assert!(
            !is_ready,
            "{} {} is otherwise at {path}, gone: {gone}\n{child}\n{status}",
            object.kind,
            object.name
        );
        Ok(())
    });
    let (ready, changed, all) = (ready.get(), changed.get(), all.get());
    assert!(
        ready * 2 > all && changed * 2 > ready,
        "of {all} {ready} were Ready, and {changed} of them could be changed"
    );
}

/// When it is, as the clusters on paper have it.
const NOW: i64 = 1_767_226_200;

fn before(seconds: i64) -> String {
    jiff::Timestamp::from_second(NOW - seconds).unwrap().to_string()
}

/// The first pod of a Deployment in the stages that a good start passes, each for as long as it may.
fn start(deployment: &Value, parent: ParentKind, share: i64) -> Vec<Value> {
    let (name, template) = (&deployment["metadata"]["name"], &deployment["spec"]["template"]);
    let container = &template["spec"]["containers"][0];
    let patience = |probe: &str| {
        let number = |field: &str, default: i64| container[probe][field].as_i64().unwrap_or(default);
        let least = number("initialDelaySeconds", 0) + number("periodSeconds", 10) * number("failureThreshold", 3);
        if container.get(probe).is_some() { least } else { 0 }
    };
    let within = |seconds: i64| before((seconds * share / 100).min(seconds - 1).max(0));
    let container = |state: Value, started: bool, ready: bool| {
        let statuses = json!([{"name": name, "restartCount": 0, "started": started, "ready": ready, "state": state}]);
        json!({"phase": "Pending", "containerStatuses": statuses, "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}]})
    };
    let unbound = json!({
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "lastTransitionTime": within(60),
        "message": "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims.",
    });
    let waiting = |reason: &str| json!({"waiting": {"reason": reason}});
    let running = |seconds: i64| json!({"running": {"startedAt": within(seconds)}});
    let statuses = [
        json!({"phase": "Pending"}),
        json!({"phase": "Pending", "conditions": [unbound]}),
        container(waiting("ContainerCreating"), false, false),
        container(waiting("PodInitializing"), false, false),
        container(running(patience("startupProbe")), false, false),
        container(running(patience("startupProbe") + patience("readinessProbe")), true, false),
        container(running(1_000), true, true),
    ];
    let label = format!("moorage.dev/{}", parent.as_str().to_lowercase());
    let metadata = json!({
        "name": format!("{}-1a-x", name.as_str().unwrap()), "namespace": "shop", "uid": "pod-uid", "creationTimestamp": within(60),
        "labels": {"app.kubernetes.io/managed-by": "moorage", label: name, "pod-template-hash": "1a"},
        "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": format!("{}-1a", name.as_str().unwrap()), "uid": "set", "controller": true}],
    });
    let pod = |status: Value| json!({"kind": "Pod", "metadata": metadata, "spec": template["spec"], "status": status});
    statuses.map(pod).to_vec()
}

/// What heals within its own start is no alarm, however long each stage takes that it may take.
pub fn a_start_alarms_nobody<P: Parent>(specs: &BoxedStrategy<Value>) {
    let seen = Cell::new(0);
    check(&(specs, 0..=100_i64), |(mut input, share)| -> Outcome {
        // There is nothing yet to go back to.
        if let Some(rollout) = input.pointer_mut("/spec/rollout").and_then(Value::as_object_mut) {
            rollout.remove("toRevision");
        }
        let (paper, server) = (Paper::new(), server());
        let cluster = paper.context();
        cluster.show_input(input);
        cluster.show(&worlds::config_map(&json!({"a": "1"}))).unwrap();
        cluster.show(&worlds::secret(&json!({"k": "1"}))).unwrap();
        let quiet = |what: &Value| -> Outcome {
            let status = cluster.status::<P>(|_| plan::Outcome::default()).unwrap();
            let alarms = |one: &&Value| {
                one["status"] == "True" && ["Stalled", "Degraded", "Altered"].iter().any(|type_| one["type"] == *type_)
            };
            let alarm = status["conditions"].as_array().into_iter().flatten().find(alarms).cloned();
            prop_assert!(alarm.is_none(), "{}\n{what}", alarm.unwrap_or_default());
            seen.set(seen.get() + 1);
            Ok(())
        };
        quiet(&json!("nothing is there yet"))?;
        for object in &cluster.plan::<P>().objects {
            let mut child = create(&server, object)?;
            cluster.take(object.kind, as_listed(child.clone()));
            quiet(&child)?;
            if object.kind != ChildKind::Deployment {
                cluster.take(object.kind, as_listed(well(object.kind, child)));
                continue;
            }
            let generation = child["metadata"]["generation"].clone();
            child["status"] = json!({"observedGeneration": generation, "replicas": 1, "updatedReplicas": 1, "unavailableReplicas": 1});
            child["metadata"]["resourceVersion"] = json!("1000000");
            cluster.take(object.kind, as_listed(child.clone()));
            for (version, mut pod) in (1..).zip(start(&child, P::KIND, share)) {
                pod["metadata"]["resourceVersion"] = json!(version.to_string());
                cluster.show(&pod).unwrap();
                quiet(&pod)?;
            }
        }
        Ok(())
    });
    assert!(seen.get() > 0);
}
