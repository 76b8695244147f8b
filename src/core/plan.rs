//! What the operator wants: a [`Plan`] is the whole of it, as plain data.

use super::conditions::Summary;
use super::configuration::{Obstacle, Unfollowed};
use super::deed::Deed;
use super::kind::ChildKind;
use super::known::Known;
use super::object::Object;
use super::offer::{Lacking, Offer};
use super::own::Own;
use super::reference::Reference;
use super::secret_key::SecretKey;
use super::want::Want;
use serde::Serialize;
use std::collections::BTreeSet;
use std::time::Duration;

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
    /// Objects that are made where there is none of their name, and never looked at: of their kind the operator sees none. Those
    /// held back are not due, as nothing starts with them now.
    pub once: Vec<Object>,
    /// What is declared and of a kind that can't be had.
    pub lacking: Vec<Lacking>,
    /// Configuration that is to be followed by the author's word, and can't be.
    pub unfollowed: Vec<Unfollowed>,
    /// Objects of ours that must go, once every apply succeeded.
    pub prune: Vec<(ChildKind, String)>,
    /// What is wrong with the spec, each starting with the field. Nothing is written while there is any.
    pub invalid: Vec<String>,
    /// The user asked for no writes: the objects are compared, not applied.
    pub paused: bool,
    /// What becomes of the finalizer; removed only after `prune` is done.
    pub finalizer: FinalizerChange,
    /// What is to be looked up; once it is, the plan is made again.
    pub wants: Vec<Want>,
    /// What the plan itself has to tell: why a workload is held back, or, as a Ready one, what runs that is not what is declared.
    pub notice: Option<Summary>,
    /// When to look again although nothing moved.
    pub requeue: Option<Duration>,
}

impl Plan {
    /// Adds an object.
    pub fn apply<K: Serialize>(&mut self, kind: ChildKind, object: &K) {
        let applied = self.applied(kind, object);
        self.objects.extend(applied);
    }

    /// Adds an object whose spec that field of the parent's spec declares.
    pub fn apply_declared<K: Serialize>(&mut self, kind: ChildKind, object: &K, field: String) {
        let applied = self.applied(kind, object);
        self.objects.extend(applied.map(|object| Object { declared: Some(field.into()), ..object }));
    }

    /// Adds an object that may take over one of its name which nobody controls.
    pub fn adopt<K: Serialize>(&mut self, kind: ChildKind, object: &K) {
        let applied = self.applied(kind, object);
        self.objects.extend(applied.map(|object| Object { adopt: true, ..object }));
    }

    /// Adds an object that is made only where there is none of its name, and only if that is `due`.
    pub fn make<K: Serialize>(&mut self, kind: ChildKind, object: &K, due: bool) {
        let applied = self.applied(kind, object);
        self.once.extend(applied.map(|object| Object { held: !due, ..object }));
    }

    /// Adds an object of an optional kind in the version that is served; where there is none, that it is lacking.
    pub fn apply_if_served<K: Serialize>(
        &mut self,
        kind: ChildKind,
        name: &str,
        offer: Offer,
        object: impl FnOnce(&str) -> K,
    ) {
        match offer {
            Offer::Served(version) => self.apply(kind, &object(version)),
            Offer::Unknown | Offer::Absent(_) | Offer::Denied(_) => {
                self.lacking.push(Lacking { kind, name: name.to_owned(), offer });
            }
        }
    }

    fn applied<K: Serialize>(&mut self, kind: ChildKind, object: &K) -> Option<Object> {
        Object::new(kind, object).map_err(|error| self.invalid.push(format!("{kind}: {error}"))).ok()
    }

    /// Holds back every object of that kind.
    pub fn hold(&mut self, kind: ChildKind) {
        self.objects.iter_mut().filter(|object| object.kind == kind).for_each(|object| object.held = true);
    }

    /// What is to be followed by the author's word, and may not be looked at.
    pub fn denied(&self) -> Vec<&Reference> {
        let denied = self.unfollowed.iter().filter(|unfollowed| unfollowed.obstacle == Obstacle::Denied);
        denied.map(|unfollowed| &unfollowed.reference).collect()
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
    /// The field of the parent's spec that can't be carried out, where it is known.
    pub field: Option<String>,
}

/// What became of a plan.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Writes that did not happen.
    pub failures: Vec<Failure>,
    /// Objects whose predecessor is still being deleted, as `Service shop`.
    pub waiting: Vec<String>,
    /// Kinds of which some object does not stand as wanted.
    pub unmet: BTreeSet<ChildKind>,
    /// Objects that differ and are held back, as `Deployment shop`.
    pub held: Vec<String>,
    /// Something was found that the plan did not know of; it must be made again.
    pub late: bool,
    /// Why what is made unseen may not be made. What starts without it is not held back.
    pub unmade: Option<String>,
    /// Objects that somebody changes again and again, in words that start with the object.
    pub contended: Vec<String>,
    /// What was done, and to which object, as `Deployment shop`.
    pub deeds: Vec<(String, Deed)>,
}

impl Outcome {
    /// Whether every object of the plan stands, or stood a moment ago.
    pub fn is_complete(&self) -> bool {
        self.failures.is_empty() && self.waiting.is_empty() && self.held.is_empty() && !self.late
    }

    /// Whether an object has to wait: its plan says so, or what its pods start with does not stand.
    pub fn holds(&self, object: &Object) -> bool {
        object.held || self.lacks(object).is_some()
    }

    /// The first kind of what an object's pods start with that does not stand.
    pub fn lacks(&self, object: &Object) -> Option<ChildKind> {
        object.kind.needs().iter().copied().find(|kind| self.unmet.contains(kind))
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

/// What an admin may forbid the authors of Apps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Forbidden {
    /// Services of type `LoadBalancer`.
    LoadBalancers,
    /// Services of type `NodePort`.
    NodePorts,
    /// A `ServiceAccount` of the App's own, and so of its name.
    OwnServiceAccounts,
    /// Annotations of that account.
    ServiceAccountAnnotations,
    /// Naming another `ServiceAccount`.
    ServiceAccountNames,
}

impl Forbidden {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::LoadBalancers,
        Self::NodePorts,
        Self::OwnServiceAccounts,
        Self::ServiceAccountAnnotations,
        Self::ServiceAccountNames,
    ];

    /// As it is written on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LoadBalancers => "load-balancers",
            Self::NodePorts => "node-ports",
            Self::OwnServiceAccounts => "own-service-accounts",
            Self::ServiceAccountAnnotations => "service-account-annotations",
            Self::ServiceAccountNames => "service-account-names",
        }
    }

    /// That of the name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|forbidden| forbidden.as_str() == name)
    }
}

/// Settings that a plan depends on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanSettings {
    /// Image of the Distribution registry when a Registry names none.
    pub registry_image: String,
    /// Key from which shared secrets are derived. `None` where the operator has none (as in `render`).
    pub secret_key: Option<SecretKey>,
    /// Key of the hashes by which Secrets are followed; absent where the operator can't have it.
    pub config_key: Known<SecretKey>,
    /// What no App may ask for.
    pub forbidden: BTreeSet<Forbidden>,
    /// What holds the operator's own power. `None` where no operator is known (as in `render`).
    pub own: Option<Own>,
}
