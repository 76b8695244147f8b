//! Stand-ins for the controllers of a cluster, stepped by the test or left to run:
//! rollouts and claim binding here, what concerns deletion in [`garbage`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::garbage;
use crate::helpers::edit;
use crate::revisions;
use crate::store::{Key, Store};
use crate::{Server, State};

pub(crate) const MANAGER: &str = "kube-controller-manager";

/// Revision and template of each `StatefulSet`, by uid.
pub(crate) type Rollouts = BTreeMap<String, (u64, Value)>;

impl Server {
    /// Rolls every Deployment and `StatefulSet` out. Gives the number of objects changed.
    pub fn settle(&self) -> usize {
        self.mutate(|state| each(state, &["Deployment", "StatefulSet"], roll_out))
    }

    /// Binds every claim whose `StorageClass` exists, and grows bound ones to what they request.
    pub fn bind_claims(&self) -> usize {
        self.mutate(|state| each(state, &["PersistentVolumeClaim"], bind))
    }

    /// One pass of the garbage collector, the namespace controller and claim protection.
    pub fn collect_garbage(&self) -> usize {
        self.mutate(|state| {
            garbage::release_claims(&mut state.store)
                + garbage::empty_namespaces(&mut state.store)
                + garbage::collect(&mut state.store)
        })
    }

    /// Runs all controllers until none has anything left to do.
    pub fn step(&self) -> usize {
        let mut total = 0;
        loop {
            let changed = self.settle() + self.bind_claims() + self.collect_garbage();
            total += changed;
            // Foreign finalizers and rival writers may keep things moving; the bound ends that.
            if changed == 0 || total > 1_000_000 {
                return total;
            }
        }
    }

    /// Runs all controllers `delay` after every change, until the handle is aborted.
    pub fn run_controllers(&self, delay: Duration) -> JoinHandle<()> {
        let server = self.clone();
        tokio::spawn(async move {
            let mut commits = server.subscribe();
            loop {
                let before = server.resource_version();
                tokio::time::sleep(delay).await;
                server.step();
                commits.borrow_and_update();
                // Looking counts as a change of nothing, so only what moved a version is a reason to look again.
                if server.resource_version() == before && commits.changed().await.is_err() {
                    return;
                }
            }
        })
    }
}

/// Runs `act` on every object of the kinds and counts the objects that moved.
fn each(state: &mut State, kinds: &[&str], act: fn(&mut State, &str, &Key, &Value) -> anyhow::Result<()>) -> usize {
    let mut changed = 0;
    for kind in kinds {
        let keys: Vec<Key> =
            state.store.find(kind).map(|table| table.objects.keys().cloned().collect()).unwrap_or_default();
        for key in keys {
            let Some(object) = current(&state.store, kind, &key) else {
                continue;
            };
            let before = state.store.version;
            // A controller that is refused tries again at its next pass.
            let _ = act(state, kind, &key, &object);
            changed += usize::from(state.store.version != before);
        }
    }
    changed
}

fn current(store: &Store, kind: &str, key: &Key) -> Option<Arc<Value>> {
    Some(Arc::clone(&store.find(kind)?.objects.get(key)?.value))
}

pub(crate) fn is_deleted(object: &Value) -> bool {
    !object["metadata"]["deletionTimestamp"].is_null()
}

