//! What a run could leave on this machine: looked at before and after, from outside.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process, thread,
    time::{Duration, Instant},
};

use anyhow::Result;

use super::{
    cgroups,
    enter::{INSIDE, cgroup_of},
    packages, sysctls,
};
use crate::process::run;

/// Folders in which a node's servers make others unless told otherwise, and which are not empty ones inside.
const FOLDERS: [&str; 6] = ["/etc", "/etc/cni", "/opt", "/usr/libexec", "/var/lib", "/var/tmp"];
/// What comes and goes on a machine where people log in and services start.
const NOT_OURS: [&str; 2] = ["mount /run/user/", "path /var/tmp/systemd-private-"];
/// The kernel takes network namespaces down a moment after their last process.
const PATIENCE: Duration = Duration::from_secs(5);

/// Mounts, network links, packet filter rules, control groups, folders and kernel settings, a line for each.
pub struct Snapshot(BTreeSet<String>);

impl Snapshot {
    /// What there is now.
    pub fn take() -> Result<Self> {
        let mut lines = BTreeSet::new();
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        lines.extend(mounts.lines().filter_map(|line| Some(format!("mount {}", line.split(' ').nth(4)?))));
        lines.extend(names("/sys/class/net").map(|name| format!("link {name}")));
        for hierarchy in cgroups::hierarchies()? {
            lines.extend(folders(&hierarchy).map(|name| format!("cgroup {}/{name}", hierarchy.display())));
        }
        lines.extend(cgroups::delegated().into_iter().map(|name| format!("cgroup controller {name}")));
        for folder in FOLDERS {
            lines.extend(names(folder).map(|name| format!("path {folder}/{name}")));
        }
        lines.extend(sysctls::read()?.into_iter().map(|(name, value)| format!("sysctl {name}={value}")));
        lines.extend(rules());
        lines.retain(|line| !NOT_OURS.iter().any(|start| line.starts_with(start)));
        Ok(Self(lines))
    }

    /// What is not as it was, and processes of the run in that folder, once there is none or time has run out.
    pub fn differences(&self, folder: &Path) -> Result<Vec<String>> {
        let end = Instant::now() + PATIENCE;
        loop {
            let now = Self::take()?;
            let mut found: Vec<String> = now.0.difference(&self.0).map(|line| format!("added: {line}")).collect();
            found.extend(self.0.difference(&now.0).map(|line| format!("gone: {line}")));
            found.extend(processes(folder));
            if found.is_empty() || Instant::now() > end {
                return Ok(found);
            }
            thread::sleep(Duration::from_millis(100));
        }
    }
}

fn names(folder: impl AsRef<Path>) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned())
}

fn folders(folder: &Path) -> impl Iterator<Item = String> {
    names(folder).filter(move |name| folder.join(name).is_dir())
}

/// The packet filter's rules, without counters. A machine that lacks a program has none that were made with it, and a
/// run installs what it needs before the first look.
fn rules() -> Vec<String> {
    let commands: [(&str, &[&str]); 3] =
        [("iptables-save", &[]), ("ip6tables-save", &[]), ("nft", &["--stateless", "list", "ruleset"])];
    let mut lines = Vec::new();
    for (program, arguments) in commands {
        // Where the kernel has no such tables, the program fails both times.
        let text = packages::find(program).and_then(|path| run(path, arguments)).unwrap_or_default();
        let rules = text.lines().filter(|line| !line.starts_with('#'));
        lines.extend(rules.map(|line| format!("{program} {}", line.split(" [").next().unwrap_or(line))));
    }
    lines
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
    use std::{fs, path::Path, process::Command, time::Duration};

    use super::{INSIDE, Snapshot, processes};
    use crate::eventually;

    /// A program that has just been started has, for a moment, no environment that others can read.
    async fn shows_its_environment(pid: u32) -> anyhow::Result<()> {
        eventually(Duration::from_secs(10), "an environment to be shown", || async {
            let environment = fs::read(format!("/proc/{pid}/environ"))?;
            Ok((!environment.is_empty()).then_some(()))
        })
        .await
    }

    #[tokio::test]
    async fn a_process_of_the_run_is_found_and_no_other() -> anyhow::Result<()> {
        let folder = Path::new("/nowhere/moorage-rig-of-this-test");
        let mut ours = Command::new("sleep").arg("600").env(INSIDE, folder).spawn()?;
        let mut other = Command::new("sleep").arg("600").env(INSIDE, "/nowhere/else").spawn()?;
        let shown = tokio::try_join!(shows_its_environment(ours.id()), shows_its_environment(other.id()));
        let found = processes(folder);
        for child in [&mut ours, &mut other] {
            child.kill()?;
            child.wait()?;
        }
        shown?;
        assert!(found.len() == 1 && found[0].starts_with(&format!("process {} sleep", ours.id())), "{found:?}");
        Ok(())
    }

    #[test]
    fn what_came_and_what_went_is_found() -> anyhow::Result<()> {
        let path = |name: &str| Path::new("/var/tmp").join(format!("moorage-leftover-{name}-{}", std::process::id()));
        let (came, went) = (path("came"), path("went"));
        fs::create_dir(&went)?;
        let before = Snapshot::take()?;
        fs::create_dir(&came)?;
        fs::remove_dir(&went)?;
        let found = before.differences(Path::new("/nowhere/moorage-rig-of-no-test"));
        fs::remove_dir(&came)?;
        let found = found?;
        for line in [format!("added: path {}", came.display()), format!("gone: path {}", went.display())] {
            assert!(found.contains(&line), "{line} is not in {found:?}");
        }
        Ok(())
    }
}
