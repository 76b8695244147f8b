//! Any write may be refused, hang or lose its answer: the operator tries again, ends where it should, and asks for little more
//! than it would have.

use super::scenarios::{ALL, Scenario};
use super::watches::WEB;
use super::world::World;
use super::world::{difference, is_lease};
use anyhow::{Context, Result, ensure};
use moorage_fake::{Call, Effort, Entry, Fault, Faults, Server};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Requests that one fault may cost: the ones that it spoiled again, a look at what stands, and a status that tells of it.
const COST: usize = 6;
/// Renewals of the Lease and of watches at rest are all alike, and most of the requests: only the first few are faulted.
const RENEWALS: usize = 3;

/// What an operator reads at its start is the same in every scenario: of so many requests that only read, a usual run tries one.
const SHARED: usize = 4;

/// Quick runs try a fault at one of so many of those.
const QUICK: usize = 6;

/// How long a line may be cut before the kernel, which asks whether the other end is there, gives it up.
const KEEPALIVE: Duration = Duration::from_secs(25);
const HOUR: Duration = Duration::from_secs(3600);

/// Which requests meet a fault.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// Every one.
    Requests,
    /// Every write.
    Writes,
    /// Every list, and every read of one object.
    Reads,
    /// Every watch.
    Watches,
}

impl Target {
    /// The requests of an undisturbed run that are worth a fault: the ordinal of each, and whether it writes.
    fn of(self, server: &Server) -> Vec<(u64, bool)> {
        let mut renewals: HashMap<String, usize> = HashMap::new();
        let worth = |entry: &Entry| {
            let call = &entry.call;
            if call.verb == "watch" || is_lease(call) && call.verb == "update" {
                let renewals = renewals.entry(call.summary()).or_default();
                *renewals += 1;
                if *renewals > RENEWALS {
                    return false;
                }
            }
            match self {
                Self::Requests => true,
                Self::Writes => call.is_write(),
                Self::Reads => matches!(call.verb.as_str(), "get" | "list"),
                Self::Watches => call.verb == "watch",
            }
        };
        server.requests().into_iter().filter(worth).map(|entry| (entry.call.ordinal, entry.call.is_write())).collect()
    }
}

/// Plays every scenario with these faults at its targets, and fails unless it ends as it does undisturbed, at most so many
/// requests dearer. Thorough runs try every fault at every target, others one after the other in turn. How many runs that were.
pub async fn everywhere(target: Target, faults: &[Fault], cost: usize) -> Result<usize> {
    let mut runs = 0;
    for (turn, scenario) in ALL.iter().enumerate() {
        let (world, _replica) = scenario.play(Faults::default()).await.context(scenario.name)?;
        let (expected, undisturbed) = (world.server.snapshot(), world.cost());
        for (ordinal, fault) in tried(turn, &target.of(&world.server), faults) {
            let (world, what) = disturbed(scenario, ordinal, fault).await?;
            let found = world.server.snapshot();
            ensure!(found == expected, "{what}: {}\n{}", difference(&expected, &found), world.summary());
            let dearer = world.cost().saturating_sub(undisturbed);
            ensure!(dearer <= cost, "{what} costs {dearer} requests\n{}", world.summary());
            runs += 1;
        }
    }
    Ok(runs)
}

/// Which faults are tried at which requests of the scenario whose turn it is.
fn tried(turn: usize, requests: &[(u64, bool)], faults: &[Fault]) -> Vec<(u64, Fault)> {
    let in_turn = |every: usize| {
        let is_chosen = |(index, (_, writes)): &(usize, &(u64, bool))| *writes || (index + turn).is_multiple_of(SHARED);
        let chosen = requests.iter().enumerate().filter(is_chosen).skip(turn % every).step_by(every).enumerate();
        chosen.map(|(index, (_, (ordinal, _)))| (*ordinal, faults[(turn + index) % faults.len()].clone())).collect()
    };
    match Effort::given() {
        Effort::Thorough => {
            requests.iter().flat_map(|(ordinal, _)| faults.iter().map(|fault| (*ordinal, fault.clone()))).collect()
        }
        Effort::Usual => in_turn(1),
        Effort::Quick => in_turn(QUICK),
    }
}

async fn disturbed(scenario: &Scenario, ordinal: u64, fault: Fault) -> Result<(super::world::World, String)> {
    let what = format!("{}: {fault:?} at request {ordinal}", scenario.name);
    let (world, _replica) = scenario.play(Faults::at_request(ordinal, fault)).await.context(what.clone())?;
    Ok((world, what))
}

