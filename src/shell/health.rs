//! How the watches are: what `/readyz` and `/healthz` say, and whether this replica is fit to lead.

use super::kinds::Subject;
use super::scope::{Place, Scope, Watch};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How long a watch that is needed may be refused before the lead is given away: another replica may be better off.
const PATIENCE: Duration = Duration::from_secs(120);

/// The watches as they are, cheap to clone.
#[derive(Clone, Debug)]
pub struct Health {
    watches: Arc<Mutex<BTreeMap<Watch, Watching>>>,
    /// Where objects are worked on.
    places: Arc<[Place]>,
    /// Whether it was asked once which optional kinds are served.
    looked_up: Arc<AtomicBool>,
    changes: watch::Sender<u64>,
    silence: Duration,
}

/// One watch.
#[derive(Clone, Debug, Default)]
struct Watching {
    /// Whether a list was complete once. It stays in: a watch that breaks later is renewed from where it stood.
    listed: bool,
    /// The last sign of life: that it began, an answer, a part of one, or a failure. None of a watch that waits for others.
    heard: Option<Instant>,
    /// Since when every answer is a refusal or fails to come.
    failing: Option<Instant>,
    /// What the last failure said, since it last worked.
    failure: Option<String>,
    /// Whether it failed before its first list.
    troubled: bool,
    /// It is of a kind that came later; nothing waits for it.
    late: bool,
}

/// What this replica sees.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sight {
    /// Where everything that is needed is seen.
    pub seen: BTreeSet<Place>,
    /// What keeps this replica from working, one line each; nothing when it is ready.
    pub missing: Vec<String>,
    /// What can't be seen of some namespaces while others are worked on, one line each.
    pub unseen: BTreeMap<Place, Vec<String>>,
}

/// What a place lacks, one line each.
#[derive(Debug, Default)]
struct Lacks {
    /// What has failed.
    failed: Vec<String>,
    /// What has not been listed yet.
    waiting: Vec<String>,
    /// Whether something of it failed before its first list.
    troubled: bool,
}

impl Health {
    /// That of a process that starts now. A watch that makes no sign of life for so long is taken to be stuck; it must be more than
    /// the API server and the pauses between tries take.
    pub fn new(scope: &Scope, silence: Duration) -> Self {
        let watches = scope.watches().into_iter().map(|watch| (watch, Watching::default())).collect();
        let (watches, places) = (Arc::new(Mutex::new(watches)), scope.places().into());
        Self { watches, places, looked_up: Arc::default(), changes: watch::Sender::new(0), silence }
    }

    /// A watch of an optional kind is to begin. Of those that are served at the start the first list is waited for.
    pub fn add(&self, watch: &Watch) {
        let late = self.looked_up.load(Ordering::SeqCst);
        self.lock().insert(watch.clone(), Watching { late, ..Watching::default() });
    }

    /// Every optional kind that is served is added.
    pub fn looked_up(&self) {
        if !self.looked_up.swap(true, Ordering::SeqCst) {
            self.changes.send_modify(|changes| *changes += 1);
        }
    }

    /// The watch begins. One that nobody is waiting for is looked after from now on.
    pub fn begins(&self, watch: &Watch) {
        self.lock().entry(watch.clone()).or_default();
        self.change(watch, |watching| watching.heard = Some(Instant::now()));
    }

