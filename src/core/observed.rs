//! What was seen of the cluster, as a plan and a status may look at it.

use super::additions::additions;
use super::complaints::NoVolume;
use super::content::Content;
use super::copy::is_copied;
use super::facts::{Account, Claim, Facts, Published, Volume, Workload};
use super::fixed;
use super::hash;
use super::kind::{ChildKind, Identity};
use super::known::Known;
use super::live::Live;
use super::merge::{Ours, Path, Rules};
use super::meta::APPLIED_HASH;
use super::object::Object;
use super::offer::Offer;
use super::owner::Owner;
use super::pods::Pod;
use super::reference::{Reference, ReferenceKind};
use super::referent::{Mountable, Referent};
use super::revisions::Revision;
use super::stray::Stray;
use super::subset;
use super::unlike::Unlike;
use super::want::{Answer, Want};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The slim memory of one live child.
#[derive(Clone, Debug, PartialEq)]
pub struct Child {
    /// `metadata.uid`
    pub uid: Box<str>,
    /// `metadata.resourceVersion`
    pub version: u64,
    /// Whether it is what is wanted.
    pub verdict: Verdict,
    /// Hash of what was last applied, as the object itself tells it.
    pub applied: Option<u64>,
    /// Hash of everything but status and volatile metadata.
    pub fingerprint: u64,
    /// Hash of what the API server lists as ours. It changes when somebody takes a field from us.
    pub witness: u64,
    /// Whether another manager made it, or wrote over it, with a copy of one of ours, so that it may hold more than is wanted.
    pub copied: bool,
    /// How it was when it last was what is wanted.
    pub good: Option<Good>,
    /// What others added to it that changes what its pods may do, in words.
    pub added: Box<[String]>,
    /// Where it is not what was applied, as something else was stored.
    pub unlike: Option<Box<Unlike>>,
    /// Who it belongs to.
    pub owner: Owner,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// What holds it while it is: its finalizers.
    pub finalizers: Box<[Box<str>]>,
    /// What else is remembered.
    pub facts: Facts,
}

impl Child {
    /// The memory of a live object, not compared yet with what is wanted.
    pub fn of(kind: ChildKind, live: &Live) -> Self {
        let applied = live.annotation(APPLIED_HASH).and_then(|hash| u64::from_str_radix(hash, 16).ok());
        Self {
            uid: live.uid().into(),
            version: live.version(),
            verdict: Verdict::Unknown,
            applied,
            fingerprint: fingerprint(live),
            witness: hash::of(&live.ours),
            // Whoever has no hash there has edited it, and copied nothing.
            copied: applied.is_some() && is_copied(kind, live),
            good: None,
            added: Box::default(),
            unlike: None,
            owner: Owner::of(kind, live),
            deleting: live.is_deleting(),
            finalizers: if live.is_deleting() { live.finalizers().map(Into::into).collect() } else { Box::default() },
            facts: super::facts::facts(kind, live),
        }
    }

    /// The same, compared with what is wanted (if anything is), in the light of what was `known` of it.
    #[must_use]
    pub fn compared(self, live: &Live, wanted: Option<&Object>, known: Option<&Self>) -> Self {
        let good = known.filter(|known| known.uid == self.uid).and_then(|known| known.good);
        let agreed = wanted.filter(|wanted| match good.filter(|good| good.hash == wanted.hash) {
            _ if self.copied => false,
            Some(good) if good.witness != self.witness => false,
            Some(Good { trust: Trust::Applied, .. }) => agrees(live, wanted, Ours::All),
            Some(Good { trust: Trust::Changed, .. }) => wanted.is_told_by(live),
            Some(Good { trust: Trust::Seen, .. }) | None => agrees(live, wanted, Ours::Listed(Some(&live.ours))),
        });
        let trust = good.filter(|good| agreed.is_some_and(|wanted| wanted.hash == good.hash)).map(|good| good.trust);
        let added = wanted.map(|wanted| additions(live, wanted)).unwrap_or_default();
        match (agreed, wanted) {
            (Some(wanted), _) => {
                let is_changed = trust == Some(Trust::Changed);
                let unlike =
                    is_changed.then(|| Unlike::of(live, wanted, &differences(live, wanted, Ours::All))).flatten();
                Self { added, unlike, ..self.good_as(wanted, trust.unwrap_or(Trust::Seen)) }
            }
            (None, Some(wanted)) => Self { verdict: Verdict::Differs(wanted.hash), good, added, ..self },
            (None, None) => Self { verdict: Verdict::Unknown, good, added, ..self },
        }
    }

    /// Whether it stands exactly as wanted.
    pub fn is_as(&self, wanted: &Object) -> bool {
        self.verdict == Verdict::Agrees(wanted.hash) && !self.deleting
    }

    /// Whether it says that it was applied as wanted, and was not compared with that: it was heard of before what is wanted of it.
    pub fn is_unsure(&self, wanted: &Object) -> bool {
        self.applied == Some(wanted.hash) && self.verdict != Verdict::Differs(wanted.hash)
    }

