//! The bundle for OLM does what it is for: its CSV is one by Operator Framework's own schema, and with the rights and the environment
//! that OLM makes of it, in every install mode, the operator works and is refused nothing.

use crate::rbac::SEVERAL;
use crate::support::*;
use anyhow::{Context, Result, bail, ensure};
use moorage_harness::build::workspace;
use moorage_harness::{ControlPlane, OperatorOptions, Options, eventually, manifests};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;

crate::cases![own: the_bundle_runs_as_olm_renders_it];

/// A folder with the CRDs of Operator Framework's, which are not part of this project.
const SCHEMAS: &str = "OLM_CRDS";

/// An install mode: where the operator lives, and which namespaces it watches; none is all of them.
struct Mode {
    name: &'static str,
    own: &'static str,
    watched: &'static [&'static str],
    /// Where users apply the samples.
    used: &'static [&'static str],
}

/// All namespaces come last: there an operator works wherever others did.
const MODES: [Mode; 4] = [
    Mode { name: "OwnNamespace", own: "own", watched: &["own"], used: &["own"] },
    Mode { name: "SingleNamespace", own: "single", watched: &["single-shop"], used: &["single-shop"] },
    Mode {
        name: "MultiNamespace",
        own: "multi",
        watched: &["multi-shop", "multi-blog"],
        used: &["multi-shop", "multi-blog"],
    },
    Mode { name: "AllNamespaces", own: "all", watched: &[], used: &["all-shop"] },
];

fn folder() -> PathBuf {
    workspace().join("deploy/olm/moorage").join(env!("CARGO_PKG_VERSION")).join("manifests")
}

/// On a control plane of its own, which has no other rights than these and admits what `OpenShift` does.
async fn the_bundle_runs_as_olm_renders_it(_shared: Arc<ControlPlane>) -> Result<()> {
    let control_plane = ControlPlane::start(Options::default()).await?;
    control_plane.install_crds(&workspace().join("crds")).await?;
    control_plane.install_monitoring().await?;
    let (csv, others): (Vec<Value>, Vec<Value>) =
        manifests(&folder())?.into_iter().partition(|object| object["kind"] == "ClusterServiceVersion");
    let csv = csv.first().context("no CSV")?;
    for mode in &MODES {
        installed(&control_plane, csv, &others, mode).await.with_context(|| mode.name.to_owned())?;
    }
    uninstalled(&control_plane, &MODES[3]).await.context("uninstalling")?;
    let Some(schemas) = std::env::var_os(SCHEMAS) else {
        eprintln!(
            "skipped: CSV, CatalogSource, OperatorGroup and Subscription by their schemas, as {SCHEMAS} is not set"
        );
        return Ok(());
    };
    fits_its_schema(&control_plane, csv, Path::new(&schemas)).await
}

/// Runs the operator in that mode until the samples are Ready.
async fn installed(control_plane: &ControlPlane, csv: &Value, others: &[Value], mode: &Mode) -> Result<()> {
    namespaces(control_plane, csv, mode).await?;
    for object in others {
        control_plane.apply_object(object.clone(), mode.own).await?;
    }
    let deployment = &csv["spec"]["install"]["spec"]["deployments"][0];
    let objects: Vec<Value> = rights(csv, mode)?.into_iter().chain([rendered(csv, deployment, mode)]).collect();
    for object in &objects {
        control_plane.apply_object(object.clone(), mode.own).await?;
    }
    eventually(DEADLINE, "its pods to be admitted", || async {
        let live = control_plane.get("apps/v1", "Deployment", mode.own, "moorage").await?.context("no Deployment")?;
        ensure!(live.data["status"]["readyReplicas"] == 2, "its status is {}", live.data["status"]);
        Ok(Some(()))
    })
    .await?;

    let mark = control_plane.audit().mark()?;
    let env = environment(&deployment["spec"]["template"]["spec"], mode)?;
    let operator = OperatorOptions { operator_namespace: mode.own.to_owned(), env, ..options() };
    let operator = control_plane.operator(operator).await?;
    operator.ready().await?;
    let samples: Vec<Value> =
        serde_json::from_str(csv["metadata"]["annotations"]["alm-examples"].as_str().context("no samples")?)?;
    for namespace in mode.used {
        for sample in &samples {
            control_plane.apply_object(sample.clone(), namespace).await?;
        }
        control_plane.apply(SEVERAL, namespace).await?;
        control_plane.apply(SEEN, namespace).await?;
        let several = json!({"kind": "Registry", "metadata": {"name": "many"}});
        let seen = json!({"kind": "App", "metadata": {"name": "seen"}});
        for object in samples.iter().chain([&several, &seen]) {
            let log = || format!("the operator's log ends:\n{}", operator.process().tail(30));
            is_ready(control_plane, namespace, object).await.with_context(log)?;
        }
    }
    let requests = control_plane.audit().by_user(&operator.user(), mark)?;
    let refused: Vec<_> = requests.iter().filter(|event| event.code == 403).cloned().collect();
    ensure!(!requests.is_empty() && refused.is_empty(), "it was refused:\n{}", lines(&refused));
    operator.stop().await?;
    // As with the CSV.
    let path =
        written(control_plane, "made", &json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string())?;
    control_plane.run_kubectl(&["delete", "-f", &path]).await.map(drop)
}

