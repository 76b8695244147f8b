//! A live object as it comes off the wire, with no more of `managedFields` than tells what is ours.
//!
//! It lives only from decoding to [`crate::core::observed::Child`]; nothing keeps one.

use super::managed::{Entries, Managed, Marks, entries};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::fmt;

/// How large a field at the top of an object may be, in bytes of JSON, to be read. A program's whole declaration is a tenth of that;
/// what is larger belongs into a `ConfigMap` that is mounted.
pub const LARGEST: usize = 256 * 1024;

/// A decoded object: its body as JSON, and the few metadata fields that a watch needs in typed form.
#[derive(Clone, Debug)]
pub struct Live {
    meta: ObjectMeta,
    /// The whole object except `metadata.managedFields` and what is larger than [`LARGEST`], which is null.
    pub body: Value,
    /// Whether something other than the status is larger than that.
    pub too_large: bool,
    /// What the API server lists as ours in `metadata.managedFields`: the `fieldsV1` of our applies; null if there is none.
    pub ours: Value,
    /// Likewise, of our applies of its status.
    pub our_status: Value,
    /// What it lists as other managers'.
    pub others: Marks,
    /// Who else holds something of its pod template, and what.
    pub holders: Vec<(String, Value)>,
}

impl Live {
    /// Wraps a body that is already JSON.
    pub fn new(mut body: Value) -> Self {
        let metadata = body.get_mut("metadata").and_then(Value::as_object_mut);
        let managed = metadata.and_then(|metadata| metadata.remove("managedFields"));
        let Managed { ours, our_status, marks: others, holders } =
            managed.and_then(|managed| entries(managed).ok()).unwrap_or_default();
        let text = |field: &str| body["metadata"][field].as_str().map(str::to_owned);
        let meta = ObjectMeta {
            name: text("name"),
            namespace: text("namespace"),
            resource_version: text("resourceVersion"),
            uid: text("uid"),
            ..ObjectMeta::default()
        };
        Self { meta, body, too_large: false, ours, our_status, others, holders }
    }

    /// `metadata.name`.
    pub fn name(&self) -> &str {
        self.meta.name.as_deref().unwrap_or_default()
    }

    /// `metadata.namespace`, empty for cluster-scoped objects.
    pub fn namespace(&self) -> &str {
        self.meta.namespace.as_deref().unwrap_or_default()
    }

    /// `metadata.uid`.
    pub fn uid(&self) -> &str {
        self.meta.uid.as_deref().unwrap_or_default()
    }

    /// `metadata.resourceVersion`. What comes off the wire always has one; 0 where an object was made without.
    pub fn version(&self) -> u64 {
        version(&self.meta)
    }

    /// `metadata.generation`, 0 for kinds that have none.
    pub fn generation(&self) -> i64 {
        self.body["metadata"]["generation"].as_i64().unwrap_or(0)
    }

    /// Whether `metadata.deletionTimestamp` is set.
    pub fn is_deleting(&self) -> bool {
        self.body["metadata"].get("deletionTimestamp").is_some()
    }

    /// `metadata.finalizers`.
    pub fn finalizers(&self) -> impl Iterator<Item = &str> {
        items(&self.body["metadata"]["finalizers"]).filter_map(Value::as_str)
    }

    /// One label's value.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.body["metadata"]["labels"].get(key)?.as_str()
    }

    /// One annotation's value.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.body["metadata"]["annotations"].get(key)?.as_str()
    }
}

/// The items of a list; none of what is no list.
pub fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

/// Lets a type with a field `meta` be read by whatever kind is asked for.
macro_rules! dynamic_resource {
    ($type:ty) => {
        impl kube::Resource for $type {
            type DynamicType = kube::core::ApiResource;
            type Scope = kube::core::DynamicResourceScope;

            fn kind(resource: &kube::core::ApiResource) -> std::borrow::Cow<'_, str> {
                resource.kind.as_str().into()
            }

            fn group(resource: &kube::core::ApiResource) -> std::borrow::Cow<'_, str> {
                resource.group.as_str().into()
            }

            fn version(resource: &kube::core::ApiResource) -> std::borrow::Cow<'_, str> {
                resource.version.as_str().into()
            }

            fn plural(resource: &kube::core::ApiResource) -> std::borrow::Cow<'_, str> {
                resource.plural.as_str().into()
            }

            fn meta(&self) -> &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
                &self.meta
            }

            fn meta_mut(&mut self) -> &mut k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
                &mut self.meta
            }
        }
    };
}
pub(crate) use dynamic_resource;

