//! From what a watch shows of our objects, and of others that are looked at, into the caches.

use super::context::Context;
use super::guard::caught;
use super::intake::{take_child, take_event, take_parent, take_pod, take_revision};
use super::key::{Key, ParentKey, Wake};
use super::kinds::{Observable, Subject, row};
use super::progress::Source;
use super::queue::Lane;
use super::scope::Watch;
use super::watch::Intake;
use crate::core::live::Live;
use crate::core::observed::StorageClass;
use crate::core::offer::Offer;
use kube::core::ApiResource;
use kube::runtime::watcher::Event;
use std::collections::BTreeSet;

/// Takes objects of ours, and others that are looked at, into the caches.
pub struct Objects {
    context: Context,
    watch: Watch,
    /// What the running relist has shown so far.
    seen: BTreeSet<Key>,
}

impl Objects {
    /// The intake of that watch.
    pub const fn new(context: Context, watch: Watch) -> Self {
        Self { context, watch, seen: BTreeSet::new() }
    }

    /// How many objects the running relist has shown that are to be kept.
    pub fn remembered(&self) -> usize {
        self.seen.len()
    }

    /// Takes in one object. One that makes the operator panic is passed over; the others are not to suffer from it.
    fn take_object(&self, live: Live, source: Source, lane: Lane) {
        let subject = self.watch.subject;
        let key = key(&live);
        let wake = caught(|| format!("{subject} {key}"), || take(&self.context, subject, live, source));
        self.wake(wake.unwrap_or_default(), lane);
    }

    fn wake(&self, parents: Wake, lane: Lane) {
        if self.watch.subject.is_followed() {
            self.context.wake_later(parents);
        } else {
            self.context.wake(parents, lane);
        }
    }
}

impl Intake for Objects {
    type Object = Live;

    fn take(&mut self, event: Event<Live>) -> bool {
        let subject = self.watch.subject;
        match event {
            Event::Init => {
                self.seen.clear();
                if let Subject::Child(kind) = subject {
                    self.context.caches().begin_list(kind, &self.watch.place);
                }
            }
            Event::InitApply(live) => {
                let key = key(&live);
                self.take_object(live, Source::List, Lane::Background);
                // Of strangers' Events there are any number.
                if !subject.is_events() || self.context.caches().troubles.complaints.has(&key) {
                    self.seen.insert(key);
                }
            }
            Event::InitDone => {
                let wake = sweep(&self.context, &self.watch, &std::mem::take(&mut self.seen));
                self.context.wake(wake, Lane::Background);
                return true;
            }
            Event::Apply(live) => self.take_object(live, Source::Watch, Lane::Edit),
            Event::Delete(live) => {
                let key = key(&live);
                let wake = match subject {
                    Subject::Child(kind) => self.context.caches().child_is_gone(kind, &key, live.version()),
                    Subject::Parent(_) | Subject::Observed(_) | Subject::Content(_) => {
                        forget(&self.context, subject, &key)
                    }
                };
                self.wake(wake, Lane::Edit);
            }
        }
        false
    }

    fn failed(&mut self, code: u16) {
        let wake = failed(&self.context, &self.watch, code);
        self.context.wake(wake, Lane::Edit);
    }

    fn resource(&self, subject: Subject) -> ApiResource {
        match subject {
            Subject::Child(kind) => self.context.apis().resource(kind),
            Subject::Parent(_) | Subject::Observed(_) | Subject::Content(_) => subject.resource().0,
        }
    }
}

/// By what an object is remembered.
pub fn key(live: &Live) -> Key {
    Key::new(live.namespace(), live.name())
}

/// Takes in one object of the subject's kind; configuration has an intake of its own.
pub fn take(context: &Context, subject: Subject, live: Live, source: Source) -> Wake {
    match subject {
        Subject::Parent(kind) => take_parent(context, kind, live),
        Subject::Child(kind) => take_child(context, kind, &live, source).unwrap_or_default(),
        Subject::Observed(Observable::Pod) => take_pod(context, &live),
        Subject::Observed(Observable::ReplicaSet) => take_revision(context, &live),
        Subject::Observed(Observable::Event) => take_event(context, &live),
        Subject::Observed(Observable::StorageClass) => {
            let mut caches = context.caches();
            let mut classes = caches.classes();
            classes.insert(live.name().to_owned(), StorageClass::of(&live));
            caches.set_classes(Some(classes))
        }
        Subject::Observed(Observable::Definition) | Subject::Content(_) => Wake::new(),
    }
}

