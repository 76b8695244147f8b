//! Behaviour against a real control plane: one file per behaviour, each test in a namespace of its own with an operator
//! of its own that has the generated rights and no more. The audit log tells who wrote what.

#![allow(clippy::wildcard_imports, reason = "support is the vocabulary of every test here")]

mod support;

mod bad_specs;
mod conflict;
mod crds;
mod drift;
mod generation;
mod install;
mod kubectl;
mod leader;
mod lifecycle;
mod many;
mod problems;
mod quiet;
mod rbac;
mod registry;
mod render;
mod reuse;
mod storage;

use libtest_mimic::{Arguments, Failed, Trial};
use moorage_harness::ControlPlane;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::runtime::Runtime;

/// A test: gets the control plane, says what failed.
type Test = fn(Arc<ControlPlane>) -> Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;

/// A named test.
pub struct Case {
    name: &'static str,
    test: Test,
}

/// The tests of a file, by the names of their functions; `last` are those that look back at all others.
#[macro_export]
macro_rules! cases {
    ($($name:ident),+ $(,)?) => { $crate::cases![@cases $($name),+]; };
    (last: $($name:ident),+ $(,)?) => { $crate::cases![@last_cases $($name),+]; };
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
        Self { name, test }
    }
}

/// All tests but those that run last.
fn cases() -> Vec<Case> {
    [
        lifecycle::cases(),
        bad_specs::cases(),
        drift::cases(),
        conflict::cases(),
        kubectl::cases(),
        storage::cases(),
        reuse::cases(),
        problems::cases(),
        quiet::cases(),
        render::cases(),
        registry::cases(),
        leader::cases(),
        generation::cases(),
        install::cases(),
        rbac::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Tests that need the machine for themselves: one makes load, one starts a control plane of its own.
fn alone() -> Vec<Case> {
    [many::cases(), crds::cases()].into_iter().flatten().collect()
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let rounds = [cases(), alone(), rbac::last_cases()];
    if arguments.list {
        return libtest_mimic::run(&arguments, trials(rounds.into_iter().flatten().collect(), |_| Ok(()))).exit_code();
    }
    with_control_plane(|runtime, control_plane| {
        let runtime = Arc::new(runtime);
        let run = move |test: Test| {
            let control_plane = Arc::clone(&control_plane);
            runtime.block_on(test(control_plane)).map_err(|error| Failed::from(format!("{error:#}")))
        };
        // Only a full run has used everything that is granted.
        let partial = arguments.filter.is_some() || !arguments.skip.is_empty();
        let threads = [None, Some(1), Some(1)];
        for (round, (cases, threads)) in rounds.into_iter().zip(threads).enumerate() {
            if round == 2 && partial {
                continue;
            }
            let arguments = Arguments { test_threads: threads.or(arguments.test_threads), ..arguments.clone() };
            let conclusion = libtest_mimic::run(&arguments, trials(cases, run.clone()));
            if conclusion.has_failed() {
                return conclusion.exit_code();
            }
        }
        ExitCode::SUCCESS
    })
}

fn trials(cases: Vec<Case>, run: impl Fn(Test) -> Result<(), Failed> + Clone + Send + 'static) -> Vec<Trial> {
    cases
        .into_iter()
        .map(|case| {
            let run = run.clone();
            let name = case.name.trim_start_matches("cluster::").to_owned();
            Trial::test(name, move || run(case.test))
        })
        .collect()
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
