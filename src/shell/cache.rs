//! What the process remembers of the cluster: parents as compressed JSON, children and pods as slim facts.
//!
//! Synchronous and free of I/O. Versions are compared as numbers, and nothing goes back: what is older than what is known is
//! passed over, whichever way it came, and so is the late answer about an object that is gone by now.

use super::belongings::Belongings;
use super::body::Body;
use super::complaints::Object;
use super::key::{Key, ParentKey, Wake};
use super::kinds::Subject;
use super::offers::Offers;
use super::progress::{Moment, Progress, Source};
use super::references::References;
use super::scope::{Place, Scope, Watch, is_unseen};
use super::troubles::Troubles;
use crate::core::complaints::Complaint;
use crate::core::facts::{Claim, Facts};
use crate::core::kind::{ChildKind, Identity, ParentKind};
use crate::core::observed::{Child, Observed, StorageClass};
use crate::core::offer::Offer;
use crate::core::plan::Plan;
use crate::core::reference::{Reference, ReferenceKind};
use crate::core::revisions::Revision;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// A parent as it is remembered.
#[derive(Clone, Debug)]
pub struct ParentEntry {
    /// `metadata.resourceVersion`
    pub version: u64,
    /// `metadata.uid`
    pub uid: Box<str>,
    /// The object, without managedFields.
    pub body: Body,
    /// Hash of all of it but its status and version.
    pub declared: u64,
    /// Whether its spec is not in there, as it is too large.
    pub too_large: bool,
    /// What it refers to.
    pub references: Arc<[Reference]>,
    /// What whoever mounts it needs to know of it, if it is a claim.
    pub facts: Facts,
}

/// Everything remembered.
#[derive(Debug, Default)]
pub struct Caches {
    scope: Scope,
    parents: HashMap<ParentKey, ParentEntry>,
    /// UIDs of the parents for which everything is made that is made unseen.
    made: HashMap<ParentKey, Box<str>>,
    children: HashMap<(ChildKind, Key), Child>,
    progress: Progress,
    by_parent: HashMap<ParentKey, BTreeSet<(ChildKind, Box<str>)>>,
    revisions: Belongings<ParentKey, Arc<Revision>>,
    /// What is referred to, and who does.
    pub references: References,
    /// What is wrong with pods and volume claims.
    pub troubles: Troubles,
    classes: Option<BTreeMap<String, StorageClass>>,
    offers: Offers,
}

impl Caches {
    /// Empty ones, filled by the watches of that scope.
    pub fn new(scope: Scope) -> Self {
        Self { references: References::new(scope.clone()), scope, ..Self::default() }
    }

    /// The parent of that key.
    pub fn parent(&self, key: &ParentKey) -> Option<&ParentEntry> {
        self.parents.get(key)
    }

    /// Every parent there is.
    pub fn parents(&self) -> impl Iterator<Item = &ParentKey> {
        self.parents.keys()
    }

    /// How many objects are remembered: parents, children, pods with problems.
    pub fn sizes(&self) -> (usize, usize, usize) {
        (self.parents.len(), self.children.len(), self.troubles.count())
    }

    /// Remembers a parent. Wakes it, the claims that it begins or ceases to mount, and whoever mounts it, if that concerns them.
    pub fn set_parent(&mut self, parent: &ParentKey, entry: ParentEntry) -> Wake {
        let known = self.parents.get(parent);
        if known.is_some_and(|known| known.version >= entry.version) {
            return Wake::new();
        }
        let concerns = known.is_none_or(|known| known.facts != entry.facts);
        let before = known.map(|known| Arc::clone(&known.references)).unwrap_or_default();
        let mut wake = self.refer(parent, &before, &entry.references);
        if concerns {
            wake.extend(self.mounting(parent));
        }
        wake.push(parent.clone());
        self.parents.insert(parent.clone(), entry);
        wake
    }

    /// Replaces a parent by what a write of ours returned, unless something newer was seen meanwhile. The caller knows that the
    /// answer holds nothing but that write: what somebody else changed comes by the watch, which wakes.
    pub fn written_parent(&mut self, parent: &ParentKey, written: ParentEntry) -> Wake {
        let Some(entry) = self.parents.get_mut(parent).filter(|entry| entry.version < written.version) else {
            return Wake::new();
        };
        let concerns = entry.facts != written.facts;
        *entry = written;
        if concerns { self.mounting(parent) } else { Wake::new() }
    }

