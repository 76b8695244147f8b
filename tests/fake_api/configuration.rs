//! Pods are rolled out anew when configuration changes that they read: once per change, and for nothing else.

use super::world::{Replica, World};
use anyhow::{Context as _, Result, ensure};
use moorage_fake::{Call, Entry, Fault, Faults, Server};
use serde_json::{Value, json};
use std::time::Duration;

const SETTINGS: &str = "{apiVersion: v1, kind: ConfigMap, metadata: {name: settings, namespace: default},
    data: {colour: blue, size: '9'}}";

/// An App that reads `settings` as that part of its spec says.
fn app(part: &Value) -> Value {
    let mut app = json!({"apiVersion": "moorage.dev/v1alpha1", "kind": "App",
        "metadata": {"name": "web", "namespace": "default"}, "spec": {"image": "web:1"}});
    app["spec"].as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
    app
}

fn whole() -> Value {
    json!({"envFrom": [{"configMapRef": {"name": "settings"}}]})
}

fn one_key(key: &str) -> Value {
    json!({"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": key}}}]})
}

fn set(server: &Server, key: &str, value: &str) -> Result<()> {
    server.edit_as("kubectl", "ConfigMap", "default", "settings", |map| map["data"][key] = json!(value)).map(drop)
}

fn template(world: &World) -> Option<Value> {
    Some(world.server.get("Deployment", "default", "web")?["spec"]["template"].clone())
}

/// How often the pod template was another than before, from the first there was.
fn rollouts(world: &World) -> Result<i64> {
    let deployment = world.server.get("Deployment", "default", "web").context("there is no Deployment")?;
    Ok(deployment["metadata"]["generation"].as_i64().unwrap_or_default() - 1)
}

fn reads(world: &World) -> Vec<Entry> {
    let work = world.work().into_iter();
    work.filter(|entry| entry.call.resource == "configmaps" && entry.call.verb == "get").collect()
}

/// A world with `settings` and the App, at rest.
async fn running(part: &Value) -> Result<(World, Replica)> {
    let world = World::new();
    world.server.apply(SETTINGS)?;
    world.server.apply(&app(part).to_string())?;
    let mut replica = world.start("first", Faults::default()).await;
    world.rest(&mut replica).await?;
    world.expect_ready("App", "web")?;
    ensure!(rollouts(&world)? == 0, "the first pods were rolled out again");
    Ok((world, replica))
}

/// Every way in which pods read a `ConfigMap`, an edit that concerns them, and one that does not.
#[tokio::test(start_paused = true)]
async fn one_change_is_one_rollout_however_pods_read_it() -> Result<()> {
    let volume = |source: Value| {
        let mut volume = json!({"name": "v", "mountPath": "/v"});
        volume.as_object_mut().unwrap().extend(source.as_object().unwrap().clone());
        json!({"volumes": [volume]})
    };
    let items = json!([{"key": "colour", "path": "c"}]);
    let sub_path = json!({"configMap": {"name": "settings"}, "subPath": "colour"});
    for (part, concerns, other) in [
        (whole(), "colour", None),
        (whole(), "added", None),
        (json!({"envFrom": [{"prefix": "X_", "configMapRef": {"name": "settings"}}]}), "size", None),
        (one_key("colour"), "colour", Some("size")),
        (volume(json!({"configMap": {"name": "settings"}})), "size", None),
        (volume(sub_path), "colour", None),
        (volume(json!({"configMap": {"name": "settings", "items": items}})), "colour", Some("size")),
        (
            volume(json!({"projected": {"sources": [{"configMap": {"name": "settings", "items": items}}]}})),
            "colour",
            Some("size"),
        ),
    ] {
        let (world, mut replica) = running(&part).await?;
        if let Some(other) = other {
            set(&world.server, other, "new")?;
            world.rest(&mut replica).await?;
            ensure!(rollouts(&world)? == 0, "{part}: {other} is not read");
        }
        set(&world.server, concerns, "new")?;
        world.rest(&mut replica).await?;
        ensure!(rollouts(&world)? == 1, "{part}: {} rollouts", rollouts(&world)?);
        world.expect_ready("App", "web")?;
        set(&world.server, concerns, "newer")?;
        world.rest(&mut replica).await?;
        ensure!(rollouts(&world)? == 2, "{part}: {} rollouts", rollouts(&world)?);
    }
    Ok(())
}

