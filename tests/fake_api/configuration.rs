//! Pods are rolled out anew when configuration changes that they read: once per change, and for nothing else.

use super::world::{Replica, World};
use anyhow::{Context as _, Result, ensure};
use k8s_openapi::ByteString;
use moorage_fake::{Call, Entry, Fault, Faults, Server};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// A kind of configuration, as objects and specs spell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    ConfigMap,
    Secret,
}

use Kind::{ConfigMap, Secret};

/// What is read in these tests, unless it says otherwise.
pub const SETTINGS: &str = "settings";

impl Kind {
    const ALL: [Self; 2] = [ConfigMap, Secret];

    pub const fn name(self) -> &'static str {
        match self {
            ConfigMap => "ConfigMap",
            Secret => "Secret",
        }
    }

    /// Whether that is one of the requests by which such objects are followed.
    pub fn is_followed_by(self, call: &Call) -> bool {
        match self {
            ConfigMap => call.resource == "configmaps" && !call.selects,
            Secret => call.resource == "secrets" && call.namespace.as_deref() != Some("moorage-system"),
        }
    }

    fn value(self, text: &str) -> Value {
        match self {
            ConfigMap => json!(text),
            Secret => json!(ByteString(text.as_bytes().to_vec())),
        }
    }

    pub fn apply(self, server: &Server, namespace: &str, name: &str, data: &[(&str, &str)]) -> Result<()> {
        let data: Map<String, Value> = data.iter().map(|(key, value)| ((*key).to_owned(), self.value(value))).collect();
        let object = json!({"apiVersion": "v1", "kind": self.name(), "data": data,
            "metadata": {"name": name, "namespace": namespace}});
        server.apply(&object.to_string()).map(drop)
    }

    /// Makes what is read in these tests.
    pub fn furnish(self, server: &Server) -> Result<()> {
        self.apply(server, "default", SETTINGS, &[("colour", "blue"), ("size", "9")])
    }

    pub fn set(self, server: &Server, key: &str, value: &str) -> Result<()> {
        self.set_of(server, "default", SETTINGS, key, value)
    }

    pub fn set_of(self, server: &Server, namespace: &str, name: &str, key: &str, value: &str) -> Result<()> {
        let change = |object: &mut Value| object["data"][key] = self.value(value);
        server.edit_as("kubectl", self.name(), namespace, name, change).map(drop)
    }

    /// The part of a spec whose pods read all of `settings`.
    pub fn whole(self) -> Value {
        json!({"envFrom": [self.all_of(SETTINGS)]})
    }

    pub fn all_of(self, name: &str) -> Value {
        match self {
            ConfigMap => json!({"configMapRef": {"name": name}}),
            Secret => json!({"secretRef": {"name": name}}),
        }
    }

    /// Likewise, one key of it.
    pub fn one_key(self, key: &str) -> Value {
        let source = match self {
            ConfigMap => "configMapKeyRef",
            Secret => "secretKeyRef",
        };
        json!({"env": [{"name": "A", "valueFrom": {source: {"name": SETTINGS, "key": key}}}]})
    }

    /// Likewise, as files: all of it, or these items.
    fn files(self, items: &Value) -> Value {
        match self {
            ConfigMap => json!({"configMap": {"name": SETTINGS, "items": items}}),
            Secret => json!({"secret": {"secretName": SETTINGS, "items": items}}),
        }
    }

    fn projected(self, items: &Value) -> Value {
        let source = match self {
            ConfigMap => "configMap",
            Secret => "secret",
        };
        json!({"projected": {"sources": [{source: {"name": SETTINGS, "items": items}}]}})
    }
}

/// An App that reads what that part of its spec says.
pub fn app(part: &Value) -> Value {
    let mut app = json!({"apiVersion": "moorage.dev/v1alpha1", "kind": "App",
        "metadata": {"name": "web", "namespace": "default"}, "spec": {"image": "web:1"}});
    app["spec"].as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
    app
}

