//! The reader of a page: an administrator with a shell, at the top of the repository, who has the programs of the rig.

use std::{
    env,
    ffi::OsString,
    fs,
    os::unix::fs::symlink,
    path::PathBuf,
    process::{Output, Stdio},
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::{
    access::{Access, DEADLINE},
    build::workspace,
    page::Step,
};

/// What of the repository the reader sees. Beside it, files of her own are written.
const SEEN: [&str; 3] = ["crds", "deploy", "examples"];

/// A shell on a cluster.
pub struct Reader {
    folder: PathBuf,
    path: OsString,
    kubeconfig: PathBuf,
}

impl Reader {
    /// With these programs beside kubectl.
    pub fn new(access: &Access, programs: &[PathBuf]) -> Result<Self> {
        let folder = access.work_dir().join("reader");
        fs::create_dir_all(&folder)?;
        for name in SEEN.iter().filter(|name| !folder.join(name).exists()) {
            symlink(workspace().join(name), folder.join(name))?;
        }
        let kubectl = access.bin("kubectl")?;
        let programs = programs.iter().chain([&kubectl]).filter_map(|program| program.parent()).map(PathBuf::from);
        let inherited = env::var_os("PATH").unwrap_or_default();
        let path = env::join_paths(programs.chain(env::split_paths(&inherited)))?;
        Ok(Self { folder, path, kubeconfig: access.kubeconfig_path().to_owned() })
    }

    /// Does what a page says; returns what was printed.
    pub async fn does(&self, step: &Step) -> Result<String> {
        match step {
            Step::Run(line) => self.runs(line).await,
            Step::Write { name, text } => {
                let path = self.folder.join(name);
                fs::create_dir_all(path.parent().unwrap_or(&self.folder))?;
                fs::write(&path, text).with_context(|| path.display().to_string())?;
                Ok(String::new())
            }
        }
    }

    /// Runs a line and returns its stdout; its stderr is the error. So is taking longer than minutes.
    pub async fn runs(&self, line: &str) -> Result<String> {
        let output = self.output(line).await.with_context(|| line.to_owned())?;
        if !output.status.success() {
            bail!("{line}: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    async fn output(&self, line: &str) -> Result<Output> {
        let mut command = tokio::process::Command::new("sh");
        command.args(["-e", "-c", line]).current_dir(&self.folder).env("PATH", &self.path);
        command.env("KUBECONFIG", &self.kubeconfig);
        for folder in ["CACHE", "CONFIG", "DATA"] {
            command.env(format!("HELM_{folder}_HOME"), self.folder.join("helm"));
        }
        // A group of its own, as what a shell has started outlives it.
        let piped = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = piped.process_group(0).kill_on_drop(true).spawn()?;
        let group = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        if let Ok(output) = tokio::time::timeout(DEADLINE, child.wait_with_output()).await {
            return Ok(output?);
        }
        let _ = group.map(|group| kill_process_group(group, Signal::KILL));
        bail!("not done after {DEADLINE:?}")
    }
}