#[tokio::test(start_paused = true)]
async fn a_refused_write_is_survived_at_little_cost() -> Result<()> {
    let runs = everywhere(Target::Writes, &[409, 429, 500, 503].map(Fault::Status), COST).await?;
    assert!(runs > Effort::given().of(15, 100, 400), "only {runs} faults");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_write_without_an_answer_is_survived_at_little_cost() -> Result<()> {
    let faults = [Fault::DropBefore, Fault::DropAfterCommit, Fault::Hang, Fault::HangAfterCommit];
    let runs = everywhere(Target::Writes, &faults, COST).await?;
    assert!(runs > Effort::given().of(15, 100, 400), "only {runs} faults");
    Ok(())
}

/// A list that is never answered, or whose answer stops or breaks in its middle, leaves nothing unseen.
#[tokio::test(start_paused = true)]
async fn a_read_that_goes_wrong_leaves_no_kind_deaf() -> Result<()> {
    let late = Fault::Late(Duration::from_secs(20));
    let faults = [Fault::Status(500), Fault::DropBefore, Fault::Hang, Fault::Stall(HOUR), Fault::Cut, late];
    let runs = everywhere(Target::Reads, &faults, COST).await?;
    assert!(runs > Effort::given().of(3, 30, 800), "only {runs} faults");
    Ok(())
}

/// A watch that does not start, starts late, breaks or falls silent leaves nothing unseen.
#[tokio::test(start_paused = true)]
async fn a_watch_that_goes_wrong_leaves_no_kind_deaf() -> Result<()> {
    let late = Fault::Late(Duration::from_secs(20));
    let faults = [Fault::Status(500), Fault::DropBefore, Fault::Hang, Fault::Stall(KEEPALIVE), Fault::Cut, late];
    let runs = everywhere(Target::Watches, &faults, COST).await?;
    assert!(runs > Effort::given().of(3, 30, 800), "only {runs} faults");
    Ok(())
}

/// A server that refuses everything is asked more and more rarely.
#[tokio::test(start_paused = true)]
async fn what_is_always_refused_is_asked_for_ever_more_rarely() -> Result<()> {
    let writes = |call: &Call| call.is_write() && !is_lease(call);
    for code in [403, 409, 429, 500] {
        let world = World::new();
        let refuse = move |call: &Call| if writes(call) { Fault::Status(code) } else { Fault::None };
        let mut replica = world.start("first", Faults::default()).await;
        world.rest(&mut replica).await?;
        let before = world.cost();
        replica.endpoint.set_faults(Faults::new(refuse));
        world.server.apply(WEB)?;
        tokio::time::sleep(Duration::from_secs(600)).await;
        // Ten minutes hold six doublings from a second on, and ten at the longest wait.
        let cost = world.cost() - before;
        ensure!((10..150).contains(&cost), "{code}: {cost} requests\n{}", world.summary());
        replica.endpoint.set_faults(Faults::default());
        tokio::time::sleep(Duration::from_secs(61)).await;
        world.expect_ready("App", "web").with_context(|| format!("after {code}"))?;
    }
    Ok(())
}

/// What is refused as it is may be refused for a cause outside of it, such as a port that another Service has. Nobody tells
/// when that passes.
#[tokio::test(start_paused = true)]
async fn a_refusal_passes_without_an_edit() -> Result<()> {
    for code in [400, 422] {
        let world = World::new();
        let mut replica = world.start("first", Faults::on("patch", "services", Fault::Status(code))).await;
        world.server.apply(WEB)?;
        world.rest(&mut replica).await?;
        let stalled = world.condition("App", "web", "Stalled").context("it is not Stalled")?;
        ensure!(stalled["reason"] == "Rejected", "{stalled}");
        replica.endpoint.set_faults(Faults::default());
        tokio::time::sleep(Duration::from_secs(61)).await;
        world.expect_ready("App", "web").with_context(|| format!("after {code}"))?;
    }
    Ok(())
}

/// A refusal that stays does not keep what has only just failed from being tried again soon.
#[tokio::test(start_paused = true)]
async fn what_passes_does_not_wait_for_what_is_refused() -> Result<()> {
    let world = World::new();
    let fault = |call: &Call| match (call.verb.as_str(), call.resource.as_str()) {
        ("patch", "services") => Fault::Status(422),
        ("patch", "deployments") if call.ordinal.is_multiple_of(2) => Fault::Status(503),
        _ => Fault::None,
    };
    let _replica = world.start("first", Faults::new(fault)).await;
    world.server.apply(WEB)?;
    tokio::time::sleep(Duration::from_secs(60)).await;
    ensure!(world.has("Deployment", "web"), "{}", world.summary());
    Ok(())
}

/// A child that fails, however it does, keeps no other from being made that can do without it.
#[tokio::test(start_paused = true)]
async fn a_child_that_fails_stops_no_other() -> Result<()> {
    let faults = [Fault::Status(500), Fault::Status(422), Fault::Status(403), Fault::DropBefore, Fault::Hang];
    for (failing, others) in
        [("serviceaccounts", ["Service"].as_slice()), ("deployments", &["ServiceAccount", "Service"])]
    {
        for fault in faults.clone() {
            let world = World::new();
            let _replica = world.start("first", Faults::on("patch", failing, fault.clone())).await;
            world.server.apply(WEB)?;
            tokio::time::sleep(Duration::from_secs(40)).await;
            for kind in others {
                ensure!(world.has(kind, "web"), "{failing} {fault:?}: no {kind}\n{}", world.summary());
            }
        }
    }
    Ok(())
}

/// What is queued while the Lease has run out, and is renewed after all, is not lost.
#[tokio::test(start_paused = true)]
async fn a_late_renewal_loses_no_work() -> Result<()> {
    let world = World::new();
    let mut replica = world.start("first", Faults::default()).await;
    world.rest(&mut replica).await?;
    let renewals = |server: &Server| server.count_requests(|entry| is_lease(&entry.call) && entry.call.is_write());
    let before = renewals(&world.server);
    while renewals(&world.server) == before {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // It is renewed every 5 s and lasts 10 s: three refusals, then an answer that comes when it has run out.
    let tries = AtomicU32::new(0);
    replica.endpoint.set_faults(Faults::new(move |call| match is_lease(call) && call.is_write() {
        true if tries.fetch_add(1, Ordering::Relaxed) < 4 => Fault::Status(500),
        true => Fault::Late(Duration::from_secs(4)),
        false => Fault::None,
    }));
    tokio::time::sleep(Duration::from_millis(11_500)).await;
    world.server.apply(WEB)?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    ensure!(!world.has("Deployment", "web"), "it wrote without a Lease");
    replica.endpoint.set_faults(Faults::default());
    tokio::time::sleep(Duration::from_secs(10)).await;
    world.expect_ready("App", "web")
}
