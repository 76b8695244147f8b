//! What the tests share: a sandbox, the resources they start from, and states to wait for.

use anyhow::{Context, Result, ensure};
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
pub use moorage_harness::page::{blocks, page, section};
use moorage_harness::{AuditEvent, ControlPlane, Mark, OperatorOptions, Sandbox, eventually};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How long any state may take. Generous: it only matters when a test fails.
pub const DEADLINE: Duration = Duration::from_secs(90);

/// The version of our three kinds.
pub const MOORAGE: &str = "moorage.dev/v1alpha1";

/// A namespace of that name with an operator that watches only it.
pub async fn sandbox(control_plane: &ControlPlane, name: &str) -> Result<Sandbox> {
    control_plane.sandbox(name, options()).await
}

/// The operator under test.
pub fn options() -> OperatorOptions {
    OperatorOptions {
        log_filter: "info,moorage=debug".to_owned(),
        ..OperatorOptions::new(env!("CARGO_BIN_EXE_moorage"))
    }
}

/// An App with a Service and nothing else.
pub const WEB: &str = "
apiVersion: moorage.dev/v1alpha1
kind: App
metadata: {name: web}
spec:
  image: registry.example.com/team/web:1
  ports: [{port: 8080}]
";

/// An App with storage of its own.
pub const SHOP: &str = "
apiVersion: moorage.dev/v1alpha1
kind: App
metadata: {name: shop}
spec:
  image: registry.example.com/team/shop:1
  ports: [{port: 8080}]
  volumes:
    - {name: data, mountPath: /data, storage: {size: 1Gi}}
";

/// An App that is scraped by its Service.
pub const SEEN: &str = "
apiVersion: moorage.dev/v1alpha1
kind: App
metadata: {name: seen}
spec:
  image: registry.example.com/team/seen:1
  ports: [{name: http, port: 8080}]
  monitoring: {path: /metrics, interval: 30s, scheme: HTTP, labels: {team: shop}}
";

/// An App whose pods are scraped.
pub const COUNTED: &str = "
apiVersion: moorage.dev/v1alpha1
kind: App
metadata: {name: counted}
spec:
  image: registry.example.com/team/counted:1
  ports: [{port: 80, containerPort: 8080}]
  monitoring: {kind: PodMonitor}
";

/// A Registry on storage of its own.
pub const IMAGES: &str = "
apiVersion: moorage.dev/v1alpha1
kind: Registry
metadata: {name: images}
spec:
  storage: {volume: {size: 1Gi}}
";

/// `apiVersion` of a kind that the tests read.
pub fn api_version(kind: &str) -> &'static str {
    match kind {
        "App" | "StorageClaim" | "Registry" => MOORAGE,
        "Deployment" | "ReplicaSet" => "apps/v1",
        "PodDisruptionBudget" => "policy/v1",
        "StorageClass" => "storage.k8s.io/v1",
        "ServiceMonitor" | "PodMonitor" => "monitoring.coreos.com/v1",
        _ => "v1",
    }
}

/// The API of a kind in the sandbox's namespace.
pub fn api(sandbox: &Sandbox, kind: &str) -> Api<DynamicObject> {
    let (group, version) = api_version(kind).split_once('/').unwrap_or(("", api_version(kind)));
    let mut resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    if kind == "Registry" {
        "registries".clone_into(&mut resource.plural);
    }
    Api::namespaced_with(sandbox.client(), &sandbox.namespace, &resource)
}

/// One object as JSON; `None` when it does not exist.
pub async fn get(sandbox: &Sandbox, kind: &str, name: &str) -> Result<Option<Value>> {
    let found = api(sandbox, kind).get_opt(name).await?;
    Ok(found.map(serde_json::to_value).transpose()?)
}

/// One object that must exist.
pub async fn must_get(sandbox: &Sandbox, kind: &str, name: &str) -> Result<Value> {
    get(sandbox, kind, name).await?.with_context(|| format!("{kind} {name} does not exist"))
}

/// Waits until an object is as `wanted` says.
pub async fn until(
    sandbox: &Sandbox,
    kind: &str,
    name: &str,
    what: &str,
    wanted: impl Fn(&Value) -> bool,
) -> Result<Value> {
    let what = format!("{kind} {name}: {what}");
    let found = eventually(DEADLINE, &what, || async {
        let object = must_get(sandbox, kind, name).await?;
        ensure!(wanted(&object), "it is {}", brief(&object));
        Ok(Some(object))
    });
    found.await.with_context(|| format!("the operator's log ends:\n{}", sandbox.operator.process().tail(30)))
}

/// The part of an object that tells why it is not yet as wanted.
fn brief(object: &Value) -> Value {
    let mut brief = json!({"metadata": object["metadata"], "spec": object["spec"], "status": object["status"]});
    if let Some(metadata) = brief["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
    brief
}

/// Waits until an object does not exist.
pub async fn until_gone(sandbox: &Sandbox, kind: &str, name: &str) -> Result<()> {
    eventually(DEADLINE, &format!("{kind} {name} to be gone"), || async {
        Ok(get(sandbox, kind, name).await?.is_none().then_some(()))
    })
    .await
}

/// One condition of an object.
pub fn condition<'a>(object: &'a Value, type_: &str) -> Option<&'a Value> {
    object["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == type_)
}

/// Whether a condition is True for the current generation.
pub fn is_true(object: &Value, type_: &str) -> bool {
    condition(object, type_).is_some_and(|condition| {
        condition["status"] == "True" && condition["observedGeneration"] == object["metadata"]["generation"]
    })
}

