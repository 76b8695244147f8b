//! Into namespaces of its own, and out again with nothing left behind.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, ExitCode, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};

use super::{cgroups, leftovers, operator, packages, sysctls, world};
use crate::{build, guard, process::Process, progress::Progress, work_dir::WorkDir};

/// Set for the run inside, and so for every process of it: the path of its folder.
pub(super) const INSIDE: &str = "MOORAGE_RIG_NODE";

/// What `unshare` gives the run: its own network, mounts and process ids. The kernel kills whoever is left in there
/// when the first process ends, and `--kill-child` ends that one with `unshare` itself.
const UNSHARE: [&str; 6] = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];

/// The first process inside: it waits for the program, and reaps every orphan while it waits.
const INIT: &str = r#""$@"; exit $?"#;

/// Where the caller of [`enter`] is.
pub enum Place {
    /// In the namespaces: a [`super::NodeCluster`] may start in that folder.
    Inside(PathBuf),
    /// Outside, after the run inside ended and nothing was left of it. The caller has nothing more to do.
    Finished(ExitCode),
}

/// Why no node can run here, if so.
pub fn unavailable() -> Option<&'static str> {
    if !cfg!(target_os = "linux") {
        return Some("a node needs Linux");
    }
    if !rustix::process::geteuid().is_root() {
        return Some("a node needs root");
    }
    let mut probe = Command::new("unshare");
    probe.args(UNSHARE).arg("true").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    match probe.status() {
        Ok(status) if status.success() => None,
        _ => Some("a node needs the right to make namespaces, and unshare from util-linux"),
    }
}

/// Runs the current program again, with the same arguments, where a node may do as it likes.
///
/// Fails where [`unavailable`] tells why, when something is missing that cannot be installed or built, and when
/// anything of the run is left on this machine.
pub fn enter(progress: Progress) -> Result<Place> {
    if let Some(folder) = env::var_os(INSIDE) {
        world::set_up()?;
        return Ok(Place::Inside(folder.into()));
    }
    if let Some(why) = unavailable() {
        bail!("{why}");
    }
    packages::install_missing(progress)?;
    build::node_assets(progress)?;
    let binary = operator::build(progress)?;
    let work = WorkDir::new()?;
    std::fs::copy(&binary, operator::binary(work.path())).with_context(|| binary.display().to_string())?;
    let before = leftovers::Snapshot::take()?;
    let status = run_inside(work.path());
    guard::yield_to_interrupt();
    let left = [before.added()?, leftovers::processes(work.path())].concat();
    if !left.is_empty() {
        bail!("the node left this behind:\n{}", left.join("\n"));
    }
    let code = status?.code().and_then(|code| u8::try_from(code).ok());
    Ok(Place::Finished(code.map_or(ExitCode::FAILURE, ExitCode::from)))
}

/// Runs the program inside to its end and takes back what it did to this machine.
fn run_inside(folder: &Path) -> Result<ExitStatus> {
    let name = cgroup_of(folder).to_owned();
    let settings = sysctls::read()?;
    let made = world::make_mount_points()?;
    cgroups::create(&name)?;
    let undo = move || {
        cgroups::remove(&name);
        sysctls::restore(&settings);
        world::remove_mount_points(&made);
    };
    guard::register_cleanup(undo.clone());
    let status = wait_inside(folder);
    undo();
    status
}

fn wait_inside(folder: &Path) -> Result<ExitStatus> {
    let mut command = Command::new("unshare");
    command.args(UNSHARE).args(["sh", "-c", INIT, "sh"]).arg(env::current_exe()?).args(env::args_os().skip(1));
    command.env(INSIDE, folder).env("PATH", packages::search_path());
    let process = Process::attached("the run on the node", &command)?;
    write_shell(folder, process.pid())?;
    loop {
        if let Some(status) = process.exited()? {
            return Ok(status);
        }
        // Nothing to do but to wait; the guard may want to end the child meanwhile.
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The script that opens a shell on the node, from outside, for as long as the node runs.
pub fn shell(folder: &Path) -> PathBuf {
    folder.join("shell")
}

fn write_shell(folder: &Path, pid: u32) -> Result<()> {
    let kubectl = build::node_assets(Progress::quiet())?.bin("kubectl")?;
    let programs = kubectl.parent().context("kubectl lies nowhere")?.display();
    let script = format!(
        "#!/bin/sh\nexec nsenter --target {pid} --net --mount env KUBECONFIG={}/kubeconfig PATH=\"{programs}:$PATH\" \"${{SHELL:-sh}}\" \"$@\"\n",
        folder.display()
    );
    Ok(std::fs::write(shell(folder), script)?)
}

/// The run's control group is named for its folder, so that both tell whose they are.
pub(super) fn cgroup_of(folder: &Path) -> &str {
    folder.file_name().and_then(|name| name.to_str()).unwrap_or("moorage-rig")
}
