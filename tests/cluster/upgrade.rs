//! From one version of the operator to the next, and back: what runs is left as it is, but for what is named.

use crate::support::*;
use anyhow::{Context, Result, ensure};
use moorage::core::meta::{APPLIED_HASH, AUTO_ROLLBACK, ROLLED_BACK};
use moorage::shell::kinds::MANAGED;
use moorage_harness::{
    ControlPlane, OperatorOptions, Options, Progress, Sandbox, build::workspace, eventually, former,
};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use tokio::task::spawn_blocking;

crate::cases![own: an_upgrade_and_a_downgrade_leave_what_runs];

const ANNOTATIONS: &str = "metadata.annotations.";
/// Annotations with a hash of the template or of all that was applied, which do not change alone.
const FOLLOWS: [&str; 3] = [APPLIED_HASH, AUTO_ROLLBACK, ROLLED_BACK];

/// The kinds whose objects the operator makes, as kubectl takes them.
fn kinds() -> String {
    let named = MANAGED
        .iter()
        .map(|row| if row.group.is_empty() { row.plural.to_owned() } else { format!("{}.{}", row.plural, row.group) });
    named.collect::<Vec<_>>().join(",")
}

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
    own.install_monitoring().await?;
    own.install(&before.folder.join("crds"), &before.folder.join("deploy")).await?;
    let old = OperatorOptions { binary: before.binary.clone(), ..options() };
    let mut sandbox = own.sandbox("upgrade", old.clone()).await?;
    let mut parents = 0_u64;
    for resource in resources(&before.folder.join("tests/golden"))? {
        match sandbox.apply(&resource.to_string()).await {
            Ok(_) => parents += 1,
            Err(error) => ensure!(is_refusal(&error), "{resource}: {error:#}"),
        }
    }
    looked_at_all(&own, &sandbox, parents).await?;
    let (before_all, pods_before) = (objects(&sandbox).await?, pods(&sandbox).await?);
    ensure!(
        before_all.len() > 300 && pods_before.len() > 100,
        "{} objects, {} pods are too few",
        before_all.len(),
        pods_before.len()
    );

    replace(&own, &mut sandbox, &workspace(), options()).await?;
    looked_at_all(&own, &sandbox, parents).await?;
    let (upgraded, pods_upgraded) = (objects(&sandbox).await?, pods(&sandbox).await?);
    let changed = upgrade.changed(&before_all, &upgraded)?;
    upgrade.is_all_told(&changed)?;
    are_left((&before_all, &pods_before), (&upgraded, &pods_upgraded))?;

    replace(&own, &mut sandbox, &before.folder, old).await?;
    looked_at_all(&own, &sandbox, parents).await?;
    let (back, pods_back) = (objects(&sandbox).await?, pods(&sandbox).await?);
    upgrade.changed(&before_all, &back)?;
    are_left((&upgraded, &pods_upgraded), (&back, &pods_back))
}

/// Whether an apply was refused for what it says, so that nobody has such a resource. To what names an item of a list twice the API server
/// answers with 500.
fn is_refusal(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| match cause.downcast_ref::<kube::Error>() {
        Some(kube::Error::Api(status)) => {
            [400, 422].contains(&status.code) || status.message.contains("duplicate entries for key")
        }
        Some(_) | None => false,
    })
}

/// Objects, and pods, by name.
type World<'a> = (&'a BTreeMap<String, Value>, &'a BTreeMap<String, Pod>);

/// Whether every pod is still there but those of a Deployment whose template changed.
fn are_left(before: World<'_>, after: World<'_>) -> Result<()> {
    let template = |(objects, _): World<'_>, app: &str| {
        objects.get(&format!("Deployment {app}")).map(|object| object["spec"]["template"].clone())
    };
    for (name, pod) in before.1 {
        let is_same = template(before, &pod.deployment) == template(after, &pod.deployment);
        ensure!(!is_same || after.1.get(name) == Some(pod), "pod {name} was restarted");
    }
    Ok(())
}

