//! The work queue: a key is queued at most once, never handed out twice at a time, and backs off on its own.
//!
//! Tenants take turns, and none holds every worker: a thousand edits in one namespace delay an edit in another by one.
//!
//! kube-runtime's runner is private and has no lanes and no per-object backoff, which is why this is ours. The rules
//! live in [`Core`], which is synchronous and takes the time as an argument; [`Queue`] adds waiting.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Shortest wait after a failure.
const BACKOFF_MIN: Duration = Duration::from_secs(1);
/// Longest wait after failures.
const BACKOFF_MAX: Duration = Duration::from_secs(60);
/// Of this many picks, one is the oldest of the background lane, so that a storm of edits can't starve it.
const FAIRNESS: u32 = 8;

/// How soon a key is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Something moved; a user may be waiting.
    Edit,
    /// Initial list, takeover, retries.
    Background,
}

/// A key that belongs to somebody who shares the workers with others.
pub trait Tenant {
    /// To whom it belongs: the namespace of an object.
    fn tenant(&self) -> Arc<str>;
}

/// Keys that wait: in the order of coming within a tenant, one tenant after the other.
#[derive(Debug)]
struct Line<K> {
    /// By ticket. A tenant is in here as long as it is in `turns`.
    waiting: HashMap<Arc<str>, BTreeMap<u64, K>>,
    turns: VecDeque<Arc<str>>,
}

impl<K: Tenant> Line<K> {
    fn new() -> Self {
        Self { waiting: HashMap::new(), turns: VecDeque::new() }
    }

    fn push(&mut self, key: K, ticket: u64) {
        let tenant = key.tenant();
        let waiting = self.waiting.entry(Arc::clone(&tenant)).or_insert_with(|| {
            self.turns.push_back(tenant);
            BTreeMap::new()
        });
        waiting.insert(ticket, key);
    }

    fn remove(&mut self, key: &K, ticket: u64) {
        if let Some(waiting) = self.waiting.get_mut(&key.tenant()) {
            waiting.remove(&ticket);
        }
    }

    /// The first key of the next tenant that may have one.
    fn pop(&mut self, may: impl Fn(&str) -> bool) -> Option<K> {
        for _ in 0..self.turns.len() {
            let tenant = self.turns.pop_front()?;
            let waiting = self.waiting.get_mut(&tenant)?;
            let first = if may(&tenant) { waiting.pop_first() } else { None };
            if waiting.is_empty() {
                self.waiting.remove(&tenant);
            } else {
                self.turns.push_back(tenant);
            }
            if let Some((_, key)) = first {
                return Some(key);
            }
        }
        None
    }
}

/// What the queue says when asked for work.
#[derive(Debug, PartialEq, Eq)]
enum Pick<K> {
    Ready(K),
    Wait(Option<Instant>),
}

/// The rules, free of waiting.
#[derive(Debug)]
struct Core<K> {
    edits: Line<K>,
    background: Line<K>,
    queued: HashMap<K, (Lane, u64)>,
    /// By the lane in which they came.
    in_flight: HashMap<K, Lane>,
    /// How many keys of each tenant are in flight.
    busy: HashMap<Arc<str>, usize>,
    /// How many may be.
    share: usize,
    again: HashMap<K, Lane>,
    delayed: BinaryHeap<Reverse<(Instant, u64)>>,
    due: HashMap<u64, K>,
    delayed_keys: HashMap<K, (Instant, u64)>,
    failures: HashMap<K, u32>,
    picks: u32,
    tickets: u64,
    closed: bool,
}

impl<K: Clone + Eq + Hash + Tenant> Core<K> {
    /// A quarter of the workers is always left to other tenants.
    fn new(workers: usize) -> Self {
        Self {
            edits: Line::new(),
            background: Line::new(),
            queued: HashMap::new(),
            in_flight: HashMap::new(),
            busy: HashMap::new(),
            share: (workers - workers.div_ceil(4)).max(1),
            again: HashMap::new(),
            delayed: BinaryHeap::new(),
            due: HashMap::new(),
            delayed_keys: HashMap::new(),
            failures: HashMap::new(),
            picks: 0,
            tickets: 0,
            closed: false,
        }
    }

