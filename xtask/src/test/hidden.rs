//! A `PATH` without what only a node needs, so that a machine that has been used hides no missing step from a fresh one.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use moorage_harness::{build::target_dir, node};

/// A folder with every program of `PATH` but those that [`node::programs`] names.
pub fn without_node_programs() -> Result<PathBuf> {
    let folder = target_dir().join("tests/programs");
    let path = env::var_os("PATH").unwrap_or_default();
    link_all(env::split_paths(&path), &node::programs().collect(), &folder)
        .with_context(|| folder.display().to_string())?;
    Ok(folder)
}

/// Fills the folder with a link to each program, the first of a name in the order of the folders.
fn link_all(path: impl Iterator<Item = PathBuf>, hidden: &BTreeSet<&str>, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    let programs = path.filter_map(|folder| fs::read_dir(folder.canonicalize().ok()?).ok()).flatten().flatten();
    let mut wanted = BTreeMap::new();
    for program in programs {
        let name = program.file_name();
        if !name.to_str().is_some_and(|name| hidden.contains(name)) {
            wanted.entry(name).or_insert_with(|| program.path());
        }
    }
    // Another run may use the folder: only what differs is touched.
    for entry in fs::read_dir(folder)?.flatten() {
        if wanted.get(&entry.file_name()) == fs::read_link(entry.path()).ok().as_ref() {
            wanted.remove(&entry.file_name());
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    wanted.into_iter().try_for_each(|(name, program)| symlink(program, folder.join(name)))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, env, fs, path::Path, process};

    use moorage_harness::node;

    use super::link_all;

    #[test]
    fn the_first_of_a_name_is_linked_and_what_is_hidden_is_not() -> anyhow::Result<()> {
        let root = env::temp_dir().join(format!("moorage-programs-{}", process::id()));
        let (first, second, links) = (root.join("first"), root.join("second"), root.join("links"));
        for (folder, name) in [(&first, "make"), (&first, "runc"), (&second, "make"), (&second, "tar"), (&second, "cc")]
        {
            fs::create_dir_all(folder)?;
            fs::write(folder.join(name), folder.display().to_string())?;
        }
        let linked = link_all([first.clone(), second].into_iter(), &BTreeSet::from(["runc", "tar"]), &links);
        let seen = |name: &str| fs::read_to_string(links.join(name)).ok();
        let (make, cc, runc, tar) = (seen("make"), seen("cc"), seen("runc"), seen("tar"));
        fs::remove_dir_all(&root)?;
        linked?;
        assert_eq!(make.as_deref(), first.to_str());
        assert!(cc.is_some() && runc.is_none() && tar.is_none());
        Ok(())
    }

    /// `cargo xtask test` runs this very test, as all that need no cluster, with the programs of a node hidden.
    #[test]
    fn tests_without_a_cluster_see_no_program_of_a_node() {
        if env::var_os("PATH").is_some_and(|path| Path::new(&path).ends_with("tests/programs")) {
            let seen: Vec<&str> = node::programs().filter(|program| node::find(program).is_ok()).collect();
            assert!(seen.is_empty(), "{seen:?}");
        }
    }
}
