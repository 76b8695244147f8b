//! `cargo xtask release`: everything that a release publishes, in one folder, made of what is committed and of nothing else.
//!
//! What takes the internet is left to whoever releases, and printed in the end: pushing, signing, the catalogs' pull requests.

use std::{
    env::consts,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use moorage::generate::{crds, deploy::IMAGE, emit, files::File, installs};
use moorage_harness::{
    Progress,
    build::{HELM, program, target_dir, workspace},
    former::unpack,
    node::{architecture, build_from, install_missing, make_image},
    run as run_program, run_command,
};

use crate::cargo::cargo;

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Writes the list of what is in the binary.
const SBOM_TOOL: (&str, &str) = ("cargo-cyclonedx", "0.5.9");

/// Where the chart says which image it installs, and how it says that it names none.
const VALUES: &str = "helm/moorage/values.yaml";
const UNNAMED: &str = "repository: \"\"";

#[derive(Args)]
pub struct Arguments {
    /// Name under which the image will be published, without a tag, such as registry.example.com/team/moorage; the manifests keep their
    /// placeholder without it
    #[arg(long, value_parser = repository)]
    image: Option<String>,
    /// Where to put it [default: release-VERSION in cargo's target folder]; must be empty or not there
    #[arg(long)]
    output: Option<PathBuf>,
    /// Make it although CHANGELOG.md has no section of this version
    #[arg(long)]
    snapshot: bool,
}

fn repository(name: &str) -> Result<String, String> {
    let last = name.rsplit('/').next().unwrap_or_default();
    let is_bare = name.contains('/') && !last.is_empty() && !last.contains([':', '@']);
    if is_bare { Ok(name.to_owned()) } else { Err("must be registry/path/name, without tag and digest".to_owned()) }
}

/// Makes the release.
pub fn run(arguments: &Arguments) -> Result<()> {
    let progress = Progress::stderr();
    let changes = git(&["status", "--porcelain"])?;
    ensure!(changes.is_empty(), "a release is made of what is committed; these files are not:\n{changes}");
    let notes = notes(&fs::read_to_string(workspace().join("CHANGELOG.md"))?, arguments.snapshot)?;
    let output = arguments.output.clone().unwrap_or_else(|| target_dir().join(format!("release-{VERSION}")));
    let is_empty = fs::read_dir(&output).map_or(true, |mut entries| entries.next().is_none());
    ensure!(is_empty, "{} is not empty; remove it, or name another folder by --output", output.display());
    let time: i64 = git(&["log", "-1", "--format=%ct"])?.parse().context("the time of the last commit")?;
    install_missing(progress)?;

    let work = target_dir().join("release-work");
    let _ = fs::remove_dir_all(&work);
    let sources = [work.join("one"), work.join("two/elsewhere")];
    for source in &sources {
        unpack("HEAD", source)?;
    }
    // Half a release must not look like one.
    let unfinished = work.join("unfinished");
    fs::create_dir_all(&unfinished)?;
    let release = Release { image: arguments.image.clone(), output: unfinished.clone(), work: work.clone(), time };
    release.binary(&sources, progress)?;
    release.packages(progress)?;
    release.sbom(&sources[0], progress)?;
    fs::write(unfinished.join("notes.md"), notes)?;
    release.sums()?;
    fs::create_dir_all(&output)?;
    for file in fs::read_dir(&unfinished)? {
        let file = file?;
        fs::copy(file.path(), output.join(file.file_name()))?;
    }
    fs::remove_dir_all(&work)?;
    let release = Release { output, ..release };
    println!("{}", release.remaining());
    Ok(())
}

/// One release while it is made.
struct Release {
    image: Option<String>,
    output: PathBuf,
    /// Where it is made.
    work: PathBuf,
    /// When the commit was made that it is of (Unix): the time of all that has one.
    time: i64,
}

impl Release {
    /// The program and its image, each made twice: what is published can be made again by anybody, byte for byte.
    fn binary(&self, sources: &[PathBuf; 2], progress: Progress) -> Result<()> {
        let built = [0, 1].map(|index: usize| build_from(&sources[index], &sources[index].join("target"), progress));
        let [first, second] = built;
        let (first, second) = (first?, second?);
        let is_same = fs::read(&first)? == fs::read(&second)?;
        ensure!(is_same, "{} and {} differ: the build is not reproducible", first.display(), second.display());
        let binary = self.output.join(format!("moorage-{VERSION}-linux-{}", architecture()));
        fs::copy(&first, &binary)?;
        self.image(&binary)
    }

    /// The image as an OCI archive.
    fn image(&self, binary: &Path) -> Result<()> {
        let name = self.reference();
        let mut archives = Vec::new();
        for folder in ["image", "image-again"].map(|name| self.work.join(name)) {
            let layout = folder.join("layout");
            make_image(binary, &folder, &name, self.time, &[format!("oci:{}:{name}", layout.display())])?;
            archives.push(self.tarred(&layout, &["."], &folder.join("image.tar"))?);
        }
        let is_same = fs::read(&archives[0])? == fs::read(&archives[1])?;
        ensure!(is_same, "the image of the same binary differs from one time to the next");
        let archive = self.output.join(format!("moorage-{VERSION}-linux-{}.oci.tar", architecture()));
        fs::copy(&archives[0], archive)?;
        Ok(())
    }

    /// These entries of a folder as an archive, the same bytes each time.
    fn tarred(&self, folder: &Path, entries: &[&str], archive: &Path) -> Result<PathBuf> {
        let mut tar = Command::new("tar");
        tar.args(["--create", "--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mode=a+rX,u+w,go-w"]);
        tar.arg(format!("--mtime=@{}", self.time)).arg("--file").arg(archive).arg("--directory").arg(folder);
        run_command(tar.args(entries))?;
        Ok(archive.to_owned())
    }

    /// What installs it: the manifests, the folder of all ways to install, and the chart.
    fn packages(&self, progress: Progress) -> Result<()> {
        let folder = self.work.join(format!("moorage-{VERSION}"));
        for (name, files) in [("crds", crds()), ("deploy", installs())] {
            let named = files.into_iter().map(|file| self.named(file)).collect();
            emit(named, Some(&folder.join(name))).map_err(anyhow::Error::msg)?;
        }
        fs::copy(folder.join("deploy/install.yaml"), self.output.join("install.yaml"))?;
        let chart = folder.join("deploy/helm/moorage").display().to_string();
        run_program(
            &program(HELM, progress)?,
            &["package", &chart, "--destination", &self.work.display().to_string()],
        )?;
        // Helm packs the time of the day.
        let (packed, unpacked) = (self.work.join(format!("moorage-{VERSION}.tgz")), self.work.join("chart"));
        fs::create_dir_all(&unpacked)?;
        run_command(Command::new("tar").arg("--extract").arg("--file").arg(&packed).arg("--directory").arg(&unpacked))?;
        self.zipped(&unpacked, "moorage", &format!("moorage-{VERSION}.tgz"))?;
        self.zipped(&self.work, &format!("moorage-{VERSION}"), &format!("moorage-{VERSION}-manifests.tar.gz"))
    }

    /// An entry of a folder as a compressed archive of the release.
    fn zipped(&self, folder: &Path, entry: &str, name: &str) -> Result<()> {
        let archive = self.tarred(folder, &[entry], &self.work.join("archive.tar"))?;
        run_command(Command::new("gzip").args(["--no-name", "--best", "--force"]).arg(&archive))?;
        fs::rename(archive.with_extension("tar.gz"), self.output.join(name))?;
        Ok(())
    }

    /// The list of what the program is made of, as `CycloneDX`.
    fn sbom(&self, source: &Path, progress: Progress) -> Result<()> {
        let (tool, version) = SBOM_TOOL;
        let root = target_dir().join("tools");
        let binary = root.join("bin").join(tool);
        let is_there = run_program(&binary, &["cyclonedx", "--version"]).is_ok_and(|told| told.contains(version));
        if !is_there {
            progress.line(&format!("installing {tool} {version} with cargo"));
            let root = root.display().to_string();
            run_command(&mut cargo(&[
                "install",
                tool,
                "--version",
                &format!("={version}"),
                "--locked",
                "--root",
                &root,
            ]))?;
        }
        let mut command = Command::new(&binary);
        command.args([
            "cyclonedx",
            "--format=json",
            "--spec-version=1.5",
            "--describe=binaries",
            "--no-build-deps",
            "--quiet",
        ]);
        command
            .arg(format!("--target={}-unknown-linux-gnu", consts::ARCH))
            .env("SOURCE_DATE_EPOCH", self.time.to_string());
        run_command(command.current_dir(source))?;
        // It names the folder in which it ran.
        let text = fs::read_to_string(source.join("moorage_bin.cdx.json"))?;
        let text = text.replace(&format!("path+file://{}", source.display()), "path+file:///source");
        fs::write(self.output.join(format!("moorage-{VERSION}-linux-{}.cdx.json", architecture())), text)?;
        Ok(())
    }

    /// The hash of each file, as `sha256sum --check` takes them.
    fn sums(&self) -> Result<()> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.output)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        let sums = run_command(Command::new("sha256sum").args(&names).current_dir(&self.output))?;
        fs::write(self.output.join(format!("SHA256SUMS-linux-{}", architecture())), sums)?;
        Ok(())
    }

    /// The image's name with its tag.
    fn reference(&self) -> String {
        self.image.as_ref().map_or_else(|| IMAGE.to_owned(), |name| format!("{name}:{VERSION}"))
    }

    /// A file that names the image as it is published: nothing else can have the placeholder's name. The chart has no placeholder.
    fn named(&self, (path, text): File) -> File {
        let Some(image) = &self.image else { return (path, text) };
        let placeholder = IMAGE.rsplit_once(':').map_or(IMAGE, |(name, _)| name);
        let text = text.replace(placeholder, image);
        let text = if path == VALUES { text.replacen(UNNAMED, &format!("repository: {image}"), 1) } else { text };
        (path, text)
    }

    /// What is left to do.
    fn remaining(&self) -> String {
        let (output, reference, architecture) = (self.output.display(), self.reference(), architecture());
        let file = format!("{output}/moorage-{VERSION}-linux-{architecture}");
        let sums = format!("{output}/SHA256SUMS-linux-{architecture}");
        let unnamed = if self.image.is_some() {
            ""
        } else {
            "\nThe manifests name no image that can be pulled: run it again with --image."
        };
        format!(
            "{output} is what a release of {VERSION} publishes, of this architecture.{unnamed}\nWhat takes the internet is left:\n  \
             skopeo copy oci-archive:{file}.oci.tar docker://{reference}-{architecture}\n  \
             cosign attest --type cyclonedx --predicate {file}.cdx.json {reference}-{architecture}\n  \
             cosign sign-blob --bundle {sums}.sigstore {sums}\n\
             and once that is done for each architecture:\n  \
             buildah manifest create {reference} {reference}-amd64 {reference}-arm64\n  \
             buildah manifest push --all {reference} docker://{reference}\n  \
             cosign sign {reference}"
        )
    }
}

