//! `cargo xtask generate`: the committed manifests and the reference, written from the code.

use anyhow::{Result, anyhow};
use moorage::generate::{crds, emit, installs, reference};
use moorage_harness::build::workspace;

/// Writes `crds/`, `deploy/` and `docs/reference/`.
pub fn run() -> Result<()> {
    for (folder, files) in [("crds", crds()), ("deploy", installs()), ("docs/reference", reference())] {
        emit(files, Some(&workspace().join(folder))).map_err(|error| anyhow!(error))?;
    }
    Ok(())
}