/// Labels, annotations and immutability are nothing that pods read; nor is what nobody reads.
#[tokio::test(start_paused = true)]
async fn what_pods_do_not_read_rolls_nothing_out_and_costs_nothing() -> Result<()> {
    let (world, mut replica) = running(&whole()).await?;
    let before = world.cost();
    world.server.edit_as("kubectl", "ConfigMap", "default", "settings", |map| {
        map["metadata"]["labels"] = json!({"a": "b"});
        map["metadata"]["annotations"] = json!({"kubectl.kubernetes.io/last-applied-configuration": "{}"});
        map["immutable"] = json!(true);
    })?;
    world
        .server
        .apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: other, namespace: default}, data: {a: b}}")?;
    world.server.delete("ConfigMap", "default", "other")?;
    world.rest(&mut replica).await?;
    ensure!(world.cost() == before, "{}", world.summary());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn changes_within_three_seconds_are_one() -> Result<()> {
    let world = World::new();
    world.server.apply(SETTINGS)?;
    world.server.apply(&SETTINGS.replace("settings", "more"))?;
    let both = json!({"envFrom": [{"configMapRef": {"name": "settings"}}, {"configMapRef": {"name": "more"}}]});
    world.server.apply(&app(&both).to_string())?;
    let mut replica = world.start("first", Faults::default()).await;
    world.rest(&mut replica).await?;
    for (count, value) in (0..).zip(["one", "two", "three"]) {
        set(&world.server, "colour", value)?;
        tokio::time::sleep(Duration::from_millis(800)).await;
        world.server.edit_as("kubectl", "ConfigMap", "default", "more", |map| map["data"]["size"] = json!(count))?;
        ensure!(rollouts(&world)? == 0, "too soon");
    }
    world.rest(&mut replica).await?;
    ensure!(rollouts(&world)? == 1, "{} rollouts", rollouts(&world)?);
    set(&world.server, "colour", "blue")?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    set(&world.server, "colour", "three")?;
    world.rest(&mut replica).await?;
    ensure!(rollouts(&world)? == 1, "what was taken back is no change");
    Ok(())
}

/// A new process, or a new version, finds on the Deployment what the pods have.
#[tokio::test(start_paused = true)]
async fn a_restart_rolls_nothing_out_and_misses_nothing() -> Result<()> {
    let (world, mut replica) = running(&whole()).await?;
    set(&world.server, "colour", "red")?;
    world.rest(&mut replica).await?;
    ensure!(rollouts(&world)? == 1);
    let before = world.work().into_iter().filter(|entry| entry.call.is_write()).count();
    replica.endpoint.crash();
    world.rest(&mut replica).await?;
    let after = world.work().into_iter().filter(|entry| entry.call.is_write()).count();
    ensure!(after == before, "a restart writes\n{}", world.summary());
    replica.endpoint.crash();
    set(&world.server, "colour", "green")?;
    world.rest(&mut replica).await?;
    ensure!(rollouts(&world)? == 2, "what changed meanwhile was missed: {}", rollouts(&world)?);
    Ok(())
}

/// The Deployment of an operator that knew nothing of configuration remembers nothing.
#[tokio::test(start_paused = true)]
async fn an_upgrade_rolls_nothing_out_and_follows_from_then_on() -> Result<()> {
    let (world, replica) = running(&whole()).await?;
    replica.stop().await;
    world.server.edit_as("moorage", "Deployment", "default", "web", |deployment| {
        deployment["metadata"]["annotations"].as_object_mut().unwrap().remove("moorage.dev/configuration");
    })?;
    set(&world.server, "colour", "red")?;
    let before = template(&world);
    let mut replica = world.start("second", Faults::default()).await;
    world.rest(&mut replica).await?;
    ensure!(template(&world) == before, "an upgrade changes pods");
    set(&world.server, "colour", "green")?;
    world.rest(&mut replica).await?;
    ensure!(template(&world) != before, "a change after the upgrade was missed");
    Ok(())
}

