//! DELETE: preconditions, propagation policies, finalizers.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::meta::{is_finished, mark_deleted, set_propagation};
use crate::status::{Failure, Outcome};
use crate::store::Store;
use crate::write::{Write, Written};

/// Kinds whose deletion answers with the object; others answer with a Status.
const RETURNED: [&str; 4] = ["Pod", "Service", "ServiceAccount", "PersistentVolumeClaim"];

/// DELETE, with the body's or the query's options.
pub(crate) fn delete(store: &mut Store, write: &Write, options: &Value) -> Outcome<Written> {
    let live = write.live(store)?;
    let meta = &live.value["metadata"];
    for (field, label) in [("uid", "UID"), ("resourceVersion", "ResourceVersion")] {
        let wanted = &options["preconditions"][field];
        if !wanted.is_null() && *wanted != meta[field] {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let (wanted, found) = (text(wanted), text(&meta[field]));
            let why =
                format!("the {label} in the precondition ({wanted}) does not match the {label} in record ({found})");
            return Err(Failure::conflict(&write.resource, write.name(), &why));
        }
    }
    let mut object = Value::clone(&live.value);
    set_propagation(&mut object, options["propagationPolicy"].as_str());
    let terminating = !meta["deletionTimestamp"].is_null();
    if !terminating {
        mark_deleted(store, write, &mut object);
    }
    if write.dry_run {
        return Ok(Written { code: 200, body: Arc::new(object), changed: false });
    }
    if is_finished(&object) {
        let removed = store.remove(&write.id(), &write.key);
        if let Some(body) = removed.filter(|_| RETURNED.contains(&write.resource.kind.as_str())) {
            return Ok(Written { code: 200, body, changed: true });
        }
        let details = json!({"name": write.name(), "group": write.resource.group, "kind": write.resource.plural,
            "uid": meta["uid"]});
        let body =
            json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details});
        return Ok(Written { code: 200, body: Arc::new(body), changed: true });
    }
    if terminating {
        return Ok(Written { code: 200, body: live.value, changed: false });
    }
    let body = store.put(&write.id(), &write.key, object, live.managers);
    Ok(Written { code: 200, body, changed: true })
}