dynamic_resource!(Live);

/// `metadata.resourceVersion` as the number it is (Kubernetes documents it as an ordered decimal, KEP-5504); 0 where there is none.
pub fn version(meta: &ObjectMeta) -> u64 {
    meta.resource_version.as_deref().and_then(|text| text.parse().ok()).unwrap_or(0)
}

impl Serialize for Live {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.body.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Live {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (mut managed, mut too_large) = (Managed::default(), false);
        let seed = ObjectSeed { inside: Some("metadata"), managed: &mut managed, too_large: &mut too_large };
        let body = seed.deserialize(deserializer)?;
        let Managed { ours, our_status, marks: others, holders } = managed;
        let live = Self { too_large, ours, our_status, others, holders, ..Self::new(body) };
        if live.version() == 0 {
            let version = &live.body["metadata"]["resourceVersion"];
            return Err(de::Error::custom(format!("metadata.resourceVersion: {version} is not a number from 1 on")));
        }
        Ok(live)
    }
}

/// Reads a JSON object, and one of its fields by the same rule: in there, `managedFields` are not kept but read for what they tell.
struct ObjectSeed<'a> {
    inside: Option<&'static str>,
    managed: &'a mut Managed,
    too_large: &'a mut bool,
}

impl<'de> DeserializeSeed<'de> for ObjectSeed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ObjectSeed<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a Kubernetes object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = access.next_key::<Cow<'de, str>>()? {
            match self.inside {
                None if key == "managedFields" => {
                    *self.managed = access.next_value_seed(Entries)?;
                }
                Some(inside) if key == inside => {
                    let managed = &mut *self.managed;
                    let seed = ObjectSeed { inside: None, managed, too_large: &mut *self.too_large };
                    map.insert(key.into_owned(), access.next_value_seed(seed)?);
                }
                _ => {
                    // All annotations together are bounded by the API server, and may be needed to the last.
                    let mut left = Some(if self.inside.is_none() { 2 * LARGEST } else { LARGEST });
                    let value = access.next_value_seed(Bounded { left: &mut left })?;
                    *self.too_large |= left.is_none() && key != "status";
                    map.insert(key.into_owned(), if left.is_some() { value } else { Value::Null });
                }
            }
        }
        Ok(Value::Object(map))
    }
}

/// Reads a value as long as bytes are `left` for it, and skips what is beyond: then none are left.
struct Bounded<'a> {
    left: &'a mut Option<usize>,
}

impl Bounded<'_> {
    /// Takes so many bytes for what was just read; whether there were as many.
    fn take(&mut self, bytes: usize) -> bool {
        *self.left = self.left.and_then(|left| left.checked_sub(bytes));
        self.left.is_some()
    }

    fn text<T: Into<String> + AsRef<str>>(mut self, text: T) -> Value {
        if self.take(text.as_ref().len() + 2) { Value::String(text.into()) } else { Value::Null }
    }
}

impl<'de> DeserializeSeed<'de> for Bounded<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Bounded<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(mut self) -> Result<Value, E> {
        self.take(3);
        Ok(Value::Null)
    }

    fn visit_bool<E>(mut self, value: bool) -> Result<Value, E> {
        self.take(3);
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(self.text(value))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(self.text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        // An empty item takes two bytes and a comma, and a number may take two in all.
        while self.take(2) {
            match access.next_element_seed(Bounded { left: &mut *self.left })? {
                Some(item) => items.push(item),
                None => return Ok(Value::Array(items)),
            }
        }
        while access.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Null)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut access: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while self.take(2) {
            let Some(key) = access.next_key::<Cow<'de, str>>()? else { return Ok(Value::Object(map)) };
            self.take(key.len() + 2);
            let value = access.next_value_seed(Bounded { left: &mut *self.left })?;
            if !value.is_null() {
                map.insert(key.into_owned(), value);
            }
        }
        while access.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::Null)
    }
}

#[cfg(test)]
mod tests {
    use super::{LARGEST, Live};
    use serde_json::{Value, json};

    /// The object as it is read off the wire.
    fn read(fields: &Value) -> Live {
        let mut object = json!({"kind": "App", "metadata": {"name": "a", "resourceVersion": "7"}});
        object.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        serde_json::from_str(&object.to_string()).unwrap()
    }

