//! How often each child was repaired lately, so that a fight with somebody costs both little.

use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;
use xxhash_rust::xxh3::xxh3_64;

/// So many repairs of one child within a minute are help; one more is a fight.
pub const MANY: u32 = 5;
const MINUTE: Duration = Duration::from_secs(60);
/// How long a repair waits for the one before it in a fight.
pub const SLOW: Duration = Duration::from_secs(120);
/// A fight is over when nothing was to be repaired for so long.
const CALM: Duration = Duration::from_secs(300);

/// Which child of which parent, by a hash: thousands may be made in a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Id(u64);

impl Id {
    /// That of a child, such as `Deployment shop`, of the parent with that UID.
    pub fn new(parent: &str, child: &str) -> Self {
        Self(xxh3_64(format!("{parent} {child}").as_bytes()))
    }
}

#[derive(Debug)]
struct Entry {
    /// When the minute began in which repairs are counted.
    since: Instant,
    count: u32,
    last: Instant,
    /// What was done to the child last, once it is a fight.
    fight: Option<Box<str>>,
}

impl Entry {
    const fn new(now: Instant) -> Self {
        Self { since: now, count: 0, last: now, fight: None }
    }
}

/// Repairs of the last minutes.
#[derive(Debug, Default)]
pub struct Repairs {
    entries: HashMap<Id, Entry>,
    /// At how many entries the old ones are forgotten.
    full: usize,
}

impl Repairs {
    /// A child was made. It was repaired if it had been made or repaired before.
    pub fn made(&mut self, id: Id, now: Instant) {
        if self.entries.contains_key(&id) {
            self.note(id, now, "it was deleted");
        } else {
            self.tidy(now);
            self.entries.insert(id, Entry::new(now));
        }
    }

    /// A child was changed back after this was done to it.
    pub fn note(&mut self, id: Id, now: Instant, what: &str) {
        self.tidy(now);
        let entry = self.entries.entry(id).or_insert(Entry::new(now));
        if now - entry.last > CALM || entry.fight.is_none() && now - entry.since > MINUTE {
            *entry = Entry::new(now);
        }
        entry.count += 1;
        entry.last = now;
        if entry.count > MANY {
            entry.fight = Some(what.into());
        }
    }

    fn tidy(&mut self, now: Instant) {
        if self.entries.len() >= self.full {
            self.entries.retain(|_, entry| now - entry.last <= if entry.fight.is_some() { CALM } else { MINUTE });
            self.full = (self.entries.len() * 2).max(64);
        }
    }

    /// What a user is to know of the fight over a child, if there is one.
    pub fn fight(&self, id: Id, now: Instant) -> Option<String> {
        let entry = self.entries.get(&id).filter(|entry| now - entry.last <= CALM)?;
        let what = entry.fight.as_deref()?;
        Some(format!(
            "{what}, more than {MANY} times within a minute; it is repaired every {} minutes only. Stop whoever does it, or \
             declare what it is to be",
            SLOW.as_secs() / 60
        ))
    }

    /// Whether a repair of a child must wait.
    pub fn must_wait(&self, id: Id, now: Instant) -> bool {
        self.entries.get(&id).is_some_and(|entry| entry.fight.is_some() && now - entry.last < SLOW)
    }
}

#[cfg(test)]
mod tests {
    use super::{CALM, Id, Instant, MANY, MINUTE, Repairs, SLOW};
    use std::time::Duration;

    const SECOND: Duration = Duration::from_secs(1);

    fn id() -> Id {
        Id::new("uid", "Deployment shop")
    }

    #[test]
    fn many_repairs_within_a_minute_are_a_fight_in_which_they_wait() {
        let (mut repairs, start) = (Repairs::default(), Instant::now());
        for turn in 0..MANY {
            repairs.note(id(), start + turn * SECOND, "x");
            assert!(!repairs.must_wait(id(), start + turn * SECOND), "{turn}");
        }
        let last = start + 30 * SECOND;
        repairs.note(id(), last, "kubectl changed spec.replicas");
        assert!(repairs.fight(id(), last).is_some_and(|fight| fight.starts_with("kubectl changed spec.replicas, ")));
        assert!(repairs.must_wait(id(), last + SLOW - SECOND) && !repairs.must_wait(id(), last + SLOW));
        assert!(!repairs.must_wait(Id::new("another", "Deployment shop"), last));
        // One repair later it is a fight still.
        repairs.note(id(), last + SLOW, "x");
        assert!(repairs.must_wait(id(), last + SLOW + SECOND));
    }

    #[test]
    fn what_is_made_is_no_repair_but_what_is_made_again_is() {
        let (mut repairs, now) = (Repairs::default(), Instant::now());
        for turn in 0..=MANY {
            repairs.made(id(), now);
            assert_eq!(repairs.fight(id(), now), None, "{turn}");
        }
        repairs.made(id(), now);
        assert!(repairs.fight(id(), now).is_some_and(|fight| fight.starts_with("it was deleted, ")));
    }

    #[test]
    fn a_fight_is_over_when_it_was_calm() {
        let (mut repairs, start) = (Repairs::default(), Instant::now());
        (0..=MANY).for_each(|_| repairs.note(id(), start, "x"));
        assert!(repairs.fight(id(), start + CALM).is_some() && repairs.fight(id(), start + CALM + SECOND).is_none());
        repairs.note(id(), start + CALM + SECOND, "x");
        assert_eq!(repairs.fight(id(), start + CALM + SECOND), None);
    }

    #[test]
    fn now_and_then_is_no_fight_and_is_forgotten() {
        let (mut repairs, start) = (Repairs::default(), Instant::now());
        for turn in 0..1000 {
            repairs.note(id(), start + turn * MINUTE / 4, "x");
            repairs.note(Id::new(&turn.to_string(), "Service"), start + turn * MINUTE / 4, "x");
            assert_eq!(repairs.fight(id(), start + turn * MINUTE / 4), None);
        }
        assert!(repairs.entries.len() < 100, "{} are remembered", repairs.entries.len());
    }
}
