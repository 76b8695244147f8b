//! One object as it is applied.

use super::hash;
use super::kind::ChildKind;
use super::live::Live;
use super::meta::APPLIED_HASH;
use serde::Serialize;
use serde_json::{Value, json};

/// One object that must exist, exactly as it is applied.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// Its kind.
    pub kind: ChildKind,
    /// Its name.
    pub name: String,
    /// The body to apply, with the applied-hash annotation in it.
    pub body: Value,
    /// Hash of the body.
    pub hash: u64,
    /// Whether an object of that name which nobody controls may be taken over.
    pub adopt: bool,
    /// Whether it is neither made nor changed for now, as something that it depends on must be known first.
    pub held: bool,
    /// The field of the parent's spec that declares its spec, where there is one.
    pub declared: Option<Box<str>>,
    /// What it lacks of one that was there before: to be told once it is made.
    pub follows: Option<Former>,
}

/// What an object lacks that is made in place of one that is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Former {
    /// The data of that `PersistentVolume`.
    Volume(Box<str>),
    /// The tokens that pods of that Deployment have.
    Tokens(Box<str>),
}

impl Object {
    /// Makes the applied form of a typed object: no nulls, no status, and the hash of it all as an annotation.
    ///
    /// # Errors
    /// Fails when the object can't be expressed as JSON, which no Kubernetes type does.
    pub fn new<K: Serialize>(kind: ChildKind, object: &K) -> Result<Self, serde_json::Error> {
        let mut body = serde_json::to_value(object)?;
        strip_nulls(&mut body);
        if let Some(map) = body.as_object_mut() {
            map.remove("status");
        }
        let hash = hash::of(&body);
        let annotations = &mut body["metadata"]["annotations"];
        if annotations.is_null() {
            *annotations = json!({});
        }
        annotations[APPLIED_HASH] = Value::String(format!("{hash:016x}"));
        let name = body["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        Ok(Self { kind, name, body, hash, adopt: false, held: false, declared: None, follows: None })
    }
}

impl Object {
    /// The fields that are compared. Items of a list carry no `apiVersion` and `kind`, which are known from the watch anyway.
    pub fn fields(&self) -> impl Iterator<Item = (&String, &Value)> {
        let fields = self.body.as_object().into_iter().flatten();
        fields.filter(|(field, _)| !matches!(field.as_str(), "apiVersion" | "kind"))
    }

    /// The annotation by which it is known what was applied.
    pub fn applied_hash(&self) -> Option<&str> {
        self.body["metadata"]["annotations"][APPLIED_HASH].as_str()
    }

    /// Whether a live object says that it was applied as this one. That covers the parent, so it was made for this very one, even
    /// where nothing else says so any more.
    pub fn is_told_by(&self, live: &Live) -> bool {
        live.annotation(APPLIED_HASH).is_some_and(|hash| Some(hash) == self.applied_hash())
    }
}

/// Leaves out fields without a value. `null` on the wire would claim a field only to empty it; the API server prunes it from what it reads.
pub fn strip_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, inner| !inner.is_null());
            map.values_mut().for_each(strip_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(strip_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
