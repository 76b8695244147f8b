//! Optional APIs come and go under a running operator: what is served is watched, and what is not costs nothing.

use super::watches::WEB;
use super::world::{Replica, World};
use anyhow::{Result, ensure};
use moorage::core::kind::ChildKind;
use moorage::core::offer::Provider;
use moorage::shell::apis::discover;
use moorage::shell::kinds::{Rights, Row};
use moorage_fake::{Call, Entry, Fault, Faults, Resource, Server};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

const API: &str = "monitoring.coreos.com/v1";
const DEFINITION: &str = "servicemonitors.monitoring.coreos.com";

/// An App that is to be scraped.
fn watched() -> String {
    WEB.replace("image:", "monitoring: {}, image:")
}

fn define(server: &Server) -> Result<()> {
    let definition = "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: NAME}}";
    server.apply(&definition.replace("NAME", DEFINITION)).map(drop)
}

fn serve(server: &Server) {
    server.install(Resource::custom(API, "ServiceMonitor", "servicemonitors"));
}

fn install(server: &Server) -> Result<()> {
    serve(server);
    define(server)
}

/// The objects of a kind go with its definition.
fn remove(server: &Server) -> Result<()> {
    server.uninstall(DEFINITION);
    server.delete("CustomResourceDefinition", "", DEFINITION)
}

fn is_about(plural: &str) -> impl Fn(&Entry) -> bool + '_ {
    move |entry| entry.call.resource == plural
}

fn is_discovery(entry: &Entry) -> bool {
    entry.call.verb == "discover"
}

fn ready(world: &World) -> Value {
    world.condition("App", "web", "Ready").unwrap_or_default()
}

fn expect_reason(world: &World, reason: &str) -> Result<()> {
    let ready = ready(world);
    ensure!(ready["status"] == "False" && ready["reason"] == reason, "{ready}\n{}", world.summary());
    Ok(())
}

fn monitor(world: &World) -> Option<Value> {
    world.server.get("ServiceMonitor", "default", "web")
}

fn expect_monitored(world: &World) -> Result<()> {
    world.expect_ready("App", "web")?;
    ensure!(monitor(world).is_some(), "there is no ServiceMonitor\n{}", world.summary());
    Ok(())
}

async fn started(faults: Faults) -> (World, Replica) {
    let world = World::new();
    let replica = world.start("first", faults).await;
    (world, replica)
}

#[tokio::test(start_paused = true)]
async fn an_api_comes_goes_and_comes_back() -> Result<()> {
    let (world, mut replica) = started(Faults::default()).await;
    world.server.apply(&watched())?;
    world.rest(&mut replica).await?;
    expect_reason(&world, "ApiMissing")?;
    let told = ready(&world)["message"].to_string();
    ensure!(told.contains("ServiceMonitor web: ") && told.contains("install prometheus-operator"), "{told}");
    ensure!(world.has("Deployment", "web") && world.has("Service", "web"), "what is missing keeps the rest from it");
    ensure!(world.server.count_requests(is_about("servicemonitors")) == 0, "what is absent was asked for");
    for round in 1..=2 {
        let mark = world.server.request_count();
        install(&world.server)?;
        world.rest(&mut replica).await?;
        expect_monitored(&world)?;
        let writes = world.server.requests().split_off(mark).into_iter().filter(|entry| entry.call.is_write());
        let made = writes.filter(is_about("servicemonitors")).count();
        ensure!(made == 1, "round {round}: {made} writes of the ServiceMonitor\n{}", world.summary());
        remove(&world.server)?;
        world.rest(&mut replica).await?;
        expect_reason(&world, "ApiMissing")?;
        let sight = replica.health.sight();
        ensure!(sight.missing.is_empty() && sight.unseen.is_empty(), "round {round}: {sight:?}");
    }
    Ok(())
}

