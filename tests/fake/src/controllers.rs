//! Stand-ins for the controllers of a cluster, stepped by the test or left to run:
//! rollouts, claim binding, garbage collection, namespace removal.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::helpers::{edit, plain};
use crate::store::{Key, Store};
use crate::write;
use crate::{Server, State};

const MANAGER: &str = "kube-controller-manager";

/// Revision and template of each workload, by uid.
pub(crate) type Rollouts = BTreeMap<String, (u64, Value)>;

impl Server {
    /// Rolls every Deployment and StatefulSet out. Gives the number of objects changed.
    pub fn settle(&self) -> usize {
        self.mutate(|state| each(state, &["Deployment", "StatefulSet"], roll_out))
    }

    /// Binds every claim whose StorageClass exists, and grows bound ones to what they request.
    pub fn bind_claims(&self) -> usize {
        self.mutate(|state| each(state, &["PersistentVolumeClaim"], bind))
    }

    /// One pass of the garbage collector, the namespace controller and claim protection.
    pub fn collect_garbage(&self) -> usize {
        self.mutate(|state| {
            release_claims(&mut state.store)
                + empty_namespaces(&mut state.store)
                + collect(&mut state.store)
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
                commits.borrow_and_update();
                let before = server.resource_version();
                tokio::time::sleep(delay).await;
                server.step();
                // Our own last commit may have woken nobody else: only sleep when all is still.
                if server.resource_version() == before && commits.changed().await.is_err() {
                    return;
                }
            }
        })
    }
}

