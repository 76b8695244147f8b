//! A cluster on paper: objects go through the code of the watches into the caches, and from there to a plan.

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use moorage::api::{App, Registry, StorageClaim};
use moorage::core::live::Live;
use moorage::core::observed::{Observed, Ownership};
use moorage::core::plan::{FinalizerChange, Identity, Outcome, Parent, ParentKind, Plan, PlanSettings};
use moorage::generate::crds::crd;
use moorage::shell::apply::taken;
use moorage::shell::context::Context;
use moorage::shell::key::{Key, ParentKey};
use moorage::shell::kinds::{MANAGED, OBSERVED};
use moorage::shell::leader::Leadership;
use moorage::shell::metrics::Metrics;
use moorage::shell::observe::{observe, written};
use moorage::shell::watch::{Subject, key, sweep, take};
use moorage::shell::writer::Writer;
use moorage_fake::Server;
use serde_json::{Map, Value, json};
use std::collections::HashSet;

/// When the status is written.
const NOW: &str = "2026-01-01T00:10:00Z";

/// The objects of a YAML stream.
pub fn documents(text: &str) -> Result<Vec<Value>> {
    let all: Vec<Value> = serde_saphyr::from_multiple(text)?;
    Ok(all.into_iter().filter(|document| !document.is_null()).collect())
}

/// What the operator makes of `input` in a cluster that holds `observed`.
pub async fn planned(input: Value, observed: Vec<Value>) -> Result<Value> {
    let kind = ParentKind::named(input["kind"].as_str().unwrap_or_default()).context("input.yaml is none of ours")?;
    match kind {
        ParentKind::App => plan::<App>(kind, input, observed).await,
        ParentKind::StorageClaim => plan::<StorageClaim>(kind, input, observed).await,
        ParentKind::Registry => plan::<Registry>(kind, input, observed).await,
    }
}

async fn plan<P: Parent>(kind: ParentKind, input: Value, observed: Vec<Value>) -> Result<Value> {
    let context = context();
    let live = Live::new(input);
    let key = ParentKey::new(kind, Key::new(live.namespace(), live.name()));
    take(&context, Subject::Parent(kind), live, true);
    for document in observed.clone() {
        show(&context, document)?;
    }
    let (parent, seen) = observe::<P>(&context, &key)?.context("the input is not in the cache")?;
    let plan = parent.plan(&seen, &context.settings());
    let mut outcome = Outcome::default();
    if plan.invalid.is_empty() && !plan.paused {
        outcome = carry_out(&context, &parent.identity(), &plan, &seen, &observed);
    }
    let (_, after) = observe::<P>(&context, &key)?.context("the input is not in the cache")?;
    shown(&parent, &plan, &outcome, &after)
}

/// A context whose client is never used.
fn context() -> Context {
    let client = Server::new().client();
    let reporter = kube::runtime::events::Reporter { controller: "moorage".into(), instance: None };
    let recorder = kube::runtime::events::Recorder::new(client.clone(), reporter);
    let settings =
        PlanSettings { registry_image: "registry.example.com/distribution:3.1.1".into(), secret_key: Some([7; 32]) };
    Context::new(Writer::new(client, Leadership::never(), recorder), settings, Metrics::new())
}

/// Takes in an object as its watch would, or a complete list.
fn show(context: &Context, document: Value) -> Result<()> {
    let kind = document["kind"].as_str().unwrap_or_default().to_owned();
    let Some(kind) = kind.strip_suffix("List") else {
        take(context, subject(&kind)?, Live::new(document), false);
        return Ok(());
    };
    let subject = subject(kind)?;
    let mut seen = HashSet::new();
    for item in document["items"].as_array().cloned().unwrap_or_default() {
        let live = Live::new(item);
        seen.insert(key(subject, &live));
        take(context, subject, live, true);
    }
    sweep(context, subject, &seen);
    Ok(())
}

fn subject(kind: &str) -> Result<Subject> {
    if let Some(kind) = ParentKind::named(kind) {
        return Ok(Subject::Parent(kind));
    }
    let child = MANAGED.iter().find(|row| row.kind.as_str() == kind).map(|row| Subject::Child(row.kind));
    let observed =
        || OBSERVED.iter().find(|watched| watched.name == kind).map(|watched| Subject::Observed(watched.kind));
    child.or_else(observed).with_context(|| format!("the operator never looks at a {kind}"))
}

/// What the API server would answer to the writes of a plan.
fn carry_out(context: &Context, parent: &Identity, plan: &Plan, seen: &Observed, documents: &[Value]) -> Outcome {
    let mut outcome = Outcome::default();
    for object in &plan.objects {
        let named = format!("{} {}", object.kind, object.name);
        let child = seen.child(object.kind, &object.name);
        match child.map(|child| (child.deleting, child.owner.to(parent))) {
            Some((true, _) | (_, Ownership::Predecessor)) => outcome.waiting.push(named),
            Some((_, Ownership::Foreign(holder))) => outcome.failures.push(taken(named, parent, &holder)),
            Some((_, Ownership::Ours)) | None => {
                let mut live = documents
                    .iter()
                    .find(|live| live["kind"] == object.kind.as_str() && live["metadata"]["name"] == object.name)
                    .cloned()
                    .unwrap_or_else(|| json!({"metadata": {"uid": "made"}}));
                merge(&mut live, &object.body);
                live["metadata"]["resourceVersion"] = json!("1000");
                written(context, object, &Live::new(live));
            }
        }
    }
    outcome
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

/// A plan and its status as the file shows them: what is as usual is left out.
fn shown<P: Parent>(parent: &P, plan: &Plan, outcome: &Outcome, observed: &Observed) -> Result<Value> {
    let now: Timestamp = NOW.parse()?;
    let status = parent.status(plan, outcome, observed, now);
    let mut shown = Map::new();
    let mut show = |key: &str, value: Value| shown.insert(key.to_owned(), value);
    let Plan { objects, prune, invalid, paused, finalizer, requeue } = plan;
    show("objects", objects.iter().map(|object| object.body.clone()).collect());
    if objects.iter().any(|object| object.adopt) {
        show("adopts", objects.iter().filter(|object| object.adopt).map(|object| json!(object.name)).collect());
    }
    if !prune.is_empty() {
        show("prune", prune.iter().map(|(kind, name)| json!(format!("{kind} {name}"))).collect());
    }
    if !invalid.is_empty() {
        show("invalid", json!(invalid));
    }
    if *paused {
        show("paused", json!(true));
    }
    if *finalizer != FinalizerChange::Keep {
        show("finalizer", json!(format!("{finalizer:?}")));
    }
    if let Some(requeue) = requeue {
        show("requeue", json!(requeue.as_secs()));
    }
    show("status", serde_json::to_value(&status)?);
    Ok(Value::Object(shown))
}

/// The fields of our own specs, as `App.ports.containerPort`; fields of embedded Kubernetes types count with their root.
pub fn declared_fields() -> Vec<String> {
    let mut fields = Vec::new();
    for kind in ParentKind::ALL {
        let crd = crd(kind);
        let spec = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
        walk(kind.as_str(), spec, &mut fields);
    }
    fields
}

/// Ours have a description; what is taken over from Kubernetes has none below its root.
fn walk(path: &str, schema: &Value, fields: &mut Vec<String>) {
    let schema = schema.get("items").unwrap_or(schema);
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        if field.get("description").is_some() {
            let path = format!("{path}.{name}");
            walk(&path, field, fields);
            fields.push(path);
        }
    }
}