    #[test]
    fn what_is_read_is_what_was_sent() {
        let spec =
            json!({"a": [1, -1, 0.5, true, null, "x", [], {}], "b": {"c": {"d": "e"}}, "f": u64::MAX, "ä\n": "ß\""});
        let live = read(&json!({"spec": spec.clone()}));
        assert_eq!((&live.body["spec"], live.too_large), (&spec, false));
    }

    /// Whatever it is made of, what is skipped is a little more than [`LARGEST`] at most, and what is read at least half of it.
    #[test]
    fn what_is_too_large_is_skipped() {
        let many = |item: Value, bytes: usize| Value::Array(vec![item.clone(); bytes / (item.to_string().len() + 1)]);
        let kinds: [fn(usize) -> Value; 5] = [
            |bytes| json!("x".repeat(bytes)),
            |bytes| json!({"x".repeat(bytes): 1}),
            |bytes| {
                json!(
                    (0..bytes / 16)
                        .map(|index| (format!("{index:010}"), json!("1")))
                        .collect::<serde_json::Map<_, _>>()
                )
            },
            |bytes| json!((0..bytes / 14).map(|_| json!({"name": "a"})).collect::<Vec<_>>()),
            |bytes| json!({"a": {"b": {"c": "x".repeat(bytes)}}}),
        ];
        for (number, value) in kinds.iter().enumerate() {
            for (bytes, too_large) in [(LARGEST / 2, false), (LARGEST + 1000, true)] {
                let live = read(&json!({"spec": value(bytes), "status": value(bytes)}));
                assert_eq!(live.too_large, too_large, "{number}: {bytes}");
                assert_eq!(
                    live.body["spec"].is_null() && live.body["status"].is_null(),
                    too_large,
                    "{number}: {bytes}"
                );
                assert_eq!(live.name(), "a");
            }
        }
        for item in [json!(1), json!([]), json!({}), json!(""), json!(null)] {
            assert!(read(&json!({"spec": many(item.clone(), 2 * LARGEST)})).too_large, "{item}");
        }
        assert!(!read(&json!({"spec": 1, "status": "x".repeat(LARGEST)})).too_large, "a status is written anew");
    }

    #[test]
    fn of_managed_fields_only_our_own_are_kept() {
        let object = json!({
            "kind": "Service",
            "metadata": {"name": "a", "uid": "u", "resourceVersion": "7", "managedFields": [
                {"manager": "x", "operation": "Apply", "fieldsV1": {"f:spec": 1}},
                {"manager": "moorage", "operation": "Update", "fieldsV1": {"f:spec": 2}},
                {"manager": "moorage", "operation": "Apply", "fieldsV1": {"f:spec": 3}, "subresource": "status"},
                {"manager": "moorage", "operation": "Apply", "fieldsV1": {"f:spec": 4}},
            ]},
            "spec": {"managedFields": 1}
        });
        let live: Live = serde_json::from_value(object.clone()).unwrap();
        assert_eq!((live.version(), &live.ours), (7, &json!({"f:spec": 4})));
        assert_eq!(Live::new(object).ours, live.ours);
        assert!(live.body["metadata"].get("managedFields").is_none());
        assert_eq!(live.body["spec"]["managedFields"], 1);
    }

    #[test]
    fn a_field_that_is_null_is_not_there() {
        let spec = json!({"env": null, "pod": {"labels": null, "annotations": {}}, "args": [null, {"a": null}]});
        let bare = json!({"pod": {"annotations": {}}, "args": [null, {}]});
        let object = json!({"metadata": {"name": "a", "resourceVersion": "7"}, "spec": spec});
        let live: Live = serde_json::from_value(object).unwrap();
        assert_eq!(live.body["spec"], bare);
    }

    /// Taken for 0, it would make everything that follows look old.
    #[test]
    fn a_version_that_is_no_number_is_refused() {
        for version in [json!("a7"), json!(""), json!("0"), json!("-1"), json!(7), json!(null)] {
            let object = json!({"kind": "Service", "metadata": {"name": "a", "resourceVersion": version}});
            let error = serde_json::from_value::<Live>(object).unwrap_err().to_string();
            assert!(error.starts_with("metadata.resourceVersion"), "{error}");
        }
    }
}
