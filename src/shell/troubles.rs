//! What is wrong with pods and volume claims of ours: what pods tell themselves, and what Events complain of.

use super::belongings::Belongings;
use super::complaints::{Complaints, Object};
use super::key::{Key, ParentKey, Wake};
use super::scope::Place;
use crate::core::complaints::{Complaint, NoVolume, Subject, explained, no_volume};
use crate::core::pods::Pod;
use crate::core::stray::Stray;
use std::collections::BTreeSet;

/// Pods that matter, and complaints.
#[derive(Debug, Default)]
pub struct Troubles {
    pods: Belongings<ParentKey, Pod>,
    /// Pods of others that carry the labels of a parent.
    strays: Belongings<ParentKey, Stray>,
    /// What Events complain of.
    pub complaints: Complaints,
}

impl Troubles {
    /// How many pods have a problem.
    pub fn count(&self) -> usize {
        self.pods.all().filter(|pod| !pod.troubles.is_empty()).count()
    }

    /// Remembers a pod, if it matters. Wakes its parent if it tells anything new.
    pub fn set_pod(&mut self, key: &Key, parent: &ParentKey, pod: &Pod) -> Wake {
        let mut wake = self.strays.remove(key);
        if !pod.matters || self.pods.get(key).is_some_and(|(_, known)| known.uid != pod.uid) {
            wake.extend(self.forget_pod(key));
        }
        if pod.matters {
            let was_quiet = self.is_quiet(key);
            if self.pods.get(key).is_none() {
                self.complaints.found(&object(Subject::Pod, key, &pod.uid));
            }
            let concerned = self.pods.set(key, parent, pod.clone());
            if !(was_quiet && self.is_quiet(key)) {
                wake.extend(concerned);
            }
        }
        wake
    }

    /// Remembers a pod of others that carries the labels of that parent.
    pub fn set_stray(&mut self, key: &Key, parent: &ParentKey, stray: Stray) -> Wake {
        let mut wake = self.forget_pod(key);
        wake.extend(self.strays.set(key, parent, stray));
        wake
    }

    /// Pods of others that carry the labels of a parent.
    pub fn strays(&self, parent: &ParentKey) -> Vec<Stray> {
        self.strays.of(parent).cloned().collect()
    }

    /// Forgets a pod, whosever it is.
    pub fn remove_pod(&mut self, key: &Key) -> Wake {
        let mut wake = self.strays.remove(key);
        wake.extend(self.forget_pod(key));
        wake
    }

    /// Forgets a pod of ours, and what was complained of it.
    fn forget_pod(&mut self, key: &Key) -> Wake {
        let was_quiet = self.is_quiet(key);
        if let Some((_, pod)) = self.pods.get(key) {
            self.complaints.forget(&object(Subject::Pod, key, &pod.uid));
        }
        let concerned = self.pods.remove(key);
        if was_quiet { Wake::new() } else { concerned }
    }

    /// Whether there is nothing to tell of a pod.
    fn is_quiet(&self, key: &Key) -> bool {
        let is_quiet = |pod: &Pod| {
            pod.troubles.is_empty() && self.complaints.of(&object(Subject::Pod, key, &pod.uid)).next().is_none()
        };
        self.pods.get(key).is_none_or(|(_, pod)| is_quiet(pod))
    }

    /// Every pod in that place which is not in `seen`.
    pub fn unseen_pods(&self, place: &Place, seen: &BTreeSet<Key>) -> Vec<Key> {
        [self.pods.unseen(place, seen), self.strays.unseen(place, seen)].concat()
    }

    /// The pods of a parent of which there is something to tell, with what is complained of them.
    pub fn pods(&self, parent: &ParentKey) -> Vec<Pod> {
        let with_complaints = |(key, pod): (&Key, &Pod)| {
            let complaints: Vec<&Complaint> = self.complaints.of(&object(Subject::Pod, key, &pod.uid)).collect();
            let is_quiet = pod.troubles.is_empty() && complaints.is_empty();
            (!is_quiet).then(|| explained(pod, &complaints))
        };
        self.pods.entries(parent).filter_map(with_complaints).collect()
    }

    /// Why the volume claim of that UID has no volume.
    pub fn no_volume(&self, claim: &Key, uid: &str) -> Option<NoVolume> {
        no_volume(self.complaints.of(&object(Subject::Claim, claim, uid)))
    }

    /// The volume claim of that UID becomes known.
    pub fn found_claim(&mut self, claim: &Key, uid: &str) {
        self.complaints.found(&object(Subject::Claim, claim, uid));
    }

    /// The volume claim of that UID is gone, and what was complained of it.
    pub fn forget_claim(&mut self, claim: &Key, uid: &str) {
        self.complaints.forget(&object(Subject::Claim, claim, uid));
    }

    /// Takes in what an Event complains of, or that there is nothing of it to be told. `claim` says whose a volume claim is, if it is
    /// ours and still that one. Of others' objects a few are remembered for a while, as ours may not be known yet.
    pub fn complained(
        &mut self,
        event: &Key,
        told: Option<(Object, Complaint)>,
        claim: impl Fn(&Object) -> Option<ParentKey>,
    ) -> Wake {
        let pod = |object: &Object| {
            let (parent, pod) = self.pods.get(&object.key)?;
            (pod.uid == object.uid).then(|| parent.clone())
        };
        let whose = |object: &Object| match object.subject {
            Subject::Pod => pod(object),
            Subject::Claim => claim(object),
        };
        match told.map(|(object, complaint)| (whose(&object), object, complaint)) {
            Some((Some(parent), object, complaint)) => {
                if self.complaints.set(event, &object, complaint) {
                    vec![parent]
                } else {
                    Wake::new()
                }
            }
            Some((None, object, complaint)) => {
                self.complaints.stray(event, object, complaint);
                Wake::new()
            }
            None => self.complaints.remove(event).and_then(|object| whose(&object)).into_iter().collect(),
        }
    }
}

fn object(subject: Subject, key: &Key, uid: &str) -> Object {
    Object { subject, key: key.clone(), uid: uid.into() }
}
