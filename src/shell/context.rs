//! What every reconcile needs.

use super::apis::Apis;
use super::cache::Caches;
use super::key::ParentKey;
use super::metrics::{Levels, Metrics};
use super::queue::{Lane, Queue};
use super::repairs::Repairs;
use super::reported::{GATHERING, Reported};
use super::scope::{Place, Scope};
use super::wants::Wants;
use super::writer::Writer;
use crate::core::known::Known;
use crate::core::plan::PlanSettings;
use crate::core::secret_key::SecretKey;
use std::collections::{BTreeSet, HashMap};
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
    seen: Arc<RwLock<BTreeSet<Place>>>,
    wants: Arc<Mutex<Wants>>,
}

impl Context {
    /// A context with empty caches, for what is watched and so many workers.
    pub fn new(writer: Writer, settings: PlanSettings, scope: Scope, workers: u16, metrics: Metrics) -> Self {
        let (caches, queue) = (Arc::new(Mutex::new(Caches::new(scope))), Queue::new(workers.into()));
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
            seen: Arc::default(),
            wants: Arc::default(),
        }
    }

    /// Whether everything that is needed is seen where an object lives. Else it is left as it is: it comes again when it is.
    pub fn sees(&self, parent: &ParentKey) -> bool {
        let seen = self.seen.read().unwrap_or_else(PoisonError::into_inner);
        seen.contains(&Place::Everywhere) || seen.contains(&Place::In(Arc::clone(&parent.key.namespace)))
    }

    /// Takes in where everything that is needed is seen now, and queues what lives where it was not before.
    pub fn set_seen(&self, seen: &BTreeSet<Place>) {
        let before = {
            let mut known = self.seen.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *known, seen.clone())
        };
        for place in seen.difference(&before) {
            let parents: Vec<ParentKey> =
                self.caches().parents().filter(|parent| place.covers(&parent.key.namespace)).cloned().collect();
            self.wake(parents, Lane::Background);
        }
    }

    /// Which optional kinds are served.
    pub fn apis(&self) -> &Apis {
        self.writer.apis()
    }

    /// Settings that plans depend on.
    pub fn settings(&self) -> Arc<PlanSettings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts the key of shared secrets into the settings, which may be that of configuration as well.
    pub fn learn_secret_key(&self, key: SecretKey) {
        self.change_settings(|settings| {
            settings.secret_key = Some(key);
            settings.config_key = Known::Known(key);
        });
    }

    /// Puts into the settings what is known of the key of configuration.
    pub fn learn_config_key(&self, key: Known<SecretKey>) {
        self.change_settings(|settings| settings.config_key = key);
    }

    /// Changes the settings, and has everything planned again that has been by others.
    fn change_settings(&self, change: impl FnOnce(&mut PlanSettings)) {
        let is_news = {
            let mut settings = self.settings.write().unwrap_or_else(PoisonError::into_inner);
            let before = Arc::clone(&settings);
            change(Arc::make_mut(&mut settings));
            **settings != *before
        };
        if is_news {
            let parents: Vec<ParentKey> = self.caches().parents().cloned().collect();
            self.wake(parents, Lane::Background);
        }
    }

    /// The caches. Hold the guard for look-ups only.
    pub fn caches(&self) -> MutexGuard<'_, Caches> {
        self.caches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often each child was repaired lately.
    pub fn repairs(&self) -> MutexGuard<'_, Repairs> {
        self.repairs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What plans asked for, and what is known of it.
    pub fn wants(&self) -> MutexGuard<'_, Wants> {
        self.wants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last status writes.
    pub fn reported(&self) -> MutexGuard<'_, HashMap<ParentKey, Reported>> {
        self.reported.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues parents of whose world more is about to be heard; what that tells, is then told with it.
    pub fn wake_later(&self, parents: impl IntoIterator<Item = ParentKey>) {
        for parent in parents {
            self.queue.add_after(parent, GATHERING);
        }
    }

    /// Queues parents whose world moved.
    pub fn wake(&self, parents: impl IntoIterator<Item = ParentKey>, lane: Lane) {
        for parent in parents {
            self.queue.add(parent, lane);
        }
    }
}