impl Upgrade {
    /// Which of the named changes there are between objects; fails where there is another.
    fn changed(&self, before: &BTreeMap<String, Value>, after: &BTreeMap<String, Value>) -> Result<BTreeSet<usize>> {
        let names = |objects: &BTreeMap<String, Value>| objects.keys().cloned().collect::<BTreeSet<String>>();
        ensure!(names(before) == names(after), "{:?} came or went", names(before).symmetric_difference(&names(after)));
        let mut changed = BTreeSet::new();
        for (name, object) in before {
            let kind = name.split(' ').next().unwrap_or_default();
            let mut paths = Vec::new();
            differences("", object, &after[name], &mut paths);
            let follows = |path: &str| FOLLOWS.iter().any(|name| path.strip_prefix(ANNOTATIONS) == Some(*name));
            if !paths.iter().all(|path| follows(path)) {
                paths.retain(|path| !follows(path));
            }
            for path in paths {
                let is_it = |change: &Change| change.kind == kind && path.starts_with(&change.field);
                let known = self.changes.iter().position(is_it);
                changed.insert(
                    known
                        .with_context(|| format!("{name}: {path} changes, and tests/upgrade.yaml does not name it"))?,
                );
            }
        }
        Ok(changed)
    }

    /// Whether each named change is one, and users are told.
    fn is_all_told(&self, changed: &BTreeSet<usize>) -> Result<()> {
        let changelog = page("CHANGELOG.md")?;
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

/// Puts another operator, with the manifests of its sources, in place of the one that runs.
async fn replace(own: &ControlPlane, sandbox: &mut Sandbox, sources: &Path, options: OperatorOptions) -> Result<()> {
    sandbox.operator.stop().await?;
    own.install(&sources.join("crds"), &sources.join("deploy")).await?;
    let place = sandbox.namespace.clone();
    let options = OperatorOptions { watch_namespaces: vec![place.clone()], operator_namespace: place, ..options };
    sandbox.operator = own.operator(options).await?;
    sandbox.operator.ready().await
}

/// Waits until the operator, which leads then, has looked at each parent and nothing has been written for a while.
async fn looked_at_all(own: &ControlPlane, sandbox: &Sandbox, parents: u64) -> Result<()> {
    let reconciles = "moorage_reconciles_total{";
    eventually(DEADLINE * 3, "every resource to be looked at", || async {
        let metrics = sandbox.operator.metrics().await?;
        let counts =
            metrics.lines().filter(|line| line.starts_with(reconciles)).filter_map(|line| line.rsplit(' ').next());
        let sum: u64 = counts.filter_map(|count| count.parse::<u64>().ok()).sum();
        Ok((sum >= parents).then_some(()))
    })
    .await?;
    settled(own, sandbox, DEADLINE * 3).await
}

/// The operator's objects less what the cluster does to them, by kind and name.
async fn objects(sandbox: &Sandbox) -> Result<BTreeMap<String, Value>> {
    let selector = "--selector=app.kubernetes.io/managed-by=moorage";
    let list: Value = serde_json::from_str(&sandbox.kubectl(&["get", &kinds(), selector, "--output=json"]).await?)?;
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
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.remove("deployment.kubernetes.io/revision");
        }
        objects.insert(name, object);
    }
    Ok(objects)
}

/// A pod, and the Deployment that it is of.
#[derive(PartialEq)]
struct Pod {
    uid: String,
    deployment: String,
}

/// All pods, by name.
async fn pods(sandbox: &Sandbox) -> Result<BTreeMap<String, Pod>> {
    let list: Value = serde_json::from_str(&sandbox.kubectl(&["get", "pods", "--output=json"]).await?)?;
    let mut pods = BTreeMap::new();
    for pod in list["items"].as_array().into_iter().flatten() {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let metadata = &pod["metadata"];
        let hash = format!("-{}", text(&metadata["labels"]["pod-template-hash"]));
        let deployment = text(&metadata["ownerReferences"][0]["name"]).trim_end_matches(&hash).to_owned();
        pods.insert(text(&metadata["name"]), Pod { uid: text(&metadata["uid"]), deployment });
    }
    Ok(pods)
}
