//! Programs out of Debian's packages that are looked into and not installed: nothing of them starts by itself, and nothing stays.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail, ensure};

use crate::{process::find_in, progress::Progress};

/// A package, and the programs of it that the rig has.
pub(crate) const PROMETHEUS: (&str, [&str; 2]) = ("prometheus", ["prometheus", "promtool"]);

/// Its programs: those of this machine, else out of the package, which is kept below `out`.
pub(crate) fn programs(out: &Path, progress: Progress) -> Result<Vec<(&'static str, PathBuf)>> {
    let (package, names) = PROMETHEUS;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let installed = || names.iter().map(|name| Some((*name, find_in(&path, name)?))).collect::<Option<Vec<_>>>();
    if let Some(installed) = installed() {
        return Ok(installed);
    }
    let folder = out.join(format!("debian-{package}"));
    let programs: Vec<_> = names.iter().map(|name| (*name, folder.join("usr/bin").join(name))).collect();
    if !programs.iter().all(|(_, path)| path.is_file()) {
        progress.line(&format!("fetching Debian's package {package}"));
        unpack(package, &folder)?;
    }
    ensure!(programs.iter().all(|(_, path)| path.is_file()), "Debian's package {package} lacks its programs");
    Ok(programs)
}

fn unpack(package: &str, folder: &Path) -> Result<()> {
    let fetched = folder.with_extension("new");
    let _ = fs::remove_dir_all(&fetched);
    fs::create_dir_all(&fetched).with_context(|| format!("making {}", fetched.display()))?;
    // An old list of packages may still name what can be fetched.
    let _ = run(Command::new("apt-get").args(["--quiet=2", "update"]));
    run(Command::new("apt-get").args(["--quiet=2", "download", package]).current_dir(&fetched))?;
    let file = fs::read_dir(&fetched)?.next().context("apt-get fetched nothing")??.path();
    run(Command::new("dpkg-deb").arg("--extract").arg(&file).arg(&fetched))?;
    fs::remove_file(file)?;
    fs::rename(&fetched, folder).with_context(|| format!("moving to {}", folder.display()))
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("starting {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
