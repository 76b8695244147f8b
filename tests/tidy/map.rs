//! The code map in ARCHITECTURE.md is the tree: every file of `src/` stands in it, and nothing that is not there.

use crate::{files, read, root};
use std::collections::BTreeSet;
use std::path::Path;

/// The paragraphs of the code map that begin with folders of `src/`: those folders, and what the paragraph names in them.
fn paragraphs() -> Vec<(Vec<String>, BTreeSet<String>)> {
    let text = read(&root().join("ARCHITECTURE.md"));
    let (_, map) = text.split_once("## Code map").unwrap();
    let (map, _) = map.split_once("\nBeside `src/`").unwrap();
    let quoted = |text: &str| text.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let paragraph = |text: &str| {
        let (folders, names): (Vec<_>, Vec<_>) = quoted(text).into_iter().partition(|name| name.starts_with("src/"));
        let is_path = |name: &String| name.ends_with('/') || Path::new(name).extension().is_some_and(|ext| ext == "rs");
        (folders, names.into_iter().filter(is_path).collect())
    };
    map.split("\n\n").filter(|text| text.starts_with("`src/")).map(paragraph).collect()
}

/// How a paragraph may name a file: by its name, with its folder's name before it, or by a folder that it lies in.
fn names(folder: &str, file: &str) -> Vec<String> {
    let last = folder.trim_end_matches('/').rsplit('/').next().unwrap();
    let subfolder = file.split_once('/').map(|(subfolder, _)| format!("{subfolder}/"));
    [Some(file.to_owned()), Some(format!("{last}/{file}")), subfolder].into_iter().flatten().collect()
}

#[test]
fn the_code_map_is_the_tree() {
    let paragraphs = paragraphs();
    let mut used = BTreeSet::new();
    for path in files("src", "rs") {
        let path = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
        if path.contains("/tests/") {
            continue;
        }
        let named = paragraphs.iter().enumerate().find_map(|(index, (folders, listed))| {
            // `src/` itself is a beginning of all: a file belongs to the folder that says most of its path.
            let below = |folder: &&String| path.starts_with(*folder) && (*folder != "src/" || !path[4..].contains('/'));
            let folder = folders.iter().find(below)?;
            let name = names(folder, &path[folder.len()..]).into_iter().find(|name| listed.contains(name))?;
            Some((index, name))
        });
        used.insert(named.unwrap_or_else(|| panic!("the code map in ARCHITECTURE.md lacks {path}")));
    }
    for (index, (folders, listed)) in paragraphs.iter().enumerate() {
        for name in listed {
            assert!(
                used.contains(&(index, name.clone())),
                "the code map names {name} below {folders:?}, which is not there"
            );
        }
    }
}
