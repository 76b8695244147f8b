//! Server-side apply: merging an applied configuration, pruning what its manager no
//! longer applies, and keeping track of who owns which field.
//!
//! Follows `structured-merge-diff/v4/merge/update.go` step by step, so that ownership
//! and removal come out as on a real server.

use serde_json::{Map, Value, json};

use crate::fields::{
    Difference, FieldSet, Fields, Path, Step, display, fields_of, fields_v1, has_below, is_system, item_steps,
    nodes_of, with_parents,
};
use crate::resource::Resource;
use crate::schema::{ListType, atomic_map, list_type};
use crate::status::{Failure, Outcome};

/// Who writes, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Actor {
    pub(crate) name: String,
    /// `Apply` or `Update`.
    pub(crate) operation: &'static str,
    pub(crate) subresource: Option<String>,
    /// RFC 3339 time of the write.
    pub(crate) time: String,
}

/// A manager and the fields that it owns.
#[derive(Clone, Debug)]
pub(crate) struct Manager {
    pub(crate) actor: Actor,
    pub(crate) fields: FieldSet,
}

impl Manager {
    fn is(&self, actor: &Actor) -> bool {
        let (mine, other) = (&self.actor, actor);
        (&mine.name, mine.operation, &mine.subresource) == (&other.name, other.operation, &other.subresource)
    }
}

/// Merges `body` into `live` on behalf of `actor` and gives the new object and owners.
/// An unforced write to fields of others is a 409.
pub(crate) fn apply(
    resource: &Resource,
    live: &Value,
    managers: &[Manager],
    body: &Value,
    actor: &Actor,
    force: bool,
) -> Outcome<(Value, Vec<Manager>)> {
    let refuse = |why: String| Failure::unreasoned(format!("failed to create typed patch object: {why}"));
    let applied = owned(fields_of(resource, body, true).map_err(refuse)?);
    let merged = merge(resource, &mut Vec::new(), live, body);
    let last = managers.iter().find(|manager| manager.is(actor)).map(|manager| manager.fields.clone());

    let mut managers = replace(managers, actor, applied);
    let pruned = prune(resource, &merged, &managers, &last.unwrap_or_default());
    let difference = Difference::between(&nodes(resource, live), &nodes(resource, &pruned));
    take_over(&mut managers, actor, &difference, force)?;
    Ok((pruned, managers))
}

/// Records a plain write (create, update, patch) from `old` to `new` by `actor`.
pub(crate) fn record_update(
    resource: &Resource,
    managers: &[Manager],
    old: &Value,
    new: &Value,
    actor: &Actor,
) -> Vec<Manager> {
    let difference = Difference::between(&nodes(resource, old), &nodes(resource, new));
    let mut managers = managers.to_vec();
    // An update never conflicts: it takes what it changes.
    let _ = take_over(&mut managers, actor, &difference, true);
    let mut mine = managers.iter().find(|manager| manager.is(actor)).map_or_else(FieldSet::new, |m| m.fields.clone());
    mine.retain(|path| !difference.removed.contains(path));
    mine.extend(difference.written().into_iter().filter(|path| !is_system(path)));
    replace(&managers, actor, mine)
}

/// Writes `metadata.managedFields`, or takes it away where nobody owns anything.
pub(crate) fn set_managed_fields(resource: &Resource, object: &mut Value, managers: &[Manager]) {
    let Some(meta) = object["metadata"].as_object_mut() else {
        return;
    };
    if managers.is_empty() {
        meta.remove("managedFields");
    } else {
        meta.insert("managedFields".to_owned(), managed_fields(resource, managers));
    }
}

fn managed_fields(resource: &Resource, managers: &[Manager]) -> Value {
    let entry = |manager: &Manager| {
        let mut entry = json!({
            "manager": manager.actor.name, "operation": manager.actor.operation,
            "apiVersion": resource.api_version(), "time": manager.actor.time,
            "fieldsType": "FieldsV1", "fieldsV1": fields_v1(&manager.fields),
        });
        if let Some(subresource) = &manager.actor.subresource {
            entry["subresource"] = Value::from(subresource.as_str());
        }
        entry
    };
    Value::Array(managers.iter().map(entry).collect())
}

/// Whether two records of ownership differ in anything but time.
pub(crate) fn same_owners(left: &[Manager], right: &[Manager]) -> bool {
    left.len() == right.len()
        && left.iter().all(|one| right.iter().any(|other| other.is(&one.actor) && other.fields == one.fields))
}

fn lenient(resource: &Resource, value: &Value) -> Fields {
    let mut fields = fields_of(resource, value, false).unwrap_or_default();
    fields.retain(|path, _| !is_system(path));
    fields
}

fn nodes(resource: &Resource, value: &Value) -> Fields {
    let mut fields = nodes_of(resource, value);
    fields.retain(|path, _| !is_system(path));
    fields
}

fn owned(fields: Fields) -> FieldSet {
    fields.into_keys().filter(|path| !is_system(path)).collect()
}

/// Gives `actor` exactly `fields`, keeping the time of an entry that did not change.
fn replace(managers: &[Manager], actor: &Actor, fields: FieldSet) -> Vec<Manager> {
    let mut out = managers.to_vec();
    match out.iter_mut().find(|manager| manager.is(actor)) {
        Some(manager) if manager.fields == fields => {}
        Some(manager) => *manager = Manager { actor: actor.clone(), fields },
        None => out.push(Manager { actor: actor.clone(), fields }),
    }
    out.retain(|manager| !manager.fields.is_empty());
    out
}