    /// Remembers that what is made unseen for a parent is made.
    pub fn made(&mut self, parent: &Identity) {
        let key = ParentKey::new(parent.kind, Key::new(&parent.namespace, &parent.name));
        self.made.insert(key, parent.uid.as_str().into());
    }

    /// Remembers what a parent lacks, to wake it when that changes. False if that changed since it was planned.
    pub fn lacks(&mut self, parent: &ParentKey, plan: &Plan) -> bool {
        let is_denied = self.references.lacks(parent, &plan.denied());
        self.offers.lacks(parent, &self.scope.place(&parent.key.namespace), &plan.lacking) && is_denied
    }

    /// Takes in what is known of an optional kind there. Wakes whoever has or lacks such objects, if it is news.
    pub fn set_offer(&mut self, kind: ChildKind, place: &Place, offer: Offer) -> Wake {
        let is_news = self.offers.set(kind, place, offer);
        let of_kind = self.children.iter().filter(|((other, _), _)| *other == kind);
        let having = of_kind.filter_map(|((_, key), child)| parent_of(child, key));
        let concerned = self.offers.lacking(kind).cloned().chain(having);
        concerned.filter(|parent| is_news && place.covers(&parent.key.namespace)).collect()
    }

    /// Forgets a parent.
    pub fn remove_parent(&mut self, parent: &ParentKey) -> Wake {
        let Some(entry) = self.parents.remove(parent) else { return Wake::new() };
        self.made.remove(parent);
        self.offers.forget(parent);
        self.references.lacks(parent, &[]);
        let mut wake = self.refer(parent, &entry.references, &[]);
        wake.extend(self.mounting(parent));
        wake.push(parent.clone());
        wake
    }

    /// Forgets a parent that the API server no longer has, unless another of its name was seen meanwhile.
    pub fn remove_parent_of(&mut self, parent: &ParentKey, uid: &str) -> Wake {
        if self.parents.get(parent).is_some_and(|entry| *entry.uid == *uid) {
            return self.remove_parent(parent);
        }
        Wake::new()
    }

    /// Moves `parent` between those who refer to objects; wakes the claims whose consumers changed.
    fn refer(&mut self, parent: &ParentKey, before: &[Reference], after: &[Reference]) -> Wake {
        let changed = self.references.change(parent, before, after);
        changed
            .into_iter()
            .filter(|reference| reference.kind == ReferenceKind::StorageClaim)
            .map(|claim| ParentKey::new(ParentKind::StorageClaim, parent.key.sibling(&claim.name)))
            .filter(|claim| self.parents.contains_key(claim))
            .collect()
    }

    /// Who refers to this parent, if it is a claim.
    fn mounting(&self, parent: &ParentKey) -> Wake {
        let is_claim = parent.kind == ParentKind::StorageClaim;
        let referrers = self.references.referrers(ReferenceKind::StorageClaim, &parent.key);
        referrers.filter(|_| is_claim).cloned().collect()
    }

    /// Whether something that a parent refers to is to be looked up, or about to be told.
    pub fn is_unsure(&self, parent: &ParentKey) -> bool {
        let awaits = |entry: &ParentEntry| self.references.awaits(parent, &entry.references);
        !self.unknown(parent).is_empty() || self.parent(parent).is_some_and(awaits)
    }

    /// What has to be looked up before a plan for that parent knows all that it could.
    pub fn unknown(&self, parent: &ParentKey) -> Vec<Reference> {
        let entry = self.parents.get(parent);
        entry.map(|entry| self.references.unknown(parent, &entry.references)).unwrap_or_default()
    }

    /// The remembered child.
    pub fn child(&self, kind: ChildKind, key: &Key) -> Option<&Child> {
        self.children.get(&(kind, key.clone()))
    }

    /// The watch that tells of children of that kind in that namespace.
    fn watch(&self, kind: ChildKind, namespace: &str) -> Watch {
        Watch { place: self.scope.place(namespace), subject: Subject::Child(kind) }
    }

    /// Now, for a request about an object of that kind in that namespace.
    pub fn moment(&self, kind: ChildKind, namespace: &str) -> Moment {
        self.progress.moment(&self.watch(kind, namespace))
    }

    /// A list of that kind begins.
    pub fn begin_list(&mut self, kind: ChildKind, place: &Place) {
        self.progress.list_begins(Watch { place: place.clone(), subject: Subject::Child(kind) });
    }

