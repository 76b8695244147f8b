//! Installing Moorage's generated manifests: CRDs until they are served, then `ServiceAccount` and RBAC.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::{
    access::{Access, documents},
    wait::eventually,
};

/// Whom the fence is around.
const FENCED: &str = "request.userInfo.username == 'system:serviceaccount:moorage-system:moorage'";
const DEADLINE: Duration = Duration::from_secs(30);

/// Applies every CRD of a folder and waits until each is Established and discoverable.
pub async fn crds(access: &Access, folder: &Path) -> Result<()> {
    let crds = manifests(folder)?;
    for crd in &crds {
        access.apply_object(crd.clone(), "").await?;
    }
    for crd in &crds {
        wait_until_served(access, crd).await?;
    }
    Ok(())
}

async fn wait_until_served(access: &Access, crd: &Value) -> Result<()> {
    let name = crd["metadata"]["name"].as_str().unwrap_or_default();
    let group = crd["spec"]["group"].as_str().unwrap_or_default();
    let kind = crd["spec"]["names"]["kind"].as_str().unwrap_or_default();
    let version = crd["spec"]["versions"][0]["name"].as_str().unwrap_or_default();
    let what = format!("CustomResourceDefinition {name} to be served");
    eventually(DEADLINE, &what, || async {
        let live = access.get("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", name).await?;
        let conditions = live.map(|live| live.data["status"]["conditions"].clone());
        let established = conditions
            .iter()
            .flat_map(|conditions| conditions.as_array().into_iter().flatten())
            .any(|condition| condition["type"] == "Established" && condition["status"] == "True");
        if !established {
            bail!("conditions {conditions:?}");
        }
        // Established comes a moment before discovery lists the kind.
        access.discover(&format!("{group}/{version}"), kind).await?;
        Ok(Some(()))
    })
    .await
}

/// Applies all that the operator's process needs to be somebody: `<deploy>/service-account.yaml`, `<deploy>/rbac/*.yaml` and every
/// component, creating the namespaces that they name. The fence is put around the operator of every sandbox.
pub async fn rbac(access: &Access, deploy: &Path) -> Result<()> {
    let mut manifests = manifests(&deploy.join("rbac"))?;
    for component in fs::read_dir(deploy.join("components"))? {
        manifests.extend(self::manifests(&component?.path())?);
    }
    // What is for namespaces that an admin chooses.
    manifests.retain(|manifest| manifest["kind"] != "RoleBinding" || manifest["metadata"]["namespace"].is_string());
    manifests.extend(documents(&fs::read_to_string(deploy.join("service-account.yaml"))?)?);
    let fence = fs::read_to_string(deploy.join("fence.yaml"))?;
    manifests.extend(documents(&fence.replace(FENCED, "request.userInfo.username.endsWith(':moorage')"))?);
    let mut namespaces: Vec<&str> = manifests.iter().flat_map(namespaces_of).collect();
    namespaces.sort_unstable();
    namespaces.dedup();
    for namespace in namespaces {
        access.apply_object(namespace_object(namespace), "").await?;
    }
    for manifest in manifests {
        access.apply_object(manifest, "default").await?;
    }
    Ok(())
}

/// The namespaces a manifest needs: its own, and its subjects'.
fn namespaces_of(manifest: &Value) -> impl Iterator<Item = &str> {
    let subjects = manifest["subjects"].as_array().into_iter().flatten();
    subjects.filter_map(|subject| subject["namespace"].as_str()).chain(manifest["metadata"]["namespace"].as_str())
}

/// A Namespace of that name.
pub fn namespace_object(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
}

/// Every object of the folder's YAML files, in the order of file names; what is for kustomize alone is left out.
pub fn manifests(folder: &Path) -> Result<Vec<Value>> {
    let mut paths: Vec<_> = fs::read_dir(folder)
        .with_context(|| format!("reading {}", folder.display()))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<_>>()?;
    paths.retain(|path| path.extension().is_some_and(|kind| kind == "yaml"));
    paths.sort();
    let mut all = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path)?;
        all.extend(documents(&text).with_context(|| path.display().to_string())?);
    }
    all.retain(|manifest| manifest["kind"] != "Kustomization");
    Ok(all)
}