/// Runs `act` on every object of the kinds and counts the objects that moved.
fn each(
    state: &mut State,
    kinds: &[&str],
    act: fn(&mut State, &str, &Key, &Value) -> anyhow::Result<()>,
) -> usize {
    let mut changed = 0;
    for kind in kinds {
        let keys: Vec<Key> = state
            .store
            .find(kind)
            .map(|table| table.objects.keys().cloned().collect())
            .unwrap_or_default();
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

fn is_deleted(object: &Value) -> bool {
    !object["metadata"]["deletionTimestamp"].is_null()
}

fn roll_out(state: &mut State, kind: &str, key: &Key, object: &Value) -> anyhow::Result<()> {
    if is_deleted(object) || object["spec"]["paused"] == true {
        return Ok(());
    }
    let uid = object["metadata"]["uid"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let template = &object["spec"]["template"];
    let last = state.rollouts.get(&uid);
    let revision = match last {
        Some((revision, known)) if known == template => *revision,
        Some((revision, _)) => revision + 1,
        None => 1,
    };
    state.rollouts.insert(uid, (revision, template.clone()));
    let now = state.store.now();
    let deployment = kind == "Deployment";
    let status = if deployment {
        deployment_status(object, revision, &now)
    } else {
        stateful_status(object, revision)
    };
    edit(&mut state.store, MANAGER, kind, key, &|object| {
        if deployment {
            object["metadata"]["annotations"]["deployment.kubernetes.io/revision"] =
                json!(revision.to_string());
        }
        object["status"] = status.clone();
    })?;
    Ok(())
}

fn deployment_status(object: &Value, revision: u64, now: &str) -> Value {
    let mut status = json!({"observedGeneration": object["metadata"]["generation"]});
    let replicas = &object["spec"]["replicas"];
    if replicas != 0 {
        for field in [
            "replicas",
            "updatedReplicas",
            "readyReplicas",
            "availableReplicas",
        ] {
            status[field] = replicas.clone();
        }
    }
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let rolled_out = format!("ReplicaSet \"{name}-{revision}\" has successfully progressed.");
    let wanted = [
        (
            "Available",
            "MinimumReplicasAvailable",
            "Deployment has minimum availability.",
        ),
        ("Progressing", "NewReplicaSetAvailable", rolled_out.as_str()),
    ];
    let old = object["status"]["conditions"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let condition = |(kind, reason, message): (&str, &str, &str)| {
        let same = |old: &&Value| {
            old["type"] == kind
                && old["status"] == "True"
                && old["reason"] == reason
                && old["message"] == message
        };
        old.iter().find(same).cloned().unwrap_or_else(|| {
            json!({"type": kind, "status": "True", "reason": reason, "message": message,
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
    let class = claim["spec"]["storageClassName"]
        .as_str()
        .unwrap_or_default();
    let known = current(
        &state.store,
        "StorageClass",
        &(String::new(), class.to_owned()),
    )
    .is_some();
    let named = !claim["spec"]["volumeName"].is_null();
    if is_deleted(claim) || !(known || named) {
        return Ok(());
    }
    let uid = claim["metadata"]["uid"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    edit(&mut state.store, MANAGER, kind, key, &|claim| {
        for note in [
            "pv.kubernetes.io/bind-completed",
            "pv.kubernetes.io/bound-by-controller",
        ] {
            claim["metadata"]["annotations"][note] = json!("yes");
        }
        if claim["spec"]["volumeName"].is_null() {
            claim["spec"]["volumeName"] = json!(format!("pvc-{uid}"));
        }
        claim["status"]["phase"] = json!("Bound");
        claim["status"]["accessModes"] = claim["spec"]["accessModes"].clone();
        claim["status"]["capacity"]["storage"] =
            claim["spec"]["resources"]["requests"]["storage"].clone();
    })?;
    Ok(())
}

/// Lets claims go that are deleted and that no pod or workload mounts.
fn release_claims(store: &mut Store) -> usize {
    let mounted = |key: &Key| {
        store
            .all()
            .filter(|(_, other, _)| other.0 == key.0)
            .any(|(_, _, object)| {
                let pod = if object["kind"] == "Pod" {
                    &object["spec"]
                } else {
                    &object["spec"]["template"]["spec"]
                };
                let volumes = pod["volumes"].as_array().into_iter().flatten();
                volumes
                    .into_iter()
                    .any(|volume| volume["persistentVolumeClaim"]["claimName"] == key.1.as_str())
            })
    };
    let claims = store
        .find("PersistentVolumeClaim")
        .into_iter()
        .flat_map(|table| &table.objects);
    let deleted = claims
        .filter(|(_, object)| is_deleted(&object.value))
        .map(|(key, _)| key.clone());
    let free: Vec<Key> = deleted.filter(|key| !mounted(key)).collect();
    free.iter()
        .filter(|key| {
            drop_finalizer(
                store,
                "PersistentVolumeClaim",
                key,
                "kubernetes.io/pvc-protection",
            )
        })
        .count()
}

fn drop_finalizer(store: &mut Store, kind: &str, key: &Key, finalizer: &str) -> bool {
    let before = store.version;
    let dropped = edit(store, MANAGER, kind, key, &|object| {
        if let Some(list) = object["metadata"]["finalizers"].as_array_mut() {
            list.retain(|item| item != finalizer);
        }
    });
    dropped.is_ok() && store.version != before
}

/// Empties deleted namespaces, then removes them.
fn empty_namespaces(store: &mut Store) -> usize {
    let all = store
        .find("Namespace")
        .into_iter()
        .flat_map(|table| &table.objects);
    let deleted: Vec<Key> = all
        .filter(|(_, object)| is_deleted(&object.value))
        .map(|(key, _)| key.clone())
        .collect();
    let mut changed = 0;
    for (_, namespace) in &deleted {
        let inside: Vec<_> = identities(store)
            .into_iter()
            .filter(|(_, key)| key.0 == *namespace)
            .collect();
        if inside.is_empty() {
            changed += usize::from(
                store
                    .remove("namespaces", &(String::new(), namespace.clone()))
                    .is_some(),
            );
        }
        changed += inside
            .iter()
            .filter(|(id, key)| discard(store, id, key))
            .count();
    }
    changed
}

fn identities(store: &Store) -> Vec<(String, Key)> {
    store
        .all()
        .map(|(table, key, _)| (table.resource.id(), key.clone()))
        .collect()
}

/// Deletes in the background; whether anything moved.
fn discard(store: &mut Store, id: &str, key: &Key) -> bool {
    let Some(resource) = store.tables.get(id).map(|table| table.resource.clone()) else {
        return false;
    };
    let write = plain(resource, key.clone(), None, MANAGER);
    write::delete(store, &write, &json!({"propagationPolicy": "Background"}))
        .is_ok_and(|written| written.changed)
}

fn collect(store: &mut Store) -> usize {
    let mut changed = 0;
    for (id, key) in identities(store) {
        let Some(object) = store.get(&id, &key).map(|object| Arc::clone(&object.value)) else {
            continue;
        };
        let has = |finalizer: &str| {
            object["metadata"]["finalizers"]
                .as_array()
                .is_some_and(|list| list.iter().any(|item| item == finalizer))
        };
        let moved = if is_deleted(&object) && has("orphan") {
            orphan(store, &object) + usize::from(drop_finalizer(store, &id, &key, "orphan"))
        } else if is_deleted(&object) && has("foregroundDeletion") {
            foreground(store, &id, &key, &object)
        } else {
            usize::from(
                is_abandoned(store, &object) && !is_deleted(&object) && discard(store, &id, &key),
            )
        };
        changed += moved;
    }
    changed
}

fn owners(object: &Value) -> impl Iterator<Item = &Value> {
    object["metadata"]["ownerReferences"]
        .as_array()
        .into_iter()
        .flatten()
}

/// Whether the object has owners and none of them exists.
fn is_abandoned(store: &Store, object: &Value) -> bool {
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
    let exists = |owner: &Value| {
        let text = |field: &str| owner[field].as_str().unwrap_or_default();
        let table = store.serving(text("apiVersion"), text("kind"));
        table.is_some_and(|table| {
            let namespace = if table.resource.namespaced {
                namespace
            } else {
                ""
            };
            let found = table
                .objects
                .get(&(namespace.to_owned(), text("name").to_owned()));
            found.is_some_and(|found| found.value["metadata"]["uid"] == owner["uid"])
        })
    };
    owners(object).next().is_some() && !owners(object).any(exists)
}

fn dependents(store: &Store, owner: &Value) -> Vec<(String, Key, bool)> {
    let uid = &owner["metadata"]["uid"];
    let owned = store.all().filter_map(|(table, key, object)| {
        let reference = owners(object).find(|reference| reference["uid"] == *uid)?;
        Some((
            table.resource.id(),
            key.clone(),
            reference["blockOwnerDeletion"] == true,
        ))
    });
    owned.collect()
}

fn orphan(store: &mut Store, owner: &Value) -> usize {
    let uid = owner["metadata"]["uid"].clone();
    let owned = dependents(store, owner);
    let freed = owned.iter().filter(|(id, key, _)| {
        let release = |object: &mut Value| {
            if let Some(list) = object["metadata"]["ownerReferences"].as_array_mut() {
                list.retain(|reference| reference["uid"] != uid);
            }
        };
        edit(store, MANAGER, id, key, &release).is_ok()
    });
    freed.count()
}

fn foreground(store: &mut Store, id: &str, key: &Key, owner: &Value) -> usize {
    let owned = dependents(store, owner);
    if owned.iter().any(|(_, _, blocks)| *blocks) {
        return owned
            .iter()
            .filter(|(id, key, _)| discard(store, id, key))
            .count();
    }
    usize::from(drop_finalizer(store, id, key, "foregroundDeletion"))
}
