//! What is taken out of an object of ours on its way to the store is told, and makes no loop.

use super::world::World;
use anyhow::{Context, Result, ensure};
use moorage_fake::{Entry, Faults};
use serde_json::{Value, json};
use std::time::Duration;

const APP: &str = "{apiVersion: moorage.dev/v1alpha1, kind: App, metadata: {name: web, namespace: default}, spec: {
    image: 'web:1', ports: [{port: 80}], lifecycle: {stopSignal: SIGINT}, service: {annotations: {example.com/team: shop}}}}";

/// Deployments lose the stop signal, as on an API server that does not support it; Services an annotation, by a policy.
fn drop_some(object: &mut Value) {
    let inside = match object["kind"].as_str() {
        Some("Deployment") => object["spec"]["template"]["spec"]["containers"][0]["lifecycle"].as_object_mut(),
        Some("Service") => object["metadata"]["annotations"].as_object_mut(),
        _ => None,
    };
    if let Some(inside) = inside {
        inside.remove("stopSignal");
        inside.remove("example.com/team");
    }
}

fn is_write(entry: &Entry) -> bool {
    entry.call.is_write() && ["deployments", "services"].contains(&entry.call.resource.as_str())
}

fn told(world: &World) -> Result<String> {
    let stalled = world.condition("App", "web", "Stalled").context("it is not Stalled")?;
    ensure!(stalled["reason"] == "FieldsDropped", "{stalled}");
    Ok(stalled["message"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test(start_paused = true)]
async fn what_is_dropped_is_told_and_not_applied_again_and_again() -> Result<()> {
    let world = World::new();
    let mut replica = world.start("first", Faults::default()).await;
    world.server.admit(drop_some);
    world.server.apply(APP)?;
    world.rest(&mut replica).await?;
    let message = told(&world)?;
    let field = "Deployment web: the API server dropped spec.template.spec.containers[name=web].lifecycle.stopSignal: this cluster";
    ensure!(message.starts_with(field), "{message}");
    let children = world.server.get("App", "default", "web").unwrap_or_default()["status"]["children"].clone();
    let of = |kind: &str| children.as_array()?.iter().find(|child| child["kind"] == kind).cloned();
    let service = of("Service").unwrap_or_default();
    let named =
        service["message"].as_str().is_some_and(|text| text.contains("metadata.annotations[\"example.com/team\"]"));
    ensure!(named && service["ready"] == false, "{children}");
    ensure!(world.server.count_requests(is_write) == 2, "{}", world.summary());

    // Neither time nor what others write has it applied again.
    world.server.edit_as("kubectl", "Deployment", "default", "web", |object| {
        object["metadata"]["annotations"]["example.com/note"] = json!("1");
    })?;
    tokio::time::sleep(Duration::from_secs(600)).await;
    world.rest(&mut replica).await?;
    ensure!(told(&world)? == message, "{}", told(&world)?);
    ensure!(world.server.count_requests(is_write) == 2, "{}", world.summary());

    // The API server is upgraded, and the policy taken away.
    world.server.admit(|_| {});
    world.server.expire_watches();
    world.rest(&mut replica).await?;
    world.expect_ready("App", "web")?;
    let deployment = world.server.get("Deployment", "default", "web").unwrap_or_default();
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    ensure!(container["lifecycle"]["stopSignal"] == "SIGINT", "{container}");
    ensure!(world.server.count_requests(is_write) == 4, "{}", world.summary());
    Ok(())
}

/// A policy that limits replicas, and a mirror that stands in for every registry.
fn change_some(object: &mut Value) {
    if object["kind"] == "Deployment" {
        object["spec"]["replicas"] = json!(1);
        object["spec"]["template"]["spec"]["containers"][0]["image"] = json!("mirror.example.com/web:1");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_policy_changes_is_not_ready_and_a_mirror_is() -> Result<()> {
    let world = World::new();
    let mut replica = world.start("first", Faults::default()).await;
    world.server.admit(change_some);
    world.server.apply(
        "{apiVersion: moorage.dev/v1alpha1, kind: App, metadata: {name: web, namespace: default}, spec: {image: 'web:1', replicas: 3}}",
    )?;
    world.rest(&mut replica).await?;
    let message = told(&world)?;
    let said = "Deployment web: an admission policy or webhook changed spec.replicas, so what is declared is not what there is.";
    ensure!(message.starts_with(said) && !message.contains(".image"), "{message}");
    ensure!(world.server.count_requests(is_write) == 1, "{}", world.summary());

    // Declared as it is let through, all is well, and what the mirror does is told.
    world.server.edit_as("kubectl", "App", "default", "web", |app| app["spec"]["replicas"] = json!(1))?;
    world.rest(&mut replica).await?;
    world.expect_ready("App", "web")?;
    let altered = world.condition("App", "web", "Altered").unwrap_or_default();
    let field = "changed spec.template.spec.containers[name=web].image";
    ensure!(altered["message"].as_str().is_some_and(|text| text.contains(field)), "{altered}");
    ensure!(world.server.count_requests(is_write) == 2, "{}", world.summary());
    Ok(())
}