/// Likewise, by an author who insists on it.
pub fn insisting(mut part: Value) -> Value {
    part["rollout"] = json!({"onConfigChange": "Restart"});
    part
}

pub fn template(world: &World) -> Option<Value> {
    Some(world.server.get("Deployment", "default", "web")?["spec"]["template"].clone())
}

/// How often the pod template was another than before, from the first there was.
pub fn rollouts(world: &World) -> Result<i64> {
    rollouts_in(world, "default")
}

pub fn rollouts_in(world: &World, namespace: &str) -> Result<i64> {
    let deployment = world.server.get("Deployment", namespace, "web").context("there is no Deployment")?;
    Ok(deployment["metadata"]["generation"].as_i64().unwrap_or_default() - 1)
}

fn reads(world: &World, kind: Kind) -> Vec<Entry> {
    let work = world.work().into_iter();
    work.filter(|entry| kind.is_followed_by(&entry.call) && entry.call.verb == "get").collect()
}

/// A world with `settings` and the App, at rest.
pub async fn running(kind: Kind, part: &Value) -> Result<(World, Replica)> {
    let world = World::new();
    kind.furnish(&world.server)?;
    world.server.apply(&app(part).to_string())?;
    let mut replica = world.start("first", Faults::default()).await;
    world.rest(&mut replica).await?;
    world.expect_ready("App", "web")?;
    ensure!(rollouts(&world)? == 0, "the first pods were rolled out again");
    Ok((world, replica))
}

/// Every way in which pods read configuration, an edit that concerns them, and one that does not.
#[tokio::test(start_paused = true)]
async fn one_change_is_one_rollout_however_pods_read_it() -> Result<()> {
    for kind in Kind::ALL {
        let volume = |source: Value| {
            let mut volume = json!({"name": "v", "mountPath": "/v"});
            volume.as_object_mut().unwrap().extend(source.as_object().unwrap().clone());
            json!({"volumes": [volume]})
        };
        let items = json!([{"key": "colour", "path": "c"}]);
        let (all, mut sub_path) = (kind.files(&json!([])), kind.files(&json!([])));
        sub_path["subPath"] = json!("colour");
        let mut prefixed = kind.whole();
        prefixed["envFrom"][0]["prefix"] = json!("X_");
        for (part, concerns, other) in [
            (kind.whole(), "colour", None),
            (kind.whole(), "added", None),
            (prefixed, "size", None),
            (kind.one_key("colour"), "colour", Some("size")),
            (volume(all), "size", None),
            (volume(sub_path), "colour", None),
            (volume(kind.files(&items)), "colour", Some("size")),
            (volume(kind.projected(&items)), "colour", Some("size")),
        ] {
            let (world, mut replica) = running(kind, &part).await?;
            if let Some(other) = other {
                kind.set(&world.server, other, "new")?;
                world.rest(&mut replica).await?;
                ensure!(rollouts(&world)? == 0, "{part}: {other} is not read");
            }
            kind.set(&world.server, concerns, "new")?;
            world.rest(&mut replica).await?;
            ensure!(rollouts(&world)? == 1, "{part}: {} rollouts", rollouts(&world)?);
            world.expect_ready("App", "web")?;
            kind.set(&world.server, concerns, "newer")?;
            world.rest(&mut replica).await?;
            ensure!(rollouts(&world)? == 2, "{part}: {} rollouts", rollouts(&world)?);
        }
    }
    Ok(())
}

