//! Secrets are followed where the operator may read them, which an admin grants namespace by namespace; elsewhere nothing changes.

use super::configuration::Kind::{ConfigMap, Secret};
use super::configuration::{SETTINGS, app, insisting, rollouts, rollouts_in, running, template};
use super::world::{Replica, World, is_lease};
use anyhow::{Context as _, Result, ensure};
use k8s_openapi::ByteString;
use moorage_fake::{Call, Entry, Fault, Faults};
use serde_json::{Value, json};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::sleep;
use tracing::Dispatch;
use tracing::subscriber::NoSubscriber;
use tracing_subscriber::EnvFilter;

const MINUTE: Duration = Duration::from_secs(60);

/// Secrets may not be read in that namespace, as the API server says it without a Role.
fn denied_in(namespace: &'static str) -> Faults {
    let is_denied = move |call: &Call| {
        let reads = matches!(call.verb.as_str(), "get" | "list" | "watch");
        reads && Secret.is_followed_by(call) && call.namespace.as_deref() == Some(namespace)
    };
    Faults::new(move |call| if is_denied(call) { Fault::Status(403) } else { Fault::None })
}

/// How often Secrets were asked for, in any namespace but the operator's.
fn asked(world: &World) -> usize {
    world.server.count_requests(|entry| Secret.is_followed_by(&entry.call) && !entry.call.is_write())
}

/// What the Deployment in that namespace remembers.
fn remembered(world: &World, namespace: &str) -> Value {
    let deployment = world.server.get("Deployment", namespace, "web").unwrap_or_default();
    let text = deployment["metadata"]["annotations"]["moorage.dev/configuration"].as_str().unwrap_or("{}");
    serde_json::from_str(text).unwrap()
}

/// Pods that read `settings` of both kinds.
fn both() -> Value {
    json!({"envFrom": [ConfigMap.all_of(SETTINGS), Secret.all_of(SETTINGS)]})
}

async fn started(part: &Value, faults: Faults) -> Result<(World, Replica)> {
    let world = World::new();
    ConfigMap.furnish(&world.server)?;
    Secret.furnish(&world.server)?;
    world.server.apply(&app(part).to_string())?;
    let mut replica = world.start("first", faults).await;
    world.rest(&mut replica).await?;
    Ok((world, replica))
}

/// Ends the watches that run, as the API server does after some minutes: it is then that a revoked right is noticed.
async fn renew(world: &World, replica: &mut Replica) -> Result<()> {
    world.server.break_watches();
    world.rest(replica).await
}

/// Where nobody grants it and nobody insists on it, an App is as it was before Secrets were followed, and at rest nothing is asked.
#[tokio::test(start_paused = true)]
async fn without_the_right_nothing_is_told_or_asked_and_config_maps_are_followed() -> Result<()> {
    let (world, mut replica) = started(&both(), denied_in("default")).await?;
    world.expect_ready("App", "web")?;
    ensure!(remembered(&world, "default")["seen"]["Secret/settings"].is_null(), "{}", remembered(&world, "default"));
    sleep(2 * MINUTE).await;
    let at_start = asked(&world);
    // When it is first wanted, and a minute later for all reasons that came since: this replica came to lead.
    ensure!((1..=2).contains(&at_start), "{at_start} requests\n{}", world.summary());
    let mark = world.server.request_count();
    sleep(20 * MINUTE).await;
    let others = |entry: &Entry| !is_lease(&entry.call) && entry.call.verb != "watch";
    let noise = world.server.requests().split_off(mark).into_iter().filter(others).count();
    ensure!(noise == 0 && asked(&world) == at_start, "{noise} requests at rest\n{}", world.summary());
    Secret.set(&world.server, "colour", "red")?;
    ConfigMap.set(&world.server, "colour", "red")?;
    world.rest(&mut replica).await?;
    ensure!(rollouts(&world)? == 1, "{} rollouts", rollouts(&world)?);
    ensure!(asked(&world) == at_start, "{}", world.summary());
    // Another App that begins to refer to Secrets is a reason to look again, once.
    let mut other = app(&Secret.whole());
    other["metadata"]["name"] = json!("api");
    world.server.apply(&other.to_string())?;
    world.rest(&mut replica).await?;
    ensure!(asked(&world) == at_start + 1, "{} requests", asked(&world) - at_start);
    replica.endpoint.set_faults(Faults::default());
    other["metadata"]["name"] = json!("third");
    world.server.apply(&other.to_string())?;
    sleep(MINUTE).await;
    world.rest(&mut replica).await?;
    ensure!(rollouts(&world)? == 1, "what is seen for the first time was rolled out");
    Secret.set(&world.server, "colour", "green")?;
    world.rest(&mut replica).await?;
    ensure!(rollouts(&world)? == 2, "{} rollouts", rollouts(&world)?);
    Ok(())
}

