//! `cargo xtask bench`: what the operator costs, counted, and how fast it is beside a raw client in the same run.
//!
//! Counts don't depend on the machine. Times do, so they are given as ratios: the floor is a client that applies the very
//! same children over as many connections and does nothing else, each on a fresh control plane.

#![allow(clippy::cast_precision_loss, reason = "no count here comes near 2^52")]

mod load;
mod measure;
mod references;

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use clap::Args;
use moorage_harness::{ControlPlane, Mark, Operator, OperatorOptions, Options, Progress, build::workspace};
use serde_json::{Value, json};

use crate::cargo::build_operator_release;
use load::{NAMESPACE, Order};
use measure::{Usage, percentile};

/// Children of the App that is measured: `ServiceAccount`, Service and Deployment.
const CHILDREN: usize = 3;

#[derive(Args)]
pub struct Arguments {
    /// How many Apps
    #[arg(long, default_value_t = 1000)]
    apps: usize,
    /// 200 Apps, and rest for 20 s instead of 60
    #[arg(long)]
    quick: bool,
    /// Leave out the floors, where only the counts matter
    #[arg(long)]
    no_floor: bool,
    /// Only what it costs that Apps read `ConfigMaps` and Secrets
    #[arg(long)]
    references: bool,
    /// Further flags of the operator, such as --operator-arg=--workers=16
    #[arg(long)]
    operator_arg: Vec<String>,
    /// Where to write the figures as JSON
    #[arg(long)]
    json: Option<PathBuf>,
}

/// What was measured, in the order of printing.
struct Figures(Vec<(String, Value)>);

impl Figures {
    fn add(&mut self, name: &str, value: impl Into<Value>) {
        let value = value.into();
        let shown = value
            .as_f64()
            .filter(|_| value.is_f64())
            .map_or_else(|| value.to_string(), |number| format!("{number:.2}"));
        println!("{name:<58} {shown:>12}");
        self.0.push((name.to_owned(), value));
    }
}

/// Runs the bench.
pub async fn run(arguments: &Arguments) -> Result<()> {
    let count = if arguments.quick { 200 } else { arguments.apps };
    let binary = tokio::task::spawn_blocking(build_operator_release).await??;
    let mut figures = Figures(Vec::new());
    figures.add("Apps", count);
    let mut floors = BTreeMap::new();
    if !arguments.no_floor && !arguments.references {
        for order in [Order::KindByKind, Order::ResourceByResource] {
            let seconds = floor(count, order).await?;
            figures.add(&format!("floor, {order}: s to the last rollout"), seconds);
            floors.insert(order.to_string(), seconds);
        }
    }
    let rig = start().await?;
    rig.install(&workspace().join("crds"), &workspace().join("deploy")).await?;
    if arguments.references {
        references::prepare(&rig, count).await?;
    }
    let options = OperatorOptions { extra_args: arguments.operator_arg.clone(), ..OperatorOptions::new(binary) };
    let mut operator = rig.operator(options).await?;
    operator.ready().await?;
    if arguments.references {
        references::run(&rig, &operator, count, &mut figures).await?;
    } else {
        converge(&rig, &operator, count, &floors, &mut figures).await?;
        change(&rig, &operator, count, &mut figures).await?;
        latency(&rig, &operator, &mut figures).await?;
    }
    rest(&rig, &mut operator, if arguments.quick { 20 } else { 60 }, &mut figures).await?;
    if let Some(path) = &arguments.json {
        let object: serde_json::Map<String, Value> = figures.0.into_iter().collect();
        fs::write(path, serde_json::to_string_pretty(&object)?)?;
    }
    Ok(())
}

async fn start() -> Result<ControlPlane> {
    let policy = format!("--audit-policy-file={}", workspace().join("xtask/src/bench/audit-policy.yaml").display());
    let extra_args = vec![("kube-apiserver".to_owned(), policy)];
    let rig = ControlPlane::start(Options { extra_args, progress: Progress::stderr(), ..Options::default() }).await?;
    rig.apply(&format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {NAMESPACE}}}}}"), "").await?;
    Ok(rig)
}

/// Seconds until everything that a raw client applied has rolled out.
async fn floor(count: usize, order: Order) -> Result<f64> {
    let rig = start().await?;
    let rollouts = load::rollouts(rig.client(), count);
    let begin = Instant::now();
    load::apply_children(&rig, count, order).await?;
    rollouts.await??;
    Ok(begin.elapsed().as_secs_f64())
}

