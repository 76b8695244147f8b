//! What users are told of an apply: of failures in the status, of changes in Events.

use super::audit::{event, normal};
use crate::core::drift::Drift;
use crate::core::facts::Volume;
use crate::core::kind::{ChildKind, Identity, ParentKind};
use crate::core::merge::Path;
use crate::core::meta::{MANAGED_BY, MANAGER};
use crate::core::object::{Former, Object};
use crate::core::owner;
use crate::core::plan::{ErrorClass, Failure};
use crate::core::text::list;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType};

/// The failure of an apply whose object is somebody else's.
pub fn taken(wanted: &Object, parent: &Identity, holder: &str) -> Failure {
    let (kind, name) = (parent.kind.as_str(), &wanted.name);
    let remedy = match wanted.kind {
        // Others' pods may run as it.
        ChildKind::ServiceAccount => {
            format!("give this {kind} another name, or set spec.serviceAccount.name: {name} to run the pods as it")
        }
        // What may hold data is nothing to delete.
        ChildKind::PersistentVolumeClaim => format!("give this {kind} another name"),
        _ => format!("give this {kind} another name, or delete or rename what has it"),
    };
    let object = format!("{} {name}", wanted.kind);
    let message = format!("exists already and is not this {kind}'s (holder: {holder}); {remedy}");
    Failure { object, class: ErrorClass::Conflict, message, field: None }
}

/// The failure of an apply whose object must be adopted first: what consent is lacking, and how it is given.
pub fn adoptable(object: String, parent: &Identity, wanted: &Object) -> Failure {
    let consent = owner::consent(&parent.namespace, &wanted.name);
    let asked = if wanted.adopt { "" } else { " set spec.adopt to true and" };
    let message = format!(
        "exists already and Moorage did not make it; to let this {kind} have it, with its data,{asked} run: {consent}; else \
         give this {kind} another name",
        kind = parent.kind.as_str()
    );
    Failure { object, class: ErrorClass::Conflict, message, field: None }
}

/// The failure of an apply whose object is an earlier parent's, kept with its data.
pub fn kept(object: String, parent: &Identity) -> Failure {
    let message = format!(
        "holds data that was kept for an earlier {kind}; to use it set spec.adopt to true; else give this {kind} another name",
        kind = parent.kind.as_str()
    );
    Failure { object, class: ErrorClass::Conflict, message, field: None }
}

/// Why an object is not made anew: what the API server would refuse in the new one, and that the old one stays.
pub fn irreplaceable(object: &Object, class: ErrorClass, field: &Path, why: &str) -> Failure {
    let Object { kind, name, .. } = object;
    let message = format!(
        "{why}; until that is mended the {kind} stays as it was, as {field} can't be changed once it exists: it would have to be \
         made anew. To have it gone nevertheless, delete it (kubectl delete {} {name})",
        kind.as_str().to_lowercase()
    );
    Failure { object: format!("{kind} {name}"), class, message, field: None }
}

/// Why others keep an object from becoming what is wanted: the API server's refusal, who holds what, and why that can't be taken over.
pub fn held(object: &Object, fields: &[(Path, String)], refusal: &str, why: &str) -> String {
    let fields = list(fields.iter().map(|(field, manager)| format!("{manager} holds {field}")), 8, ", ");
    format!(
        "{refusal}; {fields}, which can't stand beside what is declared: take it out (kubectl edit {} {}). It could not be taken over: {why}",
        object.kind.as_str().to_lowercase(),
        object.name
    )
}

/// The failure of an apply whose object the operator can't see.
pub fn unseen(object: String) -> Failure {
    let message = format!(
        "label {MANAGED_BY}={MANAGER} is changed or taken away while it is written, by an admission webhook or policy, so the \
         operator can't see it; exempt objects that Moorage writes"
    );
    Failure { object, class: ErrorClass::Denied, message, field: None }
}

/// The Event about a change that was taken back; `undone` is the number of the revision that it went back to.
pub fn reverted(parent: &Identity, object: &Object, drift: &Drift, undone: Option<i32>) -> Event {
    let owner = parent.kind.as_str();
    let undo = match (object.kind, parent.kind, undone) {
        (ChildKind::Deployment, ParentKind::App, Some(number)) => format!(
            " `kubectl rollout undo` can't do it; to run revision {number} again set spec.rollout.toRevision: {number} in the App."
        ),
        (ChildKind::Deployment, ParentKind::App, None) if drift.is_of_pods() => {
            " To run what ran before, set spec.rollout.toRevision in the App to a number of status.revisions."
                .to_owned()
        }
        (ChildKind::Deployment, _, _) if drift.is_of_pods() => {
            format!(" To run what ran before, declare it in the {owner}: `kubectl rollout undo` can't do it.")
        }
        _ => String::new(),
    };
    let note = format!(
        "{} {}: {drift}, and the {owner} declares it. It was changed back; change the {owner} instead.{undo}",
        object.kind, object.name
    );
    Event {
        reason: "DriftReverted".to_owned(),
        action: "Repair".to_owned(),
        ..about(parent, object, note, &drift.field)
    }
}

