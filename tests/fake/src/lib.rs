//! An in-memory Kubernetes API server for crash and interleaving tests.
//!
//! [`Server`] keeps objects the way a real API server does: optimistic concurrency,
//! server-side apply with field ownership, watches, finalizers, defaults. It is driven
//! through ordinary [`kube::Client`]s, one [`Endpoint`] per client, each with its own
//! [`Faults`]. It never looks at real time, so it runs under tokio's paused clock.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use moorage_fake::{Fault, Faults, Server};
//!
//! let server = Server::new();
//! let replica = server.connect("replica-a");
//! replica.set_faults(Faults::at_write(2, Fault::CrashAfterCommit));
//! let client = replica.client();
//! tokio::select! {
//!     () = async { /* run the operator with `client` */ } => {}
//!     () = replica.crashed() => { /* it is dead: start another one */ }
//! }
//! # let _ = client; Ok(())
//! # }
//! ```

mod admit;
mod apply;
mod controllers;
mod defaults;
mod delete;
mod discovery;
mod effort;
mod endpoint;
mod faults;
mod fields;
mod garbage;
mod handle;
mod helpers;
mod meta;
mod quantity;
mod read;
mod resource;
mod revisions;
mod route;
mod schema;
mod select;
mod snapshot;
mod status;
mod store;
mod strict;
mod validate;
mod watch;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use tokio::sync::watch as signal;

pub use effort::Effort;
pub use endpoint::Endpoint;
pub use faults::{Entry, Fault, Faults};
pub use quantity::canonical as canonical_quantity;
pub use resource::{Check, Resource, standard};
pub use route::Call;
pub use status::{Failure, Outcome};

use controllers::Rollouts;
use handle::Reply;
use store::Store;

/// The API server. Clones are the same server.
#[derive(Clone, Debug)]
pub struct Server {
    state: Arc<Mutex<State>>,
    commits: signal::Sender<u64>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) store: Store,
    pub(crate) log: Vec<Entry>,
    pub(crate) latency: Duration,
    /// How often all watches were cut, and how often they were told 410.
    pub(crate) breaks: u64,
    pub(crate) expiries: u64,
    pub(crate) rollouts: Rollouts,
    frozen: BTreeSet<String>,
    /// Up to which version the watches of a resource were skipped.
    pub(crate) skipped: BTreeMap<String, u64>,
}

impl State {
    pub(crate) fn is_frozen(&self, plural: &str) -> bool {
        self.frozen.contains(plural)
    }
}

impl Default for Server {
    fn default() -> Self {
        Self::new()
    }
}

impl Server {
    /// A server with the [`standard`] resources, the namespace `default`, and a default
    /// `StorageClass` `standard` whose claims may grow.
    pub fn new() -> Self {
        let state = State {
            store: Store::new(),
            log: Vec::new(),
            latency: Duration::ZERO,
            breaks: 0,
            expiries: 0,
            rollouts: Rollouts::default(),
            frozen: BTreeSet::new(),
            skipped: BTreeMap::new(),
        };
        let server = Self { state: Arc::new(Mutex::new(state)), commits: signal::Sender::new(0) };
        server.furnish();
        server
    }

    /// A new client of that name, numbering its requests from 0.
    pub fn connect(&self, name: &str) -> Endpoint {
        Endpoint::new(self.clone(), name)
    }

    /// A client without faults, named `test`. Needs a tokio runtime.
    pub fn client(&self) -> kube::Client {
        self.connect("test").client()
    }

    /// Starts to serve a resource; nothing happens if it is served already.
    pub fn install(&self, resource: Resource) {
        self.mutate(|state| state.store.install(resource));
    }

    /// Stops to serve a resource and forgets its objects; open watches of it end.
    /// `id` is `plural` or `plural.group`.
    pub fn uninstall(&self, id: &str) {
        self.mutate(|state| state.store.tables.remove(id));
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<Entry> {
        self.lock().log.clone()
    }

    /// Every write so far, refused ones included.
    pub fn writes(&self) -> Vec<Entry> {
        let log = self.requests();
        log.into_iter().filter(|entry| entry.call.is_write()).collect()
    }

    /// How many of the requests so far are wanted.
    pub fn count_requests(&self, wanted: impl Fn(&Entry) -> bool) -> usize {
        self.lock().log.iter().filter(|entry| wanted(entry)).count()
    }

    /// Number of requests so far: a mark for [`Server::requests`] and [`Server::writes`] to skip to.
    pub fn request_count(&self) -> usize {
        self.lock().log.len()
    }

    /// The newest resourceVersion.
    pub fn resource_version(&self) -> u64 {
        self.lock().store.version
    }

    /// Makes every answer take this long, in tokio's time.
    pub fn set_latency(&self, latency: Duration) {
        self.lock().latency = latency;
    }

    /// Sets what the server's clock showed when it started.
    pub fn set_epoch(&self, epoch: Timestamp) {
        self.lock().store.epoch = epoch;
    }

    /// Forgets history: watches and pages from earlier versions get 410 Gone.
    pub fn compact(&self) {
        let mut state = self.lock();
        // One past the newest, so that resuming from the newest version is refused too.
        state.store.version += 1;
        state.store.compacted = state.store.version;
        state.store.pages.clear();
    }

    /// Cuts every open watch, as a restart of the API server does.
    pub fn break_watches(&self) {
        self.mutate(|state| state.breaks += 1);
    }

    /// Ends every open watch with a 410 event.
    pub fn expire_watches(&self) {
        self.mutate(|state| state.expiries += 1);
    }

    /// From now on this changes every object on its way to the store, as a mutating admission webhook does.
    pub fn admit(&self, change: impl Fn(&mut serde_json::Value) + Send + Sync + 'static) {
        self.lock().store.webhook = store::Webhook(Arc::new(change));
    }

    /// Withholds the events of a resource (by plural): its watches go silent without ending.
    pub fn freeze(&self, plural: &str) {
        self.lock().frozen.insert(plural.to_owned());
    }

    /// Delivers what was withheld.
    pub fn thaw(&self, plural: &str) {
        self.mutate(|state| state.frozen.remove(plural));
    }

    /// Goes on without what was withheld: the watches have lost it, and nothing tells them so.
    pub fn lose(&self, plural: &str) {
        self.mutate(|state| {
            state.skipped.insert(plural.to_owned(), state.store.version);
            state.frozen.remove(plural);
        });
    }

    /// Waits until `condition` holds, looking after every commit; an error after `timeout`.
    pub async fn until(&self, timeout: Duration, condition: impl Fn(&Self) -> bool) -> anyhow::Result<()> {
        let mut commits = self.subscribe();
        let wait = async {
            while !condition(self) {
                if commits.changed().await.is_err() {
                    return;
                }
            }
        };
        let met = tokio::time::timeout(timeout, wait).await;
        met.map_err(|_| anyhow::anyhow!("condition not met within {timeout:?}"))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn subscribe(&self) -> signal::Receiver<u64> {
        self.commits.subscribe()
    }

    /// Changes the state and wakes whoever waits for changes.
    pub(crate) fn mutate<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.lock());
        self.commits.send_modify(|count| *count += 1);
        result
    }

    pub(crate) fn note(&self, number: usize, reply: &Reply, seen: bool) {
        if let Some(entry) = self.lock().log.get_mut(number) {
            entry.code = seen.then(|| reply.code());
            entry.changed = reply.changed();
        }
    }
}
