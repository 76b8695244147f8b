//! What is remembered of objects that are only looked at and belong to another: pods and revisions to a parent, Events to what they
//! are about.

use super::key::Key;
use super::scope::{Place, is_unseen};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;

/// Objects of one kind, by the owner that they belong to.
#[derive(Debug)]
pub struct Belongings<O, T> {
    by_owner: HashMap<O, BTreeMap<Key, T>>,
    owners: HashMap<Key, O>,
}

impl<O, T> Default for Belongings<O, T> {
    fn default() -> Self {
        Self { by_owner: HashMap::new(), owners: HashMap::new() }
    }
}

impl<O: Clone + Eq + Hash, T: PartialEq> Belongings<O, T> {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.owners.len()
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &T> {
        self.by_owner.values().flat_map(BTreeMap::values)
    }

    /// Those of an owner.
    pub fn of(&self, owner: &O) -> impl Iterator<Item = &T> {
        self.entries(owner).map(|(_, object)| object)
    }

    /// Likewise, with their keys.
    pub fn entries(&self, owner: &O) -> impl Iterator<Item = (&Key, &T)> {
        self.by_owner.get(owner).into_iter().flatten()
    }

    /// The object of that key, and its owner.
    pub fn get(&self, key: &Key) -> Option<(&O, &T)> {
        let owner = self.owners.get(key)?;
        Some((owner, self.by_owner.get(owner)?.get(key)?))
    }

    /// Remembers one. The owner, and the one that it had before, if it tells them anything new.
    pub fn set(&mut self, key: &Key, owner: &O, object: T) -> Vec<O> {
        let mut concerned = Vec::new();
        if self.owners.get(key).is_some_and(|former| former != owner) {
            concerned = self.remove(key);
        }
        self.owners.insert(key.clone(), owner.clone());
        let belongings = self.by_owner.entry(owner.clone()).or_default();
        if belongings.get(key) != Some(&object) {
            belongings.insert(key.clone(), object);
            concerned.push(owner.clone());
        }
        concerned
    }

    /// Forgets one. The owner that it had.
    pub fn remove(&mut self, key: &Key) -> Vec<O> {
        let Some(owner) = self.owners.remove(key) else { return Vec::new() };
        if let Some(belongings) = self.by_owner.get_mut(&owner) {
            belongings.remove(key);
            if belongings.is_empty() {
                self.by_owner.remove(&owner);
            }
        }
        vec![owner]
    }

    /// Those in that place which are not in `seen`.
    pub fn unseen(&self, place: &Place, seen: &BTreeSet<Key>) -> Vec<Key> {
        self.owners.keys().filter(|key| is_unseen(key, place, seen)).cloned().collect()
    }
}
