//! What the operator wants: a [`Plan`] is the whole of it, as plain data.

use super::meta::APPLIED_HASH;
use super::observed::Observed;
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::fmt;
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_64;

/// A kind that users write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ParentKind {
    /// [`crate::api::App`]
    App,
    /// [`crate::api::StorageClaim`]
    StorageClaim,
    /// [`crate::api::Registry`]
    Registry,
}

impl ParentKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::App, Self::StorageClaim, Self::Registry];

    /// The kind's name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::App => "App",
            Self::StorageClaim => "StorageClaim",
            Self::Registry => "Registry",
        }
    }

    /// The kind's plural in the API.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::App => "apps",
            Self::StorageClaim => "storageclaims",
            Self::Registry => "registries",
        }
    }

    /// The kind of that API name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// A kind that the operator writes. The order is the order of applying.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChildKind {
    /// `v1`
    ServiceAccount,
    /// `v1`
    ConfigMap,
    /// `v1`
    Secret,
    /// `moorage.dev/v1alpha1`
    StorageClaim,
    /// `v1`
    PersistentVolumeClaim,
    /// `apps/v1`
    Deployment,
    /// `v1`
    Service,
}

impl ChildKind {
    /// The kind's name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ServiceAccount => "ServiceAccount",
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
            Self::StorageClaim => "StorageClaim",
            Self::PersistentVolumeClaim => "PersistentVolumeClaim",
            Self::Service => "Service",
            Self::Deployment => "Deployment",
        }
    }
}

impl fmt::Display for ChildKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Which parent a plan is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its kind.
    pub kind: ParentKind,
    /// Its namespace, which is that of every child.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// Generation of its spec.
    pub generation: i64,
    /// Whether it is being deleted.
    pub deleting: bool,
}

impl Identity {
    /// The identity of a parent object. An object that never was in a cluster has the nil UID and the namespace `default`.
    pub fn of<K: kube::Resource>(kind: ParentKind, object: &K) -> Self {
        let meta = object.meta();
        Self {
            kind,
            namespace: meta.namespace.clone().unwrap_or_else(|| "default".to_owned()),
            name: meta.name.clone().unwrap_or_default(),
            uid: meta.uid.clone().unwrap_or_else(|| "00000000-0000-0000-0000-000000000000".to_owned()),
            generation: meta.generation.unwrap_or(0),
            deleting: meta.deletion_timestamp.is_some(),
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}/{}", self.kind.as_str(), self.namespace, self.name)
    }
}

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
        let hash = xxh3_64(body.to_string().as_bytes());
        let annotations = &mut body["metadata"]["annotations"];
        if annotations.is_null() {
            *annotations = json!({});
        }
        annotations[APPLIED_HASH] = Value::String(format!("{hash:016x}"));
        let name = body["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        Ok(Self { kind, name, body, hash, adopt: false, held: false })
    }
}

/// `null` on the wire would claim a field only to empty it.
fn strip_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, inner| !inner.is_null());
            map.values_mut().for_each(strip_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(strip_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A change to the parent's own finalizer list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FinalizerChange {
    /// As it is.
    #[default]
    Keep,
    /// Add ours.
    Add,
    /// Remove ours.
    Remove,
}

/// Everything the operator wants for one parent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Objects that must exist, in the order of applying.
    pub objects: Vec<Object>,
    /// Objects of ours that must go, once every apply succeeded.
    pub prune: Vec<(ChildKind, String)>,
    /// What is wrong with the spec, each starting with the field. Nothing is written while there is any.
    pub invalid: Vec<String>,
    /// The user asked for no writes: the objects are compared, not applied.
    pub paused: bool,
    /// What becomes of the finalizer; removed only after `prune` is done.
    pub finalizer: FinalizerChange,
    /// When to look again although nothing moved.
    pub requeue: Option<Duration>,
}

