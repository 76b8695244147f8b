//! A former revision's template in place of the declared one: whether it may run, and what that makes of a Deployment.

use super::validate::ValidApp;
use crate::core::conditions::Summary;
use crate::core::facts::Workload;
use crate::core::known::Known;
use crate::core::meta;
use crate::core::observed::Observed;
use crate::core::plan::PlanSettings;
use crate::core::revisions::Revision;
use crate::core::want::Want;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// What became of a revision that can't run again.
pub const GONE: &str = "its ReplicaSet is gone";

/// What a rollback makes of a Deployment.
#[derive(Debug, Default)]
pub struct Rollback {
    /// What the Deployment is to remember of it: annotations.
    pub remembered: BTreeMap<&'static str, String>,
    /// The template that runs in place of the declared one.
    pub template: Option<Value>,
    /// What runs is kept, whatever that is.
    pub keeps: bool,
    /// The Deployment controller has to judge the rollout anew.
    pub rejudges: bool,
    /// What has to be looked up first.
    pub want: Option<Want>,
    /// What is told of it; of a Ready one only if nothing else is amiss.
    pub notice: Option<Summary>,
}

impl Rollback {
    /// What runs is kept, and why is told.
    pub fn keeping(notice: Summary) -> Self {
        Self { keeps: true, notice: Some(notice), ..Self::default() }
    }

    /// A former template runs.
    pub fn running(template: Value, notice: Summary) -> Self {
        Self { template: Some(template), notice: Some(notice), ..Self::default() }
    }

    /// The Deployment is to remember that, too.
    #[must_use]
    pub fn remembering(mut self, annotation: &'static str, record: &impl Serialize) -> Self {
        self.remembered.extend(serde_json::to_string(record).ok().map(|text| (annotation, text)));
        self
    }
}

/// Why a former template does not run.
pub enum Trouble {
    /// It is being looked up.
    Unknown(String),
    /// It can't run again.
    Never(String),
}

/// Everything that decides which template runs.
pub struct Choice<'a> {
    /// The App.
    pub app: &'a ValidApp<'a>,
    /// The pod template that its spec declares.
    pub declared: &'a Value,
    /// What is known.
    pub observed: &'a Observed,
    /// The operator's settings.
    pub settings: &'a PlanSettings,
    /// Its live Deployment.
    pub workload: Option<&'a Workload>,
}

impl Choice<'_> {
    /// The revision that is so.
    pub fn revision(&self, is_it: impl Fn(&Revision) -> bool) -> Option<&Revision> {
        self.observed.revisions.iter().map(AsRef::as_ref).find(|revision| is_it(revision))
    }

    /// The template of a former revision, once it is known and may run, and what has to be looked up for it.
    pub fn former(&self, revision: &Revision) -> (Want, Result<Value, Trouble>) {
        let want = Want::Template { replica_set: revision.replica_set.clone(), parts: revision.parts.clone() };
        let answer = self.observed.answers.get(&want).cloned().unwrap_or_default();
        let template = match (answer.found, answer.trouble) {
            (Known::Known(template), _) => match self.refusal(&template) {
                None => Ok(Value::clone(&template)),
                Some(why) => Err(Trouble::Never(why)),
            },
            (Known::Absent, _) => Err(Trouble::Never(GONE.to_owned())),
            (Known::Unknown, trouble) => Err(Trouble::Unknown(format!(
                "revision {} is being looked up; what runs is kept until it is known. {}",
                revision.number,
                trouble.map_or_else(|| want.to_string(), Into::into)
            ))),
        };
        (want, template)
    }

    /// Why a former template is not run. Whoever can write a `ReplicaSet` must gain nothing by it, nor who was allowed more before.
    fn refusal(&self, template: &Value) -> Option<String> {
        let labels = &template["metadata"]["labels"];
        let wanted = meta::labels(&self.app.identity);
        if let Some((key, value)) = wanted.iter().find(|(key, value)| labels[key.as_str()] != value.as_str()) {
            return Some(format!("its pods lack the label {key}={value}, by which they are found"));
        }
        let account =
            |template: &Value| template["spec"]["serviceAccountName"].as_str().unwrap_or("default").to_owned();
        if account(template) != account(self.declared) {
            let account = account(template);
            return Some(format!(
                "its pods run as ServiceAccount {account}, and the spec says another; set spec.serviceAccount.name"
            ));
        }
        let own = self.settings.own.as_ref().filter(|own| own.namespace == self.app.identity.namespace)?;
        names(&template["spec"], &own.key).then(|| format!("it names {}, the operator's own key", own.key))
    }
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
