//! What the statuses of all kinds have in common: outcomes of a plan, children, and pods behind a Deployment.

use super::advice::Author;
use super::conditions::{Summary, Type, Wanted, condition};
use super::configuration::Unfollowed;
use super::facts::Workload;
use super::kind::{ChildKind, Identity, ParentKind};
use super::leaving;
use super::object::Object;
use super::observed::{Observed, Verdict};
use super::offer::Lacking;
use super::plan::{ErrorClass, Failure, Outcome, Plan};
use super::problems::{self, Problems};
use super::readiness;
use super::reason::Reason;
use super::remedy::with_remedy;
use super::storage;
use super::stray;
use super::text::{MESSAGE, cut, list};
use super::unlike::Unlike;
use crate::api::common::{ChildStatus, Problem};
use jiff::Timestamp;

/// Most errors of a spec that are told at once.
pub const ERRORS: usize = 16;

/// The summary that a plan's outcome alone decides: a bad spec, refused writes, a pause, objects on their way.
pub fn of_outcome(plan: &Plan, outcome: &Outcome, observed: &Observed) -> Option<Summary> {
    if !plan.invalid.is_empty() {
        return Some(Summary::Stalled(Reason::InvalidSpec, list(&plan.invalid, ERRORS, "; ")));
    }
    if let Some(failure) = outcome.worst() {
        return Some(of_failure(failure, outcome.failures.len()));
    }
    if let Some(fight) = outcome.contended.first() {
        return Some(Summary::Stalled(Reason::Contended, fight.clone()));
    }
    if let Some(object) = outcome.waiting.first() {
        let goes = of_waiting(object, plan, observed).unwrap_or_else(|| "being deleted".to_owned());
        return Some(Summary::Waiting(
            Reason::WaitingForDeletion,
            format!("{object}: its predecessor is still {goes}"),
        ));
    }
    // What is held back waits for a claim, which tells why.
    let differing = plan.objects.iter().find(|object| !object.held && !observed.agrees(object));
    let is_true = |notice: &&Summary| match notice {
        Summary::Ready(_, _) => false,
        Summary::Stalled(Reason::RolledBack, _) => differing.is_none(),
        Summary::Waiting(_, _) | Summary::Impaired(_, _) | Summary::Stalled(_, _) => true,
    };
    if let Some(notice) = plan.notice.as_ref().filter(is_true) {
        return Some(notice.clone());
    }
    let Some(differing) = differing else { return of_unlike(plan, observed) };
    Some(if plan.paused {
        Summary::Impaired(
            Reason::Paused,
            format!(
                "{} {} differs from the spec; set spec.paused to false to apply it",
                differing.kind, differing.name
            ),
        )
    } else {
        Summary::Waiting(Reason::Applying, format!("{} {} is being applied", differing.kind, differing.name))
    })
}

/// That something which is declared was taken out or changed on its way to the store.
fn of_unlike(plan: &Plan, observed: &Observed) -> Option<Summary> {
    plan.objects.iter().find_map(|object| {
        let message = format!("{} {}: {}", object.kind, object.name, observed.unlike(object)?.message()?);
        Some(Summary::Stalled(Reason::FieldsDropped, message))
    })
}

/// How the predecessor of that object goes.
fn of_waiting(object: &str, plan: &Plan, observed: &Observed) -> Option<String> {
    let planned = plan.objects.iter().find(|planned| format!("{} {}", planned.kind, planned.name) == object)?;
    let child = observed.child(planned.kind, &planned.name).filter(|child| child.deleting)?;
    Some(leaving::how(planned.kind, &planned.name, child))
}

fn of_failure(failure: &Failure, count: usize) -> Summary {
    let others = if count > 1 { format!(" (and {} more)", count - 1) } else { String::new() };
    let message = format!("{}: {}{others}", failure.field.as_ref().unwrap_or(&failure.object), failure.message);
    match failure.class {
        ErrorClass::Invalid => Summary::Stalled(Reason::Rejected, message),
        ErrorClass::Conflict => Summary::Stalled(Reason::NameConflict, message),
        ErrorClass::Denied => Summary::Stalled(Reason::Denied, message),
        ErrorClass::Internal => Summary::Stalled(Reason::InternalError, message),
        ErrorClass::Unavailable => Summary::Waiting(Reason::Unavailable, message),
    }
}

