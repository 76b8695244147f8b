//! What one tenant does costs another little.

use super::watches::WEB;
use super::world::World;
use anyhow::{Result, ensure};
use moorage::core::facts::{Claim, Facts};
use moorage::core::kind::ParentKind;
use moorage::core::reference::{Reference, ReferenceKind};
use moorage::shell::body::Body;
use moorage::shell::cache::{Caches, ParentEntry};
use moorage::shell::key::{Key, ParentKey};
use moorage_fake::{Call, Entry, Fault, Faults};
use std::time::Duration;

/// A namespace whose every write takes as long as a write may, as one does whose admission webhook hangs.
#[tokio::test(start_paused = true)]
async fn a_slow_namespace_does_not_keep_others_waiting() -> Result<()> {
    let slow = |call: &Call| call.namespace.as_deref() == Some("slow") && call.is_write();
    let faults = Faults::new(move |call| if slow(call) { Fault::Late(Duration::from_secs(11)) } else { Fault::None });
    let world = World::new();
    let mut replica = world.start("first", faults).await;
    world.rest(&mut replica).await?;
    for number in 0..40 {
        let name = format!("name: web-{number}, namespace: slow");
        world.server.apply(&WEB.replace("name: web, namespace: default", &name))?;
    }
    for second in 0..60 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let name = format!("name: web-{second}, namespace: default");
        world.server.apply(&WEB.replace("name: web, namespace: default", &name))?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        ensure!(world.has("Service", &format!("web-{second}")), "not made within a second\n{}", world.summary());
    }
    Ok(())
}

/// Apps that are larger than is read of one are told so, keep what runs, and are carried out when they are smaller; a list of them
/// comes in pages that fit, also at a restart.
#[tokio::test(start_paused = true)]
async fn what_is_too_large_is_told_and_harms_nobody() -> Result<()> {
    let grown = |name: &str| {
        WEB.replace("name: web,", &format!("name: {name},"))
            .replace("image:", &format!("args: [{}], image:", "x".repeat(600 << 10)))
    };
    let world = World::new();
    let mut replica = world.start("first", Faults::default()).await;
    world.server.apply(WEB)?;
    world.rest(&mut replica).await?;
    world.expect_ready("App", "web")?;
    let before = world.server.get("Deployment", "default", "web");
    let names: Vec<String> = (0..12).map(|number| format!("web-{number}")).chain(["web".to_owned()]).collect();
    for name in &names {
        world.server.apply(&grown(name))?;
    }
    for start in ["first", "second"] {
        world.rest(&mut replica).await?;
        for name in &names {
            let stalled = world.condition("App", name, "Stalled").unwrap_or_default();
            ensure!(stalled["reason"] == "TooLarge", "{start}: {name}: {stalled}");
        }
        ensure!(world.server.get("Deployment", "default", "web") == before, "what ran was changed");
        drop(replica);
        replica = world.start("second", Faults::default()).await;
    }
    world.rest(&mut replica).await?;
    let is_page = |entry: &Entry| entry.call.summary() == "list apps" && entry.call.client == "second";
    let pages = world.server.count_requests(is_page);
    ensure!(2 * pages > names.len(), "{} Apps came in {pages} pages", names.len());
    let cost = world.cost();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    ensure!(world.cost() == cost, "{} requests in an hour of rest\n{}", world.cost() - cost, world.summary());
    for name in &names {
        world.server.apply(&WEB.replace("name: web,", &format!("name: {name},")))?;
    }
    world.rest(&mut replica).await?;
    for name in &names {
        world.expect_ready("App", name)?;
    }
    ensure!(world.server.get("Deployment", "default", "web") == before, "what ran was changed");
    Ok(())
}

/// Of a claim, whoever mounts it is told what concerns a mount, and nothing else.
#[test]
fn who_mounts_a_claim_is_woken_by_what_concerns_it() {
    let parent = |kind, name: &str| ParentKey::new(kind, Key::new("default", name));
    let (claim, app) = (parent(ParentKind::StorageClaim, "data"), parent(ParentKind::App, "shop"));
    let entry = |version, claims: &[&str], facts| ParentEntry {
        version,
        uid: "uid".into(),
        body: Body::new(&serde_json::json!({})),
        declared: 0,
        too_large: false,
        references: claims.iter().map(|name| Reference::new(ReferenceKind::StorageClaim, name)).collect(),
        facts,
    };
    let state = |ready| Facts::Claim(Box::new(Claim { ready, ..Claim::default() }));
    let mut caches = Caches::default();
    caches.set_parent(&app, entry(1, &["data"], Facts::None));
    let both = vec![app, claim.clone()];
    assert_eq!(caches.set_parent(&claim, entry(2, &[], state(false))), both, "it is there");
    assert_eq!(caches.set_parent(&claim, entry(3, &[], state(false))), both[1..], "an annotation");
    assert_eq!(caches.set_parent(&claim, entry(4, &[], state(true))), both, "it is ready");
    assert_eq!(caches.written_parent(&claim, entry(5, &[], state(true))), [], "a condition");
    assert_eq!(caches.written_parent(&claim, entry(6, &[], state(false))), both[..1], "no longer ready");
}
