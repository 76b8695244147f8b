//! A child process with a log file, ended by its handle.

use std::{
    env,
    ffi::OsStr,
    fs,
    fs::File,
    io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, OnceLock, mpsc},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::{
    guard::{self, lock},
    wait::eventually,
};

/// A child in a process group of its own, its output in a log file. Dropping it kills the group.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Arc<Mutex<Child>>,
    pid: u32,
    log: PathBuf,
}

impl Process {
    /// Starts the command; its stdout and stderr are appended to `log`.
    pub fn spawn(name: &str, command: &Command, log: &Path) -> Result<Self> {
        let output = File::options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("opening {}", log.display()))?;
        let mut command = tied_to_us(command);
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        Self::start(name, command, log)
    }

    /// Starts the command with our own stdout and stderr.
    pub(crate) fn attached(name: &str, command: &Command) -> Result<Self> {
        let mut command = tied_to_us(command);
        command.stdin(Stdio::null());
        Self::start(name, command, Path::new("/dev/null"))
    }

    fn start(name: &str, mut command: Command, log: &Path) -> Result<Self> {
        command.process_group(0);
        let child = spawn_from_lasting_thread(command).with_context(|| format!("starting {name}"))?;
        let pid = child.id();
        let child = Arc::new(Mutex::new(child));
        guard::register_child(&child);
        Ok(Self { name: name.to_owned(), child, pid, log: log.to_owned() })
    }

    /// The name it was started under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The process id; meaningful for the system only while the process runs.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// How it ended, or `None` while it runs.
    pub fn exited(&self) -> Result<Option<ExitStatus>> {
        Ok(lock(&self.child).try_wait()?)
    }

    /// Ends it at once with SIGKILL and reaps it.
    pub fn kill(&self) {
        end_group(&mut lock(&self.child));
    }

    /// Asks it to end with SIGTERM and waits; past the deadline it is killed and that is an error.
    pub async fn stop(&self, deadline: Duration) -> Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        let what = format!("{} to end after SIGTERM", self.name);
        let ended = eventually(deadline, &what, || async { self.exited() }).await;
        if ended.is_err() {
            self.kill();
        }
        ended.with_context(|| format!("its last lines:\n{}", self.tail(20)))
    }

    /// Holds the process where it is (SIGSTOP), as a hung node or a long pause would.
    pub fn freeze(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets a frozen process go on (SIGCONT).
    pub fn thaw(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// Everything it has written so far.
    pub fn logs(&self) -> String {
        fs::read(&self.log)
            .map_or_else(|error| format!("(no log: {error})"), |bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The last lines it wrote.
    pub fn tail(&self, lines: usize) -> String {
        let logs = self.logs();
        let all: Vec<&str> = logs.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let mut child = lock(&self.child);
        // A child that is not reaped keeps its id, so the signal cannot reach a stranger.
        if child.try_wait()?.is_none() {
            kill_process_group(Pid::from_child(&child), signal).with_context(|| format!("signalling {}", self.name))?;
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Kills the child's process group and reaps the child.
pub(crate) fn end_group(child: &mut Child) {
    if matches!(child.try_wait(), Ok(None)) {
        let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
        let _ = child.wait();
    }
}

/// Whether there is a process of that id.
pub(crate) fn is_running(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}

/// The same command, run so that the kernel kills it when this process goes without saying goodbye.
///
/// `setpriv` (util-linux) sets the parent-death signal and then becomes the command, which needs no
/// unsafe code here. Where it is missing the command runs as it is.
fn tied_to_us(command: &Command) -> Command {
    static SETPRIV: OnceLock<Option<PathBuf>> = OnceLock::new();
    let setpriv = SETPRIV.get_or_init(|| find_in_path("setpriv"));
    let mut tied = match setpriv {
        Some(setpriv) => {
            let mut tied = Command::new(setpriv);
            tied.args(["--pdeathsig", "KILL", "--"]).arg(command.get_program());
            tied
        }
        None => Command::new(command.get_program()),
    };
    tied.args(command.get_args());
    for (key, value) in command.get_envs() {
        match value {
            Some(value) => tied.env(key, value),
            None => tied.env_remove(key),
        };
    }
    if let Some(dir) = command.get_current_dir() {
        tied.current_dir(dir);
    }
    tied
}

/// The first executable file of that name in `PATH`.
pub(crate) fn find_in_path(name: &str) -> Option<PathBuf> {
    find_in(&env::var_os("PATH")?, name)
}

/// The first file of that name in a list of folders such as `PATH` is.
pub(crate) fn find_in(path: &OsStr, name: &str) -> Option<PathBuf> {
    env::split_paths(path).map(|dir| dir.join(name)).find(|path| path.is_file())
}

/// Runs a program to its end and returns its stdout; its stderr is the error.
pub fn run<S: AsRef<OsStr>>(program: impl AsRef<OsStr>, args: &[S]) -> Result<String> {
    let mut command = Command::new(program);
    command.args(args);
    run_command(&mut command)
}

/// Runs a command to its end and returns its stdout; its stderr is the error.
pub fn run_command(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("starting {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Spawns from one thread that lives as long as this process.
///
/// The parent-death signal is sent when the *thread* that spawned the child ends; a test's own thread or
/// a runtime's worker would take the control plane with it.
fn spawn_from_lasting_thread(command: Command) -> Result<Child> {
    type Job = (Command, mpsc::Sender<io::Result<Child>>);
    static SPAWNER: OnceLock<mpsc::Sender<Job>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, jobs) = mpsc::channel::<Job>();
        thread::spawn(move || {
            for (mut command, reply) in jobs {
                let _ = reply.send(command.spawn());
            }
        });
        sender
    });
    let (reply, answer) = mpsc::channel();
    spawner.send((command, reply)).map_err(|_| anyhow!("the spawning thread is gone"))?;
    Ok(answer.recv()??)
}
