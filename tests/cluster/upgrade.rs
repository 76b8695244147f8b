//! From one version of the operator to the next, and back: what runs is left as it is, but for what is named.

use crate::support::*;
use anyhow::{Context, Result, ensure};
use moorage_harness::{
    ControlPlane, Operator, OperatorOptions, Options, Progress, Sandbox, build::workspace, eventually, former,
};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::spawn_blocking;

crate::cases![own: an_upgrade_and_a_downgrade_leave_what_runs];

/// The kinds whose objects the operator makes, and pods.
const KINDS: &str = "serviceaccounts,configmaps,deployments,services,storageclaims,persistentvolumeclaims";

/// What is said of an upgrade.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Upgrade {
    /// The commit, which the harness reads.
    #[serde(rename = "from")]
    _from: String,
    changes: Vec<Change>,
}

/// A field that it changes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    kind: String,
    field: String,
    /// Words of CHANGELOG.md that tell users.
    told: String,
}

async fn an_upgrade_and_a_downgrade_leave_what_runs(_shared: Arc<ControlPlane>) -> Result<()> {
    let upgrade: Upgrade = serde_saphyr::from_str(&page("tests/upgrade.yaml")?)?;
    let before = spawn_blocking(|| former::former(Progress::stderr())).await??;
    let own = ControlPlane::start(Options::default()).await?;
    own.install(&before.folder.join("crds"), &before.folder.join("deploy")).await?;
    let old = OperatorOptions { binary: before.binary.clone(), ..options() };
    let mut sandbox = own.sandbox("upgrade", old.clone()).await?;
    for resource in resources(&before.folder.join("tests/golden"))? {
        // What the former API refuses is no resource of anybody's.
        let _ = sandbox.apply(&resource.to_string()).await;
    }
    settled(&own, &sandbox).await?;
    let (ran, pods) = (objects(&sandbox).await?, pods(&sandbox).await?);
    ensure!(ran.len() > 300 && pods.len() > 100, "{} objects and {} pods are too few to tell", ran.len(), pods.len());

    sandbox.operator.stop().await?;
    own.install(&workspace().join("crds"), &workspace().join("deploy")).await?;
    sandbox.operator = start(&own, &sandbox, options()).await?;
    settled(&own, &sandbox).await?;
    let runs = objects(&sandbox).await?;
    upgrade.is_all(&ran, &runs)?;
    let restarted: BTreeSet<&String> =
        runs.iter().filter(|(name, object)| template(object) != template(&ran[*name])).map(|(name, _)| name).collect();
    let left =
        |name: &str| !restarted.iter().any(|deployment| name.starts_with(deployment.trim_start_matches("Deployment ")));
    let after = self::pods(&sandbox).await?;
    let gone: Vec<&String> =
        pods.iter().filter(|(name, uid)| left(name) && after.get(*name) != Some(uid)).map(|(name, _)| name).collect();
    ensure!(gone.is_empty(), "the upgrade restarted {gone:?}");

    sandbox.operator.stop().await?;
    sandbox.operator = start(&own, &sandbox, old).await?;
    settled(&own, &sandbox).await?;
    let back = objects(&sandbox).await?;
    let missing: Vec<&String> = runs.keys().filter(|name| !back.contains_key(*name)).collect();
    ensure!(missing.is_empty(), "the way back deleted {missing:?}");
    ensure!(!restarted.is_empty() || self::pods(&sandbox).await? == after, "the way back restarted pods");
    Ok(())
}

impl Upgrade {
    /// Whether the objects differ in what is named, and in nothing else.
    fn is_all(&self, before: &BTreeMap<String, Value>, after: &BTreeMap<String, Value>) -> Result<()> {
        let changelog = page("CHANGELOG.md")?;
        let names = |objects: &BTreeMap<String, Value>| objects.keys().cloned().collect::<BTreeSet<String>>();
        ensure!(names(before) == names(after), "{:?} came or went", names(before).symmetric_difference(&names(after)));
        let mut changed = BTreeSet::new();
        for (name, object) in before {
            let kind = name.split(' ').next().unwrap_or_default();
            let mut paths = Vec::new();
            differences("", object, &after[name], &mut paths);
            for path in paths {
                let known =
                    self.changes.iter().position(|change| change.kind == kind && path.starts_with(&change.field));
                changed.insert(
                    known
                        .with_context(|| format!("{name}: {path} changes, and tests/upgrade.yaml does not name it"))?,
                );
            }
        }
        for (index, change) in self.changes.iter().enumerate() {
            ensure!(changed.contains(&index), "{} of {} does not change", change.field, change.kind);
            ensure!(changelog.contains(&change.told), "CHANGELOG.md does not say: {}", change.told);
        }
        Ok(())
    }
}

