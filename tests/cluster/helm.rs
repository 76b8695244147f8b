//! The chart does what its page says: the page's commands install, upgrade and uninstall it, the operator works with the
//! rights that it gets by them and is refused nothing, and what users have outlives the release.

use crate::rbac::SEVERAL;
use crate::support::*;
use anyhow::{Context, Result, bail, ensure};
use moorage_harness::build::{helm, workspace};
use moorage_harness::{ControlPlane, Operator, OperatorOptions, Options, Progress, eventually, manifests};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

crate::cases![own: the_page_installs_upgrades_and_uninstalls];

const OWN: &str = "moorage-system";
const PAGE: &str = "docs/install/helm.md";
/// What the operator makes, and what is made by that, of which nothing may go or restart.
const USERS: &str = "apps.moorage.dev,storageclaims.moorage.dev,registries.moorage.dev,deployments,replicasets,services,\
                     persistentvolumeclaims,serviceaccounts,pods";

/// On a control plane of its own, which has nothing but what Helm installs.
async fn the_page_installs_upgrades_and_uninstalls(_shared: Arc<ControlPlane>) -> Result<()> {
    let control_plane = ControlPlane::start(Options::default()).await?;
    control_plane.install_monitoring().await?;
    for namespace in ["shop", "blog", "other"] {
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        control_plane.apply_object(object, "").await?;
    }
    installed(&control_plane).await.context("## Install")?;
    with_components(&control_plane).await.context("## Values")?;
    upgraded(&control_plane).await.context("## Upgrade")?;
    uninstalled(&control_plane).await.context("## Uninstall")?;
    for_some(&control_plane).await.context("## Some namespaces only")?;
    taken_over(&control_plane).await.context("## What kubectl installed")?;
    removed(&control_plane).await.context("the rest of ## Uninstall")
}

/// With what is granted by default, whatever needs no component is Ready.
async fn installed(control_plane: &ControlPlane) -> Result<()> {
    for command in commands("Install")? {
        run(control_plane, &command).await?;
    }
    let operator = start(control_plane).await?;
    let objects = manifests(&workspace().join("examples/quickstart"))?;
    for object in &objects {
        control_plane.apply_object(object.clone(), "shop").await?;
    }
    let kinds: BTreeSet<&str> = objects.iter().filter_map(|object| object["kind"].as_str()).collect();
    ensure!(["App", "Registry", "StorageClaim"].iter().all(|kind| kinds.contains(kind)), "{kinds:?}");
    for object in objects.iter().filter(|object| object["apiVersion"] == MOORAGE) {
        is_ready(control_plane, &operator, "shop", object).await?;
    }
    operator.stop().await.map(drop)
}

/// With the components of the page, the operator is refused nothing.
async fn with_components(control_plane: &ControlPlane) -> Result<()> {
    for command in commands("Values")? {
        run(control_plane, &command).await?;
    }
    let mark = control_plane.audit().mark()?;
    let operator = start(control_plane).await?;
    control_plane.apply(SEVERAL, "shop").await?;
    control_plane.apply(SEEN, "shop").await?;
    for (kind, name) in [("Registry", "many"), ("App", "seen")] {
        is_ready(control_plane, &operator, "shop", &json!({"kind": kind, "metadata": {"name": name}})).await?;
    }
    let requests = control_plane.audit().by_user(&operator.user(), mark)?;
    let refused: Vec<_> = requests.iter().filter(|event| event.code == 403).cloned().collect();
    ensure!(!requests.is_empty() && refused.is_empty(), "it was refused:\n{}", lines(&refused));
    operator.stop().await.map(drop)
}

/// An upgrade that changes nothing writes nothing: neither Helm to the operator's objects, nor the operator to anybody's.
async fn upgraded(control_plane: &ControlPlane) -> Result<()> {
    let operator = start(control_plane).await?;
    let before = (users(control_plane, "shop").await?, ours(control_plane).await?);
    ensure!(before.0.contains("Deployment web ") && before.1.contains("Deployment moorage "), "{before:?}");
    let mark = control_plane.audit().mark()?;
    for command in commands("Upgrade")? {
        run(control_plane, &command).await?;
    }
    let values = helm_says(control_plane, &["get", "values", "moorage", "--namespace", OWN]).await?;
    ensure!(values.contains("registrySecrets: true"), "what was set is not kept: {values}");
    let after = (users(control_plane, "shop").await?, ours(control_plane).await?);
    ensure!(after == before, "it was\n{}\n{}\nand is\n{}\n{}", before.0, before.1, after.0, after.1);
    let requests = control_plane.audit().by_user(&operator.user(), mark)?;
    let writes: Vec<_> = requests.into_iter().filter(|event| event.is_write() && event.resource != "leases").collect();
    ensure!(writes.is_empty(), "the operator wrote:\n{}", lines(&writes));
    operator.stop().await.map(drop)
}

