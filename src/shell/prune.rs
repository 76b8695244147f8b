//! Deletes what a plan no longer wants, once everything it wants stands.

use super::context::Context;
use super::key::Key;
use crate::core::kind::Identity;
use crate::core::observed::Observed;
use crate::core::plan::{Failure, Outcome, Plan};

/// Deletes the plan's `prune` list, each object only if it still is exactly the one that was seen.
pub async fn prune(context: &Context, parent: &Identity, plan: &Plan, observed: &Observed, outcome: &mut Outcome) {
    for (kind, name) in &plan.prune {
        let Some(child) = observed.child(*kind, name).filter(|child| !child.deleting) else { continue };
        match context.writer.delete(*kind, &parent.namespace, name, &child.uid, child.version).await {
            Ok(()) => {
                context.metrics.prune(*kind);
                mark_deleting(context, parent, *kind, name);
            }
            Err(error) if error.code() == 404 => {
                context.caches().remove_child(*kind, &Key::new(&parent.namespace, name));
            }
            Err(error) => {
                let object = format!("{kind} {name}");
                outcome.failures.push(Failure { object, class: error.class(), message: error.message() });
            }
        }
    }
}

/// Until the watch tells of the deletion, the child must not be deleted again.
fn mark_deleting(context: &Context, parent: &Identity, kind: crate::core::kind::ChildKind, name: &str) {
    let key = Key::new(&parent.namespace, name);
    let mut caches = context.caches();
    if let Some(mut child) = caches.child(kind, &key).cloned() {
        child.deleting = true;
        caches.set_child(kind, &key, child);
    }
}
