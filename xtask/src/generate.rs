//! `cargo xtask generate`: the committed manifests, written by the operator binary itself.

use std::process::Command;

use anyhow::Result;
use moorage_harness::build::workspace;

use crate::cargo::{build_operator, succeed};

/// Writes `crds/` and `deploy/`.
pub fn run() -> Result<()> {
    let operator = build_operator()?;
    for (what, folder) in [("crds", "crds"), ("manifests", "deploy")] {
        succeed(Command::new(&operator).args([what, "--output", folder]).current_dir(workspace()))?;
    }
    Ok(())
}
