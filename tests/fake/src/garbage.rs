//! Deletion as the cluster's controllers carry it out: claim protection, namespaces,
//! and the garbage collector with its three policies.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::controllers::{MANAGER, is_deleted};
use crate::delete;
use crate::helpers::{edit, plain};
use crate::store::{Key, Store};

/// Lets claims go that are deleted and that no pod or workload mounts.
pub(crate) fn release_claims(store: &mut Store) -> usize {
    let mounted = |key: &Key| {
        store.all().filter(|(_, other, _)| other.0 == key.0).any(|(_, _, object)| {
            let pod = if object["kind"] == "Pod" { &object["spec"] } else { &object["spec"]["template"]["spec"] };
            let volumes = pod["volumes"].as_array().into_iter().flatten();
            volumes.into_iter().any(|volume| volume["persistentVolumeClaim"]["claimName"] == key.1.as_str())
        })
    };
    let claims = store.find("PersistentVolumeClaim").into_iter().flat_map(|table| &table.objects);
    let deleted = claims.filter(|(_, object)| is_deleted(&object.value)).map(|(key, _)| key.clone());
    let free: Vec<Key> = deleted.filter(|key| !mounted(key)).collect();
    free.iter()
        .filter(|key| drop_finalizer(store, "PersistentVolumeClaim", key, "kubernetes.io/pvc-protection"))
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
pub(crate) fn empty_namespaces(store: &mut Store) -> usize {
    let all = store.find("Namespace").into_iter().flat_map(|table| &table.objects);
    let deleted: Vec<Key> = all.filter(|(_, object)| is_deleted(&object.value)).map(|(key, _)| key.clone()).collect();
    let mut changed = 0;
    for (_, namespace) in &deleted {
        let inside: Vec<_> = identities(store).into_iter().filter(|(_, key)| key.0 == *namespace).collect();
        if inside.is_empty() {
            changed += usize::from(store.remove("namespaces", &(String::new(), namespace.clone())).is_some());
        }
        changed += inside.iter().filter(|(id, key)| discard(store, id, key)).count();
    }
    changed
}

fn identities(store: &Store) -> Vec<(String, Key)> {
    store.all().map(|(table, key, _)| (table.resource.id(), key.clone())).collect()
}

/// Deletes in the background; whether anything moved.
fn discard(store: &mut Store, id: &str, key: &Key) -> bool {
    let Some(resource) = store.tables.get(id).map(|table| table.resource.clone()) else {
        return false;
    };
    let write = plain(resource, key.clone(), None, MANAGER);
    delete::delete(store, &write, &json!({"propagationPolicy": "Background"})).is_ok_and(|written| written.changed)
}

/// Deletes what lost its owners, and carries out foreground and orphan deletions.
pub(crate) fn collect(store: &mut Store) -> usize {
    let mut changed = 0;
    for (id, key) in identities(store) {
        let Some(object) = store.get(&id, &key).map(|object| Arc::clone(&object.value)) else {
            continue;
        };
        let has = |finalizer: &str| {
            object["metadata"]["finalizers"].as_array().is_some_and(|list| list.iter().any(|item| item == finalizer))
        };
        let moved = if is_deleted(&object) && has("orphan") {
            orphan(store, &object) + usize::from(drop_finalizer(store, &id, &key, "orphan"))
        } else if is_deleted(&object) && has("foregroundDeletion") {
            foreground(store, &id, &key, &object)
        } else {
            usize::from(is_abandoned(store, &object) && !is_deleted(&object) && discard(store, &id, &key))
        };
        changed += moved;
    }
    changed
}

fn owners(object: &Value) -> impl Iterator<Item = &Value> {
    object["metadata"]["ownerReferences"].as_array().into_iter().flatten()
}

/// Whether the object has owners and none of them exists.
fn is_abandoned(store: &Store, object: &Value) -> bool {
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
    let exists = |owner: &Value| {
        let text = |field: &str| owner[field].as_str().unwrap_or_default();
        let table = store.serving(text("apiVersion"), text("kind"));
        table.is_some_and(|table| {
            let namespace = if table.resource.namespaced { namespace } else { "" };
            let found = table.objects.get(&(namespace.to_owned(), text("name").to_owned()));
            found.is_some_and(|found| found.value["metadata"]["uid"] == owner["uid"])
        })
    };
    owners(object).next().is_some() && !owners(object).any(exists)
}

fn dependents(store: &Store, owner: &Value) -> Vec<(String, Key, bool)> {
    let uid = &owner["metadata"]["uid"];
    let dependents = store.all().filter_map(|(table, key, object)| {
        let reference = owners(object).find(|reference| reference["uid"] == *uid)?;
        Some((table.resource.id(), key.clone(), reference["blockOwnerDeletion"] == true))
    });
    dependents.collect()
}

fn orphan(store: &mut Store, owner: &Value) -> usize {
    let uid = owner["metadata"]["uid"].clone();
    let dependents = dependents(store, owner);
    let freed = dependents.iter().filter(|(id, key, _)| {
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
    let dependents = dependents(store, owner);
    if dependents.iter().any(|(_, _, blocks)| *blocks) {
        return dependents.iter().filter(|(id, key, _)| discard(store, id, key)).count();
    }
    usize::from(drop_finalizer(store, id, key, "foregroundDeletion"))
}