/// An author who insists is told what to apply; the right is tried once a minute, and a change is rolled out from then on.
#[tokio::test(start_paused = true)]
async fn who_insists_is_told_and_the_right_is_noticed_within_a_minute() -> Result<()> {
    let (world, mut replica) = started(&insisting(both()), denied_in("default")).await?;
    let stalled = world.condition("App", "web", "Stalled").unwrap_or_default();
    ensure!(stalled["status"] == "True" && stalled["reason"] == "Denied", "{stalled}");
    let message = stalled["message"].as_str().unwrap_or_default();
    ensure!(
        message.starts_with("Secret settings: ") && message.contains("deploy/components/config-secrets"),
        "{message}"
    );
    ensure!(world.condition("App", "web", "Available").unwrap_or_default()["status"] == "True");
    let (before, writes) = (asked(&world), world.server.writes().iter().filter(|entry| !is_lease(&entry.call)).count());
    sleep(10 * MINUTE).await;
    let probes = asked(&world) - before;
    ensure!((9..=10).contains(&probes), "{probes} in ten minutes");
    let after = world.server.writes().iter().filter(|entry| !is_lease(&entry.call)).count();
    ensure!(after == writes, "the status flaps\n{}", world.summary());
    ConfigMap.set(&world.server, "colour", "red")?;
    world.rest(&mut replica).await?;
    ensure!(rollouts(&world)? == 1, "a ConfigMap waits for Secrets");
    replica.endpoint.set_faults(Faults::default());
    sleep(MINUTE).await;
    sleep(Duration::from_secs(5)).await;
    world.expect_ready("App", "web")?;
    ensure!(rollouts(&world)? == 1, "what is seen for the first time was rolled out");
    Secret.set(&world.server, "colour", "red")?;
    world.rest(&mut replica).await?;
    ensure!(rollouts(&world)? == 2, "{} rollouts", rollouts(&world)?);
    Ok(())
}

/// With the right goes what is known; what changes while it is gone is rolled out once, when it is back.
#[tokio::test(start_paused = true)]
async fn a_revoked_right_takes_what_is_known_with_it() -> Result<()> {
    let (world, mut replica) = started(&insisting(both()), Faults::default()).await?;
    world.expect_ready("App", "web")?;
    let before = remembered(&world, "default");
    replica.endpoint.set_faults(denied_in("default"));
    renew(&world, &mut replica).await?;
    let stalled = world.condition("App", "web", "Stalled").unwrap_or_default();
    ensure!(stalled["reason"] == "Denied", "{stalled}");
    Secret.set(&world.server, "colour", "red")?;
    world.rest(&mut replica).await?;
    ensure!(rollouts(&world)? == 0 && remembered(&world, "default") == before, "{}", remembered(&world, "default"));
    ConfigMap.set(&world.server, "colour", "red")?;
    world.rest(&mut replica).await?;
    ensure!(rollouts(&world)? == 1, "a ConfigMap waits for Secrets");
    replica.endpoint.set_faults(Faults::default());
    sleep(2 * MINUTE).await;
    world.rest(&mut replica).await?;
    world.expect_ready("App", "web")?;
    ensure!(rollouts(&world)? == 2, "{} rollouts", rollouts(&world)?);
    Ok(())
}

/// What only a Secret that may not be read any more told is told no longer.
#[tokio::test(start_paused = true)]
async fn nothing_is_told_of_what_may_not_be_read_any_more() -> Result<()> {
    let (world, mut replica) = started(&Secret.one_key("mode"), Faults::default()).await?;
    let reason = |world: &World| world.condition("App", "web", "Ready").unwrap_or_default()["reason"].clone();
    ensure!(reason(&world) == "ConfigurationMissing", "{}", reason(&world));
    replica.endpoint.set_faults(denied_in("default"));
    renew(&world, &mut replica).await?;
    ensure!(reason(&world) != "ConfigurationMissing", "it still says what it knew");
    let asked_for = asked(&world);
    sleep(10 * MINUTE).await;
    ensure!(asked(&world) == asked_for, "a revoked right is asked for at rest");
    Ok(())
}

