//! Which configuration the pods of a Deployment are known to have, and whether another has to be rolled out.
//!
//! The memory of it lies on the Deployment itself, so whoever looks at that comes to the same end: a restart, a new leader and a new
//! version of the operator roll nothing out.

use super::content::Content;
use super::hash;
use super::known::Known;
use super::live::Live;
use super::meta::{CONFIG_HASH, CONFIGURATION};
use super::reference::Reference;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What a Deployment remembers of configuration.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
pub struct Configuration {
    /// Hash in the pod template; none before the first change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolled: Option<String>,
    /// Hash of what the pods read, by kind and name of the object.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub seen: BTreeMap<String, String>,
}

/// What pods read of one object, from all places that name it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Whether they read all of it.
    pub whole: bool,
    /// The keys that they read, each with whether they start without it.
    pub keys: BTreeMap<String, bool>,
    /// Whether they start without the object.
    pub optional: bool,
}

impl Configuration {
    /// What a live Deployment remembers. Where its own annotation is lost, the one of its template still tells what runs.
    pub fn of(live: &Live) -> Option<Self> {
        let kept = live.annotation(CONFIGURATION).and_then(|text| serde_json::from_str::<Self>(text).ok());
        let template = &live.body["spec"]["template"]["metadata"]["annotations"][CONFIG_HASH];
        let kept = kept.unwrap_or_else(|| Self { rolled: template.as_str().map(str::to_owned), ..Self::default() });
        Some(kept).filter(|kept| *kept != Self::default())
    }

    /// As it stands in the annotation; nothing where there is nothing to remember.
    pub fn annotation(&self) -> Option<String> {
        (*self != Self::default()).then(|| json!(self).to_string())
    }

    /// What is to be remembered next, given what is known of each object that is followed.
    ///
    /// What is seen for the first time is remembered and rolls nothing out. While something is unknown everything stays as it is.
    /// Of what pods can't start without, and is missing, the last that they had is kept: they get what comes in its place, and
    /// those that wait for it need no restart.
    #[must_use]
    pub fn next(&self, followed: &BTreeMap<&Reference, (&Reading, Known<&Content>)>) -> Self {
        if followed.values().any(|(_, known)| *known == Known::Unknown) {
            return self.clone();
        }
        let mut next = Self { rolled: self.rolled.clone(), seen: BTreeMap::new() };
        let mut changed = false;
        for (reference, (reading, known)) in followed {
            let name = format!("{}/{}", reference.kind.as_str(), reference.name);
            let before = self.seen.get(&name);
            let now = reading.hash(known).or_else(|| before.cloned());
            changed |= before.is_some() && before != now.as_ref();
            next.seen.extend(now.map(|now| (name, now)));
        }
        if changed {
            next.rolled = Some(hash::text(&json!(next.seen)));
        }
        next
    }
}

impl Reading {
    /// Hash of what is read; `None` where pods can't start with what there is.
    fn hash(&self, known: &Known<&Content>) -> Option<String> {
        let content = match known {
            Known::Unknown => return None,
            Known::Absent if !self.optional => return None,
            Known::Absent => None,
            Known::Known(content) => Some(content),
        };
        let mut parts: Vec<Value> = Vec::new();
        for (key, optional) in &self.keys {
            parts.push(match content.map(|content| content.key(key)) {
                Some(Known::Known(hash)) => json!([key, hash]),
                Some(Known::Unknown) => json!([key, content.map(|content| content.hash())]),
                Some(Known::Absent) if !optional => return None,
                Some(Known::Absent) | None => json!([key]),
            });
        }
        if self.whole {
            parts.push(json!(content.map(|content| content.hash())));
        }
        Some(hash::text(&Value::Array(parts)))
    }

    /// What pods can't start without and is missing, in words; nothing of what is unknown.
    pub fn missing(&self, reference: &Reference, known: &Known<&Content>) -> Vec<String> {
        match known {
            Known::Absent if !self.optional => vec![format!("{reference} does not exist")],
            Known::Unknown | Known::Absent => Vec::new(),
            Known::Known(content) => {
                let needed = self.keys.iter().filter(|(_, optional)| !**optional).map(|(key, _)| key);
                let missing = needed.filter(|key| content.key(key) == Known::Absent);
                missing.map(|key| format!("{reference} has no key {key}; {}", has(content))).collect()
            }
        }
    }
}

/// Most keys that are named.
const NAMED: usize = 8;

fn has(content: &Content) -> String {
    let keys = super::text::list(content.keys(), NAMED, ", ");
    if keys.is_empty() { "it is empty".to_owned() } else { format!("it has: {keys}") }
}
