//! What a run could leave on this machine: looked at before and after, from outside.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{self, Command},
};

use anyhow::Result;

use super::{
    cgroups,
    enter::{INSIDE, cgroup_of},
    sysctls,
};

/// Folders in which a node's servers make others unless told otherwise, and which are not empty ones inside.
const FOLDERS: [&str; 6] = ["/etc", "/etc/cni", "/opt", "/usr/libexec", "/var/lib", "/var/tmp"];

/// Mounts, network links, packet filter rules, control groups, folders and kernel settings, a line for each.
pub struct Snapshot(BTreeSet<String>);

impl Snapshot {
    /// What there is now.
    pub fn take() -> Result<Self> {
        let mut lines = BTreeSet::new();
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        lines.extend(mounts.lines().filter_map(|line| Some(format!("mount {}", line.split(' ').nth(4)?))));
        lines.extend(names("/sys/class/net").map(|name| format!("link {name}")));
        for program in ["iptables-save", "ip6tables-save"] {
            lines.extend(rules(program).into_iter().map(|rule| format!("{program} {rule}")));
        }
        for hierarchy in cgroups::hierarchies()? {
            lines.extend(folders(&hierarchy).map(|name| format!("cgroup {}/{name}", hierarchy.display())));
        }
        for folder in FOLDERS {
            lines.extend(names(folder).map(|name| format!("path {folder}/{name}")));
        }
        lines.extend(sysctls::read()?.into_iter().map(|(name, value)| format!("sysctl {name}={value}")));
        Ok(Self(lines))
    }

    /// What there is now and was not then.
    pub fn added(&self) -> Result<Vec<String>> {
        Ok(Self::take()?.0.difference(&self.0).cloned().collect())
    }
}

fn names(folder: impl AsRef<Path>) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned())
}

fn folders(folder: &Path) -> impl Iterator<Item = String> {
    names(folder).filter(move |name| folder.join(name).is_dir())
}

/// The rules of every table, without counters. A machine without that program has no such rules.
fn rules(program: &str) -> Vec<String> {
    let output = Command::new(program).output().map(|output| output.stdout).unwrap_or_default();
    let text = String::from_utf8_lossy(&output).into_owned();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split(" [").next().unwrap_or(line).to_owned()).collect()
}

/// Processes that belong to the run in that folder: they have its variable in their environment, as its own processes
/// do, or are in its control group, as pods are.
pub fn processes(folder: &Path) -> Vec<String> {
    let variable = format!("{INSIDE}={}", folder.display()).into_bytes();
    let group = format!("/{}", cgroup_of(folder));
    let mut found = Vec::new();
    for name in names("/proc").filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())) {
        let entry = Path::new("/proc").join(&name);
        // A process that ends meanwhile is none that is left.
        let environment = fs::read(entry.join("environ")).unwrap_or_default();
        let groups = fs::read_to_string(entry.join("cgroup")).unwrap_or_default();
        let ours = environment.split(|byte| *byte == 0).any(|entry| entry == variable) || groups.contains(&group);
        if ours && name != process::id().to_string() {
            let command = fs::read(entry.join("cmdline")).unwrap_or_default();
            found.push(format!("process {name} {}", String::from_utf8_lossy(&command).replace('\0', " ")));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path, process::Command};

    use super::{INSIDE, Snapshot, processes};

    #[test]
    fn a_process_of_the_run_is_found_and_no_other() -> anyhow::Result<()> {
        let folder = Path::new("/nowhere/moorage-rig-of-this-test");
        let mut ours = Command::new("sleep").arg("600").env(INSIDE, folder).spawn()?;
        let mut other = Command::new("sleep").arg("600").env(INSIDE, "/nowhere/else").spawn()?;
        let found = processes(folder);
        for child in [&mut ours, &mut other] {
            child.kill()?;
            child.wait()?;
        }
        assert!(found.len() == 1 && found[0].starts_with(&format!("process {} sleep", ours.id())), "{found:?}");
        Ok(())
    }

    #[test]
    fn a_new_folder_is_found() -> anyhow::Result<()> {
        let path = Path::new("/var/tmp").join(format!("moorage-leftover-{}", std::process::id()));
        let before = Snapshot::take()?;
        fs::create_dir(&path)?;
        let added = before.added();
        fs::remove_dir(&path)?;
        let line = format!("path {}", path.display());
        let added = added?;
        assert!(added.contains(&line), "{line} is not in {added:?}");
        Ok(())
    }
}