/// What is missing is named, and pods that wait for it are not restarted when it comes.
#[tokio::test(start_paused = true)]
async fn what_is_missing_is_named_until_it_is_there() -> Result<()> {
    for (part, missing) in [
        (whole(), "ConfigMap settings does not exist"),
        (one_key("mode"), "ConfigMap settings has no key mode; it has: colour, size"),
    ] {
        let world = World::new();
        if part == one_key("mode") {
            world.server.apply(SETTINGS)?;
        }
        world.server.apply(&app(&part).to_string())?;
        let mut replica = world.start("first", Faults::default()).await;
        world.rest(&mut replica).await?;
        let ready = world.condition("App", "web", "Ready").unwrap_or_default();
        ensure!(ready["reason"] == "ConfigurationMissing" && ready["message"] == missing, "{ready}");
        if part == one_key("mode") {
            set(&world.server, "mode", "dark")?;
        } else {
            world.server.apply(SETTINGS)?;
        }
        world.rest(&mut replica).await?;
        world.expect_ready("App", "web")?;
        let template = template(&world).unwrap_or_default();
        ensure!(template["metadata"]["annotations"].is_null(), "pods that had waited were restarted: {template}");
        set(&world.server, if part == whole() { "size" } else { "mode" }, "light")?;
        world.rest(&mut replica).await?;
        let template = self::template(&world).unwrap_or_default();
        ensure!(template["metadata"]["annotations"].is_object(), "a change was missed");
    }
    Ok(())
}

/// Running pods outlive what they read; the next ones would not start, which is told. What comes back as it was is no change.
#[tokio::test(start_paused = true)]
async fn configuration_that_goes_is_told_and_restarts_nothing() -> Result<()> {
    let (world, mut replica) = running(&whole()).await?;
    world.server.delete("ConfigMap", "default", "settings")?;
    world.rest(&mut replica).await?;
    let degraded = world.condition("App", "web", "Degraded").unwrap_or_default();
    ensure!(degraded["status"] == "True" && degraded["reason"] == "ConfigurationMissing", "{degraded}");
    ensure!(world.condition("App", "web", "Available").unwrap_or_default()["status"] == "True");
    world.server.apply(SETTINGS)?;
    world.rest(&mut replica).await?;
    world.expect_ready("App", "web")?;
    ensure!(rollouts(&world)? == 0, "nothing changed");
    world.server.delete("ConfigMap", "default", "settings")?;
    world.rest(&mut replica).await?;
    world.server.apply(&SETTINGS.replace("blue", "red"))?;
    world.rest(&mut replica).await?;
    ensure!(rollouts(&world)? == 1, "{} rollouts", rollouts(&world)?);
    Ok(())
}

/// Pods that start without it have none of it, so that it comes is a change.
#[tokio::test(start_paused = true)]
async fn what_is_optional_may_be_missing_and_its_coming_is_a_change() -> Result<()> {
    let world = World::new();
    let part = json!({"envFrom": [{"configMapRef": {"name": "settings", "optional": true}}]});
    world.server.apply(&app(&part).to_string())?;
    let mut replica = world.start("first", Faults::default()).await;
    world.rest(&mut replica).await?;
    world.expect_ready("App", "web")?;
    world.server.apply(SETTINGS)?;
    world.rest(&mut replica).await?;
    ensure!(rollouts(&world)? == 1, "{} rollouts", rollouts(&world)?);
    world.server.delete("ConfigMap", "default", "settings")?;
    world.rest(&mut replica).await?;
    ensure!(rollouts(&world)? == 2, "{} rollouts", rollouts(&world)?);
    world.expect_ready("App", "web")
}

#[tokio::test(start_paused = true)]
async fn what_the_author_ignores_restarts_nothing() -> Result<()> {
    let ignore = json!({"onConfigChange": "Ignore"});
    let except = json!({"ignoreChangesOf": [{"kind": "ConfigMap", "name": "settings"}]});
    for rollout in [ignore, except] {
        let mut part = whole();
        part["rollout"] = rollout.clone();
        let (world, mut replica) = running(&part).await?;
        set(&world.server, "colour", "red")?;
        world.rest(&mut replica).await?;
        ensure!(rollouts(&world)? == 0, "{rollout}");
        // What is followed from now on is followed from what it is now.
        world.server.edit_as("kubectl", "App", "default", "web", |app| app["spec"]["rollout"] = json!({}))?;
        world.rest(&mut replica).await?;
        let before = template(&world);
        set(&world.server, "colour", "green")?;
        world.rest(&mut replica).await?;
        let rolled = template(&world);
        ensure!(rolled != before, "{rollout}: a change was missed");
        world.server.edit_as("kubectl", "App", "default", "web", |app| app["spec"]["rollout"] = rollout.clone())?;
        world.rest(&mut replica).await?;
        ensure!(template(&world) == rolled, "{rollout}: to follow no longer changes no pod");
    }
    Ok(())
}