/// Each namespace is granted, denied and watched by itself, also by an operator that sees all.
#[tokio::test(start_paused = true)]
async fn other_namespaces_are_not_concerned() -> Result<()> {
    let world = World::new();
    for namespace in ["default", "blog"] {
        Secret.apply(&world.server, namespace, SETTINGS, &[("colour", "blue")])?;
        let mut app = app(&insisting(Secret.whole()));
        app["metadata"]["namespace"] = json!(namespace);
        world.server.apply(&app.to_string())?;
    }
    let mut replica = world.start("first", denied_in("blog")).await;
    world.rest(&mut replica).await?;
    world.expect_ready("App", "web")?;
    let elsewhere = |entry: &Entry| {
        let namespace = entry.call.namespace.as_deref();
        Secret.is_followed_by(&entry.call) && !matches!(namespace, Some("default" | "blog"))
    };
    ensure!(world.server.count_requests(elsewhere) == 0, "it looks into other namespaces\n{}", world.summary());
    for namespace in ["default", "blog"] {
        Secret.set_of(&world.server, namespace, SETTINGS, "colour", "red")?;
    }
    world.rest(&mut replica).await?;
    ensure!(rollouts_in(&world, "default")? == 1 && rollouts_in(&world, "blog")? == 0, "{}", world.summary());
    replica.endpoint.set_faults(denied_in("default"));
    renew(&world, &mut replica).await?;
    sleep(2 * MINUTE).await;
    for namespace in ["default", "blog"] {
        Secret.set_of(&world.server, namespace, SETTINGS, "colour", "green")?;
    }
    world.rest(&mut replica).await?;
    ensure!(rollouts_in(&world, "default")? == 1 && rollouts_in(&world, "blog")? == 1, "{}", world.summary());
    Ok(())
}

/// A replica that was refused long ago looks again when it comes to lead: the one before it may have been granted more.
#[tokio::test(start_paused = true)]
async fn who_comes_to_lead_looks_again() -> Result<()> {
    let (world, first) = started(&Secret.whole(), denied_in("default")).await?;
    let mut second = world.start("second", denied_in("default")).await;
    world.rest(&mut second).await?;
    second.endpoint.set_faults(Faults::default());
    first.stop().await;
    world.rest(&mut second).await?;
    Secret.set(&world.server, "colour", "red")?;
    world.rest(&mut second).await?;
    ensure!(rollouts(&world)? == 1, "{} rollouts", rollouts(&world)?);
    Ok(())
}

/// A reference to one that the watch has shown before anybody asked for it is looked up, without a rollout.
#[tokio::test(start_paused = true)]
async fn a_reference_that_comes_later_is_looked_up() -> Result<()> {
    let (world, mut replica) = running(Secret, &Secret.whole()).await?;
    Secret.apply(&world.server, "default", "more", &[("a", "b")])?;
    world.rest(&mut replica).await?;
    let gets = |world: &World| {
        world.server.count_requests(|entry| Secret.is_followed_by(&entry.call) && entry.call.verb == "get")
    };
    ensure!(gets(&world) == 0, "{}", world.summary());
    world.server.edit_as("kubectl", "App", "default", "web", |app| {
        app["spec"]["envFrom"] = json!([Secret.all_of(SETTINGS), Secret.all_of("more")]);
    })?;
    world.rest(&mut replica).await?;
    ensure!(gets(&world) == 1, "{}", world.summary());
    ensure!(rollouts(&world)? == 1, "the edit is one rollout");
    Secret.set_of(&world.server, "default", "more", "a", "c")?;
    world.rest(&mut replica).await?;
    ensure!(rollouts(&world)? == 2, "{} rollouts", rollouts(&world)?);
    Ok(())
}

fn set_key(world: &World, key: &[u8]) -> Result<()> {
    let key = json!(ByteString(key.to_vec()));
    let change = |secret: &mut Value| secret["data"]["key"] = key.clone();
    world.server.edit_as("kubectl", "Secret", "moorage-system", "moorage-key", change).map(drop)
}

