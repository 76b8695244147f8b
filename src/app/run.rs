//! The Deployment of an App, with the template that is to run: the declared one, or a former one because the spec asks for it or because
//! the declared one failed.

use super::auto_rollback::{auto_rollback, standing};
use super::build::deployment::deployment;
use super::rollback::{Choice, Rollback};
use super::to_revision::to_revision;
use super::validate::ValidApp;
use crate::core::kind::ChildKind;
use crate::core::observed::Observed;
use crate::core::plan::{Plan, PlanSettings};
use crate::core::rollout::NO_DEADLINE;
use serde_json::Value;

/// Plans the Deployment.
pub fn run(app: &ValidApp<'_>, plan: &mut Plan, observed: &Observed, settings: &PlanSettings) {
    let mut deployment = serde_json::to_value(deployment(app, observed, settings)).unwrap_or_default();
    let rollback = rollback(app, &deployment["spec"]["template"], observed, settings);
    for (annotation, text) in rollback.remembered {
        deployment["metadata"]["annotations"][annotation] = text.into();
    }
    if rollback.rejudges {
        deployment["spec"]["progressDeadlineSeconds"] = NO_DEADLINE.into();
    }
    if let Some(template) = rollback.template {
        deployment["spec"]["template"] = template;
    }
    plan.apply(ChildKind::Deployment, &deployment);
    if rollback.keeps {
        plan.hold(ChildKind::Deployment);
    }
    plan.wants.extend(rollback.want);
    plan.notice = rollback.notice;
}

/// What `spec.rollout` makes of the declared template. What the author asks for goes before what happens by itself.
fn rollback(app: &ValidApp<'_>, declared: &Value, observed: &Observed, settings: &PlanSettings) -> Rollback {
    let choice = Choice { app, declared, observed, settings, workload: observed.workload(&app.identity.name) };
    let rollout = app.spec.rollout.as_ref();
    let asked =
        rollout.and_then(|rollout| rollout.to_revision).map(|number| to_revision(&choice, number)).unwrap_or_default();
    if !rollout.is_some_and(|rollout| rollout.auto_rollback) {
        return asked;
    }
    if asked.template.is_some() || asked.keeps {
        return Rollback { remembered: asked.remembered.into_iter().chain(standing(&choice)).collect(), ..asked };
    }
    let by_itself = auto_rollback(&choice);
    let remembered = asked.remembered.into_iter().chain(by_itself.remembered).collect();
    Rollback { remembered, notice: by_itself.notice.or(asked.notice), ..by_itself }
}
