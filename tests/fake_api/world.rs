//! A cluster in memory, its controllers, and operator replicas that can die.

use anyhow::{Context as _, Result, bail};
use clap::{Args, Command, FromArgMatches};
use moorage::shell::health::Health;
use moorage::shell::metrics::Metrics;
use moorage::shell::run::Engine;
use moorage::shell::settings::Settings;
use moorage_fake::{Call, Endpoint, Entry, Faults, Server};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The cluster is at rest when the operator asked for nothing that long: longer than a Lease lasts, than a reconcile may
/// take, and than small news wait to be told.
const REST: Duration = Duration::from_secs(40);
/// How often that is looked at.
const LOOK: Duration = Duration::from_secs(4);
/// More than any scenario takes, retries and take-overs included.
const PATIENCE: Duration = Duration::from_secs(3600);
/// How long a watch may be silent.
const SILENCE: Duration = Duration::from_secs(470);
/// How long a controller of the cluster takes to act.
const CONTROLLERS: Duration = Duration::from_millis(20);

/// A cluster with our kinds and the controllers that a cluster has.
pub struct World {
    /// Its API server.
    pub server: Server,
    controllers: JoinHandle<()>,
}

/// A running operator. Dropping it is a crash.
pub struct Replica {
    /// Its connection.
    pub endpoint: Endpoint,
    /// What `/readyz` and `/healthz` say.
    pub health: Health,
    /// Cancelled when it is asked to end.
    stop: CancellationToken,
    /// None if it died while it started.
    engine: Option<Engine>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.controllers.abort();
    }
}

impl World {
    /// An empty cluster.
    pub fn new() -> Self {
        let server = furnished();
        let controllers = server.run_controllers(CONTROLLERS);
        Self { server, controllers }
    }

    /// Starts an operator of that name.
    pub async fn start(&self, name: &str, faults: Faults) -> Replica {
        Replica::start(&self.server, name, faults).await
    }

    /// Waits until the operator rests; one that dies is replaced.
    pub async fn rest(&self, replica: &mut Replica) -> Result<()> {
        let (begin, mut before, mut since) = (Instant::now(), self.cost(), Instant::now());
        while since.elapsed() < REST {
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = replica.endpoint.crashed() => {
                    *replica = self.start("successor", Faults::default()).await;
                    since = Instant::now();
                }
            }
            if self.cost() != before {
                (before, since) = (self.cost(), Instant::now());
            }
            if begin.elapsed() > PATIENCE {
                bail!("no rest: {}", self.summary());
            }
        }
        Ok(())
    }

    /// The operator's requests, less its Lease, its Events, its watches, and the lists that it asks for again and again where
    /// they are refused.
    pub fn work(&self) -> Vec<Entry> {
        self.server.requests().into_iter().filter(|entry| !is_idle(entry)).collect()
    }

    /// Their number.
    pub fn cost(&self) -> usize {
        self.server.count_requests(|entry| !is_idle(entry))
    }

    /// The last requests, for a message.
    pub fn summary(&self) -> String {
        let work = self.work();
        let last: Vec<_> = work.iter().rev().take(12).rev().map(line).collect();
        format!("{} requests, the last ones:\n{}", work.len(), last.join("\n"))
    }

    /// One condition of an object of ours.
    pub fn condition(&self, kind: &str, name: &str, type_: &str) -> Option<Value> {
        let object = self.server.get(kind, "default", name)?;
        let conditions = object["status"]["conditions"].as_array()?.iter();
        conditions.into_iter().find(|condition| condition["type"] == type_).cloned()
    }

    /// Fails unless the object is Ready.
    pub fn expect_ready(&self, kind: &str, name: &str) -> Result<()> {
        let ready = self.condition(kind, name, "Ready").with_context(|| format!("{kind} {name} has no status"))?;
        if ready["status"] != "True" {
            bail!("{kind} {name} is not Ready: {ready}");
        }
        Ok(())
    }

    /// Whether an object of that name is there.
    pub fn has(&self, kind: &str, name: &str) -> bool {
        self.server.get(kind, "default", name).is_some()
    }
}

impl Replica {
    /// Starts an operator of that name on that server.
    pub async fn start(server: &Server, name: &str, faults: Faults) -> Self {
        Self::start_with(server, &settings(name), faults).await
    }

    /// Starts an operator with these settings.
    pub async fn start_with(server: &Server, settings: &Settings, faults: Faults) -> Self {
        let endpoint = server.connect(&settings.identity);
        endpoint.set_faults(faults);
        let (health, stop) = (Health::new(&settings.scope(), SILENCE), CancellationToken::new());
        let start = Engine::start(endpoint.client(), settings, Metrics::new(), health.clone(), stop.clone());
        // A request of the start may be the one that the operator dies of.
        let engine = tokio::select! {
            engine = start => Some(engine),
            () = endpoint.crashed() => None,
        };
        Self { endpoint, health, stop, engine }
    }

    /// Ends it as SIGTERM does.
    pub async fn stop(self) {
        self.stop.cancel();
        if let Some(engine) = self.engine {
            engine.stop().await;
        }
    }
}

/// An API server with the operator's namespace and its key, which would be random if an operator made it.
pub fn furnished() -> Server {
    let server = Server::new();
    let key = "{apiVersion: v1, kind: Secret, metadata: {name: moorage-key, namespace: moorage-system},
                data: {key: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=}}";
    server.apply(key).unwrap();
    server
}

/// The settings that `moorage run` has when nothing is said.
pub fn settings(identity: &str) -> Settings {
    let command = Settings::augment_args(Command::new("moorage"));
    let matches = command.get_matches_from(["moorage", "--identity", identity, "--workers", "4"]);
    Settings::from_arg_matches(&matches).unwrap()
}

fn is_idle(entry: &Entry) -> bool {
    let refused = entry.call.verb == "list" && entry.code != Some(200);
    refused || entry.call.verb == "watch" || is_lease(&entry.call) || entry.call.resource == "events"
}

/// Whether a request is about the Lease.
pub fn is_lease(call: &Call) -> bool {
    call.resource == "leases"
}

/// One request, for a message.
pub fn line(entry: &Entry) -> String {
    let (call, name) = (&entry.call, entry.call.name.as_deref().unwrap_or_default());
    format!("{:>6} {} {name} by {} -> {:?}", entry.number, call.summary(), call.client, entry.code)
}

/// The objects that differ between two end states.
pub fn difference(expected: &BTreeMap<String, Value>, found: &BTreeMap<String, Value>) -> String {
    let names = expected.keys().chain(found.keys().filter(|name| !expected.contains_key(*name)));
    names
        .filter(|name| expected.get(*name) != found.get(*name))
        .map(|name| {
            let text = |state: &BTreeMap<String, Value>| state.get(name).map(Value::to_string).unwrap_or_default();
            format!("{name}\n  expected {}\n  found    {}", text(expected), text(found))
        })
        .collect::<Vec<_>>()
        .join("\n")
}
