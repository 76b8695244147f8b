//! Every manifest that is shipped, as it stands and as kustomize and Helm render it, is one: by the API server's own strict check, which
//! knows every rule, and by kubeconform, which reads the schemas only, as users' own pipelines do before they have a cluster.

use crate::support::*;
use anyhow::{Context, Result, ensure};
use moorage_harness::build::{KUBECONFORM, OLM, program, workspace};
use moorage_harness::page::{Step, steps};
use moorage_harness::{ControlPlane, Options, Progress, Reader, Way, documents, eventually};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::task::spawn_blocking;

crate::cases![own: what_is_shipped_is_valid];

/// What of `deploy/` and `examples/` is no manifest for the API server, and what it is checked by.
const OTHERS: [(&str, &str); 8] = [
    ("deploy/helm/", "rendered by Helm, below"),
    ("/kustomization.yaml", "built by kustomize, below"),
    ("deploy/argocd/moorage.dev/", "states for Argo CD's scripts: tests/gitops.rs"),
    ("deploy/olm/catalog/", "what opm reads: tests/olm.rs"),
    ("deploy/olm/moorage/ci.yaml", "what the community's catalogs read: tests/olm.rs"),
    ("/metadata/annotations.yaml", "what OLM reads: tests/olm.rs"),
    ("/tests/scorecard/config.yaml", "what operator-sdk reads: tests/olm.rs"),
    ("examples/gitops/", "kinds of Argo CD and Flux: tests/gitops.rs; what is in shop/ is built below"),
];

/// Helm's values: what is set by default, everything on, and some namespaces only.
const VALUES: [&str; 3] = [
    "",
    " --set components.events=true,components.metricsAuth=true,components.monitoring=true,components.ownerReferences=true \
     --set components.registrySecrets=true,podMonitor.enabled=true,podMonitor.tokenSecret=token --set 'components.configSecrets={default}'",
    " --set 'watchNamespaces={default,kube-public}'",
];