/// What the first child that is not ready says of those that pods need; of a workload, its pods say more.
pub fn of_children(plan: &Plan, observed: &Observed) -> Option<Summary> {
    unready(plan, observed, |kind| kind < ChildKind::Deployment)
}

/// Likewise, of those by which pods are reached.
pub fn of_doors(plan: &Plan, observed: &Observed) -> Option<Summary> {
    unready(plan, observed, |kind| kind > ChildKind::Deployment)
}

fn unready(plan: &Plan, observed: &Observed, which: impl Fn(ChildKind) -> bool) -> Option<Summary> {
    plan.objects.iter().filter(|object| which(object.kind)).find_map(|object| {
        let child = observed.child(object.kind, &object.name)?;
        Some(readiness::unready(object.kind, &child.facts)?.summary(object.kind, &object.name))
    })
}

/// What the first object says whose kind can't be had.
pub fn of_lacking(plan: &Plan) -> Option<Summary> {
    plan.lacking.first().map(Lacking::summary)
}

/// What can't be followed, though the author asks for it.
pub fn of_unfollowed(plan: &Plan) -> Option<Summary> {
    let messages: Vec<String> = plan.unfollowed.iter().map(Unfollowed::message).collect();
    (!messages.is_empty()).then(|| Summary::Stalled(Reason::Denied, list(&messages, ERRORS, "; ")))
}

/// The children of a plan, each with whether it is as declared and works; of a parent that is being deleted, what is left of them.
fn children(identity: &Identity, plan: &Plan, outcome: &Outcome, observed: &Observed) -> Vec<ChildStatus> {
    if identity.deleting {
        return leaving::children(identity, observed);
    }
    let told = |kind: ChildKind, name: &str, message: Option<String>| ChildStatus {
        kind: kind.as_str().to_owned(),
        name: name.to_owned(),
        ready: message.is_none(),
        message: cut(&message.unwrap_or_default(), MESSAGE),
    };
    let planned = plan.objects.iter();
    let planned = planned.map(|object| {
        let child = told(object.kind, &object.name, child_message(object, plan, outcome, observed));
        let is_to_come = child.ready && storage::is_to_come(observed, object);
        if is_to_come { ChildStatus { message: storage::TO_COME.to_owned(), ..child } } else { child }
    });
    planned
        .chain(plan.lacking.iter().map(|lacking| told(lacking.kind, &lacking.name, Some(lacking.message()))))
        .collect()
}

fn child_message(object: &Object, plan: &Plan, outcome: &Outcome, observed: &Observed) -> Option<String> {
    let named = format!("{} {}", object.kind, object.name);
    if let Some(failure) = outcome.failures.iter().find(|failure| failure.object == named) {
        return Some(failure.message.clone());
    }
    if let Some(fight) = outcome.contended.iter().find_map(|fight| fight.strip_prefix(&format!("{named}: "))) {
        return Some(fight.to_owned());
    }
    if object.held && !observed.agrees(object) {
        return Some(plan.notice.as_ref().map_or(storage::HELD, Summary::message).to_owned());
    }
    if let Some(kind) = outcome.lacks(object).filter(|_| outcome.held.contains(&named)) {
        return Some(format!("is held back until the {kind} that its pods start with is as declared"));
    }
    let Some(child) = observed.child(object.kind, &object.name) else {
        return Some("does not exist yet".to_owned());
    };
    if child.deleting {
        return Some(format!("is {}", leaving::how(object.kind, &object.name, child)));
    }
    if child.verdict != Verdict::Agrees(object.hash) {
        return Some("differs from what is declared".to_owned());
    }
    let unlike = observed.unlike(object).and_then(Unlike::message);
    unlike.or_else(|| readiness::unready(object.kind, &child.facts).map(|unready| unready.message))
}

