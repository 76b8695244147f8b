//! A live object as it comes off the wire, without `managedFields`.
//!
//! It lives only from decoding to [`crate::core::observed::Child`]; nothing keeps one.

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
}

impl Live {
    /// Wraps a body that is already JSON.
    pub fn new(body: Value) -> Self {
        let text = |field: &str| body["metadata"][field].as_str().map(str::to_owned);
        let meta = ObjectMeta {
            name: text("name"),
            namespace: text("namespace"),
            resource_version: text("resourceVersion"),
            uid: text("uid"),
            ..ObjectMeta::default()
        };
        Self { meta, body }
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

impl<'de> Deserialize<'de> for Live {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let live = Self::new(deserializer.deserialize_map(ObjectVisitor { skip: None, inside: Some("metadata") })?);
        if live.version() == 0 {
            let version = &live.body["metadata"]["resourceVersion"];
            return Err(de::Error::custom(format!("metadata.resourceVersion: {version} is not a number from 1 on")));
        }
        Ok(live)
    }
}

/// Reads a JSON object, descending into `inside` (if any) with `managedFields` skipped there unread.
struct ObjectVisitor {
    skip: Option<&'static str>,
    inside: Option<&'static str>,
}

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a Kubernetes object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = access.next_key::<Cow<'de, str>>()? {
            if Some(key.as_ref()) == self.skip {
                access.next_value::<IgnoredAny>()?;
            } else if Some(key.as_ref()) == self.inside {
                map.insert(key.into_owned(), access.next_value_seed(MetadataSeed)?);
            } else {
                map.insert(key.into_owned(), access.next_value()?);
            }
        }
        Ok(Value::Object(map))
    }
}

struct MetadataSeed;

impl<'de> DeserializeSeed<'de> for MetadataSeed {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer
            .deserialize_map(ObjectVisitor { skip: Some("managedFields"), inside: None })
            .map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::Live;
    use serde_json::json;

    #[test]
    fn managed_fields_are_never_kept() {
        let live: Live = serde_json::from_value(json!({
            "kind": "Service",
            "metadata": {"name": "a", "uid": "u", "resourceVersion": "7", "managedFields": [{"manager": "x"}]},
            "spec": {"managedFields": 1}
        }))
        .unwrap();
        assert_eq!(live.version(), 7);
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
