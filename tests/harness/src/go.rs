//! The Go toolchain: is it there, is it new enough, and building one module's tools with it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result};

use crate::{process::run_command, progress::Progress};

/// The oldest Go that the rig's modules accept.
pub const MINIMUM: &str = "1.26";

/// No Go, or one too old: the one build failure that ready-made binaries can make up for.
#[derive(Debug)]
pub struct Unusable(String);

impl std::fmt::Display for Unusable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "building the rig needs Go {MINIMUM} or newer, and {}. Install it from https://go.dev/dl, or \
             set KUBEBUILDER_ASSETS to a folder with ready-made etcd, kube-apiserver, \
             kube-controller-manager, kube-scheduler, kubectl and kwok",
            self.0
        )
    }
}

impl std::error::Error for Unusable {}

/// Fails with [`Unusable`] unless a new enough Go is in `PATH`.
pub fn check() -> Result<()> {
    let output = go().args(["env", "GOVERSION"]).output();
    let version = match output {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        _ => return Err(Unusable("no go command was found".to_owned()).into()),
    };
    if parse(&version) >= parse(MINIMUM) { Ok(()) } else { Err(Unusable(format!("this one is {version}")).into()) }
}

/// `go1.26.8` and `1.26` as (major, minor); anything else counts as too old.
fn parse(version: &str) -> (u32, u32) {
    let mut parts =
        version.trim_start_matches("go").split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

fn go() -> Command {
    let mut go = Command::new("go");
    go.env("GOTOOLCHAIN", "local").env("CGO_ENABLED", "0");
    go
}

/// File systems that containerd could use for layers and the rig does not: their drivers need C headers.
const TAGS: &str = "no_btrfs,no_devmapper,no_zfs";

/// Builds those `tool` lines of the module in `source` whose binaries are named in `files` into `out`.
pub fn install(source: &Path, out: &Path, files: &[&str], label: &str, progress: Progress) -> Result<()> {
    let go_mod = fs::read_to_string(source.join("go.mod"))?;
    let flags = format!("-s -w{}", version_flags(&go_mod));
    let packages = tools(&go_mod, files)?;
    let mut command = go();
    command.args(["install", "-v", "-trimpath", "-tags", TAGS, "-ldflags", &flags]).args(&packages);
    command.env("GOBIN", out).current_dir(source);
    let log = out.join("build.log");
    progress.line(&format!("{label}: downloading what it is made of"));
    let total = dependencies(source, &packages)?;
    progress.build(label, &command, &log, |logs| {
        let built = logs.lines().filter(|line| !line.starts_with("go: ")).count();
        // Packages that lie in Go's cache already are not printed, so the count may end below the total.
        format!("{built} of {total} packages, {}", logs.lines().last().unwrap_or_default())
    })
}

/// How many packages these are made of, themselves included. Downloads what is missing.
fn dependencies(source: &Path, packages: &[&str]) -> Result<usize> {
    let mut command = go();
    command.args(["list", "-deps", "-tags", TAGS]).args(packages).current_dir(source);
    Ok(run_command(&mut command)?.lines().count())
}

/// The packages of the `tool` lines whose binaries have these names.
fn tools<'a>(go_mod: &'a str, files: &[&str]) -> Result<Vec<&'a str>> {
    let packages = || {
        go_mod
            .lines()
            .map(|line| line.trim().trim_start_matches("tool ").trim_end_matches(" // indirect"))
            .filter(|line| line.contains('/') && !line.contains(' '))
    };
    files
        .iter()
        .map(|file| packages().find(|package| binary_name(package) == *file))
        .collect::<Option<_>>()
        .with_context(|| format!("go.mod has no tool line for each of {}", files.join(", ")))
}

/// Go names a binary for its package's last element, less the major version.
fn binary_name(package: &str) -> &str {
    let is_version =
        |part: &&str| part.len() > 1 && part[1..].bytes().all(|b| b.is_ascii_digit()) && part.starts_with('v');
    package.rsplit('/').find(|part| !is_version(part)).unwrap_or(package)
}

/// Linker flags that make Kubernetes' programs report their own version instead of v0.0.0; elsewhere nothing.
fn version_flags(go_mod: &str) -> String {
    let version = go_mod
        .lines()
        .find_map(|line| line.trim().strip_prefix("k8s.io/kubernetes v"))
        .and_then(|rest| rest.split_whitespace().next());
    let Some(version) = version else {
        return String::new();
    };
    let mut parts = version.split('.');
    let (major, minor) = (parts.next().unwrap_or("1"), parts.next().unwrap_or("0"));
    ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"]
        .map(|package| {
            format!(" -X {package}.gitVersion=v{version} -X {package}.gitMajor={major} -X {package}.gitMinor={minor}")
        })
        .concat()
}

/// The folder in the module cache of a module that `source` requires.
pub fn module_folder(source: &Path, module: &str) -> Result<PathBuf> {
    let output =
        go().args(["mod", "download", "-json", module]).current_dir(source).stderr(Stdio::inherit()).output()?;
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let folder = answer["Dir"].as_str().with_context(|| format!("go mod download {module}: {}", answer["Error"]))?;
    Ok(PathBuf::from(folder))
}
