//! `cargo xtask test`: every check in order, stopping at the first that fails.

use std::{
    env,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use clap::Args;
use moorage_harness::node;
use serde_json::Value;

use crate::cargo::cargo;

/// Test binaries that start a control plane.
const NEED_RIG: [&str; 4] = ["cluster", "node", "node_ends", "rig"];

const CLIPPY: [&str; 5] = ["clippy", "--workspace", "--all-targets", "--", "--deny=warnings"];
const DENY: [&str; 5] = ["deny", "check", "bans", "licenses", "sources"];

#[derive(Args)]
pub struct Arguments {
    /// Leave out the tests that need a control plane
    #[arg(long)]
    fast: bool,
}

enum Outcome {
    Passed,
    Failed,
    Skipped(&'static str),
}

struct Step {
    name: String,
    command: Command,
    /// Why it cannot run here, if it cannot.
    skip: Option<&'static str>,
}

/// Runs the checks and prints a table of what they came to.
pub fn run(arguments: &Arguments) -> Result<()> {
    let mut table: Vec<(String, Duration, Outcome)> = Vec::new();
    for mut step in steps(arguments.fast)? {
        let begin = Instant::now();
        let outcome = if let Some(why) = step.skip {
            Outcome::Skipped(why)
        } else {
            eprintln!("\n=== {}", step.name);
            if step.command.status()?.success() { Outcome::Passed } else { Outcome::Failed }
        };
        let failed = matches!(outcome, Outcome::Failed);
        eprintln!("=== {}: {}", step.name, show(begin.elapsed(), &outcome));
        table.push((step.name, begin.elapsed(), outcome));
        if failed {
            break;
        }
    }
    eprintln!();
    for (name, elapsed, outcome) in &table {
        eprintln!("{name:<17} {}", show(*elapsed, outcome));
    }
    match table.last() {
        Some((name, _, Outcome::Failed)) => bail!("{name} failed"),
        _ => Ok(()),
    }
}

fn show(elapsed: Duration, outcome: &Outcome) -> String {
    let seconds = elapsed.as_secs_f64();
    match outcome {
        Outcome::Passed => format!("passed  {seconds:>7.1} s"),
        Outcome::Failed => format!("FAILED  {seconds:>7.1} s"),
        Outcome::Skipped(why) => format!("skipped ({why})"),
    }
}

fn steps(fast: bool) -> Result<Vec<Step>> {
    let (with_rig, without): (Vec<String>, Vec<String>) =
        test_binaries()?.into_iter().partition(|name| NEED_RIG.contains(&name.as_str()));
    let mut unit = cargo(&["test", "--workspace", "--lib", "--bins"]);
    for name in without {
        unit.arg(format!("--test={name}"));
    }
    let deny = succeeds_silently(cargo(&["deny", "--version"]));
    let itself = |arguments: &[&str]| -> Result<Command> {
        let mut command = Command::new(env::current_exe()?);
        command.args(arguments);
        Ok(command)
    };
    let mut steps = vec![
        step("format", cargo(&["fmt", "--all", "--check"])),
        step("clippy", cargo(&CLIPPY)),
        Step { skip: (!deny).then_some("cargo-deny is not installed"), ..step("deny", cargo(&DENY)) },
        step("tests", unit),
        step("doc tests", cargo(&["test", "--workspace", "--doc"])),
        step("build the rig", itself(&["rig"])?),
        step("demo", itself(&["demo", "--exit"])?),
    ];
    let no_node = node::unavailable();
    steps.push(Step { skip: no_node, ..step("demo on a node", itself(&["demo", "--node", "--exit"])?) });
    for name in with_rig {
        let command = cargo(&["test", "--workspace", &format!("--test={name}")]);
        let skip = no_node.filter(|_| name.starts_with("node"));
        steps.push(Step { skip, ..step(format!("tests: {name}"), command) });
    }
    if fast {
        for step in steps.iter_mut().skip_while(|step| step.name != "build the rig") {
            step.skip = Some("--fast");
        }
    }
    Ok(steps)
}

fn step(name: impl Into<String>, command: Command) -> Step {
    Step { name: name.into(), command, skip: None }
}

/// The names of the workspace's integration test binaries.
fn test_binaries() -> Result<Vec<String>> {
    let output = cargo(&["metadata", "--no-deps", "--format-version=1"]).stderr(Stdio::inherit()).output()?;
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let mut names: Vec<String> = packages
        .flat_map(|package| package["targets"].as_array().into_iter().flatten())
        .filter(|target| target["kind"][0] == "test")
        .filter_map(|target| target["name"].as_str().map(String::from))
        .collect();
    names.sort();
    Ok(names)
}

fn succeeds_silently(mut command: Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
