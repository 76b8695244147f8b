//! The images of the run, made from what is on this machine and pushed to its registry.
//!
//! A static busybox is the base of all but the operator's and the registry's. Each names a numeric user, as pods must be
//! able to run as non-root without saying who.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use super::{REGISTRY, operator, packages};
use crate::{
    build::Assets,
    process::{run, run_command},
    work_dir::WorkDir,
};

/// Whom the images run as.
const USER: &str = "1000:1000";

/// A file of an image: where it is, and what is in it.
type Script = (&'static str, &'static str);

/// An image on busybox: files of its own and the command that starts it.
struct Image {
    /// The name in the registry, and further names of the same.
    names: &'static [&'static str],
    scripts: &'static [Script],
    command: &'static str,
}

const HTTP: Script = ("app/http", include_str!("http.sh"));

const IMAGES: [Image; 3] = [
    Image { names: &["pause:1"], scripts: &[("app/pause", include_str!("pause.sh"))], command: "/app/pause" },
    Image {
        names: &["web:1", "web:2", "team/web:1.4"],
        scripts: &[("app/web", include_str!("web.sh")), ("app/web-answer", include_str!("web-answer.sh")), HTTP],
        command: "/app/web",
    },
    Image {
        names: &["database:1", "postgresql-13:1", "library/postgres:17"],
        scripts: &[
            ("app/database", include_str!("database.sh")),
            ("app/database-answer", include_str!("database-answer.sh")),
            ("bin/db", include_str!("db.sh")),
            HTTP,
        ],
        command: "/app/database",
    },
];

/// Where the registry's image is looked for by a Registry that names none.
const REGISTRY_IMAGE: &str = "library/registry:3.1.1";

/// What pages call the operator's image once somebody has built one.
const USERS_IMAGE: &str = "team/moorage:";

/// Makes and pushes every image. The registry must run.
pub fn push_all(assets: &Assets, work: &WorkDir) -> Result<()> {
    let kitchen = Kitchen { crane: assets.bin("crane")?, folder: work.path().join("images") };
    kitchen.push_base()?;
    for image in &IMAGES {
        kitchen.push(image)?;
    }
    kitchen.push_registry(&assets.bin("registry")?)?;
    push_operator(work)
}

/// What images are made with, and where.
struct Kitchen {
    crane: PathBuf,
    folder: PathBuf,
}

impl Kitchen {
    /// busybox with all its names, and the few folders and files that programs expect.
    fn push_base(&self) -> Result<()> {
        let root = self.root("busybox")?;
        let busybox = packages::find("busybox")?;
        for folder in ["bin", "etc", "tmp", "var/lib/pgsql/data"] {
            fs::create_dir_all(root.join(folder))?;
        }
        for folder in ["tmp", "var/lib/pgsql/data"] {
            fs::set_permissions(root.join(folder), fs::Permissions::from_mode(0o1777))?;
        }
        add_program(&busybox, &root.join("bin/busybox"))?;
        for name in run(&busybox, &["--list"])?.lines().filter(|name| *name != "busybox") {
            symlink("busybox", root.join("bin").join(name))?;
        }
        fs::write(root.join("etc/passwd"), "root:x:0:0:root:/:/bin/sh\napp:x:1000:1000:app:/tmp:/bin/sh\n")?;
        fs::write(root.join("etc/group"), "root:x:0:\napp:x:1000:\n")?;
        let layer = self.layer("busybox")?;
        self.append(&["--oci-empty-base"], &layer, "busybox:1")?;
        self.configure("busybox:1", &["--cmd=sh"])
    }

    fn push(&self, image: &Image) -> Result<()> {
        let [first, others @ ..] = image.names else {
            return Ok(());
        };
        let root = self.root(first)?;
        for (path, content) in image.scripts {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap_or(&root))?;
            fs::write(&path, content)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        }
        let layer = self.layer(first)?;
        self.append(&["--base", &reference("busybox:1")], &layer, first)?;
        self.configure(first, &[&format!("--cmd={}", image.command)])?;
        for other in others {
            self.crane(&["copy", &reference(first), &reference(other)])?;
        }
        Ok(())
    }

    /// The registry server as its official image has it: a program of that name in the path.
    fn push_registry(&self, program: &Path) -> Result<()> {
        let root = self.root("registry")?;
        fs::create_dir_all(root.join("bin"))?;
        add_program(program, &root.join("bin/registry"))?;
        let layer = self.layer("registry")?;
        self.append(&["--oci-empty-base"], &layer, REGISTRY_IMAGE)?;
        self.configure(REGISTRY_IMAGE, &["--entrypoint=registry"])
    }

    /// A new folder for the files of an image.
    fn root(&self, name: &str) -> Result<PathBuf> {
        let root = self.folder.join(name.replace(['/', ':'], "-"));
        fs::create_dir_all(&root).with_context(|| root.display().to_string())?;
        Ok(root)
    }

    /// The files of an image as a layer.
    fn layer(&self, name: &str) -> Result<String> {
        let root = self.root(name)?;
        let layer = root.with_extension("tar");
        let mut tar = Command::new("tar");
        tar.args(["--create", "--owner=0", "--group=0", "--numeric-owner", "--file"]).arg(&layer);
        run_command(tar.arg("--directory").arg(&root).arg("."))?;
        Ok(layer.display().to_string())
    }

    fn append(&self, base: &[&str], layer: &str, name: &str) -> Result<()> {
        let target = reference(name);
        self.crane(&[&["append", "--insecure", "--new_layer", layer, "--new_tag", &target], base].concat())
    }

    fn configure(&self, name: &str, flags: &[&str]) -> Result<()> {
        let target = reference(name);
        let user = format!("--user={USER}");
        let platform = format!("--set-platform=linux/{}", architecture());
        let common = ["mutate", &target, "--insecure", "--tag", &target, "--env=PATH=/bin", &user, &platform];
        self.crane(&[&common, flags].concat())
    }

    fn crane(&self, arguments: &[&str]) -> Result<()> {
        run(&self.crane, arguments).map(|_| ())
    }
}

/// This machine's architecture, as images name it.
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// The name under which the run's registry has an image.
fn reference(name: &str) -> String {
    format!("{REGISTRY}/{name}")
}

fn add_program(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).with_context(|| from.display().to_string())?;
    fs::set_permissions(to, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// The operator's image, named as the manifest names it, and as the pages of installs have a user name it, less the registry.
fn push_operator(work: &WorkDir) -> Result<()> {
    let image = operator::image()?;
    let (_, name) = image.split_once('/').with_context(|| format!("{image} names no registry"))?;
    let target = reference(name);
    let users = reference(&name.replace("moorage:", USERS_IMAGE));
    let folder = work.path().join("images/operator");
    let destinations = [&target, &users].map(|name| format!("docker://{name}"));
    operator::make_image(&operator::binary(work.path()), &folder, &target, 0, &destinations)
}
