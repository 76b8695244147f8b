//! Leader election on a `Lease`.
//!
//! Ours because the crates at hand renew without a resourceVersion precondition or trust wall clocks (ADR 3). Every
//! write is guarded by resourceVersion; a foreign hold runs out only after this process itself watched it stand still
//! for its whole duration, on the monotonic clock; and a leader stops acting a good while before its own hold can run
//! out for others, even when it can't reach the API server or was stopped and resumed. Verbs on `leases`: list, watch,
//! create, update. A standby costs no request but its watch, a leader one update per renew period.

use super::error::status;
use super::metrics::Metrics;
use futures::StreamExt;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::Client;
use kube::api::{Api, ListParams, PostParams};
use kube::runtime::watcher;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// How often a failed write is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// How this replica takes part.
#[derive(Clone, Debug)]
pub struct Election {
    /// Namespace of the Lease.
    pub namespace: String,
    /// Name of the Lease.
    pub lease: String,
    /// Who this replica is.
    pub identity: String,
    /// After which time of silence others take over.
    pub duration: Duration,
    /// After which time without a renewal this replica stops acting; less than `duration`.
    pub deadline: Duration,
    /// How often this replica renews; less than `deadline`.
    pub period: Duration,
}

/// Whether this replica leads, cheap to clone.
#[derive(Clone, Debug)]
pub struct Leadership {
    until: Arc<Mutex<Option<Instant>>>,
    leads: watch::Receiver<bool>,
}

impl Leadership {
    /// That of a process that takes part in no election and so never leads.
    pub fn never() -> Self {
        Self { until: Arc::default(), leads: watch::channel(false).1 }
    }

    /// Whether this replica may act right now. Checked against the clock at every call, so that a process that was
    /// stopped and resumed does not act on a hold that ran out meanwhile.
    pub fn is_leader(&self) -> bool {
        self.until.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|until| Instant::now() < until)
    }

    /// Waits until leadership is won or lost.
    pub async fn changed(&mut self) {
        if self.leads.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// The Lease as it was last seen, and since when it stands so.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    lease: Option<Lease>,
    /// When this version was first seen.
    since: Instant,
    /// How long its holder's silence is to be respected.
    patience: Duration,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Decision {
    /// Write ourselves into the Lease now.
    Take,
    /// Look again at that time, or when the Lease moves.
    Wait(Instant),
}

/// The rule of the election, free of I/O.
fn decide(seen: &Seen, me: &str, now: Instant) -> Decision {
    let holder =
        seen.lease.as_ref().and_then(|lease| lease.spec.as_ref()?.holder_identity.as_deref()).unwrap_or_default();
    let runs_out = seen.since + seen.patience;
    let free = if seen.lease.is_some() { holder.is_empty() || holder == me } else { seen.patience.is_zero() };
    if free || now >= runs_out { Decision::Take } else { Decision::Wait(runs_out) }
}

impl Seen {
    fn nothing(now: Instant) -> Self {
        Self { lease: None, since: now, patience: Duration::ZERO }
    }

    /// What is known after the Lease moved. One that was deleted under its holder is respected as if it stood.
    fn update(&self, lease: Option<Lease>, now: Instant) -> Self {
        let version = |lease: &Option<Lease>| lease.as_ref().and_then(|lease| lease.metadata.resource_version.clone());
        if self.lease.is_some() == lease.is_some() && version(&self.lease) == version(&lease) {
            return self.clone();
        }
        let patience = match &lease {
            Some(lease) => {
                let seconds = lease.spec.as_ref().and_then(|spec| spec.lease_duration_seconds).unwrap_or(0);
                Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
            }
            None => self.patience,
        };
        Self { lease, since: now, patience }
    }
}

/// Starts taking part, whenever this replica is `fit` to lead. Cancelling `release` gives the lead away and ends the task;
/// dropping the task is like a crash.
pub fn start(
    client: Client,
    election: Election,
    metrics: Metrics,
    fit: watch::Receiver<bool>,
    release: CancellationToken,
) -> (Leadership, AbortOnDropHandle<()>) {
    let (sender, leads) = watch::channel(false);
    let until: Arc<Mutex<Option<Instant>>> = Arc::default();
    let leadership = Leadership { until: Arc::clone(&until), leads };
    let candidate = Candidate {
        api: Api::namespaced(client, &election.namespace),
        election,
        until,
        leads: sender,
        metrics,
        seen: Seen::nothing(Instant::now()),
        not_before: Instant::now(),
    };
    (leadership, AbortOnDropHandle::new(tokio::spawn(candidate.run(fit, release))))
}

/// Why a candidate takes part no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// It is not fit to lead, and may be again.
    Unfit,
    /// It was told to end, or can't go on.
    ForGood,
}