    fn add(&mut self, key: K, lane: Lane) {
        self.undelay(&key);
        if self.in_flight.contains_key(&key) {
            let lane = if self.again.get(&key) == Some(&Lane::Edit) { Lane::Edit } else { lane };
            self.again.insert(key, lane);
            return;
        }
        match self.queued.get(&key) {
            Some((Lane::Background, ticket)) if lane == Lane::Edit => {
                self.background.remove(&key, *ticket);
                self.push(key, lane);
            }
            Some(_) => {}
            None => self.push(key, lane),
        }
    }

    fn push(&mut self, key: K, lane: Lane) {
        self.tickets += 1;
        self.queued.insert(key.clone(), (lane, self.tickets));
        match lane {
            Lane::Edit => self.edits.push(key, self.tickets),
            Lane::Background => self.background.push(key, self.tickets),
        }
    }

    fn add_at(&mut self, key: K, at: Instant) {
        let sooner = self.queued.contains_key(&key)
            || self.again.contains_key(&key)
            || self.delayed_keys.get(&key).is_some_and(|(other, _)| *other <= at);
        if sooner {
            return;
        }
        self.undelay(&key);
        self.tickets += 1;
        self.delayed.push(Reverse((at, self.tickets)));
        self.due.insert(self.tickets, key.clone());
        self.delayed_keys.insert(key, (at, self.tickets));
    }

    fn undelay(&mut self, key: &K) {
        if let Some((_, ticket)) = self.delayed_keys.remove(key) {
            self.due.remove(&ticket);
        }
    }

    /// Moves what is due into the background lane; the time of the next that will be.
    fn promote(&mut self, now: Instant) -> Option<Instant> {
        while let Some(Reverse((at, ticket))) = self.delayed.peek().copied() {
            if !self.due.contains_key(&ticket) {
                self.delayed.pop();
                continue;
            }
            if at > now {
                return Some(at);
            }
            self.delayed.pop();
            if let Some(key) = self.due.remove(&ticket) {
                self.delayed_keys.remove(&key);
                self.add(key, Lane::Background);
            }
        }
        None
    }

    fn pick(&mut self, now: Instant) -> Pick<K> {
        let next = self.promote(now);
        self.picks = self.picks.wrapping_add(1);
        let background_first = self.picks.is_multiple_of(FAIRNESS);
        let may = |tenant: &str| self.busy.get(tenant).is_none_or(|busy| *busy < self.share);
        let key = if background_first {
            self.background.pop(may).or_else(|| self.edits.pop(may))
        } else {
            self.edits.pop(may).or_else(|| self.background.pop(may))
        };
        match key {
            Some(key) => {
                let lane = self.queued.remove(&key).map_or(Lane::Background, |(lane, _)| lane);
                self.in_flight.insert(key.clone(), lane);
                *self.busy.entry(key.tenant()).or_default() += 1;
                Pick::Ready(key)
            }
            None => Pick::Wait(next),
        }
    }

    fn done(&mut self, key: &K) {
        self.in_flight.remove(key);
        let tenant = key.tenant();
        if let Some(busy) = self.busy.get_mut(&tenant) {
            *busy -= 1;
            if *busy == 0 {
                self.busy.remove(&tenant);
            }
        }
        if let Some(lane) = self.again.remove(key) {
            self.add(key.clone(), lane);
        }
    }

    /// Queues a key that is in flight again, in the lane in which it came: whoever waits for it waits no longer than before.
    fn repeat(&mut self, key: &K) {
        if let Some(lane) = self.in_flight.get(key).copied() {
            self.add(key.clone(), lane);
        }
    }

    /// Counts a failure; `jitter` between 0 and 1 shortens the wait by up to a quarter.
    fn fail(&mut self, key: &K, now: Instant, jitter: f64) -> Duration {
        let failures = self.failures.entry(key.clone()).or_insert(0);
        *failures += 1;
        let doubled = BACKOFF_MIN.saturating_mul(1 << failures.saturating_sub(1).min(16));
        let delay = doubled.min(BACKOFF_MAX).mul_f64(1.0 - jitter / 4.0);
        self.add_at(key.clone(), now + delay);
        delay
    }
}

/// The queue, cheap to clone.
#[derive(Clone, Debug)]
pub struct Queue<K> {
    core: Arc<Mutex<Core<K>>>,
    news: Arc<Notify>,
}

