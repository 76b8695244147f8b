//! What is remembered of objects that are only looked at and belong to a parent: pods and revisions.

use super::key::{Key, ParentKey, Wake};
use super::scope::{Place, is_unseen};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Objects of one kind, by the parent that they belong to.
#[derive(Debug)]
pub struct Belongings<T> {
    by_parent: HashMap<ParentKey, BTreeMap<Box<str>, T>>,
    parents: HashMap<Key, ParentKey>,
}

impl<T> Default for Belongings<T> {
    fn default() -> Self {
        Self { by_parent: HashMap::new(), parents: HashMap::new() }
    }
}

impl<T: PartialEq> Belongings<T> {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.parents.len()
    }

    /// Those of a parent.
    pub fn of(&self, parent: &ParentKey) -> impl Iterator<Item = &T> {
        self.by_parent.get(parent).into_iter().flat_map(BTreeMap::values)
    }

    /// Remembers one. Wakes its parent, and the one that it had before, if it tells anything new.
    pub fn set(&mut self, key: &Key, parent: &ParentKey, object: T) -> Wake {
        let mut wake = Wake::new();
        if self.parents.get(key).is_some_and(|former| former != parent) {
            wake = self.remove(key);
        }
        self.parents.insert(key.clone(), parent.clone());
        let belongings = self.by_parent.entry(parent.clone()).or_default();
        if belongings.get(key.name.as_ref()) != Some(&object) {
            belongings.insert(key.name.as_ref().into(), object);
            wake.push(parent.clone());
        }
        wake
    }

    /// Forgets one.
    pub fn remove(&mut self, key: &Key) -> Wake {
        let Some(parent) = self.parents.remove(key) else { return Wake::new() };
        if let Some(belongings) = self.by_parent.get_mut(&parent) {
            belongings.remove(key.name.as_ref());
            if belongings.is_empty() {
                self.by_parent.remove(&parent);
            }
        }
        vec![parent]
    }

    /// Those in that place which are not in `seen`.
    pub fn unseen(&self, place: &Place, seen: &BTreeSet<Key>) -> Vec<Key> {
        self.parents.keys().filter(|key| is_unseen(key, place, seen)).cloned().collect()
    }
}