struct Candidate {
    api: Api<Lease>,
    election: Election,
    until: Arc<Mutex<Option<Instant>>>,
    leads: watch::Sender<bool>,
    metrics: Metrics,
    seen: Seen,
    /// When the next write is due: the next renewal, or the next try after a failure.
    not_before: Instant,
}

impl Candidate {
    async fn run(mut self, mut fit: watch::Receiver<bool>, release: CancellationToken) {
        let (sender, mut moved) = watch::channel(Look::NotYet);
        let observer = tokio::spawn(observe(self.api.clone(), self.election.lease.clone(), sender));
        let _observer = AbortOnDropHandle::new(observer);
        loop {
            // Without a first look at the Lease, a free one can't be told from one that was not seen yet.
            let looked = async { moved.wait_for(|look| *look != Look::NotYet).await.is_ok() };
            let ready = async { looked.await && fit.wait_for(|fit| *fit).await.is_ok() };
            if release.run_until_cancelled(ready).await != Some(true) {
                break;
            }
            match self.take_part(&mut moved, &mut fit, &release).await {
                Ended::ForGood => break,
                // Writes may be under way, so the Lease is not handed over but runs out.
                Ended::Unfit => self.set(None),
            }
        }
        self.give_away().await;
    }

    /// Campaigns and leads while it can.
    async fn take_part(
        &mut self,
        moved: &mut watch::Receiver<Look>,
        fit: &mut watch::Receiver<bool>,
        release: &CancellationToken,
    ) -> Ended {
        self.take_look(moved);
        loop {
            let now = Instant::now();
            let next = match decide(&self.seen, &self.election.identity, now) {
                Decision::Take if now >= self.not_before => self.take().await,
                Decision::Take => self.not_before,
                Decision::Wait(until) => until,
            };
            let next = self.deadline().map_or(next, |deadline| deadline.min(next));
            tokio::select! {
                () = release.cancelled() => return Ended::ForGood,
                Ok(_) = fit.wait_for(|fit| !*fit) => return Ended::Unfit,
                () = tokio::time::sleep_until(next) => {}
                told = moved.changed() => {
                    if told.is_err() {
                        return Ended::ForGood;
                    }
                    self.take_look(moved);
                }
            }
            if self.deadline().is_some_and(|deadline| Instant::now() >= deadline) {
                self.set(None);
            }
        }
    }

    fn take_look(&mut self, moved: &mut watch::Receiver<Look>) {
        if let Look::At(lease) = moved.borrow_and_update().clone() {
            self.saw(lease.map(|lease| *lease));
        }
    }

    /// Takes in what the watch shows, unless a write of ours returned something newer.
    fn saw(&mut self, lease: Option<Lease>) {
        let number = |lease: &Option<Lease>| {
            lease.as_ref().and_then(|lease| lease.metadata.resource_version.as_ref()?.parse::<u64>().ok())
        };
        if let (Some(seen), Some(known)) = (number(&lease), number(&self.seen.lease))
            && seen < known
        {
            return;
        }
        self.seen = self.seen.update(lease, Instant::now());
        if self.leads() && !self.seen_mine() {
            // Somebody took or deleted the Lease under us: stop at once.
            self.set(None);
        }
    }

    fn seen_mine(&self) -> bool {
        let spec = self.seen.lease.as_ref().and_then(|lease| lease.spec.as_ref());
        spec.and_then(|spec| spec.holder_identity.as_deref()) == Some(&self.election.identity)
    }

