//! kube-runtime against the fake, as the operator uses it.

use std::pin::Pin;
use std::time::Duration;

use anyhow::{Context, Result};
use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::Api;
use kube::runtime::finalizer::{Event as Finalize, finalizer};
use kube::runtime::watcher::{self, Event, watcher};
use kube::runtime::{WatchStreamExt, controller::Action};
use moorage_fake::{Fault, Faults, Server};
use serde_json::json;
use tokio::time::timeout;

use crate::config_map;

type Events = Pin<Box<dyn Stream<Item = watcher::Result<Event<ConfigMap>>> + Send>>;

fn watch(client: kube::Client, config: watcher::Config) -> Events {
    watcher(Api::<ConfigMap>::default_namespaced(client), config).default_backoff().boxed()
}

/// The next event that is not an error: `init`, `+a` while listing, `done`, `~a`, `-a`.
async fn next(events: &mut Events) -> Result<String> {
    let name = |object: &ConfigMap| object.metadata.name.clone().unwrap_or_default();
    loop {
        let event = timeout(Duration::from_secs(600), events.next()).await?.context("the watcher ended")?;
        return Ok(match event {
            Err(_) => continue,
            Ok(Event::Init) => "init".to_owned(),
            Ok(Event::InitApply(object)) => format!("+{}", name(&object)),
            Ok(Event::InitDone) => "done".to_owned(),
            Ok(Event::Apply(object)) => format!("~{}", name(&object)),
            Ok(Event::Delete(object)) => format!("-{}", name(&object)),
        });
    }
}

async fn expect(events: &mut Events, expected: &[&str]) -> Result<()> {
    for wanted in expected {
        assert_eq!(next(events).await?, *wanted);
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_watcher_lists_follows_and_relists_after_a_410() -> Result<()> {
    let server = Server::new();
    for name in ["a", "b", "c"] {
        server.create(config_map(name, "x", "1"))?;
    }
    let mut events = watch(server.client(), watcher::Config::default().page_size(2));
    expect(&mut events, &["init", "+a", "+b", "+c", "done"]).await?;
    server.create(config_map("d", "x", "1"))?;
    server.delete("ConfigMap", "default", "a")?;
    expect(&mut events, &["~d", "-a"]).await?;

    server.expire_watches();
    expect(&mut events, &["init", "+b", "+c", "+d", "done"]).await?;
    server.break_watches();
    server.create(config_map("e", "x", "1"))?;
    expect(&mut events, &["~e"]).await?;
    let lists = server.requests().iter().filter(|entry| entry.call.verb == "list").count();
    assert_eq!(lists, 4, "two pages twice: a broken watch resumes without listing");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_compaction_during_an_outage_forces_a_relist() -> Result<()> {
    let server = Server::new();
    server.create(config_map("a", "x", "1"))?;
    let endpoint = server.connect("operator");
    let mut events = watch(endpoint.client(), watcher::Config::default());
    expect(&mut events, &["init", "+a", "done"]).await?;
    endpoint.set_faults(Faults::on("watch", "configmaps", Fault::Status(503)));
    server.break_watches();
    let outage = timeout(Duration::from_secs(120), next(&mut events)).await;
    assert!(outage.is_err());
    server.delete("ConfigMap", "default", "a")?;
    server.compact();
    endpoint.set_faults(Faults::default());
    expect(&mut events, &["init", "done"]).await
}

#[tokio::test(start_paused = true)]
async fn the_streaming_list_works_too() -> Result<()> {
    let server = Server::new();
    server.create(config_map("a", "x", "1"))?;
    let mut events = watch(server.client(), watcher::Config::default().streaming_lists());
    expect(&mut events, &["init", "+a", "done"]).await?;
    server.create(config_map("b", "x", "1"))?;
    expect(&mut events, &["~b"]).await
}

#[tokio::test(start_paused = true)]
async fn hours_pass_in_no_time() -> Result<()> {
    let server = Server::new();
    let mut events = watch(server.client(), watcher::Config::default());
    expect(&mut events, &["init", "done"]).await?;
    let late = server.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(590)).await;
        late.create(config_map("a", "x", "1"))
    });
    expect(&mut events, &["~a"]).await?;
    let requests = server.requests();
    assert!(requests.iter().all(|entry| matches!(entry.call.verb.as_str(), "list" | "watch")));
    assert_eq!(server.writes().len(), 0);
    Ok(())
}

#[derive(Debug)]
struct Never;

impl std::fmt::Display for Never {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("never")
    }
}

impl std::error::Error for Never {}

#[tokio::test(start_paused = true)]
async fn the_finalizer_helper_goes_its_rounds() -> Result<()> {
    let server = Server::new();
    server.create(config_map("a", "x", "1"))?;
    let api: Api<ConfigMap> = Api::default_namespaced(server.client());
    let round = async || -> Result<()> {
        let object = std::sync::Arc::new(api.get("a").await?);
        let act = async |event| match event {
            Finalize::Apply(_) | Finalize::Cleanup(_) => Ok::<_, Never>(Action::await_change()),
        };
        finalizer(&api, "moorage.dev/test", object, act).await?;
        Ok(())
    };
    round().await?;
    let held = server.get("ConfigMap", "default", "a").context("a")?;
    assert_eq!(held["metadata"]["finalizers"], json!(["moorage.dev/test"]));
    server.delete("ConfigMap", "default", "a")?;
    round().await?;
    assert!(server.get("ConfigMap", "default", "a").is_none());
    Ok(())
}
