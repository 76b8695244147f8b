//! What `metadata.managedFields` tells: which fields are ours, and which of a few are held by others, and by whom.

use super::meta::{APPLIED_HASH, FIELD_MANAGER};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::fmt;

/// Fields that tell where an object comes from, if another manager holds them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// The annotation with the hash of what we applied, which nobody makes up: an object that was put there by another manager with it
    /// in is a copy of one of ours.
    pub applied_hash: bool,
    /// `spec.accessModes`, which a `PersistentVolumeClaim` must have from the start and never changes: whoever holds it made the
    /// object.
    pub access_modes: bool,
}

/// What the list tells.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Managed {
    /// The `fieldsV1` of our applies; null if there is none.
    pub ours: Value,
    /// That of our applies of the status; null if there is none.
    pub our_status: Value,
    /// What others hold of a few fields.
    pub marks: Marks,
    /// Of other managers that hold something of a pod template: the name, and the `fieldsV1` as far as it is about that.
    pub holders: Vec<(String, Value)>,
}

impl Marks {
    fn or(self, other: Self) -> Self {
        Self {
            applied_hash: self.applied_hash || other.applied_hash,
            access_modes: self.access_modes || other.access_modes,
        }
    }
}

/// Reads the entries of a list that is JSON already, by the rule of [`Entries`].
///
/// # Errors
/// Where it is no list of objects.
pub fn entries(managed: Value) -> Result<Managed, serde_json::Error> {
    Entries.deserialize(managed)
}

/// Whether an entry is that of our applies.
pub fn is_ours(entry: &Value) -> bool {
    matches!(EntrySeed.deserialize(entry), Ok(Entry::Ours(_)))
}

/// Whether an entry is that of another manager who holds the annotation with the hash of what we applied.
pub fn is_copier(entry: &Value) -> bool {
    matches!(EntrySeed.deserialize(entry), Ok(Entry::Others(_, found)) if found.marks.applied_hash)
}

