//! The folder a run keeps its certificates, data and logs in.

use std::{
    env, fs,
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use anyhow::{Context, Result, bail};

use crate::{guard, process::is_running};

/// A folder of its own, readable by this user alone, removed when dropped.
///
/// It stays, and its path is printed, when the environment holds `MOORAGE_RIG_KEEP` or the thread that
/// drops it is panicking: the logs in it then tell why. Of one that was told so the logs stay.
#[derive(Debug)]
pub struct WorkDir {
    path: PathBuf,
    /// Whether it goes with this value.
    owned: bool,
    keep_logs: AtomicBool,
}

/// What stands before the path of a folder that stays, on stdout.
pub const STAY_IN: &str = "the rig's logs stay in ";

/// What is kept for reading.
const KEPT: [&str; 2] = ["logs", "audit.jsonl"];
/// What the names of all work folders begin with; the process id of their owner follows.
const PREFIX: &str = "moorage-rig-";

/// Names of work folders, as `names` has them, whose owner was killed before it could remove what bears them.
pub fn abandoned(names: impl Iterator<Item = String>) -> Vec<String> {
    let owner = |name: &str| name.strip_prefix(PREFIX)?.split('-').next()?.parse().ok();
    names.filter(|name| owner(name).is_some_and(|pid: u32| !is_running(pid))).collect()
}

impl WorkDir {
    /// Makes a new folder under the system's temporary one.
    pub fn new() -> Result<Self> {
        let base = env::temp_dir();
        for attempt in 0..1000 {
            let path = base.join(format!("{PREFIX}{}-{attempt}", process::id()));
            match fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => {
                    fs::create_dir(path.join("logs"))?;
                    guard::register_dir(&path);
                    return Ok(Self { path, owned: true, keep_logs: AtomicBool::new(false) });
                }
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    return Err(error).with_context(|| format!("creating {}", path.display()));
                }
            }
        }
        bail!("{} holds too many leftover rig folders", base.display())
    }

    /// A folder that another process made by [`WorkDir::new`] and will remove.
    pub fn lent(path: PathBuf) -> Self {
        Self { path, owned: false, keep_logs: AtomicBool::new(false) }
    }

    /// Has its logs and the audit log stay, and nothing else of it, for who looks for the cause of a failure.
    pub fn keep_logs(&self) {
        self.keep_logs.store(true, Ordering::Relaxed);
    }

    fn remove_all_but_logs(&self) {
        let entries = fs::read_dir(&self.path).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()).filter(|path| !KEPT.iter().any(|kept| path.ends_with(kept))) {
            let _ = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The log of the process of that name.
    pub fn log(&self, name: &str) -> PathBuf {
        self.path.join("logs").join(format!("{name}.log"))
    }

    /// Writes a file that only this user may read.
    pub fn write(&self, name: &str, content: &str) -> Result<PathBuf> {
        let path = self.path.join(name);
        write_private(&path, content)?;
        Ok(path)
    }
}

/// Writes a file that only this user may read.
pub fn write_private(path: &Path, content: &str) -> Result<()> {
    fs::OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(content.as_bytes()))
        .with_context(|| format!("writing {}", path.display()))
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        if !self.owned {
            return;
        }
        guard::forget_dir(&self.path);
        let keep_all = thread::panicking() || env::var_os("MOORAGE_RIG_KEEP").is_some();
        if !keep_all && !self.keep_logs.load(Ordering::Relaxed) {
            let _ = fs::remove_dir_all(&self.path);
            return;
        }
        if !keep_all {
            self.remove_all_but_logs();
        }
        let _ = writeln!(io::stdout(), "{STAY_IN}{}", self.path.display());
    }
}
