//! Clusters around a resource: for each object that could be there, one of several states of it, or nothing.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

/// Nothing, or one of the states of one object.
fn object(states: Vec<Value>) -> BoxedStrategy<Option<Value>> {
    prop_oneof![1 => Just(None), 2 => select(states).prop_map(Some)].boxed()
}

fn world(objects: Vec<BoxedStrategy<Option<Value>>>) -> BoxedStrategy<Vec<Value>> {
    objects.prop_map(|objects| objects.into_iter().flatten().collect()).boxed()
}

/// The object as ours, as an orphan, as a deleted predecessor's, as a stranger's, and while it is being deleted.
fn owned(kind: &str, name: &str, parent: (&str, &str), body: &Value) -> Vec<Value> {
    let label = format!("moorage.dev/{}", parent.0.to_lowercase());
    let owner = |api: &str, kind: &str, uid: &str| json!([{"apiVersion": api, "kind": kind, "name": parent.1, "uid": uid, "controller": true}]);
    let states = [
        json!({"ownerReferences": owner("moorage.dev/v1alpha1", parent.0, "uid-now")}),
        json!({"annotations": {"moorage.dev/applied-hash": "0"}}),
        json!({"ownerReferences": owner("moorage.dev/v1alpha1", parent.0, "uid-before")}),
        json!({"ownerReferences": owner("example.com/v1", "Other", "uid-other")}),
        json!({"ownerReferences": owner("moorage.dev/v1alpha1", parent.0, "uid-now"), "deletionTimestamp": "2026-01-01T00:00:00Z"}),
    ];
    let mut made: Vec<Value> = Vec::new();
    for state in states {
        let mut object = json!({
            "kind": kind,
            "metadata": {
                "name": name, "namespace": "shop", "uid": format!("{kind}-uid"), "resourceVersion": "9", "generation": 1,
                "labels": {"app.kubernetes.io/managed-by": "moorage", label.as_str(): parent.1},
            },
        });
        super::merge(&mut object["metadata"], &state);
        super::merge(&mut object, body);
        made.push(object);
    }
    made
}

