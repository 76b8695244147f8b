//! Apps are scraped by prometheus-operator's own kinds, where those are installed, and say so where they are not.

use crate::support::*;
use anyhow::{Context, Result, ensure};
use moorage_harness::{ControlPlane, Mark, OperatorOptions, Options, build::workspace, eventually};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

crate::cases![a_monitor_follows_its_app, without_the_component_the_app_says_so, the_recipe_is_true];
crate::cases![own: the_api_comes_goes_and_comes_back];

const PLURALS: [&str; 2] = ["servicemonitors", "podmonitors"];

/// Made, changed, made of the other kind, and gone with its field.
async fn a_monitor_follows_its_app(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "monitored").await?;
    let mark = control_plane.audit().mark()?;
    sandbox.apply(SEEN).await?;
    ready(&sandbox, "App", "seen").await?;
    let monitor = must_get(&sandbox, "ServiceMonitor", "seen").await?;
    ensure!(
        monitor["spec"]["endpoints"]
            == json!([{"port": "http", "path": "/metrics", "interval": "30s", "scheme": "http"}]),
        "{monitor}"
    );
    let service = must_get(&sandbox, "Service", "seen").await?;
    for (label, value) in monitor["spec"]["selector"]["matchLabels"].as_object().context("it selects nothing")? {
        ensure!(service["metadata"]["labels"][label] == *value, "it does not select the Service: {service}");
    }
    ensure!(monitor["metadata"]["labels"]["team"] == "shop", "{monitor}");
    exactly(&control_plane, &sandbox, mark, 4, |event| event.subresource.is_empty()).await?;

    let mark = control_plane.audit().mark()?;
    patch(&sandbox, "App", "seen", &json!({"spec": {"monitoring": {"path": "/stats", "interval": null}}})).await?;
    until(&sandbox, "ServiceMonitor", "seen", "to have the new path", |monitor| {
        monitor["spec"]["endpoints"] == json!([{"port": "http", "path": "/stats", "scheme": "http"}])
    })
    .await?;
    ready(&sandbox, "App", "seen").await?;
    exactly(&control_plane, &sandbox, mark, 1, |event| event.subresource.is_empty()).await?;

    patch(&sandbox, "App", "seen", &json!({"spec": {"monitoring": {"kind": "PodMonitor"}}})).await?;
    until_gone(&sandbox, "ServiceMonitor", "seen").await?;
    ready(&sandbox, "App", "seen").await?;
    let monitor = must_get(&sandbox, "PodMonitor", "seen").await?;
    ensure!(monitor["spec"]["podMetricsEndpoints"][0]["port"] == "http", "{monitor}");
    patch(&sandbox, "App", "seen", &json!({"spec": {"monitoring": null}})).await?;
    until_gone(&sandbox, "PodMonitor", "seen").await?;
    ready(&sandbox, "App", "seen").await.map(drop)
}

/// The API is there and the right is not; it is noticed when it comes.
async fn without_the_component_the_app_says_so(control_plane: Arc<ControlPlane>) -> Result<()> {
    let mut options = options();
    options.namespaced_roles.retain(|role| role != "moorage-monitoring");
    let sandbox = control_plane.sandbox("no-monitoring", options).await?;
    sandbox.apply(SEEN).await?;
    let app = reason(&sandbox, "App", "seen", "Stalled", "Denied").await?;
    ensure!(message(&app, "Ready").contains("deploy/components/monitoring"), "{}", message(&app, "Ready"));
    ensure!(is_true(&app, "Available"), "what serves is told to serve: {}", app["status"]);
    let (role, account) = ("--clusterrole=moorage-monitoring", "--serviceaccount=no-monitoring:moorage");
    sandbox.kubectl(&["create", "rolebinding", "monitoring", role, account]).await?;
    ready(&sandbox, "App", "seen").await.map(drop)
}

