//! Behaviour against a real control plane: one file per behaviour, each test in a namespace of its own with an operator
//! of its own that has the generated rights and no more. The audit log tells who wrote what.

#![allow(clippy::wildcard_imports, reason = "support is the vocabulary of every test here")]

#[path = "../golden/rules.rs"]
mod rules;
mod support;

mod audit;
mod availability;
mod bad_specs;
mod configuration;
mod conflict;
mod crds;
mod deleting;
mod down;
mod drift;
mod dropped;
mod fence;
mod fixed;
mod generation;
mod gitops;
mod install;
mod kubectl;
mod large;
mod leader;
mod lifecycle;
mod lint;
mod many;
mod merge;
mod metrics_auth;
mod monitoring;
mod olm;
mod owned;
mod pods;
mod problems;
mod quiet;
mod rbac;
mod recipes;
mod registry;
mod render;
mod restored;
mod reuse;
mod revisions;
mod secrets;
mod self_monitoring;
mod sharing;
mod situations;
mod statuses;
mod storage;
mod unions;
mod upgrade;
mod ways;

use libtest_mimic::{Arguments, Failed, Trial};
use moorage_harness::{ControlPlane, build, former};
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;
use tokio::runtime::Runtime;

/// A test: gets the control plane, says what failed.
type Test = fn(Arc<ControlPlane>) -> Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;

/// A named test.
pub struct Case {
    name: &'static str,
    test: Test,
    /// Binaries without which it is skipped, as not every rig has them.
    needs: &'static [&'static str],
}

/// The tests of a file, by the names of their functions; `last` are those that look back at all others, `own` those that start a
/// control plane of their own.
#[macro_export]
macro_rules! cases {
    ($($name:ident),+ $(,)?) => { $crate::cases![@cases $($name),+]; };
    (last: $($name:ident),+ $(,)?) => { $crate::cases![@last_cases $($name),+]; };
    (own: $($name:ident),+ $(,)?) => { $crate::cases![@own_cases $($name),+]; };
    (@$list:ident $($name:ident),+) => {
        /// Tests of this file.
        pub fn $list() -> Vec<$crate::Case> {
            vec![$($crate::Case::new(
                concat!(module_path!(), "::", stringify!($name)),
                |control_plane| Box::pin($name(control_plane)),
            ),)+]
        }
    };
}

impl Case {
    /// A test of that name.
    pub const fn new(name: &'static str, test: Test) -> Self {
        Self { name, test, needs: &[] }
    }
}