/// Where two values differ, as `spec.replicas`.
fn differences(path: &str, before: &Value, after: &Value, found: &mut Vec<String>) {
    match (before, after) {
        (Value::Object(left), Value::Object(right)) => {
            let keys: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
            for key in keys {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                differences(
                    &path,
                    left.get(key).unwrap_or(&Value::Null),
                    right.get(key).unwrap_or(&Value::Null),
                    found,
                );
            }
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            for (index, (left, right)) in left.iter().zip(right).enumerate() {
                differences(&format!("{path}[{index}]"), left, right, found);
            }
        }
        (left, right) if left != right => found.push(path.to_owned()),
        _ => {}
    }
}

/// What users wrote in the golden cases: each feature once at least. Of each case one resource, by the name of the case.
fn resources(folder: &Path) -> Result<Vec<Value>> {
    let mut resources = Vec::new();
    for kind in ["app", "registry", "storageclaim"] {
        for case in std::fs::read_dir(folder.join(kind))? {
            let case = case?;
            let mut resource: Value =
                serde_saphyr::from_str(&std::fs::read_to_string(case.path().join("input.yaml"))?)?;
            let metadata = &mut resource["metadata"];
            let labels = metadata["labels"].take();
            *metadata = Value::Object(Map::from_iter([("name".to_owned(), case.file_name().to_string_lossy().into())]));
            metadata["labels"] = labels;
            resources.push(resource);
        }
    }
    Ok(resources)
}

/// An operator in place of the former, with the same rights.
async fn start(own: &ControlPlane, sandbox: &Sandbox, options: OperatorOptions) -> Result<Operator> {
    let place = sandbox.namespace.clone();
    let options = OperatorOptions { watch_namespaces: vec![place.clone()], operator_namespace: place, ..options };
    let operator = own.operator(options).await?;
    operator.ready().await?;
    Ok(operator)
}

/// Waits until nothing has been written for a while.
async fn settled(own: &ControlPlane, sandbox: &Sandbox) -> Result<()> {
    let (mut mark, mut since) = (own.audit().mark()?, Instant::now());
    eventually(DEADLINE * 3, "ten seconds without a write", || {
        if writes(own, sandbox, mark).map_or(true, |events| !events.is_empty()) {
            since = Instant::now();
            mark = own.audit().mark().unwrap_or(mark);
        }
        let silent = since.elapsed() >= Duration::from_secs(10);
        async move { Ok(silent.then_some(())) }
    })
    .await
}

/// The operator's objects less what the cluster does to them, by kind and name.
async fn objects(sandbox: &Sandbox) -> Result<BTreeMap<String, Value>> {
    let selector = "--selector=app.kubernetes.io/managed-by=moorage";
    let list: Value = serde_json::from_str(&sandbox.kubectl(&["get", KINDS, selector, "--output=json"]).await?)?;
    let mut objects = BTreeMap::new();
    for mut object in list["items"].as_array().cloned().unwrap_or_default() {
        let name = format!(
            "{} {}",
            object["kind"].as_str().unwrap_or_default(),
            object["metadata"]["name"].as_str().unwrap_or_default()
        );
        let fields = object.as_object_mut().context("an object")?;
        fields.remove("status");
        let metadata = fields.get_mut("metadata").and_then(Value::as_object_mut).context("it has metadata")?;
        for moving in ["resourceVersion", "generation", "managedFields"] {
            metadata.remove(moving);
        }
        objects.insert(name, object);
    }
    Ok(objects)
}

/// The UIDs of all pods, by name.
async fn pods(sandbox: &Sandbox) -> Result<BTreeMap<String, String>> {
    let list = sandbox
        .kubectl(&["get", "pods", "--output=jsonpath={range .items[*]}{.metadata.name} {.metadata.uid}{\"\\n\"}{end}"])
        .await?;
    Ok(list
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(name, uid)| (name.to_owned(), uid.to_owned()))
        .collect())
}

fn template(object: &Value) -> &Value {
    &object["spec"]["template"]
}
