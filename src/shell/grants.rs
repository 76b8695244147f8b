//! Which watches of configuration are allowed, as far as their answers have told, and who insists on those that are not.

use super::key::ParentKey;
use super::scope::Watch;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// A right that is given namespace by namespace is tried again after that time where it was refused and somebody insists on it.
pub const PROBE: Duration = Duration::from_secs(60);

/// What the answers to watches have told.
#[derive(Debug, Default)]
pub struct Grants {
    /// What has been answered, if only by a failure.
    tried: BTreeSet<Watch>,
    /// Where nothing may be read, so that nothing is known or asked for; and since when.
    refused: BTreeMap<Watch, Instant>,
    /// What was refused and is to be tried once more.
    again: BTreeSet<Watch>,
    /// Who insists on what was refused.
    lacking: BTreeMap<Watch, BTreeSet<ParentKey>>,
    /// How often a watch was answered.
    answers: watch::Sender<u64>,
}

impl Grants {
    /// Whether nothing of it may be read.
    pub fn is_refused(&self, watch: &Watch) -> bool {
        self.refused.contains_key(watch)
    }

    /// Whether its first answer is what tells whether anything may be read.
    pub fn is_untried(&self, watch: &Watch) -> bool {
        watch.subject.comes_with_a_component() && !self.tried.contains(watch)
    }

    /// Whether it is of use to run it. One that comes with a component, and was refused, is not as long as nobody insists.
    pub fn is_of_use(&self, watch: &Watch) -> bool {
        let is_free = !self.is_refused(watch) || !watch.subject.comes_with_a_component();
        is_free || self.again.contains(watch) || self.lacking.contains_key(watch)
    }

    /// When it may begin, if not at once.
    pub fn not_before(&self, watch: &Watch) -> Option<Instant> {
        let refused = self.refused.get(watch).filter(|_| watch.subject.comes_with_a_component());
        refused.map(|since| *since + PROBE)
    }

    /// There is a new reason to run it.
    pub fn ask(&mut self, watch: &Watch) {
        if self.is_refused(watch) {
            self.again.insert(watch.clone());
        }
    }

    /// Has everything that was refused tried once more, as if for the first time. What somebody insists on is tried anyway.
    pub fn retry(&mut self) {
        let Self { tried, refused, lacking, .. } = self;
        let is_retried = |watch: &Watch| watch.subject.comes_with_a_component() && !lacking.contains_key(watch);
        tried.retain(|watch| !(is_retried(watch) && refused.contains_key(watch)));
        refused.retain(|watch, _| !is_retried(watch));
    }

    /// Remembers on which watches a parent insists.
    pub fn insist(&mut self, parent: &ParentKey, watches: impl Iterator<Item = Watch>) {
        self.lacking.retain(|_, parents| {
            parents.remove(parent);
            !parents.is_empty()
        });
        for watch in watches {
            self.lacking.entry(watch).or_default().insert(parent.clone());
        }
    }

    /// Whether nobody insists on anything.
    pub fn is_content(&self) -> bool {
        self.lacking.is_empty()
    }

    /// It was answered, if only by a failure.
    pub fn answered(&mut self, watch: &Watch) {
        self.tried.insert(watch.clone());
        self.tell();
    }

    /// Has whoever waits for an answer look again.
    pub fn tell(&self) {
        self.answers.send_modify(|answers| *answers += 1);
    }

    /// Tells of every answer.
    pub fn answers(&self) -> watch::Receiver<u64> {
        self.answers.subscribe()
    }

    /// Its list shows objects: they may be read again, and until it is complete nobody is to act on half of it.
    pub fn shows(&mut self, watch: &Watch) {
        if self.refused.remove(watch).is_some() {
            self.tried.remove(watch);
        }
    }

    /// It may be read.
    pub fn allow(&mut self, watch: &Watch) {
        self.refused.remove(watch);
        self.again.remove(watch);
    }

    /// Nothing of it may be read. Whether that is news.
    pub fn refuse(&mut self, watch: &Watch, now: Instant) -> bool {
        self.again.remove(watch);
        self.refused.insert(watch.clone(), now).is_none()
    }

    /// It is not needed any more.
    pub fn forget(&mut self, watch: &Watch) {
        self.tried.remove(watch);
        self.allow(watch);
    }
}