/// Who may read Deployments can't guess at a Secret: its hash is made by the operator's key. Another key is no change of it.
#[tokio::test(start_paused = true)]
async fn hashes_are_made_by_a_key_and_another_key_rolls_nothing_out() -> Result<()> {
    let (world, replica) =
        started(&json!({"envFrom": [Secret.all_of(SETTINGS), Secret.all_of("twin")]}), Faults::default()).await?;
    let mut replica = replica;
    Secret.apply(&world.server, "default", "twin", &[("colour", "blue"), ("size", "9")])?;
    world.rest(&mut replica).await?;
    let seen = |world: &World| remembered(world, "default")["seen"].clone();
    let first = seen(&world);
    ensure!(first["Secret/settings"] != first["Secret/twin"], "what holds the same looks the same: {first}");
    let before = template(&world);
    replica.stop().await;
    set_key(&world, &[9; 32])?;
    let mut replica = world.start("second", Faults::default()).await;
    world.rest(&mut replica).await?;
    let second = seen(&world);
    for name in ["Secret/settings", "Secret/twin"] {
        let parts = |seen: &Value| -> Result<(String, String)> {
            let (key, hash) = seen[name].as_str().and_then(|text| text.split_once(':')).context("no key's id")?;
            Ok((key.to_owned(), hash.to_owned()))
        };
        let ((first_key, first_hash), (second_key, second_hash)) = (parts(&first)?, parts(&second)?);
        ensure!(first_key != second_key && first_hash != second_hash, "{first} {second}");
    }
    ensure!(template(&world) == before, "another key restarts pods");
    Secret.set(&world.server, "colour", "red")?;
    world.rest(&mut replica).await?;
    ensure!(rollouts(&world)? == 1, "{} rollouts", rollouts(&world)?);
    Ok(())
}

/// The key is read where it is needed, also if no Secret may be made of it; without one, the rest goes on.
#[tokio::test(start_paused = true)]
async fn without_a_key_who_insists_is_told_and_config_maps_are_followed() -> Result<()> {
    let world = World::new();
    ConfigMap.furnish(&world.server)?;
    Secret.furnish(&world.server)?;
    set_key(&world, b"short")?;
    world.server.apply(&app(&insisting(both())).to_string())?;
    let may_make = |call: &Call| call.resource == "secrets" && call.verb == "create";
    let mut replica = world
        .start("first", Faults::new(move |call| if may_make(call) { Fault::Status(403) } else { Fault::None }))
        .await;
    world.rest(&mut replica).await?;
    let stalled = world.condition("App", "web", "Stalled").unwrap_or_default();
    ensure!(stalled["reason"] == "Denied" && stalled["message"].to_string().contains("no key"), "{stalled}");
    Secret.set(&world.server, "colour", "red")?;
    ConfigMap.set(&world.server, "colour", "red")?;
    world.rest(&mut replica).await?;
    ensure!(rollouts(&world)? == 1, "{} rollouts", rollouts(&world)?);
    set_key(&world, &[0; 32])?;
    sleep(6 * MINUTE).await;
    world.rest(&mut replica).await?;
    world.expect_ready("App", "web")?;
    Secret.set(&world.server, "colour", "green")?;
    world.rest(&mut replica).await?;
    ensure!(rollouts(&world)? == 2, "{} rollouts", rollouts(&world)?);
    Ok(())
}

/// A log of all that this thread says.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const PASSWORD: &str = "correct-horse-battery";

/// Neither a value nor its hash without the key is in a log, whatever its level, or in anything that the operator writes.
#[tokio::test(start_paused = true)]
async fn no_content_leaves_the_process() -> Result<()> {
    let log = Log::default();
    let writer = log.clone();
    // Were it the only one, `tracing` might not hear of all places (tokio-rs/tracing#3611).
    let _another = Dispatch::new(NoSubscriber::default());
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new("trace,kube_client::client=off"))
        .with_writer(move || writer.clone());
    let _listening = tracing::subscriber::set_default(subscriber.finish());
    let (world, mut replica) = running(Secret, &Secret.whole()).await?;
    Secret.set(&world.server, "password", PASSWORD)?;
    Secret.apply(&world.server, "default", "foreign", &[("password", PASSWORD)])?;
    world.rest(&mut replica).await?;
    ensure!(rollouts(&world)? == 1, "{} rollouts", rollouts(&world)?);
    world.server.delete("Secret", "default", SETTINGS)?;
    replica.endpoint.set_faults(denied_in("default"));
    renew(&world, &mut replica).await?;
    let encoded = json!(ByteString(PASSWORD.as_bytes().to_vec())).as_str().unwrap_or_default().to_owned();
    let hash = xxhash_rust::xxh3::xxh3_64(encoded.as_bytes());
    let log = String::from_utf8(log.0.lock().unwrap().clone())?;
    ensure!(log.contains("reconcile") && log.contains("TRACE"), "the log is not heard");
    let written: String =
        world.server.writes().iter().filter_map(|entry| entry.body.clone()).map(|body| body.to_string()).collect();
    ensure!(written.contains("moorage.dev/configuration"), "nothing is written");
    for told in [PASSWORD.to_owned(), encoded, format!("{hash:016x}"), hash.to_string()] {
        ensure!(!log.contains(&told), "the log has {told}");
        ensure!(!written.contains(&told), "a request has {told}");
    }
    Ok(())
}
