//! What the user is told about an App.

use super::auto_rollback::failed;
use super::configuration::missing;
use super::sharing::{holds_up, unshared};
use crate::api::App;
use crate::api::app::AppStatus;
use crate::api::common::{RevisionOutcome, RevisionStatus};
use crate::core::advice::Author;
use crate::core::conditions::{Summary, merge};
use crate::core::kind::{ChildKind, ParentKind};
use crate::core::observed::Observed;
use crate::core::parent::Parent;
use crate::core::plan::{Outcome, Plan};
use crate::core::reason::Reason;
use crate::core::status::{ERRORS, Running, of_children, of_doors, of_lacking, of_outcome, of_unfollowed};
use crate::core::text::list;
use crate::core::{leaving, meta, revisions, sharing, storage};
use jiff::Timestamp;

/// The status of an App after its plan was carried out.
pub fn status(app: &App, plan: &Plan, outcome: &Outcome, observed: &Observed, now: Timestamp) -> AppStatus {
    let identity = app.identity();
    let author = Author::of_app(&identity.name, &app.spec);
    let running = Running::of(&identity, author, plan, observed, now);
    let workload = running.workload;
    let wanted = running.conditions(&summary(app, plan, outcome, observed, &running));
    let old = app.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let before = app.status.as_ref().map(|status| status.revisions.as_slice()).unwrap_or_default();
    let limit = app.spec.rollout.as_ref().and_then(|rollout| rollout.history_limit);
    let mut revisions = revisions::told(&observed.revisions, workload, limit, before);
    let failed = workload.and_then(failed);
    let has_failed = |revision: &&mut RevisionStatus| failed == Some(revision.number);
    revisions.iter_mut().filter(has_failed).for_each(|revision| revision.outcome = Some(RevisionOutcome::Failed));
    let published = observed.published(&identity.name);
    AppStatus {
        observed_generation: Some(identity.generation),
        conditions: merge(old, wanted, identity.generation, now),
        pods: workload.map(|workload| format!("{}/{}", workload.ready, workload.desired)),
        strategy: strategy(plan, &identity.name),
        strategy_message: derived(&identity.name, app, plan, observed),
        replicas: workload.map(|workload| workload.replicas),
        ready_replicas: workload.map(|workload| workload.ready),
        updated_replicas: workload.map(|workload| workload.updated),
        selector: Some(format!("{}={}", meta::parent_label(ParentKind::App), identity.name)),
        addresses: published.map(|published| published.addresses.clone()).unwrap_or_default(),
        node_ports: published.map(|published| published.node_ports.clone()).unwrap_or_default(),
        children: running.children(&identity, plan, outcome, observed),
        problems: running.problems.told,
        revisions,
    }
}

/// How pods are replaced, declared or derived.
fn strategy(plan: &Plan, name: &str) -> Option<String> {
    let deployment = plan.object(ChildKind::Deployment, name)?;
    deployment.body["spec"]["strategy"]["type"].as_str().map(str::to_owned)
}

/// Why pods are replaced by Recreate, though nobody said so.
fn derived(name: &str, app: &App, plan: &Plan, observed: &Observed) -> Option<String> {
    let declared = app.spec.rollout.as_ref().and_then(|rollout| rollout.strategy);
    plan.object(ChildKind::Deployment, name).filter(|_| declared.is_none())?;
    holds_up(name, &app.spec, observed).map(|held| held.why())
}

fn summary(app: &App, plan: &Plan, outcome: &Outcome, observed: &Observed, running: &Running<'_>) -> Summary {
    let leaving = || leaving::summary(&app.identity(), &app.metadata, observed, running.worst());
    if let Some(summary) = of_outcome(plan, outcome, observed).or_else(leaving) {
        return summary;
    }
    let waits =
        storage::not_ready(&app.identity(), &app.references(), plan, observed).or_else(|| of_children(plan, observed));
    let missing = missing(&app.spec, observed);
    let summary = match (&plan.notice, running.summary()) {
        (Some(notice), Summary::Ready(_, _)) => notice.clone(),
        (_, summary) => summary,
    };
    let claims = unshared(running.name, &app.spec, observed);
    let summary = sharing::summary(claims, running.workload, observed, summary);
    let beside = of_doors(plan, observed).or_else(|| of_lacking(plan)).or_else(|| of_unfollowed(plan));
    match (waits, summary, beside) {
        (Some(waits), _, _) => waits,
        (None, summary, _) if !missing.is_empty() => {
            let reason = Reason::ConfigurationMissing;
            let missing = list(&missing, ERRORS, "; ");
            let message = format!("{missing}. Create it, or correct spec.env, spec.envFrom or spec.volumes");
            summary.because(reason, message)
        }
        // What serves and is not reached yet, not watched, or does not follow, is told after what does not serve.
        (None, Summary::Ready(_, _), Some(lacking)) => lacking,
        (None, Summary::Ready(_, _), None) if app.spec.paused => Summary::Ready(
            Reason::Paused,
            "spec.paused: is true, so later changes will not be applied; set it to false to have them".to_owned(),
        ),
        (None, summary, _) => summary,
    }
}