/// The recipe's manifests and commands, as they stand.
async fn the_recipe_is_true(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "recipe-monitoring").await?;
    let recipe = page("docs/recipes/monitoring.md")?;
    let manifests = blocks(&recipe, "yaml");
    ensure!(manifests.len() == 2, "{} manifests", manifests.len());
    for manifest in manifests {
        let applied = sandbox.apply(&manifest).await?;
        ensure!(applied.len() == 1, "a manifest with several objects");
        let name = applied[0].metadata.name.clone().context("no name")?;
        ready(&sandbox, "App", &name).await?;
    }
    let commands = blocks(&recipe, "sh").concat();
    let asked: Vec<&str> = commands.lines().filter_map(|line| line.strip_prefix("kubectl get ")).collect();
    ensure!(!asked.is_empty(), "nothing is looked at");
    for arguments in asked {
        let arguments: Vec<&str> = ["get"].into_iter().chain(arguments.split_whitespace()).collect();
        let said = sandbox.kubectl(&arguments).await?;
        ensure!(said.lines().count() > 1, "{arguments:?}: {said}");
    }
    Ok(())
}

/// How many requests a user made since the mark, but for its Lease and its watches.
fn requests(control_plane: &ControlPlane, user: &str, mark: Mark) -> Result<usize> {
    let events = control_plane.audit().by_user(user, mark)?;
    Ok(events.iter().filter(|event| event.resource != "leases" && event.verb != "watch").count())
}

/// On a control plane of its own, as CRDs are everybody's.
async fn the_api_comes_goes_and_comes_back(_shared: Arc<ControlPlane>) -> Result<()> {
    let control_plane = ControlPlane::start(Options::default()).await?;
    control_plane.install(&workspace().join("crds"), &workspace().join("deploy")).await?;
    let operator = control_plane.operator(OperatorOptions { watch_namespaces: Vec::new(), ..options() }).await?;
    operator.ready().await?;
    control_plane.apply(SEEN, "default").await?;
    control_plane.apply(COUNTED, "default").await?;
    let is = |type_: &'static str, reason: &'static str| {
        let control_plane = &control_plane;
        async move {
            for name in ["seen", "counted"] {
                eventually(DEADLINE, &format!("App {name}: {type_} {reason}"), || async {
                    let app = serde_json::to_value(control_plane.get(MOORAGE, "App", "default", name).await?)?;
                    ensure!(is_true(&app, type_) && has_reason(&app, type_, reason), "it is {}", app["status"]);
                    Ok(Some(app))
                })
                .await?;
            }
            anyhow::Ok(())
        }
    };
    is("Stalled", "ApiMissing").await?;
    is("Available", "AsExpected").await?;

    // What is absent is not asked for.
    let (mut mark, mut since) = (control_plane.audit().mark()?, Instant::now());
    eventually(DEADLINE, "a while without a request", || {
        let asked = requests(&control_plane, &operator.user(), mark);
        if asked.as_ref().map_or(true, |asked| *asked > 0) {
            (mark, since) = (control_plane.audit().mark().unwrap_or(mark), Instant::now());
        }
        let silent = since.elapsed() >= Duration::from_secs(25);
        async move { Ok(silent.then_some(())) }
    })
    .await?;

    for round in 1..=2 {
        control_plane.install_monitoring().await?;
        is("Ready", "AsExpected").await.with_context(|| format!("round {round}"))?;
        for plural in PLURALS {
            let list = control_plane.run_kubectl(&["get", plural, "--namespace=default", "--output=json"]).await?;
            let list: Value = serde_json::from_str(&list)?;
            ensure!(list["items"].as_array().is_some_and(|items| items.len() == 1), "{plural}: {list}");
        }
        for plural in PLURALS {
            let definition = format!("customresourcedefinition/{plural}.monitoring.coreos.com");
            control_plane.run_kubectl(&["delete", &definition, "--timeout=60s"]).await?;
        }
        is("Stalled", "ApiMissing").await.with_context(|| format!("round {round}"))?;
    }
    operator.ready().await?;
    ensure!(operator.process().exited()?.is_none(), "the operator ended");
    Ok(())
}
