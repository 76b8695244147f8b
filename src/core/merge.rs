//! How each field of our children merges under server-side apply, and what of an object is ours.
//!
//! The rules are those of the API server's own `OpenAPI` (`x-kubernetes-list-type` and its siblings), made short: `merge.json` is
//! generated from it and held by `tests/cluster/merge.rs`. What is ours is what the API server says in our entry of
//! `metadata.managedFields`: it takes from us what another manager changes.

use super::kind::ChildKind;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::vec_deque::Iter;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::LazyLock;

/// How one field merges. Where nothing is said, maps merge by field, lists are one value, and scalars are equal or not.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// A map that is one value.
    pub atomic: bool,
    /// A list merged by value.
    pub set: bool,
    /// Fields by which the items of a list are merged.
    pub keys: Vec<String>,
    /// A quantity, which has several spellings.
    pub quantity: bool,
    fields: BTreeMap<String, Rules>,
    items: Option<Box<Rules>>,
    values: Option<Box<Rules>>,
}

static NONE: Rules = Rules {
    atomic: false,
    set: false,
    keys: Vec::new(),
    quantity: false,
    fields: BTreeMap::new(),
    items: None,
    values: None,
};

#[allow(clippy::expect_used, reason = "the file is a part of the program, and a test reads it")]
static KINDS: LazyLock<BTreeMap<String, Rules>> =
    LazyLock::new(|| serde_json::from_str(include_str!("merge.json")).expect("merge.json can be read"));

impl Rules {
    /// Those of a whole object.
    pub fn of(kind: ChildKind) -> &'static Self {
        KINDS.get(kind.as_str()).unwrap_or(&NONE)
    }

    /// Those of one field of a map.
    pub fn field(&self, name: &str) -> &Self {
        self.fields.get(name).or(self.values.as_deref()).unwrap_or(&NONE)
    }

    /// Those of the items of a list.
    pub fn item(&self) -> &Self {
        self.items.as_deref().unwrap_or(&NONE)
    }
}

/// What of a value is ours.
#[derive(Clone, Copy, Debug)]
pub enum Ours<'a> {
    /// All that we applied, as nothing was taken from us since.
    All,
    /// What the API server lists: a part of `fieldsV1`, or nothing.
    Listed(Option<&'a Value>),
}

impl Ours<'_> {
    /// Whether this very value is ours.
    pub const fn holds(self) -> bool {
        matches!(self, Self::All | Self::Listed(Some(_)))
    }

    /// What of one field is.
    #[must_use]
    pub fn field(self, name: &str) -> Self {
        match self {
            Self::All => Self::All,
            Self::Listed(fields) => Self::Listed(fields.and_then(|fields| fields.get(format!("f:{name}")))),
        }
    }

    /// What of one item of a list merged by those keys is. A key that the item leaves out has a default, which any matches.
    #[must_use]
    pub fn item(self, keys: &[String], item: &Value) -> Self {
        let Self::Listed(fields) = self else { return Self::All };
        let is_item = |step: &str| {
            let named: Option<Value> = step.strip_prefix("k:").and_then(|json| serde_json::from_str(json).ok());
            named.is_some_and(|named| is_item(keys, item, &named))
        };
        let items = fields.and_then(Value::as_object).into_iter().flatten();
        Self::Listed(items.into_iter().find(|(step, _)| is_item(step)).map(|(_, fields)| fields))
    }
}

/// Whether an item of a list merged by those keys is the one that `other` is. A key that the item leaves out has a default, which any
/// matches.
pub fn is_item(keys: &[String], item: &Value, other: &Value) -> bool {
    keys.iter().all(|key| item.get(key).is_none_or(|value| other.get(key) == Some(value)))
}

/// Where in an object a value stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Path(VecDeque<Step>);

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Field(String),
    /// An item of a list that is merged by keys: those that it has.
    Item(Map<String, Value>),
    /// An item of a list that is one value.
    Index(usize),
}

impl Path {
    /// The same place, seen from the map whose field it is in.
    #[must_use]
    pub fn within_field(mut self, name: &str) -> Self {
        self.0.push_front(Step::Field(name.to_owned()));
        self
    }

    /// The same place, seen from the object that has it under these fields, one within the other.
    #[must_use]
    pub fn within_fields(self, names: &[&str]) -> Self {
        names.iter().rev().fold(self, |path, name| path.within_field(name))
    }

    /// The same place, seen from the list whose item it is in.
    #[must_use]
    pub fn within_item(mut self, keys: &[String], item: &Value) -> Self {
        let named = keys.iter().filter_map(|key| Some((key.clone(), item.get(key)?.clone())));
        self.0.push_front(Step::Item(named.collect()));
        self
    }

    /// The same place, seen from the list that is one value and has it as that item.
    #[must_use]
    pub fn within_index(mut self, index: usize) -> Self {
        self.0.push_front(Step::Index(index));
        self
    }

