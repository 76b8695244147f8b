//! Copies of our objects that another manager made, as a restored backup does: that manager holds every field of theirs, so what is
//! wanted no longer would stay in them for good.

use super::kind::ChildKind;
use super::live::Live;
use super::managed::{is_copier, is_ours};
use super::meta::FIELD_MANAGER;
use serde_json::{Map, Value, json};
use std::mem;

/// Whether somebody made, or wrote over, a live object with a copy of one of ours. Of a `PersistentVolumeClaim` that is left as it
/// is: its `volumeName` would be ours to remove by then, which is refused.
pub fn is_copied(kind: ChildKind, live: &Live) -> bool {
    kind != ChildKind::PersistentVolumeClaim && live.others.applied_hash
}

/// The patch that gives us what copiers hold of a whole object, `managedFields` included, if nobody changes it meanwhile; `None` if
/// nobody copied it. Our next apply then removes what is wanted no longer. Without our taking it over that would be nobody's, and stay.
pub fn taken_over(whole: &Value) -> Option<Value> {
    let metadata = &whole["metadata"];
    let entries = metadata["managedFields"].as_array()?.iter().cloned();
    let (copiers, mut entries): (Vec<_>, Vec<_>) = entries.partition(is_copier);
    let like_ours = |entry: &Value| {
        json!({"manager": FIELD_MANAGER, "operation": "Apply", "apiVersion": entry["apiVersion"], "time": entry["time"],
            "fieldsType": "FieldsV1", "fieldsV1": {}})
    };
    let first = copiers.first()?;
    let mut ours = match entries.iter().position(is_ours) {
        Some(at) => entries.remove(at),
        None => like_ours(first),
    };
    for mut copier in copiers {
        let mut taken = copier["fieldsV1"].take();
        let left = leave(&mut taken);
        unite(&mut ours["fieldsV1"], taken);
        if !left.is_empty() {
            copier["fieldsV1"] = Value::Object(left);
            entries.push(copier);
        }
    }
    entries.push(ours);
    Some(json!({"metadata": {
        "uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"], "managedFields": entries,
    }}))
}

/// Takes out of a copier's fields what stays its own, as it is never ours alone: of the metadata all but the annotations (a backup
/// tool labels what it restored; finalizers belong to controllers), the status, and how many pods run, which is an autoscaler's
/// where nothing is declared.
fn leave(fields: &mut Value) -> Map<String, Value> {
    let mut left = Map::new();
    let Some(fields) = fields.as_object_mut() else { return left };
    left.extend(fields.remove("f:status").map(|status| ("f:status".to_owned(), status)));
    if let Some(metadata) = fields.get_mut("f:metadata").and_then(Value::as_object_mut) {
        let (taken, rest): (Map<_, _>, Map<_, _>) =
            mem::take(metadata).into_iter().partition(|(field, _)| field == "f:annotations");
        *metadata = taken;
        left.extend((!rest.is_empty()).then(|| ("f:metadata".to_owned(), Value::Object(rest))));
    }
    let spec = fields.get_mut("f:spec").and_then(Value::as_object_mut);
    let replicas = spec.and_then(|spec| spec.remove("f:replicas"));
    left.extend(replicas.map(|replicas| ("f:spec".to_owned(), json!({"f:replicas": replicas}))));
    left
}

/// Adds a set of fields to another. A field that is listed without any below it is held itself; one with some below is, if `.` is
/// among them.
pub fn unite(set: &mut Value, more: Value) {
    let (Value::Object(set), Value::Object(more)) = (set, more) else { return };
    for (step, below) in more {
        match set.get_mut(&step) {
            None => drop(set.insert(step, below)),
            Some(known) if is_leaf(known) != is_leaf(&below) => {
                unite(known, below);
                known["."] = json!({});
            }
            Some(known) => unite(known, below),
        }
    }
}

fn is_leaf(set: &Value) -> bool {
    set.as_object().is_none_or(Map::is_empty)
}

#[cfg(test)]
mod tests {
    use super::taken_over;
    use serde_json::{Value, json};

    fn entry(manager: &str, operation: &str, fields: &Value) -> Value {
        json!({"manager": manager, "operation": operation, "apiVersion": "apps/v1", "time": "2026-01-01T00:00:00Z",
            "fieldsType": "FieldsV1", "fieldsV1": fields})
    }

    fn managers(entries: &Value) -> Option<Value> {
        let whole = json!({"metadata": {"uid": "u", "resourceVersion": "7", "managedFields": entries}});
        let mut patch = taken_over(&whole)?;
        let managers = patch["metadata"]["managedFields"].take();
        assert_eq!(patch, json!({"metadata": {"uid": "u", "resourceVersion": "7", "managedFields": null}}));
        Some(managers)
    }

    fn copied() -> Value {
        json!({
            "f:metadata": {
                "f:annotations": {".": {}, "f:moorage.dev/applied-hash": {}},
                "f:finalizers": {".": {}, "v:\"example.com/a\"": {}},
                "f:labels": {"f:velero.io/restore-name": {}},
            },
            "f:spec": {"f:replicas": {}, "f:strategy": {".": {}, "f:type": {}}, "f:volumes": {}},
        })
    }

    fn left() -> Value {
        let mut left = copied();
        left["f:metadata"].as_object_mut().unwrap().remove("f:annotations");
        left["f:spec"] = json!({"f:replicas": {}});
        left
    }

    #[test]
    fn what_a_copier_holds_becomes_ours() {
        let other = entry("kubectl-set", "Update", &json!({"f:spec": {"f:paused": {}}}));
        let taken = json!({
            "f:metadata": {"f:annotations": {".": {}, "f:moorage.dev/applied-hash": {}}},
            "f:spec": {"f:strategy": {".": {}, "f:type": {}}, "f:volumes": {}},
        });
        let copier = |fields: &Value| entry("velero-server", "Update", fields);
        let now = managers(&json!([copier(&copied()), other]));
        assert_eq!(now, Some(json!([other, copier(&left()), entry("moorage", "Apply", &taken)])));

        let ours =
            entry("moorage", "Apply", &json!({"f:spec": {"f:strategy": {}, "f:volumes": {"f:a": {}}, "f:b": {}}}));
        let both = json!({
            "f:metadata": taken["f:metadata"],
            "f:spec": {"f:strategy": {".": {}, "f:type": {}}, "f:volumes": {".": {}, "f:a": {}}, "f:b": {}},
        });
        let now = managers(&json!([ours, copier(&copied())]));
        assert_eq!(now, Some(json!([copier(&left()), entry("moorage", "Apply", &both)])));
    }

    #[test]
    fn without_our_mark_nobody_is_a_copier() {
        let injector = entry("injector", "Update", &json!({"f:metadata": {"f:annotations": {"f:example.com/a": {}}}}));
        assert_eq!(managers(&json!([injector, entry("moorage", "Apply", &copied())])).map(|now| now[0].clone()), None);
        assert_eq!(managers(&json!([injector])), None);
        assert_eq!(taken_over(&json!({"metadata": {}})), None);
    }
}