/// The commands of the page, but those for OLM's own kinds, leave what runs and the data, and nothing else.
async fn uninstalled(control_plane: &ControlPlane, mode: &Mode) -> Result<()> {
    let kept =
        ["get", "deployments,persistentvolumeclaims", "-A", "-l=app.kubernetes.io/managed-by=moorage", "-o=name"];
    let before = control_plane.run_kubectl(&kept).await?;
    ensure!(before.contains("/database-data\n") && before.contains("/web\n"), "{before}");
    let page = page("docs/install/olm.md")?;
    let (_, section) = page.split_once("## Uninstall").context("no such section")?;
    let commands = blocks(section, "sh").concat().replace("moorage-system", mode.own);
    let ours = commands.lines().filter(|line| !line.trim().is_empty() && !line.contains(".operators.coreos.com"));
    for words in ours.map(|line| line.split_whitespace().collect::<Vec<_>>()) {
        ensure!(words.first() == Some(&"kubectl"), "{words:?}");
        control_plane.run_kubectl(&words[1..]).await?;
    }
    ensure!(control_plane.run_kubectl(&kept).await? == before, "not kept: {before}");
    let cluster = ["get", "customresourcedefinitions,clusterroles,clusterrolebindings", "-o=name"];
    let own = ["get", "roles,rolebindings,poddisruptionbudgets,leases,secrets", "--namespace", mode.own, "-o=name"];
    for left in [control_plane.run_kubectl(&cluster).await?, control_plane.run_kubectl(&own).await?] {
        ensure!(!left.contains("moorage"), "left are {left}");
    }
    Ok(())
}

/// The namespaces of a mode; the operator's own is as the CSV suggests.
async fn namespaces(control_plane: &ControlPlane, csv: &Value, mode: &Mode) -> Result<()> {
    let template = &csv["metadata"]["annotations"]["operatorframework.io/suggested-namespace-template"];
    let mut own: Value = serde_json::from_str(template.as_str().context("no namespace is suggested")?)?;
    own["metadata"]["name"] = json!(mode.own);
    control_plane.apply_object(own, "").await?;
    for namespace in mode.used.iter().filter(|namespace| **namespace != mode.own) {
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        control_plane.apply_object(object, "").await?;
    }
    Ok(())
}

/// The account and the rights of a CSV, as both OLM v0 (`pkg/controller/operators/olm/operatorgroup.go`) and OLM v1
/// (`internal/operator-controller/rukpak/render`) grant them: `clusterPermissions` everywhere; `permissions` in each namespace that is
/// watched, or, if these are all, everywhere, with the right to see namespaces. v0 grants them in the operator's own namespace
/// besides, v1 does not; what is plain in the bundle must do without.
fn rights(csv: &Value, mode: &Mode) -> Result<Vec<Value>> {
    let spec = &csv["spec"]["install"]["spec"];
    let account = &spec["deployments"][0]["spec"]["template"]["spec"]["serviceAccountName"];
    let mut objects = vec![
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account, "namespace": mode.own}}),
    ];
    for (key, everywhere) in [("clusterPermissions", true), ("permissions", mode.watched.is_empty())] {
        for (index, permission) in spec[key].as_array().with_context(|| format!("no {key}"))?.iter().enumerate() {
            ensure!(permission["serviceAccountName"] == *account, "{permission}");
            let name = format!("{}-{}-{key}-{index}", csv["metadata"]["name"].as_str().unwrap_or_default(), mode.own);
            let mut rules = permission["rules"].as_array().context("no rules")?.clone();
            if everywhere && key == "permissions" {
                rules.push(json!({"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "list", "watch"]}));
            }
            if everywhere {
                objects.extend(bound("Cluster", &name, None, &rules, account, mode.own));
            } else {
                let places = mode.watched.iter();
                objects.extend(places.flat_map(|place| bound("", &name, Some(place), &rules, account, mode.own)));
            }
        }
    }
    Ok(objects)
}

/// A role, and its binding to the operator's account.
fn bound(scope: &str, name: &str, place: Option<&str>, rules: &[Value], account: &Value, own: &str) -> [Value; 2] {
    let (api, kind) = ("rbac.authorization.k8s.io/v1", format!("{scope}Role"));
    let metadata = json!({"name": name.to_lowercase(), "namespace": place});
    [
        json!({"apiVersion": api, "kind": kind, "metadata": metadata, "rules": rules}),
        json!({
            "apiVersion": api,
            "kind": format!("{kind}Binding"),
            "metadata": metadata,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name.to_lowercase()},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": own}],
        }),
    ]
}

/// What OLM annotates the pods with that names the watched namespaces.
const TARGETS: &str = "olm.targetNamespaces";

/// The Deployment of a CSV, whose pods have the CSV's annotations and OLM's.
fn rendered(csv: &Value, deployment: &Value, mode: &Mode) -> Value {
    let mut spec = deployment["spec"].clone();
    let mut annotations = csv["metadata"]["annotations"].clone();
    annotations[TARGETS] = json!(mode.watched.join(","));
    annotations["olm.operatorNamespace"] = json!(mode.own);
    spec["template"]["metadata"]["annotations"] = annotations;
    let metadata = json!({"name": deployment["name"], "namespace": mode.own, "labels": deployment["label"]});
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec})
}