/// The operator goes, with every right of its account; all else stays as it is.
async fn uninstalled(control_plane: &ControlPlane) -> Result<()> {
    let before = users(control_plane, "shop").await?;
    let definitions = definitions(control_plane).await?;
    ensure!(definitions.lines().count() == 3, "{definitions}");
    let commands = commands("Uninstall without losing data")?;
    let command = commands.first().context("no command")?;
    ensure!(command.starts_with("helm uninstall "), "{command}");
    run(control_plane, command).await?;
    let left = ours(control_plane).await?;
    ensure!(left.is_empty(), "left are\n{left}");
    ensure!(self::definitions(control_plane).await? == definitions, "the definitions were {definitions}");
    let after = users(control_plane, "shop").await?;
    ensure!(after == before, "it was\n{before}\nand is\n{after}");
    Ok(())
}

/// Installed again for some namespaces, the release takes the definitions back; the operator works in these and nowhere else.
async fn for_some(control_plane: &ControlPlane) -> Result<()> {
    let before = users(control_plane, "shop").await?;
    for command in commands("Some namespaces only")? {
        run(control_plane, &command).await?;
    }
    let bindings = control_plane.run_kubectl(&["get", "clusterrolebindings", "-o=name"]).await?;
    ensure!(!bindings.contains("moorage"), "{bindings}");
    let operator = start(control_plane).await?;
    for namespace in ["blog", "other"] {
        control_plane.apply(WEB, namespace).await?;
    }
    let web = json!({"kind": "App", "metadata": {"name": "web"}});
    for namespace in ["shop", "blog"] {
        is_ready(control_plane, &operator, namespace, &web).await?;
    }
    let other = control_plane.get(MOORAGE, "App", "other", "web").await?.context("no App")?;
    ensure!(other.data["status"]["conditions"].is_null(), "it works where it does not watch: {}", other.data["status"]);
    let after = users(control_plane, "shop").await?;
    ensure!(after == before, "it was\n{before}\nand is\n{after}");
    operator.stop().await?;
    run(control_plane, &format!("helm uninstall moorage --namespace {OWN}")).await.map(drop)
}

/// What `deploy/install.yaml` installed becomes a release's.
async fn taken_over(control_plane: &ControlPlane) -> Result<()> {
    let manifest = std::fs::read_to_string(workspace().join("deploy/install.yaml"))?;
    let path = control_plane.work_dir().join("install.yaml");
    std::fs::write(&path, manifest)?;
    control_plane
        .run_kubectl(&["apply", "--server-side", "--force-conflicts", "-f", &path.display().to_string()])
        .await?;
    let commands = commands("What kubectl installed")?;
    let command = commands.first().context("no command")?;
    let plain = command.replace("--take-ownership ", "").replace("--force-conflicts ", "");
    let refused = run(control_plane, &plain).await.err().context("it was taken without a word")?;
    ensure!(format!("{refused:#}").contains("invalid ownership metadata"), "{refused:#}");
    run(control_plane, command).await?;
    let operator = start(control_plane).await?;
    let web = json!({"kind": "App", "metadata": {"name": "web"}});
    is_ready(control_plane, &operator, "other", &web).await?;
    operator.stop().await?;
    run(control_plane, &format!("helm uninstall moorage --namespace {OWN}")).await.map(drop)
}

/// The page's last commands leave the data, and what runs.
async fn removed(control_plane: &ControlPlane) -> Result<()> {
    let kept =
        ["get", "deployments,persistentvolumeclaims", "-A", "-l=app.kubernetes.io/managed-by=moorage", "-o=name"];
    let before = control_plane.run_kubectl(&kept).await?;
    ensure!(before.contains("/database-data\n") && before.contains("/web\n"), "{before}");
    for command in commands("Uninstall without losing data")?.iter().skip(1) {
        run(control_plane, command).await?;
    }
    ensure!(control_plane.run_kubectl(&kept).await? == before, "not kept: {before}");
    let (definitions, own) = (definitions(control_plane).await?, ours(control_plane).await?);
    let unlisted = control_plane.run_kubectl(&["get", "leases,secrets", "--namespace", OWN, "-o=name"]).await?;
    ensure!(definitions.is_empty() && own.is_empty() && !unlisted.contains("moorage"), "{definitions}{own}{unlisted}");
    Ok(())
}

