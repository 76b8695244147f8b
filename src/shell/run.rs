//! `moorage run`: wires watches, queue, workers, leader election and HTTP together, and takes them down in order.

use super::client::{bounded, connect};
use super::context::Context;
use super::done::{Done, ReconcileResult};
use super::error::Error;
use super::follow::follow_contents;
use super::guard::{Ended, isolated, panic_message};
use super::health::Health;
use super::http::{self, Served};
use super::key::ParentKey;
use super::kinds::{Observable, Subject};
use super::leader::{self, Leadership};
use super::look_up::look_up;
use super::metrics::Metrics;
use super::metrics_auth::Gate;
use super::objects::Objects;
use super::optional::{Definitions, Keeper};
use super::queue::Lane;
use super::reconcile::{FLOOR, reconcile, tell_panic};
use super::report::report_unreadable;
use super::secret_key::{secret_key, wait_for_config_key, wait_for_secret_key};
use super::settings::{MetricsAuth, Settings};
use super::watch::{WatchSettings, follow};
use super::writer::Writer;
use crate::api::{App, Registry, StorageClaim};
use crate::core::kind::ParentKind;
use crate::core::known::Known;
use crate::core::plan::{ErrorClass, PlanSettings};
use kube::{Client, Config};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
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
    /// A part of the operator ended, which none does by itself. A new process is better off than one that lacks it.
    #[error("a part of the operator ended: {0}")]
    Ended(String),
}

/// Runs the operator until `stop`.
pub async fn run(settings: Settings, stop: CancellationToken) -> Result<(), RunError> {
    run_with(connect(Config::infer().await?)?, settings, stop).await
}

/// Runs the operator over that client until `stop`.
pub async fn run_with(client: Client, settings: Settings, stop: CancellationToken) -> Result<(), RunError> {
    let metrics = Metrics::new();
    let health = Health::new(&settings.scope(), watch_settings(&settings).silence());
    let listener = http::listen(settings.http_address)?;
    let gate = match settings.metrics_auth {
        MetricsAuth::None => None,
        MetricsAuth::Token => Some(Gate::new(client.clone())),
    };
    let seen = Served { health: health.clone(), metrics: metrics.clone(), gate };
    let mut server = tokio::spawn(http::serve(listener, seen, stop.clone()));
    let mut engine = Engine::start(client, &settings, metrics, health, stop.clone()).await;
    let ended = tokio::select! {
        // Being told to stop ends the parts too.
        biased;
        () = stop.cancelled() => None,
        why = engine.ended() => Some(why),
        result = &mut server => Some(why(result)),
    };
    if let Some(why) = &ended {
        tracing::error!(why, "a part of the operator ended; stopping");
    }
    stop.cancel();
    engine.stop().await;
    if !server.is_finished() {
        let _ = server.await;
    }
    ended.map_or(Ok(()), |why| Err(RunError::Ended(why)))
}

const fn watch_settings(settings: &Settings) -> WatchSettings {
    WatchSettings { page_size: settings.page_size, timeout_seconds: settings.watch_timeout_seconds }
}

/// Why a task that runs until the end has ended before.
fn why(result: Result<(), JoinError>) -> String {
    match result.map_err(JoinError::try_into_panic) {
        Ok(()) => "by itself".to_owned(),
        Err(Ok(panic)) => format!("by a panic, which is a bug: {}", panic_message(panic.as_ref())),
        Err(Err(error)) => error.to_string(),
    }
}

/// Everything that runs between start and stop. Dropping it ends all of it at once, as a crash would.
pub struct Engine {
    workers: JoinSet<()>,
    tasks: JoinSet<()>,
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
        health: Health,
        stop: CancellationToken,
    ) -> Self {
        let client = bounded(client);
        let (release, fit) = (CancellationToken::new(), watch::Sender::new(false));
        let (leadership, election) =
            leader::start(client.clone(), settings.election(), metrics.clone(), fit.subscribe(), release.clone());
        let writer = Writer::new(client.clone(), leadership.clone(), Some(settings.identity.clone()));
        let secret_key = secret_key(client.clone(), &settings.namespace, &settings.watch_namespace).await;
        let plan_settings = PlanSettings {
            registry_image: settings.registry_image.clone(),
            secret_key,
            config_key: secret_key.map_or(Known::Unknown, Known::Known),
            forbidden: settings.forbid.iter().copied().collect(),
            own: Some(settings.own()),
        };
        let context = Context::new(writer, plan_settings, settings.scope(), settings.workers, metrics);
        let mut tasks = watches(&client, &context, settings, &stop, &health);
        let (watching, told) = (watch_settings(settings), health.clone());
        tasks.spawn(follow_contents(client.clone(), context.clone(), watching, stop.clone(), told));
        let keeper = Keeper {
            client: client.clone(),
            context: context.clone(),
            scope: settings.scope(),
            settings: watch_settings(settings),
            stop: stop.clone(),
            health: health.clone(),
        };
        tasks.spawn(keeper.run());
        tasks.spawn(judge(context.clone(), health, fit));
        if secret_key.is_none() {
            tasks.spawn(learn_key(client.clone(), context.clone(), settings.clone()));
            tasks.spawn(learn_config_key(client, context.clone(), settings.namespace.clone()));
        }
        tasks.spawn(look_up(context.clone()));
        tasks.spawn(lead(context.clone(), leadership, stop));
        let mut workers = JoinSet::new();
        for _ in 0..settings.workers {
            workers.spawn(work(context.clone(), settings.reconcile_timeout()));
        }
        Self { workers, tasks, election, release, context }
    }

    /// Waits until a part of it ends, which none does before it is told to stop, and says why.
    pub async fn ended(&mut self) -> String {
        tokio::select! {
            Some(result) = self.workers.join_next() => why(result),
            Some(result) = self.tasks.join_next() => why(result),
            result = &mut self.election => why(result),
        }
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
        if !self.election.is_finished() {
            let _ = self.election.await;
        }
        self.tasks.abort_all();
    }
}

