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
use super::secret_key::SecretKey;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

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
    /// Keys that are mounted alone, as files. Without one they start, with an empty folder in its place.
    pub files: BTreeSet<String>,
    /// Whether they start without the object.
    pub optional: bool,
}

/// One object that is followed.
#[derive(Clone, Debug)]
pub struct Followed<'a> {
    /// What the pods read of it.
    pub reading: &'a Reading,
    /// What is known of it.
    pub known: Known<&'a Content>,
    /// By which key its hash is made, where not everybody who sees a Deployment may see it: they could guess at a plain one.
    pub key: Option<SecretKey>,
    /// Why it can't be followed now.
    pub obstacle: Option<Obstacle>,
}

/// Why an object can't be followed, though everything else works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// The operator may not look at it.
    Denied,
    /// The operator has no key for hashes of it.
    Keyless,
}

/// An object that is to be followed by the author's word, and can't be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfollowed {
    /// The object.
    pub reference: Reference,
    /// Why.
    pub obstacle: Obstacle,
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

    /// What is to be remembered next, given what is known of each object of that namespace that is followed.
    ///
    /// What is seen for the first time, or by another key, is remembered and rolls nothing out. While something is unknown everything
    /// stays as it is. Of what can't be followed the last that was seen is kept, to be compared when it can. So is, of what pods can't
    /// start without and is missing, the last that they had: they get what comes in its place, and those that wait for it need no
    /// restart.
    #[must_use]
    pub fn next(&self, namespace: &str, followed: &BTreeMap<&Reference, Followed<'_>>) -> Self {
        if followed.values().any(|it| it.obstacle.is_none() && it.known == Known::Unknown) {
            return self.clone();
        }
        let mut next = Self { rolled: self.rolled.clone(), seen: BTreeMap::new() };
        let mut changed = false;
        for (reference, followed) in followed {
            let name = format!("{}/{}", reference.kind.as_str(), reference.name);
            let before = self.seen.get(&name);
            let now = followed.hash(namespace, &name).or_else(|| before.cloned());
            changed |=
                before.zip(now.as_ref()).is_some_and(|(before, now)| before != now && are_by_one_key(before, now));
            next.seen.extend(now.map(|now| (name, now)));
        }
        if changed {
            next.rolled = Some(hash::text(&json!(next.seen)));
        }
        next
    }
}

/// What the hashes are for that a key makes.
const PURPOSE: &[u8] = b"moorage.dev/configuration/v1\0";
/// How much of one is kept.
const LENGTH: usize = 32;

/// Between the id of a key and a hash that was made by it.
const BY: char = ':';

/// Whether two hashes were made by the same key, or both by none.
fn are_by_one_key(one: &str, other: &str) -> bool {
    let key = |hash: &str| hash.split_once(BY).map(|(key, _)| key.to_owned());
    key(one) == key(other)
}

impl Followed<'_> {
    /// Hash of what is read, as it is remembered; `None` where it is not known, or pods can't start with what there is.
    fn hash(&self, namespace: &str, name: &str) -> Option<String> {
        if self.obstacle.is_some() {
            return None;
        }
        let plain = self.reading.hash(&self.known)?;
        let Some(key) = self.key else { return Some(plain) };
        // With its name, as two objects that hold the same are not to look the same.
        let mut made = key.derive(PURPOSE, format!("{namespace}/{name}/{plain}").as_bytes())?;
        made.truncate(LENGTH);
        Some(format!("{}{BY}{made}", key.id()?))
    }
}

impl Unfollowed {
    /// What is wrong and what to do.
    pub fn message(&self) -> String {
        let Self { reference, obstacle } = self;
        let kind = reference.kind.as_str();
        let component = reference.kind.component().unwrap_or_default();
        let why = match obstacle {
            Obstacle::Denied => format!(
                "the operator has no rights on {kind}s in this namespace; apply deploy/components/{component} and, in this \
                 namespace, binding.yaml of that folder"
            ),
            Obstacle::Keyless => format!(
                "the operator has no key for hashes of {kind}s, its log says why; apply deploy/components/{component}"
            ),
        };
        format!("{reference}: its changes restart nothing, as {why}, or unset spec.rollout.onConfigChange")
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
                missing.map(|key| format!("{reference} has no key {key}{}", has(reference, content))).collect()
            }
        }
    }

    /// The files that pods have not, though they run.
    pub fn lacking(&self, reference: &Reference, known: &Known<&Content>) -> Vec<String> {
        let Known::Known(content) = known else { return Vec::new() };
        let lacking = self.files.iter().filter(|key| content.key(key) == Known::Absent);
        let told = |key: &String| {
            format!(
                "{reference} has no key {key}, so pods have an empty folder in place of that file{}",
                has(reference, content)
            )
        };
        lacking.map(told).collect()
    }
}

/// Most keys that are named.
const NAMED: usize = 8;

/// The keys that there are, where they are everybody's to see who sees the App.
fn has(reference: &Reference, content: &Content) -> String {
    if reference.kind.component().is_some() {
        return String::new();
    }
    let keys = super::text::list(content.keys(), NAMED, ", ");
    if keys.is_empty() { "; it is empty".to_owned() } else { format!("; it has: {keys}") }
}
