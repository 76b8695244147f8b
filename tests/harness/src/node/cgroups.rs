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

/// Makes a group of that name in every hierarchy.
pub fn create(name: &str) -> Result<()> {
    for hierarchy in hierarchies()? {
        delegate(&hierarchy);
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

/// Under v2 a group has only the controllers that its parent passes on.
fn delegate(hierarchy: &Path) {
    let controllers = fs::read_to_string(hierarchy.join("cgroup.controllers")).unwrap_or_default();
    for controller in controllers.split_whitespace() {
        let _ = fs::write(hierarchy.join("cgroup.subtree_control"), format!("+{controller}"));
    }
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