impl Plan {
    /// Adds an object.
    pub fn apply<K: Serialize>(&mut self, kind: ChildKind, object: &K) {
        match Object::new(kind, object) {
            Ok(object) => self.objects.push(object),
            Err(error) => self.invalid.push(format!("{kind}: {error}")),
        }
    }

    /// Adds an object that may take over one of its name which nobody controls.
    pub fn adopt<K: Serialize>(&mut self, kind: ChildKind, object: &K) {
        match Object::new(kind, object) {
            Ok(object) => self.objects.push(Object { adopt: true, ..object }),
            Err(error) => self.invalid.push(format!("{kind}: {error}")),
        }
    }

    /// Holds back every object of that kind.
    pub fn hold(&mut self, kind: ChildKind) {
        self.objects.iter_mut().filter(|object| object.kind == kind).for_each(|object| object.held = true);
    }

    /// The planned object of that kind and name.
    pub fn object(&self, kind: ChildKind, name: &str) -> Option<&Object> {
        self.objects.iter().find(|object| object.kind == kind && object.name == name)
    }
}

/// Why a write did not happen, in the terms that decide on the retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ErrorClass {
    /// The API server refuses the object itself: the user must act.
    Invalid,
    /// The name is taken by somebody else.
    Conflict,
    /// RBAC, quota or admission says no.
    Denied,
    /// The operator itself failed (a panic); a fault of ours.
    Internal,
    /// Something that passes: retried with backoff.
    Unavailable,
}

/// One write that did not happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Which object, as `Service shop`.
    pub object: String,
    /// How to treat it.
    pub class: ErrorClass,
    /// What the API server said, or who holds the name.
    pub message: String,
}

/// What became of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Writes that did not happen.
    pub failures: Vec<Failure>,
    /// Objects whose predecessor is still being deleted, as `Service shop`.
    pub waiting: Vec<String>,
    /// Whether an object that differs is held back.
    pub held: bool,
    /// Something was found that the plan did not know of; it must be made again.
    pub late: bool,
}

impl Outcome {
    /// Whether every object of the plan stands.
    pub fn is_complete(&self) -> bool {
        self.failures.is_empty() && self.waiting.is_empty() && !self.held && !self.late
    }

    /// The failure that decides: the first of the gravest class.
    pub fn worst(&self) -> Option<&Failure> {
        self.failures.iter().min_by_key(|failure| failure.class)
    }

    /// The class that decides on the next try: what passes soonest must not wait for what passes late.
    pub fn retry(&self) -> Option<ErrorClass> {
        self.failures.iter().map(|failure| failure.class).max()
    }
}

/// Settings that a plan depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanSettings {
    /// Image of the Distribution registry when a Registry names none.
    pub registry_image: String,
    /// Key from which shared secrets are derived. `None` where the operator has none (as in `render`).
    pub secret_key: Option<[u8; 32]>,
}

/// A kind that users write, as the engine sees it: two pure functions and its status type.
pub trait Parent:
    kube::Resource<DynamicType = ()> + Serialize + DeserializeOwned + Clone + Send + Sync + 'static
{
    /// Which kind it is.
    const KIND: ParentKind;
    /// The type of its status.
    type Status: Serialize + DeserializeOwned + Clone + PartialEq + Default + Send + Sync;

    /// What must exist for this object, given what was seen.
    fn plan(&self, observed: &Observed, settings: &PlanSettings) -> Plan;

    /// What to tell the user, given the plan, what became of it and what was seen after it.
    fn status(&self, plan: &Plan, outcome: &Outcome, observed: &Observed, now: Timestamp) -> Self::Status;

    /// The status it has now.
    fn current_status(&self) -> Option<&Self::Status>;

    /// The conditions of a status.
    fn conditions(status: &Self::Status) -> &[k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition];

    /// Names of the claims that this object mounts.
    fn claims(&self) -> Vec<String>;

    /// Who this object is.
    fn identity(&self) -> Identity {
        Identity::of(Self::KIND, self)
    }
}
