//! Behaviour against a real control plane: one file per behaviour, each test in a namespace of its own with an operator
//! of its own that has the generated rights and no more. The audit log tells who wrote what.

mod support;

mod conflict;
mod drift;
mod generation;
mod kubectl;
mod leader;
mod lifecycle;
mod problems;
mod quiet;
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

/// The tests of a file, by the names of their functions.
#[macro_export]
macro_rules! cases {
    ($($name:ident),+ $(,)?) => {
        /// The tests of this file.
        pub fn cases() -> Vec<$crate::Case> {
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

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let all: Vec<Case> = [
        lifecycle::cases(),
        drift::cases(),
        conflict::cases(),
        kubectl::cases(),
        storage::cases(),
        reuse::cases(),
        problems::cases(),
        quiet::cases(),
        render::cases(),
        leader::cases(),
        generation::cases(),
    ]
    .into_iter()
    .flatten()
    .collect();
    if arguments.list {
        return run(&arguments, trials(all, |_| Ok(())));
    }
    with_control_plane(|runtime, control_plane| {
        let runtime = Arc::new(runtime);
        run(
            &arguments,
            trials(all, move |test| {
                let control_plane = Arc::clone(&control_plane);
                runtime.block_on(test(control_plane)).map_err(|error| Failed::from(format!("{error:#}")))
            }),
        )
    })
}

fn run(arguments: &Arguments, trials: Vec<Trial>) -> ExitCode {
    libtest_mimic::run(arguments, trials).exit_code()
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
