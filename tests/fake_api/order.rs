//! Answers and watches overtake each other: what is older never replaces what is newer, and what is gone stays gone.

use super::watches::WEB;
use super::world::World;
use anyhow::{Result, ensure};
use moorage_fake::{Call, Fault, Faults};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The children of [`WEB`], and the plurals of their kinds.
const CHILDREN: [(&str, &str); 3] =
    [("ServiceAccount", "serviceaccounts"), ("Deployment", "deployments"), ("Service", "services")];
/// How late an answer comes; each step of a test takes half of that.
const LATE: Duration = Duration::from_secs(2);

/// The first request of that verb meets a fault, others don't.
fn first(verb: &'static str, plural: &'static str, fault: Fault) -> impl Fn(&Call) -> Fault + Send + Sync {
    let count = AtomicU32::new(0);
    move |call| {
        let hit = call.verb == verb && call.resource == plural && count.fetch_add(1, Ordering::Relaxed) == 0;
        if hit { fault.clone() } else { Fault::None }
    }
}

/// The answer to a creation comes when the object has been deleted, and the watch has told so.
#[tokio::test(start_paused = true)]
async fn a_late_answer_about_what_is_gone_brings_no_ghost() -> Result<()> {
    for (kind, plural) in CHILDREN {
        let world = World::new();
        let mut replica = world.start("first", Faults::new(first("patch", plural, Fault::Late(LATE)))).await;
        world.server.apply(WEB)?;
        tokio::time::sleep(LATE / 2).await;
        ensure!(world.has(kind, "web"), "no {kind} was made\n{}", world.summary());
        world.server.delete(kind, "default", "web")?;
        world.rest(&mut replica).await?;
        ensure!(world.has(kind, "web"), "the {kind} did not come back\n{}", world.summary());
        world.expect_ready("App", "web")?;
        world.server.delete("App", "default", "web")?;
        world.rest(&mut replica).await?;
        world.server.apply(WEB)?;
        world.rest(&mut replica).await?;
        world.expect_ready("App", "web")?;
    }
    Ok(())
}

/// The same for a read: a creation whose answer was lost is found out by reading, and that answer comes late.
#[tokio::test(start_paused = true)]
async fn a_late_look_at_what_is_gone_brings_no_ghost() -> Result<()> {
    for (kind, plural) in CHILDREN {
        let world = World::new();
        let (lost, late) = (first("patch", plural, Fault::DropAfterCommit), first("get", plural, Fault::Late(LATE)));
        let mut replica = world.start("first", Faults::default()).await;
        world.rest(&mut replica).await?;
        replica.endpoint.set_faults(Faults::new(move |call| match lost(call) {
            Fault::None => late(call),
            fault => fault,
        }));
        world.server.freeze(plural);
        world.server.apply(WEB)?;
        let reads = || world.server.count_requests(|entry| entry.call.verb == "get" && entry.call.resource == plural);
        while reads() == 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        world.server.thaw(plural);
        world.server.delete(kind, "default", "web")?;
        world.rest(&mut replica).await?;
        ensure!(world.has(kind, "web"), "the {kind} did not come back\n{}", world.summary());
        world.expect_ready("App", "web")?;
    }
    Ok(())
}

/// A child that is made while the list of its kind is under way is neither made twice nor lost, and one that is deleted then
/// comes back.
#[tokio::test(start_paused = true)]
async fn a_list_that_is_older_than_an_answer_loses_nothing() -> Result<()> {
    for (kind, plural) in CHILDREN {
        for deleted in [false, true] {
            let world = World::new();
            let mut replica = world.start("first", Faults::default()).await;
            world.rest(&mut replica).await?;
            replica.endpoint.set_faults(Faults::on("list", plural, Fault::Late(4 * LATE)));
            world.server.break_watches();
            world.server.compact();
            // By now every other watch is back.
            tokio::time::sleep(LATE).await;
            world.server.apply(WEB)?;
            tokio::time::sleep(LATE / 2).await;
            let uid = |object: Option<Value>| object.map(|object| object["metadata"]["uid"].clone());
            let made = uid(world.server.get(kind, "default", "web"));
            ensure!(made.is_some(), "no {kind} was made\n{}", world.summary());
            if deleted {
                world.server.delete(kind, "default", "web")?;
            }
            world.rest(&mut replica).await?;
            world.expect_ready("App", "web")?;
            let stands = uid(world.server.get(kind, "default", "web"));
            ensure!(stands.is_some() && (stands == made) != deleted, "{kind}: {made:?} became {stands:?}");
        }
    }
    Ok(())
}

/// The answer to a status write tells an edit before the watch does: the edit is carried out all the same.
#[tokio::test(start_paused = true)]
async fn an_edit_that_a_status_brings_is_carried_out() -> Result<()> {
    let world = World::new();
    let mut replica = world.start("first", Faults::default()).await;
    world.rest(&mut replica).await?;
    world.server.freeze("apps");
    let edited = Arc::new(AtomicU32::new(0));
    let (server, count) = (world.server.clone(), Arc::clone(&edited));
    world.server.apply(WEB)?;
    world.server.thaw("apps");
    // Just before the first status is written, the image is changed, and the watch is held back.
    replica.endpoint.set_faults(Faults::new(move |call| {
        let status = call.resource == "apps" && call.subresource.as_deref() == Some("status");
        if status && count.fetch_add(1, Ordering::Relaxed) == 0 {
            server.freeze("apps");
            let _ = server.apply(&WEB.replace("web:1", "web:2"));
        }
        Fault::None
    }));
    while edited.load(Ordering::Relaxed) == 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(LATE).await;
    world.server.thaw("apps");
    world.rest(&mut replica).await?;
    let deployment = world.server.get("Deployment", "default", "web").unwrap_or_default();
    let image = &deployment["spec"]["template"]["spec"]["containers"][0]["image"];
    ensure!(image == "web:2", "the image is {image}\n{}", world.summary());
    Ok(())
}

/// A standby hears of the children before it hears of what their App declares, compares them with nothing or with what was
/// declared before, and hears of them no more. When it comes to lead it looks at each, and writes nothing.
#[tokio::test(start_paused = true)]
async fn who_heard_of_children_first_looks_before_it_writes() -> Result<()> {
    for known_before in [false, true] {
        let world = World::new();
        let mut first = world.start("first", Faults::default()).await;
        world.rest(&mut first).await?;
        let mut second = world.start("second", Faults::default()).await;
        if known_before {
            world.server.apply(&WEB.replace("web:1", "web:0"))?;
        }
        world.rest(&mut second).await?;
        second.endpoint.set_faults(Faults::on("watch", "apps", Fault::Stall(5 * LATE)));
        world.server.break_watches();
        tokio::time::sleep(LATE).await;
        world.server.apply(WEB)?;
        tokio::time::sleep(LATE).await;
        second.endpoint.set_faults(Faults::default());
        world.rest(&mut second).await?;
        drop(first);
        world.rest(&mut second).await?;
        let asked = |verb: &str| {
            world.server.count_requests(|entry| {
                entry.call.client == "second" && entry.call.verb == verb && entry.call.name.as_deref() == Some("web")
            })
        };
        let changed = if known_before { 1 } else { CHILDREN.len() };
        ensure!((asked("get"), asked("patch")) == (changed, 0), "known before: {known_before}\n{}", world.summary());
        world.expect_ready("App", "web")?;
    }
    Ok(())
}