fn watches(
    client: &Client,
    context: &Context,
    settings: &Settings,
    stop: &CancellationToken,
    health: &Health,
) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for watch in settings.scope().watches() {
        let (client, context, stop, health) = (client.clone(), context.clone(), stop.clone(), health.clone());
        let settings = watch_settings(settings);
        tasks.spawn(async move {
            health.until_turn_of(&watch).await;
            let metrics = context.metrics.clone();
            if watch.subject == Subject::Observed(Observable::Definition) {
                let intake = Definitions::new(context);
                return follow(client, intake, metrics, watch, settings, stop, health).await;
            }
            let intake = Objects::new(context, watch.clone());
            follow(client, intake, metrics, watch, settings, stop, health).await;
        });
    }
    tasks
}

/// How often it is looked at whether this replica is fit to lead, beside at every change.
const JUDGE: Duration = Duration::from_secs(10);

/// Says what this replica sees, and so whether it is fit to lead: one that sees nothing of a kind can't work, and another may.
async fn judge(context: Context, health: Health, fit: watch::Sender<bool>) {
    let mut news = health.changes();
    let mut unseen = BTreeMap::new();
    loop {
        let sight = health.sight();
        context.set_seen(&sight.seen);
        context.metrics.set_unseen(health.places().len() - sight.seen.len());
        fit.send_if_modified(|fit| {
            let before = std::mem::replace(fit, sight.missing.is_empty());
            if before && !*fit {
                tracing::warn!(why = sight.missing.join("; "), "not fit to lead any more");
            }
            before != *fit
        });
        for (place, why) in sight.unseen.iter().filter(|(place, _)| !unseen.contains_key(*place)) {
            tracing::warn!(namespace = %place, why = why.join("; "), "a namespace can't be seen; the others are worked on");
        }
        for place in unseen.keys().filter(|place| sight.seen.contains(place)) {
            tracing::info!(namespace = %place, "a namespace is seen again");
        }
        unseen = sight.unseen;
        let _ = tokio::time::timeout(JUDGE, news.changed()).await;
    }
}

async fn learn_key(client: Client, context: Context, settings: Settings) {
    let key = wait_for_secret_key(client, &settings.namespace, &settings.watch_namespace);
    context.learn_secret_key(key.await);
    std::future::pending::<()>().await;
}

/// Learns the key of configuration once something is seen that is hashed by it.
async fn learn_config_key(client: Client, context: Context, namespace: String) {
    let mut needed = context.caches().references.needs_key();
    let is_needed = needed.wait_for(|needed| *needed).await.is_ok();
    if is_needed && context.settings().config_key == Known::Unknown {
        wait_for_config_key(client, &namespace, |key| context.learn_config_key(key)).await;
    }
    std::future::pending::<()>().await;
}

/// Queues every parent each time this replica comes to lead.
async fn lead(context: Context, mut leadership: Leadership, stop: CancellationToken) {
    loop {
        if leadership.is_leader() {
            // What another replica was granted meanwhile, this one may not have noticed.
            context.caches().references.retry();
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
        if !context.writer.leads() || !context.sees(&key) {
            // Whoever leads does it; coming to lead, or to see, queues everything again.
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

fn settle(context: &Context, key: &ParentKey, done: Done) {
    match done {
        Done::Settled => context.queue.succeed(key),
        Done::Late => {
            context.queue.succeed(key);
            context.queue.repeat(key);
        }
        Done::Again(delay) => {
            context.queue.succeed(key);
            context.queue.add_after(key.clone(), delay);
        }
        Done::Failed(class, sooner) => {
            if class == ErrorClass::Invalid {
                // The cause may lie outside the spec, in an admission policy or a port that another Service has, and nothing tells
                // when it is gone.
                context.queue.add_after(key.clone(), FLOOR);
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

/// One reconcile and what came of it.
async fn attempt(context: &Context, key: &ParentKey, timeout: Duration) -> (Done, ReconcileResult) {
    match isolated(dispatch(context, key), timeout).await {
        Ended::Returned(Ok(done)) => (done, ReconcileResult::of(done)),
        Ended::Returned(Err(error)) => {
            tracing::warn!(%error, "reconcile failed");
            if let Some((reason, why)) = error.unreadable() {
                let _ = isolated(report_unreadable(context, key, reason, why), timeout).await;
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

#[cfg(test)]
mod tests {
    use super::{JoinSet, why};

    #[tokio::test]
    async fn a_part_that_ends_says_why() {
        let mut tasks = JoinSet::new();
        tasks.spawn(async { panic!("an index of {}", 7) });
        let ended = tasks.join_next().await.map(why).unwrap_or_default();
        assert_eq!(ended, "by a panic, which is a bug: an index of 7");
    }
}