/// Neither what is absent nor what is served costs a request at rest, and a restart writes nothing.
#[tokio::test(start_paused = true)]
async fn an_optional_api_costs_nothing_at_rest_and_no_write_across_a_restart() -> Result<()> {
    for served in [false, true] {
        let (world, mut replica) = started(Faults::default()).await;
        if served {
            install(&world.server)?;
        }
        world.server.apply(&watched())?;
        world.rest(&mut replica).await?;
        let mark = world.server.request_count();
        tokio::time::sleep(Duration::from_secs(3600)).await;
        let others: Vec<String> =
            world.server.requests().split_off(mark).iter().map(|entry| entry.call.summary()).collect();
        ensure!(others.iter().all(|call| call.starts_with("watch ") || call.ends_with(" leases")), "{others:?}");
        replica.stop().await;
        let mark = world.server.request_count();
        let mut next = world.start("next", Faults::default()).await;
        world.rest(&mut next).await?;
        let asked = world.server.requests().split_off(mark);
        let looked =
            asked.iter().filter(|entry| entry.call.verb == "get" && is_about("servicemonitors")(entry)).count();
        ensure!(looked == 0, "{looked} looks at what was listed\n{}", world.summary());
        let written: Vec<String> = asked
            .iter()
            .filter(|entry| entry.call.is_write() && entry.call.resource != "leases" && entry.code != Some(409))
            .map(|entry| entry.call.summary())
            .collect();
        ensure!(written.is_empty(), "served: {served}: {written:?}");
        if served { expect_monitored(&world)? } else { expect_reason(&world, "ApiMissing")? }
    }
    Ok(())
}

/// A definition is there before its kind is served; discovery is asked again for that, but not for ever.
#[tokio::test(start_paused = true)]
async fn a_definition_that_is_served_late_is_waited_for() -> Result<()> {
    let (world, mut replica) = started(Faults::default()).await;
    world.server.apply(&watched())?;
    define(&world.server)?;
    tokio::time::sleep(Duration::from_secs(20)).await;
    serve(&world.server);
    world.rest(&mut replica).await?;
    expect_monitored(&world)?;

    let (world, mut replica) = started(Faults::default()).await;
    define(&world.server)?;
    world.rest(&mut replica).await?;
    let asked = world.server.count_requests(is_discovery);
    ensure!((2..=15).contains(&asked), "{asked} questions");
    tokio::time::sleep(Duration::from_secs(3600)).await;
    ensure!(world.server.count_requests(is_discovery) == asked, "it is asked for ever");
    Ok(())
}

/// While the last objects of a kind go, none is made.
#[tokio::test(start_paused = true)]
async fn an_api_on_its_way_out_is_left_alone() -> Result<()> {
    let (world, mut replica) = started(Faults::default()).await;
    install(&world.server)?;
    world.server.apply(&watched())?;
    world.rest(&mut replica).await?;
    world.server.edit("CustomResourceDefinition", "", DEFINITION, |definition| {
        definition["metadata"]["finalizers"] = serde_json::json!(["customresourcecleanup.apiextensions.k8s.io"]);
    })?;
    world.server.delete("CustomResourceDefinition", "", DEFINITION)?;
    world.rest(&mut replica).await?;
    expect_reason(&world, "ApiMissing")?;
    let mark = world.server.request_count();
    world.server.delete("ServiceMonitor", "default", "web")?;
    world.rest(&mut replica).await?;
    let asked = world.server.requests().split_off(mark).into_iter().filter(is_about("servicemonitors")).count();
    ensure!(asked == 0 && monitor(&world).is_none(), "it is made again\n{}", world.summary());
    Ok(())
}

/// Without the right to them nothing is made and nothing is deleted, and the App says which component brings the right.
#[tokio::test(start_paused = true)]
async fn a_right_that_is_missing_is_told_and_nothing_is_lost() -> Result<()> {
    let denied = || Faults::on("", "servicemonitors", Fault::Status(403));
    let (world, mut replica) = started(denied()).await;
    install(&world.server)?;
    world.server.apply(&watched())?;
    world.rest(&mut replica).await?;
    expect_reason(&world, "Denied")?;
    ensure!(ready(&world)["message"].to_string().contains("deploy/components/monitoring"), "{}", ready(&world));
    replica.endpoint.set_faults(Faults::default());
    tokio::time::sleep(Duration::from_secs(80)).await;
    expect_monitored(&world)?;

    replica.endpoint.set_faults(denied());
    world.server.break_watches();
    world.rest(&mut replica).await?;
    expect_reason(&world, "Denied")?;
    world.server.apply(WEB)?;
    world.rest(&mut replica).await?;
    world.expect_ready("App", "web")?;
    ensure!(monitor(&world).is_some(), "what can't be seen was deleted");
    replica.endpoint.set_faults(Faults::default());
    tokio::time::sleep(Duration::from_secs(80)).await;
    world.rest(&mut replica).await?;
    ensure!(monitor(&world).is_none(), "what is not declared any more is there\n{}", world.summary());
    Ok(())
}

