//! No pod starts before what it starts with is its parent's own, and as declared.

use super::volumes::events;
use super::watches::WEB;
use super::world::World;
use anyhow::{Context, Result, ensure};
use moorage_fake::{Fault, Faults, Server};
use serde_json::{Value, json};

const IMAGES: &str = "{apiVersion: moorage.dev/v1alpha1, kind: Registry, metadata: {name: images, namespace: default},
    spec: {storage: {emptyDir: {}}}}";

/// What pods start with: its parent, its kind and name, its plural.
const NEEDS: [(&str, &str, &str, &str, &str); 2] = [
    ("App", "web", "ServiceAccount", "web", "serviceaccounts"),
    ("Registry", "images", "ConfigMap", "images-config", "configmaps"),
];

fn declare(server: &Server, parent: &str) -> Result<()> {
    server.apply(if parent == "App" { WEB } else { IMAGES }).map(drop)
}

fn put_foreign(server: &Server, kind: &str, name: &str) -> Result<()> {
    let body = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "default"}});
    server.apply_as("somebody", body).map(drop)
}

/// An edit that changes the pods and what they start with.
fn edit(server: &Server, parent: &str, name: &str) -> Result<()> {
    let change = |object: &mut Value| match parent {
        "App" => {
            object["spec"]["image"] = json!("web:2");
            object["spec"]["serviceAccount"] = json!({"annotations": {"example.com/role": "web"}});
        }
        _ => object["spec"]["readOnly"] = json!(true),
    };
    server.edit_as("kubectl", parent, "default", name, change).map(drop)
}

fn template(world: &World, name: &str) -> Option<Value> {
    world.server.get("Deployment", "default", name).map(|deployment| deployment["spec"]["template"].clone())
}