/// All tests but those that run last.
fn cases() -> Vec<Case> {
    [
        lifecycle::cases(),
        audit::cases(),
        bad_specs::cases(),
        deleting::cases(),
        drift::cases(),
        dropped::cases(),
        unions::cases(),
        fence::cases(),
        fixed::cases(),
        merge::cases(),
        owned::cases(),
        restored::cases(),
        configuration::cases(),
        secrets::cases(),
        availability::cases(),
        sharing::cases(),
        situations::cases(),
        with(&["prometheus"], self_monitoring::cases()),
        conflict::cases(),
        kubectl::cases(),
        statuses::cases(),
        storage::cases(),
        reuse::cases(),
        pods::cases(),
        problems::cases(),
        revisions::cases(),
        render::cases(),
        with(&["registry", "crane"], registry::cases()),
        leader::cases(),
        generation::cases(),
        gitops::cases(),
        install::cases(),
        metrics_auth::cases(),
        monitoring::cases(),
        rbac::cases(),
        recipes::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Tests that are skipped without these programs.
fn with(needs: &'static [&'static str], cases: Vec<Case>) -> Vec<Case> {
    cases.into_iter().map(|case| Case { needs, ..case }).collect()
}

/// So many tests at once, as each waits most of its time.
const SIDE_BY_SIDE: usize = 8;
/// So many control planes beside the shared one: with more, a small machine is so slow that the API server refuses what takes too long.
const CONTROL_PLANES: usize = 3;

/// Tests that must not slow the others down, as one makes load; and those that have minutes to spend meanwhile.
fn slow() -> Vec<Case> {
    [many::cases(), large::cases(), quiet::cases(), crds::cases()].into_iter().flatten().collect()
}

/// Tests that start a control plane of their own.
fn own() -> Vec<Case> {
    [
        monitoring::own_cases(),
        olm::own_cases(),
        down::own_cases(),
        with(&["history to upgrade from"], upgrade::own_cases()),
        with(&[build::HELM], ways::own_cases()),
        with(&[build::HELM, build::KUBECONFORM], lint::own_cases()),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Tests that look back at all others.
fn last() -> Vec<Case> {
    [rbac::last_cases(), audit::last_cases()].into_iter().flatten().collect()
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let rounds = [(cases(), SIDE_BY_SIDE), (slow(), SIDE_BY_SIDE), (own(), CONTROL_PLANES), (last(), 1)];
    if arguments.list {
        let all = rounds.into_iter().flat_map(|(cases, _)| cases).collect();
        return libtest_mimic::run(&arguments, trials(all, |_| None, |_| Ok(()))).exit_code();
    }
    with_control_plane(|runtime, control_plane| {
        let runtime = Arc::new(runtime);
        let run = {
            let control_plane = Arc::clone(&control_plane);
            move |case: &Case| {
                let (test, begin) = (case.test, Instant::now());
                let outcome = runtime.block_on(test(Arc::clone(&control_plane)));
                eprintln!("{}: {:.1} s", case.name, begin.elapsed().as_secs_f64());
                outcome.map_err(|error| Failed::from(format!("{error:#}")))
            }
        };
        // Only a full run has used everything that is granted.
        let partial = arguments.filter.is_some() || !arguments.skip.is_empty();
        let is_there = |name: &str| match name {
            "history to upgrade from" => former::unavailable().is_none(),
            build::HELM | build::KUBECONFORM => build::program_unavailable(name).is_none(),
            "prometheus" => build::prometheus_unavailable().is_none(),
            name => control_plane.bin(name).is_ok(),
        };
        let lacks = |case: &Case| case.needs.iter().copied().find(|name| !is_there(name));
        let mut failed = false;
        for (round, (cases, threads)) in rounds.into_iter().enumerate() {
            if round == 3 && (partial || failed) {
                continue;
            }
            let threads = arguments.test_threads.unwrap_or(threads);
            let arguments = Arguments { test_threads: Some(threads), ..arguments.clone() };
            failed |= libtest_mimic::run(&arguments, trials(cases, lacks, run.clone())).has_failed();
        }
        if failed {
            control_plane.keep_logs();
        }
        if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    })
}

fn trials(
    cases: Vec<Case>,
    lacks: impl Fn(&Case) -> Option<&'static str>,
    run: impl Fn(&Case) -> Result<(), Failed> + Clone + Send + 'static,
) -> Vec<Trial> {
    let trial = |case: Case| {
        let (run, lacks) = (run.clone(), lacks(&case));
        let trial = Trial::test(case.name.trim_start_matches("cluster::"), move || run(&case));
        match lacks {
            Some(binary) => trial.with_kind(format!("the rig has no {binary}")).with_ignored_flag(true),
            None => trial,
        }
    };
    cases.into_iter().map(trial).collect()
}

/// One control plane for the run, with the generated CRDs and roles, ended before the process is.
fn with_control_plane(run: impl FnOnce(Runtime, Arc<ControlPlane>) -> ExitCode) -> ExitCode {
    moorage_harness::guard::exit_code_on_interrupt(130);
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.into()),
    };
    let started = runtime.block_on(async {
        let control_plane = ControlPlane::start(moorage_harness::Options::default()).await?;
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        control_plane.install(&root.join("crds"), &root.join("deploy")).await?;
        control_plane.install_monitoring().await?;
        anyhow::Ok(Arc::new(control_plane))
    });
    match started {
        Ok(control_plane) => {
            eprintln!("control plane ready in {:.1} s", control_plane.start_time().as_secs_f64());
            run(runtime, control_plane)
        }
        Err(error) => fail(&error),
    }
}

fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}
