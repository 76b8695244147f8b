//! The one reconcile: observe, plan, apply, prune, report; the same for every kind.

use super::apply::apply;
use super::audit::announce;
use super::context::Context;
use super::done::Done;
use super::error::Error;
use super::follow::learn;
use super::intake::finalizers_written;
use super::key::ParentKey;
use super::observe::observe;
use super::prune::prune;
use super::queue::Lane;
use super::report::report;
use super::words::panicked;
use crate::core::meta::FINALIZER;
use crate::core::parent::Parent;
use crate::core::plan::{FinalizerChange, Outcome, Plan};
use jiff::Timestamp;
use std::time::Duration;

/// Whatever is not as declared is looked at again after that time at the latest, also if no event comes.
pub const FLOOR: Duration = Duration::from_secs(60);

/// What may not be made is tried again after that time, as nothing tells that it may be by then.
const UNMADE: Duration = Duration::from_secs(300);

/// Drives the cluster toward what one parent declares.
pub async fn reconcile<P: Parent>(context: &Context, key: &ParentKey) -> Result<Done, Error> {
    learn(context, key).await;
    let Some((parent, observed)) = observe::<P>(context, key)? else { return Ok(Done::Settled) };
    let mut plan = parent.plan(&observed, &context.settings(), Timestamp::now());
    if !context.caches().lacks(key, &plan) {
        return Ok(Done::Late);
    }
    let mut outcome = Outcome::default();
    if plan.finalizer == FinalizerChange::Add {
        change_finalizer(context, key, &parent, plan.finalizer).await?;
    }
    let identity = parent.identity();
    let asked = context.wants().ask(key, &plan.wants);
    plan.requeue = [plan.requeue, asked.again].into_iter().flatten().min();
    if plan.invalid.is_empty() && !plan.paused {
        // The children of one that is being deleted are the garbage collector's; one that it just orphaned must not be claimed back.
        if !identity.deleting {
            outcome = apply(context, &identity, &plan, &observed).await;
        }
        if outcome.is_complete() {
            prune(context, &identity, &plan, &observed, &mut outcome).await;
        }
    }
    let done = conclude(context, key, &plan, &outcome, parent, asked.open).await;
    announce(context, &identity, &outcome.deeds).await;
    done
}

/// Lets go of what is deleted, and reports.
async fn conclude<P: Parent>(
    context: &Context,
    key: &ParentKey,
    plan: &Plan,
    outcome: &Outcome,
    parent: P,
    asks: bool,
) -> Result<Done, Error> {
    if outcome.late {
        return Ok(Done::Late);
    }
    if plan.finalizer == FinalizerChange::Remove && outcome.is_complete() {
        change_finalizer(context, key, &parent, plan.finalizer).await?;
        if parent.identity().deleting && finalizers(&parent).all(|finalizer| finalizer == FINALIZER) {
            // Nothing is left to be told of it.
            return Ok(Done::Settled);
        }
    }
    if asks && outcome.failures.is_empty() {
        // The answer wakes it in a moment, and what is told then is true.
        return Ok(Done::Settled);
    }
    tell(context, key, plan, outcome, parent).await
}

/// Reports what became of a plan, judged by what is seen now.
async fn tell<P: Parent>(
    context: &Context,
    key: &ParentKey,
    plan: &Plan,
    outcome: &Outcome,
    planned: P,
) -> Result<Done, Error> {
    let now = Timestamp::now();
    let Some((parent, observed)) = observe::<P>(context, key)? else { return Ok(Done::Settled) };
    // A newer spec may have arrived meanwhile; this report still speaks of the one that was carried out.
    let status = planned.status(plan, outcome, &observed, now);
    let rest =
        if parent.meta().uid == planned.meta().uid { report(context, key, &parent, &status).await? } else { None };
    let floor = (!outcome.is_complete() || !outcome.contended.is_empty()).then_some(FLOOR);
    let unmade = outcome.unmade.is_some().then_some(UNMADE);
    let unknown = context.caches().is_unsure(key).then_some(FLOOR);
    let soonest = [rest, plan.requeue, floor, unmade, unknown].into_iter().flatten().min();
    Ok(match (outcome.retry(), soonest) {
        (Some(class), soonest) => Done::Failed(class, soonest),
        (None, Some(soonest)) => Done::Again(soonest),
        (None, None) => Done::Settled,
    })
}

/// Tells the user that the operator itself failed on this object, by the kind's own status.
pub async fn tell_panic<P: Parent>(context: &Context, key: &ParentKey, message: &str) -> Result<Done, Error> {
    let Some((parent, _)) = observe::<P>(context, key)? else { return Ok(Done::Settled) };
    let outcome = Outcome { failures: vec![panicked(key.to_string(), message)], ..Outcome::default() };
    tell(context, key, &Plan::default(), &outcome, parent).await
}

fn finalizers<P: Parent>(parent: &P) -> impl Iterator<Item = &String> {
    parent.meta().finalizers.iter().flatten()
}

async fn change_finalizer<P: Parent>(
    context: &Context,
    key: &ParentKey,
    parent: &P,
    change: FinalizerChange,
) -> Result<(), Error> {
    let meta = parent.meta();
    let mut finalizers: Vec<String> = finalizers(parent).filter(|finalizer| *finalizer != FINALIZER).cloned().collect();
    if change == FinalizerChange::Add {
        finalizers.push(FINALIZER.to_owned());
    }
    let version = meta.resource_version.as_deref().unwrap_or_default();
    let live = context.writer.finalizers(&parent.identity(), version, &finalizers).await?;
    let wake = finalizers_written(context, key, live);
    context.wake(wake, Lane::Edit);
    Ok(())
}
