//! A node that is ended from outside, whatever way, leaves nothing behind; at the latest after the next run.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use libtest_mimic::{Arguments, Failed, Trial};
use moorage_harness::{
    Process, Progress, eventually,
    node::{self, NodeCluster, Place, Snapshot},
};
use rustix::process::{Pid, Signal, kill_process};
use tokio::runtime::Runtime;

const DEADLINE: Duration = Duration::from_mins(5);

/// Set for the run that is to be ended: the file to which it writes its folder once the node is ready.
const READY: &str = "MOORAGE_RIG_READY";

fn main() -> ExitCode {
    if let Some(ready) = env::var_os(READY) {
        return match a_node(Path::new(&ready)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error:#}");
                ExitCode::FAILURE
            }
        };
    }
    let test = Trial::test("a_node_that_is_ended_leaves_nothing", || {
        let outcome = Runtime::new()?.block_on(a_node_that_is_ended_leaves_nothing());
        outcome.map_err(|error| Failed::from(format!("{error:#}")))
    });
    let test = match node::unavailable() {
        Some(why) => test.with_kind(why).with_ignored_flag(true),
        None => test,
    };
    libtest_mimic::run(&Arguments::from_args(), vec![test]).exit_code()
}

/// A run with a node, until it is ended from outside.
fn a_node(ready: &Path) -> Result<()> {
    let Place::Inside(folder) = node::enter(Progress::stderr())? else { return Ok(()) };
    Runtime::new()?.block_on(async {
        let cluster = NodeCluster::start(folder.clone(), Progress::stderr()).await?;
        fs::write(ready, folder.display().to_string())?;
        std::future::pending::<()>().await;
        drop(cluster);
        Ok(())
    })
}

async fn a_node_that_is_ended_leaves_nothing() -> Result<()> {
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("node-ends-{}", std::process::id()));
    fs::create_dir_all(&scratch)?;
    // The first run installs what is missing on this machine, which stays.
    let (first, folder) = started(&scratch.join("first")).await?;
    ended_by(&first, Signal::TERM).await?;
    ensure!(node::processes(&folder).is_empty() && !folder.exists(), "{} is left", folder.display());

    let before = Snapshot::take()?;
    let (second, folder) = started(&scratch.join("second")).await?;
    ended_by(&second, Signal::KILL).await?;
    let left = eventually(DEADLINE, "the kernel to end the run's processes", || async {
        let left = node::processes(&folder);
        ensure!(left.is_empty(), "left are {}", left.join(", "));
        Ok(Some(()))
    });
    left.await?;

    let (third, _) = started(&scratch.join("third")).await?;
    ensure!(!folder.exists(), "{} is not removed by the next run", folder.display());
    ended_by(&third, Signal::HUP).await?;
    let left = before.differences(&folder)?;
    ensure!(left.is_empty(), "left are {}", left.join(", "));
    Ok(fs::remove_dir_all(&scratch)?)
}

/// A run whose node is ready, and its folder.
async fn started(ready: &Path) -> Result<(Process, PathBuf)> {
    let mut command = Command::new(env::current_exe()?);
    command.env(READY, ready);
    let process = Process::spawn("a run with a node", &command, &ready.with_extension("log"))?;
    let folder = eventually(DEADLINE, "the node to be ready", || async {
        let ended = process.exited()?;
        Ok(if ended.is_some() {
            Some(None)
        } else {
            fs::read_to_string(ready).ok().filter(|text| !text.is_empty()).map(Some)
        })
    });
    let folder = folder.await?.with_context(|| format!("the run ended:\n{}", process.tail(30)))?;
    Ok((process, folder.into()))
}

async fn ended_by(process: &Process, signal: Signal) -> Result<()> {
    let pid = i32::try_from(process.pid()).ok().and_then(Pid::from_raw).context("no process")?;
    kill_process(pid, signal)?;
    eventually(DEADLINE, "the run to end", || async { process.exited() }).await.map(|_| ())
}