/// What of a value a `fieldsV1` lists: fields of maps, and items of lists that are merged by keys or by value. Where it lists nothing
/// within a value, all of that is meant.
pub fn listed(value: &Value, fields: &Value) -> Value {
    let Some(steps) = fields.as_object().filter(|steps| !steps.is_empty()) else { return value.clone() };
    let is_item = |item: &Value, step: &str| {
        let named = |prefix: &str| step.strip_prefix(prefix).and_then(|json| serde_json::from_str::<Value>(json).ok());
        let by_keys = named("k:").is_some_and(|keys| {
            keys.as_object().is_some_and(|keys| keys.iter().all(|(key, value)| item.get(key) == Some(value)))
        });
        by_keys || named("v:").as_ref() == Some(item)
    };
    let of_item = |item: &Value| {
        let step = steps.iter().find(|(step, _)| is_item(item, step));
        step.map(|(_, fields)| listed(item, fields))
    };
    match value {
        Value::Object(map) => {
            let of_field = |(name, value): (&String, &Value)| {
                steps.get(&format!("f:{name}")).map(|fields| (name.clone(), listed(value, fields)))
            };
            map.iter().filter_map(of_field).collect()
        }
        Value::Array(items) => items.iter().filter_map(of_item).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// Reads a list of entries. The fields of others, which are most of it, are skipped unread but for what is asked of them.
pub struct Entries;

impl<'de> DeserializeSeed<'de> for Entries {
    type Value = Managed;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Managed, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Entries {
    type Value = Managed;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the entries of managedFields")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Managed, A::Error> {
        let mut told = Managed::default();
        while let Some(entry) = access.next_element_seed(EntrySeed)? {
            match entry {
                Entry::Ours(fields) if told.ours.is_null() => told.ours = fields,
                Entry::OurStatus(fields) if told.our_status.is_null() => told.our_status = fields,
                Entry::Ours(_) | Entry::OurStatus(_) => {}
                Entry::Others(manager, found) => {
                    told.marks = told.marks.or(found.marks);
                    let of_template = found.template.map(|fields| json!({"f:spec": {"f:template": fields}}));
                    told.holders.extend(of_template.map(|fields| (manager, fields)));
                }
            }
        }
        Ok(told)
    }
}

type Text<'de> = Option<Cow<'de, str>>;

/// One entry.
enum Entry {
    /// Its fields.
    Ours(Value),
    /// Its fields, which are a status's.
    OurStatus(Value),
    /// Its manager, and what was looked for in its fields.
    Others(String, Found),
}

/// What is looked for in the fields of others.
#[derive(Default)]
struct Found {
    marks: Marks,
    /// `f:template` of the `f:spec`.
    template: Option<Value>,
}

/// Reads one entry.
struct EntrySeed;

impl<'de> DeserializeSeed<'de> for EntrySeed {
    type Value = Entry;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for EntrySeed {
    type Value = Entry;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an entry of managedFields")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Entry, A::Error> {
        let (mut manager, mut may_be_ours, mut of_status) = (Text::None, true, false);
        let (mut fields, mut found) = (None, Found::default());
        while let Some(key) = access.next_key::<Cow<'de, str>>()? {
            match key.as_ref() {
                "manager" => {
                    manager = access.next_value()?;
                    may_be_ours &= manager.as_deref() == Some(FIELD_MANAGER);
                }
                "operation" => may_be_ours &= access.next_value::<Text<'de>>()?.as_deref() == Some("Apply"),
                "subresource" => {
                    let subresource = access.next_value::<Text<'de>>()?;
                    of_status = subresource.as_deref() == Some("status");
                    may_be_ours &= subresource.is_none() || of_status;
                }
                "fieldsV1" if may_be_ours => fields = access.next_value::<Option<Value>>()?,
                "fieldsV1" => found = access.next_value_seed(Level::Top)?,
                _ => drop(access.next_value::<IgnoredAny>()?),
            }
        }
        let manager = manager.unwrap_or_default().into_owned();
        Ok(match fields {
            Some(fields) if may_be_ours && of_status => Entry::OurStatus(fields),
            Some(fields) if may_be_ours => Entry::Ours(fields),
            Some(fields) => Entry::Others(manager, Level::Top.deserialize(fields).unwrap_or_default()),
            None => Entry::Others(manager, found),
        })
    }
}

/// Searches a `fieldsV1` from one of its levels on; what has another shape has nothing.
#[derive(Clone, Copy)]
enum Level {
    Top,
    Metadata,
    Annotations,
    Spec,
}

impl<'de> DeserializeSeed<'de> for Level {
    type Value = Found;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Found, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level {
    type Value = Found;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a set of fields")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Found, A::Error> {
        let mut found = Found::default();
        while let Some(key) = access.next_key::<Cow<'de, str>>()? {
            let below = match (self, key.strip_prefix("f:").unwrap_or_default()) {
                (Self::Top, "metadata") => Some(Self::Metadata),
                (Self::Metadata, "annotations") => Some(Self::Annotations),
                (Self::Top, "spec") => Some(Self::Spec),
                (Self::Spec, "template") => {
                    found.template = Some(access.next_value()?);
                    continue;
                }
                (level, field) => {
                    found.marks.applied_hash |= matches!(level, Self::Annotations) && field == APPLIED_HASH;
                    found.marks.access_modes |= matches!(level, Self::Spec) && field == "accessModes";
                    None
                }
            };
            match below {
                Some(level) => {
                    let below = access.next_value_seed(level)?;
                    found.marks = found.marks.or(below.marks);
                    found.template = found.template.or(below.template);
                }
                None => drop(access.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Found, A::Error> {
        while access.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Found::default())
    }

    fn visit_unit<E>(self) -> Result<Found, E> {
        Ok(Found::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Found, E> {
        Ok(Found::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Found, E> {
        Ok(Found::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Found, E> {
        Ok(Found::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Found, E> {
        Ok(Found::default())
    }

    fn visit_str<E>(self, _: &str) -> Result<Found, E> {
        Ok(Found::default())
    }
}

#[cfg(test)]
mod tests {
    use super::{Managed, Marks, entries, listed};
    use serde_json::{Value, json};

    fn marks(manager: &str, fields: &Value) -> Marks {
        // With the manager after its fields as well, which is not known then while they are read.
        let first = json!({"manager": manager, "operation": "Update", "fieldsV1": fields});
        let last = format!(r#"{{"fieldsV1": {fields}, "operation": "Update", "manager": "{manager}"}}"#);
        let read = entries(json!([first])).unwrap();
        let mut text = serde_json::Deserializer::from_str(&last);
        let turned = serde::de::DeserializeSeed::deserialize(super::EntrySeed, &mut text).unwrap();
        assert!(matches!(turned, super::Entry::Others(_, found) if found.marks == read.marks), "{last}");
        read.marks
    }

    #[test]
    fn what_others_hold_is_marked() {
        let hash = json!({"f:metadata": {"f:annotations": {".": {}, "f:moorage.dev/applied-hash": {}}}});
        assert_eq!(marks("velero-server", &hash), Marks { applied_hash: true, access_modes: false });
        let modes = json!({"f:spec": {"f:accessModes": {}, "f:resources": {"f:requests": {".": {}}}}});
        assert_eq!(marks("kubectl-create", &modes), Marks { applied_hash: false, access_modes: true });
        let other =
            json!({"f:metadata": {"f:labels": {"f:moorage.dev/applied-hash": {}}}, "f:status": {"f:accessModes": {}}});
        assert_eq!(marks("kubelet", &other), Marks::default());
        let ours = json!([{"manager": "moorage", "operation": "Apply", "fieldsV1": modes}]);
        assert_eq!(entries(ours).unwrap(), Managed { ours: modes, ..Managed::default() });
    }

    #[test]
    fn what_is_listed_of_a_value_is_ours() {
        let fields = json!({
            "f:conditions": {
                ".": {},
                "k:{\"type\":\"Ready\"}": {".": {}, "f:type": {}, "f:status": {}},
                "k:{\"type\":\"Gone\"}": {".": {}, "f:type": {}},
            },
            "f:consumers": {"v:\"App/shop\"": {}},
            "f:children": {},
            "f:observedGeneration": {},
        });
        let ready = json!({"type": "Ready", "status": "True"});
        let status = json!({
            "conditions": [{"type": "Audited", "status": "True"}, {"type": "Ready", "status": "True", "seen": 1}, "odd"],
            "consumers": ["App/shop", "App/other"],
            "children": [{"name": "a"}, {"name": "b"}],
            "observedGeneration": 3,
            "phase": "Fine",
        });
        let ours = json!({
            "conditions": [ready], "consumers": ["App/shop"], "children": status["children"], "observedGeneration": 3,
        });
        assert_eq!(listed(&status, &fields), ours);
        assert_eq!(listed(&ours, &fields), ours);
    }

    #[test]
    fn who_holds_something_of_a_pod_template_is_known() {
        let fields = json!({"f:spec": {"f:template": {"f:spec": {"f:hostNetwork": {}}}}});
        let entry =
            |manager: &str, fields: &Value| json!({"manager": manager, "operation": "Update", "fieldsV1": fields});
        let others = json!([entry("kubectl-edit", &fields), entry("scaler", &json!({"f:spec": {"f:replicas": {}}}))]);
        assert_eq!(entries(others).unwrap().holders, [("kubectl-edit".to_owned(), fields)]);
    }

    #[test]
    fn another_shape_marks_nothing_and_fails_nothing() {
        for odd in [json!(null), json!(1), json!(-1), json!(0.5), json!("f:spec"), json!(true), json!([{"f:spec": 1}])]
        {
            assert_eq!(marks("odd", &odd), Marks::default(), "{odd}");
            assert_eq!(marks("odd", &json!({"f:metadata": odd, "f:spec": odd})), Marks::default(), "{odd}");
        }
    }
}
