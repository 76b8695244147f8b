//! Running cargo, the same one that runs this command.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use moorage_harness::build;

/// cargo in the workspace's folder.
pub fn cargo(args: &[&str]) -> Command {
    let mut command = build::cargo();
    command.args(args);
    command
}

/// Builds the operator (dev profile), with the features that the tests' one has, and says where cargo put it.
pub fn build_operator() -> Result<PathBuf> {
    build(&["--workspace"])
}

/// Builds the operator as it is shipped and says where cargo put it.
pub fn build_operator_release() -> Result<PathBuf> {
    build(&["--release", "--package=moorage"])
}

fn build(what: &[&str]) -> Result<PathBuf> {
    let output = cargo(&["build", "--bin=moorage", "--message-format=json-render-diagnostics"])
        .args(what)
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        bail!("building the operator ended with {}", output.status);
    }
    String::from_utf8(output.stdout)?
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == "moorage")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .context("cargo did not say where it put the operator")
}
