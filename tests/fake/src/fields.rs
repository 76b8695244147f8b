//! Field paths and sets of them: the vocabulary of server-side apply.
//!
//! A *leaf* is a scalar, an atomic list or map, or an empty map; the items of keyed and
//! set lists are members in their own right. This is what `structured-merge-diff` keeps
//! in `managedFields`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::resource::Resource;
use crate::schema::{ListType, atomic_map, list_type};

/// One step of a field path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// A named field (`f:name`).
    Field(String),
    /// An item of a keyed list, by the JSON of its keys (`k:{...}`).
    Key(String),
    /// A member of a set, by its JSON (`v:...`).
    Member(String),
}

pub(crate) type Path = Vec<Step>;
pub(crate) type FieldSet = BTreeSet<Path>;

/// Fields with their values; `None` marks the mere presence of a list item.
pub(crate) type Fields = BTreeMap<Path, Option<Value>>;

/// The fields of an object. With `strict`, keyed lists whose items repeat their
/// keys are an error; without, they count as atomic, as for a plain update.
pub(crate) fn fields_of(resource: &Resource, value: &Value, strict: bool) -> Result<Fields, String> {
    let mut walk = Walk { resource, strict, containers: false, out: Fields::new() };
    walk.visit(&mut Vec::new(), value)?;
    Ok(walk.out)
}

/// The fields of an object together with the maps and lists that hold them: what an update
/// is compared by, since adding a whole map makes its writer own the map itself too.
pub(crate) fn nodes_of(resource: &Resource, value: &Value) -> Fields {
    let mut walk = Walk { resource, strict: false, containers: true, out: Fields::new() };
    // A lenient walk has nothing to refuse.
    let _ = walk.visit(&mut Vec::new(), value);
    walk.out
}

struct Walk<'a> {
    resource: &'a Resource,
    strict: bool,
    containers: bool,
    out: Fields,
}

/// Parts of a built-in object that its Go type holds by value: they are never added.
fn always_there(resource: &Resource, path: &[Step]) -> bool {
    let by_value = |step: &Step| {
        matches!(step, Step::Field(name) if matches!(name.as_str(), "metadata" | "spec" | "status" | "template"
            | "strategy" | "containers" | "loadBalancer" | "jobTemplate" | "scaleTargetRef"
            | "deprecatedSource"))
    };
    let claim = resource.kind == "PersistentVolumeClaim" && path.last() == Some(&Step::Field("resources".to_owned()));
    let metadata = path == [Step::Field("metadata".to_owned())];
    metadata || !resource.custom && (path.iter().all(by_value) || claim)
}

impl Walk<'_> {
    fn visit(&mut self, path: &mut Path, value: &Value) -> Result<(), String> {
        match value {
            Value::Object(map) if !map.is_empty() && !atomic_map(self.resource, path) => {
                self.note(path);
                for (key, child) in map {
                    path.push(Step::Field(key.clone()));
                    self.visit(path, child)?;
                    path.pop();
                }
                Ok(())
            }
            Value::Array(items) => self.visit_list(path, value, items),
            leaf => {
                let empty = leaf.as_object().is_some_and(Map::is_empty);
                let unseen = self.containers && empty && always_there(self.resource, path);
                if !path.is_empty() && !unseen {
                    self.out.insert(path.clone(), Some(leaf.clone()));
                }
                Ok(())
            }
        }
    }

    fn note(&mut self, path: &Path) {
        if self.containers && !path.is_empty() && !always_there(self.resource, path) {
            self.out.insert(path.clone(), None);
        }
    }

    fn visit_list(&mut self, path: &mut Path, value: &Value, items: &[Value]) -> Result<(), String> {
        let kind = list_type(self.resource, path);
        if kind == ListType::Atomic {
            self.out.insert(path.clone(), Some(value.clone()));
            return Ok(());
        }
        let steps = match item_steps(&kind, items) {
            Ok(steps) => steps,
            Err(why) if self.strict => return Err(format!("{}: {why}", display(path))),
            Err(_) => {
                self.out.insert(path.clone(), Some(value.clone()));
                return Ok(());
            }
        };
        self.note(path);
        for (step, item) in steps.into_iter().zip(items) {
            path.push(step);
            self.visit(path, item)?;
            self.out.entry(path.clone()).or_insert(None);
            path.pop();
        }
        Ok(())
    }
}

