//! Kernel settings that belong to no namespace and that a kubelet would change for the whole machine.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use crate::process::run;

/// What kubelet sets unless told to fail instead (`protectKernelDefaults`).
const CHANGED: [&str; 6] = [
    "kernel/keys/root_maxbytes",
    "kernel/keys/root_maxkeys",
    "kernel/panic",
    "kernel/panic_on_oops",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
];

/// Mounts a file with its present value over each, so that the run changes files of its own. A kernel need not know all
/// of them.
pub fn shadow(folder: &Path) -> Result<()> {
    let copies = folder.join("sysctls");
    fs::create_dir_all(&copies)?;
    for (name, value) in read()? {
        let copy = copies.join(name.replace('/', "."));
        fs::write(&copy, value).with_context(|| copy.display().to_string())?;
        run("mount", &["--bind", &copy.display().to_string(), &format!("/proc/sys/{name}")])?;
    }
    Ok(())
}

/// What is set now, each with its name.
pub fn read() -> Result<Vec<(&'static str, String)>> {
    let path = Path::new("/proc/sys");
    let known = CHANGED.into_iter().filter(|name| path.join(name).exists());
    known.map(|name| Ok((name, fs::read_to_string(path.join(name))?.trim().to_owned()))).collect()
}
