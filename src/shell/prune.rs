//! Deletes what a plan no longer wants, once everything it wants stands.

use super::audit::log;
use super::context::Context;
use super::key::Key;
use super::make::failure;
use super::words::volume_deleted;
use crate::core::deed::Deed;
use crate::core::facts::Facts;
use crate::core::kind::Identity;
use crate::core::observed::Observed;
use crate::core::plan::{Failure, Outcome, Plan};

/// Deletes the plan's `prune` list, each object only if it still is exactly the one that was seen.
pub async fn prune(context: &Context, parent: &Identity, plan: &Plan, observed: &Observed, outcome: &mut Outcome) {
    for (kind, name) in &plan.prune {
        let Some(child) = observed.child(*kind, name).filter(|child| !child.deleting) else { continue };
        let key = Key::new(&parent.namespace, name);
        match context.writer.delete(*kind, &parent.namespace, name, &child.uid, child.version).await {
            Ok(()) => {
                context.metrics.prune(*kind);
                log(parent, *kind, name, &Deed::Deleted);
                context.caches().mark_deleting(*kind, &key, &child.uid);
                match &child.facts {
                    Facts::Volume(volume) => context.writer.tell(parent, volume_deleted(parent, volume)).await,
                    _ => outcome.deeds.push((format!("{kind} {name}"), Deed::Deleted)),
                }
            }
            Err(error) if error.code() == 404 => {
                context.caches().remove_child_of(*kind, &key, &child.uid);
            }
            Err(error) => {
                let failed = failure(format!("{kind} {name}"), &error);
                let message = format!("can't be deleted: {}", failed.message);
                outcome.failures.push(Failure { message, ..failed });
            }
        }
    }
}
