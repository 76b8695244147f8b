//! What `metadata.managedFields` tells: which fields are ours, and which of a few are held by others as well.

use super::meta::{APPLIED_HASH, FIELD_MANAGER};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
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
pub fn entries(managed: Value) -> Result<(Value, Marks), serde_json::Error> {
    Entries.deserialize(managed)
}

/// Reads a list of entries: the `fieldsV1` of our applies, null if there is none, and what others hold. The fields of others, which
/// are most of it, are skipped unread but for the marks.
pub struct Entries;

impl<'de> DeserializeSeed<'de> for Entries {
    type Value = (Value, Marks);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Entries {
    type Value = (Value, Marks);

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the entries of managedFields")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let (mut ours, mut others) = (Value::Null, Marks::default());
        while let Some(entry) = access.next_element_seed(EntrySeed)? {
            match entry {
                (Some(fields), _) if ours.is_null() => ours = fields,
                (_, marks) => others = others.or(marks),
            }
        }
        Ok((ours, others))
    }
}

/// Reads one entry: its fields if it is ours, else its marks.
struct EntrySeed;

impl<'de> DeserializeSeed<'de> for EntrySeed {
    type Value = (Option<Value>, Marks);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for EntrySeed {
    type Value = (Option<Value>, Marks);

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an entry of managedFields")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let is = |found: Option<Cow<'de, str>>, wanted: Option<&str>| found.as_deref() == wanted;
        let (mut may_be_ours, mut fields, mut marks) = (true, None, Marks::default());
        while let Some(key) = access.next_key::<Cow<'de, str>>()? {
            match key.as_ref() {
                "manager" => may_be_ours &= is(access.next_value()?, Some(FIELD_MANAGER)),
                "operation" => may_be_ours &= is(access.next_value()?, Some("Apply")),
                "subresource" => may_be_ours &= is(access.next_value()?, None),
                "fieldsV1" if may_be_ours => fields = access.next_value::<Option<Value>>()?,
                "fieldsV1" => marks = access.next_value_seed(Level::Top)?,
                _ => drop(access.next_value::<IgnoredAny>()?),
            }
        }
        match fields {
            Some(fields) if !may_be_ours => Ok((None, Level::Top.deserialize(fields).unwrap_or_default())),
            fields => Ok((fields, marks)),
        }
    }
}

/// Searches a `fieldsV1` for the marks, from one of its levels on; what has another shape has none.
#[derive(Clone, Copy)]
enum Level {
    Top,
    Metadata,
    Annotations,
    Spec,
}

impl<'de> DeserializeSeed<'de> for Level {
    type Value = Marks;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Marks, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level {
    type Value = Marks;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a set of fields")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Marks, A::Error> {
        let mut marks = Marks::default();
        while let Some(key) = access.next_key::<Cow<'de, str>>()? {
            let below = match (self, key.strip_prefix("f:").unwrap_or_default()) {
                (Self::Top, "metadata") => Some(Self::Metadata),
                (Self::Metadata, "annotations") => Some(Self::Annotations),
                (Self::Top, "spec") => Some(Self::Spec),
                (level, field) => {
                    marks.applied_hash |= matches!(level, Self::Annotations) && field == APPLIED_HASH;
                    marks.access_modes |= matches!(level, Self::Spec) && field == "accessModes";
                    None
                }
            };
            match below {
                Some(level) => marks = marks.or(access.next_value_seed(level)?),
                None => drop(access.next_value::<IgnoredAny>()?),
            }
        }
        Ok(marks)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Marks, A::Error> {
        while access.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Marks::default())
    }

    fn visit_unit<E>(self) -> Result<Marks, E> {
        Ok(Marks::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Marks, E> {
        Ok(Marks::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Marks, E> {
        Ok(Marks::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Marks, E> {
        Ok(Marks::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Marks, E> {
        Ok(Marks::default())
    }

    fn visit_str<E>(self, _: &str) -> Result<Marks, E> {
        Ok(Marks::default())
    }
}

#[cfg(test)]
mod tests {
    use super::{Marks, entries};
    use serde_json::{Value, json};

    fn marks(manager: &str, fields: &Value) -> Marks {
        // With the manager after its fields as well, which is not known then while they are read.
        let first = json!({"manager": manager, "operation": "Update", "fieldsV1": fields});
        let last = format!(r#"{{"fieldsV1": {fields}, "operation": "Update", "manager": "{manager}"}}"#);
        let read = entries(json!([first])).unwrap();
        let mut text = serde_json::Deserializer::from_str(&last);
        let turned = serde::de::DeserializeSeed::deserialize(super::EntrySeed, &mut text).unwrap();
        assert_eq!((read.1, None), (turned.1, turned.0), "{last}");
        read.1
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
        assert_eq!(entries(ours).unwrap(), (modes, Marks::default()));
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
