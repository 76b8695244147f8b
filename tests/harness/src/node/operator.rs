//! The operator as a user runs it: linked statically as its image has it, installed by its own manifest.

use std::{
    collections::BTreeSet,
    env::{self, consts},
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use super::{NodeCluster, packages, packages::is_static};
use crate::{
    access::documents,
    build::{cargo, target_dir, workspace},
    process::run_command,
    progress::Progress,
    ways::{OPERATOR_NAMESPACE, Way},
};

/// The manifest that a user applies.
const MANIFEST: &str = "deploy/install.yaml";
/// Pulling, starting and electing takes seconds.
const DEADLINE: Duration = Duration::from_mins(2);

/// Builds the operator as it is shipped, from the workspace's sources.
pub fn build(progress: Progress) -> Result<PathBuf> {
    build_from(&workspace(), &target_dir(), progress)
}

/// Builds the operator as it is shipped, from the sources in that folder: with the C library linked statically, as there is none in its
/// image, and without a path of this machine in it, so that the same sources give the same bytes wherever they lie.
pub fn build_from(source: &Path, into: &Path, progress: Progress) -> Result<PathBuf> {
    let target = format!("{}-unknown-linux-gnu", consts::ARCH);
    let mut command = cargo();
    command.current_dir(source);
    command.args(["build", "--release", "--locked", "--package=moorage", "--bin=moorage", "--target", &target]);
    command.arg("--target-dir").arg(into);
    let names = names_of_folders(source)?;
    let renamed = |flag: &str| names.iter().map(|(from, to)| format!("{flag}={from}={to}")).collect::<Vec<_>>();
    let flags = [vec!["-Ctarget-feature=+crt-static".to_owned()], renamed("--remap-path-prefix")].concat();
    command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f")).env("CFLAGS", renamed("-ffile-prefix-map").join(" "));
    fs::create_dir_all(into)?;
    let log = into.join("operator-image.log");
    let total = crates(&target)?;
    progress.build("the operator for its image", &command, &log, |logs| {
        let compiled = logs.lines().filter(|line| line.trim_start().starts_with("Compiling ")).count();
        format!("{compiled} of {total} crates, {}", logs.lines().last().unwrap_or_default().trim())
    })?;
    let binary = into.join(target).join("release/moorage");
    ensure!(is_static(&binary), "{} needs a dynamic linker, which its image has not", binary.display());
    Ok(binary)
}

/// How the folders are called, in what is built, that a compiler writes into it.
fn names_of_folders(source: &Path) -> Result<[(String, &'static str); 3]> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")));
    let home = home.context("there is neither CARGO_HOME nor HOME")?;
    let sysroot = run_command(Command::new("rustc").args(["--print", "sysroot"]).current_dir(source))?;
    let shown = |path: &Path| path.display().to_string();
    Ok([(shown(source), "/source"), (shown(&home), "/cargo"), (sysroot.trim().to_owned(), "/rust")])
}

/// How many crates the operator is made of.
fn crates(target: &str) -> Result<usize> {
    let mut command = cargo();
    command.args(["tree", "--package=moorage", "--edges=normal,build", "--target", target]);
    command.args(["--prefix=none", "--no-dedupe", "--format={p}"]);
    let tree = run_command(&mut command)?;
    Ok(tree.lines().collect::<BTreeSet<_>>().len())
}

/// The operator's binary in the run's folder.
pub fn binary(folder: &Path) -> PathBuf {
    folder.join("moorage")
}

/// The last stage of the project's Dockerfile, with a first stage that supplies what has been built already.
pub fn dockerfile() -> Result<String> {
    let path = workspace().join("Dockerfile");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let last = text.rfind("\nFROM ").context("the Dockerfile has one stage only")?;
    Ok(format!("FROM scratch AS builder\nCOPY moorage /moorage\n{}", &text[last..]))
}

/// Makes the operator's image of that binary by the last stage of the project's Dockerfile, and has it put to these destinations, in
/// buildah's words. The same binary and the same time (Unix) give the same image. The folder is to be on a disk, as layers are large.
pub fn make_image(binary: &Path, folder: &Path, name: &str, time: i64, destinations: &[String]) -> Result<()> {
    let context = folder.join("context");
    fs::create_dir_all(&context)?;
    fs::copy(binary, context.join("moorage")).with_context(|| binary.display().to_string())?;
    fs::write(context.join("Dockerfile"), dockerfile()?)?;
    let buildah = |arguments: &[&str]| -> Result<()> {
        let mut command = Command::new(packages::find("buildah")?);
        command.arg("--root").arg(folder.join("buildah")).arg("--runroot").arg(folder.join("buildah-run"));
        command.args(["--storage-driver", "vfs"]);
        command.args(arguments).current_dir(&context).env("TMPDIR", folder);
        run_command(&mut command).map(|_| ())
    };
    let time = format!("--timestamp={time}");
    buildah(&["build", "--isolation", "chroot", "--quiet", &time, "--tag", name, "."])?;
    destinations.iter().try_for_each(|to| buildah(&["push", "--tls-verify=false", "--quiet", name, to]))
}

/// The image that the manifest names.
pub fn image() -> Result<String> {
    let manifests = documents(&fs::read_to_string(workspace().join(MANIFEST))?)?;
    let deployment = manifests.iter().find(|manifest| manifest["kind"] == "Deployment");
    let image = deployment.and_then(|it| it["spec"]["template"]["spec"]["containers"][0]["image"].as_str());
    image.map(ToOwned::to_owned).with_context(|| format!("{MANIFEST} names no image"))
}

impl NodeCluster {
    /// Installs the operator in that way, telling each command, and waits until every replica that it asks for is available.
    pub async fn install_operator(&self, way: Way, told: fn(&str)) -> Result<()> {
        match self.installer(way, told).await?.install().await {
            Ok(()) => self.operator_available().await,
            Err(error) => Err(error.context(self.operator_report().await)),
        }
    }

    /// Waits until every replica of the operator is available.
    pub async fn operator_available(&self) -> Result<()> {
        match self.rolled_out(OPERATOR_NAMESPACE, DEADLINE).await {
            Ok(_) => Ok(()),
            Err(error) => Err(error.context(self.operator_report().await)),
        }
    }

    /// What the operator's pods are and say, for the message of a test that fails.
    pub async fn operator_report(&self) -> String {
        let select = ["--namespace", OPERATOR_NAMESPACE, "--selector=app.kubernetes.io/name=moorage"];
        let mut report = String::new();
        for command in [&["describe", "pods"][..], &["logs", "--tail=30", "--prefix"][..]] {
            let said = self.run_kubectl(&[command, &select[..]].concat()).await;
            report.push_str(&said.unwrap_or_else(|error| format!("{error:#}")));
        }
        report
    }
}

#[cfg(test)]
mod tests {
    use super::{dockerfile, image};

    #[test]
    fn the_image_is_the_projects_own_last_stage() -> anyhow::Result<()> {
        let text = dockerfile()?;
        assert!(text.contains("COPY --from=builder /moorage /moorage\n"), "{text}");
        assert!(text.contains("\nUSER 65532:65532\n") && !text.contains("cargo"), "{text}");
        assert!(image()?.contains("/moorage:"));
        Ok(())
    }
}
