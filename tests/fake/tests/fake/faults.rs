//! Faults and the request log.

use std::time::Duration;

use anyhow::Result;
use k8s_openapi::api::authorization::v1::SelfSubjectAccessReview;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, Error};
use moorage_fake::{Endpoint, Fault, Faults, Server};
use serde_json::json;
use tokio::time::{Instant, timeout};

async fn apply(client: Client, name: &str) -> kube::Result<ConfigMap> {
    let api: Api<ConfigMap> = Api::default_namespaced(client);
    let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
    api.patch(name, &PatchParams::apply("m").force(), &Patch::Apply(&body)).await
}

fn exists(server: &Server, name: &str) -> bool {
    server.get("ConfigMap", "default", name).is_some()
}

#[tokio::test(start_paused = true)]
async fn refusals_write_nothing_and_look_like_the_real_ones() -> Result<()> {
    let server = Server::new();
    let endpoint = server.connect("a");
    for code in [403, 409, 422, 429, 500, 503] {
        endpoint.set_faults(Faults::on("patch", "configmaps", Fault::Status(code)));
        let Err(Error::Api(status)) = apply(endpoint.client(), "a").await else {
            anyhow::bail!("{code} was not refused");
        };
        assert_eq!((status.code, exists(&server, "a")), (code, false));
    }
    endpoint.set_faults(Faults::on("", "configmaps", Fault::Refuse(403, "exceeded quota: small".to_owned())));
    let Err(Error::Api(status)) = apply(endpoint.client(), "a").await else {
        anyhow::bail!("the quota was not enforced");
    };
    assert_eq!(status.message, "exceeded quota: small");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_nth_write_fails_before_or_after_its_commit() -> Result<()> {
    let server = Server::new();
    for (fault, committed) in [(Fault::DropBefore, false), (Fault::DropAfterCommit, true)] {
        let endpoint = server.connect("a");
        endpoint.set_faults(Faults::at_write(1, fault));
        let name = format!("n{committed}");
        apply(endpoint.client(), "first").await?;
        let api: Api<ConfigMap> = Api::default_namespaced(endpoint.client());
        api.list(&ListParams::default()).await?;
        assert!(matches!(apply(endpoint.client(), &name).await, Err(Error::Service(_))));
        assert_eq!(exists(&server, &name), committed);
        apply(endpoint.client(), &name).await?;
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_hanging_request_never_answers() -> Result<()> {
    let server = Server::new();
    let endpoint = server.connect("a");
    for (fault, committed) in [(Fault::Hang, false), (Fault::HangAfterCommit, true)] {
        endpoint.set_faults(Faults::on("patch", "configmaps", fault));
        let answer = timeout(Duration::from_secs(86_400), apply(endpoint.client(), "a")).await;
        assert!(answer.is_err());
        assert_eq!(exists(&server, "a"), committed);
    }
    Ok(())
}

async fn crash_in(endpoint: &Endpoint) {
    tokio::select! {
        _ = apply(endpoint.client(), "a") => unreachable!("a crashed client sees no answer"),
        () = endpoint.crashed() => {}
    }
}

#[tokio::test(start_paused = true)]
async fn a_crashed_client_does_nothing_more() -> Result<()> {
    let server = Server::new();
    let endpoint = server.connect("a");
    endpoint.set_faults(Faults::at_request(0, Fault::CrashBefore));
    crash_in(&endpoint).await;
    assert!(!exists(&server, "a"));
    let after_death = timeout(Duration::from_secs(60), apply(endpoint.client(), "a")).await;
    assert!(after_death.is_err());
    assert!(!exists(&server, "a"));

    let successor = server.connect("a");
    successor.set_faults(Faults::at_write(0, Fault::CrashAfterCommit));
    crash_in(&successor).await;
    assert!(exists(&server, "a"));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_log_tells_who_did_what() -> Result<()> {
    let server = Server::new();
    let (a, b) = (server.connect("a"), server.connect("b"));
    apply(a.client(), "x").await?;
    apply(b.client(), "x").await?;
    apply(b.client(), "x").await?;
    b.set_faults(Faults::on("patch", "configmaps", Fault::DropAfterCommit));
    assert!(apply(b.client(), "y").await.is_err());
    let log = server.writes();
    let lines: Vec<_> = log.iter().map(|entry| (entry.call.client.as_str(), entry.code, entry.changed)).collect();
    assert_eq!(lines, [("a", Some(201), true), ("b", Some(200), false), ("b", Some(200), false), ("b", None, true)]);
    let call = &log[3].call;
    assert_eq!((call.summary().as_str(), call.ordinal, call.write), ("patch configmaps", 2, Some(2)));
    assert_eq!((call.namespace.as_deref(), call.name.as_deref()), (Some("default"), Some("y")));
    assert_eq!((call.manager.as_deref(), a.write_count(), b.request_count()), (Some("m"), 1, 3));
    assert_eq!(log[0].body.as_ref().map(|body| body["kind"].clone()), Some(json!("ConfigMap")));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn access_reviews_follow_the_fault_plan() -> Result<()> {
    let server = Server::new();
    let endpoint = server.connect("a");
    endpoint.set_faults(Faults::on("get", "secrets", Fault::Status(403)));
    let api: Api<SelfSubjectAccessReview> = Api::all(endpoint.client());
    for (resource, allowed) in [("secrets", false), ("configmaps", true)] {
        let review = serde_json::from_value(json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {"verb": "get", "resource": resource}},
        }))?;
        let answer = api.create(&PostParams::default(), &review).await?;
        assert_eq!(answer.status.map(|status| status.allowed), Some(allowed), "{resource}");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn latency_is_virtual() -> Result<()> {
    let server = Server::new();
    server.set_latency(Duration::from_millis(250));
    let start = Instant::now();
    apply(server.client(), "a").await?;
    assert_eq!(start.elapsed(), Duration::from_millis(250));
    Ok(())
}