/// The variables of the container, as the kubelet makes them.
fn environment(pod: &Value, mode: &Mode) -> Result<Vec<(String, String)>> {
    let variables = pod["containers"][0]["env"].as_array().context("no variables")?;
    let targets = format!("metadata.annotations['{TARGETS}']");
    let resolved = |variable: &Value| {
        let name = variable["name"].as_str().unwrap_or_default().to_owned();
        let field = variable["valueFrom"]["fieldRef"]["fieldPath"].as_str();
        let value = match (variable["value"].as_str(), field) {
            (Some(value), None) => value.to_owned(),
            (None, Some("metadata.namespace")) => mode.own.to_owned(),
            (None, Some("metadata.name")) => "moorage".to_owned(),
            (None, Some("spec.serviceAccountName")) => {
                pod["serviceAccountName"].as_str().unwrap_or_default().to_owned()
            }
            (None, Some(path)) if path == targets => mode.watched.join(","),
            _ => bail!("the kubelet has nothing for {variable}"),
        };
        Ok((name, value))
    };
    variables.iter().map(resolved).collect()
}

async fn is_ready(control_plane: &ControlPlane, namespace: &str, object: &Value) -> Result<()> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (kind, name) = (text(&object["kind"]), text(&object["metadata"]["name"]));
    eventually(DEADLINE, &format!("{kind} {name} in {namespace} to be Ready"), || async {
        let live = serde_json::to_value(control_plane.get(MOORAGE, &kind, namespace, &name).await?)?;
        ensure!(is_true(&live, "Ready"), "its status is {}", live["status"]);
        Ok(Some(()))
    })
    .await
}

/// The API server takes the CSV, and what the page of OLM has users apply, without dropping a field; and it would notice.
async fn fits_its_schema(control_plane: &ControlPlane, csv: &Value, schemas: &Path) -> Result<()> {
    control_plane.install_crds(schemas).await?;
    let page = blocks(&page("docs/install/olm.md")?, "yaml").join("---\n").replace("moorage-system", "own");
    for kind in ["CatalogSource", "OperatorGroup", "Subscription"] {
        ensure!(page.contains(&format!("kind: {kind}\n")), "the page has no {kind}");
    }
    accepted(control_plane, "page", &page).await?;
    accepted(control_plane, "csv", &csv.to_string()).await?;
    let mut unknown = csv.clone();
    unknown["spec"]["install"]["spec"]["deployments"][0]["labels"] = json!({});
    let mut mute = csv.clone();
    mute["spec"]["displayName"] = Value::Null;
    for (name, wrong, said) in [("unknown", unknown, "unknown field"), ("mute", mute, "spec.displayName")] {
        match accepted(control_plane, name, &wrong.to_string()).await {
            Err(error) if format!("{error:#}").contains(said) => {}
            other => bail!("{name}: {other:?}"),
        }
    }
    Ok(())
}

async fn accepted(control_plane: &ControlPlane, name: &str, manifest: &str) -> Result<()> {
    let path = written(control_plane, name, manifest)?;
    control_plane.run_kubectl(&["create", "--validate=strict", "--dry-run=server", "-f", &path]).await.map(drop)
}

/// A file of the run, for kubectl.
fn written(control_plane: &ControlPlane, name: &str, manifest: &str) -> Result<String> {
    let path = control_plane.work_dir().join(format!("olm-{name}.yaml"));
    std::fs::write(&path, manifest)?;
    Ok(path.display().to_string())
}