/// Whether a condition has that reason.
pub fn has_reason(object: &Value, type_: &str, reason: &str) -> bool {
    condition(object, type_).is_some_and(|condition| condition["reason"] == reason)
}

/// A condition's message.
pub fn message<'a>(object: &'a Value, type_: &str) -> &'a str {
    condition(object, type_).and_then(|condition| condition["message"].as_str()).unwrap_or_default()
}

/// Waits until an object of ours is Ready.
pub async fn ready(sandbox: &Sandbox, kind: &str, name: &str) -> Result<Value> {
    until(sandbox, kind, name, "to be Ready", |object| is_true(object, "Ready")).await
}

/// Waits until Ready is False, or any other condition True, with that reason.
pub async fn reason(sandbox: &Sandbox, kind: &str, name: &str, type_: &str, reason: &str) -> Result<Value> {
    until(sandbox, kind, name, &format!("{type_} to have reason {reason}"), |object| has_reason(object, type_, reason))
        .await
}

/// Merges a patch into an object, as an administrator would.
pub async fn patch(sandbox: &Sandbox, kind: &str, name: &str, patch: &Value) -> Result<()> {
    let params = PatchParams { field_manager: Some("a-user".to_owned()), ..PatchParams::default() };
    api(sandbox, kind).patch(name, &params, &Patch::Merge(patch)).await?;
    Ok(())
}

/// The writes of a sandbox's operator since the mark.
pub fn writes(control_plane: &ControlPlane, sandbox: &Sandbox, mark: Mark) -> Result<Vec<AuditEvent>> {
    writes_of(control_plane, &sandbox.user(), mark)
}

/// An operator's writes since the mark, but for its Lease and its Events.
pub fn writes_of(control_plane: &ControlPlane, user: &str, mark: Mark) -> Result<Vec<AuditEvent>> {
    let events = control_plane.audit().by_user(user, mark)?;
    // What is made unseen is asked for once by each process; the answer that it is there is no write.
    let is_there = |event: &AuditEvent| event.resource == "secrets" && event.code == 409;
    let counted = |event: &AuditEvent| {
        event.is_write() && !["leases", "events"].contains(&event.resource.as_str()) && !is_there(event)
    };
    Ok(events.into_iter().filter(counted).collect())
}

/// Waits until the operator has written nothing for ten seconds: small news are gathered for three before they are told.
pub async fn settled(control_plane: &ControlPlane, sandbox: &Sandbox, deadline: Duration) -> Result<()> {
    let mut mark = control_plane.audit().mark()?;
    let mut since = Instant::now();
    eventually(deadline, "ten seconds without a write", || {
        let written = writes(control_plane, sandbox, mark);
        if written.as_ref().map_or(true, |events| !events.is_empty()) {
            since = Instant::now();
            mark = control_plane.audit().mark().unwrap_or(mark);
        }
        let silent = since.elapsed() >= Duration::from_secs(10);
        async move { Ok(silent.then_some(())) }
    })
    .await
}

/// The writes as lines for a message.
pub fn lines(events: &[AuditEvent]) -> String {
    events.iter().map(AuditEvent::summary).collect::<Vec<_>>().join("\n")
}

/// Waits until the audit log shows exactly the operator's writes that `wanted` counts, and fails if it shows more.
pub async fn exactly(
    control_plane: &ControlPlane,
    sandbox: &Sandbox,
    mark: Mark,
    count: usize,
    counted: impl Fn(&AuditEvent) -> bool,
) -> Result<()> {
    let found = || -> Result<Vec<AuditEvent>> {
        Ok(writes(control_plane, sandbox, mark)?.into_iter().filter(&counted).collect())
    };
    eventually(DEADLINE, "the writes to be in the audit log", || async { Ok((found()?.len() >= count).then_some(())) })
        .await?;
    let events = found()?;
    let log = sandbox.operator.process().tail(30);
    ensure!(events.len() == count, "expected {count} writes, found {}:\n{}\n{log}", events.len(), lines(&events));
    Ok(())
}

/// Runs a documented line of kubectl, which quotes with `'` only; returns what it prints.
pub async fn run(sandbox: &Sandbox, line: &str) -> Result<String> {
    let words = words(line);
    let arguments: Vec<&str> = words.iter().map(String::as_str).collect();
    ensure!(arguments.first() == Some(&"kubectl"), "{line}");
    sandbox.kubectl(&arguments[1..]).await.with_context(|| line.to_owned())
}

/// The words of such a line.
pub fn words(line: &str) -> Vec<String> {
    let (mut words, mut quoted) = (vec![String::new()], false);
    for letter in line.chars() {
        match (letter, words.last_mut()) {
            ('\'', _) => quoted = !quoted,
            (' ', _) if !quoted => words.push(String::new()),
            (letter, Some(word)) => word.push(letter),
            (_, None) => {}
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The Events that a field selector finds.
pub async fn events(sandbox: &Sandbox, selector: &str) -> Result<Vec<Value>> {
    let selector = format!("--field-selector={selector}");
    let mut list: Value =
        serde_json::from_str(&sandbox.kubectl(&["get", "events", &selector, "--output=json"]).await?)?;
    Ok(serde_json::from_value(list["items"].take())?)
}

/// Waits for as many of them; returns their messages.
pub async fn told(sandbox: &Sandbox, selector: &str, count: usize) -> Result<Vec<String>> {
    eventually(DEADLINE, &format!("{count} Events: {selector}"), || async {
        let events = events(sandbox, selector).await?;
        let message = |event: &Value| event["message"].as_str().unwrap_or_default().to_owned();
        Ok((events.len() >= count).then(|| events.iter().map(message).collect()))
    })
    .await
}