    /// A list of that kind is complete and has shown these: every other child of that place is forgotten, and its parent woken.
    ///
    /// One that was made after the list was taken is forgotten too. The watch that follows tells of it, and whoever wants it
    /// sooner finds out by one refused creation and a look.
    pub fn end_list(&mut self, kind: ChildKind, place: &Place, seen: &BTreeSet<Key>) -> Wake {
        self.progress.list_ends(Watch { place: place.clone(), subject: Subject::Child(kind) });
        let of_kind = self.children.keys().filter(|(other, key)| *other == kind && is_unseen(key, place, seen));
        let gone: Vec<Key> = of_kind.map(|(_, key)| key.clone()).collect();
        gone.iter().flat_map(|key| self.remove_child(kind, key)).collect()
    }

    /// Whether a state of a child is newer than what is known of it. `selected` says whether the watch would tell of it.
    pub fn is_news(&self, kind: ChildKind, key: &Key, version: u64, source: Source, selected: bool) -> bool {
        if let Some(known) = self.child(kind, key) {
            // What a list or a look shows is compared anew also if it stands as it was.
            return known.version < version || source != Source::Watch && known.version == version;
        }
        match source {
            Source::Watch | Source::List => true,
            Source::Answer(sent) => {
                !selected || self.progress.may_be_news(&self.watch(kind, &key.namespace), version, sent)
            }
        }
    }

    /// Remembers a child that [`Self::is_news`]. Wakes its parent (and the one it had before) if it tells anything new.
    pub fn set_child(&mut self, kind: ChildKind, key: &Key, child: Child, source: Source) -> Wake {
        let parent = parent_of(&child, key);
        let id = (kind, key.clone());
        self.progress.taken(self.watch(kind, &key.namespace), child.version, source);
        let before = self.children.get(&id);
        if let Some(before) = before.filter(|before| before.uid != child.uid) {
            self.troubles.forget_claim(key, &before.uid);
        }
        if kind == ChildKind::PersistentVolumeClaim && before.is_none_or(|before| before.uid != child.uid) {
            self.troubles.found_claim(key, &child.uid);
        }
        let news = before.is_none_or(|before| Child { version: child.version, ..before.clone() } != child);
        let former = before.and_then(|before| parent_of(before, key)).filter(|former| Some(former) != parent.as_ref());
        if let Some(former) = &former {
            self.unlink(former, kind, key);
        }
        if let Some(parent) = &parent {
            self.by_parent.entry(parent.clone()).or_default().insert((kind, key.name.as_ref().into()));
        }
        self.children.insert(id, child);
        if news { former.into_iter().chain(parent).collect() } else { Wake::new() }
    }

    /// The watch told that a child is gone, at that version.
    pub fn child_is_gone(&mut self, kind: ChildKind, key: &Key, version: u64) -> Wake {
        self.progress.taken(self.watch(kind, &key.namespace), version, Source::Watch);
        if self.child(kind, key).is_some_and(|known| known.version > version) {
            // It has been made again, which an answer told before the watch does.
            return Wake::new();
        }
        self.remove_child(kind, key)
    }

    /// Forgets a child that the API server no longer has, unless another of its name was seen meanwhile.
    pub fn remove_child_of(&mut self, kind: ChildKind, key: &Key, uid: &str) -> Wake {
        if self.child(kind, key).is_some_and(|child| *child.uid == *uid) {
            return self.remove_child(kind, key);
        }
        Wake::new()
    }

    /// Until the watch tells of its deletion, a child that was deleted is known as one that is being deleted.
    pub fn mark_deleting(&mut self, kind: ChildKind, key: &Key, uid: &str) {
        if let Some(child) = self.children.get_mut(&(kind, key.clone())).filter(|child| *child.uid == *uid) {
            child.deleting = true;
        }
    }

    /// Forgets a child.
    pub fn remove_child(&mut self, kind: ChildKind, key: &Key) -> Wake {
        let Some(child) = self.children.remove(&(kind, key.clone())) else { return Wake::new() };
        self.troubles.forget_claim(key, &child.uid);
        let parent = parent_of(&child, key);
        if let Some(parent) = &parent {
            self.unlink(parent, kind, key);
        }
        parent.into_iter().collect()
    }

    fn unlink(&mut self, parent: &ParentKey, kind: ChildKind, key: &Key) {
        if let Some(linked) = self.by_parent.get_mut(parent) {
            linked.remove(&(kind, key.name.as_ref().into()));
            if linked.is_empty() {
                self.by_parent.remove(parent);
            }
        }
    }

    /// Remembers a revision, or forgets it.
    pub fn set_revision(&mut self, key: &Key, revision: Option<(ParentKey, Revision)>) -> Wake {
        match revision {
            Some((parent, revision)) => self.revisions.set(key, &parent, Arc::new(revision)),
            None => self.revisions.remove(key),
        }
    }

