//! What was seen of the cluster, as a plan and a status may look at it.

use super::facts::{Claim, Facts, Volume, Workload};
use super::live::Live;
use super::meta::{APPLIED_HASH, CLAIM_UID, MANAGED_BY, MANAGER, parent_label};
use super::plan::{ChildKind, Identity, Object, ParentKind};
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

/// Whom a live object says it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A controller owner reference to a kind of ours.
    Controller {
        /// Kind of the owner.
        kind: ParentKind,
        /// Its name.
        name: Box<str>,
        /// Its UID.
        uid: Box<str>,
    },
    /// No controller, but our labels: kept on purpose, or orphaned.
    Labelled {
        /// Kind that the label names.
        kind: ParentKind,
        /// Name in the label.
        name: Box<str>,
    },
    /// Somebody else, in words for a message.
    Foreign(Box<str>),
}

/// What a live object is to one parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// It is the parent's.
    Ours,
    /// It belonged to a deleted parent of the same name; the garbage collector is about to delete it.
    Predecessor,
    /// It is somebody else's, in words for a message.
    Foreign(String),
}

impl Owner {
    /// Who a live object belongs to.
    pub fn of(kind: ChildKind, live: &Live) -> Self {
        if let Some(controller) = controller(&live.body) {
            return controller;
        }
        if live.label(MANAGED_BY) != Some(MANAGER) {
            return Self::Foreign("nobody's controller, not made by Moorage".into());
        }
        if kind == ChildKind::PersistentVolumeClaim {
            return Self::Labelled { kind: ParentKind::StorageClaim, name: live.name().into() };
        }
        labelled(live).unwrap_or_else(|| Self::Foreign("no App, StorageClaim or Registry".into()))
    }

    /// What the object is to `parent`.
    pub fn to(&self, parent: &Identity) -> Ownership {
        match self {
            Self::Controller { kind, name, uid } if *kind == parent.kind && **name == *parent.name => {
                if **uid == *parent.uid { Ownership::Ours } else { Ownership::Predecessor }
            }
            Self::Labelled { kind, name } if *kind == parent.kind && **name == *parent.name => Ownership::Ours,
            Self::Controller { kind, name, .. } | Self::Labelled { kind, name } => {
                Ownership::Foreign(format!("{} {name}", kind.as_str()))
            }
            Self::Foreign(holder) => Ownership::Foreign(holder.to_string()),
        }
    }

    /// The parent to wake when the object moves.
    pub fn parent(&self) -> Option<(ParentKind, &str)> {
        match self {
            Self::Controller { kind, name, .. } | Self::Labelled { kind, name } => Some((*kind, name)),
            Self::Foreign(_) => None,
        }
    }
}

fn controller(body: &Value) -> Option<Owner> {
    let references = body["metadata"]["ownerReferences"].as_array()?;
    let reference = references.iter().find(|reference| reference["controller"] == true)?;
    let text = |field: &str| reference[field].as_str().unwrap_or_default();
    let ours = text("apiVersion").split('/').next() == Some(crate::api::GROUP);
    Some(match ParentKind::named(text("kind")) {
        Some(kind) if ours => Owner::Controller { kind, name: text("name").into(), uid: text("uid").into() },
        _ => Owner::Foreign(format!("{} {}", text("kind"), text("name")).into()),
    })
}

fn labelled(live: &Live) -> Option<Owner> {
    [ParentKind::App, ParentKind::Registry]
        .into_iter()
        .find_map(|kind| Some(Owner::Labelled { kind, name: live.label(parent_label(kind))?.into() }))
}

/// The App or Registry that our labels name, as `App/shop`.
pub fn parent_labels(live: &Live) -> Option<String> {
    match labelled(live)? {
        Owner::Labelled { kind, name } => Some(format!("{}/{name}", kind.as_str())),
        Owner::Controller { .. } | Owner::Foreign(_) => None,
    }
}

impl Child {
    /// The memory of a live object, compared with what is wanted (if anything is).
    pub fn of(kind: ChildKind, live: &Live, wanted: Option<&Object>) -> Self {
        Self {
            uid: live.uid().into(),
            version: live.version(),
            agrees: wanted.filter(|wanted| agrees(live, wanted)).map(|wanted| wanted.hash),
            fingerprint: fingerprint(live),
            owner: Owner::of(kind, live),
            deleting: live.is_deleting(),
            facts: super::facts::facts(kind, live),
        }
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

/// The UID of the `StorageClaim` that a `PersistentVolumeClaim` was kept for.
pub fn claim_uid(live: &Live) -> Option<&str> {
    live.annotation(CLAIM_UID)
}
