//! What every reconcile needs.

use super::cache::Caches;
use super::key::ParentKey;
use super::metrics::{Levels, Metrics};
use super::queue::{Lane, Queue};
use super::repairs::Repairs;
use super::reported::Reported;
use super::writer::Writer;
use crate::core::kind::ParentKind;
use crate::core::plan::{PlanSettings, SecretKey};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// Shared state of the process, cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// What was seen.
    caches: Arc<Mutex<Caches>>,
    /// What is to be done.
    pub queue: Queue<ParentKey>,
    /// The only way to write.
    pub writer: Writer,
    settings: Arc<RwLock<Arc<PlanSettings>>>,
    /// Counters.
    pub metrics: Metrics,
    repairs: Arc<Mutex<Repairs>>,
    reported: Arc<Mutex<HashMap<ParentKey, Reported>>>,
}

impl Context {
    /// A context with empty caches, for so many workers.
    pub fn new(writer: Writer, settings: PlanSettings, workers: u16, metrics: Metrics) -> Self {
        let (caches, queue) = (Arc::<Mutex<Caches>>::default(), Queue::new(workers.into()));
        let (counted, waiting) = (Arc::clone(&caches), queue.clone());
        metrics.measure_by(move || {
            let (parents, children, pods) = counted.lock().unwrap_or_else(PoisonError::into_inner).sizes();
            Levels { queued: Queue::<ParentKey>::len(&waiting), parents, children, pods }
        });
        Self {
            caches,
            queue,
            writer,
            settings: Arc::new(RwLock::new(Arc::new(settings))),
            metrics,
            repairs: Arc::default(),
            reported: Arc::default(),
        }
    }

    /// Settings that plans depend on.
    pub fn settings(&self) -> Arc<PlanSettings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts the key of shared secrets into the settings, and plans every Registry again.
    pub fn learn_secret_key(&self, key: SecretKey) {
        let settings = PlanSettings { secret_key: Some(key), ..PlanSettings::clone(&self.settings()) };
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
        let registries: Vec<ParentKey> =
            self.caches().parents().filter(|parent| parent.kind == ParentKind::Registry).cloned().collect();
        self.wake(registries, Lane::Background);
    }

    /// The caches. Hold the guard for look-ups only.
    pub fn caches(&self) -> MutexGuard<'_, Caches> {
        self.caches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often each child was repaired lately.
    pub fn repairs(&self) -> MutexGuard<'_, Repairs> {
        self.repairs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last status writes.
    pub fn reported(&self) -> MutexGuard<'_, HashMap<ParentKey, Reported>> {
        self.reported.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues parents whose world moved.
    pub fn wake(&self, parents: impl IntoIterator<Item = ParentKey>, lane: Lane) {
        for parent in parents {
            self.queue.add(parent, lane);
        }
    }
}
