//! An object is deleted to be made anew only if the API server would take the new one.

use super::world::World;
use anyhow::{Context, Result, ensure};
use moorage_fake::{Entry, Faults, Server};
use serde_json::{Value, json};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

fn app(server: &Server, name: &str, service: &Value, node_port: Option<u16>) -> Result<()> {
    let mut port = json!({"port": 80});
    if let Some(node_port) = node_port {
        port["nodePort"] = json!(node_port);
    }
    let body = json!({
        "apiVersion": "moorage.dev/v1alpha1", "kind": "App", "metadata": {"name": name, "namespace": "default"},
        "spec": {"image": "web:1", "ports": [port], "service": service},
    });
    server.apply_as("kubectl", body).map(drop)
}

/// Deletions of Services, and tries beforehand, in the order in which they were asked for.
fn asked(world: &World) -> Vec<&'static str> {
    let what = |entry: &Entry| match (entry.call.verb.as_str(), entry.call.name.as_deref().unwrap_or_default()) {
        ("delete", _) => Some("delete"),
        (_, name) if name.starts_with("rehearsal-") => Some("rehearse"),
        _ => None,
    };
    world.work().iter().filter(|entry| entry.call.resource == "services").filter_map(what).collect()
}

fn service(world: &World) -> Result<Value> {
    world.server.get("Service", "default", "web").context("there is no Service")
}

#[tokio::test(start_paused = true)]
async fn what_would_be_refused_deletes_nothing() -> Result<()> {
    let world = World::new();
    let mut replica = world.start("first", Faults::default()).await;
    let (outside, headless) = (json!({"type": "NodePort"}), json!({"headless": true}));
    app(&world.server, "other", &outside, Some(31080))?;
    app(&world.server, "web", &headless, None)?;
    world.rest(&mut replica).await?;
    let before = service(&world)?;

    app(&world.server, "web", &outside, Some(31080))?;
    tokio::time::sleep(10 * MINUTE).await;
    let asked_in_vain = asked(&world);
    ensure!(
        (8..=12).contains(&asked_in_vain.len()),
        "{} tries in ten minutes\n{}",
        asked_in_vain.len(),
        world.summary()
    );
    ensure!(!asked_in_vain.contains(&"delete"), "{asked_in_vain:?}");
    let after = service(&world)?;
    ensure!(after["metadata"]["uid"] == before["metadata"]["uid"] && after["spec"]["clusterIP"] == "None", "{after}");
    let stalled = world.condition("App", "web", "Stalled").unwrap_or_default();
    let message = stalled["message"].as_str().unwrap_or_default();
    ensure!(stalled["reason"] == "Rejected" && message.starts_with("Service web: "), "{stalled}");
    for part in ["spec.ports[0].nodePort: Invalid value: 31080", "the Service stays", "spec.clusterIP can't be changed"]
    {
        ensure!(message.contains(part), "{message}");
    }
    ensure!(!message.contains("rehearsal"), "{message}");
    ensure!(
        !world
            .server
            .list("Service")
            .iter()
            .any(|service| service["metadata"]["name"] != "web" && service["metadata"]["name"] != "other"),
        "a try was kept"
    );

    app(&world.server, "other", &outside, Some(31081))?;
    world.rest(&mut replica).await?;
    let made = service(&world)?;
    ensure!(
        made["spec"]["ports"][0]["nodePort"] == 31080 && made["metadata"]["uid"] != before["metadata"]["uid"],
        "{made}"
    );
    ensure!(asked(&world)[asked_in_vain.len()..] == ["rehearse", "delete"], "{:?}", asked(&world));
    world.expect_ready("App", "web")
}

/// One try per object that is made anew, and none for any other edit.
#[tokio::test(start_paused = true)]
async fn a_replacement_costs_one_try_and_an_update_none() -> Result<()> {
    let world = World::new();
    let mut replica = world.start("first", Faults::default()).await;
    for (service, asked_for) in [
        (json!({}), [].as_slice()),
        (json!({"type": "NodePort"}), &[]),
        (json!({"headless": true}), &["rehearse", "delete"]),
        (json!({"type": "NodePort"}), &["rehearse", "delete"]),
        (json!({"type": "ClusterIP"}), &[]),
    ] {
        let before = asked(&world).len();
        app(&world.server, "web", &service, None)?;
        world.rest(&mut replica).await?;
        world.expect_ready("App", "web")?;
        ensure!(asked(&world)[before..] == *asked_for, "{service}: {:?}", asked(&world));
    }
    Ok(())
}
