//! An operator of an earlier commit, built of its own sources, for tests of the way from it to the present one and back.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{
    access::documents,
    build::{cargo, target_dir, workspace},
    process::run_command,
    progress::Progress,
};

/// An earlier operator.
pub struct Former {
    /// Its sources, with the manifests that installed it.
    pub folder: PathBuf,
    /// Its program.
    pub binary: PathBuf,
}

/// Where the commit stands, as `from`.
const UPGRADE: &str = "tests/upgrade.yaml";

fn commit() -> Result<String> {
    let upgrade = documents(&fs::read_to_string(workspace().join(UPGRADE))?)?.into_iter().next();
    let commit = upgrade.as_ref().and_then(|upgrade| upgrade["from"].as_str());
    commit.map(ToOwned::to_owned).with_context(|| format!("{UPGRADE} does not say from what"))
}

/// Why it can't be had here, if so: the sources may have come without their history.
pub fn unavailable() -> Option<String> {
    let commit = match commit() {
        Ok(commit) => commit,
        Err(error) => return Some(format!("{error:#}")),
    };
    let object = format!("{commit}^{{commit}}");
    let known = run_command(Command::new("git").args(["cat-file", "-e", &object]).current_dir(workspace()));
    known.err().map(|_| {
        format!("there is no commit {commit} here to upgrade from: get the whole history (git fetch --unshallow)")
    })
}

/// The earlier operator. It is built once, beside what is built of the workspace, which is left as it is.
pub fn former(progress: Progress) -> Result<Former> {
    let commit = commit()?;
    let root = target_dir().join("former").join(&commit);
    let (folder, target) = (root.join("source"), root.join("target"));
    let former = Former { folder, binary: target.join("debug/moorage") };
    let done = root.join("done");
    if done.exists() {
        return Ok(former);
    }
    let _ = fs::remove_dir_all(root.parent().context("it lies somewhere")?);
    unpack(&commit, &former.folder)?;
    let mut command = cargo();
    command.current_dir(&former.folder).args(["build", "--locked", "--package=moorage", "--bin=moorage"]);
    command.arg("--target-dir").arg(&target);
    progress.build("the operator to upgrade from", &command, &root.join("build.log"), |logs| {
        logs.lines().last().unwrap_or_default().trim().to_owned()
    })?;
    fs::write(done, "")?;
    Ok(former)
}

/// The sources of a commit, in that folder.
pub fn unpack(commit: &str, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    let archive = folder.with_extension("tar");
    let mut git = Command::new("git");
    git.args(["archive", "--format=tar", "--output"]).arg(&archive).arg(commit).current_dir(workspace());
    run_command(&mut git)?;
    run_command(Command::new("tar").arg("--extract").arg("--file").arg(&archive).arg("--directory").arg(folder))?;
    fs::remove_file(archive).context("the archive of the sources")
}