impl<K: Clone + Eq + Hash + Tenant> Queue<K> {
    /// An empty queue for so many workers.
    pub fn new(workers: usize) -> Self {
        Self { core: Arc::new(Mutex::new(Core::new(workers))), news: Arc::default() }
    }

    fn core(&self) -> MutexGuard<'_, Core<K>> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops handing out: [`Queue::next`] returns `None` from now on.
    pub fn close(&self) {
        self.core().closed = true;
        self.news.notify_one();
    }

    /// Queues a key. While it is in flight the wish is remembered.
    pub fn add(&self, key: K, lane: Lane) {
        self.core().add(key, lane);
        self.news.notify_one();
    }

    /// Queues a key after a while, unless it is wanted sooner already.
    pub fn add_after(&self, key: K, delay: Duration) {
        self.core().add_at(key, Instant::now() + delay);
        self.news.notify_one();
    }

    /// Queues a key that is in flight again, in the lane in which it came.
    pub fn repeat(&self, key: &K) {
        self.core().repeat(key);
    }

    /// The next key; every call must be followed by [`Queue::done`].
    pub async fn next(&self) -> Option<K> {
        loop {
            let news = self.news.notified();
            let wait = {
                let mut core = self.core();
                if core.closed {
                    self.news.notify_one();
                    return None;
                }
                match core.pick(Instant::now()) {
                    Pick::Ready(key) => {
                        // One permit wakes one worker; there may be work for another.
                        self.news.notify_one();
                        return Some(key);
                    }
                    Pick::Wait(until) => until,
                }
            };
            match wait {
                Some(until) => {
                    let _ = tokio::time::timeout_at(until, news).await;
                }
                None => news.await,
            }
        }
    }

    /// Gives a key back.
    pub fn done(&self, key: &K) {
        self.core().done(key);
        self.news.notify_one();
    }

    /// Counts a failure of a key and queues it again after its backoff.
    pub fn fail(&self, key: &K) -> Duration {
        let delay = self.core().fail(key, Instant::now(), rand::random());
        self.news.notify_one();
        delay
    }

    /// Forgets a key's failures.
    pub fn succeed(&self, key: &K) {
        self.core().failures.remove(key);
    }

    /// How many keys wait for a worker now.
    pub fn len(&self) -> usize {
        self.core().queued.len()
    }

    /// Whether no key waits for a worker now.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::{Arc, BACKOFF_MAX, Core, Duration, FAIRNESS, Hash, Instant, Lane, Pick, Tenant};