    /// Whether it was once what is wanted, so that what differs now is somebody else's doing.
    pub fn stood_as(&self, wanted: &Object) -> bool {
        self.good.is_some_and(|good| good.hash == wanted.hash)
    }

    /// The answer to an apply of what is wanted, which it is by definition.
    #[must_use]
    pub fn applied(self, live: &Live, wanted: &Object) -> Self {
        let differing = differences(live, wanted, Ours::All);
        let trust = if differing.is_empty() { Trust::Applied } else { Trust::Changed };
        let unlike = Unlike::of(live, wanted, &differing);
        Self { added: additions(live, wanted), unlike, ..self.good_as(wanted, trust) }
    }

    fn good_as(self, wanted: &Object, trust: Trust) -> Self {
        let good = Good { hash: wanted.hash, witness: self.witness, trust };
        Self { verdict: Verdict::Agrees(wanted.hash), good: Some(good), ..self }
    }
}

/// What a comparison of a live object with what is wanted said; each with the hash of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was compared with nothing, as nobody known wanted it.
    Unknown,
    /// It is not as wanted.
    Differs(u64),
    /// All that is wanted is in it.
    Agrees(u64),
}

/// What a live object was when it was what is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Good {
    hash: u64,
    witness: u64,
    trust: Trust,
}

/// By what an object was known to be what is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    /// By its values alone; some of them may be equal without being ours.
    Seen,
    /// By our own apply, after which all of it was ours.
    Applied,
    /// Likewise, and an admission webhook changed some of it: until somebody takes a field from us it is what can be had.
    Changed,
}

/// Whether the live object is what was wanted.
fn agrees(live: &Live, wanted: &Object, ours: Ours<'_>) -> bool {
    differences(live, wanted, ours).is_empty()
}

/// The places where the live object is not what was wanted. That nothing is left that we once applied and no longer do, the
/// hash among the annotations tells.
pub fn differences(live: &Live, wanted: &Object, ours: Ours<'_>) -> Vec<Path> {
    let rules = Rules::of(wanted.kind);
    if let Some(path) = fixed::copied_back(wanted.kind, &live.body, &wanted.body) {
        return vec![path];
    }
    // What an object is says more than what stands on it.
    let (metadata, others): (Vec<_>, Vec<_>) = wanted.fields().partition(|(field, _)| *field == "metadata");
    let found = others.into_iter().chain(metadata).flat_map(|(field, value)| {
        let found = subset::differences(&live.body[field], value, rules.field(field), ours.field(field));
        found.into_iter().map(|path| path.within_field(field))
    });
    found.collect()
}

/// Hash of what can make a live object differ from what is wanted: all but status and volatile metadata.
pub fn fingerprint(live: &Live) -> u64 {
    let fields = live.body.as_object().into_iter().flatten().map(|(field, value)| (field.as_str(), value));
    let metadata = &live.body["metadata"];
    let lasting = ["labels", "annotations", "ownerReferences", "finalizers", "deletionTimestamp", "uid"];
    hash::of_fields(
        fields
            .filter(|(field, _)| !matches!(*field, "status" | "metadata" | "apiVersion" | "kind"))
            .chain(lasting.into_iter().map(|field| (field, &metadata[field])))
            .chain([("managedFields", &live.ours), ("copied", &Value::Bool(live.others.applied_hash))]),
    )
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

impl StorageClass {
    /// That of a live one.
    pub fn of(live: &Live) -> Self {
        Self {
            default: live.annotation("storageclass.kubernetes.io/is-default-class") == Some("true"),
            waits_for_consumer: live.body["volumeBindingMode"] == "WaitForFirstConsumer",
            expandable: live.body["allowVolumeExpansion"] == true,
        }
    }
}

/// What was seen, from caches only.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// Live children of the parent.
    pub children: BTreeMap<(ChildKind, String), Child>,
    /// Pods of the parent.
    pub pods: Vec<Pod>,
    /// Pods of others that carry its labels.
    pub strays: Vec<Stray>,
    /// What was looked up for the parent's plans.
    pub answers: BTreeMap<Want, Answer>,
    /// Revisions of the App's Deployment.
    pub revisions: Vec<Arc<Revision>>,
    /// `StorageClaims` of the namespace that the parent mounts.
    pub claims: BTreeMap<String, Claim>,
    /// What is known of what of others the parent refers to. What is not in here is unknown.
    pub referents: BTreeMap<Reference, Known<Arc<Referent>>>,
    /// What of it the operator may not look at.
    pub denied: BTreeSet<Reference>,
    /// `StorageClasses` of the cluster; `None` where the operator may not list them.
    pub classes: Option<BTreeMap<String, StorageClass>>,
    /// Apps and Registries that mount this claim, as `App/shop`.
    pub consumers: Vec<String>,
    /// Why this claim has no volume, as was complained last.
    pub no_volume: Option<NoVolume>,
    /// Whether what is made unseen is known to be made.
    pub made: bool,
    /// What is known of each optional kind that the parent may have.
    pub offers: BTreeMap<ChildKind, Offer>,
}

impl Observed {
    /// The live child of that kind and name.
    pub fn child(&self, kind: ChildKind, name: &str) -> Option<&Child> {
        self.children.get(&(kind, name.to_owned()))
    }