/// All Apps at once, until each is Ready.
async fn converge(
    rig: &ControlPlane,
    operator: &Operator,
    count: usize,
    floors: &BTreeMap<String, f64>,
    figures: &mut Figures,
) -> Result<()> {
    let (mark, before) = (rig.audit().mark()?, Usage::of(operator)?);
    let (rollouts, ready) = (load::rollouts(rig.client(), count), load::ready(rig.client(), count, 1));
    let begin = Instant::now();
    load::apply_all(rig, (0..count).map(load::app)).await?;
    let rolled_out = rollouts.await??.duration_since(begin).as_secs_f64();
    let makespan = ready.await??.duration_since(begin).as_secs_f64();
    figures.add("makespan: s to the last App Ready", makespan);
    for (order, floor) in floors {
        figures.add(&format!("makespan / floor, {order}"), makespan / floor);
    }
    figures.add("Ready after the last rollout, s", makespan - rolled_out);
    let used = Usage::of(operator)?.since(&before);
    let writes = counts(rig, operator, mark, count, "converge", figures).await?;
    figures.add("converge: writes per App less children", writes - CHILDREN as f64);
    figures.add("converge: operator CPU per write, ms", used.cpu * 1000.0 / (writes * count as f64));
    figures.add("peak RSS, MiB", used.peak_mib);
    Ok(())
}

/// A new image for every App.
async fn change(rig: &ControlPlane, operator: &Operator, count: usize, figures: &mut Figures) -> Result<()> {
    let (mark, before) = (rig.audit().mark()?, Usage::of(operator)?);
    let ready = load::ready(rig.client(), count, 2);
    let begin = Instant::now();
    load::change_images(rig, count).await?;
    let done = ready.await??.duration_since(begin).as_secs_f64();
    figures.add("image change on all: s to the last App Ready", done);
    let writes = counts(rig, operator, mark, count, "image change", figures).await?;
    let used = Usage::of(operator)?.since(&before);
    figures.add("image change: operator CPU per write, ms", used.cpu * 1000.0 / (writes * count as f64));
    figures.add("image change: operator CPU per App, ms", used.cpu * 1000.0 / count as f64);
    Ok(())
}

/// Requests per App since the mark, by verb and kind; returns the writes per App.
async fn counts(
    rig: &ControlPlane,
    operator: &Operator,
    mark: Mark,
    count: usize,
    what: &str,
    figures: &mut Figures,
) -> Result<f64> {
    let tally = measure::tally(rig, operator, mark).await?;
    let per_app = |number: usize| number as f64 / count as f64;
    for (name, number) in &tally.requests {
        figures.add(&format!("{what}: {name} per App"), per_app(*number));
    }
    figures.add(&format!("{what}: bytes written per App"), per_app(tally.bytes));
    Ok(per_app(tally.writes))
}

/// From the edit of one App to the last write of its children, while nothing else happens.
async fn latency(rig: &ControlPlane, operator: &Operator, figures: &mut Figures) -> Result<()> {
    let mut times = Vec::new();
    for round in 0..100 {
        times.push(load::edit(rig, round).await?.as_secs_f64() * 1000.0);
    }
    figures.add("edit to last child write, idle, p50, ms", percentile(&mut times, 0.50));
    figures.add("edit to last child write, idle, p99, ms", percentile(&mut times, 0.99));
    ensure!(operator.process().exited()?.is_none(), "the operator ended");
    Ok(())
}

/// Requests while nothing happens, and writes across a restart.
async fn rest(rig: &ControlPlane, operator: &mut Operator, seconds: u64, figures: &mut Figures) -> Result<()> {
    measure::settled(rig, operator).await?;
    let (mark, before) = (rig.audit().mark()?, Usage::of(operator)?);
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let tally = measure::tally(rig, operator, mark).await?;
    figures.add(&format!("requests in {seconds} s of rest, less watches and Lease"), tally.total());
    figures.add(
        "at rest: operator CPU, ms per minute",
        Usage::of(operator)?.since(&before).cpu * 60_000.0 / seconds as f64,
    );
    let mark = rig.audit().mark()?;
    operator.restart().await?;
    operator.ready().await?;
    measure::settled(rig, operator).await?;
    let tally = measure::tally(rig, operator, mark).await?;
    figures.add("writes across a restart", tally.writes);
    figures.add("peak RSS after a restart, MiB", Usage::of(operator)?.peak_mib);
    fs::write(rig.work_dir().join("bench.json"), json!({"restart": tally.writes}).to_string())?;
    Ok(())
}