fn forget(context: &Context, subject: Subject, key: &Key) -> Wake {
    let mut caches = context.caches();
    match subject {
        Subject::Parent(kind) => {
            let parent = ParentKey::new(kind, key.clone());
            context.reported().remove(&parent);
            context.wants().ask(&parent, &[]);
            caches.remove_parent(&parent)
        }
        Subject::Child(kind) => caches.remove_child(kind, key),
        Subject::Observed(Observable::Pod) => caches.troubles.remove_pod(key),
        Subject::Observed(Observable::ReplicaSet) => caches.set_revision(key, None),
        Subject::Observed(Observable::Event) => caches.complained(key, None),
        Subject::Observed(Observable::StorageClass) => {
            let mut classes = caches.classes();
            classes.remove(key.name.as_ref());
            caches.set_classes(Some(classes))
        }
        Subject::Observed(Observable::Definition) | Subject::Content(_) => Wake::new(),
    }
}

/// Forgets what a complete list no longer shows, of all that its watch tells of.
pub fn sweep(context: &Context, watch: &Watch, seen: &BTreeSet<Key>) -> Wake {
    let Watch { place, subject } = watch;
    let mut wake = match *subject {
        Subject::Child(kind) => context.caches().end_list(kind, place, seen),
        Subject::Parent(_) | Subject::Observed(_) | Subject::Content(_) => {
            let gone = unseen(context, watch, seen);
            gone.iter().flat_map(|key| forget(context, *subject, key)).collect()
        }
    };
    wake.extend(match *subject {
        // Each is planned again, as a plan that finds everything as it should be costs no request.
        Subject::Parent(kind) => {
            let caches = context.caches();
            let listed = |parent: &&ParentKey| parent.kind == kind && place.covers(&parent.key.namespace);
            caches.parents().filter(listed).cloned().collect()
        }
        Subject::Observed(Observable::StorageClass) => {
            let mut caches = context.caches();
            let classes = caches.classes();
            caches.set_classes(Some(classes))
        }
        Subject::Child(kind) => match context.apis().version(kind) {
            Some(version) => context.caches().set_offer(kind, place, Offer::Served(version)),
            None => Wake::new(),
        },
        Subject::Observed(_) | Subject::Content(_) => Wake::new(),
    });
    wake
}

/// What is remembered and a complete list of its watch does not show.
fn unseen(context: &Context, Watch { place, subject }: &Watch, seen: &BTreeSet<Key>) -> Vec<Key> {
    let caches = context.caches();
    match *subject {
        Subject::Parent(kind) => caches.unseen_parents(kind, place, seen),
        Subject::Child(_) | Subject::Observed(Observable::Definition) | Subject::Content(_) => Vec::new(),
        Subject::Observed(Observable::Pod) => caches.troubles.unseen_pods(place, seen),
        Subject::Observed(Observable::ReplicaSet) => caches.unseen_revisions(place, seen),
        Subject::Observed(Observable::Event) => caches.troubles.complaints.unseen(place, seen),
        Subject::Observed(Observable::StorageClass) => {
            caches.classes().into_keys().map(|name| Key::new("", &name)).filter(|key| !seen.contains(key)).collect()
        }
    }
}

/// Takes in that a kind can't be looked at: with 403 it may not be, with 404 it may be served no longer.
fn failed(context: &Context, watch: &Watch, code: u16) -> Wake {
    let Watch { place, subject } = watch;
    match (*subject, code) {
        (Subject::Observed(Observable::StorageClass), 403) => context.caches().set_classes(None),
        (Subject::Observed(Observable::Event), 403) => sweep(context, watch, &BTreeSet::new()),
        (Subject::Child(kind), 403 | 404) => match &row(kind).optional {
            Some(provider) if code == 403 => context.caches().set_offer(kind, place, Offer::Denied(provider)),
            Some(_) => {
                context.apis().ask();
                Wake::new()
            }
            None => Wake::new(),
        },
        (Subject::Parent(_) | Subject::Child(_) | Subject::Observed(_) | Subject::Content(_), _) => Wake::new(),
    }
}