#[tokio::test(start_paused = true)]
async fn no_pod_starts_with_what_is_a_strangers() -> Result<()> {
    for (parent, parent_name, kind, name, _) in NEEDS {
        let world = World::new();
        put_foreign(&world.server, kind, name)?;
        declare(&world.server, parent)?;
        let mut replica = world.start("first", Faults::default()).await;
        world.rest(&mut replica).await?;
        ensure!(template(&world, parent_name).is_none(), "pods run with a foreign {kind}\n{}", world.summary());
        let stalled = world.condition(parent, parent_name, "Stalled").unwrap_or_default();
        let message = stalled["message"].as_str().unwrap_or_default();
        ensure!(stalled["reason"] == "NameConflict" && message.starts_with(&format!("{kind} {name}")), "{stalled}");
        ensure!(world.has("Service", parent_name), "what does not depend on it waits too\n{}", world.summary());
        let told =
            world.server.get(parent, "default", parent_name).unwrap_or_default()["status"]["children"].to_string();
        ensure!(told.contains("is held back"), "{told}");
        world.server.delete(kind, "default", name)?;
        edit(&world.server, parent, parent_name)?;
        world.rest(&mut replica).await?;
        world.expect_ready(parent, parent_name)?;
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn no_pod_is_changed_to_start_with_what_became_a_strangers() -> Result<()> {
    for (parent, parent_name, kind, name, _) in NEEDS {
        let world = World::new();
        declare(&world.server, parent)?;
        let mut replica = world.start("first", Faults::default()).await;
        world.rest(&mut replica).await?;
        let before = template(&world, parent_name).context("there is no Deployment")?;
        replica.endpoint.crash();
        world.server.delete(kind, "default", name)?;
        put_foreign(&world.server, kind, name)?;
        edit(&world.server, parent, parent_name)?;
        world.rest(&mut replica).await?;
        ensure!(template(&world, parent_name) == Some(before), "new pods run with a foreign {kind}");
    }
    Ok(())
}

/// A registry reads its configuration when it starts; a role that an account does not name yet is not given to pods.
#[tokio::test(start_paused = true)]
async fn no_pod_starts_with_what_is_not_as_declared_yet() -> Result<()> {
    for (parent, parent_name, kind, _, plural) in NEEDS {
        let world = World::new();
        declare(&world.server, parent)?;
        let mut replica = world.start("first", Faults::default()).await;
        world.rest(&mut replica).await?;
        let before = template(&world, parent_name);
        replica.endpoint.set_faults(Faults::new(move |call| {
            if call.is_write() && call.resource == plural { Fault::Status(500) } else { Fault::None }
        }));
        edit(&world.server, parent, parent_name)?;
        world.rest(&mut replica).await?;
        ensure!(template(&world, parent_name) == before, "pods restart before their {kind} is as declared");
        replica.endpoint.set_faults(Faults::default());
        world.rest(&mut replica).await?;
        world.expect_ready(parent, parent_name)?;
        ensure!(template(&world, parent_name) != before, "the pods were never changed");
    }
    Ok(())
}

fn refuse_secrets(code: u16) -> Faults {
    let refused =
        |call: &moorage_fake::Call| call.resource == "secrets" && call.namespace.as_deref() == Some("default");
    Faults::new(move |call| if refused(call) { Fault::Status(code) } else { Fault::None })
}

/// The Secret is made without a look; where that fails, nothing starts without it.
#[tokio::test(start_paused = true)]
async fn no_registry_starts_before_its_secret_is_made() -> Result<()> {
    let world = World::new();
    let mut replica = world.start("first", refuse_secrets(500)).await;
    declare(&world.server, "Registry")?;
    world.rest(&mut replica).await?;
    ensure!(template(&world, "images").is_none(), "pods run without their secret\n{}", world.summary());
    let ready = world.condition("Registry", "images", "Ready").unwrap_or_default();
    ensure!(
        ready["reason"] == "Unavailable" && ready["message"].to_string().contains("Secret images-http-"),
        "{ready}"
    );
    replica.endpoint.set_faults(Faults::default());
    world.rest(&mut replica).await?;
    world.expect_ready("Registry", "images")
}

/// Where no Secret may be made, one pod works, several say what they lack, and that it may be is noticed.
#[tokio::test(start_paused = true)]
async fn a_registry_that_may_have_no_secret_works_with_one_pod() -> Result<()> {
    let world = World::new();
    let mut replica = world.start("first", refuse_secrets(403)).await;
    declare(&world.server, "Registry")?;
    world.rest(&mut replica).await?;
    world.expect_ready("Registry", "images")?;
    world.server.apply(
        "{apiVersion: moorage.dev/v1alpha1, kind: Registry, metadata: {name: many, namespace: default},
          spec: {replicas: 2, storage: {volume: {size: 1Gi, accessModes: [ReadWriteMany]}}}}",
    )?;
    world.rest(&mut replica).await?;
    let stalled = world.condition("Registry", "many", "Stalled").unwrap_or_default();
    ensure!(stalled["reason"] == "SecretAccessMissing", "{stalled}\n{}", world.summary());
    let tries = world.server.count_requests(|entry| entry.call.resource == "secrets" && entry.code == Some(403));
    ensure!(tries < 20, "{tries} tries\n{}", world.summary());
    replica.endpoint.set_faults(Faults::default());
    tokio::time::sleep(std::time::Duration::from_secs(301)).await;
    world.rest(&mut replica).await?;
    world.expect_ready("Registry", "many")
}

/// Tokens are bound to the account's UID, so pods that run have none that is good. Whose pods have no token loses nothing, and a new
/// account of a first start follows none.
#[tokio::test(start_paused = true)]
async fn tokens_that_end_with_a_deleted_account_are_told_where_pods_have_any() -> Result<()> {
    let token = json!({"sources": [{"serviceAccountToken": {"path": "token"}}]});
    let cases = [
        (json!({}), false),
        (json!({"serviceAccount": {"automountToken": true}}), true),
        (json!({"volumes": [{"name": "token", "mountPath": "/token", "projected": token}]}), true),
        (json!({"serviceAccount": {"automountToken": true}, "replicas": 0}), false),
    ];
    for (settings, is_told) in cases {
        let world = World::new();
        let mut app: Value = serde_saphyr::from_str(WEB)?;
        app["spec"].as_object_mut().context("no spec")?.extend(settings.as_object().cloned().unwrap_or_default());
        world.server.apply(&app.to_string())?;
        let mut replica = world.start("first", Faults::default()).await;
        world.rest(&mut replica).await?;
        world.expect_ready("App", "web")?;
        let told = || events(&world, "TokensInvalid", "web");
        ensure!(told().is_empty(), "it is a first start: {:?}", told());
        world.server.delete("ServiceAccount", "default", "web")?;
        world.rest(&mut replica).await?;
        ensure!(world.has("ServiceAccount", "web"));
        let is_command = |event: &Value| event["note"].to_string().contains("rollout restart deployment/web");
        ensure!(told().len() == usize::from(is_told) && told().iter().all(is_command), "{settings}: {:?}", told());
    }
    Ok(())
}