fn roll_out(state: &mut State, kind: &str, key: &Key, object: &Value) -> anyhow::Result<()> {
    if is_deleted(object) || object["spec"]["paused"] == true {
        return Ok(());
    }
    let deployment = kind == "Deployment";
    let now = state.store.now();
    let (revision, status) = if deployment {
        let (revision, set) = revisions::of_deployment(state, key, object)?;
        (revision, deployment_status(object, &set, &now))
    } else {
        let revision = of_stateful_set(state, object);
        (revision, stateful_status(object, revision))
    };
    edit(&mut state.store, MANAGER, kind, key, &|object| {
        if deployment {
            object["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = json!(revision.to_string());
        }
        object["status"] = status.clone();
    })?;
    Ok(())
}

fn of_stateful_set(state: &mut State, object: &Value) -> u64 {
    let uid = object["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
    let template = &object["spec"]["template"];
    let revision = match state.rollouts.get(&uid) {
        Some((revision, known)) if known == template => *revision,
        Some((revision, _)) => revision + 1,
        None => 1,
    };
    state.rollouts.insert(uid, (revision, template.clone()));
    revision
}

/// Pods of such an image are never available, and a rollout of it exceeds its deadline at once.
fn fails(image: &str) -> bool {
    image.ends_with(":never")
}

fn deployment_status(object: &Value, set: &str, now: &str) -> Value {
    let mut status = json!({"observedGeneration": object["metadata"]["generation"]});
    let replicas = &object["spec"]["replicas"];
    if replicas != 0 {
        for field in ["replicas", "updatedReplicas", "readyReplicas", "availableReplicas"] {
            status[field] = replicas.clone();
        }
    }
    let fails = object["spec"]["template"]["spec"]["containers"][0]["image"].as_str().is_some_and(fails);
    let progressing = if fails {
        status["updatedReplicas"] = json!(1);
        let message = format!("ReplicaSet \"{set}\" has timed out progressing.");
        ("Progressing", "False", "ProgressDeadlineExceeded", message)
    } else {
        let message = format!("ReplicaSet \"{set}\" has successfully progressed.");
        ("Progressing", "True", "NewReplicaSetAvailable", message)
    };
    let available = "Deployment has minimum availability.".to_owned();
    let wanted = [("Available", "True", "MinimumReplicasAvailable", available), progressing];
    let old = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let condition = |(kind, state, reason, message): (&str, &str, &str, String)| {
        let same = |old: &&Value| {
            old["type"] == kind && old["status"] == state && old["reason"] == reason && old["message"] == message
        };
        old.iter().find(same).cloned().unwrap_or_else(|| {
            json!({"type": kind, "status": state, "reason": reason, "message": message,
                "lastTransitionTime": now, "lastUpdateTime": now})
        })
    };
    status["conditions"] = wanted.into_iter().map(condition).collect();
    status
}

fn stateful_status(object: &Value, revision: u64) -> Value {
    let (meta, replicas) = (&object["metadata"], &object["spec"]["replicas"]);
    let hash = format!("{}-{revision}", meta["name"].as_str().unwrap_or_default());
    let mut status = json!({
        "observedGeneration": meta["generation"], "replicas": replicas, "availableReplicas": replicas,
        "currentRevision": hash, "updateRevision": hash, "collisionCount": 0,
    });
    if replicas != 0 {
        for field in ["readyReplicas", "currentReplicas", "updatedReplicas"] {
            status[field] = replicas.clone();
        }
    }
    status
}

fn bind(state: &mut State, kind: &str, key: &Key, claim: &Value) -> anyhow::Result<()> {
    let class = claim["spec"]["storageClassName"].as_str().unwrap_or_default();
    let known = current(&state.store, "StorageClass", &(String::new(), class.to_owned())).is_some();
    let named = !claim["spec"]["volumeName"].is_null();
    if is_deleted(claim) || !(known || named) {
        return Ok(());
    }
    let uid = claim["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
    edit(&mut state.store, MANAGER, kind, key, &|claim| {
        for note in ["pv.kubernetes.io/bind-completed", "pv.kubernetes.io/bound-by-controller"] {
            claim["metadata"]["annotations"][note] = json!("yes");
        }
        if claim["spec"]["volumeName"].is_null() {
            claim["spec"]["volumeName"] = json!(format!("pvc-{uid}"));
        }
        claim["status"]["phase"] = json!("Bound");
        claim["status"]["accessModes"] = claim["spec"]["accessModes"].clone();
        claim["status"]["capacity"]["storage"] = claim["spec"]["resources"]["requests"]["storage"].clone();
    })?;
    Ok(())
}
