//! Counters, as `OpenMetrics`. Labels are closed sets: kinds, results, outcomes.

use super::done::ReconcileResult;
use super::kinds::Subject;
use crate::core::kind::{ChildKind, ParentKind};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// What became of one object of a plan, as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ApplyOutcome {
    /// It did not exist.
    Created,
    /// It differed.
    Updated,
    /// It agreed; no request was made.
    Skipped,
    /// The request failed.
    Failed,
}

impl ApplyOutcome {
    const fn label(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByResult {
    kind: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByOutcome {
    kind: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByKind {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByResource {
    resource: String,
    code: u16,
}

/// What is counted only when somebody asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Levels {
    /// Objects that wait for a worker.
    pub queued: usize,
    /// Apps, `StorageClaims` and Registries remembered.
    pub parents: usize,
    /// Children remembered.
    pub children: usize,
    /// Pods remembered because something is wrong with them.
    pub pods: usize,
}

/// Counts the levels.
type Measure = Box<dyn Fn() -> Levels + Send + Sync>;

/// All counters, cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    measure: Arc<OnceLock<Measure>>,
    reconciles: Family<ByResult, Counter>,
    durations: Family<ByKind, Histogram>,
    applies: Family<ByOutcome, Counter>,
    prunes: Family<ByKind, Counter>,
    status_writes: Family<ByKind, Counter>,
    watch_errors: Family<ByResource, Counter>,
    queue_depth: Gauge,
    cache_objects: Family<ByKind, Gauge>,
    unseen_namespaces: Gauge,
    leader: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Counters at zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("moorage");
        let reconciles = Family::<ByResult, Counter>::default();
        // Prometheus sees that a count rises only if it was there before.
        for (kind, result) in
            ParentKind::ALL.into_iter().flat_map(|kind| ReconcileResult::ALL.map(|result| (kind, result)))
        {
            reconciles.get_or_create(&ByResult { kind: kind.as_str(), result: result.label() }).inc_by(0);
        }
        let durations =
            Family::new_with_constructor((|| Histogram::new(exponential_buckets(0.0001, 4.0, 10))) as fn() -> _);
        let (applies, prunes, status_writes) = (Family::default(), Family::default(), Family::default());
        let (watch_errors, cache_objects) = (Family::default(), Family::default());
        let (queue_depth, unseen_namespaces, leader) = (Gauge::default(), Gauge::default(), Gauge::default());
        registry.register("reconciles", "Reconciles, by kind and how they ended", reconciles.clone());
        registry.register("reconcile_duration_seconds", "Time of one reconcile", durations.clone());
        registry.register("applies", "Objects of plans, by what became of them", applies.clone());
        registry.register("prunes", "Objects deleted because no plan wants them any more", prunes.clone());
        registry.register("status_writes", "Statuses written", status_writes.clone());
        registry.register("watch_errors", "Failures of watches, by resource and HTTP code", watch_errors.clone());
        registry.register("queue_depth", "Objects that wait for a worker", queue_depth.clone());
        registry.register("cache_objects", "Objects remembered", cache_objects.clone());
        let unseen = "Watched namespaces of which something that is needed can't be seen; all of them together are one";
        registry.register("unseen_namespaces", unseen, unseen_namespaces.clone());
        registry.register("leader", "1 while this replica leads", leader.clone());
        registry.register("build", "Version of the operator", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        Self {
            registry: Arc::new(registry),
            measure: Arc::default(),
            reconciles,
            durations,
            applies,
            prunes,
            status_writes,
            watch_errors,
            queue_depth,
            cache_objects,
            unseen_namespaces,
            leader,
        }
    }

    /// Counts a reconcile.
    pub fn reconcile(&self, kind: ParentKind, result: ReconcileResult, took: Duration) {
        let kind = kind.as_str();
        self.reconciles.get_or_create(&ByResult { kind, result: result.label() }).inc();
        self.durations.get_or_create(&ByKind { kind }).observe(took.as_secs_f64());
    }

    /// Counts what became of one object of a plan.
    pub fn apply(&self, kind: ChildKind, outcome: ApplyOutcome) {
        self.applies.get_or_create(&ByOutcome { kind: kind.as_str(), outcome: outcome.label() }).inc();
    }

    /// Counts a deletion.
    pub fn prune(&self, kind: ChildKind) {
        self.prunes.get_or_create(&ByKind { kind: kind.as_str() }).inc();
    }

    /// Counts a status write.
    pub fn status_write(&self, kind: ParentKind) {
        self.status_writes.get_or_create(&ByKind { kind: kind.as_str() }).inc();
    }

    /// Counts a failure of a watch; code 0 means that there was no answer.
    pub fn watch_error(&self, subject: Subject, code: u16) {
        self.watch_errors.get_or_create(&ByResource { resource: subject.to_string(), code }).inc();
    }

    /// Says how the levels are counted whenever the metrics are read. Only the first to say so is asked.
    pub fn measure_by(&self, measure: impl Fn() -> Levels + Send + Sync + 'static) {
        let _ = self.measure.set(Box::new(measure));
    }

    fn take_levels(&self) {
        let Levels { queued, parents, children, pods } =
            self.measure.get().map(|measure| measure()).unwrap_or_default();
        self.queue_depth.set(number(queued));
        for (kind, count) in [("parents", parents), ("children", children), ("pods", pods)] {
            self.cache_objects.get_or_create(&ByKind { kind }).set(number(count));
        }
    }

    /// Sets how many of the watched namespaces can't be seen.
    pub fn set_unseen(&self, namespaces: usize) {
        self.unseen_namespaces.set(number(namespaces));
    }

    /// Sets whether this replica leads.
    pub fn set_leader(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// Everything as `OpenMetrics` text.
    pub fn encode(&self) -> String {
        self.take_levels();
        let mut text = String::new();
        if let Err(error) = encode(&mut text, &self.registry) {
            tracing::error!(%error, "failed to encode metrics");
        }
        text
    }
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Levels, Metrics};

    #[test]
    fn levels_are_counted_when_the_metrics_are_read() {
        let metrics = Metrics::new();
        metrics.measure_by(|| Levels { queued: 7, parents: 3, children: 12, pods: 1 });
        let text = metrics.encode();
        for line in ["moorage_queue_depth 7", "moorage_cache_objects{kind=\"children\"} 12"] {
            assert!(text.lines().any(|other| other == line), "no line {line} in\n{text}");
        }
    }
}
