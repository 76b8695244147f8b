//! `cargo xtask demo`: a cluster, the operator and the quickstart, live, from one command.

use std::{
    collections::BTreeMap,
    future::pending,
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};
use kube::api::DynamicObject;
use moorage_harness::{
    Access, ControlPlane, OperatorOptions, Options, Progress, Way,
    build::workspace,
    eventually, guard, manifests,
    node::{self, NodeCluster, OPERATOR_NAMESPACE, Place},
};

use crate::{cargo::build_operator, tree};

/// How long the quickstart may take to become ready; it takes seconds.
const DEADLINE: Duration = Duration::from_mins(2);
const NAMESPACE: &str = "default";
const KINDS: [&str; 3] = ["App", "StorageClaim", "Registry"];

#[derive(Args)]
pub struct Arguments {
    /// How Moorage is installed, by the commands of its page in docs/install
    ///
    /// All that this output has is really applied. With --node the operator is the Pod of its Deployment. Without, no kubelet runs
    /// it: its pods are played, and beside them runs one process with the arguments, variables and `ServiceAccount` of such a pod,
    /// and so with the rights that this output gives. Of olm it is what Operator Lifecycle Manager makes of the bundle, for all
    /// namespaces; OLM itself is not there.
    #[arg(long, default_value = "kubectl", value_parser = way())]
    via: Way,
    /// Run on a real node (containerd, runc, kubelet) with the operator as a Pod from its own image; needs root on Linux
    #[arg(long)]
    node: bool,
    /// End as soon as everything is ready, with code 0, or when it fails to be, with code 1
    #[arg(long)]
    exit: bool,
}

fn way() -> impl TypedValueParser<Value = Way> {
    PossibleValuesParser::new(Way::ALL.map(Way::name)).try_map(|name| name.parse())
}

/// Shows a command of a page before it is run.
fn tell(command: &str) {
    eprintln!("$ {command}");
}

/// Runs the demo.
pub async fn run(arguments: &Arguments) -> Result<ExitCode> {
    if arguments.node { on_node(arguments).await } else { simulated(arguments).await.map(|()| ExitCode::SUCCESS) }
}

async fn simulated(arguments: &Arguments) -> Result<()> {
    eprintln!("building the operator");
    let binary = tokio::task::spawn_blocking(build_operator).await??;
    let rig = ControlPlane::start(Options::default()).await?;
    eprintln!("cluster ready after {:.1} s", rig.start_time().as_secs_f64());
    rig.installer(arguments.via, tell).await?.install().await?;
    let operator = rig.deployed_operator(OPERATOR_NAMESPACE, OperatorOptions::new(binary)).await?;
    let outcome = quickstart(&rig, || match operator.process().exited()? {
        Some(status) => bail!("the operator ended with {status}:\n{}", operator.process().tail(20)),
        None => Ok(()),
    });
    let outcome = outcome.await.with_context(|| format!("the operator's last lines:\n{}", operator.process().tail(20)));
    if arguments.exit {
        return outcome;
    }
    if let Err(error) = outcome {
        eprintln!("{error:#}");
    }
    println!("The cluster runs until Ctrl-C. In another terminal:\n");
    println!("  {}", rig.exports()?);
    print_next_steps();
    guard::exit_code_on_interrupt(0);
    pending().await
}

async fn on_node(arguments: &Arguments) -> Result<ExitCode> {
    if !arguments.exit {
        // Outside, nobody learns when the run inside has done its work and only waits for Ctrl-C.
        guard::exit_code_on_interrupt(0);
    }
    let via = arguments.via;
    let entered = tokio::task::spawn_blocking(move || {
        // Inside there is no network to build them from.
        via.programs(Progress::stderr())?;
        node::enter(Progress::stderr())
    });
    let folder = match entered.await?? {
        Place::Inside(folder) => folder,
        Place::Finished(code) => return Ok(code),
    };
    let cluster = NodeCluster::start(folder, Progress::stderr()).await?;
    eprintln!("node ready after {:.1} s", cluster.start_time().as_secs_f64());
    cluster.install_operator(via, tell).await?;
    let outcome = match quickstart(&cluster, || Ok(())).await {
        Ok(()) => answer(&cluster).await,
        Err(error) => Err(error.context(cluster.operator_report().await)),
    };
    if arguments.exit {
        return outcome.map(|()| ExitCode::SUCCESS);
    }
    if let Err(error) = outcome {
        eprintln!("{error:#}");
    }
    println!("The node runs until Ctrl-C, in namespaces of its own. In another terminal, for a shell in there:\n");
    println!("  sh {}", node::shell(cluster.work_dir()).display());
    print_next_steps();
    println!("  kubectl top pods");
    guard::exit_code_on_interrupt(0);
    pending().await
}

/// Asks the quickstart's web App through its Service, as its users do.
async fn answer(cluster: &NodeCluster) -> Result<()> {
    let said = eventually(DEADLINE, "the web App to answer through its Service", || async {
        Ok(Some(cluster.ask(NAMESPACE, "web", "/").await?))
    });
    println!("The Service web answers: {}\n", said.await?.trim());
    Ok(())
}

/// Applies the quickstart, shows it becoming ready, and prints what came of it. `alive` fails when it never will be.
async fn quickstart(access: &Access, alive: impl Fn() -> Result<()>) -> Result<()> {
    eprintln!("operator ready; applying examples/quickstart");
    let applied = apply_folder(access, &workspace().join("examples/quickstart")).await?;
    let outcome = watch(access, &applied, alive).await;
    println!("\n{}", tree::render(access, &applied).await?);
    outcome
}

/// Applies every object of the folder; returns the Apps, `StorageClaims` and Registries among them.
async fn apply_folder(access: &Access, folder: &Path) -> Result<Vec<DynamicObject>> {
    let mut ours = Vec::new();
    for object in manifests(folder)? {
        let is_ours = object["kind"].as_str().is_some_and(|kind| KINDS.contains(&kind));
        let applied = access.apply_object(object, NAMESPACE).await?;
        if is_ours {
            ours.push(applied);
        }
    }
    if ours.is_empty() {
        bail!("{} holds no App, StorageClaim or Registry", folder.display());
    }
    Ok(ours)
}

/// Shows every change of every object's Ready condition until all are ready.
async fn watch(access: &Access, objects: &[DynamicObject], alive: impl Fn() -> Result<()>) -> Result<()> {
    let begin = Instant::now();
    let progress = Progress::stderr();
    let mut shown: BTreeMap<String, String> = BTreeMap::new();
    loop {
        let mut waiting = Vec::new();
        for object in objects {
            let live = tree::live(access, object).await?;
            let name = tree::title(object);
            let (ready, state) = tree::readiness(live.as_ref());
            if shown.get(&name) != Some(&state) {
                progress.line(&format!("{:>6.1} s  {name:<28} {state}", begin.elapsed().as_secs_f64()));
                shown.insert(name.clone(), state);
            }
            if !ready {
                waiting.push(name);
            }
        }
        if waiting.is_empty() {
            return Ok(());
        }
        alive()?;
        if begin.elapsed() > DEADLINE {
            bail!("not ready after {DEADLINE:?}: {}", waiting.join(", "));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn print_next_steps() {
    for command in [
        "kubectl get moorage",
        "kubectl describe mapp",
        "kubectl scale mapp --all --replicas=4",
        "kubectl get pods --watch",
        "kubectl explain mapp.spec --recursive",
    ] {
        println!("  {command}");
    }
}
