//! What is known of the optional kinds in each place, and who lacks objects of them.

use super::key::ParentKey;
use super::kinds::optional;
use super::scope::Place;
use crate::core::kind::{ChildKind, ParentKind};
use crate::core::offer::{Lacking, Offer};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// All of that.
#[derive(Debug, Default)]
pub struct Offers {
    known: BTreeMap<(ChildKind, Place), Offer>,
    lacking: HashMap<ParentKey, BTreeSet<ChildKind>>,
}

impl Offers {
    /// What is known of a kind there.
    pub fn get(&self, kind: ChildKind, place: &Place) -> Offer {
        self.known.get(&(kind, place.clone())).copied().unwrap_or_default()
    }

    /// What is known there of each optional kind that such a parent may have.
    pub fn of(&self, parent: ParentKind, place: &Place) -> BTreeMap<ChildKind, Offer> {
        let may_have = optional().filter(|row| row.parents.contains(&parent));
        may_have.map(|row| (row.kind, self.get(row.kind, place))).collect()
    }

    /// Takes in what is known of a kind there; whether it is news.
    pub fn set(&mut self, kind: ChildKind, place: &Place, offer: Offer) -> bool {
        let is_news = self.get(kind, place) != offer;
        self.known.insert((kind, place.clone()), offer);
        is_news
    }

    /// Remembers of which kinds a parent that lives there lacks objects. False if what is known of one of them is not any more what
    /// it was planned by.
    pub fn lacks(&mut self, parent: &ParentKey, place: &Place, lacking: &[Lacking]) -> bool {
        if lacking.is_empty() {
            self.lacking.remove(parent);
        } else {
            self.lacking.insert(parent.clone(), lacking.iter().map(|lacking| lacking.kind).collect());
        }
        lacking.iter().all(|lacking| self.get(lacking.kind, place) == lacking.offer)
    }

    /// Who lacks objects of a kind.
    pub fn lacking(&self, kind: ChildKind) -> impl Iterator<Item = &ParentKey> {
        self.lacking.iter().filter(move |(_, kinds)| kinds.contains(&kind)).map(|(parent, _)| parent)
    }

    /// Forgets a parent.
    pub fn forget(&mut self, parent: &ParentKey) {
        self.lacking.remove(parent);
    }
}
