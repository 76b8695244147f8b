//! A panic is told on the object that it happened for. That it reaches no other is shown in `src/shell/run.rs`.

use super::scenarios::SHOP;
use anyhow::{Result, ensure};
use moorage::api::App;
use moorage::core::kind::ParentKind;
use moorage::core::plan::PlanSettings;
use moorage::shell::context::Context;
use moorage::shell::intake::take_parent;
use moorage::shell::key::{Key, ParentKey};
use moorage::shell::leader;
use moorage::shell::metrics::Metrics;
use moorage::shell::reconcile::tell_panic;
use moorage::shell::scope::Scope;
use moorage::shell::writer::Writer;
use moorage_fake::Faults;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

#[tokio::test(start_paused = true)]
async fn a_panic_is_told_on_its_object() -> Result<()> {
    let (world, replica) = SHOP.play(Faults::default()).await?;
    replica.stop().await;
    let client = world.server.connect("second").client();
    let election = super::world::settings("second").election();
    let (mut leadership, _task) =
        leader::start(client.clone(), election, Metrics::new(), watch::channel(true).1, CancellationToken::new());
    while !leadership.is_leader() {
        leadership.changed().await;
    }
    let settings = PlanSettings::default();
    let context = Context::new(Writer::new(client, leadership, None), settings, Scope::default(), 4, Metrics::new());
    let live = moorage::core::live::Live::new(world.server.get("App", "default", "shop").unwrap());
    take_parent(&context, ParentKind::App, live);
    tell_panic::<App>(&context, &ParentKey::new(ParentKind::App, Key::new("default", "shop")), "index 7").await?;
    let stalled = world.condition("App", "shop", "Stalled").unwrap_or_default();
    ensure!(stalled["reason"] == "InternalError", "{stalled}");
    ensure!(
        stalled["message"].as_str().is_some_and(|text| text.contains("index 7") && text.contains("report")),
        "{stalled}"
    );
    Ok(())
}
