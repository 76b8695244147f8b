//! Which steps there are, and why one cannot run here.

use std::{
    env,
    process::{Command, Stdio},
};

use anyhow::Result;
use moorage_harness::{build, node};
use serde_json::Value;

use super::hidden::without_node_programs;
use crate::cargo::cargo;

/// Test binaries that start a cluster, or need a program of the rig.
const NEED_RIG: [&str; 5] = ["cluster", "helm", "node", "node_ends", "rig"];

const CLIPPY: [&str; 5] = ["clippy", "--workspace", "--all-targets", "--", "--deny=warnings"];
const DENY: [&str; 5] = ["deny", "check", "bans", "licenses", "sources"];

/// One check.
pub struct Step {
    /// What it is called in the table and on the command line.
    pub name: String,
    /// What it runs.
    pub command: Command,
    /// Why it is not run, if it is not.
    pub skip: Option<String>,
    /// Whether it starts a cluster.
    pub needs_rig: bool,
    /// Whether it runs test binaries, which can be told which tests to run.
    pub takes_filter: bool,
}

impl Step {
    fn new(name: &str, command: Command) -> Self {
        Self { name: name.to_owned(), command, skip: None, needs_rig: false, takes_filter: false }
    }

    /// `cargo test` with these arguments.
    fn tests(name: &str, arguments: &[&str]) -> Self {
        let mut command = cargo(&["test", "--workspace", "--no-fail-fast"]);
        command.args(arguments).arg("--");
        Self { takes_filter: true, ..Self::new(name, command) }
    }

    /// A command of this program itself, on a cluster.
    fn itself(name: &str, arguments: &[&str]) -> Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        command.args(arguments);
        Ok(Self { needs_rig: true, ..Self::new(name, command) })
    }

    fn unless(self, why: Option<String>) -> Self {
        let skip = self.skip.or(why);
        Self { skip, ..self }
    }
}

/// Every step, in order: what fails soonest comes first. The effort is that of tests which could try more than they do, the seed
/// that of random cases.
pub fn steps(effort: &str, seed: Option<u64>) -> Result<Vec<Step>> {
    let (with_rig, without): (Vec<String>, Vec<String>) =
        test_binaries()?.into_iter().partition(|name| NEED_RIG.contains(&name.as_str()));
    let no_deny = !succeeds_silently(cargo(&["deny", "--version"]));
    let mut steps = vec![
        Step::new("format", cargo(&["fmt", "--all", "--check"])),
        Step::new("clippy", cargo(&CLIPPY)),
        Step::new("deny", cargo(&DENY)).unless(no_deny.then(|| "cargo-deny is not installed".to_owned())),
    ];
    let mut tests = vec![Step::tests("unit", &["--lib", "--bins"])];
    tests.extend(without.iter().map(|name| Step::tests(name, &[&format!("--test={name}")])));
    let programs = without_node_programs()?;
    for step in &mut tests {
        step.command.env("PATH", &programs);
        step.command.env("MOORAGE_EFFORT", effort);
        if let Some(seed) = seed {
            step.command.env("PROPTEST_RNG_SEED", seed.to_string());
        }
    }
    steps.extend(tests);
    steps.push(Step::tests("doc", &["--doc"]));

    let (no_rig, no_node, no_helm) =
        (build::unavailable(), node::unavailable(), build::program_unavailable(build::HELM));
    let mut on_cluster = vec![
        Step::itself("build-rig", &["rig"])?,
        Step::itself("demo", &["demo", "--exit"])?,
        Step::itself("demo-node", &["demo", "--node", "--exit"])?,
    ];
    on_cluster.extend(
        with_rig.iter().map(|name| Step { needs_rig: true, ..Step::tests(name, &[&format!("--test={name}")]) }),
    );
    steps.extend(on_cluster.into_iter().map(|mut step| {
        step.command.env("MOORAGE_EFFORT", effort);
        let (needs_node, needs_helm) = (step.name.contains("node"), step.name == "helm");
        let no_helm = no_helm.clone().filter(|_| needs_helm);
        step.unless(no_rig.clone().filter(|_| !needs_helm))
            .unless(no_helm)
            .unless(no_node.clone().filter(|_| needs_node))
    }));
    Ok(steps)
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
