//! What one tenant does costs another little.

use super::watches::WEB;
use super::world::World;
use anyhow::{Result, ensure};
use moorage::core::facts::{Claim, Facts};
use moorage::core::kind::ParentKind;
use moorage::shell::cache::{Caches, ParentEntry};
use moorage::shell::key::{Key, ParentKey};
use moorage_fake::{Call, Fault, Faults};
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

/// Of a claim, whoever mounts it is told what concerns a mount, and nothing else.
#[test]
fn who_mounts_a_claim_is_woken_by_what_concerns_it() {
    let parent = |kind, name: &str| ParentKey::new(kind, Key::new("default", name));
    let (claim, app) = (parent(ParentKind::StorageClaim, "data"), parent(ParentKind::App, "shop"));
    let entry = |version, claims: &[&str], facts| ParentEntry {
        version,
        uid: "uid".into(),
        body: b"{}".as_slice().into(),
        claims: claims.iter().map(|name| (*name).to_owned()).collect(),
        facts,
    };
    let state = |ready| Facts::Claim(Box::new(Claim { ready, ..Claim::default() }));
    let mut caches = Caches::default();
    caches.set_parent(&app, entry(1, &["data"], Facts::None));
    let both = vec![app, claim.clone()];
    assert_eq!(caches.set_parent(&claim, entry(2, &[], state(false))), both, "it is there");
    assert_eq!(caches.set_parent(&claim, entry(3, &[], state(false))), both[1..], "an annotation");
    assert_eq!(caches.set_parent(&claim, entry(4, &[], state(true))), both, "it is ready");
    assert_eq!(caches.written_parent(&claim, 5, state(true), b"{}".as_slice().into()), [], "a condition");
    assert_eq!(caches.written_parent(&claim, 6, state(false), b"{}".as_slice().into()), both[..1], "no longer ready");
}