/// Takes from the other managers what the write changed or removed.
fn take_over(managers: &mut Vec<Manager>, actor: &Actor, difference: &Difference, force: bool) -> Outcome<()> {
    let written = difference.written();
    let mut conflicts = Vec::new();
    for manager in managers.iter_mut().filter(|manager| !manager.is(actor)) {
        for path in manager.fields.intersection(&written) {
            conflicts.push(format!("conflict with \"{}\": {}", manager.actor.name, display(path)));
        }
        manager.fields.retain(|path| !written.contains(path) && !difference.removed.contains(path));
    }
    if !force && !conflicts.is_empty() {
        let (count, noun) = (conflicts.len(), if conflicts.len() == 1 { "conflict" } else { "conflicts" });
        return Err(Failure::new(409, format!("Apply failed with {count} {noun}: {}", conflicts.join("; "))));
    }
    managers.retain(|manager| !manager.fields.is_empty());
    Ok(())
}

/// Removes what was applied before, is not any more, and belongs to nobody else.
fn prune(resource: &Resource, merged: &Value, managers: &[Manager], last: &FieldSet) -> Value {
    if last.is_empty() {
        return merged.clone();
    }
    let last = with_parents(last);
    let all = with_parents(&owned(lenient(resource, merged)));
    let managed = with_parents(&managers.iter().flat_map(|manager| manager.fields.clone()).collect());

    let mut kept = with_parents(&owned(lenient(resource, &remove(resource, merged, &last))));
    kept.extend(managed);
    let unowned: FieldSet = all.difference(&kept).cloned().collect();
    let without_unowned = remove(resource, merged, &unowned);

    let kept = with_parents(&owned(lenient(resource, &without_unowned)));
    let dropped = all.difference(&kept).filter(|path| last.contains(*path)).cloned().collect();
    remove(resource, merged, &dropped)
}

fn remove(resource: &Resource, value: &Value, set: &FieldSet) -> Value {
    remove_at(resource, &mut Vec::new(), value, set).unwrap_or_else(|| json!({}))
}

/// The value less the fields of `set`; `None` when nothing of it remains.
fn remove_at(resource: &Resource, path: &mut Path, value: &Value, set: &FieldSet) -> Option<Value> {
    if !has_below(set, path) {
        return Some(value.clone());
    }
    match value {
        Value::Object(map) => {
            let mut kept = Map::new();
            for (key, child) in map {
                if let Some(child) = remove_step(resource, path, Step::Field(key.clone()), child, set) {
                    kept.insert(key.clone(), child);
                }
            }
            (!kept.is_empty()).then_some(Value::Object(kept))
        }
        Value::Array(items) => {
            let Ok(steps) = item_steps(&list_type(resource, path), items) else {
                return Some(value.clone());
            };
            let pairs = steps.into_iter().zip(items);
            let kept: Vec<_> = pairs.filter_map(|(step, item)| remove_step(resource, path, step, item, set)).collect();
            (!kept.is_empty()).then_some(Value::Array(kept))
        }
        scalar => Some(scalar.clone()),
    }
}

fn remove_step(resource: &Resource, path: &mut Path, step: Step, child: &Value, set: &FieldSet) -> Option<Value> {
    path.push(step);
    let kept = if set.contains(path) { None } else { remove_at(resource, path, child, set) };
    path.pop();
    kept
}

fn merge(resource: &Resource, path: &mut Path, live: &Value, body: &Value) -> Value {
    match (live, body) {
        (Value::Object(old), Value::Object(new)) if !atomic_map(resource, path) => {
            let mut out = old.clone();
            for (key, value) in new {
                path.push(Step::Field(key.clone()));
                let merged = merge(resource, path, old.get(key).unwrap_or(&Value::Null), value);
                path.pop();
                out.insert(key.clone(), merged);
            }
            Value::Object(out)
        }
        (Value::Array(old), Value::Array(new)) => {
            let kind = list_type(resource, path);
            match (&kind, item_steps(&kind, old), item_steps(&kind, new)) {
                (ListType::Atomic, _, _) | (_, Err(_), _) | (_, _, Err(_)) => body.clone(),
                (_, Ok(left), Ok(right)) => merge_lists(resource, path, (&left, old), (&right, new)),
            }
        }
        _ => body.clone(),
    }
}

/// Merges keyed items: the applied order wins, items of others keep their place.
fn merge_lists(resource: &Resource, path: &mut Path, old: (&[Step], &[Value]), new: (&[Step], &[Value])) -> Value {
    let mut out = Vec::new();
    let mut left = 0;
    for (step, item) in new.0.iter().zip(new.1) {
        while left < old.0.len() && !new.0.contains(&old.0[left]) {
            out.push(old.1[left].clone());
            left += 1;
        }
        let counterpart = old.0.iter().position(|other| other == step);
        if counterpart == Some(left) {
            left += 1;
        }
        path.push(step.clone());
        out.push(merge(resource, path, counterpart.map_or(&Value::Null, |at| &old.1[at]), item));
        path.pop();
    }
    let rest = old.0.iter().zip(old.1).skip(left).filter(|(step, _)| !new.0.contains(step));
    out.extend(rest.map(|(_, item)| item.clone()));
    Value::Array(out)
}
