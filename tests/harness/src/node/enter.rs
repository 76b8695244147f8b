//! Into namespaces of its own, and out again with nothing left behind.

use std::{
    env,
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    process::{Command, ExitCode, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail, ensure};

use super::{cgroups, leftovers, operator, packages, world};
use crate::{
    build, guard,
    process::Process,
    progress::Progress,
    work_dir::{WorkDir, abandoned},
};

/// Set for the run inside, and so for every process of it: the path of its folder.
pub(super) const INSIDE: &str = "MOORAGE_RIG_NODE";
/// Set with it: the namespaces outside, none of which may be that of a run inside.
const OUTSIDE: &str = "MOORAGE_RIG_OUTSIDE";

/// What `unshare` gives the run: its own network, mounts and process ids. The kernel kills whoever is left in there
/// when the first process ends, and `--kill-child` ends that one with `unshare` itself.
const UNSHARE: [&str; 6] = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];

/// The first process inside: it waits for the program, and reaps every orphan while it waits.
const INIT: &str = r#""$@"; exit $?"#;

/// Locked by the one run that there may be: a second would find the first one's groups and mounts among its leftovers.
const TURN: &str = "/var/lib";

/// Where the caller of [`enter`] is.
pub enum Place {
    /// In the namespaces: a [`super::NodeCluster`] may start in that folder.
    Inside(PathBuf),
    /// Outside, after the run inside ended and nothing was left of it. The caller has nothing more to do.
    Finished(ExitCode),
}

/// Why no node can run here, if so.
pub fn unavailable() -> Option<String> {
    machine_lacks().map(str::to_owned).or_else(packages::unavailable).or_else(build::node_unavailable)
}

fn machine_lacks() -> Option<&'static str> {
    if !cfg!(target_os = "linux") {
        return Some("a node needs Linux");
    }
    if !rustix::process::geteuid().is_root() {
        return Some("a node needs root");
    }
    let ids = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    if ids.split_whitespace().ne(["0", "0", "4294967295"]) {
        return Some("a node needs root outside of user namespaces");
    }
    if cgroups::probe().is_err() {
        return Some("a node needs control groups that it may write, with cpu, cpuset, memory and pids");
    }
    if !may_overlay().unwrap_or_default() {
        return Some("a node needs unshare, and overlay mounts in the folder for temporary files (TMPDIR)");
    }
    None
}

/// Whether namespaces can be made, and containers' file systems mounted in them.
fn may_overlay() -> Result<bool> {
    let probe = WorkDir::new()?;
    for name in ["lower", "upper", "work", "all"] {
        fs::create_dir(probe.path().join(name))?;
    }
    let mut command = Command::new("unshare");
    command.args(UNSHARE).args(["mount", "-t", "overlay", "overlay", "all"]);
    command.args(["-o", "lowerdir=lower,upperdir=upper,workdir=work"]).current_dir(probe.path());
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    Ok(status.success())
}

/// Runs the current program again, with the same arguments, where a node may do as it likes.
///
/// Fails where [`unavailable`] tells why, when something is missing that cannot be installed or built, and when
/// anything on this machine is not as it was before the run.
pub fn enter(progress: Progress) -> Result<Place> {
    if let Some(folder) = env::var_os(INSIDE).map(PathBuf::from) {
        ensure_inside()?;
        world::set_up(&folder)?;
        return Ok(Place::Inside(folder));
    }
    if let Some(why) = unavailable() {
        bail!("{why}");
    }
    packages::install_missing(progress)?;
    build::node_assets(progress)?;
    let binary = operator::build(progress)?;
    let _turn = wait_for_turn(progress)?;
    remove_abandoned()?;
    let work = WorkDir::new()?;
    fs::copy(&binary, operator::binary(work.path())).with_context(|| binary.display().to_string())?;
    let before = leftovers::Snapshot::take()?;
    let status = run_inside(work.path());
    guard::yield_to_interrupt();
    let left = before.differences(work.path())?;
    if !status.as_ref().is_ok_and(ExitStatus::success) {
        work.keep_logs();
    }
    if !left.is_empty() {
        let ended = status.map_or_else(|error| error, |status| anyhow!("the run inside ended with {status}"));
        return Err(ended.context(format!("this machine is not as it was before the run:\n{}", left.join("\n"))));
    }
    let code = status?.code().and_then(|code| u8::try_from(code).ok());
    Ok(Place::Finished(code.map_or(ExitCode::FAILURE, ExitCode::from)))
}

fn namespaces() -> Result<Vec<PathBuf>> {
    let kinds = ["mnt", "net", "pid"].into_iter();
    kinds.map(|kind| Ok(fs::read_link(Path::new("/proc/self/ns").join(kind))?)).collect()
}

