//! How the watches are: what `/readyz` and `/healthz` say, and whether this replica is fit to lead.

use super::kinds::Subject;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How long a watch that is needed may be refused before the lead is given away: another replica may be better off.
const PATIENCE: Duration = Duration::from_secs(120);

/// The watches as they are, cheap to clone.
#[derive(Clone, Debug)]
pub struct Health {
    watches: Arc<Mutex<HashMap<Subject, Watching>>>,
    changes: watch::Sender<u64>,
    silence: Duration,
}

/// One watch.
#[derive(Clone, Debug)]
struct Watching {
    /// Whether a list was complete once. It stays in: a watch that breaks later is renewed from where it stood.
    listed: bool,
    /// The last sign of life: that it began, an answer, a part of one, or a failure. None of a watch that waits for others.
    heard: Option<Instant>,
    /// Since when every answer is a refusal or fails to come.
    failing: Option<Instant>,
    /// What the last failure said, since it last worked.
    failure: Option<String>,
}

impl Health {
    /// That of a process that starts now. A watch that makes no sign of life for so long is taken to be stuck; it must be more than
    /// the API server and the pauses between tries take.
    pub fn new(silence: Duration) -> Self {
        let watching = |subject| (subject, Watching { listed: false, heard: None, failing: None, failure: None });
        let watches = Subject::all().map(watching).collect();
        Self { watches: Arc::new(Mutex::new(watches)), changes: watch::Sender::new(0), silence }
    }

    /// The watch begins.
    pub fn begins(&self, subject: Subject) {
        self.change(subject, |watching| watching.heard = Some(Instant::now()));
    }

    /// A list is complete.
    pub fn listed(&self, subject: Subject) {
        self.change(subject, |watching| {
            watching.listed = true;
            watching.failure = None;
        });
    }

    /// A list or a watch failed, and that is taken in.
    pub fn failed(&self, subject: Subject, message: String) {
        self.change(subject, |watching| watching.failure = Some(message));
    }

    /// There was a sign of life; `works` says whether it was an answer that served.
    pub fn heard(&self, subject: Subject, works: bool) {
        let now = Instant::now();
        if let Some(watching) = self.lock().get_mut(&subject) {
            watching.heard = Some(now);
            watching.failing = if works { None } else { watching.failing.or(Some(now)) };
        }
    }

    fn change(&self, subject: Subject, change: impl FnOnce(&mut Watching)) {
        if let Some(watching) = self.lock().get_mut(&subject) {
            change(watching);
        }
        self.changes.send_modify(|changes| *changes += 1);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Subject, Watching>> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What keeps this replica from working, one line each; nothing when it is ready.
    pub fn missing(&self) -> Vec<String> {
        let watches = self.lock();
        Subject::all().filter_map(|subject| watches[&subject].missing(subject)).collect()
    }

    /// Watches that are stuck, one line each. Only a new process helps them.
    pub fn stuck(&self) -> Vec<String> {
        let watches = self.lock();
        let silent = |subject: Subject| {
            let silence = watches[&subject].heard?.elapsed();
            (silence > self.silence).then(|| format!("{subject}: no sign of life for {} s", silence.as_secs()))
        };
        Subject::all().filter_map(silent).collect()
    }

    /// Tells of every list and every failure from now on.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Waits until every one of these is listed, or has failed if it is optional.
    pub async fn settled(&self, subjects: impl Iterator<Item = Subject>) {
        let subjects: Vec<Subject> = subjects.collect();
        let mut changes = self.changes.subscribe();
        let settled = |_: &u64| {
            let watches = self.lock();
            subjects.iter().all(|subject| {
                let watching = &watches[subject];
                watching.listed || subject.is_optional() && watching.failure.is_some()
            })
        };
        // The sender lives as long as `self`.
        let _ = changes.wait_for(settled).await;
    }
}

impl Watching {
    fn missing(&self, subject: Subject) -> Option<String> {
        if subject.is_optional() {
            return (!self.listed && self.failure.is_none()).then(|| format!("{subject}: no list yet"));
        }
        let failure = self.failure.clone();
        match self.failing.filter(|since| since.elapsed() > PATIENCE) {
            _ if !self.listed => Some(failure.unwrap_or_else(|| format!("{subject}: no list yet"))),
            Some(since) => {
                let why = failure.unwrap_or_else(|| format!("{subject}: refused"));
                Some(format!("{why} (for {} s)", since.elapsed().as_secs()))
            }
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Health, PATIENCE, Subject};
    use crate::core::kind::{ChildKind, ParentKind};
    use crate::shell::kinds::Observable;

    const SILENCE: Duration = Duration::from_secs(400);
    const APPS: Subject = Subject::Parent(ParentKind::App);
    const SERVICES: Subject = Subject::Child(ChildKind::Service);

    fn all_listed() -> Health {
        let health = Health::new(SILENCE);
        Subject::all().for_each(|subject| health.begins(subject));
        Subject::all().for_each(|subject| health.listed(subject));
        health
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_listed_is_missing_unless_it_is_optional_and_refused() {
        let health = Health::new(SILENCE);
        assert_eq!(health.missing().len(), Subject::all().count());
        Subject::all().filter(|subject| *subject != SERVICES && !subject.is_optional()).for_each(|s| health.listed(s));
        Subject::all().filter(|s| s.is_optional()).for_each(|s| health.failed(s, "forbidden".to_owned()));
        assert_eq!(health.missing(), ["services: no list yet"]);
        health.failed(SERVICES, "services: forbidden".to_owned());
        assert_eq!(health.missing(), ["services: forbidden"]);
        health.listed(SERVICES);
        assert_eq!(health.missing(), [""; 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_refused_for_minutes_is_missing_until_it_works() {
        let health = all_listed();
        health.heard(APPS, false);
        health.failed(APPS, "apps: forbidden".to_owned());
        health.heard(Subject::Observed(Observable::Event), false);
        tokio::time::advance(PATIENCE).await;
        assert_eq!(health.missing(), [""; 0], "not at once");
        tokio::time::advance(Duration::from_secs(1)).await;
        health.heard(APPS, false);
        assert_eq!(health.missing(), ["apps: forbidden (for 121 s)"], "an optional one is not missed");
        health.heard(APPS, true);
        assert_eq!(health.missing(), [""; 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_makes_no_sign_of_life_is_stuck_also_while_it_fails() {
        let (health, waiting) = (all_listed(), Health::new(SILENCE));
        tokio::time::advance(SILENCE).await;
        assert_eq!(health.stuck(), [""; 0]);
        tokio::time::advance(Duration::from_secs(1)).await;
        Subject::all().filter(|subject| *subject != SERVICES).for_each(|s| health.heard(s, s != APPS));
        assert_eq!(health.stuck(), ["services: no sign of life for 401 s"]);
        assert_eq!(waiting.stuck(), [""; 0], "what has not begun waits for others");
    }
}
