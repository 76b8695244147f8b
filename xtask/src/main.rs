//! Moorage's developer commands: `cargo xtask demo | test | rig | generate | bench | release`.

mod bench;
mod cargo;
mod demo;
mod generate;
mod release;
mod rig;
mod test;
mod tree;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Moorage's developer commands")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start a cluster on this machine, run Moorage in it, and watch the quickstart become ready
    Demo(demo::Arguments),
    /// Run every check: format, lints, licences, unit and cluster tests
    Test(test::Arguments),
    /// Build the test rig's binaries; with --up, keep a control plane running
    Rig(rig::Arguments),
    /// Measure what the operator costs, beside a raw client that applies the same objects
    Bench(bench::Arguments),
    /// Write crds/, deploy/ and docs/reference/ from the code
    Generate,
    /// Make everything that a release publishes, of what is committed: binary, image, manifests, chart, list of parts, hashes
    Release(release::Arguments),
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Demo(arguments) => demo::run(&arguments).await,
        Command::Test(arguments) => succeed(test::run(&arguments)),
        Command::Rig(arguments) => succeed(rig::run(&arguments).await),
        Command::Bench(arguments) => succeed(bench::run(&arguments).await),
        Command::Generate => succeed(generate::run()),
        Command::Release(arguments) => succeed(release::run(&arguments)),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn succeed(outcome: anyhow::Result<()>) -> anyhow::Result<ExitCode> {
    outcome.map(|()| ExitCode::SUCCESS)
}
