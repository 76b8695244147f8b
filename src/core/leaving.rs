//! What is told of an object that is being deleted and is still there: what is left of it, and what holds that.

use super::conditions::Summary;
use super::kind::{ChildKind, Identity};
use super::meta::FINALIZER;
use super::observed::{Child, Observed};
use super::readiness;
use super::reason::Reason;
use super::text::{MESSAGE, WORD, cut, list};
use crate::api::common::ChildStatus;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// Most objects, and most finalizers of one, that are told in a sentence.
const NAMED: usize = 8;
/// Finalizer by which the garbage collector deletes what belongs to an object before the object.
const FOREGROUND: &str = "foregroundDeletion";
/// Finalizer by which it lets go of that instead.
const ORPHAN: &str = "orphan";
/// Finalizer by which a volume is kept as long as a pod mounts it.
const MOUNTED: &str = "kubernetes.io/pvc-protection";

/// The summary of an App or Registry that is being deleted; `None` of one that is not.
pub fn summary(
    identity: &Identity,
    meta: &ObjectMeta,
    observed: &Observed,
    problem: Option<String>,
) -> Option<Summary> {
    let since = meta.deletion_timestamp.as_ref()?.0;
    let left = left(identity, observed).map(|(kind, name, child)| {
        let how = if child.deleting { format!(" ({})", how(kind, name, child)) } else { String::new() };
        format!("{kind} {name}{how}")
    });
    let left = list(left, NAMED, ", ");
    let parts = [
        Some(format!("{} {} is being deleted since {since}", identity.kind.as_str(), identity.name)),
        held(meta.finalizers.iter().flatten()),
        (!left.is_empty()).then(|| format!("still there: {left}")),
        problem,
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    Some(Summary::Waiting(Reason::Deleting, parts.join("; ")))
}

/// What is left of what goes with an object that is being deleted.
pub fn children(identity: &Identity, observed: &Observed) -> Vec<ChildStatus> {
    let told = |(kind, name, child): (ChildKind, &str, &Child)| {
        let message = if child.deleting {
            Some(format!("is {}", how(kind, name, child)))
        } else {
            readiness::unready(kind, &child.facts).map(|unready| unready.message)
        };
        ChildStatus {
            kind: kind.as_str().to_owned(),
            name: name.to_owned(),
            ready: message.is_none(),
            message: cut(&message.unwrap_or_default(), MESSAGE),
        }
    };
    left(identity, observed).map(told).collect()
}

fn left<'a>(identity: &Identity, observed: &'a Observed) -> impl Iterator<Item = (ChildKind, &'a str, &'a Child)> {
    let children = observed.children.iter().filter(|(_, child)| child.owner.is_controller(identity));
    children.map(|((kind, name), child)| (*kind, name.as_str(), child))
}

/// How a child goes that is being deleted: what it waits for, and what holds it.
pub fn how(kind: ChildKind, name: &str, child: &Child) -> String {
    let has = |finalizer: &str| child.finalizers.iter().any(|other| **other == *finalizer);
    let dependents = if kind == ChildKind::Deployment { "its pods have stopped" } else { "what belongs to it is gone" };
    let parts = [
        Some("being deleted".to_owned()),
        has(FOREGROUND).then(|| format!("once {dependents}")),
        has(MOUNTED).then(|| format!("once no pod mounts it (kubectl describe pvc {name} names those that do)")),
        held(child.finalizers.iter()),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    parts.join(", ")
}

/// Who else holds an object that is being deleted: what is neither ours nor Kubernetes' own.
pub fn held<T: AsRef<str>>(finalizers: impl Iterator<Item = T>) -> Option<String> {
    let others: Vec<String> = finalizers
        .filter(|finalizer| ![FINALIZER, FOREGROUND, ORPHAN, MOUNTED].contains(&finalizer.as_ref()))
        .map(|finalizer| cut(finalizer.as_ref(), WORD))
        .collect();
    match others.as_slice() {
        [] => None,
        [one] => Some(format!("held by finalizer {one}, which whoever set it takes off once it is done")),
        all => {
            let all = list(all, NAMED, ", ");
            Some(format!("held by finalizers {all}, which whoever set them takes off once it is done"))
        }
    }
}