    /// `tenant/name`.
    impl Tenant for &'static str {
        fn tenant(&self) -> Arc<str> {
            self.split('/').next().unwrap_or_default().into()
        }
    }

    /// One of many of a single tenant.
    impl Tenant for u32 {
        fn tenant(&self) -> Arc<str> {
            "many".into()
        }
    }

    fn core<K: Clone + Eq + Hash + Tenant>() -> (Core<K>, Instant) {
        (Core::new(8), Instant::now())
    }

    fn ready<K: Clone + Eq + Hash + Tenant>(core: &mut Core<K>, now: Instant) -> Option<K> {
        match core.pick(now) {
            Pick::Ready(key) => Some(key),
            Pick::Wait(_) => None,
        }
    }

    #[test]
    fn a_key_is_queued_once_and_never_in_flight_twice() {
        let (mut core, now) = core();
        core.add("a", Lane::Edit);
        core.add("a", Lane::Edit);
        assert_eq!(ready(&mut core, now), Some("a"));
        assert_eq!(ready(&mut core, now), None);
        core.add("a", Lane::Edit);
        assert_eq!(ready(&mut core, now), None, "in flight");
        core.done(&"a");
        assert_eq!(ready(&mut core, now), Some("a"), "the wish was remembered");
    }

    #[test]
    fn edits_come_first_but_do_not_starve_the_background() {
        let (mut core, now) = core();
        core.add("slow", Lane::Background);
        for key in ["1", "2", "3", "4", "5", "6", "7", "8", "9"] {
            core.add(key, Lane::Edit);
        }
        let order: Vec<_> = (0..FAIRNESS).filter_map(|_| ready(&mut core, now)).collect();
        assert_eq!(order.first(), Some(&"1"));
        assert!(order.contains(&"slow"));
    }

    #[test]
    fn an_edit_lifts_a_key_out_of_the_background() {
        let (mut core, now) = core();
        core.add("b", Lane::Background);
        core.add("a", Lane::Background);
        core.add("a", Lane::Edit);
        assert_eq!(ready(&mut core, now), Some("a"));
        assert_eq!(ready(&mut core, now), Some("b"));
        assert_eq!(ready(&mut core, now), None);
    }

    /// Of an edit that met a late cache the user still waits, and a retry of the background pushes in front of nobody.
    #[test]
    fn what_is_repeated_keeps_its_lane() {
        for (lane, next) in [(Lane::Edit, Some("late")), (Lane::Background, Some("edit"))] {
            let (mut core, now) = core();
            core.add("late", lane);
            assert_eq!(ready(&mut core, now), Some("late"));
            core.add("waits", Lane::Background);
            core.add("edit", if lane == Lane::Edit { Lane::Background } else { Lane::Edit });
            core.repeat(&"late");
            core.done(&"late");
            assert_eq!(ready(&mut core, now), next, "{lane:?}");
        }
        let (mut core, now) = core::<&str>();
        core.repeat(&"gone");
        assert_eq!(ready(&mut core, now), None, "only what is in flight is repeated");
    }

    #[test]
    fn tenants_take_turns() {
        let (mut core, now) = core();
        for key in ["a/1", "a/2", "a/3", "b/1", "c/1", "c/2"] {
            core.add(key, Lane::Edit);
        }
        let order: Vec<_> = std::iter::from_fn(|| ready(&mut core, now)).collect();
        assert_eq!(order, ["a/1", "b/1", "c/1", "a/2", "c/2", "a/3"]);
    }

    #[test]
    fn no_tenant_holds_every_worker() {
        let (mut core, now) = core();
        for key in ["a/1", "a/2", "a/3", "a/4", "a/5", "a/6", "a/7", "a/8"] {
            core.add(key, Lane::Edit);
        }
        let held: Vec<_> = std::iter::from_fn(|| ready(&mut core, now)).collect();
        assert_eq!(held.len(), 6, "of 8 workers");
        core.add("b/1", Lane::Background);
        assert_eq!(ready(&mut core, now), Some("b/1"));
        core.done(&"a/1");
        assert_eq!(ready(&mut core, now), Some("a/7"));
    }

    /// With a step through all that wait for each of them, it would take minutes.
    #[test]
    fn a_hundred_thousand_keys_are_lifted_out_of_the_background() {
        let (mut core, now) = core();
        for lane in [Lane::Background, Lane::Edit] {
            (0..100_000).for_each(|key: u32| core.add(key, lane));
        }
        for key in (0..100_000).rev().take(10) {
            core.add(key, Lane::Edit);
        }
        for expected in 0..100_000 {
            assert_eq!(ready(&mut core, now), Some(expected));
            core.done(&expected);
        }
        assert_eq!(ready(&mut core, now), None);
    }

    #[test]
    fn the_earliest_time_wins_and_now_beats_later() {
        let (mut core, now) = core();
        core.add_at("a", now + Duration::from_secs(10));
        core.add_at("a", now + Duration::from_secs(5));
        core.add_at("a", now + Duration::from_secs(20));
        assert_eq!(core.pick(now), Pick::Wait(Some(now + Duration::from_secs(5))));
        core.add("a", Lane::Edit);
        assert_eq!(ready(&mut core, now), Some("a"));
        core.done(&"a");
        assert_eq!(core.pick(now + Duration::from_secs(60)), Pick::Wait(None), "the later wish is gone");
    }

    #[test]
    fn failures_double_the_wait_up_to_a_limit_and_success_resets_it() {
        let (mut core, now) = core();
        let waits: Vec<u64> = (0..12).map(|_| core.fail(&"a", now, 0.0).as_secs()).collect();
        assert_eq!(waits[..4], [1, 2, 4, 8]);
        assert_eq!(waits[11], BACKOFF_MAX.as_secs());
        assert!(core.fail(&"a", now, 1.0) < BACKOFF_MAX, "jitter shortens");
        core.failures.remove("a");
        assert_eq!(core.fail(&"a", now, 0.0).as_secs(), 1);
    }
}
