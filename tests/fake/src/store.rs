//! Objects and their history: the part of the server that etcd plays.
//!
//! Every commit takes the next resourceVersion from one counter and appends to the
//! history that watches read. Nothing here validates; that is the writers' business.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::apply::{Manager, set_managed_fields};
use crate::resource::{Resource, standard};

/// Namespace (empty at cluster scope) and name.
pub(crate) type Key = (String, String);

/// A stored object and who owns its fields.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) value: Arc<Value>,
    pub(crate) managers: Vec<Manager>,
}

/// One commit.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) version: u64,
    pub(crate) before: Option<Arc<Value>>,
    pub(crate) after: Option<Arc<Value>>,
    /// What a watcher is shown: the new object, or the last state of a deleted one.
    pub(crate) shown: Arc<Value>,
}

/// One resource's objects and changes.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) resource: Resource,
    pub(crate) objects: BTreeMap<Key, Object>,
    pub(crate) changes: Vec<Change>,
}

/// All tables.
#[derive(Debug)]
pub(crate) struct Store {
    /// What changes objects on their way to the store.
    pub(crate) webhook: Webhook,
    pub(crate) tables: BTreeMap<String, Table>,
    pub(crate) version: u64,
    /// Versions below this one are compacted: watching or paging from them is 410.
    pub(crate) compacted: u64,
    /// What is left of paged lists, by continue token.
    pub(crate) pages: BTreeMap<String, Vec<Arc<Value>>>,
    pub(crate) epoch: Timestamp,
    started: Instant,
    counter: u32,
    /// How many objects each name had so far.
    incarnations: BTreeMap<(String, Key), u32>,
}

/// A mutating admission webhook for every kind.
#[derive(Clone)]
pub(crate) struct Webhook(pub(crate) Arc<dyn Fn(&mut Value) + Send + Sync>);

impl Default for Webhook {
    fn default() -> Self {
        Self(Arc::new(|_| {}))
    }
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Webhook")
    }
}

impl Store {
    pub(crate) fn new() -> Self {
        let mut store = Self {
            tables: BTreeMap::new(),
            version: 1000,
            compacted: 0,
            pages: BTreeMap::new(),
            epoch: Timestamp::constant(1_767_225_600, 0),
            started: Instant::now(),
            counter: 0,
            incarnations: BTreeMap::new(),
            webhook: Webhook::default(),
        };
        for resource in standard() {
            store.install(resource);
        }
        store
    }

    pub(crate) fn install(&mut self, resource: Resource) {
        let table = Table { resource, objects: BTreeMap::new(), changes: Vec::new() };
        self.tables.entry(table.resource.id()).or_insert(table);
    }

    /// The table of a kind, or of an id such as `events.events.k8s.io` where kinds collide.
    pub(crate) fn find(&self, kind: &str) -> Option<&Table> {
        let by_kind = || self.tables.values().find(|table| table.resource.kind == kind);
        self.tables.get(kind).or_else(by_kind)
    }

    /// The table that serves objects of this apiVersion and kind.
    pub(crate) fn serving(&self, api_version: &str, kind: &str) -> Option<&Table> {
        let fits = |table: &&Table| table.resource.kind == kind && table.resource.api_version() == api_version;
        self.tables.values().find(fits)
    }

    pub(crate) fn get(&self, id: &str, key: &Key) -> Option<&Object> {
        self.tables.get(id)?.objects.get(key)
    }

    /// The server's time, which follows tokio's clock, in whole seconds.
    pub(crate) fn now(&self) -> String {
        let elapsed = SignedDuration::try_from(self.started.elapsed()).unwrap_or_default();
        let now = self.epoch.checked_add(elapsed).unwrap_or(self.epoch);
        now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    /// A number that this server never gave before.
    pub(crate) fn count(&mut self) -> u32 {
        self.counter += 1;
        self.counter
    }

    /// The uid of the next object of that name. It follows from the name and from how many came before, so that what is
    /// derived from it is the same in two runs that make the same objects in another order.
    pub(crate) fn uid(&mut self, id: &str, key: &Key) -> String {
        let incarnation = self.incarnations.entry((id.to_owned(), key.clone())).or_default();
        *incarnation += 1;
        let mut hasher = DefaultHasher::new();
        (id, key, *incarnation).hash(&mut hasher);
        format!("00000000-0000-4000-8000-{:012x}", hasher.finish() >> 16)
    }

    /// Stores an object under the next resourceVersion.
    pub(crate) fn put(&mut self, id: &str, key: &Key, mut value: Value, managers: Vec<Manager>) -> Arc<Value> {
        self.version += 1;
        let version = self.version;
        value["metadata"]["resourceVersion"] = json!(version.to_string());
        let Some(table) = self.tables.get_mut(id) else {
            return Arc::new(value);
        };
        set_managed_fields(&table.resource, &mut value, &managers);
        let value = Arc::new(value);
        let object = Object { value: Arc::clone(&value), managers };
        let before = table.objects.insert(key.clone(), object).map(|object| object.value);
        let after = Some(Arc::clone(&value));
        table.changes.push(Change { version, before, after, shown: Arc::clone(&value) });
        value
    }

    /// Removes an object; its last state, under the version of the removal.
    pub(crate) fn remove(&mut self, id: &str, key: &Key) -> Option<Arc<Value>> {
        let before = self.tables.get_mut(id)?.objects.remove(key)?.value;
        self.version += 1;
        let mut last = Value::clone(&before);
        last["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let shown = Arc::new(last);
        let change = Change { version: self.version, before: Some(before), after: None, shown: Arc::clone(&shown) };
        self.tables.get_mut(id)?.changes.push(change);
        Some(shown)
    }

    /// Every object, with the id of its resource and its key.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&Table, &Key, &Arc<Value>)> {
        let objects = |table| Table::each(table).map(move |(key, value)| (table, key, value));
        self.tables.values().flat_map(objects)
    }
}

impl Table {
    fn each(&self) -> impl Iterator<Item = (&Key, &Arc<Value>)> {
        self.objects.iter().map(|(key, object)| (key, &object.value))
    }
}
