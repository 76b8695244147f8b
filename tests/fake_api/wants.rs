//! What a plan wants to know may come late or never, be refused, be too large, or be another by then: what runs is kept until it is
//! known, and what lacks is told.

use super::scenarios::{change_image, create_guarded_shop, create_shop, fail, go_back, has_gone_back, image, is_back};
use super::world::{Replica, World};
use anyhow::{Context, Result, ensure};
use moorage_fake::{Fault, Faults, Server};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

const SOON: Duration = Duration::from_secs(90);
const SECOND: &str = "registry.example.com/shop:2";

/// A shop at its second revision.
async fn second_revision() -> Result<(World, Replica)> {
    let world = World::new();
    let mut replica = world.start("first", Faults::default()).await;
    create_shop(&world.server)?;
    world.rest(&mut replica).await?;
    change_image(&world.server)?;
    world.rest(&mut replica).await?;
    ensure!(image(&world) == SECOND);
    Ok((world, replica))
}

fn ready(server: &Server) -> Value {
    let app = server.get("App", "default", "shop").unwrap_or_default();
    let conditions = app["status"]["conditions"].as_array().cloned().unwrap_or_default();
    conditions.into_iter().find(|condition| condition["type"] == "Ready").unwrap_or_default()
}

async fn told(world: &World, text: &str) -> Result<()> {
    let told = world.server.until(SOON, |server| ready(server)["message"].as_str().is_some_and(|it| it.contains(text)));
    told.await.with_context(|| format!("{text:?} is never told: {}\n{}", ready(&world.server), world.summary()))
}

fn first_set(server: &Server) -> Option<String> {
    let is_first = |set: &Value| set["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1";
    let set = server.list("ReplicaSet").into_iter().find(is_first)?;
    set["metadata"]["name"].as_str().map(str::to_owned)
}

/// What happens to the request, and what is told of it.
#[tokio::test(start_paused = true)]
async fn a_want_that_fails_is_told_and_met_later() -> Result<()> {
    let faults = [
        (Fault::Hang, "no answer within 10 s"),
        (Fault::Refuse(403, "not for you".to_owned()), "not for you"),
        (Fault::Refuse(500, "not now".to_owned()), "not now"),
        (Fault::Cut, "what runs is kept"),
    ];
    for (fault, text) in faults {
        let (world, mut replica) = second_revision().await?;
        replica.endpoint.set_faults(Faults::on("get", "replicasets", fault.clone()));
        go_back(&world.server)?;
        told(&world, text).await.with_context(|| format!("{fault:?}"))?;
        ensure!(ready(&world.server)["status"] == "False" && image(&world) == SECOND, "{fault:?}: {}", image(&world));
        replica.endpoint.set_faults(Faults::default());
        world.server.until(SOON, |_| image(&world) != SECOND).await.with_context(|| world.summary())?;
        world.rest(&mut replica).await?;
        is_back(&world).with_context(|| format!("{fault:?}\n{}", world.summary()))?;
    }
    Ok(())
}

/// Nothing is told of a want that is about to be met, and one look is enough.
#[tokio::test(start_paused = true)]
async fn a_late_answer_costs_nothing() -> Result<()> {
    let (world, mut replica) = second_revision().await?;
    replica.endpoint.set_faults(Faults::on("get", "replicasets", Fault::Late(Duration::from_secs(8))));
    let mark = world.work().len();
    go_back(&world.server)?;
    world.rest(&mut replica).await?;
    is_back(&world)?;
    let work: Vec<String> = world.work().split_off(mark).iter().map(|entry| entry.call.summary()).collect();
    ensure!(work.iter().filter(|line| *line == "get replicasets").count() == 1, "{work:?}");
    ensure!(work[..3] == ["get replicasets", "get deployments", "patch deployments"], "{work:?}");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_template_that_is_too_large_is_not_read() -> Result<()> {
    let (world, _replica) = second_revision().await?;
    let name = first_set(&world.server).context("no first revision")?;
    world.server.edit("ReplicaSet", "default", &name, |set| {
        set["spec"]["template"]["spec"]["containers"][0]["args"] = json!(["x".repeat(300 << 10)]);
    })?;
    go_back(&world.server)?;
    told(&world, "larger than 256 KiB").await?;
    ensure!(image(&world) == SECOND, "{}", image(&world));
    Ok(())
}

/// What is read is not what the watch has told: it is not run before the watch has told of it too.
#[tokio::test(start_paused = true)]
async fn a_template_that_has_changed_meanwhile_is_read_again() -> Result<()> {
    let (world, mut replica) = second_revision().await?;
    let name = first_set(&world.server).context("no first revision")?;
    world.server.freeze("replicasets");
    world.server.edit("ReplicaSet", "default", &name, |set| {
        set["spec"]["template"]["spec"]["containers"][0]["image"] = json!("registry.example.com/shop:0");
    })?;
    go_back(&world.server)?;
    told(&world, "has been changed meanwhile").await?;
    ensure!(image(&world) == SECOND, "{}", image(&world));
    world.server.thaw("replicasets");
    world.rest(&mut replica).await?;
    ensure!(image(&world) == "registry.example.com/shop:0", "{}\n{}", image(&world), world.summary());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn only_the_leader_looks() -> Result<()> {
    let (world, mut replica) = second_revision().await?;
    let _standby = world.start("standby", Faults::default()).await;
    go_back(&world.server)?;
    world.rest(&mut replica).await?;
    is_back(&world)?;
    let looks = |name: &str| {
        let is_look =
            |entry: &moorage_fake::Entry| entry.call.summary() == "get replicasets" && entry.call.client == name;
        world.server.count_requests(is_look)
    };
    ensure!((looks("first"), looks("standby")) == (1, 0), "{} and {}", looks("first"), looks("standby"));
    Ok(())
}

/// From the deadline to the former template it takes one look and one write; that a shop can go back costs none.
#[tokio::test(start_paused = true)]
async fn a_failed_rollout_goes_back_within_ten_seconds() -> Result<()> {
    let world = World::new();
    let mut replica = world.start("first", Faults::default()).await;
    create_guarded_shop(&world.server)?;
    world.rest(&mut replica).await?;
    let (mark, since) = (world.work().len(), Instant::now());
    fail(&world.server)?;
    world.server.until(SOON, |_| image(&world).ends_with(":never")).await?;
    world.server.until(SOON, |_| image(&world).ends_with(":1")).await.with_context(|| world.summary())?;
    ensure!(since.elapsed() < Duration::from_secs(10), "it took {:?}", since.elapsed());
    world.rest(&mut replica).await?;
    has_gone_back(&world)?;
    let work: Vec<String> = world.work().split_off(mark).iter().map(|entry| entry.call.summary()).collect();
    let count = |line: &str| work.iter().filter(|other| *other == line).count();
    ensure!((count("get replicasets"), count("patch deployments")) == (1, 2), "{work:?}");
    Ok(())
}
