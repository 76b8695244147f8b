//! A live object as it comes off the wire, with no more of `managedFields` than tells what is ours.
//!
//! It lives only from decoding to [`crate::core::observed::Child`]; nothing keeps one.

use super::meta::FIELD_MANAGER;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::{ApiResource, DynamicResourceScope};
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::fmt;

/// A decoded object: its body as JSON, and the few metadata fields that a watch needs in typed form.
#[derive(Clone, Debug)]
pub struct Live {
    meta: ObjectMeta,
    /// The whole object except `metadata.managedFields`.
    pub body: Value,
    /// What the API server lists as ours in `metadata.managedFields`: the `fieldsV1` of our applies; null if there is none.
    pub ours: Value,
}

impl Live {
    /// Wraps a body that is already JSON.
    pub fn new(mut body: Value) -> Self {
        let metadata = body.get_mut("metadata").and_then(Value::as_object_mut);
        let managed = metadata.and_then(|metadata| metadata.remove("managedFields"));
        let managed = managed.and_then(|managed| serde_json::from_value::<Vec<Managed>>(managed).ok());
        let ours = managed.into_iter().flatten().find_map(Managed::ours).unwrap_or_default();
        let text = |field: &str| body["metadata"][field].as_str().map(str::to_owned);
        let meta = ObjectMeta {
            name: text("name"),
            namespace: text("namespace"),
            resource_version: text("resourceVersion"),
            uid: text("uid"),
            ..ObjectMeta::default()
        };
        Self { meta, body, ours }
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

    /// `metadata.resourceVersion` as the number it is (Kubernetes documents it as an ordered decimal, KEP-5504). What comes off the
    /// wire always has one; 0 where an object was made without.
    pub fn version(&self) -> u64 {
        self.meta.resource_version.as_deref().and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// `metadata.generation`, 0 for kinds that have none.
    pub fn generation(&self) -> i64 {
        self.body["metadata"]["generation"].as_i64().unwrap_or(0)
    }

    /// Whether `metadata.deletionTimestamp` is set.
    pub fn is_deleting(&self) -> bool {
        self.body["metadata"].get("deletionTimestamp").is_some()
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

impl kube::Resource for Live {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(resource: &ApiResource) -> Cow<'_, str> {
        resource.kind.as_str().into()
    }

    fn group(resource: &ApiResource) -> Cow<'_, str> {
        resource.group.as_str().into()
    }

    fn version(resource: &ApiResource) -> Cow<'_, str> {
        resource.version.as_str().into()
    }

    fn plural(resource: &ApiResource) -> Cow<'_, str> {
        resource.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.meta
    }
}

impl Serialize for Live {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.body.serialize(serializer)
    }
}

/// An entry of `managedFields`.
#[derive(Default)]
struct Managed {
    manager: Option<String>,
    operation: Option<String>,
    subresource: Option<String>,
    fields: Option<Value>,
}

impl Managed {
    /// Whether it is ours, as far as it is read.
    fn may_be_ours(&self) -> bool {
        self.manager.as_deref().is_none_or(|manager| manager == FIELD_MANAGER)
            && self.operation.as_deref().is_none_or(|operation| operation == "Apply")
            && self.subresource.is_none()
    }

    fn ours(self) -> Option<Value> {
        if self.may_be_ours() { self.fields } else { None }
    }
}

impl<'de> Deserialize<'de> for Managed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ManagedVisitor)
    }
}

/// Reads an entry; the fields of other managers, which are most of it, are skipped unread.
struct ManagedVisitor;

impl<'de> Visitor<'de> for ManagedVisitor {
    type Value = Managed;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an entry of managedFields")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Managed, A::Error> {
        let mut entry = Managed::default();
        while let Some(key) = access.next_key::<Cow<'de, str>>()? {
            match key.as_ref() {
                "manager" => entry.manager = access.next_value()?,
                "operation" => entry.operation = access.next_value()?,
                "subresource" => entry.subresource = access.next_value()?,
                "fieldsV1" if entry.may_be_ours() => entry.fields = access.next_value()?,
                _ => drop(access.next_value::<IgnoredAny>()?),
            }
        }
        Ok(entry)
    }
}

impl<'de> Deserialize<'de> for Live {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut ours = Value::Null;
        let body = ObjectSeed { inside: Some("metadata"), ours: &mut ours }.deserialize(deserializer)?;
        let live = Self { ours, ..Self::new(body) };
        if live.version() == 0 {
            let version = &live.body["metadata"]["resourceVersion"];
            return Err(de::Error::custom(format!("metadata.resourceVersion: {version} is not a number from 1 on")));
        }
        Ok(live)
    }
}

/// Reads a JSON object, and one of its fields by the same rule: in there, `managedFields` are not kept but searched for `ours`.
struct ObjectSeed<'a> {
    inside: Option<&'static str>,
    ours: &'a mut Value,
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
                    let entries = access.next_value::<Vec<Managed>>()?;
                    *self.ours = entries.into_iter().find_map(Managed::ours).unwrap_or_default();
                }
                Some(inside) if key == inside => {
                    let seed = ObjectSeed { inside: None, ours: &mut *self.ours };
                    map.insert(key.into_owned(), access.next_value_seed(seed)?);
                }
                _ => drop(map.insert(key.into_owned(), access.next_value()?)),
            }
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::Live;
    use serde_json::json;

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