/// An Event about a field of an object.
fn about(parent: &Identity, object: &Object, note: String, field: &Path) -> Event {
    Event {
        type_: EventType::Normal,
        reason: String::new(),
        note: Some(note),
        action: String::new(),
        // Events that name the same are told as one, with the first one's words.
        secondary: Some(ObjectReference {
            kind: Some(object.kind.as_str().to_owned()),
            namespace: Some(parent.namespace.clone()),
            name: Some(object.name.clone()),
            field_path: Some(field.to_string()),
            ..ObjectReference::default()
        }),
    }
}

/// The Event about an object that somebody else made, and that is ours now.
pub fn adopted(parent: &Identity, object: &Object) -> Event {
    let Object { kind, name, .. } = object;
    normal(
        "Adopted",
        "Adopt",
        format!("{kind} {name} was there before, and belongs to this {} now", parent.kind.as_str()),
    )
}

/// The Event about a field that another manager held beside what is declared, and that excludes it.
pub fn excluded(parent: &Identity, object: &Object, field: &Path, manager: &str) -> Event {
    let Object { kind, name, .. } = object;
    let note = format!(
        "{kind} {name}: {manager} held {field}, which can't stand beside what the {} declares, so it was taken out",
        parent.kind.as_str()
    );
    Event { reason: "FieldTakenOut".to_owned(), action: "Apply".to_owned(), ..about(parent, object, note, field) }
}

/// The Event about an object that is made anew and lacks what the former one had.
pub fn bereft(object: &Object, former: &Former) -> Event {
    let Object { kind, name, .. } = object;
    let (reason, note) = match former {
        Former::Volume(volume) => (
            "VolumeEmptied",
            format!(
                "{kind} {name} was made anew and is empty, as somebody deleted the former one. Its PersistentVolume {volume} is gone with \
                 the data, unless its persistentVolumeReclaimPolicy is Retain: kubectl get pv {volume}"
            ),
        ),
        Former::Tokens(deployment) => (
            "TokensInvalid",
            format!(
                "{kind} {name} was made anew, as somebody deleted the former one: the API server takes no token of that any more. Pods of \
                 Deployment {deployment} get new ones once those that they have are due, after a day at most; to have them now: kubectl -n \
                 {} rollout restart deployment/{deployment}",
                object.body["metadata"]["namespace"].as_str().unwrap_or_default()
            ),
        ),
    };
    event(EventType::Warning, reason, "Create", note)
}

/// The Event about a volume that was adopted and that a Helm release has still.
pub fn released(object: &Object, release: &str) -> Event {
    event(EventType::Warning, "HelmRelease", "Adopt", owner::of_release(&object.name, release))
}

/// The Event about a volume that is deleted as its claim's policy says.
pub fn volume_deleted(claim: &Identity, volume: &Volume) -> Event {
    let Volume { volume, capacity, parent_label, .. } = volume;
    let name = &claim.name;
    let held = volume.as_ref().map(|volume| format!(" (PersistentVolume {volume}, {capacity})")).unwrap_or_default();
    let of = parent_label.as_ref().map(|parent| format!(" of {parent}")).unwrap_or_default();
    let note = format!(
        "PersistentVolumeClaim {name}{held} is deleted with its data, as StorageClaim {name}{of} was deleted and its spec.deletionPolicy is \
         Delete"
    );
    normal("VolumeDeleted", "Delete", note)
}

/// The Event about an object that is made anew.
pub fn replaced(parent: &Identity, object: &Object, field: &Path) -> Event {
    let Object { kind, name, .. } = object;
    let note =
        format!("{kind} {name}: {field} can't be changed once the {kind} exists, so it was deleted and is made anew");
    Event { reason: "Replaced".to_owned(), action: "Replace".to_owned(), ..about(parent, object, note, field) }
}

/// The failure of the operator itself on an object.
pub fn panicked(object: String, message: &str) -> Failure {
    let message = format!("the operator failed on this object; please report it: {message}");
    Failure { object, class: ErrorClass::Internal, message, field: None }
}
