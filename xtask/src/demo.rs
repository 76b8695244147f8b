//! `cargo xtask demo`: a cluster, the operator and the quickstart, live, from one command.

use std::{
    collections::BTreeMap,
    future::pending,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use clap::Args;
use kube::api::DynamicObject;
use moorage_harness::{ControlPlane, Operator, OperatorOptions, Options, Progress, build::workspace, guard, manifests};

use crate::{cargo::build_operator, tree};

/// How long the quickstart may take to become ready; it takes seconds.
const DEADLINE: Duration = Duration::from_mins(2);
const NAMESPACE: &str = "default";
const KINDS: [&str; 3] = ["App", "StorageClaim", "Registry"];

#[derive(Args)]
pub struct Arguments {
    /// End as soon as everything is ready, with code 0, or when it fails to be, with code 1
    #[arg(long)]
    exit: bool,
}

/// Runs the demo.
pub async fn run(arguments: &Arguments) -> Result<()> {
    eprintln!("building the operator");
    let binary = tokio::task::spawn_blocking(build_operator).await??;
    let rig = ControlPlane::start(Options::default()).await?;
    eprintln!("cluster ready after {:.1} s", rig.start_time().as_secs_f64());
    let root = workspace();
    rig.install(&root.join("crds"), &root.join("deploy")).await?;
    let operator = rig.operator(OperatorOptions::new(binary)).await?;
    operator.ready().await?;
    eprintln!("operator ready; applying examples/quickstart");
    let applied = apply_folder(&rig, &root.join("examples/quickstart")).await?;
    let outcome = watch(&rig, &operator, &applied).await;
    println!("\n{}", tree::render(&rig, &applied).await?);
    if arguments.exit {
        return outcome;
    }
    if let Err(error) = outcome {
        eprintln!("{error:#}");
    }
    print_next_steps(rig.kubeconfig_path());
    guard::exit_code_on_interrupt(0);
    pending().await
}

/// Applies every object of the folder; returns the Apps, `StorageClaims` and Registries among them.
async fn apply_folder(rig: &ControlPlane, folder: &Path) -> Result<Vec<DynamicObject>> {
    let mut ours = Vec::new();
    for object in manifests(folder)? {
        let is_ours = object["kind"].as_str().is_some_and(|kind| KINDS.contains(&kind));
        let applied = rig.apply_object(object, NAMESPACE).await?;
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
async fn watch(rig: &ControlPlane, operator: &Operator, objects: &[DynamicObject]) -> Result<()> {
    let begin = Instant::now();
    let progress = Progress::stderr();
    let mut shown: BTreeMap<String, String> = BTreeMap::new();
    loop_until_ready(rig, operator, objects, |name, state| {
        if shown.get(name) != Some(state) {
            let elapsed = begin.elapsed().as_secs_f64();
            progress.line(&format!("{elapsed:>6.1} s  {name:<28} {state}"));
            shown.insert(name.to_owned(), state.clone());
        }
    })
    .await
}

async fn loop_until_ready(
    rig: &ControlPlane,
    operator: &Operator,
    objects: &[DynamicObject],
    mut show: impl FnMut(&str, &String),
) -> Result<()> {
    let end = Instant::now() + DEADLINE;
    loop {
        let mut waiting = Vec::new();
        for object in objects {
            let live = tree::live(rig, object).await?;
            let name = tree::title(object);
            let (ready, state) = tree::readiness(live.as_ref());
            show(&name, &state);
            if !ready {
                waiting.push(name);
            }
        }
        if waiting.is_empty() {
            return Ok(());
        }
        if let Some(status) = operator.process().exited()? {
            bail!("the operator ended with {status}:\n{}", operator.process().tail(20));
        }
        if Instant::now() > end {
            bail!(
                "not ready after {DEADLINE:?}: {}; the operator's last lines:\n{}",
                waiting.join(", "),
                operator.process().tail(20)
            );
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn print_next_steps(kubeconfig: &Path) {
    println!("The cluster runs until Ctrl-C. In another terminal:\n");
    println!("  export KUBECONFIG={}", kubeconfig.display());
    for command in [
        "kubectl get moorage",
        "kubectl describe app",
        "kubectl scale app --all --replicas=4",
        "kubectl get pods --watch",
        "kubectl explain app.spec --recursive",
    ] {
        println!("  {command}");
    }
}
