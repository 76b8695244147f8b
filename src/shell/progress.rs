//! How far each watch of children is, by which a late answer is known from news.
//!
//! A watch tells in the order of versions, but only what happens in its own namespace: how far another one is says nothing.

use super::scope::Watch;
use std::collections::HashMap;

/// Which way the state of a child came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The watch told of it.
    Watch,
    /// The list under way has it.
    List,
    /// It is the answer to a request that was sent at that moment.
    Answer(Moment),
}

/// When a request was sent: after that many lists of the watch that tells of its object had begun or ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment(u64);

/// How far every watch is.
#[derive(Debug, Default)]
pub struct Progress(HashMap<Watch, Told>);

/// How far one watch is.
#[derive(Debug, Default)]
struct Told {
    /// The newest version that was news when the watch told it. Everything that happened before, it told as well.
    newest: u64,
    /// The newest version in the list under way.
    listed: u64,
    /// How many times a list has begun or ended.
    turns: u64,
}

impl Progress {
    /// Now, for a request about what that watch tells of.
    pub fn moment(&self, watch: &Watch) -> Moment {
        Moment(self.0.get(watch).map_or(0, |told| told.turns))
    }

    /// Whether the answer to a request of that moment may tell of an object that is not known. What the watch has told by now
    /// includes that the object is gone; a list that began or ended meanwhile may do so too.
    pub fn may_be_news(&self, watch: &Watch, version: u64, sent: Moment) -> bool {
        version > self.0.get(watch).map_or(0, |told| told.newest) && sent == self.moment(watch)
    }

    /// A list begins.
    pub fn list_begins(&mut self, watch: Watch) {
        let told = self.0.entry(watch).or_default();
        told.turns += 1;
        told.listed = 0;
    }

    /// A list is complete.
    pub fn list_ends(&mut self, watch: Watch) {
        let told = self.0.entry(watch).or_default();
        told.turns += 1;
        told.newest = told.newest.max(told.listed);
    }

    /// An object was taken in at that version.
    pub fn taken(&mut self, watch: Watch, version: u64, source: Source) {
        let told = self.0.entry(watch).or_default();
        match source {
            Source::Watch => told.newest = told.newest.max(version),
            Source::List => told.listed = told.listed.max(version),
            Source::Answer(_) => {}
        }
    }
}