/// The commands of a section of the page, one per line.
fn commands(title: &str) -> Result<Vec<String>> {
    let commands = blocks(&section(PAGE, title)?, "sh").concat();
    ensure!(!commands.is_empty(), "no command in {title}");
    Ok(commands.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

/// What the rig asks for, as `OpenShift` does.
const ENFORCED: &str = "--set=components.ownerReferences=true";

/// Runs a line of the page as if at the top of the repository.
async fn run(control_plane: &ControlPlane, line: &str) -> Result<String> {
    let in_place = |word: String| if word.starts_with("deploy/") { absolute(&word) } else { word };
    let words: Vec<String> = words(line).into_iter().map(in_place).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.first() {
        Some(&"helm") if words[1] == "install" => helm_says(control_plane, &[&words[1..], &[ENFORCED]].concat()).await,
        Some(&"helm") => helm_says(control_plane, &words[1..]).await,
        Some(&"kubectl") => control_plane.run_kubectl(&words[1..]).await,
        _ => bail!("neither helm nor kubectl: {line}"),
    }
}

fn absolute(path: &str) -> String {
    workspace().join(path).display().to_string()
}

/// Runs Helm as the administrator, with nothing of this machine's.
async fn helm_says(control_plane: &ControlPlane, arguments: &[&str]) -> Result<String> {
    let binary = tokio::task::spawn_blocking(|| helm(Progress::stderr())).await??;
    let mut command = tokio::process::Command::new(binary);
    for folder in ["CACHE", "CONFIG", "DATA"] {
        command.env(format!("HELM_{folder}_HOME"), control_plane.work_dir().join("helm"));
    }
    command.env("KUBECONFIG", control_plane.kubeconfig_path()).args(arguments);
    let output = command.kill_on_drop(true).output();
    let output = tokio::time::timeout(DEADLINE, output).await.context("helm: not done in time")??;
    let why = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "helm {}: {}", arguments.join(" "), why.trim());
    Ok(String::from_utf8(output.stdout)?)
}

/// The operator, as the Deployment of the release has it: its pods are played, so this is a process with their account and settings.
async fn start(control_plane: &ControlPlane) -> Result<Operator> {
    let live = eventually(DEADLINE, "its pods to be admitted", || async {
        let live = control_plane.get("apps/v1", "Deployment", OWN, "moorage").await?.context("no Deployment")?;
        ensure!(live.data["status"]["readyReplicas"] == 2, "its status is {}", live.data["status"]);
        Ok(Some(live.data))
    })
    .await?;
    let container = &live["spec"]["template"]["spec"]["containers"][0];
    let set = container["env"].as_array().context("no variables")?;
    let env = set.iter().filter_map(|one| Some((one["name"].as_str()?.to_owned(), one["value"].as_str()?.to_owned())));
    let further = container["args"].as_array().into_iter().flatten().skip(1);
    let extra_args = further.filter_map(Value::as_str).map(str::to_owned).collect();
    let options = OperatorOptions { operator_namespace: OWN.to_owned(), env: env.collect(), extra_args, ..options() };
    let operator = control_plane.operator(options).await?;
    operator.ready().await?;
    Ok(operator)
}

async fn is_ready(control_plane: &ControlPlane, operator: &Operator, namespace: &str, object: &Value) -> Result<()> {
    let [kind, name] = [&object["kind"], &object["metadata"]["name"]].map(|text| text.as_str().unwrap_or_default());
    eventually(DEADLINE, &format!("{kind} {name} in {namespace} to be Ready"), || async {
        let live = serde_json::to_value(control_plane.get(MOORAGE, kind, namespace, name).await?)?;
        ensure!(is_true(&live, "Ready"), "its status is {}", live["status"]);
        Ok(Some(()))
    })
    .await
    .with_context(|| format!("the operator's log ends:\n{}", operator.process().tail(30)))
}

/// Kind, name and UID of each of these objects, and which generation of it that is.
async fn versions(control_plane: &ControlPlane, kinds: &str, place: &str) -> Result<String> {
    let version =
        "{{with .metadata}}{{.uid}} {{if .generation}}{{.generation}}{{else}}{{.resourceVersion}}{{end}}{{end}}";
    let template =
        format!("-o=go-template={{{{range .items}}}}{{{{.kind}}}} {{{{.metadata.name}}}} {version}\n{{{{end}}}}");
    control_plane.run_kubectl(&["get", kinds, place, "-l=app.kubernetes.io/name", &template]).await
}

/// The same of what users have in a namespace.
async fn users(control_plane: &ControlPlane, namespace: &str) -> Result<String> {
    let place = format!("--namespace={namespace}");
    versions(control_plane, USERS, &place).await
}

/// The same of what the chart installs, but the definitions.
async fn ours(control_plane: &ControlPlane) -> Result<String> {
    let own = "serviceaccounts,deployments,poddisruptionbudgets,roles,rolebindings";
    let cluster = "clusterroles,clusterrolebindings,validatingadmissionpolicies,validatingadmissionpolicybindings";
    let place = format!("--namespace={OWN}");
    Ok(versions(control_plane, own, &place).await? + &versions(control_plane, cluster, "--all-namespaces").await?)
}

async fn definitions(control_plane: &ControlPlane) -> Result<String> {
    let all = control_plane.run_kubectl(&["get", "customresourcedefinitions", "-o=name"]).await?;
    Ok(all.lines().filter(|line| line.ends_with(".moorage.dev")).collect::<Vec<_>>().join("\n"))
}