    /// Whether a `fieldsV1` lists this place, or the value that it is a part of.
    pub fn is_in(&self, fields: &Value) -> bool {
        let mut ours = Ours::Listed(Some(fields));
        for step in &self.0 {
            if matches!(ours, Ours::Listed(Some(Value::Object(fields))) if fields.is_empty()) {
                return true;
            }
            ours = match step {
                Step::Field(name) => ours.field(name),
                // A list that is one value is listed as such.
                Step::Index(_) => Ours::Listed(None),
                Step::Item(item) => {
                    let keys: Vec<String> = item.keys().cloned().collect();
                    ours.item(&keys, &Value::Object(item.clone()))
                }
            };
        }
        ours.holds()
    }

    /// Takes this place out of a `fieldsV1` that lists it; what was taken, as such a list.
    pub fn take_from(&self, fields: &mut Value) -> Option<Value> {
        take(&mut self.0.iter(), fields)
    }

    /// The value that stands there; null where there is nothing.
    pub fn value<'a>(&self, object: &'a Value) -> &'a Value {
        let is =
            |item: &Map<String, Value>, other: &Value| item.iter().all(|(key, value)| other.get(key) == Some(value));
        self.0.iter().fold(object, |value, step| match step {
            Step::Field(name) => &value[name.as_str()],
            Step::Index(index) => value.get(index).unwrap_or(&Value::Null),
            Step::Item(item) => {
                value.as_array().and_then(|items| items.iter().find(|other| is(item, other))).unwrap_or(&Value::Null)
            }
        })
    }

    /// Whether it lies in that field.
    pub fn starts_with(&self, fields: &[&str]) -> bool {
        let is = |(step, field): (&Step, &&str)| matches!(step, Step::Field(name) if name == field);
        self.0.len() >= fields.len() && self.0.iter().zip(fields).all(is)
    }
}

impl Step {
    /// Whether a name of a `fieldsV1` is that of this step.
    fn is(&self, name: &str) -> bool {
        match self {
            Self::Field(field) => name.strip_prefix("f:") == Some(field),
            Self::Item(item) => {
                let named = name.strip_prefix("k:").and_then(|json| serde_json::from_str::<Value>(json).ok());
                named.is_some_and(|named| item.iter().all(|(key, value)| named.get(key) == Some(value)))
            }
            Self::Index(_) => false,
        }
    }
}

/// A field that is left with nothing below it would be listed itself, so it goes too.
fn take(steps: &mut Iter<'_, Step>, fields: &mut Value) -> Option<Value> {
    let (step, fields) = (steps.next()?, fields.as_object_mut()?);
    let name = fields.keys().find(|name| step.is(name))?.clone();
    let taken = if steps.len() == 0 {
        fields.remove(&name)?
    } else {
        let below = fields.get_mut(&name)?;
        let taken = take(steps, below)?;
        if below.as_object().is_some_and(Map::is_empty) {
            fields.remove(&name);
        }
        taken
    };
    Some(json!({name: taken}))
}

impl fmt::Display for Path {
    /// As in `spec.containers[name=web].image` and `metadata.labels["app.kubernetes.io/name"]`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.0.iter().enumerate() {
            match step {
                Step::Field(name) if name.contains(['.', '/']) => write!(formatter, "[{name:?}]")?,
                Step::Field(name) if index == 0 => formatter.write_str(name)?,
                Step::Field(name) => write!(formatter, ".{name}")?,
                Step::Index(index) => write!(formatter, "[{index}]")?,
                Step::Item(item) => {
                    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    let keys: Vec<String> = item.iter().map(|(key, value)| format!("{key}={}", text(value))).collect();
                    write!(formatter, "[{}]", keys.join(","))?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{ChildKind, NONE, Ours, Rules};
    use crate::shell::kinds::MANAGED;
    use serde_json::json;

    #[test]
    fn every_kind_has_rules() {
        for row in MANAGED {
            assert_ne!(Rules::of(row.kind), &NONE, "{}", row.kind);
        }
        let container =
            Rules::of(ChildKind::Deployment).field("spec").field("template").field("spec").field("containers");
        assert_eq!(container.keys, ["name"]);
        assert!(container.item().field("resources").field("limits").field("nvidia.com/gpu").quantity);
        assert!(Rules::of(ChildKind::Service).field("spec").field("selector").atomic);
    }

    #[test]
    fn what_is_ours_is_found_by_field_and_by_key() {
        let listed =
            json!({"f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}}}, "f:selector": {}});
        let ours = Ours::Listed(Some(&listed));
        let keys = ["port".to_owned(), "protocol".to_owned()];
        assert!(ours.field("selector").holds() && !ours.field("type").holds());
        let port = |port: u16| ours.field("ports").item(&keys, &json!({"port": port}));
        assert!(port(80).field("port").holds() && !port(80).field("name").holds() && !port(81).holds());
    }
}