/// The conditions of something that runs behind a Deployment.
pub struct Running<'a> {
    /// Name of the Deployment.
    pub name: &'a str,
    /// Who can mend its pods.
    pub author: Author<'a>,
    /// Its progress, once it exists.
    pub workload: Option<&'a Workload>,
    /// What is wrong with its pods.
    pub problems: Problems,
    /// What others added to the Deployment that changes what they may do.
    pub added: &'a [String],
    /// What the cluster put in place of what is declared.
    pub rewritten: &'a [String],
    /// That requests go to pods of others as well.
    pub strays: Option<Summary>,
}

impl<'a> Running<'a> {
    /// What runs for an App or Registry, whose pods that author declares.
    pub fn of(identity: &'a Identity, author: Author<'a>, plan: &Plan, observed: &'a Observed, now: Timestamp) -> Self {
        let workload = observed.workload(&identity.name);
        let complete = !identity.deleting && workload.is_some_and(Workload::is_complete);
        Self {
            name: &identity.name,
            author,
            workload,
            problems: problems::problems(&observed.pods, complete, now),
            added: observed.added(&identity.name),
            rewritten: observed.rewritten(&identity.name),
            strays: stray::summary(identity, plan, &observed.strays),
        }
    }

    /// The summary when all objects are as declared: how the pods are.
    pub fn summary(&self) -> Summary {
        let Some(workload) = self.workload else {
            return Summary::Waiting(Reason::Applying, format!("Deployment {} does not exist yet", self.name));
        };
        let worst = self.problems.told.first();
        let Some(unready) = readiness::workload_unready(workload) else {
            return worst.map_or_else(
                || self.complete(workload),
                |problem| Summary::Impaired(Reason::of_problem(problem), self.sentence(problem)),
            );
        };
        if let Some(stuck) = &workload.stuck {
            let name = self.name;
            let words = stuck.trim_end_matches('.');
            let told = || format!("Deployment {name}: {words}. See why: kubectl describe deployment {name}");
            let message = self.worst().unwrap_or_else(told);
            return Summary::Stalled(Reason::ProgressDeadlineExceeded, message);
        }
        if let Some(refused) = &workload.refused {
            return Summary::Stalled(Reason::PodsRefused, self.refused(refused));
        }
        if workload.is_held() {
            return Summary::Impaired(Reason::Paused, self.resume("is paused"));
        }
        let counts = || format!("Deployment {}: {}", self.name, unready.message);
        let message = worst.map_or_else(counts, |problem| self.sentence(problem));
        match worst {
            Some(problem) if workload.is_rolled_out() => Summary::Impaired(Reason::of_problem(problem), message),
            None if workload.is_rolled_out() && workload.available > 0 => {
                Summary::Impaired(Reason::PodsNotReady, message)
            }
            Some(_) | None => Summary::Waiting(Reason::RollingOut, message),
        }
    }

    /// The worst problem of its pods, with what can be done.
    pub fn worst(&self) -> Option<String> {
        self.problems.told.first().map(|problem| self.sentence(problem))
    }

    /// The children of a plan. A Deployment whose pods have a problem is not ready, even while it counts them as available.
    pub fn children(
        &self,
        identity: &Identity,
        plan: &Plan,
        outcome: &Outcome,
        observed: &Observed,
    ) -> Vec<ChildStatus> {
        let mut children = children(identity, plan, outcome, observed);
        if let Some(worst) = self.worst() {
            let is_it =
                |child: &&mut ChildStatus| child.kind == ChildKind::Deployment.as_str() && child.name == self.name;
            for child in children.iter_mut().filter(is_it).filter(|child| child.ready) {
                (child.ready, child.message) = (false, worst.clone());
            }
        }
        children
    }

    fn sentence(&self, problem: &Problem) -> String {
        problems::sentence(problem, self.author)
    }

    fn complete(&self, workload: &Workload) -> Summary {
        if let Some(strays) = &self.strays {
            return strays.clone();
        }
        if workload.paused {
            let message = self.resume("is paused, so no later change will reach its pods");
            return Summary::Ready(Reason::Paused, message);
        }
        let message = format!("{} of {} pods are available", workload.available, workload.desired);
        Summary::Ready(Reason::AsExpected, message)
    }

