//! What holds the operator's own power is nobody else's, also where Apps live beside the operator.

use super::watches::WEB;
use super::world::World;
use anyhow::{Context, Result, ensure};
use moorage_fake::Faults;
use serde_json::Value;

const OWN: &str = "moorage-system";

/// A condition of an App beside the operator.
fn condition(world: &World, name: &str, type_: &str) -> Result<Value> {
    let app = world.server.get("App", OWN, name).context("there is no App")?;
    let conditions = app["status"]["conditions"].as_array().context("no conditions")?.iter();
    conditions.into_iter().find(|condition| condition["type"] == type_).cloned().context("no such condition")
}

/// An App that would run as the operator is refused in words; nothing is made for it.
#[tokio::test(start_paused = true)]
async fn no_app_runs_as_the_operator() -> Result<()> {
    let world = World::new();
    let mut replica = world.start("first", Faults::default()).await;
    for (name, field) in
        [("one", "serviceAccount: {name: moorage}"), ("two", "imagePullSecrets: [{name: moorage-key}]")]
    {
        let app = WEB.replace("name: web, namespace: default", &format!("name: {name}, namespace: {OWN}"));
        world.server.apply(&app.replace("image:", &format!("{field}, image:")))?;
    }
    world.rest(&mut replica).await?;
    for (name, field) in [("one", "spec.serviceAccount.name: "), ("two", "spec.imagePullSecrets[0].name: ")] {
        let stalled = condition(&world, name, "Stalled")?;
        ensure!(stalled["reason"] == "InvalidSpec", "{stalled}");
        ensure!(stalled["message"].as_str().is_some_and(|message| message.starts_with(field)), "{stalled}");
        ensure!(world.server.get("Deployment", OWN, name).is_none(), "{name} has a Deployment");
    }
    Ok(())
}

/// An App of the operator's name would have an account of that name: the one that is there is not taken, and no pod runs.
#[tokio::test(start_paused = true)]
async fn an_app_of_the_operators_name_takes_nothing() -> Result<()> {
    let world = World::new();
    let mut replica = world.start("first", Faults::default()).await;
    let account = format!("{{apiVersion: v1, kind: ServiceAccount, metadata: {{name: moorage, namespace: {OWN}}}}}");
    let before = world.server.apply(&account)?;
    world.server.apply(&WEB.replace("name: web, namespace: default", &format!("name: moorage, namespace: {OWN}")))?;
    world.rest(&mut replica).await?;
    let stalled = condition(&world, "moorage", "Stalled")?;
    ensure!(stalled["reason"] == "NameConflict", "{stalled}");
    ensure!(world.server.get("ServiceAccount", OWN, "moorage") == Some(before), "the account was touched");
    ensure!(world.server.get("Deployment", OWN, "moorage").is_none(), "it has a Deployment");
    Ok(())
}
