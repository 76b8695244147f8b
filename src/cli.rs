//! The command line: `run`, `crds`, `manifests`, `render`.

use crate::generate;
use crate::shell::settings::{Settings, each_once, namespace};
use crate::shell::{run, telemetry};
use clap::{Parser, Subcommand};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tokio_util::sync::CancellationToken;

/// Moorage keeps apps, storage and image registries as declared, on any Kubernetes cluster.
#[derive(Parser, Debug)]
#[command(version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Run the operator.
    Run(Box<Settings>),
    /// Print the CRDs, or write them to a folder.
    Crds {
        /// Folder to write one file per kind to; standard output if not given.
        #[arg(long)]
        output: Option<PathBuf>,
    },
    /// Print the install manifests, or write them to a folder.
    Manifests {
        /// Print what installs the operator for this namespace only, which must exist, with rights there and nowhere else; give it
        /// several times, or several with commas, for several.
        #[arg(long, value_delimiter = ',', value_parser = namespace)]
        watch_namespace: Vec<String>,
        /// Folder to write to; standard output if not given.
        #[arg(long)]
        output: Option<PathBuf>,
    },
    /// Print the exact objects that the operator would apply for the resources in a file, without a cluster.
    ///
    /// A Registry's Secret is left out: it is derived from a key that only the cluster has.
    Render(generate::render::RenderArgs),
}

/// Runs the command that was asked for.
pub async fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run(settings) => run_operator(*settings).await,
        Command::Crds { output } => generate::emit(generate::crds(), output.as_deref()),
        Command::Manifests { watch_namespace, output } => manifests(&watch_namespace, output.as_deref()),
        Command::Render(arguments) => generate::render::render(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn manifests(namespaces: &[String], output: Option<&Path>) -> Result<(), String> {
    each_once(namespaces).map_err(|error| error.to_string())?;
    let files = if namespaces.is_empty() { generate::manifests() } else { generate::install_for(namespaces) };
    generate::emit(files, output)
}

async fn run_operator(settings: Settings) -> Result<(), String> {
    let settings = settings.validated().map_err(|error| error.to_string())?;
    telemetry::init(settings.log_format, &settings.log_filter).map_err(|error| error.to_string())?;
    let stop = CancellationToken::new();
    tokio::spawn(stop_on_signal(stop.clone()));
    tracing::info!(version = env!("CARGO_PKG_VERSION"), identity = settings.identity, "starting");
    run::run(settings, stop).await.map_err(|error| error.to_string())
}

/// SIGTERM is how Kubernetes asks a pod to end, SIGINT how a terminal does.
async fn stop_on_signal(stop: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    stop.cancel();
}
