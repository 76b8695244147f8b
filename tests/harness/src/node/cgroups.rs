//! The control group that all pods of a run are in, under cgroups v1 and v2.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

const ROOT: &str = "/sys/fs/cgroup";
/// The kernel kills the last processes of a group after their parent was told that they ended.
const PATIENCE: Duration = Duration::from_secs(10);

/// The roots of all hierarchies: one under v2, one for each controller under v1.
pub fn hierarchies() -> Result<Vec<PathBuf>> {
    let root = Path::new(ROOT);
    if root.join("cgroup.controllers").exists() {
        return Ok(vec![root.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(root).context("this machine has no control groups")? {
        let entry = entry?;
        // Under v1 some names are links to others that hold several controllers.
        if entry.file_type()?.is_dir() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// What a kubelet needs to limit pods.
const NEEDED: [&str; 4] = ["cpu", "cpuset", "memory", "pids"];

/// The controllers that groups below the root have; under v1 every group has its hierarchy's.
pub fn delegated() -> Vec<String> {
    let path = Path::new(ROOT).join("cgroup.subtree_control");
    fs::read_to_string(path).unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

/// Those that a node needs and that groups below the root have not.
pub fn undelegated() -> Vec<String> {
    if !Path::new(ROOT).join("cgroup.controllers").exists() {
        return Vec::new();
    }
    let had = delegated();
    NEEDED.map(str::to_owned).into_iter().filter(|name| !had.contains(name)).collect()
}

/// Has groups below the root get them.
pub fn delegate(controllers: &[String]) -> Result<()> {
    controllers.iter().try_for_each(|name| {
        set_delegated(name, '+').with_context(|| format!("the controller {name} can't be passed on to pods"))
    })
}

/// Takes them back.
pub fn take_back(controllers: &[String]) {
    for name in controllers {
        let _ = set_delegated(name, '-');
    }
}

fn set_delegated(controller: &str, sign: char) -> Result<()> {
    Ok(fs::write(Path::new(ROOT).join("cgroup.subtree_control"), format!("{sign}{controller}"))?)
}

/// Fails where this process may not make groups and limit what is in them.
pub fn probe() -> Result<()> {
    let name = format!("moorage-rig-{}-probe", std::process::id());
    let made = create(&name);
    remove(&name);
    made?;
    let missing = undelegated();
    let delegated = delegate(&missing);
    take_back(&missing);
    delegated
}

/// Makes a group of that name in every hierarchy.
pub fn create(name: &str) -> Result<()> {
    for hierarchy in hierarchies()? {
        let group = hierarchy.join(name);
        fs::create_dir_all(&group).with_context(|| format!("making the control group {}", group.display()))?;
        // A v1 cpuset takes no process before it is told its processors and memory.
        for file in ["cpuset.cpus", "cpuset.mems"] {
            if hierarchy.join("tasks").exists() && hierarchy.join(file).exists() {
                fs::write(group.join(file), fs::read(hierarchy.join(file))?)?;
            }
        }
    }
    Ok(())
}

/// Removes the group and all below it from every hierarchy. What cannot be removed is found by who looks for leftovers.
pub fn remove(name: &str) {
    let end = Instant::now() + PATIENCE;
    for hierarchy in hierarchies().unwrap_or_default() {
        let group = hierarchy.join(name);
        while group.exists() && !remove_tree(&group) && Instant::now() < end {
            thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Whether the group is gone. The files of a group cannot be removed, and go with it.
fn remove_tree(group: &Path) -> bool {
    let children = fs::read_dir(group).into_iter().flatten().flatten();
    for child in children.filter(|child| child.file_type().is_ok_and(|kind| kind.is_dir())) {
        remove_tree(&child.path());
    }
    fs::remove_dir(group).is_ok()
}