    /// The revisions of that parent's Deployment, as it stands now.
    pub fn revisions(&self, parent: &ParentKey) -> Vec<Arc<Revision>> {
        let Some(deployment) = self.child(ChildKind::Deployment, &parent.key) else { return Vec::new() };
        self.revisions.of(parent).filter(|revision| revision.is_of(&deployment.uid)).cloned().collect()
    }

    /// Takes in what an Event complains of, or that there is nothing of it to be told.
    pub fn complained(&mut self, event: &Key, told: Option<(Object, Complaint)>) -> Wake {
        let children = &self.children;
        let claim = |object: &Object| {
            let child = children.get(&(ChildKind::PersistentVolumeClaim, object.key.clone()))?;
            parent_of(child, &object.key).filter(|_| child.uid == object.uid)
        };
        self.troubles.complained(event, told, claim)
    }

    /// Replaces what is known of the storage classes. Wakes every claim if it is news.
    pub fn set_classes(&mut self, classes: Option<BTreeMap<String, StorageClass>>) -> Wake {
        if self.classes == classes {
            return Wake::new();
        }
        self.classes = classes;
        self.parents.keys().filter(|parent| parent.kind == ParentKind::StorageClaim).cloned().collect()
    }

    /// The storage classes known.
    pub fn classes(&self) -> BTreeMap<String, StorageClass> {
        self.classes.clone().unwrap_or_default()
    }

    /// Every parent of that kind in that place which is not in `seen`.
    pub fn unseen_parents(&self, kind: ParentKind, place: &Place, seen: &BTreeSet<Key>) -> Vec<Key> {
        let keys = self.parents.keys().filter(|parent| parent.kind == kind).map(|parent| &parent.key);
        keys.filter(|key| is_unseen(key, place, seen)).cloned().collect()
    }

    /// Every revision in that place which is not in `seen`.
    pub fn unseen_revisions(&self, place: &Place, seen: &BTreeSet<Key>) -> Vec<Key> {
        self.revisions.unseen(place, seen)
    }

    /// Everything a plan for that parent may look at.
    pub fn observed(&self, parent: &ParentKey, references: &[Reference]) -> Observed {
        let linked = self.by_parent.get(parent).into_iter().flatten();
        let children = linked
            .filter_map(|(kind, name)| {
                let child = self.child(*kind, &parent.key.sibling(name))?;
                Some(((*kind, name.to_string()), child.clone()))
            })
            .collect();
        let is_claim = parent.kind == ParentKind::StorageClaim;
        let claims = references.iter().filter(|reference| reference.kind == ReferenceKind::StorageClaim);
        let consumers = self.mounting(parent);
        Observed {
            children,
            pods: self.troubles.pods(parent),
            strays: self.troubles.strays(parent),
            answers: BTreeMap::new(),
            revisions: self.revisions(parent),
            claims: claims.filter_map(|it| Some((it.name.to_string(), self.claim(parent, &it.name)?))).collect(),
            referents: self.references.referents(parent, references),
            denied: self.references.denied(parent, references),
            classes: self.classes.clone().filter(|_| is_claim),
            consumers: consumers
                .iter()
                .map(|consumer| format!("{}/{}", consumer.kind.as_str(), consumer.key.name))
                .collect(),
            made: self.parents.get(parent).is_some_and(|entry| self.made.get(parent) == Some(&entry.uid)),
            offers: self.offers.of(parent.kind, &self.scope.place(&parent.key.namespace)),
            no_volume: self
                .child(ChildKind::PersistentVolumeClaim, &parent.key)
                .filter(|_| is_claim)
                .and_then(|volume| self.troubles.no_volume(&parent.key, &volume.uid)),
        }
    }

    fn claim(&self, parent: &ParentKey, name: &str) -> Option<Claim> {
        let key = ParentKey::new(ParentKind::StorageClaim, parent.key.sibling(name));
        match &self.parents.get(&key)?.facts {
            Facts::Claim(claim) => Some(Claim::clone(claim)),
            Facts::None | Facts::Workload(_) | Facts::Volume(_) | Facts::Account(_) | Facts::Published(_) => None,
        }
    }
}

/// The parent that a child names, in the child's own namespace: an owner reference can't cross it.
fn parent_of(child: &Child, key: &Key) -> Option<ParentKey> {
    child.owner.parent().map(|(kind, name)| ParentKey::new(kind, key.sibling(name)))
}