/// A mistake: in which file, what stands there, what is written instead, what kubeconform says if its schemas tell, and the API server.
type Mistake = (&'static str, &'static str, &'static str, Option<&'static str>, &'static str);

const CSV: &str = "deploy/olm/moorage/0.1.0/manifests/moorage.clusterserviceversion.yaml";
const MISTAKES: [Mistake; 8] = [
    (
        "deploy/deployment.yaml",
        "replicas: 2",
        "replica: 2",
        Some("'replica' not allowed"),
        ".spec.replica: field not declared",
    ),
    ("deploy/deployment.yaml", "replicas: 2", "replicas: two", Some("got string, want integer"), "expected numeric"),
    ("deploy/rbac/bindings.yaml", "roleRef:", "role:", Some("missing property 'roleRef'"), ".role: field not declared"),
    (
        "deploy/self-monitoring/alerts.yaml",
        "expr:",
        "expression:",
        Some("missing property 'expr'"),
        ".expression: field not declared",
    ),
    ("examples/quickstart/web.yaml", "port: 8080", "port: 80800", Some("maximum"), "65535"),
    (CSV, "  displayName: Moorage\n", "", Some("missing property 'displayName'"), "spec.displayName"),
    ("deploy/deployment.yaml", "memory: 64Mi", "memory: 64 MB", None, "quantities must match"),
    ("deploy/fence.yaml", "expression: ", "expression: nobody.knows && ", None, "undeclared reference to 'nobody'"),
];

/// A manifest: what it is called in messages, and what is in it.
type Output = (String, String);

async fn what_is_shipped_is_valid(_shared: Arc<ControlPlane>) -> Result<()> {
    let control_plane = ControlPlane::start(Options::default()).await?;
    control_plane.install_crds(&workspace().join("crds")).await?;
    control_plane.install_monitoring().await?;
    control_plane.install_crds(&control_plane.folder(OLM)?).await?;
    control_plane.apply(&page("deploy/namespace.yaml")?, "").await?;
    control_plane.run_kubectl(&["create", "namespace", "argocd"]).await?;
    let outputs = [files()?, rendered(&control_plane).await?].concat();
    let lint = Lint::new(&control_plane, &outputs).await?;
    for (name, text) in &outputs {
        lint.server(name, text).await?;
    }
    lint.kubeconform(&outputs).await?;
    for (path, right, wrong, by_schema, by_server) in MISTAKES {
        let text = page(path)?;
        ensure!(text.contains(right), "{path} has no {right}");
        let output = (path.to_owned(), text.replacen(right, wrong, 1));
        let said = |outcome: Result<()>| outcome.err().map(|error| format!("{error:#}")).unwrap_or_default();
        let server = said(lint.server(&output.0, &output.1).await);
        ensure!(server.contains(by_server), "{wrong}: the API server says {server:?}");
        let schema = said(lint.kubeconform(&[output]).await);
        ensure!(
            by_schema.map_or(schema.is_empty(), |words| schema.contains(words)),
            "{wrong}: kubeconform says {schema:?}"
        );
    }
    Ok(())
}

/// Every file with manifests.
fn files() -> Result<Vec<Output>> {
    let (mut found, mut unused) = (Vec::new(), BTreeSet::from(OTHERS.map(|(part, _)| part)));
    for path in [yaml_files("deploy")?, yaml_files("examples")?].concat() {
        match OTHERS.iter().find(|(part, _)| path.contains(part)) {
            Some((part, _)) => drop(unused.remove(part)),
            None => found.push((path.clone(), page(&path)?)),
        }
    }
    ensure!(unused.is_empty(), "there is nothing like {unused:?}");
    // What the page of OLM has users apply.
    let page = blocks(&page(&Way::Olm.page())?, "yaml").join("---\n");
    for kind in ["CatalogSource", "OperatorGroup", "Subscription"] {
        ensure!(page.contains(&format!("kind: {kind}\n")), "the page has no {kind}");
    }
    Ok([found, vec![(Way::Olm.page(), page)]].concat())
}

/// Paths from the repository's top.
fn yaml_files(folder: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(workspace().join(folder))? {
        let path = entry?.path();
        let name = path.strip_prefix(workspace())?.display().to_string();
        if path.is_dir() {
            found.extend(yaml_files(&name)?);
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            found.push(name);
        }
    }
    found.sort();
    Ok(found)
}

/// What kustomize makes of every folder that is for it and of the page's own, and Helm of the chart.
async fn rendered(control_plane: &ControlPlane) -> Result<Vec<Output>> {
    let programs = spawn_blocking(|| Way::Helm.programs(Progress::stderr())).await??;
    let reader = Reader::new(control_plane, &programs)?;
    let mut lines = Vec::new();
    for path in [yaml_files("deploy")?, yaml_files("examples")?].concat() {
        // Flux has a kind of that name too.
        let folder = path.strip_suffix("/kustomization.yaml").filter(|folder| !folder.ends_with("/flux"));
        lines.extend(folder.map(|folder| format!("kubectl kustomize {folder}")));
    }
    ensure!(lines.len() >= 10, "{lines:?}");
    for step in steps(&page(&Way::Kustomize.page())?).iter().filter(|step| matches!(step, Step::Write { .. })) {
        reader.does(step).await?;
    }
    lines.push("kubectl kustomize moorage".to_owned());
    let chart = "helm template moorage deploy/helm/moorage --namespace moorage-system --set image.repository=registry.example.com/moorage";
    lines.extend(VALUES.map(|values| format!("{chart}{values}")));
    let mut outputs = Vec::new();
    for line in lines {
        let text = reader.runs(&line).await?;
        outputs.push((line, text));
    }
    Ok(outputs)
}

/// Who tells what is valid.
struct Lint<'a> {
    control_plane: &'a ControlPlane,
    folder: PathBuf,
    kubeconform: PathBuf,
}

