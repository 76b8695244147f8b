//! The rig's binaries: which they are, where they lie, and how the missing ones are built.
//!
//! Each folder `tests/rig/<module>` holds a `go.mod` with `tool` lines and no Go code. It is built once
//! into `<target>/rig/<module>-<hash of go.mod and go.sum>/`, so a changed version builds anew and
//! nothing else does. `KUBEBUILDER_ASSETS` may name a folder with ready-made binaries; what it holds is
//! used instead.

use std::{
    collections::BTreeMap,
    env,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::{
    debian, go,
    modules::{Files, MODULES, Module, Purpose},
    process::find_in_path,
    progress::Progress,
};

pub use crate::modules::{HELM, KUBECONFORM, MONITORING, OLM};

/// Where every binary and folder of the rig lies.
#[derive(Clone, Debug)]
pub struct Assets {
    binaries: BTreeMap<&'static str, PathBuf>,
    folders: BTreeMap<&'static str, PathBuf>,
}

impl Assets {
    /// The binary of that name: `etcd`, `kube-apiserver`, `kube-controller-manager`, `kube-scheduler`,
    /// `kubectl`, `kwok`, `registry` or `crane`; a node's also `kubelet`, `containerd` and so on.
    pub fn bin(&self, name: &str) -> Result<PathBuf> {
        self.binaries.get(name).cloned().with_context(|| {
            format!(
                "the rig has no binary {name}: put it into KUBEBUILDER_ASSETS, or install Go {} or newer \
                 and run `cargo xtask rig`",
                go::MINIMUM
            )
        })
    }

    /// The folder of files of that name: [`MONITORING`], [`OLM`], or kwok's stages.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        self.folders.get(name).cloned().with_context(|| {
            format!(
                "the rig has no folder {name}: put it into KUBEBUILDER_ASSETS, or install Go {} or newer and run \
                 `cargo xtask rig`",
                go::MINIMUM
            )
        })
    }
}

/// The workspace's own folder.
pub fn workspace() -> PathBuf {
    let harness = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = harness.ancestors().nth(2).unwrap_or(harness);
    root.to_owned()
}

/// cargo in the workspace's folder, the same one that runs this program.
pub fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace());
    command
}

/// Cargo's target folder: `CARGO_TARGET_DIR`, else `target` in the workspace.
pub fn target_dir() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => workspace().join(dir),
        None => workspace().join("target"),
    }
}

/// Finds the binaries of a simulated cluster, and builds those that are missing.
///
/// Blocks for minutes when everything has to be built; `progress` shows what is going on.
pub fn assets(progress: Progress) -> Result<Assets> {
    let simulated = |module: &Module| matches!(module.purpose, Purpose::ControlPlane | Purpose::Tool);
    find(&simulated, &|module| module.purpose == Purpose::ControlPlane, progress)
}

/// Finds `prometheus` and `promtool`, and fetches them when missing.
pub fn prometheus(progress: Progress) -> Result<PathBuf> {
    let (rig, _lock) = locked(progress)?;
    debian::folder(&rig, progress)
}

/// Finds [`HELM`] or [`KUBECONFORM`], and builds it when missing, for minutes too.
pub fn program(name: &str, progress: Progress) -> Result<PathBuf> {
    find(&|module| module.name == name, &|_| true, progress)?.bin(name)
}

/// Why that can't be had here, if so.
pub fn program_unavailable(name: &str) -> Option<String> {
    unless_go(&|module| module.name == name)
}

/// Finds the binaries of a real node's cluster, and builds those that are missing, for minutes too.
pub(crate) fn node_assets(progress: Progress) -> Result<Assets> {
    find(&of_node, &|_| true, progress)
}

/// Why Prometheus can't be had here, if so.
pub fn prometheus_unavailable() -> Option<String> {
    let can_fetch = ["apt-get", "dpkg-deb"].iter().all(|program| find_in_path(program).is_some());
    let is_there = debian::is_there(&target_dir().join("rig"));
    (!is_there && !can_fetch)
        .then(|| "it is fetched as a package of Debian's, for which this machine lacks apt-get".to_owned())
}

/// Why no simulated cluster can run here, if so.
pub fn unavailable() -> Option<String> {
    unless_go(&|module| module.purpose == Purpose::ControlPlane)
}

/// Why a node's binaries can't be had here, if so.
pub(crate) fn node_unavailable() -> Option<String> {
    unless_go(&of_node)
}

/// Whether a node's cluster asks for it.
fn of_node(module: &Module) -> bool {
    module.name != "kwok" && module.purpose != Purpose::Output
}

/// What is wrong with Go, where something that was asked for has yet to be built with it.
fn unless_go(wanted: &dyn Fn(&Module) -> bool) -> Option<String> {
    let found = |module: &Module| {
        let mut found = Assets { binaries: BTreeMap::new(), folders: BTreeMap::new() };
        let given = env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
        take_given(module, given.as_deref(), &mut found)
            || output_dir(module).is_ok_and(|out| is_complete(module, &out))
    };
    let missing = MODULES.iter().filter(|module| wanted(module)).any(|module| !found(module));
    missing.then(go::check)?.err().map(|why| why.to_string())
}

