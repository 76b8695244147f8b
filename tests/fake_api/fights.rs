//! Whoever fights over an object of ours costs little and is named.

use super::scenarios::SHOP;
use super::world::{Replica, World, line, settings};
use anyhow::{Result, ensure};
use moorage::core::plan::Forbidden;
use moorage_fake::{Entry, Faults, Server};
use serde_json::json;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const MINUTE: Duration = Duration::from_secs(60);
/// How soon a rival acts.
const TURN: Duration = Duration::from_millis(100);

/// Acts every turn, for so long.
async fn rival(server: &Server, time: Duration, act: impl Fn(&Server) -> Result<()>) -> Result<()> {
    let since = Instant::now();
    while since.elapsed() < time {
        act(server)?;
        sleep(TURN).await;
    }
    Ok(())
}

fn select_others(server: &Server) -> Result<()> {
    let selects_ours = |service: &serde_json::Value| service["spec"]["selector"] == json!({"moorage.dev/app": "shop"});
    if server.get("Service", "default", "shop").is_some_and(|service| selects_ours(&service)) {
        server.edit_as("mesh", "Service", "default", "shop", |service| {
            service["spec"]["selector"] = json!({"moorage.dev/app": "shop", "version": "1"});
        })?;
    }
    Ok(())
}

/// Writes of the operators to that kind of child.
fn writes(world: &World, plural: &str) -> usize {
    let counts = |entry: &Entry| entry.call.is_write() && entry.call.resource == plural && entry.call.client != "test";
    world.server.count_requests(counts)
}

#[tokio::test(start_paused = true)]
async fn an_edit_that_comes_again_and_again_is_repaired_ever_more_rarely() -> Result<()> {
    let (world, mut replica) = SHOP.play(Faults::default()).await?;
    let before = writes(&world, "services");
    rival(&world.server, 10 * MINUTE, select_others).await?;
    let repairs = writes(&world, "services") - before;
    ensure!((6..=12).contains(&repairs), "{repairs} repairs in ten minutes\n{}", world.summary());
    let stalled = world.condition("App", "shop", "Stalled").unwrap_or_default();
    ensure!(stalled["reason"] == "Contended", "{stalled}");
    let message = stalled["message"].as_str().unwrap_or_default();
    ensure!(message.starts_with("Service shop: mesh changed spec.selector, more than 5 times"), "{message}");
    // The rival ends: the last edit is repaired, and when that has stood for five minutes all is well.
    world.rest(&mut replica).await?;
    sleep(8 * MINUTE).await;
    world.rest(&mut replica).await?;
    world.expect_ready("App", "shop")
}

#[tokio::test(start_paused = true)]
async fn a_deletion_that_comes_again_and_again_is_repaired_ever_more_rarely() -> Result<()> {
    let (world, _replica) = SHOP.play(Faults::default()).await?;
    let before = writes(&world, "services");
    let delete = |server: &Server| match server.get("Service", "default", "shop") {
        Some(_) => server.delete("Service", "default", "shop"),
        None => Ok(()),
    };
    rival(&world.server, 10 * MINUTE, delete).await?;
    let made = writes(&world, "services") - before;
    ensure!((6..=12).contains(&made), "it was made {made} times in ten minutes\n{}", world.summary());
    let stalled = world.condition("App", "shop", "Stalled").unwrap_or_default();
    ensure!(stalled["reason"] == "Contended", "{stalled}");
    Ok(())
}

/// Two installs, each with a Lease, a key and limits of its own, watch the same namespace.
#[tokio::test(start_paused = true)]
async fn two_installs_over_one_namespace_do_not_run_hot() -> Result<()> {
    let world = World::new();
    world.server.apply("{apiVersion: v1, kind: Namespace, metadata: {name: second}}")?;
    world.server.apply(
        "{apiVersion: v1, kind: Secret, metadata: {name: moorage-key, namespace: second},
          data: {key: AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=}}",
    )?;
    let start = |name: &'static str| {
        let mut settings = settings(name);
        settings.lease_name = name.to_owned();
        if name == "second" {
            settings.namespace = name.to_owned();
            settings.registry_image = "registry.example.com/other:1".to_owned();
            settings.forbid = vec![Forbidden::LoadBalancers];
        }
        let server = world.server.clone();
        async move { Replica::start_with(&server, &settings, Faults::default()).await }
    };
    let (_first, _second) = (start("first").await, start("second").await);
    world.server.apply(
        "{apiVersion: moorage.dev/v1alpha1, kind: Registry, metadata: {name: images, namespace: default}, spec: {storage: {emptyDir: {}}}}",
    )?;
    world.server.apply(
        "{apiVersion: moorage.dev/v1alpha1, kind: App, metadata: {name: web, namespace: default},
          spec: {image: 'web:1', ports: [{port: 80}], service: {type: LoadBalancer}}}",
    )?;
    sleep(10 * MINUTE).await;
    for (kind, most) in [("secrets", 8), ("deployments", 8), ("services", 4), ("registries", 20), ("apps", 450)] {
        let count = writes(&world, kind);
        ensure!(count <= most, "{count} writes of {kind} in ten minutes\n{}", world.summary());
    }
    Ok(())
}

/// A change that is taken back is told to whoever made it.
#[tokio::test(start_paused = true)]
async fn a_change_that_is_taken_back_is_told() -> Result<()> {
    let (world, mut replica) = SHOP.play(Faults::default()).await?;
    for (manager, kind, path) in [
        ("kubectl-edit", "Service", "/spec/selector"),
        ("kubectl", "Deployment", "/spec/template/spec/containers/0/image"),
    ] {
        world.server.edit_as(manager, kind, "default", "shop", |object| match object.pointer_mut(path) {
            Some(value) if value.is_string() => *value = json!("other:1"),
            Some(value) => *value = json!({"moorage.dev/app": "other"}),
            None => {}
        })?;
        world.rest(&mut replica).await?;
    }
    let events = world.server.writes().into_iter().filter(|entry| entry.call.resource == "events");
    let notes: Vec<String> = events.filter_map(|entry| Some(entry.body?["note"].to_string())).collect();
    let told = |parts: &[&str]| notes.iter().any(|note| parts.iter().all(|part| note.contains(part)));
    ensure!(told(&["Service shop", "kubectl-edit changed spec.selector", "App"]), "{notes:?}");
    ensure!(
        told(&[
            "Deployment shop",
            "kubectl changed spec.template.spec.containers[name=shop].image",
            "spec.rollout.toRevision"
        ]),
        "{notes:?}"
    );
    let looks: Vec<String> = world
        .work()
        .iter()
        .filter(|entry| entry.call.verb == "get" && entry.call.resource != "secrets")
        .map(line)
        .collect();
    ensure!(looks.len() == 2, "one look per repair: {looks:?}");
    world.expect_ready("App", "shop")
}