    /// Writes ourselves into the Lease; when to come back.
    async fn take(&mut self) -> Instant {
        let began = Instant::now();
        self.not_before = match tokio::time::timeout(
            self.election.period,
            self.write(&self.election.identity, self.election.duration),
        )
        .await
        {
            Ok(Ok(lease)) => {
                self.seen = self.seen.update(Some(lease), Instant::now());
                if !self.leads() {
                    // Whoever follows leadership must see it end, if it ran out while this request was under way.
                    self.set(None);
                }
                self.set(Some(began + self.election.deadline));
                began + self.election.period
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "failed to write the Lease");
                if status(&error).is_some_and(|status| status.code == 409) {
                    // What was seen is not what stands there, and the watch has not told.
                    self.look().await;
                }
                Instant::now() + RETRY
            }
            Err(_) => Instant::now(),
        };
        self.not_before
    }

    /// Reads the Lease, with the rights that its watch needs as well.
    async fn look(&mut self) {
        let this = ListParams::default().fields(&format!("metadata.name={}", self.election.lease));
        match tokio::time::timeout(self.election.period, self.api.list(&this)).await {
            Ok(Ok(found)) => self.saw(found.items.into_iter().next()),
            Ok(Err(error)) => tracing::warn!(%error, "failed to read the Lease"),
            Err(_) => tracing::warn!("failed to read the Lease in time"),
        }
    }

    /// Creates the Lease, or replaces the very version that was seen.
    async fn write(&self, holder: &str, duration: Duration) -> Result<Lease, kube::Error> {
        let before = self.seen.lease.as_ref().and_then(|lease| lease.spec.clone()).unwrap_or_default();
        let now = jiff::Timestamp::now();
        let same = before.holder_identity.as_deref() == Some(holder);
        let spec = LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: i32::try_from(duration.as_secs()).ok(),
            acquire_time: if same { before.acquire_time } else { Some(MicroTime(now)) },
            renew_time: Some(MicroTime(now)),
            lease_transitions: Some(before.lease_transitions.unwrap_or(0).saturating_add(i32::from(!same))),
            ..LeaseSpec::default()
        };
        let mut lease = Lease {
            metadata: ObjectMeta { name: Some(self.election.lease.clone()), ..ObjectMeta::default() },
            spec: Some(spec),
        };
        match &self.seen.lease {
            None => self.api.create(&PostParams::default(), &lease).await,
            Some(seen) => {
                lease.metadata.resource_version.clone_from(&seen.metadata.resource_version);
                lease.metadata.uid.clone_from(&seen.metadata.uid);
                self.api.replace(&self.election.lease, &PostParams::default(), &lease).await
            }
        }
    }

    async fn give_away(&mut self) {
        let led = self.leads();
        self.set(None);
        if led && self.seen_mine() {
            let released = tokio::time::timeout(RETRY, self.write("", Duration::from_secs(1))).await;
            match released {
                Ok(Ok(lease)) => self.seen = self.seen.update(Some(lease), Instant::now()),
                Ok(Err(_)) | Err(_) => {
                    tracing::warn!("failed to release the Lease; another replica takes over when it runs out");
                }
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leads(&self) -> bool {
        self.deadline().is_some_and(|until| Instant::now() < until)
    }

    fn set(&mut self, until: Option<Instant>) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = until;
        self.metrics.set_leader(until.is_some());
        self.leads.send_if_modified(|leads| {
            let changed = *leads != until.is_some();
            *leads = until.is_some();
            if changed {
                tracing::info!(leads = *leads, "leadership changed");
            }
            changed
        });
    }
}

/// What the watch of the Lease shows.
#[derive(Clone, Debug, PartialEq)]
enum Look {
    /// Nothing was seen yet.
    NotYet,
    /// The Lease as it stands, or that there is none.
    At(Option<Box<Lease>>),
}

/// Follows the Lease.
async fn observe(api: Api<Lease>, name: String, seen: watch::Sender<Look>) {
    let mut stream = pin!(watcher::watch_object(api, &name));
    while let Some(event) = stream.next().await {
        match event {
            Ok(lease) => {
                seen.send_replace(Look::At(lease.map(Box::new)));
            }
            Err(error) => {
                tracing::warn!(%error, "failed to watch the Lease");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Decision, Duration, Instant, Lease, LeaseSpec, ObjectMeta, Seen, decide};

    fn lease(holder: &str, version: &str) -> Lease {
        Lease {
            metadata: ObjectMeta { resource_version: Some(version.to_owned()), ..ObjectMeta::default() },
            spec: Some(LeaseSpec {
                holder_identity: Some(holder.to_owned()),
                lease_duration_seconds: Some(15),
                ..LeaseSpec::default()
            }),
        }
    }

    #[test]
    fn a_missing_or_released_lease_is_taken_at_once() {
        let now = Instant::now();
        assert_eq!(decide(&Seen::nothing(now), "me", now), Decision::Take);
        assert_eq!(decide(&Seen::nothing(now).update(Some(lease("", "1")), now), "me", now), Decision::Take);
    }

    #[test]
    fn a_held_lease_is_taken_only_after_it_stood_still_for_its_duration() {
        let now = Instant::now();
        let second = Duration::from_secs(1);
        let seen = Seen::nothing(now).update(Some(lease("other", "1")), now);
        assert_eq!(decide(&seen, "me", now + 14 * second), Decision::Wait(now + 15 * second));
        let renewed = seen.update(Some(lease("other", "2")), now + 14 * second);
        assert_eq!(decide(&renewed, "me", now + 16 * second), Decision::Wait(now + 29 * second));
        assert_eq!(decide(&renewed, "me", now + 29 * second), Decision::Take);
    }

    #[test]
    fn a_lease_deleted_under_its_holder_is_respected_as_if_it_stood() {
        let now = Instant::now();
        let seen = Seen::nothing(now).update(Some(lease("other", "1")), now).update(None, now);
        assert!(matches!(decide(&seen, "me", now), Decision::Wait(_)));
        assert_eq!(decide(&seen, "me", now + Duration::from_secs(15)), Decision::Take);
    }

    #[test]
    fn our_own_lease_is_renewed() {
        let now = Instant::now();
        let seen = Seen::nothing(now).update(Some(lease("me", "1")), now);
        assert_eq!(decide(&seen, "me", now), Decision::Take);
    }
}
