//! GET, LIST, discovery and resources that come and go.

use anyhow::Result;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, Preconditions};
use kube::discovery::{ApiResource, Discovery};
use moorage_fake::{Resource, Server};
use serde_json::json;

use crate::config_map;

fn names<K: kube::Resource>(items: &[K]) -> Vec<String> {
    items.iter().map(|item| item.meta().name.clone().unwrap_or_default()).collect()
}

#[tokio::test(start_paused = true)]
async fn lists_select_and_page_over_one_snapshot() -> Result<()> {
    let server = Server::new();
    for name in ["a", "b", "c", "d", "e"] {
        server.create(config_map(name, if name < "d" { "x" } else { "y" }, "1"))?;
    }
    let api: Api<ConfigMap> = Api::default_namespaced(server.client());
    assert_eq!(names(&api.list(&ListParams::default().labels("app=x")).await?.items), ["a", "b", "c"]);
    assert_eq!(names(&api.list(&ListParams::default().fields("metadata.name=d")).await?.items), ["d"]);

    let first = api.list(&ListParams::default().limit(2)).await?;
    assert_eq!(names(&first.items), ["a", "b"]);
    assert_eq!(first.metadata.remaining_item_count, Some(3));
    server.create(config_map("aa", "x", "1"))?;
    let token = first.metadata.continue_.unwrap_or_default();
    let second = api.list(&ListParams::default().limit(9).continue_token(&token)).await?;
    assert_eq!(names(&second.items), ["c", "d", "e"], "the later object is not part of the snapshot");
    assert_eq!(second.metadata.resource_version, first.metadata.resource_version);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_page_from_before_a_compaction_is_gone() -> Result<()> {
    let server = Server::new();
    server.create(config_map("a", "x", "1"))?;
    server.create(config_map("b", "x", "1"))?;
    let api: Api<ConfigMap> = Api::default_namespaced(server.client());
    let first = api.list(&ListParams::default().limit(1)).await?;
    server.compact();
    let token = first.metadata.continue_.unwrap_or_default();
    let error = api.list(&ListParams::default().continue_token(&token)).await.unwrap_err();
    assert!(matches!(error, kube::Error::Api(status) if status.code == 410 && status.reason == "Expired"));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn metadata_only_reads_carry_no_body() -> Result<()> {
    let server = Server::new();
    server.create(config_map("a", "x", "1"))?;
    let api: Api<ConfigMap> = Api::default_namespaced(server.client());
    let list = api.list_metadata(&ListParams::default()).await?;
    assert_eq!(names(&list.items), ["a"]);
    assert_eq!(api.get_metadata("a").await?.metadata.labels.unwrap_or_default()["app"], "x");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_resource_is_missing_until_it_is_installed() -> Result<()> {
    let server = Server::new();
    let route = ApiResource {
        group: "gateway.networking.k8s.io".into(),
        version: "v1".into(),
        api_version: "gateway.networking.k8s.io/v1".into(),
        kind: "HTTPRoute".into(),
        plural: "httproutes".into(),
    };
    let api: Api<DynamicObject> = Api::default_namespaced_with(server.client(), &route);
    let error = api.list(&ListParams::default()).await.unwrap_err();
    assert!(matches!(error, kube::Error::Api(status) if status.code == 404));

    server.install(Resource::custom("gateway.networking.k8s.io/v1", "HTTPRoute", "httproutes"));
    assert!(api.list(&ListParams::default()).await?.items.is_empty());
    server.uninstall("httproutes.gateway.networking.k8s.io");
    assert!(api.list(&ListParams::default()).await.is_err());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn both_forms_of_discovery_show_the_table() -> Result<()> {
    let server = Server::new();
    let plain = Discovery::new(server.client()).run().await?;
    let aggregated = Discovery::new(server.client()).run_aggregated().await?;
    for discovery in [&plain, &aggregated] {
        let group = discovery.get("moorage.dev").expect("the group is served");
        let (resource, _) = group.recommended_kind("App").expect("the kind is served");
        assert_eq!(resource.plural, "apps");
        assert!(!discovery.has_group("gateway.networking.k8s.io"));
    }
    assert_eq!(server.client().apiserver_version().await?.minor, "36");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn deletes_honour_their_preconditions() -> Result<()> {
    let server = Server::new();
    server.create(config_map("a", "x", "1"))?;
    let api: Api<ConfigMap> = Api::default_namespaced(server.client());
    let seen = api.get("a").await?.metadata;
    server.edit("ConfigMap", "default", "a", |object| {
        object["data"]["entry"] = json!("2");
    })?;
    let guarded = |version: Option<String>| {
        let preconditions = Preconditions { uid: seen.uid.clone(), resource_version: version };
        DeleteParams { preconditions: Some(preconditions), ..DeleteParams::background() }
    };
    let error = api.delete("a", &guarded(seen.resource_version.clone())).await.unwrap_err();
    assert!(matches!(error, kube::Error::Api(status) if status.is_conflict()));
    let now = api.get("a").await?.metadata.resource_version;
    api.delete("a", &guarded(now)).await?;
    assert!(server.get("ConfigMap", "default", "a").is_none());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn writes_need_a_namespace_that_is_there_and_stays() -> Result<()> {
    let server = Server::new();
    let api: Api<ConfigMap> = Api::namespaced(server.client(), "team");
    let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
    let apply = PatchParams::apply("m").force();
    let error = api.patch("a", &apply, &Patch::Apply(&body)).await.unwrap_err();
    assert!(matches!(error, kube::Error::Api(status) if status.code == 404));
    server.apply("{apiVersion: v1, kind: Namespace, metadata: {name: team}}")?;
    api.patch("a", &apply, &Patch::Apply(&body)).await?;
    server.delete("Namespace", "", "team")?;
    let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b"}});
    let error = api.patch("b", &apply, &Patch::Apply(&body)).await.unwrap_err();
    assert!(matches!(error, kube::Error::Api(status) if status.is_forbidden()));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_service_that_turns_inward_loses_what_only_the_outside_needs() -> Result<()> {
    let server = Server::new();
    let service = |kind: &str| {
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "default"},
            "spec": {"type": kind, "ports": [{"port": 80}]},
        })
    };
    let outward = server.apply_as("a", service("LoadBalancer"))?;
    assert_eq!(outward["spec"]["externalTrafficPolicy"], "Cluster");
    let inward = server.apply_as("a", service("ClusterIP"))?;
    for field in ["externalTrafficPolicy", "allocateLoadBalancerNodePorts"] {
        assert!(inward["spec"].get(field).is_none(), "{inward}");
    }
    assert!(inward["spec"]["ports"][0].get("nodePort").is_none(), "{inward}");
    Ok(())
}