/// Fails unless this process is in namespaces of its own: what comes next mounts over folders that a machine needs.
fn ensure_inside() -> Result<()> {
    let outside = env::var(OUTSIDE).unwrap_or_default();
    let shared = namespaces()?.iter().any(|namespace| outside.contains(&*namespace.to_string_lossy()));
    ensure!(
        !outside.is_empty() && !shared,
        "{INSIDE} is set, but this process is in no namespaces of its own; unset it"
    );
    Ok(())
}

fn wait_for_turn(progress: Progress) -> Result<File> {
    let turn = File::open(TURN).with_context(|| TURN.to_owned())?;
    if let Err(TryLockError::WouldBlock) = turn.try_lock() {
        progress.line("another run has a node on this machine: waiting for it to end");
    }
    turn.lock()?;
    Ok(turn)
}

/// Removes what runs left that were killed outside before they could end.
fn remove_abandoned() -> Result<()> {
    let names = |folder: &Path| -> Result<Vec<String>> {
        let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
        Ok(entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
    };
    for hierarchy in cgroups::hierarchies()? {
        for name in abandoned(names(&hierarchy)?.into_iter()) {
            cgroups::remove(&name);
        }
    }
    for name in abandoned(names(&env::temp_dir())?.into_iter()) {
        let folder = env::temp_dir().join(name);
        // Only a node's; and what was kept for reading has no such file any more.
        if let Ok(made) = fs::read_to_string(folder.join(MADE)) {
            Changes::parse(&made).undo();
            fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
        }
    }
    Ok(())
}

/// The file in a run's folder that tells what it changed outside, for the next run if this one is killed.
const MADE: &str = "made";

/// What a run changes on this machine, beside its control group.
#[derive(Clone)]
struct Changes {
    mount_points: Vec<PathBuf>,
    controllers: Vec<String>,
}

impl Changes {
    fn parse(text: &str) -> Self {
        let (paths, controllers): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.starts_with('/'));
        let controllers = controllers.into_iter().map(str::to_owned).collect();
        Self { mount_points: paths.into_iter().map(PathBuf::from).collect(), controllers }
    }

    fn text(&self) -> String {
        let paths = self.mount_points.iter().map(|path| path.display().to_string());
        paths.chain(self.controllers.iter().cloned()).map(|line| line + "\n").collect()
    }

    fn make(&self) -> Result<()> {
        cgroups::delegate(&self.controllers)?;
        world::make_mount_points(&self.mount_points)
    }

    fn undo(&self) {
        cgroups::take_back(&self.controllers);
        world::remove_mount_points(&self.mount_points);
    }
}

/// Runs the program inside to its end and takes back what it did to this machine, however far it came.
fn run_inside(folder: &Path) -> Result<ExitStatus> {
    let name = cgroup_of(folder).to_owned();
    let changes = Changes { mount_points: world::missing_mount_points(), controllers: cgroups::undelegated() };
    fs::write(folder.join(MADE), changes.text())?;
    let undo = {
        let (name, changes) = (name.clone(), changes.clone());
        move || {
            cgroups::remove(&name);
            changes.undo();
        }
    };
    guard::register_cleanup(undo.clone());
    let status = changes.make().and_then(|()| cgroups::create(&name)).and_then(|()| wait_inside(folder));
    undo();
    status
}

fn wait_inside(folder: &Path) -> Result<ExitStatus> {
    let outside: Vec<String> = namespaces()?.iter().map(|namespace| namespace.display().to_string()).collect();
    let mut command = Command::new("unshare");
    command.args(UNSHARE).args(["sh", "-c", INIT, "sh"]).arg(env::current_exe()?).args(env::args_os().skip(1));
    command.env(INSIDE, folder).env(OUTSIDE, outside.join(" ")).env("PATH", packages::search_path());
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

/// What that shell begins with: the programs that a reader of the tutorials has, and where she finds the node's settings.
pub fn environment(folder: &Path) -> PathBuf {
    folder.join("environment")
}

fn write_shell(folder: &Path, pid: u32) -> Result<()> {
    let assets = build::node_assets(Progress::quiet())?;
    let folder_of = |program: &str| -> Result<String> {
        let path = assets.bin(program)?;
        Ok(path.parent().context("a program lies nowhere")?.display().to_string())
    };
    let exports = format!(
        "export KUBECONFIG={folder}/kubeconfig CERTS_D={folder}/mirrors PATH=\"{}:{}:$PATH\"\n",
        folder_of("kubectl")?,
        folder_of("crane")?,
        folder = folder.display()
    );
    fs::write(environment(folder), &exports)?;
    // With the run's own process ids, what is started in the shell ends with the run.
    let enter = format!("nsenter --target {pid} --net --mount --pid=/proc/{pid}/ns/pid_for_children");
    let script = format!("#!/bin/sh\n{exports}exec {enter} \"${{SHELL:-sh}}\" \"$@\"\n");
    Ok(fs::write(shell(folder), script)?)
}

/// The run's control group is named for its folder, so that both tell whose they are.
pub(super) fn cgroup_of(folder: &Path) -> &str {
    folder.file_name().and_then(|name| name.to_str()).unwrap_or("moorage-rig")
}
