//! What reviewers would otherwise have to look for: purity, imports, sizes, module docs, links, a page per reason.

#![allow(clippy::panic, clippy::unwrap_used, reason = "every function here is part of a test")]

mod imports;
mod map;

use moorage::core::reason::Reason;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file with that ending below a folder.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == ending) {
                found.push(path);
            }
        }
    }
    assert!(!found.is_empty(), "no {ending} files in {folder}");
    found
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_core_is_pure() {
    let forbidden = [
        "async fn",
        ".await",
        "kube::Client",
        "kube::Api",
        "Api<",
        "::now()",
        "std::env",
        "env::var",
        "rand::",
        "tokio::",
        "std::fs",
        "println!",
        "tracing::",
    ];
    for folder in ["src/core", "src/app", "src/storage_claim", "src/registry"] {
        for path in files(folder, "rs") {
            for word in forbidden {
                assert!(!read(&path).contains(word), "{} has {word}", path.display());
            }
        }
    }
}

#[test]
fn every_module_says_what_it_is() {
    for folder in ["src", "xtask/src", "tests/harness/src", "tests/cluster"] {
        for path in files(folder, "rs") {
            assert!(read(&path).starts_with("//! "), "{} has no module docs", path.display());
        }
    }
}

#[test]
fn files_and_functions_are_short() {
    for folder in ["src", "xtask/src", "tests/harness/src", "tests/cluster"] {
        for path in files(folder, "rs") {
            let text = read(&path);
            let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
            let lines = code.lines().count();
            assert!(lines <= 400, "{} has {lines} lines without its tests", path.display());
        }
    }
}

#[test]
fn every_reason_has_its_page() {
    let pages: BTreeSet<String> = files("docs/reasons", "md")
        .iter()
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .filter(|name| name != "README")
        .collect();
    let reasons: BTreeSet<String> = Reason::ALL.iter().map(|reason| reason.as_str().to_owned()).collect();
    assert_eq!(pages, reasons);
}

/// An admin at 3 a.m. finds the same on each: what it means, what still works, where to look, what to do.
#[test]
fn the_pages_of_reasons_are_runbooks() {
    for path in files("docs/reasons", "md") {
        let (page, text) = (path.display(), read(&path));
        let mut parts = text.split("\n## ");
        let head = parts.next().unwrap_or_default();
        let reason = path.file_stem().unwrap().to_str().unwrap();
        assert!(head.starts_with(&format!("# {reason}\n\nKinds: [")) && head.contains("\n```text\n"), "{page}: {head}");
        let (titles, bodies): (Vec<&str>, Vec<&str>) =
            parts.map(|part| part.split_once('\n').unwrap_or((part, ""))).unzip();
        assert_eq!(titles, ["Meaning", "Impact", "Diagnosis", "Mitigation"], "{page}");
        assert!(bodies.iter().all(|body| !body.trim().is_empty()), "{page} has an empty section");
        assert!(bodies[2].contains("```sh\n"), "{page}: no command to look with");
    }
}

/// Whoever installs finds the same on the page of each way.
#[test]
fn the_pages_of_installs_are_alike() {
    for path in files("docs/install", "md").iter().filter(|path| !path.ends_with("README.md")) {
        let text = read(path);
        let titles: Vec<&str> = text.split("\n## ").skip(1).filter_map(|part| part.lines().next()).collect();
        assert!(
            titles.starts_with(&["Install", "Components and settings", "Upgrade", "Uninstall"]),
            "{}",
            path.display()
        );
        let index = read(&path.with_file_name("README.md"));
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(index.contains(&format!("]({name})")), "docs/install/README.md does not name {name}");
    }
}

#[test]
fn links_lead_somewhere() {
    let mut pages = files("docs", "md");
    pages.extend(["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].map(|name| root().join(name)));
    for page in pages {
        let text = read(&page);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") || target.contains(' ') {
                continue;
            }
            let path = page.parent().unwrap().join(target);
            assert!(path.exists(), "{}: {link} leads nowhere", page.display());
        }
    }
}

/// What the README shows of a failing App is what the tutorial's test saw last.
#[test]
fn the_readme_shows_what_the_tutorial_prints() {
    let (readme, lab) = (read(&root().join("README.md")), read(&root().join("docs/tutorials/lab.md")));
    let (_, rest) = readme.split_once("<!-- from docs/tutorials/lab.md -->\n```console\n").unwrap();
    let (shown, _) = rest.split_once("```").unwrap();
    let printed: BTreeSet<&str> = lab.lines().collect();
    let others: Vec<&str> = shown.lines().filter(|line| !printed.contains(line)).collect();
    assert!(shown.lines().count() > 3 && others.is_empty(), "copy from docs/tutorials/lab.md: {others:?}");
}

/// Other projects have a kind App too, and kubectl takes whichever comes first.
#[test]
fn commands_say_whose_apps_they_mean() {
    let mut pages: Vec<PathBuf> = ["README.md", "CONTRIBUTING.md"].map(|name| root().join(name)).into();
    for (folder, ending) in
        [("docs", "md"), ("examples", "yaml"), ("src", "rs"), ("xtask/src", "rs"), ("tests/cluster", "rs")]
    {
        pages.extend(files(folder, ending));
    }
    for page in pages {
        let text = read(&page);
        for line in text.lines() {
            let words = line.split_once("kubectl").map(|(_, rest)| rest).unwrap_or_default();
            let is_separator = |c: char| c.is_whitespace() || "\"'`()$,".contains(c);
            let is_anyones = |word: &&str| {
                let (kind, rest) = word.split_at(word.find(['/', '.']).unwrap_or(word.len()));
                ["app", "apps"].contains(&kind)
                    && ![".moorage.dev", ".kubernetes.io", "/v1"].iter().any(|known| rest.starts_with(known))
            };
            let found = words.split(is_separator).find(is_anyones);
            assert_eq!(found, None, "{}: write apps.moorage.dev or mapp: {line}", page.display());
        }
    }
}

#[test]
fn the_architecture_is_short_and_its_invariants_name_their_tests() {
    let text = read(&root().join("ARCHITECTURE.md"));
    assert!(text.lines().count() <= 175);
    let (_, invariants) = text.split_once("## Invariants").unwrap();
    let numbered = invariants.split("\n\n").flat_map(|part| part.split(". **").skip(1)).collect::<Vec<_>>();
    assert!(numbered.len() >= 12, "{} invariants", numbered.len());
    for invariant in numbered {
        assert!(invariant.contains(".rs)"), "names no test: {invariant}");
    }
}
