//! What Operator Lifecycle Manager makes of the bundle, played: OLM itself is no part of the rig.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::{access::Access, build::workspace, install::manifests};

/// What OLM annotates the pods with that names the watched namespaces.
const TARGETS: &str = "olm.targetNamespaces";

/// Where an operator lives, and which namespaces it watches; none is all of them.
#[derive(Clone, Copy, Debug)]
pub struct OperatorGroup {
    /// Its own namespace.
    pub own: &'static str,
    /// Those that it watches.
    pub watched: &'static [&'static str],
}

/// The bundle of this version.
pub struct Bundle {
    csv: Value,
    plain: Vec<Value>,
}

impl Bundle {
    /// Reads it from `deploy/`.
    pub fn read() -> Result<Self> {
        let (mut csvs, plain): (Vec<Value>, Vec<Value>) =
            manifests(&folder())?.into_iter().partition(|object| object["kind"] == "ClusterServiceVersion");
        Ok(Self { csv: csvs.pop().context("no CSV")?, plain })
    }

    /// Its `ClusterServiceVersion`.
    pub fn csv(&self) -> &Value {
        &self.csv
    }

    /// The objects that it shows as samples.
    pub fn samples(&self) -> Result<Vec<Value>> {
        let samples = self.csv["metadata"]["annotations"]["alm-examples"].as_str();
        Ok(serde_json::from_str(samples.context("no samples")?)?)
    }

    /// Installs it: the namespace as consoles make it, what is plain in the bundle, and what the CSV asks for.
    pub async fn install(&self, access: &Access, group: OperatorGroup) -> Result<()> {
        let objects = [self.namespace(group)?].into_iter().chain(self.plain.iter().cloned()).chain(self.made(group)?);
        for object in objects {
            access.apply_object(object, group.own).await?;
        }
        Ok(())
    }

    /// Deletes what goes with the CSV, and nothing that was plain in the bundle.
    pub async fn uninstall(&self, access: &Access, group: OperatorGroup) -> Result<()> {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": self.made(group)?});
        let path = access.work().write(&format!("olm-{}.json", group.own), &list.to_string())?;
        access.run_kubectl(&["delete", "-f", &path.display().to_string()]).await.map(drop)
    }

    /// What the CSV has OLM make.
    fn made(&self, group: OperatorGroup) -> Result<Vec<Value>> {
        Ok(self.rights(group)?.into_iter().chain([self.deployment(group)]).collect())
    }

    fn namespace(&self, group: OperatorGroup) -> Result<Value> {
        let template = &self.csv["metadata"]["annotations"]["operatorframework.io/suggested-namespace-template"];
        let mut namespace: Value = serde_json::from_str(template.as_str().context("no namespace is suggested")?)?;
        namespace["metadata"]["name"] = json!(group.own);
        Ok(namespace)
    }

    /// The account and the rights, as both OLM v0 (`pkg/controller/operators/olm/operatorgroup.go`) and OLM v1
    /// (`internal/operator-controller/rukpak/render`) grant them: `clusterPermissions` everywhere; `permissions` in each namespace that
    /// is watched, or, if these are all, everywhere, with the right to see namespaces. v0 grants them in the operator's own namespace
    /// besides, v1 does not; what is plain in the bundle must do without.
    fn rights(&self, group: OperatorGroup) -> Result<Vec<Value>> {
        let spec = &self.csv["spec"]["install"]["spec"];
        let account = &spec["deployments"][0]["spec"]["template"]["spec"]["serviceAccountName"];
        let metadata = json!({"name": account, "namespace": group.own});
        let mut objects = vec![json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})];
        for (key, everywhere) in [("clusterPermissions", true), ("permissions", group.watched.is_empty())] {
            let permissions = spec[key].as_array().with_context(|| format!("no {key}"))?;
            for (index, permission) in permissions.iter().enumerate() {
                ensure!(permission["serviceAccountName"] == *account, "{permission}");
                let csv = self.csv["metadata"]["name"].as_str().unwrap_or_default();
                let name = format!("{csv}-{}-{key}-{index}", group.own);
                let mut rules = permission["rules"].as_array().context("no rules")?.clone();
                if everywhere && key == "permissions" {
                    let verbs = ["get", "list", "watch"];
                    rules.push(json!({"apiGroups": [""], "resources": ["namespaces"], "verbs": verbs}));
                }
                let places: Vec<Option<&str>> =
                    if everywhere { vec![None] } else { group.watched.iter().copied().map(Some).collect() };
                objects.extend(places.into_iter().flat_map(|place| bound(&name, place, &rules, account, group.own)));
            }
        }
        Ok(objects)
    }

    /// The Deployment, whose pods have the CSV's annotations and OLM's.
    fn deployment(&self, group: OperatorGroup) -> Value {
        let deployment = &self.csv["spec"]["install"]["spec"]["deployments"][0];
        let mut spec = deployment["spec"].clone();
        let mut annotations = self.csv["metadata"]["annotations"].clone();
        annotations[TARGETS] = json!(group.watched.join(","));
        annotations["olm.operatorNamespace"] = json!(group.own);
        spec["template"]["metadata"]["annotations"] = annotations;
        let metadata = json!({"name": deployment["name"], "namespace": group.own, "labels": deployment["label"]});
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec})
    }
}

fn folder() -> PathBuf {
    workspace().join("deploy/olm/moorage").join(env!("CARGO_PKG_VERSION")).join("manifests")
}

/// A role, in one place or everywhere, and its binding to the operator's account.
fn bound(name: &str, place: Option<&str>, rules: &[Value], account: &Value, own: &str) -> [Value; 2] {
    let scope = if place.is_some() { "" } else { "Cluster" };
    let (api, kind) = ("rbac.authorization.k8s.io/v1", format!("{scope}Role"));
    let metadata = json!({"name": name.to_lowercase(), "namespace": place});
    [
        json!({"apiVersion": api, "kind": kind, "metadata": metadata, "rules": rules}),
        json!({
            "apiVersion": api,
            "kind": format!("{kind}Binding"),
            "metadata": metadata,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name.to_lowercase()},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": own}],
        }),
    ]
}
