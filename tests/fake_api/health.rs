//! A replica that can't see does not lead, one that works is never taken to be stuck, and a standby is quiet.

use super::watches::WEB;
use super::world::{Replica, World, is_lease};
use anyhow::{Context, Result, ensure};
use moorage_fake::{Call, Fault, Faults};
use std::time::Duration;
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn sees_no_services(call: &Call) -> bool {
    call.resource == "services" && matches!(call.verb.as_str(), "list" | "watch")
}

fn when(hit: fn(&Call) -> bool, fault: Fault) -> Faults {
    Faults::new(move |call| if hit(call) { fault.clone() } else { Fault::None })
}

fn leader(world: &World) -> Option<String> {
    let lease = world.server.get("Lease", "moorage-system", "moorage")?;
    lease["spec"]["holderIdentity"].as_str().map(str::to_owned)
}

/// Waits until that replica leads; how long it took.
async fn leads(world: &World, name: &str, patience: Duration) -> Result<Duration> {
    let since = Instant::now();
    while leader(world).as_deref() != Some(name) {
        ensure!(since.elapsed() < patience, "{:?} leads, not {name}\n{}", leader(world), world.summary());
        sleep(SECOND / 10).await;
    }
    Ok(since.elapsed())
}

/// Whoever came first but can't see a kind leaves the work to one that can.
#[tokio::test(start_paused = true)]
async fn a_replica_that_cannot_see_does_not_campaign() -> Result<()> {
    let world = World::new();
    let first = world.start("first", when(sees_no_services, Fault::Status(403))).await;
    sleep(MINUTE).await;
    ensure!(leader(&world).is_none(), "{:?} leads", leader(&world));
    let mut second = world.start("second", Faults::default()).await;
    world.server.apply(WEB)?;
    world.rest(&mut second).await?;
    ensure!(leader(&world).as_deref() == Some("second"), "{:?} leads", leader(&world));
    world.expect_ready("App", "web")?;
    ensure!(first.health.sight().missing.join(", ").contains("services"), "{:?}", first.health.sight().missing);
    Ok(())
}

/// Also one that leads already: after two minutes another takes over, and it is a candidate again when it can see.
#[tokio::test(start_paused = true)]
async fn a_leader_that_can_see_no_more_gives_the_lead_away() -> Result<()> {
    for fault in [Fault::Status(403), Fault::Status(500), Fault::Hang, Fault::DropBefore] {
        let world = World::new();
        let mut first = world.start("first", Faults::default()).await;
        world.rest(&mut first).await?;
        let second = world.start("second", Faults::default()).await;
        first.endpoint.set_faults(when(sees_no_services, fault.clone()));
        world.server.break_watches();
        let took = leads(&world, "second", 4 * MINUTE).await.with_context(|| format!("{fault:?}"))?;
        ensure!(took > 2 * MINUTE, "{fault:?}: it gave up after {took:?}");
        world.server.apply(WEB)?;
        sleep(10 * SECOND).await;
        world.expect_ready("App", "web").with_context(|| format!("{fault:?}"))?;
        ensure!(!first.health.sight().missing.is_empty(), "{fault:?}: the first is ready");
        first.endpoint.set_faults(Faults::default());
        sleep(2 * MINUTE).await;
        ensure!(first.health.sight().missing.is_empty(), "{fault:?}: {:?}", first.health.sight().missing);
        second.stop().await;
        leads(&world, "first", 2 * SECOND).await.with_context(|| format!("{fault:?}"))?;
    }
    Ok(())
}

/// A kind that is not served any more is not one that can't be seen: the others go on.
#[tokio::test(start_paused = true)]
async fn a_kind_that_is_no_longer_served_costs_no_lead() -> Result<()> {
    let world = World::new();
    let mut first = world.start("first", Faults::default()).await;
    world.rest(&mut first).await?;
    world.server.uninstall("registries.moorage.dev");
    sleep(10 * MINUTE).await;
    world.server.apply(WEB)?;
    world.rest(&mut first).await?;
    world.expect_ready("App", "web")
}

/// Not when nothing happens, not when the API server is gone or refuses or hangs for an hour: a new process would not be better off.
#[tokio::test(start_paused = true)]
async fn what_works_or_tries_is_not_stuck() -> Result<()> {
    let faults =
        [Fault::None, Fault::DropBefore, Fault::Status(403), Fault::Status(503), Fault::Hang, Fault::Stall(MINUTE)];
    for fault in faults {
        let world = World::new();
        let mut replica = world.start("first", Faults::default()).await;
        world.rest(&mut replica).await?;
        replica.endpoint.set_faults(when(|_| true, fault.clone()));
        if fault != Fault::None {
            world.server.break_watches();
        }
        is_never_stuck(&replica).await.with_context(|| format!("{fault:?}"))?;
        // The same from the start on, when watches wait for others that never get their list.
        let world = World::new();
        let replica = world.start("first", when(|_| true, fault.clone())).await;
        is_never_stuck(&replica).await.with_context(|| format!("{fault:?} from the start"))?;
    }
    Ok(())
}

/// Nor when every watch is silent and does not end when it should.
#[tokio::test(start_paused = true)]
async fn a_watch_that_does_not_end_is_renewed() -> Result<()> {
    let world = World::new();
    let mut replica = world.start("first", Faults::default()).await;
    world.rest(&mut replica).await?;
    for plural in ["apps", "services", "pods"] {
        world.server.freeze(plural);
    }
    is_never_stuck(&replica).await
}

async fn is_never_stuck(replica: &Replica) -> Result<()> {
    for minute in 0..60 {
        sleep(MINUTE).await;
        let stuck = replica.health.stuck();
        ensure!(stuck.is_empty(), "after {minute} minutes: {stuck:?}");
    }
    Ok(())
}

/// A standby that is not told of renewals tries once per time that the Lease lasts, is refused, looks, and is patient again.
#[tokio::test(start_paused = true)]
async fn a_standby_with_a_deaf_watch_looks_instead_of_insisting() -> Result<()> {
    let world = World::new();
    let mut first = world.start("first", Faults::default()).await;
    world.rest(&mut first).await?;
    let second = world.start("second", Faults::default()).await;
    sleep(20 * SECOND).await;
    world.server.freeze("leases");
    let refused = |world: &World| {
        world
            .server
            .count_requests(|entry| is_lease(&entry.call) && entry.call.client == "second" && entry.code == Some(409))
    };
    sleep(4 * MINUTE).await;
    ensure!((10..=17).contains(&refused(&world)), "refused {} times in four minutes", refused(&world));
    ensure!(leader(&world).as_deref() == Some("first"), "{:?} leads", leader(&world));
    drop(first);
    leads(&world, "second", 31 * SECOND).await?;
    drop(second);
    Ok(())
}
