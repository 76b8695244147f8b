//! However watch, lists and answers overtake each other, the cache ends with what the API server has, and between two lists
//! it never goes back: to a state before the one that it knew, or before a deletion that the watch told.

use super::check;
use moorage::core::facts::Facts;
use moorage::core::kind::ChildKind;
use moorage::core::observed::{Child, Verdict};
use moorage::core::owner::Owner;
use moorage::shell::cache::Caches;
use moorage::shell::key::Key;
use moorage::shell::progress::{Moment, Source};
use moorage::shell::scope::Place;
use proptest::prelude::*;
use std::collections::BTreeSet;

const KIND: ChildKind = ChildKind::Deployment;

/// What may happen next; an index picks one of several.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Somebody makes the object, or changes it if it is there.
    Write,
    /// The same by a request of ours, which is answered later.
    WriteOfOurs,
    /// Somebody deletes it.
    Delete,
    /// We read it, and are answered later.
    Read,
    /// The watch tells of the next change.
    Tell,
    /// An answer arrives.
    Answer(prop::sample::Index),
    /// The watch breaks, and a list is asked for; nothing is told until it has arrived.
    List,
    /// The list is taken.
    Taken,
    /// The list arrives, and the watch goes on from there.
    Listed,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        1 => Just(Step::Write),
        1 => Just(Step::WriteOfOurs),
        1 => Just(Step::Delete),
        1 => Just(Step::Read),
        2 => Just(Step::Tell),
        2 => any::<prop::sample::Index>().prop_map(Step::Answer),
        1 => Just(Step::List),
        1 => Just(Step::Taken),
        1 => Just(Step::Listed),
    ];
    prop::collection::vec(step, 0..60)
}

/// An API server with one object, and the cache that hears of it.
#[derive(Default)]
struct World {
    caches: Caches,
    /// Every change: whether the object was there after it. The version is the place, from 1.
    history: Vec<bool>,
    /// How many changes the watch has told.
    told: usize,
    answers: Vec<(u64, Moment)>,
    /// Whether a list is under way.
    listing: bool,
    /// After how many changes it was taken, if it was.
    taken: Option<usize>,
    newest_known: u64,
}

impl World {
    fn key() -> Key {
        Key::new("default", "web")
    }

    fn exists(&self) -> bool {
        self.history.last() == Some(&true)
    }

    /// Takes in the object at that version, as `take_child` does.
    fn take(&mut self, version: u64, source: Source) {
        let child = Child {
            uid: "uid".into(),
            version,
            verdict: Verdict::Unknown,
            applied: None,
            fingerprint: version,
            witness: 0,
            copied: false,
            good: None,
            added: Box::default(),
            owner: Owner::Foreign("nobody".into()),
            deleting: false,
            finalizers: Box::default(),
            unlike: None,
            facts: Facts::None,
        };
        if self.caches.is_news(KIND, &Self::key(), version, source, true) {
            self.caches.set_child(KIND, &Self::key(), child, source);
        }
    }

    fn tell(&mut self) {
        if !self.listing && self.told < self.history.len() {
            let (version, exists) = (self.told as u64 + 1, self.history[self.told]);
            self.told += 1;
            if exists {
                self.take(version, Source::Watch);
            } else {
                self.caches.child_is_gone(KIND, &Self::key(), version);
                self.newest_known = self.newest_known.max(version);
            }
        }
    }

    fn listed(&mut self) {
        if !std::mem::take(&mut self.listing) {
            return;
        }
        let taken = self.taken.take().unwrap_or(self.history.len());
        let mut seen = BTreeSet::new();
        if taken > 0 && self.history[taken - 1] {
            seen.insert(Self::key());
            self.take(taken as u64, Source::List);
        }
        self.caches.end_list(KIND, &Place::Everywhere, &seen);
        self.newest_known = 0;
        self.told = taken;
    }

    fn step(&mut self, step: Step) {
        let moment = self.caches.moment(KIND, "default");
        match step {
            Step::Write => self.history.push(true),
            Step::WriteOfOurs => {
                self.history.push(true);
                self.answers.push((self.history.len() as u64, moment));
            }
            Step::Delete if self.exists() => self.history.push(false),
            Step::Read if self.exists() => self.answers.push((self.history.len() as u64, moment)),
            Step::Tell => self.tell(),
            Step::Answer(which) if !self.answers.is_empty() => {
                let (version, sent) = self.answers.remove(which.index(self.answers.len()));
                self.take(version, Source::Answer(sent));
            }
            Step::List if !self.listing => {
                self.caches.begin_list(KIND, &Place::Everywhere);
                self.listing = true;
            }
            Step::Taken if self.listing && self.taken.is_none() => self.taken = Some(self.history.len()),
            Step::Listed => self.listed(),
            Step::Delete | Step::Read | Step::Answer(_) | Step::List | Step::Taken => {}
        }
    }

    fn known(&self) -> Option<u64> {
        self.caches.child(KIND, &Self::key()).map(|child| child.version)
    }
}

#[test]
fn nothing_goes_back_and_what_is_gone_stays_gone() {
    check(&steps(), |steps| {
        let mut world = World::default();
        for step in steps {
            world.step(step);
            let known = world.known().unwrap_or(world.newest_known);
            prop_assert!(known >= world.newest_known, "{known} after {}", world.newest_known);
            world.newest_known = known;
        }
        // All that is under way arrives, answers last.
        world.listed();
        while world.told < world.history.len() {
            world.tell();
        }
        for (version, sent) in std::mem::take(&mut world.answers) {
            world.take(version, Source::Answer(sent));
        }
        let expected = world.exists().then_some(world.history.len() as u64);
        prop_assert_eq!(world.known(), expected);
        Ok(())
    });
}
