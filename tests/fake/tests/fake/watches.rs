//! WATCH: selectors, bookmarks, ends and silences.

use std::pin::Pin;
use std::time::Duration;

use anyhow::{Context, Result};
use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, WatchEvent, WatchParams};
use moorage_fake::{Resource, Server};
use serde_json::json;
use tokio::time::{Instant, timeout};

use crate::config_map;

type Events = Pin<Box<dyn Stream<Item = kube::Result<WatchEvent<ConfigMap>>> + Send>>;

async fn watch(server: &Server, params: &WatchParams, version: &str) -> Result<Events> {
    let api: Api<ConfigMap> = Api::default_namespaced(server.client());
    Ok(api.watch(params, version).await?.boxed())
}

/// `+a`, `~a`, `-a`, `bookmark` or the error's code.
async fn next(events: &mut Events) -> Result<String> {
    let event = timeout(Duration::from_secs(3600), events.next()).await?.context("the watch ended")??;
    let name = |object: &ConfigMap| object.metadata.name.clone().unwrap_or_default();
    Ok(match event {
        WatchEvent::Added(object) => format!("+{}", name(&object)),
        WatchEvent::Modified(object) => format!("~{}", name(&object)),
        WatchEvent::Deleted(object) => format!("-{}", name(&object)),
        WatchEvent::Bookmark(_) => "bookmark".to_owned(),
        WatchEvent::Error(status) => status.code.to_string(),
    })
}

fn relabel(server: &Server, name: &str, label: &str) -> Result<()> {
    server.edit("ConfigMap", "default", name, |object| {
        object["metadata"]["labels"]["app"] = json!(label);
    })?;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn objects_enter_and_leave_as_their_labels_change() -> Result<()> {
    let server = Server::new();
    let version = server.resource_version().to_string();
    let mut events = watch(&server, &WatchParams::default().labels("app=x"), &version).await?;
    server.create(config_map("other", "y", "1"))?;
    server.create(config_map("a", "x", "1"))?;
    assert_eq!(next(&mut events).await?, "+a");
    relabel(&server, "other", "x")?;
    assert_eq!(next(&mut events).await?, "+other");
    server.edit("ConfigMap", "default", "a", |object| {
        object["data"]["entry"] = json!("2");
    })?;
    assert_eq!(next(&mut events).await?, "~a");
    relabel(&server, "a", "y")?;
    assert_eq!(next(&mut events).await?, "-a");
    server.delete("ConfigMap", "default", "a")?;
    server.delete("ConfigMap", "default", "other")?;
    assert_eq!(next(&mut events).await?, "-other", "the deletion of a stranger is not shown");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn history_is_replayed_from_the_version_asked_for() -> Result<()> {
    let server = Server::new();
    let version = server.resource_version().to_string();
    server.create(config_map("a", "x", "1"))?;
    relabel(&server, "a", "y")?;
    server.delete("ConfigMap", "default", "a")?;
    let mut events = watch(&server, &WatchParams::default(), &version).await?;
    for expected in ["+a", "~a", "-a"] {
        assert_eq!(next(&mut events).await?, expected);
    }
    server.create(config_map("b", "x", "1"))?;
    let mut events = watch(&server, &WatchParams::default(), "0").await?;
    assert_eq!(next(&mut events).await?, "+b", "from 0 a watch begins with what there is");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn bookmarks_come_each_minute_and_the_end_on_time() -> Result<()> {
    let server = Server::new();
    let version = server.resource_version().to_string();
    let start = Instant::now();
    let mut events = watch(&server, &WatchParams::default().timeout(100), &version).await?;
    assert_eq!(next(&mut events).await?, "bookmark");
    assert_eq!(start.elapsed().as_secs(), 60);
    assert_eq!(next(&mut events).await?, "bookmark");
    assert!(events.next().await.is_none());
    assert_eq!(start.elapsed().as_secs(), 100);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_compacted_version_is_gone() -> Result<()> {
    let server = Server::new();
    let version = server.resource_version().to_string();
    let mut open = watch(&server, &WatchParams::default(), &version).await?;
    server.compact();
    assert_eq!(next(&mut watch(&server, &WatchParams::default(), &version).await?).await?, "410");
    server.create(config_map("a", "x", "1"))?;
    assert_eq!(next(&mut open).await?, "+a", "an open watch survives a compaction");
    server.expire_watches();
    assert_eq!(next(&mut open).await?, "410");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn watches_break_and_end_with_their_resource() -> Result<()> {
    let server = Server::new();
    let version = server.resource_version().to_string();
    let mut events = watch(&server, &WatchParams::default(), &version).await?;
    server.break_watches();
    assert!(!matches!(events.next().await, Some(Ok(_))));

    server.uninstall("configmaps");
    server.install(Resource::builtin("v1", "ConfigMap", "configmaps"));
    let mut events = watch(&server, &WatchParams::default(), &version).await?;
    server.uninstall("configmaps");
    assert!(events.next().await.is_none());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_frozen_watch_is_silent_until_it_thaws() -> Result<()> {
    let server = Server::new();
    let version = server.resource_version().to_string();
    let mut events = watch(&server, &WatchParams::default(), &version).await?;
    server.freeze("configmaps");
    server.create(config_map("a", "x", "1"))?;
    let silence = timeout(Duration::from_secs(1000), events.next()).await;
    assert!(silence.is_err(), "neither event, nor bookmark, nor end");
    server.thaw("configmaps");
    assert_eq!(next(&mut events).await?, "+a");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_streaming_list_marks_its_end() -> Result<()> {
    let server = Server::new();
    server.create(config_map("a", "x", "1"))?;
    let params = WatchParams::default().initial_events();
    let mut events = watch(&server, &params, "0").await?;
    assert_eq!(next(&mut events).await?, "+a");
    let Some(Ok(WatchEvent::Bookmark(bookmark))) = events.next().await else {
        anyhow::bail!("expected a bookmark");
    };
    assert_eq!(bookmark.metadata.annotations["k8s.io/initial-events-end"], "true");
    Ok(())
}
