//! What was seen of the cluster, as a plan and a status may look at it.

use super::facts::{Claim, Facts, Volume, Workload};
use super::kind::{ChildKind, Identity};
use super::live::Live;
use super::meta::APPLIED_HASH;
use super::object::Object;
use super::owner::Owner;
use super::pods::Pod;
use super::subset;
use serde_json::Value;
use std::collections::BTreeMap;
use xxhash_rust::xxh3::Xxh3;

/// The slim memory of one live child.
#[derive(Clone, Debug, PartialEq)]
pub struct Child {
    /// `metadata.uid`
    pub uid: Box<str>,
    /// `metadata.resourceVersion`
    pub version: u64,
    /// Hash of the wanted object that this live one was seen to contain; `None` when it differs.
    pub agrees: Option<u64>,
    /// Hash of everything but status and volatile metadata.
    pub fingerprint: u64,
    /// Who it belongs to.
    pub owner: Owner,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// What else is remembered.
    pub facts: Facts,
}

impl Child {
    /// The memory of a live object, compared with what is wanted (if anything is).
    pub fn of(kind: ChildKind, live: &Live, wanted: Option<&Object>) -> Self {
        Self {
            uid: live.uid().into(),
            version: live.version(),
            agrees: None,
            fingerprint: fingerprint(live),
            owner: Owner::of(kind, live),
            deleting: live.is_deleting(),
            facts: super::facts::facts(kind, live),
        }
        .compared(live, wanted)
    }

    /// The same, compared with what is wanted.
    #[must_use]
    pub fn compared(self, live: &Live, wanted: Option<&Object>) -> Self {
        Self { agrees: wanted.filter(|wanted| agrees(live, wanted)).map(|wanted| wanted.hash), ..self }
    }
}

/// Whether the live object is what was wanted: everything in it, and nothing left that we once applied and no longer do.
/// Items of a list carry no `apiVersion` and `kind`, which are known from the watch anyway.
fn agrees(live: &Live, wanted: &Object) -> bool {
    let fields = wanted.body.as_object().into_iter().flatten();
    wanted.body["metadata"]["annotations"][APPLIED_HASH].as_str() == live.annotation(APPLIED_HASH)
        && fields
            .filter(|(field, _)| !matches!(field.as_str(), "apiVersion" | "kind"))
            .all(|(field, value)| subset::contains_at(field, &live.body[field], value))
}

/// Hash of what can make a live object differ from what is wanted: all but status and volatile metadata.
pub fn fingerprint(live: &Live) -> u64 {
    let mut hasher = Xxh3::new();
    let mut feed = |value: &Value| hasher.update(value.to_string().as_bytes());
    for (key, value) in live.body.as_object().into_iter().flatten() {
        if !matches!(key.as_str(), "status" | "metadata" | "apiVersion" | "kind") {
            feed(value);
        }
    }
    let metadata = &live.body["metadata"];
    for field in ["labels", "annotations", "ownerReferences", "finalizers", "deletionTimestamp", "uid"] {
        feed(&metadata[field]);
    }
    hasher.digest()
}

/// A `StorageClass`, as far as a claim cares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StorageClass {
    /// Whether it is the cluster's default.
    pub default: bool,
    /// Whether volumes wait for their first pod.
    pub waits_for_consumer: bool,
    /// Whether volumes may grow.
    pub expandable: bool,
}

/// What was seen, from caches only.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// Live children of the parent.
    pub children: BTreeMap<(ChildKind, String), Child>,
    /// Pods of the parent.
    pub pods: Vec<Pod>,
    /// `StorageClaims` of the namespace that the parent mounts.
    pub claims: BTreeMap<String, Claim>,
    /// `StorageClasses` of the cluster; `None` where the operator may not list them.
    pub classes: Option<BTreeMap<String, StorageClass>>,
    /// Apps and Registries that mount this claim, as `App/shop`.
    pub consumers: Vec<String>,
    /// The storage driver's last complaint about this claim's volume.
    pub provisioning_failure: Option<String>,
    /// Whether the operator may write Secrets.
    pub secrets_allowed: bool,
}

impl Observed {
    /// The live child of that kind and name.
    pub fn child(&self, kind: ChildKind, name: &str) -> Option<&Child> {
        self.children.get(&(kind, name.to_owned()))
    }

    /// Progress of the Deployment of that name.
    pub fn workload(&self, name: &str) -> Option<&Workload> {
        match &self.child(ChildKind::Deployment, name)?.facts {
            Facts::Workload(workload) => Some(workload),
            Facts::None | Facts::Volume(_) | Facts::Claim(_) => None,
        }
    }

    /// State of the `PersistentVolumeClaim` of that name.
    pub fn volume(&self, name: &str) -> Option<&Volume> {
        match &self.child(ChildKind::PersistentVolumeClaim, name)?.facts {
            Facts::Volume(volume) => Some(volume),
            Facts::None | Facts::Workload(_) | Facts::Claim(_) => None,
        }
    }

    /// Whether the live object is exactly the wanted one.
    pub fn agrees(&self, wanted: &Object) -> bool {
        self.child(wanted.kind, &wanted.name).is_some_and(|child| child.agrees == Some(wanted.hash) && !child.deleting)
    }

    /// Children that the plan no longer wants and that may go. Labels alone don't make an object ours enough to delete it:
    /// `kubectl expose` and many a copied manifest carry those of the object that they came from.
    pub fn surplus(&self, parent: &Identity, wanted: &[Object], prunable: &[ChildKind]) -> Vec<(ChildKind, String)> {
        self.children
            .iter()
            .filter(|((kind, name), child)| {
                prunable.contains(kind)
                    && matches!(&child.owner, Owner::Controller { uid, .. } if **uid == *parent.uid)
                    && !wanted.iter().any(|object| object.kind == *kind && object.name == *name)
            })
            .map(|(key, _)| key.clone())
            .collect()
    }
}
