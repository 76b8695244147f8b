//! What the user is told about an App.

use crate::api::App;
use crate::api::app::AppStatus;
use crate::core::conditions::{Summary, merge};
use crate::core::facts::Claim;
use crate::core::observed::Observed;
use crate::core::plan::{ChildKind, Outcome, Parent, ParentKind, Plan};
use crate::core::reason::Reason;
use crate::core::status::{Running, children, of_outcome};
use crate::core::{meta, pods};
use jiff::Timestamp;

/// The status of an App after its plan was carried out.
pub fn status(app: &App, plan: &Plan, outcome: &Outcome, observed: &Observed, now: Timestamp) -> AppStatus {
    let identity = app.identity();
    let problems = pods::problems(&observed.pods, now);
    let workload = observed.workload(&identity.name);
    let running = Running { name: &identity.name, workload, problems: &problems };
    let mut wanted = summary(app, plan, outcome, observed, &running).conditions();
    wanted.extend(running.conditions());
    let old = app.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    AppStatus {
        observed_generation: Some(identity.generation),
        conditions: merge(old, wanted, identity.generation, now),
        replicas: workload.map(|workload| workload.replicas),
        ready_replicas: workload.map(|workload| workload.ready),
        updated_replicas: workload.map(|workload| workload.updated),
        selector: Some(format!("{}={}", meta::parent_label(ParentKind::App), identity.name)),
        problems,
        children: children(plan, outcome, observed),
    }
}

fn summary(app: &App, plan: &Plan, outcome: &Outcome, observed: &Observed, running: &Running<'_>) -> Summary {
    if let Some(summary) = of_outcome(plan, outcome, observed) {
        return summary;
    }
    let storage = app.claims().into_iter().find_map(|name| {
        let claim = observed.claims.get(&name)?;
        (!claim.ready).then(|| storage_summary(&name, claim))
    });
    match (storage, running.summary()) {
        (Some(storage), _) => storage,
        (None, Summary::Ready(_, _)) if app.spec.paused => {
            Summary::Ready(Reason::Paused, "as declared; paused, so later changes will not be applied".to_owned())
        }
        (None, summary) => summary,
    }
}

fn storage_summary(name: &str, claim: &Claim) -> Summary {
    let detail = if claim.message.is_empty() { "waits for its first status" } else { &claim.message };
    let message = format!("{} {name}: {detail}", ChildKind::StorageClaim);
    if claim.stalled {
        Summary::Stalled(Reason::StorageNotReady, message)
    } else {
        Summary::Waiting(Reason::StorageNotReady, message)
    }
}
