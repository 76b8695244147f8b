//! The write verbs: create, update, patch in its three forms.
//!
//! Every path ends in [`commit`], which decides whether anything changed at all, moves
//! `generation`, and removes an object whose last finalizer is gone.

use std::sync::Arc;

use json_patch::PatchOperation;
use serde_json::{Value, json};

use crate::admit;
use crate::apply::{Actor, Manager, apply, record_update, same_owners, set_managed_fields};
use crate::defaults::normalise;
use crate::meta::{content, copy, drop_status, is_finished, keep_system_metadata, named, status_only, with_status_of};
use crate::resource::Resource;
use crate::status::{Failure, Outcome};
use crate::store::{Key, Object, Store};
use crate::validate;

/// A write, less its body.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) resource: Resource,
    pub(crate) key: Key,
    pub(crate) subresource: Option<String>,
    pub(crate) manager: String,
    pub(crate) force: bool,
    pub(crate) dry_run: bool,
}

/// A write that was accepted.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) code: u16,
    pub(crate) body: Arc<Value>,
    /// Whether any resourceVersion moved.
    pub(crate) changed: bool,
}

/// The body of a PATCH.
#[derive(Debug)]
pub(crate) enum Patch {
    Apply(Value),
    Merge(Value),
    Json(json_patch::Patch),
}

impl Write {
    pub(crate) fn name(&self) -> &str {
        &self.key.1
    }

    pub(crate) fn id(&self) -> String {
        self.resource.id()
    }

    fn is_status(&self) -> bool {
        self.subresource.as_deref() == Some("status")
    }

    fn actor(&self, store: &Store, operation: &'static str) -> Actor {
        let subresource = self.subresource.clone();
        Actor { name: self.manager.clone(), operation, subresource, time: store.now() }
    }

    pub(crate) fn live(&self, store: &Store) -> Outcome<Object> {
        let found = store.get(&self.id(), &self.key).cloned();
        found.ok_or_else(|| Failure::not_found(&self.resource, self.name()))
    }
}

/// POST.
pub(crate) fn create(store: &mut Store, mut write: Write, mut body: Value) -> Outcome<Written> {
    if body["metadata"]["name"].is_null()
        && let Some(prefix) = body["metadata"]["generateName"].as_str()
    {
        let name = format!("{prefix}{:05}", store.count());
        body["metadata"]["name"] = json!(name);
    }
    body["metadata"]["name"].as_str().unwrap_or_default().clone_into(&mut write.key.1);
    if body["metadata"]["resourceVersion"].as_str().is_some_and(|version| !version.is_empty()) {
        return Err(Failure::unreasoned("resourceVersion should not be set on objects to be created"));
    }
    if store.get(&write.id(), &write.key).is_some() {
        return Err(Failure::already_exists(&write.resource, write.name()));
    }
    let actor = write.actor(store, "Update");
    admit::namespace(store, &write.resource, &write.key.0, write.name())?;
    let mut object = drop_status(&write, body);
    normalise(&write.resource, &mut object);
    let managers = record_update(&write.resource, &[], &json!({}), &object, &actor);
    insert(store, &write, object, managers)
}

