//! What Events complain of: by the UID of an object of ours, and few for each, however many there are.

use super::belongings::Belongings;
use super::key::Key;
use super::scope::{Place, is_unseen};
use crate::core::complaints::{Complaint, Subject};
use std::collections::{BTreeSet, VecDeque};

/// Most complaints that are remembered of one object. Kubelets merge what is alike; more than these only somebody makes who may
/// write any Event.
const MOST: usize = 16;
/// Most complaints that are remembered of objects that are not known: their own watch may be a moment behind.
const STRAYS: usize = 64;

/// An object that Events may complain of. Another of its name has another UID, and none of its complaints.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Object {
    /// Its kind.
    pub subject: Subject,
    /// Its namespace and name.
    pub key: Key,
    /// Its UID.
    pub uid: Box<str>,
}

/// The complaints, by the object and by the Event that makes them.
#[derive(Debug, Default)]
pub struct Complaints {
    told: Belongings<Object, Complaint>,
    strays: VecDeque<(Key, Object, Complaint)>,
}

impl Complaints {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.told.count() + self.strays.len()
    }

    /// Whether that Event is remembered.
    pub fn has(&self, event: &Key) -> bool {
        self.told.get(event).is_some()
    }

    /// Remembers what an Event complains of. Whether that is news.
    pub fn set(&mut self, event: &Key, object: &Object, complaint: Complaint) -> bool {
        let is_news = !self.told.set(event, object, complaint).is_empty();
        while self.told.of(object).count() > MOST {
            let oldest =
                self.told.entries(object).min_by_key(|(_, complaint)| complaint.last()).map(|(key, _)| key.clone());
            oldest.map(|oldest| self.told.remove(&oldest));
        }
        is_news
    }

    /// Remembers for a while what an Event complains of an object that is not known.
    pub fn stray(&mut self, event: &Key, object: Object, complaint: Complaint) {
        self.remove(event);
        self.strays.push_back((event.clone(), object, complaint));
        if self.strays.len() > STRAYS {
            self.strays.pop_front();
        }
    }

    /// An object becomes known: what has been complained of it is its own from now on.
    pub fn found(&mut self, object: &Object) {
        let strays = std::mem::take(&mut self.strays).into_iter();
        let (found, others): (Vec<_>, Vec<_>) = strays.partition(|(_, stray, _)| stray == object);
        self.strays = others.into();
        for (event, object, complaint) in found {
            self.set(&event, &object, complaint);
        }
    }

    /// Forgets what an Event complained of, and says of which object.
    pub fn remove(&mut self, event: &Key) -> Option<Object> {
        self.strays.retain(|(known, _, _)| known != event);
        self.told.remove(event).pop()
    }

    /// Forgets what was complained of an object.
    pub fn forget(&mut self, object: &Object) {
        let events: Vec<Key> = self.told.entries(object).map(|(event, _)| event.clone()).collect();
        for event in events {
            self.told.remove(&event);
        }
    }

    /// What is complained of an object.
    pub fn of(&self, object: &Object) -> impl Iterator<Item = &Complaint> {
        self.told.of(object)
    }

    /// Events in that place which are not in `seen`.
    pub fn unseen(&self, place: &Place, seen: &BTreeSet<Key>) -> Vec<Key> {
        let strays = self.strays.iter().map(|(event, _, _)| event).filter(|event| is_unseen(event, place, seen));
        self.told.unseen(place, seen).into_iter().chain(strays.cloned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Complaints, Key, MOST, Object, STRAYS, Subject};
    use crate::core::complaints::{Complaint, complaint};
    use crate::core::live::Live;
    use serde_json::json;

    fn object(uid: &str) -> Object {
        Object { subject: Subject::Claim, key: Key::new("shop", "data"), uid: uid.into() }
    }

    fn of(index: usize, message: &str) -> (Key, Complaint) {
        let event = Live::new(json!({
            "involvedObject": {"kind": "PersistentVolumeClaim", "name": "data", "uid": "1"}, "type": "Warning",
            "reason": "ProvisioningFailed", "message": message, "lastTimestamp": format!("2026-01-01T00:{index:02}:00Z"),
        }));
        (Key::new("shop", &format!("data.{index}")), complaint(&event).unwrap().1)
    }

    #[test]
    fn however_many_events_tell_of_an_object_few_are_remembered_and_those_the_newest() {
        let mut complaints = Complaints::default();
        for index in 0..60 {
            let (event, complaint) = of(index, "full");
            complaints.set(&event, &object("1"), complaint);
        }
        assert_eq!(complaints.count(), MOST);
        assert!(complaints.has(&of(59, "").0) && !complaints.has(&of(0, "").0));
    }

    #[test]
    fn what_is_said_of_an_object_before_it_is_known_is_not_lost_and_strangers_are_few() {
        let mut complaints = Complaints::default();
        for index in 0..1_000 {
            complaints.stray(
                &Key::new("shop", &format!("storm.{index}")),
                object(&format!("stranger-{index}")),
                of(0, "full").1,
            );
        }
        assert_eq!(complaints.count(), STRAYS);
        for (index, uid) in [(1, "1"), (1, "1"), (2, "1"), (3, "2")] {
            let (event, complaint) = of(index, "full");
            complaints.stray(&event, object(uid), complaint);
        }
        assert_eq!(complaints.of(&object("1")).count(), 0);
        complaints.remove(&of(2, "").0);
        complaints.found(&object("1"));
        assert_eq!((complaints.of(&object("1")).count(), complaints.count()), (1, STRAYS - 1));
    }

    #[test]
    fn the_end_of_one_event_leaves_the_others_and_another_object_has_none() {
        let mut complaints = Complaints::default();
        for (index, message) in [(0, "full"), (1, "slow")] {
            let (event, complaint) = of(index, message);
            assert!(complaints.set(&event, &object("1"), complaint.clone()));
            assert!(!complaints.set(&event, &object("1"), complaint), "it is no news");
        }
        assert_eq!(complaints.of(&object("2")).count(), 0);
        assert_eq!(complaints.remove(&of(1, "").0), Some(object("1")));
        assert_eq!(complaints.of(&object("1")).collect::<Vec<_>>(), [&of(0, "full").1]);
        complaints.forget(&object("1"));
        assert_eq!(complaints.count(), 0);
    }
}