fn git(arguments: &[&str]) -> Result<String> {
    let told = run_command(Command::new("git").args(arguments).current_dir(workspace()))?;
    Ok(told.trim_end().to_owned())
}

/// What the changelog says of this version, or of what is not released yet.
fn notes(changelog: &str, snapshot: bool) -> Result<String> {
    let section = |name: &str| {
        let (_, rest) = changelog.split_once(&format!("\n## [{name}]"))?;
        let (_, rest) = rest.split_once('\n')?;
        Some(rest.split("\n## [").next().unwrap_or(rest).trim().to_owned() + "\n")
    };
    match (section(VERSION), section("Unreleased")) {
        (Some(notes), _) => Ok(notes),
        (None, Some(notes)) if snapshot => Ok(notes),
        (None, _) => bail!("CHANGELOG.md has no section [{VERSION}]; write one, or say --snapshot"),
    }
}

#[cfg(test)]
mod tests {
    use super::{IMAGE, Release, UNNAMED, VALUES, VERSION, crds, installs, notes, repository};

    fn release(image: Option<&str>) -> Release {
        Release { image: image.map(str::to_owned), output: "/o".into(), work: "/w".into(), time: 0 }
    }

    /// No manifest of a release names an image that can't be pulled, and each that named one names the published.
    #[test]
    fn every_manifest_names_the_image_that_is_published() {
        let published = release(Some("registry.example.com/team/moorage"));
        for file in crds().into_iter().chain(installs()) {
            let (path, before) = file.clone();
            let (_, text) = published.named(file);
            assert!(!text.contains("registry.invalid"), "{path}");
            let named_one = before.contains(IMAGE) || path == VALUES;
            let names = text.contains(&format!("registry.example.com/team/moorage:{VERSION}"))
                || text.contains("repository: registry.example.com/team/moorage\n");
            assert!(!named_one || names, "{path}: {text}");
        }
        assert!(installs().iter().any(|(path, text)| path == VALUES && text.contains(UNNAMED)));
        for file in installs() {
            assert_eq!(release(None).named(file.clone()), file, "without a name the placeholder stays");
        }
    }

    #[test]
    fn an_image_is_named_without_tag_and_digest() {
        for name in ["registry.example.com/moorage", "registry:5000/team/moorage"] {
            assert_eq!(repository(name), Ok(name.to_owned()));
        }
        for name in ["moorage", "r.example.com/moorage:1", "r.example.com/moorage@sha256:0", "r.example.com/"] {
            assert!(repository(name).is_err(), "{name}");
        }
    }

    #[test]
    fn notes_are_the_section_of_the_version() {
        let unreleased = "# Changelog\n\n## [Unreleased]\n\n- new\n\n## [0.0.1]\n\n- old\n";
        let released = unreleased.replace("## [0.0.1]", &format!("## [{VERSION}] - 2026-01-01"));
        assert_eq!(notes(&released, false).unwrap(), "- old\n");
        assert_eq!(notes(unreleased, true).unwrap(), "- new\n");
        let refused = notes(unreleased, false).unwrap_err().to_string();
        assert!(refused.contains(VERSION) && refused.contains("--snapshot"), "{refused}");
    }
}