    /// The watch is needed no longer.
    pub fn ends(&self, watch: &Watch) {
        self.lock().remove(watch);
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// A list is complete.
    pub fn listed(&self, watch: &Watch) {
        self.change(watch, |watching| {
            watching.listed = true;
            watching.failure = None;
        });
    }

    /// A list or a watch failed, and that is taken in.
    pub fn failed(&self, watch: &Watch, message: String) {
        self.change(watch, |watching| {
            watching.failure = Some(message);
            watching.troubled |= !watching.listed;
        });
    }

    /// There was a sign of life; `works` says whether it was an answer that served.
    pub fn heard(&self, watch: &Watch, works: bool) {
        let now = Instant::now();
        if let Some(watching) = self.lock().get_mut(watch) {
            watching.heard = Some(now);
            watching.failing = if works { None } else { watching.failing.or(Some(now)) };
        }
    }

    fn change(&self, watch: &Watch, change: impl FnOnce(&mut Watching)) {
        if let Some(watching) = self.lock().get_mut(watch) {
            change(watching);
        }
        self.changes.send_modify(|changes| *changes += 1);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Watch, Watching>> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What this replica sees now.
    ///
    /// A namespace of which a watch is refused or fails keeps nobody from working in others, nor does one that comes back after
    /// that. One that has not been heard of does, as it will be in a moment, and so does what lacks where there is nothing else to
    /// work on.
    pub fn sight(&self) -> Sight {
        let mut lacking: BTreeMap<Place, Lacks> = BTreeMap::new();
        // Apps without configuration need none of it.
        let needed = |(watch, _): &(&Watch, &Watching)| !matches!(watch.subject, Subject::Content(_));
        for (watch, watching) in self.lock().iter().filter(needed) {
            watching.note(watch, lacking.entry(watch.place.clone()).or_default());
        }
        lacking.retain(|_, lacks| !lacks.failed.is_empty() || !lacks.waiting.is_empty());
        let seen: BTreeSet<Place> = self.places.iter().filter(|place| !lacking.contains_key(place)).cloned().collect();
        let mut sight = Sight { seen, ..Sight::default() };
        if !self.looked_up.load(Ordering::SeqCst) {
            sight.missing.push("optional APIs: not looked up yet".to_owned());
        }
        for (place, Lacks { failed, waiting, troubled }) in lacking {
            if sight.seen.is_empty() || failed.is_empty() && !troubled {
                sight.missing.extend(failed.into_iter().chain(waiting));
            } else {
                sight.unseen.insert(place, if failed.is_empty() { waiting } else { failed });
            }
        }
        sight
    }

    /// Where objects are worked on.
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// Watches that are stuck, one line each. Only a new process helps them.
    pub fn stuck(&self) -> Vec<String> {
        let silent = |(watch, watching): (&Watch, &Watching)| {
            let silence = watching.heard?.elapsed();
            (silence > self.silence).then(|| format!("{watch}: no sign of life for {} s", silence.as_secs()))
        };
        self.lock().iter().filter_map(silent).collect()
    }

    /// Tells of every list and every failure from now on.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Waits until everything of that place is listed that a watch needs to be known: children are compared with what their parents
    /// want as they are decoded, and Events are kept only of what is ours.
    pub async fn until_turn_of(&self, later: &Watch) {
        let mut changes = self.changes.subscribe();
        let is_first = |watch: &Watch| watch.place == later.place && watch.subject.comes_before(later.subject);
        let listed =
            |_: &u64| self.lock().iter().filter(|(watch, _)| is_first(watch)).all(|(_, watching)| watching.listed);
        // The sender lives as long as `self`.
        let _ = changes.wait_for(listed).await;
    }
}

impl Watching {
    /// Adds what is wrong with this watch to what its place lacks.
    fn note(&self, watch: &Watch, lacks: &mut Lacks) {
        let failing = self.failing.map(|since| since.elapsed()).filter(|time| *time > PATIENCE);
        lacks.troubled |= self.troubled && !watch.subject.is_optional();
        match (self.listed, &self.failure, failing) {
            _ if self.late => {}
            (false, None, _) => lacks.waiting.push(format!("{watch}: no list yet")),
            _ if watch.subject.is_optional() => {}
            (false, Some(failure), _) => lacks.failed.push(failure.clone()),
            (true, failure, Some(time)) => {
                let why = failure.clone().unwrap_or_else(|| format!("{watch}: refused"));
                lacks.failed.push(format!("{why} (for {} s)", time.as_secs()));
            }
            (true, _, None) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Health, PATIENCE, Place, Scope, Subject, Watch};
    use crate::core::kind::{ChildKind, ParentKind};
    use crate::shell::kinds::Observable;
    use futures::FutureExt as _;

    const SILENCE: Duration = Duration::from_secs(400);
    const APPS: Subject = Subject::Parent(ParentKind::App);
    const SERVICES: Subject = Subject::Child(ChildKind::Service);

    fn everywhere(subject: Subject) -> Watch {
        Watch { place: Place::Everywhere, subject }
    }

    fn listed(scope: &Scope, which: impl Fn(&Watch) -> bool) -> Health {
        let health = Health::new(scope, SILENCE);
        for watch in scope.watches().iter().filter(|watch| which(watch)) {
            health.begins(watch);
            health.listed(watch);
        }
        health.looked_up();
        health
    }

    fn all_listed() -> Health {
        listed(&Scope::default(), |_| true)
    }

    /// An Event is kept only of what is known to be ours, so that is listed first.
    #[tokio::test(start_paused = true)]
    async fn events_wait_for_what_they_are_about() {
        let events = everywhere(Subject::Observed(Observable::Event));
        let first = [APPS, Subject::Observed(Observable::Pod), Subject::Child(ChildKind::PersistentVolumeClaim)];
        for missing in first {
            let health = listed(&Scope::default(), |watch| watch.subject != missing);
            assert!(health.until_turn_of(&events).now_or_never().is_none(), "{missing} is not listed");
        }
        let health = listed(&Scope::default(), |watch| !watch.subject.is_events());
        assert!(health.until_turn_of(&events).now_or_never().is_some());
        assert!(health.until_turn_of(&everywhere(APPS)).now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_listed_is_missing_unless_it_is_optional_and_refused() {
        let health = Health::new(&Scope::default(), SILENCE);
        assert_eq!(health.sight().missing.len(), Subject::all().count() + 1);
        let health = listed(&Scope::default(), |watch| watch.subject != SERVICES && !watch.subject.is_optional());
        let optional = Subject::all().filter(|subject| subject.is_optional());
        optional.for_each(|subject| health.failed(&everywhere(subject), "forbidden".to_owned()));
        assert_eq!(health.sight().missing, ["services: no list yet"]);
        health.failed(&everywhere(SERVICES), "services: forbidden".to_owned());
        assert_eq!(health.sight().missing, ["services: forbidden"]);
        health.listed(&everywhere(SERVICES));
        assert_eq!(health.sight().missing, [""; 0]);
    }

    /// Of what is served at the start it is known what there is before anything is judged; what comes later is not missed.
    #[tokio::test(start_paused = true)]
    async fn an_optional_kind_is_waited_for_at_the_start_only() {
        let health = Health::new(&Scope::default(), SILENCE);
        Scope::default().watches().iter().for_each(|watch| health.listed(watch));
        assert_eq!(health.sight().missing, ["optional APIs: not looked up yet"]);
        let monitors = everywhere(Subject::Child(ChildKind::ServiceMonitor));
        health.add(&monitors);
        health.looked_up();
        assert_eq!(health.sight().missing, ["servicemonitors: no list yet"]);
        health.failed(&monitors, "servicemonitors: forbidden".to_owned());
        assert_eq!(health.sight().missing, [""; 0]);
        health.ends(&monitors);
        health.add(&monitors);
        assert_eq!(health.sight().missing, [""; 0]);
        health.begins(&monitors);
        tokio::time::advance(SILENCE + Duration::from_secs(1)).await;
        assert_eq!(health.stuck(), ["servicemonitors: no sign of life for 401 s"]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_refused_for_minutes_is_missing_until_it_works() {
        let (health, apps) = (all_listed(), everywhere(APPS));
        health.heard(&apps, false);
        health.failed(&apps, "apps: forbidden".to_owned());
        health.heard(&everywhere(Subject::Observed(Observable::Event)), false);
        tokio::time::advance(PATIENCE).await;
        assert_eq!(health.sight().missing, [""; 0], "not at once");
        tokio::time::advance(Duration::from_secs(1)).await;
        health.heard(&apps, false);
        assert_eq!(health.sight().missing, ["apps: forbidden (for 121 s)"], "an optional one is not missed");
        health.heard(&apps, true);
        assert_eq!(health.sight().missing, [""; 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_makes_no_sign_of_life_is_stuck_also_while_it_fails() {
        let (health, waiting) = (all_listed(), Health::new(&Scope::default(), SILENCE));
        tokio::time::advance(SILENCE).await;
        assert_eq!(health.stuck(), [""; 0]);
        tokio::time::advance(Duration::from_secs(1)).await;
        for subject in Subject::all().filter(|subject| *subject != SERVICES) {
            health.heard(&everywhere(subject), subject != APPS);
        }
        assert_eq!(health.stuck(), ["services: no sign of life for 401 s"]);
        assert_eq!(waiting.stuck(), [""; 0], "what has not begun waits for others");
    }

    /// A namespace is judged by its own watches; nobody waits for one that is refused unless there is no other.
    #[tokio::test(start_paused = true)]
    async fn a_refused_namespace_is_told_and_keeps_nobody_from_the_others() {
        let scope = Scope::new(&["blog".to_owned(), "shop".to_owned()]);
        let (blog, shop) = (scope.place("blog"), scope.place("shop"));
        let apps = |place: &Place| Watch { place: place.clone(), subject: APPS };
        let health = listed(&scope, |watch| watch.place != blog);
        let waiting = scope.watches().iter().filter(|watch| watch.place == blog).count();
        assert_eq!(health.sight().missing.len(), waiting, "it will be heard of in a moment");
        health.failed(&apps(&blog), "apps in blog: forbidden".to_owned());
        let sight = health.sight();
        assert_eq!((sight.missing, sight.seen), (Vec::new(), [shop.clone()].into()));
        assert_eq!(sight.unseen, [(blog.clone(), vec!["apps in blog: forbidden".to_owned()])].into());
        health.heard(&apps(&shop), false);
        tokio::time::advance(PATIENCE + Duration::from_secs(1)).await;
        let sight = health.sight();
        assert_eq!((sight.missing.len(), sight.seen.len()), (waiting + 1, 0), "no namespace is left");
        assert!(sight.missing.contains(&"apps in shop: refused (for 121 s)".to_owned()), "{:?}", sight.missing);
        health.heard(&apps(&shop), true);
        scope.watches().iter().for_each(|watch| health.listed(watch));
        let sight = health.sight();
        assert_eq!((sight.missing, sight.unseen, sight.seen), (Vec::new(), [].into(), [blog, shop].into()));
    }

    /// One that may be seen after all is listed while the others are worked on.
    #[tokio::test(start_paused = true)]
    async fn a_namespace_that_comes_back_keeps_nobody_from_the_others() {
        let scope = Scope::new(&["blog".to_owned(), "shop".to_owned()]);
        let (blog, shop) = (scope.place("blog"), scope.place("shop"));
        let health = listed(&scope, |watch| watch.place != blog);
        let of_blog: Vec<Watch> = scope.watches().into_iter().filter(|watch| watch.place == blog).collect();
        health.failed(&of_blog[0], "apps in blog: forbidden".to_owned());
        for watch in &of_blog {
            let sight = health.sight();
            assert_eq!((sight.missing, sight.seen), (Vec::new(), [shop.clone()].into()), "before {watch}");
            assert_eq!(sight.unseen.len(), 1);
            health.listed(watch);
        }
        assert_eq!(health.sight().seen, [blog, shop].into());
    }
}
