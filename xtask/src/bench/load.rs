//! The load: Apps, or the children that the operator would make of them, over 32 requests in flight.

use std::{
    collections::BTreeSet,
    fmt,
    pin::pin,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use kube::{
    Api, Client,
    api::{DynamicObject, Patch, PatchParams},
    core::{ApiResource, GroupVersionKind},
    runtime::watcher,
};
use moorage::{
    core::{meta::CONFIG_HASH, plan::PlanSettings},
    generate::render::objects,
};
use moorage_harness::ControlPlane;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

/// Where the load goes.
pub const NAMESPACE: &str = "bench";
/// Requests in flight.
const CONNECTIONS: usize = 32;
/// How long any part may take.
const DEADLINE: Duration = Duration::from_mins(30);

/// In which order a raw client applies the children of many Apps.
#[derive(Clone, Copy)]
pub enum Order {
    /// All `ServiceAccounts`, then all Deployments, then all Services.
    KindByKind,
    /// All children of one App, then those of the next.
    ResourceByResource,
}

impl fmt::Display for Order {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::KindByKind => "kind by kind",
            Self::ResourceByResource => "resource by resource",
        })
    }
}

/// One App of the load.
pub fn app(index: usize) -> Value {
    json!({
        "apiVersion": "moorage.dev/v1alpha1",
        "kind": "App",
        "metadata": {"name": name(index), "namespace": NAMESPACE},
        "spec": {
            "image": "registry.example.com/team/web:1",
            "replicas": 1,
            "env": [{"name": "MODE", "value": "bench"}],
            "ports": [{"port": 8080}],
            "readinessProbe": {"httpGet": {"path": "/", "port": 8080}},
            "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
        },
    })
}

/// Its name.
pub fn name(index: usize) -> String {
    format!("app-{index:05}")
}

fn api(client: Client, group: &str, version: &str, kind: &str) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    Api::namespaced_with(client, NAMESPACE, &resource)
}

fn apps(client: Client) -> Api<DynamicObject> {
    api(client, "moorage.dev", "v1alpha1", "App")
}

async fn apply(client: Client, object: Value) -> Result<()> {
    let (group, version) = object["apiVersion"].as_str().and_then(|text| text.split_once('/')).unwrap_or(("", "v1"));
    let kind = object["kind"].as_str().context("an object without kind")?;
    let name = object["metadata"]["name"].as_str().context("an object without name")?.to_owned();
    let params = PatchParams::apply("bench").force();
    api(client, group, version, kind).patch(&name, &params, &Patch::Apply(&object)).await?;
    Ok(())
}

/// Applies every object.
pub async fn apply_all(rig: &ControlPlane, objects: impl Iterator<Item = Value>) -> Result<()> {
    stream::iter(objects.map(|object| Ok(apply(rig.client(), object))))
        .try_buffer_unordered(CONNECTIONS)
        .try_collect()
        .await
}

/// Applies the children that the operator would make, without owner references, as there is no owner.
pub async fn apply_children(rig: &ControlPlane, count: usize, order: Order) -> Result<()> {
    let settings = PlanSettings::default();
    let mut children = Vec::new();
    for index in 0..count {
        for (rank, object) in
            objects(app(index), &settings).map_err(|errors| anyhow!(errors.join("; ")))?.into_iter().enumerate()
        {
            let mut body = object.body;
            body["metadata"].as_object_mut().context("no metadata")?.remove("ownerReferences");
            children.push(((rank, index), body));
        }
    }
    if matches!(order, Order::KindByKind) {
        children.sort_by_key(|(place, _)| *place);
    }
    apply_all(rig, children.into_iter().map(|(_, body)| body)).await
}

/// Gives every App another image.
pub async fn change_images(rig: &ControlPlane, count: usize) -> Result<()> {
    let api = apps(rig.client());
    let patch = json!({"spec": {"image": "registry.example.com/team/web:2"}});
    stream::iter(0..count)
        .map(|index| {
            let (api, patch) = (api.clone(), &patch);
            async move { api.patch(&name(index), &PatchParams::default(), &Patch::Merge(patch)).await.map(drop) }
        })
        .buffer_unordered(CONNECTIONS)
        .try_collect()
        .await
        .map_err(Into::into)
}

/// Watches until every Deployment has rolled out; when that was.
pub fn rollouts(client: Client, count: usize) -> JoinHandle<Result<Instant>> {
    until_all(api(client, "apps", "v1", "Deployment"), count, has_rolled_out)
}

/// Watches until every Deployment has rolled out a change of its configuration; when that was.
pub fn restarts(client: Client, count: usize) -> JoinHandle<Result<Instant>> {
    until_all(api(client, "apps", "v1", "Deployment"), count, |deployment| {
        let annotations = &deployment.data["spec"]["template"]["metadata"]["annotations"];
        annotations[CONFIG_HASH].is_string() && has_rolled_out(deployment)
    })
}

fn has_rolled_out(deployment: &DynamicObject) -> bool {
    let status = &deployment.data["status"];
    status["observedGeneration"].as_i64() == deployment.metadata.generation && status["availableReplicas"] == 1
}

/// Watches until every App is Ready in that generation; when that was.
pub fn ready(client: Client, count: usize, generation: i64) -> JoinHandle<Result<Instant>> {
    until_all(apps(client), count, move |app| {
        let conditions = app.data["status"]["conditions"].as_array().into_iter().flatten();
        let mut ready = conditions.filter(|condition| condition["type"] == "Ready");
        ready.any(|condition| condition["status"] == "True" && condition["observedGeneration"] == generation)
    })
}

fn until_all(
    api: Api<DynamicObject>,
    count: usize,
    done: impl Fn(&DynamicObject) -> bool + Send + Sync + 'static,
) -> JoinHandle<Result<Instant>> {
    tokio::spawn(async move {
        let mut names = BTreeSet::new();
        let follow = async {
            let mut stream = pin!(watcher(api, watcher::Config::default()));
            while let Some(event) = stream.next().await {
                let (watcher::Event::Apply(object) | watcher::Event::InitApply(object)) = event? else { continue };
                if done(&object) && names.insert(object.metadata.name.clone()) && names.len() == count {
                    return Ok(Instant::now());
                }
            }
            Err(anyhow!("the watch ended"))
        };
        tokio::time::timeout(DEADLINE, follow).await.context("not done in time")?
    })
}

/// Edits one App's environment; how long until its Deployment has it.
pub async fn edit(rig: &ControlPlane, round: usize) -> Result<Duration> {
    let value = round.to_string();
    let deployments = api(rig.client(), "apps", "v1", "Deployment");
    let config = watcher::Config::default().fields(&format!("metadata.name={}", name(0)));
    let mut stream = pin!(watcher(deployments, config));
    while !matches!(stream.try_next().await?, Some(watcher::Event::InitDone)) {}
    let begin = Instant::now();
    let patch = json!({"spec": {"env": [{"name": "MODE", "value": value}]}});
    apps(rig.client()).patch(&name(0), &PatchParams::default(), &Patch::Merge(&patch)).await?;
    let follow = async {
        while let Some(event) = stream.try_next().await? {
            if let watcher::Event::Apply(deployment) = event
                && deployment.data["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"] == value.as_str()
            {
                return Ok(begin.elapsed());
            }
        }
        Err(anyhow!("the watch ended"))
    };
    let took: Result<Duration> = tokio::time::timeout(Duration::from_secs(30), follow).await?;
    ensure!(took.is_ok(), "round {round}: {took:?}");
    took
}
