//! What `spec.rollout.toRevision` makes of the declared template.
//!
//! For which declared template it was asked for, the live Deployment remembers in an annotation, so that it ends when that template
//! changes, and a restart of the operator neither ends nor repeats it.

use super::rollback::{Choice, GONE, Rollback, Trouble};
use crate::core::conditions::Summary;
use crate::core::hash;
use crate::core::meta::{CONFIG_HASH, ROLLED_BACK};
use crate::core::reason::Reason;
use crate::core::text::list;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Most numbers of revisions that are told at once.
const NUMBERS: usize = 16;

/// What the Deployment remembers of it.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
struct Asked {
    /// The number that was asked for.
    revision: i32,
    /// The `ReplicaSet` that had it; its number changes once it runs again.
    replica_set: String,
    /// Hash of the template that was declared when it was asked for.
    declared: String,
}

/// What `toRevision` makes of the declared template.
pub fn to_revision(choice: &Choice<'_>, number: i32) -> Rollback {
    let declared = hash::text(&without_configuration(choice.declared));
    let before = was_asked(choice).filter(|before| before.revision == number);
    let revision = match &before {
        Some(before) if before.declared != declared => return stale(before),
        Some(before) => {
            let found = choice.revision(|revision| *revision.replica_set == *before.replica_set);
            found.ok_or_else(|| gone(number))
        }
        None => choice.revision(|revision| revision.has_number(number)).ok_or_else(|| missing(choice, number)),
    };
    let revision = match revision {
        Ok(revision) => revision,
        Err(invalid) => return Rollback::keeping(Summary::Stalled(Reason::InvalidSpec, invalid)),
    };
    let (want, template) = choice.former(revision);
    let rollback = match template {
        Ok(template) => {
            let message = format!(
                "revision {number} runs again, image {}, as spec.rollout.toRevision says, and not the template that the spec \
                 declares, until toRevision is unset or that template changes",
                revision.image
            );
            let asked = Asked { revision: number, replica_set: revision.replica_set.to_string(), declared };
            Rollback::running(template, Summary::Ready(Reason::RolledBack, message)).remembering(ROLLED_BACK, &asked)
        }
        Err(Trouble::Unknown(why)) => Rollback::keeping(Summary::Waiting(Reason::Unavailable, why)),
        Err(Trouble::Never(why)) => {
            let message = format!("spec.rollout.toRevision: must not be {number}: {why}; what runs is kept");
            Rollback::keeping(Summary::Stalled(Reason::InvalidSpec, message))
        }
    };
    Rollback { want: Some(want), ..rollback }
}

/// Whether the live Deployment has the template that `toRevision` asked for in place of this declared one.
pub fn runs_what_was_asked(choice: &Choice<'_>) -> bool {
    let declared = || hash::text(&without_configuration(choice.declared));
    was_asked(choice).is_some_and(|asked| asked.declared == declared())
}

fn was_asked(choice: &Choice<'_>) -> Option<Asked> {
    serde_json::from_str(choice.workload?.rolled_back.as_deref()?).ok()
}

fn missing(choice: &Choice<'_>, number: i32) -> String {
    let mut numbers: Vec<i32> = choice.observed.revisions.iter().map(|revision| revision.number).collect();
    numbers.sort_unstable_by_key(|number| std::cmp::Reverse(*number));
    let there_are = match numbers.len() {
        0 => "there is none yet".to_owned(),
        _ => format!("there are {}", list(numbers.iter().map(ToString::to_string), NUMBERS, ", ")),
    };
    format!(
        "spec.rollout.toRevision: must be the number of a revision, and {number} is none: {there_are}; what runs is kept"
    )
}

/// A change of the configuration alone is no other declaration: what runs is to be what ran.
fn without_configuration(declared: &Value) -> Value {
    let mut declared = declared.clone();
    if let Some(annotations) = declared["metadata"].get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.remove(CONFIG_HASH);
        if annotations.is_empty()
            && let Some(metadata) = declared["metadata"].as_object_mut()
        {
            metadata.remove("annotations");
        }
    }
    declared
}

fn stale(asked: &Asked) -> Rollback {
    let message = format!(
        "spec.rollout.toRevision: {} was for an earlier template and does nothing any more; unset it",
        asked.revision
    );
    let notice = Some(Summary::Ready(Reason::AsExpected, message));
    Rollback { notice, ..Rollback::default() }.remembering(ROLLED_BACK, asked)
}

fn gone(number: i32) -> String {
    format!("spec.rollout.toRevision: must be unset, or another than {number}: {GONE}; what runs is kept")
}