impl<'a> Lint<'a> {
    /// With the schemas of what these manifests are.
    async fn new(control_plane: &'a ControlPlane, outputs: &[Output]) -> Result<Self> {
        let folder = control_plane.work_dir().join("lint");
        fs::create_dir_all(&folder)?;
        let kubeconform = spawn_blocking(|| program(KUBECONFORM, Progress::stderr())).await??;
        let mut kinds = BTreeSet::new();
        for (_, text) in outputs {
            let texts =
                |object: &Value| Some((object["apiVersion"].as_str()?.to_owned(), object["kind"].as_str()?.to_owned()));
            kinds.extend(documents(text)?.iter().filter_map(texts));
        }
        for (version, kind) in &kinds {
            let what = format!("the schema of {version} {kind}");
            let schema = eventually(DEADLINE, &what, || schema(control_plane, version, kind)).await?;
            fs::write(folder.join(file_of(version, kind)), schema.to_string())?;
        }
        Ok(Self { control_plane, folder, kubeconform })
    }

    fn written(&self, index: usize, text: &str) -> Result<String> {
        let path = self.folder.join(format!("{index}.yaml"));
        fs::write(&path, text)?;
        Ok(path.display().to_string())
    }

    /// The API server takes it, and drops no field of it.
    async fn server(&self, name: &str, text: &str) -> Result<()> {
        let path = self.written(0, text)?;
        let check =
            ["apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "-f", &path];
        self.control_plane.run_kubectl(&check).await.map(drop).with_context(|| name.to_owned())
    }

    /// kubeconform finds every object valid.
    async fn kubeconform(&self, outputs: &[Output]) -> Result<()> {
        let (mut paths, mut count) = (Vec::new(), 0);
        for (index, (_, text)) in outputs.iter().enumerate() {
            paths.push(self.written(index, text)?);
            count += documents(text)?.len();
        }
        let location = self.folder.join("{{.Group}}-{{.ResourceAPIVersion}}-{{.ResourceKind}}.json");
        let mut command = tokio::process::Command::new(&self.kubeconform);
        command.args(["-strict", "-summary", "-output=json", "-schema-location"]).arg(location).args(&paths);
        let said = String::from_utf8(command.kill_on_drop(true).output().await?.stdout)?;
        let told: Value = serde_json::from_str(&said).with_context(|| said.clone())?;
        let wanted = json!({"valid": count, "invalid": 0, "errors": 0, "skipped": 0});
        ensure!(
            told["summary"] == wanted,
            "of {count} objects in {:?}: {said}",
            outputs.iter().map(|(name, _)| name).collect::<Vec<_>>()
        );
        Ok(())
    }
}

/// As kubeconform names it: the core group by its version.
fn file_of(version: &str, kind: &str) -> String {
    let (group, name) = version.split_once('/').unwrap_or((version, version));
    format!("{group}-{name}-{}.json", kind.to_lowercase())
}

/// The schema that the API server publishes, with all that it refers to, and no field allowed that is not in it.
async fn schema(control_plane: &ControlPlane, version: &str, kind: &str) -> Result<Option<Value>> {
    let path = if version.contains('/') { format!("apis/{version}") } else { format!("api/{version}") };
    let published = control_plane.run_kubectl(&["get", "--raw", &format!("/openapi/v3/{path}")]).await?;
    let mut published: Value = serde_json::from_str(&published)?;
    let schemas = published["components"]["schemas"].as_object_mut().context("no schemas")?;
    schemas.values_mut().for_each(close);
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    let wanted = json!({"group": group, "version": version, "kind": kind});
    let is_wanted =
        |schema: &Value| schema["x-kubernetes-group-version-kind"].as_array().is_some_and(|all| all.contains(&wanted));
    let name = schemas.iter().find(|(_, schema)| is_wanted(schema)).map(|(name, _)| name.clone());
    Ok(name.map(|name| json!({"$ref": format!("#/components/schemas/{name}"), "components": published["components"]})))
}

/// Allows only the fields that a schema names, unless it says itself what else there may be.
fn close(schema: &mut Value) {
    let Some(schema) = schema.as_object_mut() else { return };
    let is_open = |schema: &Map<String, Value>| {
        ["additionalProperties", "x-kubernetes-preserve-unknown-fields"].iter().any(|key| schema.contains_key(*key))
    };
    if schema.contains_key("properties") && !is_open(schema) {
        schema.insert("additionalProperties".to_owned(), json!(false));
    }
    for (_, field) in schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        close(field);
    }
    for within in ["items", "additionalProperties"] {
        schema.get_mut(within).into_iter().for_each(close);
    }
}
