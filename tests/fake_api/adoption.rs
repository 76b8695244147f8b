//! What somebody else made is taken only by the consent of both sides.

use super::scenarios::{adopt_volume, consent, create_volume, grow_claim, refuse};
use super::world::World;
use anyhow::{Context, Result, ensure};
use moorage_fake::{Fault, Faults};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Waits until the claim's Ready condition says that, for a while.
async fn told(world: &World, words: &str) -> Result<()> {
    let since = Instant::now();
    loop {
        let ready = world.condition("StorageClaim", "data", "Ready").unwrap_or_default();
        if ready["message"].as_str().is_some_and(|message| message.contains(words)) {
            return Ok(());
        }
        ensure!(since.elapsed() < Duration::from_secs(180), "{ready}\n{}", world.summary());
        sleep(Duration::from_millis(100)).await;
    }
}

/// Whether the operator wrote into the volume.
fn is_marked(world: &World) -> Result<bool> {
    let volume = world.server.get("PersistentVolumeClaim", "default", "data").context("the volume is gone")?;
    let managers = volume["metadata"]["managedFields"].as_array().context("no managedFields")?;
    Ok(managers.iter().any(|entry| entry["manager"] == "moorage"))
}

#[tokio::test(start_paused = true)]
async fn a_volume_that_does_not_consent_is_untouched_and_the_user_told_how_it_would() -> Result<()> {
    let world = World::new();
    let _replica = world.start("first", Faults::default()).await;
    create_volume(&world.server)?;
    adopt_volume(&world.server)?;
    let command = "have it, with its data, run: kubectl -n default annotate pvc data moorage.dev/adoptable=data;";
    told(&world, command).await?;
    refuse(&world.server)?;
    grow_claim(&world.server)?;
    sleep(Duration::from_secs(120)).await;
    told(&world, command).await?;
    ensure!(!is_marked(&world)?, "consent to another claim is none");
    // No watch shows strangers' objects, but whoever is refused looks again.
    consent(&world.server)?;
    told(&world, "bound to").await
}

/// The consent is withdrawn when it was read and nothing is written yet.
#[tokio::test(start_paused = true)]
async fn consent_counts_as_it_stands_when_the_volume_is_marked() -> Result<()> {
    let world = World::new();
    create_volume(&world.server)?;
    consent(&world.server)?;
    adopt_volume(&world.server)?;
    let (server, looks) = (world.server.clone(), Arc::new(AtomicUsize::new(0)));
    let withdraw = Faults::new(move |call| {
        if call.resource == "persistentvolumeclaims" && call.verb == "get" {
            looks.fetch_add(1, Ordering::Relaxed);
        } else if call.resource == "persistentvolumeclaims" && call.is_write() && looks.load(Ordering::Relaxed) == 1 {
            refuse(&server).unwrap();
        }
        Fault::None
    });
    let _replica = world.start("first", withdraw).await;
    told(&world, "kubectl -n default annotate pvc data").await?;
    ensure!(!is_marked(&world)?, "it was marked\n{}", world.summary());
    Ok(())
}