    fn refused(&self, refusal: &str) -> String {
        let is_surge = self.author.kind == ParentKind::App
            && refusal.contains("requested: pods=")
            && self.workload.is_some_and(|it| it.available > 0 && it.replicas > it.updated);
        let surge = if is_surge { "; spec.rollout.maxSurge: 0 rolls out without a pod more" } else { "" };
        format!("Deployment {}: {}{surge}", self.name, with_remedy(refusal))
    }

    /// What is to be told of a Deployment that somebody paused, which its spec here doesn't say.
    fn resume(&self, is_paused: &str) -> String {
        format!("Deployment {0} {is_paused}: kubectl rollout resume deployment/{0}", self.name)
    }

    /// The summary's conditions, and Available, Progressing and Degraded as a `ClusterOperator` tells them.
    pub fn conditions(&self, summary: &Summary) -> Vec<Wanted> {
        let mut wanted = summary.conditions();
        wanted.extend([self.available(), self.progressing(summary), self.degraded(summary)]);
        wanted.extend(self.altered());
        wanted
    }

    fn altered(&self) -> Option<Wanted> {
        let name = self.name;
        let (added, rewritten) = (self.added.join("; "), self.rewritten.join(", "));
        let parts = [
            (!added.is_empty()).then(|| {
                format!(
                    "{added}. It changes what the pods may do and is not declared here; it is left as it is. If it should not be there, \
                     take it out: kubectl edit deployment {name}"
                )
            }),
            (!rewritten.is_empty())
                .then(|| format!("an admission policy or webhook changed {rewritten}, which is left as it is")),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        let message = || format!("Deployment {name}: {}", parts.join("; "));
        (!parts.is_empty()).then(|| condition(Type::Altered, true, Reason::FieldsAdded, message()))
    }

    fn available(&self) -> Wanted {
        match self.workload {
            Some(workload) if workload.available > 0 || (workload.observed && workload.desired == 0) => condition(
                Type::Available,
                true,
                Reason::AsExpected,
                format!("{} pods are available", workload.available),
            ),
            Some(_) | None => {
                let message = format!("Deployment {}: no pod is available", self.name);
                condition(Type::Available, false, Reason::NoPodAvailable, message)
            }
        }
    }

    /// True exactly while `Reconciling` is.
    fn progressing(&self, summary: &Summary) -> Wanted {
        let workload = self.workload;
        match (summary, workload.filter(|workload| workload.is_rolled_out())) {
            (Summary::Waiting(reason, message), _) => {
                let counts = workload.filter(|_| *reason == Reason::RollingOut).map(readiness::progress);
                condition(Type::Progressing, true, *reason, counts.as_ref().unwrap_or(message))
            }
            (_, Some(_)) => {
                condition(Type::Progressing, false, Reason::AsExpected, "every pod runs the template of its Deployment")
            }
            (
                Summary::Stalled(reason, message)
                | Summary::Impaired(reason, message)
                | Summary::Ready(reason, message),
                None,
            ) => condition(Type::Progressing, false, *reason, message),
        }
    }

    fn degraded(&self, summary: &Summary) -> Wanted {
        if let Some(problem) = self.problems.told.first() {
            let others = match self.problems.count {
                0 | 1 => String::new(),
                count => format!(" (and {} more, see status.problems)", count - 1),
            };
            let message = format!("{}{others}", self.sentence(problem));
            return condition(Type::Degraded, true, Reason::of_problem(problem), message);
        }
        match (self.workload.and_then(|workload| workload.refused.as_deref()), summary) {
            (Some(refused), _) => condition(Type::Degraded, true, Reason::PodsRefused, self.refused(refused)),
            (
                None,
                Summary::Impaired(
                    reason @ (Reason::ConfigurationMissing
                    | Reason::StorageNotReady
                    | Reason::VolumeDeleting
                    | Reason::VolumeNotShareable),
                    message,
                )
                | Summary::Stalled(
                    reason @ (Reason::RolledBack | Reason::ProgressDeadlineExceeded | Reason::VolumeLost),
                    message,
                ),
            ) => condition(Type::Degraded, true, *reason, message.as_str()),
            (None, _) => match &self.strays {
                Some(strays) => condition(Type::Degraded, true, Reason::ForeignPods, strays.message()),
                None => condition(Type::Degraded, false, Reason::AsExpected, ""),
            },
        }
    }
}
