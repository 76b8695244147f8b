//! `cargo xtask rig`: build the control plane's binaries, and with `--up` keep one running.

use std::future::pending;

use anyhow::Result;
use clap::Args;
use moorage_harness::{ControlPlane, Options, Progress, build, former, guard};
use tokio::task::spawn_blocking;

#[derive(Args)]
pub struct Arguments {
    /// Start a control plane and stay until Ctrl-C
    #[arg(long)]
    up: bool,
    /// How many fake nodes it has
    #[arg(long, default_value_t = 3)]
    nodes: usize,
}

/// Builds what is missing; stays when asked to.
pub async fn run(arguments: &Arguments) -> Result<()> {
    if !arguments.up {
        let assets = spawn_blocking(build_all).await??;
        println!("the rig is built: {}", assets.bin("kubectl")?.display());
        return Ok(());
    }
    let options = Options { nodes: arguments.nodes, ..Options::default() };
    let rig = ControlPlane::start(options).await?;
    eprintln!("ready after {:.1} s; Ctrl-C ends it", rig.start_time().as_secs_f64());
    println!("{}", rig.exports()?);
    guard::exit_code_on_interrupt(0);
    pending().await
}

/// What a control plane is made of, and what only tests need, if it can be had.
fn build_all() -> Result<build::Assets> {
    let assets = build::assets(Progress::stderr())?;
    if build::prometheus_unavailable().is_none() {
        build::prometheus(Progress::stderr())?;
    }
    for program in [build::HELM, build::KUBECONFORM] {
        if build::program_unavailable(program).is_none() {
            build::program(program, Progress::stderr())?;
        }
    }
    if former::unavailable().is_none() {
        former::former(Progress::stderr())?;
    }
    Ok(assets)
}