/// Where definitions can't be watched, as in an install for some namespaces, discovery is asked at the start and as often as
/// everything is listed; that an API is gone its own watch tells.
#[tokio::test(start_paused = true)]
async fn without_definitions_discovery_is_asked_now_and_then() -> Result<()> {
    const HOURS: Duration = Duration::from_secs(6 * 3600 + 60);
    let hidden = Faults::on("", "customresourcedefinitions", Fault::Status(403));
    let (world, mut replica) = started(hidden).await;
    world.server.apply(&watched())?;
    world.rest(&mut replica).await?;
    expect_reason(&world, "ApiMissing")?;
    serve(&world.server);
    let asked = world.server.count_requests(is_discovery);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    ensure!(world.server.count_requests(is_discovery) == asked, "what is absent is asked for again and again");
    tokio::time::sleep(HOURS).await;
    world.rest(&mut replica).await?;
    expect_monitored(&world)?;
    world.server.uninstall(DEFINITION);
    world.rest(&mut replica).await?;
    expect_reason(&world, "ApiMissing")
}

/// A kind that comes late and does not answer keeps nobody from the rest.
#[tokio::test(start_paused = true)]
async fn a_late_kind_that_hangs_harms_nobody() -> Result<()> {
    let (world, mut replica) = started(Faults::on("list", "servicemonitors", Fault::Hang)).await;
    world.server.apply(&watched())?;
    world.rest(&mut replica).await?;
    install(&world.server)?;
    tokio::time::sleep(Duration::from_secs(20)).await;
    ensure!(replica.health.sight().missing.is_empty(), "{:?}", replica.health.sight());
    world.server.apply(&WEB.replace("name: web", "name: other"))?;
    tokio::time::sleep(Duration::from_secs(20)).await;
    world.expect_ready("App", "other")?;
    expect_reason(&world, "Applying")?;
    replica.endpoint.set_faults(Faults::default());
    tokio::time::sleep(Duration::from_secs(60)).await;
    world.rest(&mut replica).await?;
    expect_monitored(&world)
}

/// Discovery that fails is asked again.
#[tokio::test(start_paused = true)]
async fn discovery_that_fails_is_asked_again() -> Result<()> {
    for fault in [Fault::Status(503), Fault::DropBefore, Fault::Cut, Fault::Hang] {
        let broken = fault.clone();
        let fails = move |call: &Call| if call.verb == "discover" { broken.clone() } else { Fault::None };
        let (world, mut replica) = started(Faults::new(fails)).await;
        install(&world.server)?;
        world.server.apply(&watched())?;
        tokio::time::sleep(Duration::from_secs(90)).await;
        replica.endpoint.set_faults(Faults::default());
        tokio::time::sleep(Duration::from_secs(60)).await;
        world.rest(&mut replica).await?;
        expect_monitored(&world)?;
        drop(fault);
    }
    Ok(())
}

/// Of several versions the first that is served is used.
#[tokio::test(start_paused = true)]
async fn the_version_that_is_liked_best_is_used() -> Result<()> {
    static ROWS: [Row; 2] = [
        Row {
            kind: ChildKind::ServiceMonitor,
            group: "monitoring.coreos.com",
            versions: &["v2", "v1", "v1beta1"],
            plural: "servicemonitors",
            parents: &[],
            rights: Rights::Delete,
            optional: Some(Provider { install: "x", component: "x" }),
        },
        Row {
            kind: ChildKind::PodMonitor,
            group: "monitoring.coreos.com",
            versions: &["v2", "v1"],
            plural: "podmonitors",
            parents: &[],
            rights: Rights::Delete,
            optional: Some(Provider { install: "x", component: "x" }),
        },
    ];
    for (served, wanted) in [
        (vec![], BTreeMap::new()),
        (vec!["v1beta1"], BTreeMap::from([(ChildKind::ServiceMonitor, "v1beta1")])),
        (vec!["v1"], BTreeMap::from([(ChildKind::ServiceMonitor, "v1")])),
        (vec!["v2"], BTreeMap::from([(ChildKind::ServiceMonitor, "v2")])),
    ] {
        let server = Server::new();
        for version in served {
            let api = format!("monitoring.coreos.com/{version}");
            server.install(Resource::custom(&api, "ServiceMonitor", "servicemonitors"));
        }
        ensure!(discover(&server.client(), &ROWS).await? == wanted);
    }
    Ok(())
}