/// Labels, annotations and immutability are nothing that pods read; nor is what nobody reads.
#[tokio::test(start_paused = true)]
async fn what_pods_do_not_read_rolls_nothing_out_and_costs_nothing() -> Result<()> {
    for kind in Kind::ALL {
        let (world, mut replica) = running(kind, &kind.whole()).await?;
        let before = world.cost();
        world.server.edit_as("kubectl", kind.name(), "default", SETTINGS, |map| {
            map["metadata"]["labels"] = json!({"a": "b"});
            map["metadata"]["annotations"] = json!({"kubectl.kubernetes.io/last-applied-configuration": "{}"});
            map["immutable"] = json!(true);
        })?;
        kind.apply(&world.server, "default", "other", &[("a", "b")])?;
        world.server.delete(kind.name(), "default", "other")?;
        world.rest(&mut replica).await?;
        ensure!(world.cost() == before, "{}", world.summary());
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn changes_within_three_seconds_are_one() -> Result<()> {
    let world = World::new();
    ConfigMap.furnish(&world.server)?;
    Secret.apply(&world.server, "default", "more", &[("size", "0")])?;
    let both = json!({"envFrom": [ConfigMap.all_of(SETTINGS), Secret.all_of("more")]});
    world.server.apply(&app(&both).to_string())?;
    let mut replica = world.start("first", Faults::default()).await;
    world.rest(&mut replica).await?;
    for value in ["one", "two", "three"] {
        ConfigMap.set(&world.server, "colour", value)?;
        tokio::time::sleep(Duration::from_millis(800)).await;
        Secret.set_of(&world.server, "default", "more", "size", value)?;
        ensure!(rollouts(&world)? == 0, "too soon");
    }
    world.rest(&mut replica).await?;
    ensure!(rollouts(&world)? == 1, "{} rollouts", rollouts(&world)?);
    ConfigMap.set(&world.server, "colour", "blue")?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    ConfigMap.set(&world.server, "colour", "three")?;
    world.rest(&mut replica).await?;
    ensure!(rollouts(&world)? == 1, "what was taken back is no change");
    Ok(())
}

/// A new process, or a new version, finds on the Deployment what the pods have.
#[tokio::test(start_paused = true)]
async fn a_restart_rolls_nothing_out_and_misses_nothing() -> Result<()> {
    for kind in Kind::ALL {
        let (world, mut replica) = running(kind, &kind.whole()).await?;
        kind.set(&world.server, "colour", "red")?;
        world.rest(&mut replica).await?;
        ensure!(rollouts(&world)? == 1);
        let before = world.work().into_iter().filter(|entry| entry.call.is_write()).count();
        replica.endpoint.crash();
        world.rest(&mut replica).await?;
        let after = world.work().into_iter().filter(|entry| entry.call.is_write()).count();
        ensure!(after == before, "a restart writes\n{}", world.summary());
        replica.endpoint.crash();
        kind.set(&world.server, "colour", "green")?;
        world.rest(&mut replica).await?;
        ensure!(rollouts(&world)? == 2, "what changed meanwhile was missed: {}", rollouts(&world)?);
    }
    Ok(())
}

/// The Deployment of an operator that knew nothing of configuration remembers nothing.
#[tokio::test(start_paused = true)]
async fn an_upgrade_rolls_nothing_out_and_follows_from_then_on() -> Result<()> {
    for kind in Kind::ALL {
        let (world, replica) = running(kind, &kind.whole()).await?;
        replica.stop().await;
        world.server.edit_as("moorage", "Deployment", "default", "web", |deployment| {
            deployment["metadata"]["annotations"].as_object_mut().unwrap().remove("moorage.dev/configuration");
        })?;
        kind.set(&world.server, "colour", "red")?;
        let before = template(&world);
        let mut replica = world.start("second", Faults::default()).await;
        world.rest(&mut replica).await?;
        ensure!(template(&world) == before, "an upgrade changes pods");
        kind.set(&world.server, "colour", "green")?;
        world.rest(&mut replica).await?;
        ensure!(template(&world) != before, "a change after the upgrade was missed");
    }
    Ok(())
}

/// What is missing is named, and pods that wait for it are not restarted when it comes.
#[tokio::test(start_paused = true)]
async fn what_is_missing_is_named_until_it_is_there() -> Result<()> {
    for kind in Kind::ALL {
        let no_key = match kind {
            ConfigMap => "ConfigMap settings has no key mode; it has: colour, size",
            // Who sees the App is not to see what else a Secret has.
            Secret => "Secret settings has no key mode",
        };
        let does_not_exist = format!("{} settings does not exist", kind.name());
        for (part, missing) in [(kind.whole(), does_not_exist.as_str()), (kind.one_key("mode"), no_key)] {
            let world = World::new();
            if part == kind.one_key("mode") {
                kind.furnish(&world.server)?;
            }
            world.server.apply(&app(&part).to_string())?;
            let mut replica = world.start("first", Faults::default()).await;
            world.rest(&mut replica).await?;
            let ready = world.condition("App", "web", "Ready").unwrap_or_default();
            let said = ready["message"].as_str().unwrap_or_default();
            ensure!(
                ready["reason"] == "ConfigurationMissing" && said.starts_with(&format!("{missing}. Create ")),
                "{ready}"
            );
            if part == kind.one_key("mode") {
                kind.set(&world.server, "mode", "dark")?;
            } else {
                kind.furnish(&world.server)?;
            }
            world.rest(&mut replica).await?;
            world.expect_ready("App", "web")?;
            let template = template(&world).unwrap_or_default();
            ensure!(template["metadata"]["annotations"].is_null(), "pods that had waited were restarted: {template}");
            kind.set(&world.server, if part == kind.whole() { "size" } else { "mode" }, "light")?;
            world.rest(&mut replica).await?;
            let template = self::template(&world).unwrap_or_default();
            ensure!(template["metadata"]["annotations"].is_object(), "a change was missed");
        }
    }
    Ok(())
}

/// Running pods outlive what they read; the next ones would not start, which is told. What comes back as it was is no change.
#[tokio::test(start_paused = true)]
async fn configuration_that_goes_is_told_and_restarts_nothing() -> Result<()> {
    for kind in Kind::ALL {
        let (world, mut replica) = running(kind, &kind.whole()).await?;
        world.server.delete(kind.name(), "default", SETTINGS)?;
        world.rest(&mut replica).await?;
        let degraded = world.condition("App", "web", "Degraded").unwrap_or_default();
        ensure!(degraded["status"] == "True" && degraded["reason"] == "ConfigurationMissing", "{degraded}");
        ensure!(world.condition("App", "web", "Available").unwrap_or_default()["status"] == "True");
        kind.furnish(&world.server)?;
        world.rest(&mut replica).await?;
        world.expect_ready("App", "web")?;
        ensure!(rollouts(&world)? == 0, "nothing changed");
        world.server.delete(kind.name(), "default", SETTINGS)?;
        world.rest(&mut replica).await?;
        kind.apply(&world.server, "default", SETTINGS, &[("colour", "red"), ("size", "9")])?;
        world.rest(&mut replica).await?;
        ensure!(rollouts(&world)? == 1, "{} rollouts", rollouts(&world)?);
    }
    Ok(())
}

/// Pods that start without it have none of it, so that it comes is a change.
#[tokio::test(start_paused = true)]
async fn what_is_optional_may_be_missing_and_its_coming_is_a_change() -> Result<()> {
    for kind in Kind::ALL {
        let world = World::new();
        let mut part = kind.whole();
        part["envFrom"][0].as_object_mut().unwrap().values_mut().for_each(|source| source["optional"] = json!(true));
        world.server.apply(&app(&part).to_string())?;
        let mut replica = world.start("first", Faults::default()).await;
        world.rest(&mut replica).await?;
        world.expect_ready("App", "web")?;
        kind.furnish(&world.server)?;
        world.rest(&mut replica).await?;
        ensure!(rollouts(&world)? == 1, "{} rollouts", rollouts(&world)?);
        world.server.delete(kind.name(), "default", SETTINGS)?;
        world.rest(&mut replica).await?;
        ensure!(rollouts(&world)? == 2, "{} rollouts", rollouts(&world)?);
        world.expect_ready("App", "web")?;
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_the_author_ignores_restarts_nothing() -> Result<()> {
    for kind in Kind::ALL {
        let ignore = json!({"onConfigChange": "Ignore"});
        let except = json!({"ignoreChangesOf": [{"kind": kind.name(), "name": SETTINGS}]});
        for rollout in [ignore, except] {
            let mut part = kind.whole();
            part["rollout"] = rollout.clone();
            let (world, mut replica) = running(kind, &part).await?;
            kind.set(&world.server, "colour", "red")?;
            world.rest(&mut replica).await?;
            ensure!(rollouts(&world)? == 0, "{rollout}");
            // What is followed from now on is followed from what it is now.
            world.server.edit_as("kubectl", "App", "default", "web", |app| app["spec"]["rollout"] = json!({}))?;
            world.rest(&mut replica).await?;
            let before = template(&world);
            kind.set(&world.server, "colour", "green")?;
            world.rest(&mut replica).await?;
            let rolled = template(&world);
            ensure!(rolled != before, "{rollout}: a change was missed");
            world.server.edit_as("kubectl", "App", "default", "web", |app| app["spec"]["rollout"] = rollout.clone())?;
            world.rest(&mut replica).await?;
            ensure!(template(&world) == rolled, "{rollout}: to follow no longer changes no pod");
        }
    }
    Ok(())
}

/// Nothing is known of what can't be read, so nothing that runs is changed; it is caught up with when it can.
#[tokio::test(start_paused = true)]
async fn while_nothing_can_be_read_nothing_is_rolled_out() -> Result<()> {
    for kind in Kind::ALL {
        for code in [403, 503] {
            let (world, mut replica) = running(kind, &insisting(kind.whole())).await?;
            replica.endpoint.set_faults(Faults::new(move |call| {
                if kind.is_followed_by(call) { Fault::Status(code) } else { Fault::None }
            }));
            world.server.break_watches();
            kind.set(&world.server, "colour", "red")?;
            world.rest(&mut replica).await?;
            ensure!(rollouts(&world)? == 0, "{code}: what is unknown was rolled out");
            replica.endpoint.set_faults(Faults::default());
            tokio::time::sleep(Duration::from_secs(120)).await;
            world.rest(&mut replica).await?;
            ensure!(rollouts(&world)? == 1, "{code}: {} rollouts", rollouts(&world)?);
        }
    }
    Ok(())
}

/// A process that starts while an answer is missing keeps what runs, and one rollout follows.
#[tokio::test(start_paused = true)]
async fn a_restart_without_answers_keeps_what_runs() -> Result<()> {
    for kind in Kind::ALL {
        for fault in [Fault::Status(500), Fault::Status(403), Fault::Hang] {
            let (world, mut replica) = running(kind, &insisting(kind.whole())).await?;
            kind.set(&world.server, "colour", "red")?;
            world.rest(&mut replica).await?;
            let before = template(&world);
            replica.stop().await;
            kind.set(&world.server, "colour", "green")?;
            let again = fault.clone();
            let faults = Faults::new(move |call| if kind.is_followed_by(call) { again.clone() } else { Fault::None });
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
    }
    Ok(())
}

/// Apps without configuration cause no watch of it; the last that has some ends it.
#[tokio::test(start_paused = true)]
async fn configuration_is_watched_from_the_first_reference_to_the_last() -> Result<()> {
    for kind in Kind::ALL {
        let world = World::new();
        world.server.apply(&app(&json!({})).to_string())?;
        let mut replica = world.start("first", Faults::default()).await;
        world.rest(&mut replica).await?;
        let watched = |world: &World| {
            world.server.count_requests(|entry| kind.is_followed_by(&entry.call) && entry.call.verb != "get")
        };
        ensure!(watched(&world) == 0 && reads(&world, kind).is_empty(), "{}", world.summary());
        kind.furnish(&world.server)?;
        world.server.apply(&app(&kind.whole()).to_string())?;
        world.rest(&mut replica).await?;
        ensure!(watched(&world) == 2, "one list, one watch: {}", watched(&world));
        // What a watch alone tells whether it may be read, it shows first.
        let looked_up = usize::from(kind == ConfigMap);
        ensure!(reads(&world, kind).len() == looked_up, "{}", world.summary());
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
    }
    Ok(())
}
