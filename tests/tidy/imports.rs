//! Imports between the files of `src/`: none in a circle, and none up the floors that ARCHITECTURE.md names.

use crate::{files, read, root};
use std::collections::{BTreeMap, BTreeSet};
use syn::visit::{self, Visit};

/// A module by its path from the crate's root: `src/core/plan.rs` is `core::plan`, and `src/core/mod.rs` is `core`.
type Module = Vec<String>;

/// Which modules each module names, in imports and in paths.
type Imports = BTreeMap<Module, BTreeSet<Module>>;

fn shown(module: &[String]) -> String {
    format!("src/{}", module.join("/"))
}

/// Every module of the library that has a file, with that file's text. What holds tests only is not one.
fn modules() -> BTreeMap<Module, String> {
    let source = root().join("src");
    let of = |path: &std::path::Path| -> Module {
        let parts = path.strip_prefix(&source).unwrap().with_extension("");
        let mut parts: Module = parts.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
        if parts.last().is_some_and(|last| last == "mod") {
            parts.pop();
        }
        parts
    };
    let all = files("src", "rs").into_iter().map(|path| (of(&path), read(&path)));
    all.filter(|(module, _)| !module.iter().any(|part| part == "tests" || part == "main")).collect()
}

/// Collects the paths of a file, less those of its tests.
struct Paths {
    module: Module,
    found: Vec<Module>,
}

impl Paths {
    fn of(module: &Module, text: &str) -> Vec<Module> {
        let mut paths = Self { module: module.clone(), found: Vec::new() };
        paths.visit_file(&syn::parse_file(text).unwrap());
        paths.found
    }

    fn add(&mut self, path: &[String]) {
        let mut base = self.module.clone();
        let mut rest = path;
        match rest.first().map(String::as_str) {
            Some("crate") => {
                base.clear();
                rest = &rest[1..];
            }
            Some("self") => rest = &rest[1..],
            _ => {}
        }
        while rest.first().is_some_and(|part| part == "super") {
            base.pop();
            rest = &rest[1..];
        }
        base.extend_from_slice(rest);
        self.found.push(base);
    }

    fn add_tree(&mut self, before: &mut Module, tree: &syn::UseTree) {
        match tree {
            syn::UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.add_tree(before, &path.tree);
                before.pop();
            }
            syn::UseTree::Name(name) => self.add(&[before.as_slice(), &[name.ident.to_string()]].concat()),
            syn::UseTree::Rename(name) => self.add(&[before.as_slice(), &[name.ident.to_string()]].concat()),
            syn::UseTree::Glob(_) => self.add(before),
            syn::UseTree::Group(group) => group.items.iter().for_each(|tree| self.add_tree(before, tree)),
        }
    }
}

impl<'a> Visit<'a> for Paths {
    fn visit_item_mod(&mut self, item: &'a syn::ItemMod) {
        if item.ident != "tests" {
            self.module.push(item.ident.to_string());
            visit::visit_item_mod(self, item);
            self.module.pop();
        }
    }

    fn visit_item_use(&mut self, item: &'a syn::ItemUse) {
        self.add_tree(&mut Vec::new(), &item.tree);
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        let segments: Module = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.add(&segments);
        visit::visit_path(self, path);
    }
}

/// What each module imports: of every path the longest beginning that is a module.
fn imports(modules: &BTreeMap<Module, String>) -> Imports {
    let module_of = |path: &Module| {
        let beginnings = (1..=path.len()).rev().map(|length| &path[..length]);
        beginnings.map(<[String]>::to_vec).find(|beginning| modules.contains_key(beginning))
    };
    let imported = |(module, text): (&Module, &String)| {
        let mut found: BTreeSet<Module> = Paths::of(module, text).iter().filter_map(module_of).collect();
        found.remove(module);
        (module.clone(), found)
    };
    modules.iter().map(imported).collect()
}

/// A circle among the imports, if there is one.
fn circle(imports: &Imports) -> Option<Vec<Module>> {
    fn search(imports: &Imports, module: &Module, way: &mut Vec<Module>, done: &mut BTreeSet<Module>) -> bool {
        if let Some(begin) = way.iter().position(|passed| passed == module) {
            way.drain(..begin);
            return true;
        }
        if done.contains(module) {
            return false;
        }
        way.push(module.clone());
        if imports[module].iter().any(|next| search(imports, next, way, done)) {
            return true;
        }
        way.pop();
        done.insert(module.clone());
        false
    }
    let (mut way, mut done) = (Vec::new(), BTreeSet::new());
    imports.keys().any(|module| search(imports, module, &mut way, &mut done)).then_some(way)
}

/// The floors from the ground up, as the line of ARCHITECTURE.md says that begins with `Floors`: modules on one floor by
/// commas, floors by arrows.
fn floors() -> Vec<Vec<String>> {
    let text = read(&root().join("ARCHITECTURE.md"));
    let line = text.lines().find(|line| line.starts_with("Floors")).unwrap();
    let names = |floor: &str| floor.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    line.split('→').map(names).collect()
}

#[test]
fn no_file_imports_itself_by_way_of_others() {
    let circle = circle(&imports(&modules()));
    assert!(
        circle.is_none(),
        "a circle: {}",
        circle.iter().flatten().map(|it| shown(it)).collect::<Vec<_>>().join(" → ")
    );
}

#[test]
fn no_import_goes_up_a_floor_or_across_it() {
    let floors = floors();
    let floor = |module: &Module| floors.iter().position(|floor| floor.contains(&module[0]));
    for (module, imported) in imports(&modules()) {
        // The root only names its modules.
        if module == ["lib"] {
            continue;
        }
        let own = floor(&module).unwrap_or_else(|| panic!("ARCHITECTURE.md names no floor for {}", shown(&module)));
        for other in imported {
            let theirs =
                floor(&other).unwrap_or_else(|| panic!("ARCHITECTURE.md names no floor for {}", shown(&other)));
            assert!(theirs < own || module[0] == other[0], "{} imports {}", shown(&module), shown(&other));
        }
    }
}

#[test]
fn a_circle_is_found() {
    let module = |name: &str| vec![name.to_owned()];
    let imports = |arrows: &[(&str, &str)]| -> Imports {
        let mut imports = Imports::new();
        for (from, to) in arrows {
            imports.entry(module(from)).or_default().insert(module(to));
            imports.entry(module(to)).or_default();
        }
        imports
    };
    assert_eq!(circle(&imports(&[("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")])), None);
    let found = circle(&imports(&[("a", "b"), ("b", "c"), ("c", "d"), ("d", "b")]));
    assert_eq!(found, Some(vec![module("b"), module("c"), module("d")]));
}

#[test]
fn imports_are_read_in_every_form() {
    let text = "
        use super::facts::{self, Claim as C};
        use crate::api::*;
        fn f() -> self::inner::T { super::super::shell::run::<crate::app::App>() }
        mod tests { use crate::not::this; }
    ";
    let module = |path: &str| path.split("::").map(str::to_owned).collect::<Module>();
    let found = Paths::of(&module("core::plan"), text);
    for path in ["core::facts::self", "core::facts::Claim", "api", "core::plan::inner::T", "shell::run", "app::App"] {
        assert!(found.contains(&module(path)), "{path} is not among {found:?}");
    }
    assert!(!found.iter().any(|path| path.contains(&"this".to_owned())));
}