/// Nothing is known of what can't be read, so nothing that runs is changed; it is caught up with when it can.
#[tokio::test(start_paused = true)]
async fn while_nothing_can_be_read_nothing_is_rolled_out() -> Result<()> {
    for code in [403, 503] {
        let (world, mut replica) = running(&whole()).await?;
        let is_contents = |call: &Call| call.resource == "configmaps" && !call.selects;
        replica.endpoint.set_faults(Faults::new(
            move |call| {
                if is_contents(call) { Fault::Status(code) } else { Fault::None }
            },
        ));
        world.server.break_watches();
        set(&world.server, "colour", "red")?;
        world.rest(&mut replica).await?;
        ensure!(rollouts(&world)? == 0, "{code}: what is unknown was rolled out");
        replica.endpoint.set_faults(Faults::default());
        tokio::time::sleep(Duration::from_secs(120)).await;
        world.rest(&mut replica).await?;
        ensure!(rollouts(&world)? == 1, "{code}: {} rollouts", rollouts(&world)?);
    }
    Ok(())
}

/// A process that starts while an answer is missing keeps what runs, and one rollout follows.
#[tokio::test(start_paused = true)]
async fn a_restart_without_answers_keeps_what_runs() -> Result<()> {
    for fault in [Fault::Status(500), Fault::Status(403), Fault::Hang] {
        let (world, mut replica) = running(&whole()).await?;
        set(&world.server, "colour", "red")?;
        world.rest(&mut replica).await?;
        let before = template(&world);
        replica.stop().await;
        set(&world.server, "colour", "green")?;
        let again = fault.clone();
        let faults =
            Faults::new(
                move |call| {
                    if call.resource == "configmaps" && !call.selects { again.clone() } else { Fault::None }
                },
            );
        let mut replica = world.start("second", faults).await;
        world.server.edit_as("kubectl", "App", "default", "web", |app| app["spec"]["replicas"] = json!(2))?;
        world.rest(&mut replica).await?;
        let deployment = world.server.get("Deployment", "default", "web").unwrap_or_default();
        ensure!(deployment["spec"]["replicas"] == 2, "{fault:?}: other changes wait\n{}", world.summary());
        ensure!(template(&world) == before, "{fault:?}: what is unknown changed the pods");
        replica.endpoint.set_faults(Faults::default());
        tokio::time::sleep(Duration::from_secs(120)).await;
        world.rest(&mut replica).await?;
        ensure!(template(&world) != before, "{fault:?}: the change was missed");
    }
    Ok(())
}

/// Apps without configuration cause no watch of it; the last that has some ends it.
#[tokio::test(start_paused = true)]
async fn configuration_is_watched_from_the_first_reference_to_the_last() -> Result<()> {
    let world = World::new();
    world.server.apply(&app(&json!({})).to_string())?;
    let mut replica = world.start("first", Faults::default()).await;
    world.rest(&mut replica).await?;
    let watched = |world: &World| {
        world.server.count_requests(|entry| {
            entry.call.resource == "configmaps" && entry.call.verb != "get" && !entry.call.selects
        })
    };
    ensure!(watched(&world) == 0 && reads(&world).is_empty(), "{}", world.summary());
    world.server.apply(SETTINGS)?;
    world.server.apply(&app(&whole()).to_string())?;
    world.rest(&mut replica).await?;
    ensure!(watched(&world) == 2, "one list, one watch: {}", watched(&world));
    ensure!(reads(&world).len() == 1, "{}", world.summary());
    world.server.apply(&app(&json!({"env": []})).to_string())?;
    world.server.edit_as("kubectl", "App", "default", "web", |app| {
        app["spec"].as_object_mut().unwrap().remove("envFrom");
    })?;
    world.rest(&mut replica).await?;
    let before = watched(&world);
    world.server.break_watches();
    tokio::time::sleep(Duration::from_secs(600)).await;
    world.rest(&mut replica).await?;
    ensure!(watched(&world) == before, "nobody refers to any, and they are watched");
    Ok(())
}