/// PUT.
pub(crate) fn update(store: &mut Store, write: &Write, body: Value) -> Outcome<Written> {
    let live = write.live(store)?;
    let version = body["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    let guarded = write.resource.custom || write.resource.kind == "Lease";
    if version.is_empty() && guarded {
        let why = "metadata.resourceVersion: Invalid value: 0: must be specified for an update";
        return Err(Failure::invalid(&write.resource, write.name(), why));
    }
    check_identity(write, &live.value, &body, 409)?;
    replace(store, write, &live, body)
}

/// PATCH.
pub(crate) fn patch(store: &mut Store, write: &Write, patch: Patch) -> Outcome<Written> {
    match patch {
        Patch::Apply(body) => server_side_apply(store, write, &body),
        Patch::Merge(body) => {
            let live = write.live(store)?;
            let mut merged = Value::clone(&live.value);
            json_patch::merge(&mut merged, &body);
            check_identity(write, &live.value, &merged, 422)?;
            replace(store, write, &live, merged)
        }
        Patch::Json(operations) => {
            let live = write.live(store)?;
            let mut patched = Value::clone(&live.value);
            json_patch(&mut patched, &operations)?;
            check_identity(write, &live.value, &patched, 422)?;
            replace(store, write, &live, patched)
        }
    }
}

/// Applies a JSON patch. As in the Go library, testing a missing path for null succeeds.
pub(crate) fn json_patch(object: &mut Value, operations: &[PatchOperation]) -> Outcome<()> {
    let refuse = |error: json_patch::PatchError| {
        Failure::new(422, format!("the server rejected our request due to an error in our request: {error}"))
    };
    for operation in operations {
        let absent = matches!(operation, PatchOperation::Test(test)
            if test.value.is_null() && object.pointer(test.path.as_str()).is_none());
        if !absent {
            json_patch::patch(object, std::slice::from_ref(operation)).map_err(refuse)?;
        }
    }
    Ok(())
}

/// Makes `object` current in place of `live`, as a plain write of the manager.
pub(crate) fn replace(store: &mut Store, write: &Write, live: &Object, body: Value) -> Outcome<Written> {
    let mut object = if write.is_status() { with_status_of(&live.value, &body) } else { body };
    if !write.is_status() && write.resource.status {
        copy(&live.value, &mut object, "status");
    }
    // An emptied list of managers is how a client gives up every ownership.
    let reset = object["metadata"]["managedFields"].as_array().is_some_and(|list| {
        list.is_empty() || list.iter().all(|entry| entry.as_object().is_some_and(serde_json::Map::is_empty))
    });
    keep_system_metadata(&live.value, &mut object);
    normalise(&write.resource, &mut object);
    admit::allocate(store, &write.resource, Some(&live.value), &mut object);
    let actor = write.actor(store, "Update");
    let before: &[Manager] = if reset { &[] } else { &live.managers };
    let managers = record_update(&write.resource, before, &live.value, &object, &actor);
    commit(store, write, live, object, managers)
}

fn server_side_apply(store: &mut Store, write: &Write, body: &Value) -> Outcome<Written> {
    if !body["metadata"]["managedFields"].is_null() {
        return Err(Failure::bad_request("metadata.managedFields must be nil"));
    }
    let actor = write.actor(store, "Apply");
    let applied = if write.is_status() { status_only(body) } else { drop_status(write, body.clone()) };
    let Some(live) = store.get(&write.id(), &write.key).cloned() else {
        if write.subresource.is_some() {
            return Err(Failure::not_found(&write.resource, write.name()));
        }
        if let Some(uid) = body["metadata"]["uid"].as_str() {
            let why =
                format!("uid mismatch: the provided object specified uid {uid}, and no existing object was found");
            return Err(Failure::conflict(&write.resource, write.name(), &why));
        }
        // Whatever resourceVersion the body names, a missing object is created.
        admit::namespace(store, &write.resource, &write.key.0, write.name())?;
        let (object, managers) = apply(&write.resource, &json!({}), &[], &applied, &actor, true)?;
        return insert(store, write, named(write, object), managers);
    };
    check_identity(write, &live.value, body, 422)?;
    let (mut object, managers) = apply(&write.resource, &live.value, &live.managers, &applied, &actor, write.force)?;
    keep_system_metadata(&live.value, &mut object);
    normalise(&write.resource, &mut object);
    admit::allocate(store, &write.resource, Some(&live.value), &mut object);
    commit(store, write, &live, object, managers)
}

fn insert(store: &mut Store, write: &Write, mut object: Value, managers: Vec<Manager>) -> Outcome<Written> {
    normalise(&write.resource, &mut object);
    validate::check(&write.resource, None, &object)?;
    admit::ports(store, &write.resource, &write.key, &object)?;
    admit::allocate(store, &write.resource, None, &mut object);
    let uid = store.uid(&write.id(), &write.key);
    let created = store.now();
    if let Some(meta) = object["metadata"].as_object_mut() {
        meta.retain(|key, _| !matches!(key.as_str(), "deletionTimestamp" | "deletionGracePeriodSeconds" | "selfLink"));
        meta.insert("uid".to_owned(), json!(uid));
        meta.insert("creationTimestamp".to_owned(), json!(created));
        if write.resource.namespaced {
            meta.insert("namespace".to_owned(), json!(write.key.0));
        }
        if write.resource.generation {
            meta.insert("generation".to_owned(), json!(1));
        } else {
            meta.remove("generation");
        }
    }
    if write.dry_run {
        return Ok(Written { code: 201, body: Arc::new(object), changed: false });
    }
    let body = store.put(&write.id(), &write.key, object, managers);
    Ok(Written { code: 201, body, changed: true })
}

fn commit(
    store: &mut Store,
    write: &Write,
    live: &Object,
    mut object: Value,
    managers: Vec<Manager>,
) -> Outcome<Written> {
    validate::check(&write.resource, Some(&live.value), &object)?;
    admit::ports(store, &write.resource, &write.key, &object)?;
    admit::resize(store, &write.resource, &live.value, &object)?;
    if write.resource.generation && content(&live.value) != content(&object) {
        let generation = live.value["metadata"]["generation"].as_i64().unwrap_or_default();
        object["metadata"]["generation"] = json!(generation + 1);
    }
    if object == *live.value && same_owners(&live.managers, &managers) {
        return Ok(Written { code: 200, body: Arc::clone(&live.value), changed: false });
    }
    set_managed_fields(&write.resource, &mut object, &managers);
    if write.dry_run {
        return Ok(Written { code: 200, body: Arc::new(object), changed: false });
    }
    if !object["metadata"]["deletionTimestamp"].is_null() && is_finished(&object) {
        store.remove(&write.id(), &write.key);
        return Ok(Written { code: 200, body: Arc::new(object), changed: true });
    }
    let body = store.put(&write.id(), &write.key, object, managers);
    Ok(Written { code: 200, body, changed: true })
}

/// Checks the body's resourceVersion and uid against the live object.
fn check_identity(write: &Write, live: &Value, body: &Value, uid_code: u16) -> Outcome<()> {
    let (wanted, found) = (&body["metadata"], &live["metadata"]);
    let uid = wanted["uid"].as_str().unwrap_or_default();
    if !uid.is_empty() && found["uid"] != uid {
        if uid_code == 409 {
            let found = found["uid"].as_str().unwrap_or_default();
            let why = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {found}");
            return Err(Failure::conflict(&write.resource, write.name(), &why));
        }
        let why = format!("metadata.uid: Invalid value: \"{uid}\": field is immutable");
        return Err(Failure::invalid(&write.resource, write.name(), &why));
    }
    let version = wanted["resourceVersion"].as_str().unwrap_or_default();
    if !matches!(version, "" | "0") && found["resourceVersion"] != version {
        return Err(Failure::modified(&write.resource, write.name()));
    }
    Ok(())
}
