//! Programs out of Debian's packages that are looked into and not installed: nothing of them starts by itself, and nothing stays.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail, ensure};

use crate::progress::Progress;

/// A package, and the programs of it that the rig has.
const PROMETHEUS: (&str, [&str; 2]) = ("prometheus", ["prometheus", "promtool"]);

/// Where a package has its programs.
const PROGRAMS: &str = "usr/bin";

/// The folder of its programs, which is kept below `rig`.
pub(crate) fn folder(rig: &Path, progress: Progress) -> Result<PathBuf> {
    let (package, _) = PROMETHEUS;
    let folder = unpacked(rig);
    if !is_there(rig) {
        progress.line(&format!("fetching Debian's package {package}"));
        unpack(package, &folder).with_context(|| format!("Debian's package {package} can't be had"))?;
    }
    ensure!(is_there(rig), "Debian's package {package} lacks its programs");
    Ok(folder.join(PROGRAMS))
}

/// Whether its programs are there.
pub(crate) fn is_there(rig: &Path) -> bool {
    PROMETHEUS.1.iter().all(|name| unpacked(rig).join(PROGRAMS).join(name).is_file())
}

fn unpacked(rig: &Path) -> PathBuf {
    rig.join(format!("debian-{}", PROMETHEUS.0))
}

fn unpack(package: &str, folder: &Path) -> Result<()> {
    let fetched = folder.with_extension("new");
    for old in [folder, &fetched] {
        if old.exists() {
            fs::remove_dir_all(old).with_context(|| format!("removing {}", old.display()))?;
        }
    }
    fs::create_dir_all(&fetched).with_context(|| format!("making {}", fetched.display()))?;
    let download = || run(apt_get().args(["download", package]).current_dir(&fetched));
    // A machine that is new has no list of packages yet, and an old list may name what is gone.
    if download().is_err() {
        run(apt_get().arg("update"))?;
        download()?;
    }
    let file = fs::read_dir(&fetched)?.next().context("apt-get fetched nothing")??.path();
    run(Command::new("dpkg-deb").arg("--extract").arg(&file).arg(&fetched))?;
    fs::remove_file(file)?;
    fs::rename(&fetched, folder).with_context(|| format!("moving to {}", folder.display()))
}

/// `apt-get`, which asks nothing and says only what fails.
pub(crate) fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.arg("--quiet=2").env("DEBIAN_FRONTEND", "noninteractive");
    command
}

/// Runs a command to its end; the error has what it said.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("starting {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
