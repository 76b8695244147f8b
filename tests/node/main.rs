//! Behaviour on a real node: a kubelet, containers and volumes, and the operator as a Pod from its own image, installed as
//! a user installs it. One cluster for all, one test after the other, in the order of [`cases`].
//!
//! Needs root on Linux, and says so where it can't run. Afterwards nothing may be left on the machine: whoever entered
//! the node's namespaces checks that, and fails the run.

#![allow(clippy::wildcard_imports, reason = "support is the vocabulary of every test here")]

mod containers;
mod faults;
mod handover;
mod install;
mod problems;
mod support;
mod tutorial;
mod uninstall;

use anyhow::Result;
use libtest_mimic::{Arguments, Failed, Trial};
use moorage_harness::node::{self, NodeCluster, Place};
use moorage_harness::{Progress, Way};
use std::future::Future;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;
use tokio::runtime::Runtime;

/// A test: gets the cluster, says what failed.
type Test = fn(Arc<NodeCluster>) -> Pin<Box<dyn Future<Output = Result<()>> + Send>>;

macro_rules! cases {
    ($($file:ident: $($name:ident),+;)+) => {
        vec![$($((
            concat!(stringify!($file), "::", stringify!($name)),
            (|cluster| Box::pin($file::$name(cluster))) as Test,
        ),)+)+]
    };
}

/// Every test, in the order in which it runs: the last ones leave a cluster without the operator.
fn cases() -> Vec<(&'static str, Test)> {
    cases! {
        install: the_operator_runs_as_installed, readiness_follows_the_watches;
        tutorial: the_lab, the_backup;
        problems: a_mistyped_image_is_named_within_five_seconds, a_crash_degrades_and_the_rest_serves,
            a_release_that_crashes_goes_back_by_itself, a_secret_that_is_missing_is_named_in_the_kubelets_words,
            a_program_that_ends_well_is_told_to_stay, memory_exhausted_is_named, a_failing_readiness_probe_is_named,
            a_liveness_probe_that_kills_is_named_in_the_kubelets_words;
        containers: what_is_beside_starts_first_and_is_told_apart;
        handover: a_deleted_leader_loses_nothing;
        faults: the_operator_is_killed_amid_a_rollout, kubelet_is_restarted, containerd_is_restarted,
            the_control_plane_is_restarted;
        uninstall: what_was_installed_goes_and_the_rest_stays;
    }
}

fn main() -> ExitCode {
    let arguments = Arguments { test_threads: Some(1), ..Arguments::from_args() };
    if arguments.list {
        return libtest_mimic::run(&arguments, trials(None)).exit_code();
    }
    if let Some(why) = node::unavailable() {
        eprintln!("skipped: {why}");
        return libtest_mimic::run(&arguments, trials(None)).exit_code();
    }
    if !cases().iter().any(|(name, _)| is_asked_for(&arguments, name)) {
        return libtest_mimic::run(&arguments, trials(None)).exit_code();
    }
    match node::enter(Progress::stderr()) {
        Ok(Place::Finished(code)) => code,
        Ok(Place::Inside(folder)) => inside(&arguments, folder).unwrap_or_else(|error| fail(&error)),
        Err(error) => fail(&error),
    }
}

/// As libtest chooses; a cluster is not started for nothing.
fn is_asked_for(arguments: &Arguments, name: &str) -> bool {
    let matches = |filter: &String| if arguments.exact { name == filter } else { name.contains(filter) };
    arguments.filter.as_ref().is_none_or(matches) && !arguments.skip.iter().any(matches)
}

fn inside(arguments: &Arguments, folder: std::path::PathBuf) -> Result<ExitCode> {
    let runtime = Arc::new(Runtime::new()?);
    let cluster = Arc::new(runtime.block_on(NodeCluster::start(folder, Progress::stderr()))?);
    eprintln!("node ready in {:.1} s", cluster.start_time().as_secs_f64());
    let begin = Instant::now();
    runtime.block_on(cluster.install_operator(Way::Kubectl, |_| ()))?;
    eprintln!("operator installed in {:.1} s", begin.elapsed().as_secs_f64());
    Ok(libtest_mimic::run(arguments, trials(Some(&(runtime, cluster)))).exit_code())
}

/// The tests on that cluster; without one, each is ignored.
fn trials(cluster: Option<&(Arc<Runtime>, Arc<NodeCluster>)>) -> Vec<Trial> {
    let trial = |(name, test): (&'static str, Test)| {
        let cluster = cluster.cloned();
        let ignored = cluster.is_none();
        let run = move || {
            let Some((runtime, cluster)) = cluster else { return Ok(()) };
            let begin = Instant::now();
            let outcome = runtime.block_on(test(Arc::clone(&cluster)));
            eprintln!("{name}: {:.1} s", begin.elapsed().as_secs_f64());
            outcome.map_err(|error| {
                let report = runtime.block_on(cluster.operator_report());
                Failed::from(format!("{error:#}\nThe operator's pods and what they say:\n{report}"))
            })
        };
        Trial::test(name, run).with_ignored_flag(ignored)
    };
    cases().into_iter().map(trial).collect()
}

fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}