fn find(wanted: &dyn Fn(&Module) -> bool, required: &dyn Fn(&Module) -> bool, progress: Progress) -> Result<Assets> {
    let given = env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
    let mut found = Assets { binaries: BTreeMap::new(), folders: BTreeMap::new() };
    let mut to_build = Vec::new();
    for module in MODULES.iter().filter(|module| wanted(module)) {
        if !take_given(module, given.as_deref(), &mut found) {
            let out = output_dir(module)?;
            if !is_complete(module, &out) {
                to_build.push((module, out.clone()));
            }
            add_built(module, &out, &mut found);
        }
    }
    if let Err(why) = build_all(&to_build, progress) {
        let required = to_build.iter().any(|(module, _)| required(module));
        if required || !why.is::<go::Unusable>() {
            return Err(why.context(missing_message(&to_build)));
        }
        for (module, _) in to_build {
            found.binaries.retain(|name, _| !module.binaries.contains(name));
            found.folders.retain(|name, _| module.files.as_ref().is_none_or(|files| files.into != *name));
        }
    }
    Ok(found)
}

/// Takes a module's binaries from `KUBEBUILDER_ASSETS`; false if some are not there.
fn take_given(module: &Module, given: Option<&Path>, found: &mut Assets) -> bool {
    let Some(given) = given else {
        return false;
    };
    let mut all = true;
    if let Some(files) = &module.files {
        let path = given.join(files.into);
        all &= path.is_dir();
        if path.is_dir() {
            found.folders.insert(files.into, path);
        }
    }
    for name in module.binaries {
        let path = given.join(name);
        all &= path.is_file();
        if path.is_file() {
            found.binaries.insert(name, path);
        }
    }
    all
}

/// Adds a module's built binaries where none was given ready-made.
fn add_built(module: &Module, out: &Path, found: &mut Assets) {
    for name in module.binaries {
        let path = out.join(file_name(name));
        found.binaries.entry(name).or_insert(path);
    }
    if let Some(files) = &module.files {
        found.folders.entry(files.into).or_insert(out.join(files.into));
    }
}

/// The Go tool `go.etcd.io/etcd/server/v3` is installed under its package's name.
fn file_name(binary: &str) -> &str {
    if binary == "etcd" { "server" } else { binary }
}

fn module_dir(module: &Module) -> PathBuf {
    workspace().join("tests/rig").join(module.folder)
}

fn output_dir(module: &Module) -> Result<PathBuf> {
    let mut hash = Sha256::new();
    for file in ["go.mod", "go.sum"] {
        let path = module_dir(module).join(file);
        hash.update(fs::read(&path).with_context(|| format!("reading {}", path.display()))?);
    }
    let mut name = format!("{}-", module.name);
    for byte in &hash.finalize()[..6] {
        write!(name, "{byte:02x}")?;
    }
    Ok(target_dir().join("rig").join(name))
}

fn is_complete(module: &Module, out: &Path) -> bool {
    let binaries = module.binaries.iter().all(|name| out.join(file_name(name)).is_file());
    let files = module.files.iter().all(|files| out.join(files.into).is_dir());
    binaries && files && out.join(".complete").is_file()
}

fn build_all(to_build: &[(&Module, PathBuf)], progress: Progress) -> Result<()> {
    if to_build.is_empty() {
        return Ok(());
    }
    go::check()?;
    let _lock = locked(progress)?;
    for (index, (module, out)) in to_build.iter().enumerate() {
        if is_complete(module, out) {
            continue;
        }
        let label = format!("rig {} of {}: {}", index + 1, to_build.len(), module.name);
        build(module, out, &label, progress).with_context(|| label.clone())?;
    }
    Ok(())
}

/// The rig's folder, for this run alone. Two that start together build once: the second waits here and then finds the work done.
fn locked(progress: Progress) -> Result<(PathBuf, fs::File)> {
    let rig = target_dir().join("rig");
    fs::create_dir_all(&rig)?;
    let lock = fs::File::create(rig.join(".lock"))?;
    if lock.try_lock().is_err() {
        progress.line("another run is building the rig: waiting for it");
        lock.lock()?;
    }
    Ok((rig, lock))
}

fn build(module: &Module, out: &Path, label: &str, progress: Progress) -> Result<()> {
    let source = module_dir(module);
    if !is_complete(module, out) {
        fs::create_dir_all(out)?;
        let files: Vec<&str> = module.binaries.iter().copied().map(file_name).collect();
        if !files.is_empty() {
            go::install(&source, out, &files, label, progress)?;
        }
    }
    if let Some(files) = module.files.as_ref().filter(|files| !out.join(files.into).is_dir()) {
        copy(files, &source, out)?;
    }
    fs::write(out.join(".complete"), "")?;
    Ok(())
}

/// Copies a module's files beside its binaries, so that a start needs no Go.
fn copy(files: &Files, source: &Path, out: &Path) -> Result<()> {
    let module = go::module_folder(source, files.module)?;
    let partial = out.join(format!("{}.partial", files.into));
    fs::create_dir_all(&partial)?;
    for folder in files.from {
        let from = module.join(folder);
        for entry in fs::read_dir(&from).with_context(|| from.display().to_string())? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let is_wanted = |name: &&str| files.ends.iter().any(|end| name.ends_with(end));
            if let Some(name) = name.filter(is_wanted).filter(|name| *name != "kustomization.yaml") {
                fs::write(partial.join(name), fs::read(&path)?)?;
            }
        }
    }
    fs::rename(&partial, out.join(files.into))?;
    Ok(())
}

fn missing_message(to_build: &[(&Module, PathBuf)]) -> String {
    let given = env::var("KUBEBUILDER_ASSETS").ok();
    let missing: Vec<&str> = to_build
        .iter()
        .flat_map(|(module, _)| module.binaries.iter().copied().chain(module.files.as_ref().map(|files| files.into)))
        .filter(|name| given.as_ref().is_none_or(|given| !Path::new(given).join(name).exists()))
        .collect();
    match given {
        Some(given) => format!("KUBEBUILDER_ASSETS={given} lacks {}", missing.join(", ")),
        None => format!("parts of the rig are not built: {}", missing.join(", ")),
    }
}
