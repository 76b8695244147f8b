//! Kernel settings that belong to no namespace and that a kubelet changes for the whole machine.

use std::{fs, path::Path};

use anyhow::Result;

/// What kubelet sets unless told to fail instead (`protectKernelDefaults`).
const CHANGED: [&str; 6] = [
    "kernel/keys/root_maxbytes",
    "kernel/keys/root_maxkeys",
    "kernel/panic",
    "kernel/panic_on_oops",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
];

/// A setting and its value.
pub type Setting = (&'static str, String);

/// What is set now; a kernel need not know all of them.
pub fn read() -> Result<Vec<Setting>> {
    let path = Path::new("/proc/sys");
    let known = CHANGED.into_iter().filter(|name| path.join(name).exists());
    known.map(|name| Ok((name, fs::read_to_string(path.join(name))?.trim().to_owned()))).collect()
}

/// Sets them as they were read.
pub fn restore(settings: &[Setting]) {
    for (name, value) in settings {
        let _ = fs::write(Path::new("/proc/sys").join(name), value);
    }
}
