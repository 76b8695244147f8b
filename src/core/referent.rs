//! What is remembered of an object that somebody refers to: of configuration, [`Content`]; of a `PersistentVolumeClaim`, whether its data
//! can go.

use super::content::Content;
use super::live::{dynamic_resource, version};
use super::reference::ReferenceKind;
use super::text::{WORD, cut};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::de::{self, Deserializer, IgnoredAny};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::json;

/// What is remembered of an object that is referred to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Referent {
    /// A `ConfigMap` or a Secret.
    Content(Content),
    /// A `PersistentVolumeClaim`.
    Volume(Mountable),
}

/// A `PersistentVolumeClaim` that may be nobody's `StorageClaim`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mountable {
    /// Whether `metadata.deletionTimestamp` is set.
    pub deleting: bool,
    /// Whether its `PersistentVolume` is gone: `status.phase` is Lost.
    pub lost: bool,
    /// `spec.volumeName`, once there is one.
    pub volume: Option<String>,
    /// `spec.accessModes`
    pub access_modes: Vec<String>,
    /// `status.accessModes`: those of its volume, which may have more.
    pub granted: Vec<String>,
}

impl Mountable {
    /// Whether somebody deletes it with the data that it holds.
    pub const fn is_going(&self) -> bool {
        self.deleting && self.volume.is_some()
    }
}

/// An object that is referred to as it comes off the wire, with no more than what is remembered of it.
#[derive(Clone, Debug)]
pub struct Holder {
    meta: ObjectMeta,
    /// What is remembered of it if it is configuration.
    pub content: Content,
    volume: Mountable,
}

impl Holder {
    /// `metadata.name`.
    pub fn name(&self) -> &str {
        self.meta.name.as_deref().unwrap_or_default()
    }

    /// `metadata.namespace`.
    pub fn namespace(&self) -> &str {
        self.meta.namespace.as_deref().unwrap_or_default()
    }

    /// `metadata.resourceVersion`
    pub fn version(&self) -> u64 {
        version(&self.meta)
    }

    /// What is remembered of it as an object of that kind.
    pub fn referent(self, kind: ReferenceKind) -> Referent {
        match kind {
            ReferenceKind::ConfigMap | ReferenceKind::Secret => Referent::Content(self.content),
            ReferenceKind::StorageClaim | ReferenceKind::PersistentVolumeClaim => Referent::Volume(self.volume),
        }
    }
}

dynamic_resource!(Holder);

impl Serialize for Holder {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        json!({"metadata": {"name": self.name(), "namespace": self.namespace()}}).serialize(serializer)
    }
}

/// The only metadata that is read: an annotation of `kubectl apply` holds all of the content again.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: String,
    #[serde(default)]
    namespace: String,
    resource_version: String,
    #[serde(default)]
    deletion_timestamp: Option<IgnoredAny>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    volume_name: Option<String>,
    access_modes: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    phase: Option<String>,
    access_modes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    metadata: Metadata,
    #[serde(default)]
    data: Option<Content>,
    #[serde(default)]
    binary_data: Option<Content>,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

impl<'de> Deserialize<'de> for Holder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Wire { metadata, data, binary_data, spec, status } = Wire::deserialize(deserializer)?;
        let mut content = data.unwrap_or_default();
        content.extend(binary_data.unwrap_or_default());
        let volume = Mountable {
            deleting: metadata.deletion_timestamp.is_some(),
            lost: status.phase.as_deref() == Some("Lost"),
            volume: spec.volume_name.filter(|name| !name.is_empty()).map(|name| cut(&name, WORD)),
            access_modes: spec.access_modes.iter().map(|mode| cut(mode, WORD)).collect(),
            granted: status.access_modes.iter().map(|mode| cut(mode, WORD)).collect(),
        };
        let meta = ObjectMeta {
            name: Some(metadata.name),
            namespace: Some(metadata.namespace),
            resource_version: Some(metadata.resource_version),
            ..ObjectMeta::default()
        };
        if version(&meta) == 0 {
            let version = meta.resource_version.unwrap_or_default();
            return Err(de::Error::custom(format!("metadata.resourceVersion: {version:?} is not a number from 1 on")));
        }
        Ok(Self { meta, content, volume })
    }
}

#[cfg(test)]
mod tests {
    use super::{Holder, Mountable, ReferenceKind, Referent};
    use serde_json::{Value, json};

    fn referent(spec: &Value, status: &Value, metadata: &Value) -> Referent {
        let mut object = json!({"metadata": {"name": "a", "namespace": "b", "resourceVersion": "7"}, "spec": spec, "status": status});
        object["metadata"].as_object_mut().unwrap().extend(metadata.as_object().unwrap().clone());
        let holder: Holder = serde_json::from_value(object).unwrap();
        holder.referent(ReferenceKind::PersistentVolumeClaim)
    }

    #[test]
    fn of_a_volume_is_known_whether_its_data_can_go() {
        let spec = json!({"accessModes": ["ReadWriteMany"], "volumeName": "pv-1"});
        let (bound, none) = (json!({"phase": "Bound", "accessModes": ["ReadWriteOnce"]}), json!({}));
        let goes = json!({"deletionTimestamp": "2026-01-01T00:00:00Z"});
        let known = Mountable {
            deleting: false,
            lost: false,
            volume: Some("pv-1".to_owned()),
            access_modes: vec!["ReadWriteMany".to_owned()],
            granted: vec!["ReadWriteOnce".to_owned()],
        };
        let cases = [
            (&spec, &bound, &none, known.clone()),
            (&spec, &json!({"phase": "Lost"}), &none, Mountable { lost: true, granted: Vec::new(), ..known.clone() }),
            (&spec, &bound, &goes, Mountable { deleting: true, ..known }),
            (&none, &json!({"phase": "Pending"}), &none, Mountable::default()),
        ];
        for (spec, status, metadata, told) in cases {
            assert_eq!(referent(spec, status, metadata), Referent::Volume(told));
        }
    }

    #[test]
    fn a_version_that_is_no_number_is_refused() {
        let object = json!({"metadata": {"name": "a", "resourceVersion": "a7"}});
        let error = serde_json::from_value::<Holder>(object).unwrap_err().to_string();
        assert!(error.starts_with("metadata.resourceVersion"), "{error}");
    }
}
