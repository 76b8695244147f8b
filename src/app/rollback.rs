//! Which pod template runs: the declared one, or that of a former revision.
//!
//! For which template a rollback was asked, the live Deployment remembers in an annotation, so that it ends when the template changes,
//! and a restart of the operator neither ends nor repeats it.

use super::validate::ValidApp;
use crate::core::conditions::Summary;
use crate::core::hash;
use crate::core::known::Known;
use crate::core::meta::{self, CONFIG_HASH};
use crate::core::observed::Observed;
use crate::core::plan::PlanSettings;
use crate::core::reason::Reason;
use crate::core::revisions::Revision;
use crate::core::text::list;
use crate::core::want::Want;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Most numbers of revisions that are told at once.
const NUMBERS: usize = 16;

/// What a rollback makes of a Deployment.
#[derive(Debug, Default)]
pub struct Rollback {
    /// What the Deployment is to remember of it.
    pub record: Option<String>,
    /// The template that runs in place of the declared one.
    pub template: Option<Value>,
    /// What runs is kept, whatever that is.
    pub keeps: bool,
    /// What has to be looked up first.
    pub want: Option<Want>,
    /// What is told of it; of a Ready one only if nothing else is amiss.
    pub notice: Option<Summary>,
}

/// What the Deployment remembers of a rollback.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
struct Record {
    /// The number that was asked for.
    revision: i32,
    /// The `ReplicaSet` that had it; its number changes once it runs again.
    replica_set: String,
    /// Hash of the template that was declared when it was asked for.
    declared: String,
}

/// What `spec.rollout.toRevision` makes of the declared template.
pub fn rollback(app: &ValidApp<'_>, declared: &Value, observed: &Observed, settings: &PlanSettings) -> Rollback {
    let Some(number) = app.spec.rollout.as_ref().and_then(|rollout| rollout.to_revision) else {
        return Rollback::default();
    };
    let remembered = observed.workload(&app.identity.name).and_then(|workload| workload.rolled_back.as_deref());
    let before: Option<Record> = remembered.and_then(|text| serde_json::from_str(text).ok());
    let before = before.filter(|record| record.revision == number);
    let declared_hash = hash::text(&without_configuration(declared));
    match before {
        Some(record) if record.declared != declared_hash => stale(&record),
        Some(record) => {
            let revision = observed.revisions.iter().find(|revision| *revision.replica_set == *record.replica_set);
            match revision {
                Some(revision) => run(app, declared, observed, settings, revision, &record),
                None => kept(Summary::Stalled(Reason::InvalidSpec, gone(number))),
            }
        }
        None => match observed.revisions.iter().find(|revision| revision.has_number(number)) {
            Some(revision) => {
                let replica_set = revision.replica_set.to_string();
                let record = Record { revision: number, replica_set, declared: declared_hash };
                run(app, declared, observed, settings, revision, &record)
            }
            None => kept(Summary::Stalled(Reason::InvalidSpec, missing(number, observed))),
        },
    }
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

fn kept(notice: Summary) -> Rollback {
    Rollback { keeps: true, notice: Some(notice), ..Rollback::default() }
}

fn stale(record: &Record) -> Rollback {
    let message = format!(
        "as declared; spec.rollout.toRevision: {} was for an earlier template and does nothing any more: unset it",
        record.revision
    );
    let notice = Some(Summary::Ready(Reason::AsExpected, message));
    Rollback { record: serde_json::to_string(record).ok(), notice, ..Rollback::default() }
}

fn run(
    app: &ValidApp<'_>,
    declared: &Value,
    observed: &Observed,
    settings: &PlanSettings,
    revision: &Revision,
    record: &Record,
) -> Rollback {
    let number = record.revision;
    let want = Want::Template { replica_set: revision.replica_set.clone(), parts: revision.parts.clone() };
    let answer = observed.answers.get(&want).cloned().unwrap_or_default();
    let outcome = match (answer.found, answer.trouble) {
        (Known::Known(template), _) => match refusal(app, declared, settings, &template) {
            None => Ok(Value::clone(&template)),
            Some(why) => {
                let message = format!("spec.rollout.toRevision: must not be {number}: {why}; what runs is kept");
                Err(Summary::Stalled(Reason::InvalidSpec, message))
            }
        },
        (Known::Absent, _) => Err(Summary::Stalled(Reason::InvalidSpec, gone(number))),
        (Known::Unknown, trouble) => {
            let trouble = trouble.map_or_else(|| want.to_string(), Into::into);
            let message =
                format!("revision {number} is being looked up; what runs is kept until it is known. {trouble}");
            Err(Summary::Waiting(Reason::Unavailable, message))
        }
    };
    match outcome {
        Ok(template) => {
            let message = format!(
                "revision {number} runs again, image {}, as spec.rollout.toRevision says, and not the template that the spec \
                 declares, until toRevision is unset or that template changes",
                revision.image
            );
            let notice = Some(Summary::Ready(Reason::RolledBack, message));
            let record = serde_json::to_string(record).ok();
            Rollback { record, template: Some(template), keeps: false, want: Some(want), notice }
        }
        Err(notice) => Rollback { want: Some(want), ..kept(notice) },
    }
}

/// Why a former template is not run. Whoever can write a `ReplicaSet` must gain nothing by it, nor who was allowed more before.
fn refusal(app: &ValidApp<'_>, declared: &Value, settings: &PlanSettings, template: &Value) -> Option<String> {
    let labels = &template["metadata"]["labels"];
    if let Some((key, value)) =
        meta::labels(&app.identity).iter().find(|(key, value)| labels[key.as_str()] != value.as_str())
    {
        return Some(format!("its pods lack the label {key}={value}, by which they are found"));
    }
    let account = |template: &Value| template["spec"]["serviceAccountName"].as_str().unwrap_or("default").to_owned();
    if account(template) != account(declared) {
        let account = account(template);
        return Some(format!(
            "its pods run as ServiceAccount {account}, and the spec says another; set spec.serviceAccount.name"
        ));
    }
    let own = settings.own.as_ref().filter(|own| own.namespace == app.identity.namespace)?;
    names(&template["spec"], &own.key).then(|| format!("it names {}, the operator's own key", own.key))
}

/// Whether a string stands anywhere in a value.
fn names(value: &Value, name: &str) -> bool {
    match value {
        Value::String(text) => text == name,
        Value::Array(items) => items.iter().any(|item| names(item, name)),
        Value::Object(map) => map.values().any(|inner| names(inner, name)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn gone(number: i32) -> String {
    format!(
        "spec.rollout.toRevision: must be unset, or another than {number}: its ReplicaSet is gone; what runs is kept"
    )
}

fn missing(number: i32, observed: &Observed) -> String {
    let mut numbers: Vec<i32> = observed.revisions.iter().map(|revision| revision.number).collect();
    numbers.sort_unstable_by_key(|number| std::cmp::Reverse(*number));
    let there_are = match numbers.len() {
        0 => "there is none yet".to_owned(),
        _ => format!("there are {}", list(numbers.iter().map(ToString::to_string), NUMBERS, ", ")),
    };
    format!(
        "spec.rollout.toRevision: must be the number of a revision, and {number} is none: {there_are}; what runs is kept"
    )
}