/// The steps that address the items of a list, refusing repeated keys.
pub(crate) fn item_steps(kind: &ListType, items: &[Value]) -> Result<Vec<Step>, String> {
    let mut seen = BTreeSet::new();
    let mut steps = Vec::with_capacity(items.len());
    for item in items {
        let step = item_step(kind, item);
        if !seen.insert(step.clone()) {
            return Err(format!("duplicate entries for key {step:?}"));
        }
        steps.push(step);
    }
    Ok(steps)
}

fn item_step(kind: &ListType, item: &Value) -> Step {
    let ListType::Map(keys) = kind else {
        return Step::Member(item.to_string());
    };
    let mut found = Map::new();
    for key in keys {
        let value = match item.get(key) {
            Some(value) => value.clone(),
            // The published schema gives this key its default, so an item may omit it.
            None if key == "protocol" => Value::from("TCP"),
            // Any other key that is missing counts as its zero value, which validation refuses later.
            None => Value::from(""),
        };
        found.insert(key.clone(), value);
    }
    Step::Key(Value::Object(found).to_string())
}

/// What differs between two objects.
#[derive(Debug, Default)]
pub(crate) struct Difference {
    pub(crate) added: FieldSet,
    pub(crate) modified: FieldSet,
    pub(crate) removed: FieldSet,
}

impl Difference {
    pub(crate) fn between(old: &Fields, new: &Fields) -> Self {
        let mut difference = Self::default();
        for (path, value) in new {
            match old.get(path) {
                None => difference.added.insert(path.clone()),
                Some(before) if before != value => difference.modified.insert(path.clone()),
                Some(_) => false,
            };
        }
        let gone = old.keys().filter(|path| !new.contains_key(*path));
        difference.removed = gone.cloned().collect();
        difference
    }

    pub(crate) fn written(&self) -> FieldSet {
        self.added.union(&self.modified).cloned().collect()
    }
}

/// The set with every enclosing named field added, as `EnsureNamedFieldsAreMembers` does.
pub(crate) fn with_parents(set: &FieldSet) -> FieldSet {
    let mut out = set.clone();
    for path in set {
        for end in 1..path.len() {
            if matches!(path[end - 1], Step::Field(_)) {
                out.insert(path[..end].to_vec());
            }
        }
    }
    out
}

/// Whether the set holds something strictly below `prefix`.
pub(crate) fn has_below(set: &FieldSet, prefix: &Path) -> bool {
    let mut after = set.range::<Path, _>((std::ops::Bound::Excluded(prefix), std::ops::Bound::Unbounded));
    after.next().is_some_and(|path| path.starts_with(prefix))
}

/// Fields that nobody owns: identity and what the server writes itself.
pub(crate) fn is_system(path: &[Step]) -> bool {
    let name = |at: usize| match path.get(at) {
        Some(Step::Field(name)) => name.as_str(),
        _ => "",
    };
    match (path.len(), name(0), name(1)) {
        (1, "apiVersion" | "kind" | "metadata", _) => true,
        (_, "metadata", field) => matches!(
            field,
            "name"
                | "namespace"
                | "uid"
                | "resourceVersion"
                | "generation"
                | "creationTimestamp"
                | "managedFields"
                | "selfLink"
                | "deletionTimestamp"
                | "deletionGracePeriodSeconds"
        ),
        _ => false,
    }
}

/// A path as conflict messages print it.
pub(crate) fn display(path: &[Step]) -> String {
    path.iter().fold(String::new(), |text, step| match step {
        Step::Field(name) => format!("{text}.{name}"),
        Step::Key(keys) => format!("{text}[{}]", keys.trim_matches(['{', '}']).replace(':', "=")),
        Step::Member(value) => format!("{text}[={value}]"),
    })
}

/// The set as `fieldsV1`.
pub(crate) fn fields_v1(set: &FieldSet) -> Value {
    let mut root = Value::Object(Map::new());
    for path in set {
        let mut node = &mut root;
        for step in path {
            let key = match step {
                Step::Field(name) => format!("f:{name}"),
                Step::Key(keys) => format!("k:{keys}"),
                Step::Member(value) => format!("v:{value}"),
            };
            node = &mut node[key];
            if node.is_null() {
                *node = Value::Object(Map::new());
            }
        }
        if has_below(set, path)
            && let Some(map) = node.as_object_mut()
        {
            map.insert(".".to_owned(), Value::Object(Map::new()));
        }
    }
    root
}
