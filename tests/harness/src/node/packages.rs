//! The system's own programs that a node needs: which they are, and getting those that are missing.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use crate::{
    debian::{apt_get, run},
    process::find_in,
    progress::Progress,
};

/// Programs, and the Debian package that has each.
const NEEDED: [(&str, &str); 11] = [
    ("buildah", "buildah"),
    ("busybox", "busybox-static"),
    ("conntrack", "conntrack"),
    ("ip", "iproute2"),
    ("ip6tables-save", "iptables"),
    ("iptables", "iptables"),
    ("iptables-save", "iptables"),
    ("mount", "mount"),
    // A runc that is built from its Go module lacks seccomp, which every restricted pod asks for.
    ("runc", "runc"),
    ("tar", "tar"),
    ("unshare", "util-linux"),
];

/// Used where it is there.
const WELCOME: &str = "nft";

/// The names of the programs that a node needs or uses, which nothing without a node may count on.
pub fn programs() -> impl Iterator<Item = &'static str> {
    NEEDED.into_iter().map(|(program, _)| program).chain([WELCOME])
}

/// Where programs are looked for: the folders of `PATH`, and the administrator's beside each `bin`, which it may lack.
pub fn search_path() -> OsString {
    let folders: Vec<PathBuf> = env::var_os("PATH").iter().flat_map(env::split_paths).collect();
    let of_administrators = folders.iter().filter(|folder| folder.ends_with("bin"));
    let beside: Vec<PathBuf> = of_administrators.map(|folder| folder.with_file_name("sbin")).collect();
    env::join_paths(folders.into_iter().chain(beside)).unwrap_or_default()
}

/// The program of that name.
pub fn find(program: &str) -> Result<PathBuf> {
    find_in(&search_path(), program).with_context(|| format!("there is no {program} on this machine"))
}

/// Why programs that are missing can't be got here, if so.
pub fn unavailable() -> Option<String> {
    let packages = missing();
    let hopeless = !packages.is_empty() && find("apt-get").is_err();
    let list = packages.join(" ");
    hopeless.then(|| format!("a node needs programs that are missing here; install what Debian calls {list}"))
}

/// Installs what is missing; [`unavailable`] tells where that can't be.
pub fn install_missing(progress: Progress) -> Result<()> {
    let packages = missing();
    if packages.is_empty() {
        return Ok(());
    }
    let list = packages.join(" ");
    progress.line(&format!("installing {list} with apt-get"));
    // An old list of packages may still name what can be fetched, so that only the installation has to succeed.
    let _ = run(apt_get().arg("update"));
    let arguments = [&["install", "--yes", "--no-install-recommends", "--no-remove"], packages.as_slice()].concat();
    run(apt_get().args(arguments)).with_context(|| format!("install {list} by hand"))?;
    match missing().as_slice() {
        [] => Ok(()),
        left => bail!("apt-get installed {list}, and yet the programs of {} are not there", left.join(" ")),
    }
}

fn missing() -> Vec<&'static str> {
    let is_there = |program: &str| find(program).is_ok_and(|path| program != "busybox" || is_static(&path));
    let missing = NEEDED.into_iter().filter(|(program, _)| !is_there(program));
    let mut packages: Vec<_> = missing.map(|(_, package)| package).collect();
    packages.dedup();
    packages
}

/// Whether a 64-bit ELF file runs without a dynamic linker, and so in an image that holds nothing else.
pub fn is_static(program: &Path) -> bool {
    const INTERPRETER: u32 = 3;
    let Ok(file) = fs::read(program) else {
        return false;
    };
    let number = |offset: usize, length: usize| -> Option<u64> {
        let bytes = file.get(offset..offset + length)?;
        Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    };
    let headers = || -> Option<Vec<u64>> {
        let (start, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
        (0..count).map(|index| number(usize::try_from(start + index * size).ok()?, 4)).collect()
    };
    file.starts_with(b"\x7fELF\x02") && headers().is_some_and(|kinds| !kinds.contains(&u64::from(INTERPRETER)))
}

#[cfg(test)]
mod tests {
    use std::{env, path::Path};

    use super::is_static;

    #[test]
    fn this_test_is_linked_dynamically_and_a_text_is_no_program() -> anyhow::Result<()> {
        assert!(!is_static(&env::current_exe()?));
        assert!(!is_static(Path::new("/etc/passwd")));
        Ok(())
    }
}
