//! What `spec.rollout.autoRollback` makes of the declared template: nothing until its rollout fails.
//!
//! The declared template is judged once: by the end of its rollout it has run well, and is what to go back to from then on, or it has
//! failed. Which of them is written down on the Deployment; a failure together with the template that replaces it.

use super::rollback::{Choice, GONE, Rollback, Trouble};
use super::to_revision::runs_what_was_asked;
use crate::core::advice::Author;
use crate::core::conditions::Summary;
use crate::core::facts::Workload;
use crate::core::hash;
use crate::core::meta::AUTO_ROLLBACK;
use crate::core::problems::{sentence, worst};
use crate::core::reason::Reason;
use crate::core::revisions::Revision;
use crate::core::text::{QUOTE, cut};
use serde::{Deserialize, Serialize};

/// What the Deployment remembers.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
struct Guard {
    /// Hash of the declared template, its configuration included: a change of that may mend what failed.
    declared: String,
    /// The `ReplicaSet` of the last template that was rolled out to the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    good: Option<String>,
    /// Whether that is the declared one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    done: bool,
    /// What became of the declared one, once it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failed: Option<Failed>,
}

/// A revision that failed.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
struct Failed {
    revision: i32,
    why: String,
}

/// The number of the revision in whose place another runs because it failed.
pub fn failed(workload: &Workload) -> Option<i32> {
    Some(guard(workload)?.failed?.revision)
}

fn guard(workload: &Workload) -> Option<Guard> {
    serde_json::from_str(workload.auto_rollback.as_deref()?).ok()
}

/// What is remembered, as it stands.
pub fn standing(choice: &Choice<'_>) -> Option<(&'static str, String)> {
    Some((AUTO_ROLLBACK, choice.workload?.auto_rollback.as_deref()?.to_owned()))
}

/// The former template that is to run because the declared one failed.
pub fn auto_rollback(choice: &Choice<'_>) -> Rollback {
    let before = choice.workload.and_then(guard);
    let guard = choice.next_guard(before.clone());
    let Some(failed) = guard.failed.clone().or_else(|| choice.failure(&guard, before.as_ref())) else {
        let rejudges = choice.is_mistaken(&guard);
        return Rollback { rejudges, ..Rollback::default() }.remembering(AUTO_ROLLBACK, &guard);
    };
    let Failed { revision: number, why } = &failed;
    let is_back = guard.failed.is_some();
    let never = |why_not: &str| {
        let message = format!(
            "revision {number} failed: {why}. The last good one can't run again: {why_not}; mend in the spec what failed"
        );
        let notice = Some(Summary::Stalled(Reason::ProgressDeadlineExceeded, message));
        Rollback { keeps: is_back, notice, ..Rollback::default() }.remembering(AUTO_ROLLBACK, &guard)
    };
    let Some(good) = choice.revision(|revision| Some(&*revision.replica_set) == guard.good.as_deref()) else {
        return never(GONE);
    };
    let (want, template) = choice.former(good);
    let rollback = match template {
        Ok(template) => {
            let message = format!(
                "revision {number} failed: {why}. The last good one runs again, image {}, until the template that the spec declares or \
                 its configuration changes: mend there what failed",
                good.image
            );
            Rollback::running(template, Summary::Stalled(Reason::RolledBack, message))
                .remembering(AUTO_ROLLBACK, &Guard { failed: Some(failed), ..guard })
        }
        Err(Trouble::Unknown(why)) if is_back => Rollback::keeping(Summary::Waiting(Reason::Unavailable, why)),
        Err(Trouble::Unknown(_)) => Rollback::default().remembering(AUTO_ROLLBACK, &guard),
        Err(Trouble::Never(why)) => never(&why),
    };
    Rollback { want: Some(want), ..rollback }
}

impl Choice<'_> {
    /// What is to be remembered for the declared template: a new one begins with what ran well until then.
    fn next_guard(&self, before: Option<Guard>) -> Guard {
        let declared = hash::text(self.declared);
        let Some(before) = before else { return Guard { declared, good: self.runs_well(), done: false, failed: None } };
        let is_judged = before.done || before.failed.is_some();
        let runs_well = self.runs_well().filter(|_| !is_judged && !runs_what_was_asked(self));
        if before.declared != declared {
            return Guard { declared, good: runs_well.or(before.good), done: false, failed: None };
        }
        match runs_well {
            Some(good) => Guard { good: Some(good), done: true, ..before },
            None => before,
        }
    }

    /// The `ReplicaSet` of the template that the Deployment has, once that is rolled out to the end.
    fn runs_well(&self) -> Option<String> {
        let is_so = |workload: &&Workload| workload.is_complete() && workload.stuck.is_none() && workload.desired > 0;
        self.workload.filter(is_so)?;
        Some(self.current()?.replica_set.to_string())
    }

    /// Why the declared template failed, if it did and another can run in its place. The Deployment controller names what failed: its
    /// word may still be about another template.
    fn failure(&self, guard: &Guard, before: Option<&Guard>) -> Option<Failed> {
        let stuck = self.workload?.stuck.as_deref().filter(|_| before == Some(guard))?;
        let current = self.on_trial(guard)?;
        if !stuck.contains(&format!("\"{}\"", current.replica_set)) {
            return None;
        }
        let author = Author::of_app(&self.app.identity.name, self.app.spec);
        let worst = worst(&self.observed.pods, &current.replica_set);
        let why = worst.map_or_else(|| stuck.to_owned(), |problem| sentence(problem, author));
        Some(Failed { revision: current.number, why: cut(why.trim_end_matches('.'), QUOTE) })
    }

    /// Whether the Deployment controller would never say that the declared template failed.
    fn is_mistaken(&self, guard: &Guard) -> bool {
        let mistaken = |workload: &Workload| Some(workload.is_mistaken(&self.on_trial(guard)?.replica_set));
        self.workload.and_then(mistaken).unwrap_or(false)
    }

    /// The revision of the declared template, as long as that is not judged and another could run in its place.
    fn on_trial(&self, guard: &Guard) -> Option<&Revision> {
        let good = guard.good.as_deref().filter(|_| !guard.done && !runs_what_was_asked(self))?;
        self.current().filter(|current| *current.replica_set != *good)
    }

    /// The revision that the Deployment is at.
    fn current(&self) -> Option<&Revision> {
        let number = self.workload?.revision?;
        self.revision(|revision| revision.number == number)
    }
}
