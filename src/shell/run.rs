//! `moorage run`: wires watches, queue, workers, leader election and HTTP together, and takes them down in order.

use super::context::Context;
use super::done::{Done, ReconcileResult};
use super::error::Error;
use super::http::{self, Readiness};
use super::key::ParentKey;
use super::kinds::Subject;
use super::leader::{self, Leadership};
use super::metrics::Metrics;
use super::queue::Lane;
use super::reconcile::{reconcile, tell_panic};
use super::report::report_unreadable;
use super::secret_key::{secret_key, wait_for_secret_key};
use super::settings::Settings;
use super::watch::{Sync, WatchSettings, follow};
use super::writer::Writer;
use crate::api::{App, Registry, StorageClaim};
use crate::core::kind::ParentKind;
use crate::core::plan::{ErrorClass, PlanSettings};
use futures::FutureExt;
use kube::runtime::events::{Recorder, Reporter};
use kube::{Client, Config};
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

/// How long running reconciles may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(5);

/// Why the operator can't run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// No kubeconfig and no in-cluster credentials.
    #[error("failed to find a cluster: {0}")]
    Config(#[from] kube::config::InferConfigError),
    /// The client can't be made.
    #[error("failed to make a client: {0}")]
    Client(#[from] kube::Error),
    /// The HTTP address can't be listened on.
    #[error("failed to serve HTTP: {0}")]
    Http(#[from] std::io::Error),
}

/// Runs the operator until `stop`.
pub async fn run(settings: Settings, stop: CancellationToken) -> Result<(), RunError> {
    // Retries are the queue's: the client's own would hold a worker for minutes.
    let mut config = Config::infer().await?;
    config.default_retry = false;
    run_with(Client::try_from(config)?, settings, stop).await
}

/// Runs the operator over that client until `stop`.
pub async fn run_with(client: Client, settings: Settings, stop: CancellationToken) -> Result<(), RunError> {
    let metrics = Metrics::new();
    let readiness = Readiness::default();
    let listener = tokio::net::TcpListener::bind(settings.http_address).await?;
    let server = tokio::spawn(http::serve(listener, readiness.clone(), metrics.clone(), stop.clone()));
    let engine = Engine::start(client, &settings, metrics, readiness, stop.clone()).await;
    stop.cancelled().await;
    engine.stop().await;
    let _ = server.await;
    Ok(())
}

/// Everything that runs between start and stop. Dropping it ends all of it at once, as a crash would.
pub struct Engine {
    workers: JoinSet<()>,
    watches: JoinSet<()>,
    election: AbortOnDropHandle<()>,
    release: CancellationToken,
    context: Context,
}

impl Engine {
    /// Starts watches, workers and leader election.
    pub async fn start(
        client: Client,
        settings: &Settings,
        metrics: Metrics,
        readiness: Readiness,
        stop: CancellationToken,
    ) -> Self {
        let release = CancellationToken::new();
        let (leadership, election) =
            leader::start(client.clone(), settings.election(), metrics.clone(), release.clone());
        let reporter = Reporter { controller: "moorage".into(), instance: Some(settings.identity.clone()) };
        let writer = Writer::new(client.clone(), leadership.clone(), Recorder::new(client.clone(), reporter));
        let secret_key = secret_key(client.clone(), &settings.namespace).await;
        let plan_settings = PlanSettings { registry_image: settings.registry_image.clone(), secret_key };
        let context = Context::new(writer, plan_settings, metrics);
        let synced = Synced::new(readiness);
        let mut watches = watches(&client, &context, settings, &stop, &synced);
        if secret_key.is_none() {
            let (context, namespace) = (context.clone(), settings.namespace.clone());
            watches.spawn(async move { context.learn_secret_key(wait_for_secret_key(client, &namespace).await) });
        }
        let mut workers = JoinSet::new();
        workers.spawn(lead(context.clone(), leadership, synced, stop.clone()));
        for _ in 0..settings.workers {
            workers.spawn(work(context.clone(), settings.reconcile_timeout()));
        }
        Self { workers, watches, election, release, context }
    }

    /// Lets running reconciles end, then gives the lead away.
    pub async fn stop(mut self) {
        self.context.queue.close();
        let ended = async { while self.workers.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, ended).await.is_err() {
            tracing::warn!("reconciles did not end in time and were given up");
            self.workers.abort_all();
        }
        self.release.cancel();
        let _ = self.election.await;
        self.watches.abort_all();
    }
}

/// Which watches have their initial list.
#[derive(Clone)]
struct Synced {
    states: Arc<watch::Sender<HashMap<Subject, Sync>>>,
    readiness: Readiness,
}

impl Synced {
    fn new(readiness: Readiness) -> Self {
        let synced = Self { states: Arc::new(watch::Sender::default()), readiness };
        synced.show();
        synced
    }

    fn set(&self, subject: Subject, state: &Sync) {
        let changed = self.states.send_if_modified(|states| {
            // A list that is in stays in: a watch that breaks later is renewed from where it stood.
            let late = matches!(state, Sync::Failed(_)) && states.get(&subject) == Some(&Sync::Done);
            !late && states.insert(subject, state.clone()).as_ref() != Some(state)
        });
        if changed {
            self.show();
        }
    }

    /// What `/readyz` says: every required watch that has no list yet, and why.
    fn show(&self) {
        let states = self.states.borrow();
        let missing = Subject::parents().chain(Subject::others()).filter_map(|subject| match states.get(&subject) {
            Some(Sync::Done) => None,
            Some(Sync::Failed(_)) if subject.is_optional() => None,
            Some(Sync::Failed(message)) => Some(message.clone()),
            None => Some(format!("{subject}: no list yet")),
        });
        self.readiness.set(missing.collect());
    }

    /// Waits until every one of these has a list, or has failed if it is optional.
    async fn wait(&self, subjects: impl Iterator<Item = Subject>) {
        let subjects: Vec<Subject> = subjects.collect();
        let mut receiver = self.states.subscribe();
        let _ = receiver
            .wait_for(|states| {
                subjects.iter().all(|subject| match states.get(subject) {
                    Some(Sync::Done) => true,
                    Some(Sync::Failed(_)) => subject.is_optional(),
                    None => false,
                })
            })
            .await;
    }
}

/// Children are compared with what their parents want as they are decoded, so parents are listed first.
fn watches(
    client: &Client,
    context: &Context,
    settings: &Settings,
    stop: &CancellationToken,
    synced: &Synced,
) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let watch_settings = WatchSettings {
        namespace: settings.watch_namespace.clone(),
        page_size: settings.page_size,
        timeout_seconds: settings.watch_timeout_seconds,
    };
    for subject in Subject::parents().chain(Subject::others()) {
        let (client, context, stop, synced) = (client.clone(), context.clone(), stop.clone(), synced.clone());
        let watch_settings = watch_settings.clone();
        tasks.spawn(async move {
            if !matches!(subject, Subject::Parent(_)) {
                synced.wait(Subject::parents()).await;
            }
            follow(client, context, subject, watch_settings, stop, move |subject, state| synced.set(subject, &state))
                .await;
        });
    }
    tasks
}

/// Queues every parent each time this replica comes to lead.
async fn lead(context: Context, mut leadership: Leadership, synced: Synced, stop: CancellationToken) {
    let all = Subject::parents().chain(Subject::others());
    if stop.run_until_cancelled(synced.wait(all)).await.is_none() {
        return;
    }
    context.queue.open();
    loop {
        if leadership.is_leader() {
            let parents: Vec<ParentKey> = context.caches().parents().cloned().collect();
            context.wake(parents, Lane::Background);
        }
        if stop.run_until_cancelled(leadership.changed()).await.is_none() {
            return;
        }
    }
}

/// Takes parents off the queue, one at a time.
async fn work(context: Context, timeout: Duration) {
    while let Some(key) = context.queue.next().await {
        if !context.writer.leads() {
            // Whoever leads does it; coming to lead queues everything again.
            context.queue.succeed(&key);
            context.queue.done(&key);
            continue;
        }
        let span = tracing::info_span!("reconcile", kind = key.kind.as_str(), object = %key.key);
        let started = Instant::now();
        let (done, result) = attempt(&context, &key, timeout).instrument(span).await;
        context.metrics.reconcile(key.kind, result, started.elapsed());
        settle(&context, &key, done);
    }
}

/// When to try again what the API server refused as it is: the cause may lie outside the spec, in an admission policy or a
/// port that another Service has, and nothing tells when it is gone.
const REFUSED: Duration = Duration::from_secs(300);

fn settle(context: &Context, key: &ParentKey, done: Done) {
    match done {
        Done::Settled => context.queue.succeed(key),
        Done::Again(delay) => {
            context.queue.succeed(key);
            context.queue.add_after(key.clone(), delay);
        }
        Done::Failed(class, sooner) => {
            if class == ErrorClass::Invalid {
                context.queue.add_after(key.clone(), REFUSED);
            } else {
                context.queue.fail(key);
            }
            if let Some(delay) = sooner {
                context.queue.add_after(key.clone(), delay);
            }
        }
    }
    context.queue.done(key);
}

/// How work on one object ended.
#[derive(Debug)]
enum Ended<T> {
    /// By itself.
    Returned(T),
    /// By a panic, with this message.
    Panicked(String),
    /// Not within its time.
    TimedOut,
}

/// Runs work on one object so that neither its panic nor its slowness reaches the work on others.
async fn isolated<T>(work: impl Future<Output = T>, timeout: Duration) -> Ended<T> {
    match tokio::time::timeout(timeout, AssertUnwindSafe(work).catch_unwind()).await {
        Ok(Ok(value)) => Ended::Returned(value),
        Ok(Err(panic)) => Ended::Panicked(panic_message(panic.as_ref()).to_owned()),
        Err(_) => Ended::TimedOut,
    }
}

/// One reconcile and what came of it.
async fn attempt(context: &Context, key: &ParentKey, timeout: Duration) -> (Done, ReconcileResult) {
    match isolated(dispatch(context, key), timeout).await {
        Ended::Returned(Ok(done)) => (done, ReconcileResult::of(done)),
        Ended::Returned(Err(error)) => {
            tracing::warn!(%error, "reconcile failed");
            if matches!(error, Error::Decode { .. }) {
                let why = format!("this version of the operator can't read it: {error}");
                let _ = isolated(report_unreadable(context, key, &why), timeout).await;
            }
            let done = Done::Failed(error.class(), None);
            (done, ReconcileResult::of(done))
        }
        Ended::Panicked(message) => {
            tracing::error!(message, "reconcile panicked; this is a bug");
            let _ = isolated(dispatch_panic(context, key, &message), timeout).await;
            (Done::Failed(ErrorClass::Internal, None), ReconcileResult::Panic)
        }
        Ended::TimedOut => {
            tracing::warn!("reconcile ran into its deadline");
            (Done::Failed(ErrorClass::Unavailable, None), ReconcileResult::Timeout)
        }
    }
}

async fn dispatch(context: &Context, key: &ParentKey) -> Result<Done, Error> {
    match key.kind {
        ParentKind::App => reconcile::<App>(context, key).await,
        ParentKind::StorageClaim => reconcile::<StorageClaim>(context, key).await,
        ParentKind::Registry => reconcile::<Registry>(context, key).await,
    }
}

async fn dispatch_panic(context: &Context, key: &ParentKey, message: &str) -> Result<Done, Error> {
    match key.kind {
        ParentKind::App => tell_panic::<App>(context, key, message).await,
        ParentKind::StorageClaim => tell_panic::<StorageClaim>(context, key, message).await,
        ParentKind::Registry => tell_panic::<Registry>(context, key, message).await,
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::{Duration, Ended, isolated};
    use std::future::pending;

    const TIMEOUT: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn a_panic_ends_the_work_on_one_object_only() {
        let ended = isolated(async { panic!("an index of {}", 7) }, TIMEOUT).await;
        assert!(matches!(ended, Ended::<()>::Panicked(message) if message == "an index of 7"));
        assert!(matches!(isolated(async { 1 }, TIMEOUT).await, Ended::Returned(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_hangs_is_given_up() {
        assert!(matches!(isolated(pending::<()>(), TIMEOUT).await, Ended::TimedOut));
    }
}
