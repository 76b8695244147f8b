//! What the run sees inside: an empty `/run`, a network with nobody else on it, and folders that servers keep under
//! fixed names, empty too.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::{ADDRESS, sysctls};
use crate::process::run;

/// Folders that kubelet, containerd and their helpers write to whatever they are told.
const SHADOWED: [&str; 6] = ["/run", "/var/log", "/etc/cni", "/var/lib/cni", "/var/lib/containers", "/var/lib/kubelet"];

/// Those of the folders that this machine has not.
pub fn missing_mount_points() -> Vec<PathBuf> {
    SHADOWED.iter().map(PathBuf::from).filter(|folder| !folder.exists()).collect()
}

/// Makes them, so that something can be mounted over them.
pub fn make_mount_points(missing: &[PathBuf]) -> Result<()> {
    missing.iter().try_for_each(|folder| fs::create_dir(folder).with_context(|| format!("making {}", folder.display())))
}

/// Removes the folders again if they are still empty.
pub fn remove_mount_points(made: &[PathBuf]) {
    for folder in made {
        let _ = fs::remove_dir(folder);
    }
}

/// Sets up mounts and network in the namespaces that this process is in, with files of its own in that folder.
pub fn set_up(folder: &Path) -> Result<()> {
    for folder in SHADOWED {
        run("mount", &["-t", "tmpfs", "-o", "mode=0755", "tmpfs", folder])?;
    }
    // Containers that ask to see later mounts do; none of it leaves this namespace.
    run("mount", &["--make-rshared", "/"])?;
    fs::create_dir_all("/run/lock")?;
    sysctls::shadow(folder)?;
    network()
}

/// One bridge with nothing attached carries the node's address; it is the way out to nowhere too, as kubelet,
/// kube-apiserver and others look for the address of the default route.
fn network() -> Result<()> {
    let address = format!("{ADDRESS}/24");
    run("ip", &["link", "set", "lo", "up"])?;
    run("ip", &["link", "add", "node0", "type", "bridge"])?;
    run("ip", &["addr", "add", &address, "dev", "node0"])?;
    run("ip", &["link", "set", "node0", "up"])?;
    run("ip", &["route", "add", "default", "via", ADDRESS, "dev", "node0"])?;
    for setting in ["ip_forward", "conf/all/route_localnet"] {
        fs::write(PathBuf::from("/proc/sys/net/ipv4").join(setting), "1").with_context(|| setting.to_owned())?;
    }
    Ok(())
}