    /// What is known of an object that the parent refers to.
    fn referent(&self, reference: &Reference) -> Known<&Referent> {
        match self.referents.get(reference) {
            None | Some(Known::Unknown) => Known::Unknown,
            Some(Known::Absent) => Known::Absent,
            Some(Known::Known(referent)) => Known::Known(referent),
        }
    }

    /// Likewise, of the content of a `ConfigMap` or a Secret.
    pub fn content(&self, reference: &Reference) -> Known<&Content> {
        match self.referent(reference) {
            Known::Known(Referent::Content(content)) => Known::Known(content),
            Known::Absent => Known::Absent,
            Known::Unknown | Known::Known(Referent::Volume(_)) => Known::Unknown,
        }
    }

    /// Likewise, of a `PersistentVolumeClaim`.
    pub fn mountable(&self, name: &str) -> Known<&Mountable> {
        match self.referent(&Reference::new(ReferenceKind::PersistentVolumeClaim, name)) {
            Known::Known(Referent::Volume(volume)) => Known::Known(volume),
            Known::Absent => Known::Absent,
            Known::Unknown | Known::Known(Referent::Content(_)) => Known::Unknown,
        }
    }

    /// What is known of an optional kind.
    pub fn offer(&self, kind: ChildKind) -> Offer {
        self.offers.get(&kind).copied().unwrap_or_default()
    }

    /// Progress of the Deployment of that name.
    pub fn workload(&self, name: &str) -> Option<&Workload> {
        match &self.child(ChildKind::Deployment, name)?.facts {
            Facts::Workload(workload) => Some(workload),
            Facts::None | Facts::Volume(_) | Facts::Claim(_) | Facts::Account(_) | Facts::Published(_) => None,
        }
    }

    /// Whether every pod of a Deployment is of the wanted template; none of another one is left, not even stopping.
    pub fn runs_only(&self, wanted: &Object) -> bool {
        let is_alone = |workload: &Workload| workload.is_rolled_out() && workload.terminating == 0;
        self.agrees(wanted) && self.workload(&wanted.name).is_some_and(is_alone)
    }

    /// Where the live object is not the wanted one although it was applied: a reason to be told of, and none to apply it again.
    pub fn unlike(&self, wanted: &Object) -> Option<&Unlike> {
        self.child(wanted.kind, &wanted.name).filter(|child| child.is_as(wanted))?.unlike.as_deref()
    }

    /// What the cluster put in place of what the Deployment of that name was applied with.
    pub fn rewritten(&self, name: &str) -> &[String] {
        let unlike = self.child(ChildKind::Deployment, name).and_then(|child| child.unlike.as_deref());
        unlike.map(|unlike| unlike.rewritten.as_slice()).unwrap_or_default()
    }

    /// What others added to the Deployment of that name, in words.
    pub fn added(&self, name: &str) -> &[String] {
        self.child(ChildKind::Deployment, name).map(|child| &*child.added).unwrap_or_default()
    }

    /// State of the `PersistentVolumeClaim` of that name.
    pub fn volume(&self, name: &str) -> Option<&Volume> {
        match &self.child(ChildKind::PersistentVolumeClaim, name)?.facts {
            Facts::Volume(volume) => Some(volume),
            Facts::None | Facts::Workload(_) | Facts::Claim(_) | Facts::Account(_) | Facts::Published(_) => None,
        }
    }

    /// Pull secrets of the `ServiceAccount` of that name; `None` if there never was one.
    pub fn account(&self, name: &str) -> Option<&Account> {
        match &self.child(ChildKind::ServiceAccount, name)?.facts {
            Facts::Account(account) => Some(account),
            Facts::None | Facts::Workload(_) | Facts::Volume(_) | Facts::Claim(_) | Facts::Published(_) => None,
        }
    }

    /// How the Service of that name is reached from outside; `None` if it is not.
    pub fn published(&self, name: &str) -> Option<&Published> {
        match &self.child(ChildKind::Service, name).filter(|child| !child.deleting)?.facts {
            Facts::Published(published) => Some(published),
            Facts::None | Facts::Workload(_) | Facts::Volume(_) | Facts::Claim(_) | Facts::Account(_) => None,
        }
    }

    /// Whether the live object is exactly the wanted one.
    pub fn agrees(&self, wanted: &Object) -> bool {
        self.child(wanted.kind, &wanted.name).is_some_and(|child| child.is_as(wanted))
    }

    /// Children that the plan no longer wants and that may go. Of a kind that can't be had now, none may.
    pub fn surplus(&self, parent: &Identity, wanted: &[Object], prunable: &[ChildKind]) -> Vec<(ChildKind, String)> {
        self.children
            .iter()
            .filter(|((kind, name), child)| {
                prunable.contains(kind)
                    && self.offers.get(kind).is_none_or(|offer| matches!(offer, Offer::Served(_)))
                    && child.owner.is_controller(parent)
                    && !wanted.iter().any(|object| object.kind == *kind && object.name == *name)
            })
            .map(|(key, _)| key.clone())
            .collect()
    }
}