fn deployments(name: &str, parent: (&str, &str)) -> Vec<Value> {
    let statuses = [
        json!({}),
        json!({"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2}),
        json!({"observedGeneration": 1, "replicas": 3, "updatedReplicas": 1, "readyReplicas": 2, "availableReplicas": 1}),
        json!({"observedGeneration": "one", "replicas": -1, "updatedReplicas": 99_999_999_999_i64}),
        json!({"observedGeneration": 1, "conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "late"}]}),
        json!({"observedGeneration": 1, "conditions": [{"type": "ReplicaFailure", "status": "True", "message": "quota"}, {}]}),
    ];
    let of = |status: Value| {
        [false, true].map(|paused| {
            owned(
                "Deployment",
                name,
                parent,
                &json!({"spec": {"replicas": 2, "paused": paused}, "status": status.clone()}),
            )
        })
    };
    statuses.into_iter().flat_map(of).flatten().collect()
}

/// Revisions of the Deployment, of another one, and what is none.
fn replica_sets(parent: (&str, &str)) -> Vec<Value> {
    let mut made = Vec::new();
    for (number, former) in [("1", ""), ("7", "1,3,x"), ("-1", ""), ("2147483647", "2147483648"), ("next", "")] {
        for (uid, created) in
            [("Deployment-uid", "2026-01-01T00:00:00Z"), ("other", "2026-01-01T00:00:00Z"), ("Deployment-uid", "soon")]
        {
            let body = json!({
                "metadata": {"creationTimestamp": created, "annotations": {"deployment.kubernetes.io/revision": number, "deployment.kubernetes.io/revision-history": former}},
                "spec": {"template": {"spec": {"containers": [{"name": parent.1, "image": "web:1"}, {}]}}}, "status": {"replicas": 2},
            });
            let mut set = owned("ReplicaSet", &format!("{}-1a", parent.1), parent, &body).swap_remove(0);
            set["metadata"]["ownerReferences"] = json!([{"apiVersion": "apps/v1", "kind": "Deployment", "name": parent.1, "uid": uid, "controller": true}]);
            made.push(set);
        }
    }
    made
}

fn pods(parent: (&str, &str), container: &str) -> Vec<Value> {
    let waiting = |reason: &str| json!({"containerStatuses": [{"name": container, "ready": false, "restartCount": 3, "state": {"waiting": {"reason": reason, "message": "m"}}, "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}]});
    let statuses = [
        waiting("ErrImagePull"),
        waiting("CrashLoopBackOff"),
        waiting("CreateContainerConfigError"),
        waiting("SomethingNew"),
        json!({"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]}),
        json!({"phase": "Failed", "reason": "Evicted", "message": "disk"}),
        json!({"conditions": [{"type": "Ready", "status": "True"}], "containerStatuses": [{"name": container, "ready": true, "restartCount": 4, "state": {"running": {}},
            "lastState": {"terminated": {"exitCode": 143, "startedAt": "2026-01-01T00:08:00Z", "finishedAt": "2026-01-01T00:09:00Z"}}}]}),
        json!({"containerStatuses": [{"name": container, "ready": false, "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}]}),
        json!({"containerStatuses": [{"name": container, "state": {"running": {"startedAt": "not a time"}}}, {}, 7]}),
        json!({}),
    ];
    let of = |status: Value| {
        let mut pod = owned(
            "Pod",
            "pod-1",
            parent,
            &json!({"spec": {"containers": [{"name": container, "readinessProbe": {"periodSeconds": 1}}]}, "status": status}),
        );
        pod.truncate(1);
        // Of a ReplicaSet of the Deployment, and of none.
        pod[0]["metadata"]["labels"]["pod-template-hash"] = json!("1a");
        pod.push(pod[0].clone());
        pod[0]["metadata"]["ownerReferences"] = json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": format!("{}-1a", parent.1), "uid": "rs", "controller": true}]);
        pod
    };
    statuses.into_iter().flat_map(of).collect()
}

fn claims(name: &str) -> Vec<Value> {
    let status = |ready: &str, stalled: bool| json!({"observedGeneration": 1, "conditions": [{"type": "Ready", "status": ready, "reason": "R", "message": "m"}, {"type": "Stalled", "status": if stalled { "True" } else { "False" }}]});
    [status("True", false), status("False", true), status("False", false), json!({}), json!({"conditions": "none"})]
        .into_iter()
        .flat_map(|status| {
            [json!([]), json!(["ReadWriteMany"])].map(|modes| {
                json!({
                    "kind": "StorageClaim", "metadata": {"name": name, "namespace": "shop", "uid": "claim-uid", "generation": 1, "resourceVersion": "4"},
                    "spec": {"size": "1Gi", "accessModes": modes}, "status": status.clone(),
                })
            })
        })
        .collect()
}

fn classes() -> Vec<Value> {
    let class = |name: &str, default: bool, mode: &str, grows: bool| json!({"metadata": {"name": name, "annotations": {"storageclass.kubernetes.io/is-default-class": default.to_string()}}, "volumeBindingMode": mode, "allowVolumeExpansion": grows});
    let list = |items: Value| json!({"kind": "StorageClassList", "items": items});
    vec![
        list(json!([])),
        list(json!([class("fast", true, "Immediate", true), class("late", false, "WaitForFirstConsumer", false)])),
        list(json!([class("slow", false, "Immediate", false)])),
    ]
}

fn volumes() -> Vec<Value> {
    let mut made = Vec::new();
    for (phase, capacity) in [("Pending", ""), ("Bound", "1Gi"), ("Bound", "2Gi"), ("Lost", "1Gi"), ("Bound", "odd")] {
        for requested in ["1Gi", "2Gi", ""] {
            for (uid, user) in [("uid-now", "web"), ("uid-before", "web"), ("uid-before", "other")] {
                for resize in ["", "NodeResizePending", "ControllerResizeInfeasible", "Unheard"] {
                    let body = json!({
                        "metadata": {"annotations": {"moorage.dev/claim-uid": uid}, "labels": {"moorage.dev/app": user}},
                        "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "fast", "resources": {"requests": {"storage": requested}}},
                        "status": {"phase": phase, "capacity": {"storage": capacity}, "allocatedResourceStatuses": {"storage": resize},
                            "conditions": [{"type": "FileSystemResizePending", "status": "True"}, {"type": "ControllerResizeError", "status": "False"}]},
                    });
                    made.extend(
                        owned("PersistentVolumeClaim", "data", ("StorageClaim", "data"), &body).into_iter().skip(1),
                    );
                }
            }
        }
    }
    made
}

/// Around an App named `web`.
pub fn app() -> BoxedStrategy<Vec<Value>> {
    let parent = ("App", "web");
    world(vec![
        object(deployments("web", parent)),
        object(owned("Service", "web", parent, &json!({"spec": {"type": "ClusterIP"}}))),
        object(owned("ServiceAccount", "web", parent, &json!({}))),
        object(owned("ServiceMonitor", "web", parent, &json!({"spec": {"endpoints": [{"port": "http"}]}}))),
        object(owned("PodMonitor", "web", parent, &json!({}))),
        object(pods(parent, "web")),
        object(replica_sets(parent)),
        object(claims("web-data")),
        object(claims("other")),
        object(classes()),
        object(
            ["1", "2"]
                .map(|value| config_map(&json!({"a": value})))
                .into_iter()
                .chain([config_map(&json!({}))])
                .collect(),
        ),
        // Seen, or refused: which of the two came last would matter.
        object(vec![
            secret(&json!({"k": "MQ=="})),
            secret(&json!({"k": "Mg=="})),
            secret(&json!({})),
            json!({"apiVersion": "v1", "kind": "SecretList", "items": []}),
            json!({"apiVersion": "v1", "kind": "SecretList", "code": 403}),
        ]),
    ])
}

/// The `ConfigMap` that Apps read.
pub fn config_map(data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "shop", "resourceVersion": "7"}, "data": data})
}

/// The Secret that Apps read.
pub fn secret(data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "shop", "resourceVersion": "7"}, "data": data})
}

/// Around a claim named `data`.
pub fn storage_claim() -> BoxedStrategy<Vec<Value>> {
    let consumer = json!({
        "kind": "App", "metadata": {"name": "web", "namespace": "shop", "uid": "app", "resourceVersion": "3", "generation": 1},
        "spec": {"image": "web", "volumes": [{"name": "d", "mountPath": "/d", "claim": {"name": "data"}}]},
    });
    let complaint = json!({
        "kind": "Event", "metadata": {"name": "e", "namespace": "shop", "uid": "e", "resourceVersion": "3"},
        "involvedObject": {"kind": "PersistentVolumeClaim", "namespace": "shop", "name": "data", "uid": "PersistentVolumeClaim-uid"},
        "type": "Warning", "reason": "ProvisioningFailed", "message": "full",
    });
    world(vec![object(volumes()), object(classes()), object(vec![consumer]), object(vec![complaint])])
}

/// Around a Registry named `images`.
pub fn registry() -> BoxedStrategy<Vec<Value>> {
    let parent = ("Registry", "images");
    world(vec![
        object(deployments("images", parent)),
        object(owned("Service", "images", parent, &json!({}))),
        object(owned("ConfigMap", "images-config", parent, &json!({"data": {}}))),
        object(pods(parent, "registry")),
        object(claims("images-storage")),
        object(claims("other")),
    ])
}
