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

use crate::{go, progress::Progress};

/// What is built in one go out of one folder of `tests/rig`.
pub(crate) struct Module {
    pub(crate) name: &'static str,
    /// The folder under `tests/rig`.
    folder: &'static str,
    /// Binary names as the harness asks for them.
    binaries: &'static [&'static str],
    purpose: Purpose,
}

/// What a binary of the rig is for.
#[derive(Clone, Copy, PartialEq)]
enum Purpose {
    /// A control plane does not start without it.
    ControlPlane,
    /// A control plane starts without it.
    Tool,
    /// Only a real node asks for it, so only then is it built.
    Node,
}

const MODULES: [Module; 9] = [
    module(
        "kubernetes",
        &["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"],
        Purpose::ControlPlane,
    ),
    module("kwok", &["kwok"], Purpose::ControlPlane),
    module("registry", &["registry"], Purpose::Tool),
    module("crane", &["crane"], Purpose::Tool),
    Module {
        name: "kubernetes-node",
        folder: "kubernetes",
        ..module("kubernetes", &["kubelet", "kube-proxy"], Purpose::Node)
    },
    module(
        "node",
        &["containerd", "containerd-shim-runc-v2", "ptp", "loopback", "host-local", "portmap"],
        Purpose::Node,
    ),
    module("coredns", &["coredns"], Purpose::Node),
    module("metrics-server", &["metrics-server"], Purpose::Node),
    module("local-path", &["local-path-provisioner"], Purpose::Node),
];

const fn module(name: &'static str, binaries: &'static [&'static str], purpose: Purpose) -> Module {
    Module { name, folder: name, binaries, purpose }
}

/// The folder beside the kwok binary that holds its stage files.
const STAGES: &str = "stages";

/// Where every binary of the rig lies.
#[derive(Clone, Debug)]
pub struct Assets {
    binaries: BTreeMap<&'static str, PathBuf>,
    stages: PathBuf,
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

    /// The folder of kwok's stage files.
    pub(crate) fn stages(&self) -> &Path {
        &self.stages
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
    find(&|module| module.purpose != Purpose::Node, &|module| module.purpose == Purpose::ControlPlane, progress)
}

/// Finds the binaries of a real node's cluster, and builds those that are missing, for minutes too.
pub(crate) fn node_assets(progress: Progress) -> Result<Assets> {
    find(&|module| module.name != "kwok", &|_| true, progress)
}

/// Why no simulated cluster can run here, if so.
pub fn unavailable() -> Option<String> {
    unless_go(&|module| module.purpose == Purpose::ControlPlane)
}

/// Why a node's binaries can't be had here, if so.
pub(crate) fn node_unavailable() -> Option<String> {
    unless_go(&|module| module.name != "kwok")
}

/// What is wrong with Go, where something that was asked for has yet to be built with it.
fn unless_go(wanted: &dyn Fn(&Module) -> bool) -> Option<String> {
    let found = |module: &Module| {
        let mut found = Assets { binaries: BTreeMap::new(), stages: PathBuf::new() };
        let given = env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
        take_given(module, given.as_deref(), &mut found)
            || output_dir(module).is_ok_and(|out| is_complete(module, &out))
    };
    let missing = MODULES.iter().filter(|module| wanted(module)).any(|module| !found(module));
    missing.then(go::check)?.err().map(|why| why.to_string())
}

fn find(wanted: &dyn Fn(&Module) -> bool, required: &dyn Fn(&Module) -> bool, progress: Progress) -> Result<Assets> {
    let given = env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
    let mut found = Assets { binaries: BTreeMap::new(), stages: given.clone().unwrap_or_default().join(STAGES) };
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
        }
    }
    Ok(found)
}

/// Takes a module's binaries from `KUBEBUILDER_ASSETS`; false if some are not there.
fn take_given(module: &Module, given: Option<&Path>, found: &mut Assets) -> bool {
    let Some(given) = given else {
        return false;
    };
    let mut all = module.name != "kwok" || given.join(STAGES).is_dir();
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
    if module.name == "kwok" {
        found.stages = out.join(STAGES);
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
    binaries && out.join(".complete").is_file() && (module.name != "kwok" || out.join(STAGES).is_dir())
}

fn build_all(to_build: &[(&Module, PathBuf)], progress: Progress) -> Result<()> {
    if to_build.is_empty() {
        return Ok(());
    }
    go::check()?;
    let rig = target_dir().join("rig");
    fs::create_dir_all(&rig)?;
    // Two runs that start together build once: the second waits here and then finds the work done.
    let lock = fs::File::create(rig.join(".lock"))?;
    if lock.try_lock().is_err() {
        progress.line("another run is building the rig: waiting for it");
        lock.lock()?;
    }
    for (index, (module, out)) in to_build.iter().enumerate() {
        if is_complete(module, out) {
            continue;
        }
        let label = format!("rig {} of {}: {}", index + 1, to_build.len(), module.name);
        build(module, out, &label, progress).with_context(|| label.clone())?;
    }
    Ok(())
}

fn build(module: &Module, out: &Path, label: &str, progress: Progress) -> Result<()> {
    let source = module_dir(module);
    if !is_complete(module, out) {
        fs::create_dir_all(out)?;
        let files: Vec<&str> = module.binaries.iter().copied().map(file_name).collect();
        go::install(&source, out, &files, label, progress)?;
    }
    if module.name == "kwok" && !out.join(STAGES).is_dir() {
        copy_stages(&source, out)?;
    }
    fs::write(out.join(".complete"), "")?;
    Ok(())
}

/// Copies kwok's own stage files beside its binary, so that a start needs no Go.
fn copy_stages(source: &Path, out: &Path) -> Result<()> {
    let kwok = go::module_folder(source, "sigs.k8s.io/kwok")?;
    let partial = out.join("stages.partial");
    fs::create_dir_all(&partial)?;
    for folder in ["node/fast", "node/heartbeat", "pod/fast", "volume/fast"] {
        let from = kwok.join("kustomize/stage").join(folder);
        for entry in fs::read_dir(&from).with_context(|| from.display().to_string())? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            if let Some(name) =
                name.filter(|name| path.extension().is_some_and(|kind| kind == "yaml") && *name != "kustomization.yaml")
            {
                fs::write(partial.join(name), fs::read(&path)?)?;
            }
        }
    }
    fs::rename(&partial, out.join(STAGES))?;
    Ok(())
}

fn missing_message(to_build: &[(&Module, PathBuf)]) -> String {
    let given = env::var("KUBEBUILDER_ASSETS").ok();
    let missing: Vec<&str> = to_build
        .iter()
        .flat_map(|(module, _)| module.binaries)
        .copied()
        .filter(|name| given.as_ref().is_none_or(|given| !Path::new(given).join(name).is_file()))
        .collect();
    match given {
        Some(given) => format!(
            "KUBEBUILDER_ASSETS={given} lacks {} (kwok needs its stage files there too, in {STAGES}/)",
            missing.join(", ")
        ),
        None => format!("the rig's binaries are not built: {}", missing.join(", ")),
    }
}
