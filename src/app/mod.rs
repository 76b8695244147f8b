//! `App` → `ServiceAccount`, `Deployment`, `Service` and `StorageClaims`.
//!
//! [`plan`](Parent::plan) validates once and hands the result to one builder per object.

mod auto_rollback;
pub mod build;
mod configuration;
pub mod containers;
mod limits;
pub mod ports;
mod references;
mod rollback;
mod run;
pub mod sharing;
mod status;
mod to_revision;
pub mod validate;
pub mod volumes;

use crate::api::App;
use crate::api::app::AppStatus;
use crate::core::kind::{ChildKind, ParentKind};
use crate::core::object::Former;
use crate::core::observed::Observed;
use crate::core::parent::Parent;
use crate::core::plan::{Outcome, Plan, PlanSettings};
use crate::core::reference::Reference;
use crate::core::{problems, storage};
use build::{
    disruption_budget::disruption_budget, monitor::monitor, service::service, service_account::service_account,
    storage_claim::storage_claims,
};
use configuration::unfollowed;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use run::run;
use validate::{ValidApp, validate};

/// Kinds that an App no longer wants once its spec stops asking for them. Claims are never among them.
const PRUNABLE: &[ChildKind] = &[
    ChildKind::ServiceAccount,
    ChildKind::Service,
    ChildKind::PodDisruptionBudget,
    ChildKind::ServiceMonitor,
    ChildKind::PodMonitor,
];

impl Parent for App {
    const KIND: ParentKind = ParentKind::App;
    type Status = AppStatus;

    fn plan(&self, observed: &Observed, settings: &PlanSettings, now: Timestamp) -> Plan {
        let plan = match validate(self).and_then(|valid| limits::check(valid, settings)) {
            // What is left of it is the garbage collector's.
            _ if self.identity().deleting => Plan::default(),
            Ok(valid) => plan(&valid, observed, settings),
            Err(invalid) => Plan { invalid, ..Plan::default() },
        };
        Plan { requeue: problems::next_change(&observed.pods, now), ..plan }
    }

    fn status(&self, plan: &Plan, outcome: &Outcome, observed: &Observed, now: Timestamp) -> AppStatus {
        status::status(self, plan, outcome, observed, now)
    }

    fn current_status(&self) -> Option<&AppStatus> {
        self.status.as_ref()
    }

    fn conditions(status: &AppStatus) -> &[Condition] {
        &status.conditions
    }

    fn references(&self) -> Vec<Reference> {
        let Ok(valid) = validate(self) else { return references::readings(&self.spec).into_keys().collect() };
        valid.claims().into_iter().chain(valid.readings.into_keys()).collect()
    }
}

fn plan(app: &ValidApp<'_>, observed: &Observed, settings: &PlanSettings) -> Plan {
    let unfollowed = unfollowed(app, observed, settings);
    let mut plan = Plan { paused: app.spec.paused, unfollowed, ..Plan::default() };
    if app.owns_service_account() {
        plan.apply(ChildKind::ServiceAccount, &service_account(app, observed));
    }
    for (field, claim) in storage_claims(app) {
        plan.apply_declared(ChildKind::StorageClaim, &claim, field);
    }
    run(app, &mut plan, observed, settings);
    if app.service_ports().next().is_some() {
        plan.apply(ChildKind::Service, &service(app));
    }
    if let Some(budget) = disruption_budget(app) {
        plan.apply(ChildKind::PodDisruptionBudget, &budget);
    }
    if let Some(monitoring) = &app.monitoring {
        let kind = monitoring.child();
        plan.apply_if_served(kind, &app.identity.name, observed.offer(kind), |version| {
            monitor(app, monitoring, version)
        });
    }
    storage::hold_until_owned(&mut plan, &app.identity, observed);
    if plan.lacking.is_empty() {
        plan.prune = observed.surplus(&app.identity, &plan.objects, PRUNABLE);
    }
    remember_tokens(app, &mut plan, observed);
    let deployment = plan.object(ChildKind::Deployment, &app.identity.name);
    if !deployment.is_some_and(|deployment| observed.runs_only(deployment)) {
        // The token of a pod that runs, or is stopping, is worth nothing without its account.
        plan.prune.retain(|(kind, _)| *kind != ChildKind::ServiceAccount);
    }
    plan
}

/// Has it told, should the account be made while pods run that have tokens of a former one.
fn remember_tokens(app: &ValidApp<'_>, plan: &mut Plan, observed: &Observed) {
    if !app.has_token() {
        return;
    }
    let name = app.identity.name.as_str();
    let runs = observed.workload(name).is_some_and(|workload| workload.replicas > 0);
    let stands = plan.object(ChildKind::Deployment, name).is_some_and(|deployment| observed.agrees(deployment));
    if runs && stands {
        let accounts = plan.objects.iter_mut().filter(|object| object.kind == ChildKind::ServiceAccount);
        accounts.for_each(|account| account.follows = Some(Former::Tokens(name.into())));
    }
}
