//! Shortcuts for tests: acting on the server as somebody else than the operator, without
//! a request, a fault or a line in the log. Kinds are named as in manifests; where two
//! groups share a kind, by `plural.group`. The namespace of cluster-scoped objects is "".

use anyhow::Context;
use serde_json::{Value, json};

use crate::Server;
use crate::delete;
use crate::resource::Resource;
use crate::store::{Key, Store};
use crate::write::{self, Patch, Write};

impl Server {
    /// Server-side apply of a YAML or JSON manifest as `kubectl`, forced. A namespace that is
    /// missing is created.
    pub fn apply(&self, manifest: &str) -> anyhow::Result<Value> {
        let body: Value = serde_saphyr::from_str(manifest).context("manifest")?;
        self.apply_as("kubectl", body)
    }

    /// Server-side apply as any manager, forced.
    pub fn apply_as(&self, manager: &str, body: Value) -> anyhow::Result<Value> {
        self.mutate(|state| {
            let write = target(&mut state.store, &body, manager)?;
            let written = write::patch(&mut state.store, &write, Patch::Apply(body))?;
            Ok(Value::clone(&written.body))
        })
    }

    /// Creates an object as `test`, its status included. A namespace that is missing is created.
    pub fn create(&self, body: Value) -> anyhow::Result<Value> {
        let status = body.get("status").cloned();
        let created = self.mutate(|state| {
            let write = target(&mut state.store, &body, "test")?;
            let written = write::create(&mut state.store, write, body)?;
            anyhow::Ok(Value::clone(&written.body))
        })?;
        let Some(status) = status else {
            return Ok(created);
        };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (namespace, name) = (text(&created["metadata"]["namespace"]), text(&created["metadata"]["name"]));
        self.edit(&text(&created["kind"]), &namespace, &name, |object| {
            object["status"] = status.clone();
        })
    }

    /// The object as it is stored.
    pub fn get(&self, kind: &str, namespace: &str, name: &str) -> Option<Value> {
        let state = self.lock();
        let table = state.store.find(kind)?;
        let object = table.objects.get(&(namespace.to_owned(), name.to_owned()))?;
        Some(Value::clone(&object.value))
    }

    /// Every object of a kind, in order of namespace and name.
    pub fn list(&self, kind: &str) -> Vec<Value> {
        let state = self.lock();
        let objects = state.store.find(kind).into_iter().flat_map(|table| table.objects.values());
        objects.map(|object| Value::clone(&object.value)).collect()
    }

    /// Changes an object, and its status, as `test`.
    pub fn edit(&self, kind: &str, namespace: &str, name: &str, change: impl Fn(&mut Value)) -> anyhow::Result<Value> {
        self.edit_as("test", kind, namespace, name, change)
    }

    /// Changes an object, and its status, as any manager.
    pub fn edit_as(
        &self,
        manager: &str,
        kind: &str,
        namespace: &str,
        name: &str,
        change: impl Fn(&mut Value),
    ) -> anyhow::Result<Value> {
        self.mutate(|state| edit(&mut state.store, manager, kind, &(namespace.to_owned(), name.to_owned()), &change))
    }

    /// Deletes an object as `kubectl delete` does, dependents in the background.
    pub fn delete(&self, kind: &str, namespace: &str, name: &str) -> anyhow::Result<()> {
        self.delete_with(kind, namespace, name, "Background")
    }

    /// Deletes with a propagation policy: `Background`, `Foreground` or `Orphan`.
    pub fn delete_with(&self, kind: &str, namespace: &str, name: &str, policy: &str) -> anyhow::Result<()> {
        self.mutate(|state| {
            let resource = state.store.find(kind).context("no such kind")?.resource.clone();
            let write = plain(resource, (namespace.to_owned(), name.to_owned()), None, "test");
            delete::delete(&mut state.store, &write, &json!({"propagationPolicy": policy}))?;
            Ok(())
        })
    }

    /// Puts in place what every cluster has.
    pub(crate) fn furnish(&self) {
        let class = json!({
            "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "provisioner": "fake.moorage.dev",
            "allowVolumeExpansion": true,
            "metadata": {"name": "standard", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        });
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}});
        for object in [namespace, class] {
            // Both kinds are in the standard table and both objects are valid.
            let _ = self.create(object);
        }
    }
}

/// A write by the test or a controller.
pub(crate) fn plain(resource: Resource, key: Key, subresource: Option<&str>, manager: &str) -> Write {
    let (subresource, manager) = (subresource.map(str::to_owned), manager.to_owned());
    Write { resource, key, subresource, manager, force: true, dry_run: false }
}

/// Applies `change` to the object, then to its status where that is written separately.
pub(crate) fn edit(
    store: &mut Store,
    manager: &str,
    kind: &str,
    key: &Key,
    change: &dyn Fn(&mut Value),
) -> anyhow::Result<Value> {
    let resource = store.find(kind).with_context(|| format!("no such kind: {kind}"))?.resource.clone();
    let subresources: &[Option<&str>] = if resource.status { &[None, Some("status")] } else { &[None] };
    let live = store.get(&resource.id(), key).context("no such object")?;
    let mut wanted = Value::clone(&live.value);
    change(&mut wanted);
    if wanted == *live.value {
        return Ok(wanted);
    }
    let mut result = wanted.clone();
    for subresource in subresources {
        let Some(live) = store.get(&resource.id(), key).cloned() else {
            break;
        };
        let write = plain(resource.clone(), key.clone(), *subresource, manager);
        let written = write::replace(store, &write, &live, wanted.clone())?;
        result = Value::clone(&written.body);
    }
    Ok(result)
}

fn target(store: &mut Store, body: &Value, manager: &str) -> anyhow::Result<Write> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (api_version, kind) = (text(&body["apiVersion"]), text(&body["kind"]));
    let table = store.serving(&api_version, &kind).with_context(|| format!("{api_version} {kind} is not served"))?;
    let resource = table.resource.clone();
    let namespace = match (resource.namespaced, text(&body["metadata"]["namespace"])) {
        (false, _) => String::new(),
        (true, namespace) if namespace.is_empty() => "default".to_owned(),
        (true, namespace) => namespace,
    };
    if !namespace.is_empty() {
        ensure_namespace(store, &namespace)?;
    }
    Ok(plain(resource, (namespace, text(&body["metadata"]["name"])), None, manager))
}

fn ensure_namespace(store: &mut Store, name: &str) -> anyhow::Result<()> {
    let key = (String::new(), name.to_owned());
    if store.get("namespaces", &key).is_none() {
        let resource = store.find("Namespace").context("namespaces are not served")?.resource.clone();
        let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        write::create(store, plain(resource, key, None, "test"), body)?;
    }
    Ok(())
}
