//! A tool that keeps a namespace as a repository says and the operator leave each other alone. The tool applies what the examples have, with
//! its marks on it, again and again: that costs no write, makes no rollout and no spec is written; its marks are on nothing but what it
//! applied; what it takes back and deletes is taken back and deleted.

use crate::support::*;
use anyhow::{Context, Result, ensure};
use kube::api::{DeleteParams, Patch, PatchParams};
use moorage_fake::Effort;
use moorage_harness::{ControlPlane, Sandbox, build::workspace, manifests};
use serde_json::{Value, json};
use std::sync::Arc;

crate::cases![a_tool_that_applies_again_and_again_costs_nothing];

/// By which tools know what is theirs (argo-cd `docs/user-guide/resource_tracking.md`, `fluxcd/pkg` `ssa`).
const MARKS: [&str; 3] = ["argocd.argoproj.io/", "toolkit.fluxcd.io/", "app.kubernetes.io/instance"];
/// Under which names they apply.
const MANAGERS: [&str; 2] = ["argocd-controller", "kustomize-controller"];

/// What a tool applies: the objects of the examples, with the marks of both.
fn declared() -> Result<Vec<Value>> {
    let mut objects = manifests(&workspace().join("examples/gitops/shop"))?;
    objects.retain(|object| object["apiVersion"] == MOORAGE);
    for object in &mut objects {
        let tracked = named(object).map(|(kind, name)| format!("shop:moorage.dev/{kind}:gitops/{name}"))?;
        object["metadata"]["labels"] = json!({
            "app.kubernetes.io/instance": "shop",
            "kustomize.toolkit.fluxcd.io/name": "shop",
            "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
        });
        object["metadata"]["annotations"] = json!({
            "argocd.argoproj.io/tracking-id": tracked,
            "argocd.argoproj.io/sync-wave": "1",
            "kustomize.toolkit.fluxcd.io/ssa": "Merge",
        });
    }
    Ok(objects)
}

async fn apply(sandbox: &Sandbox, objects: &[Value], manager: &str) -> Result<()> {
    for object in objects {
        let (kind, name) = named(object)?;
        let params = PatchParams::apply(manager).force();
        api(sandbox, kind).patch(name, &params, &Patch::Apply(object)).await?;
    }
    Ok(())
}

fn named(object: &Value) -> Result<(&str, &str)> {
    object["kind"].as_str().zip(object["metadata"]["name"].as_str()).context("an object without a name")
}

async fn all_ready(sandbox: &Sandbox, objects: &[Value]) -> Result<()> {
    for object in objects {
        let (kind, name) = named(object)?;
        ready(sandbox, kind, name).await?;
    }
    Ok(())
}

async fn a_tool_that_applies_again_and_again_costs_nothing(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "gitops").await?;
    let (objects, begin) = (declared()?, control_plane.audit().mark()?);
    ensure!(objects.len() == 3, "{} objects", objects.len());
    apply(&sandbox, &objects, MANAGERS[0]).await?;
    all_ready(&sandbox, &objects).await?;
    until(&sandbox, "App", "shop", "to tell of both pods", |app| app["status"]["pods"] == "2/2").await?;

    let mark = control_plane.audit().mark()?;
    for _ in 0..Effort::given().of(10, 25, 1_000) {
        for manager in MANAGERS {
            apply(&sandbox, &objects, manager).await?;
        }
    }
    // What somebody else declares reaches the pods, and the tool takes it back: two writes, after all those that made none.
    patch(&sandbox, "App", "shop", &json!({"spec": {"replicas": 3}})).await?;
    until(&sandbox, "Deployment", "shop", "to have 3 pods", |it| it["spec"]["replicas"] == 3).await?;
    apply(&sandbox, &objects, MANAGERS[0]).await?;
    until(&sandbox, "Deployment", "shop", "to have 2 pods", |it| it["spec"]["replicas"] == 2).await?;
    all_ready(&sandbox, &objects).await?;
    exactly(&control_plane, &sandbox, mark, 2, |event| event.subresource.is_empty()).await?;
    let deployment = must_get(&sandbox, "Deployment", "shop").await?;
    ensure!(deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1", "{deployment}");
    is_unmarked(&sandbox).await?;

    // Pruned and declared again.
    for object in &objects {
        let (kind, name) = named(object)?;
        api(&sandbox, kind).delete(name, &DeleteParams::foreground()).await?;
    }
    for object in &objects {
        let (kind, name) = named(object)?;
        until_gone(&sandbox, kind, name).await?;
    }
    until_gone(&sandbox, "Deployment", "shop").await?;
    let kept = must_get(&sandbox, "PersistentVolumeClaim", "uploads").await?;
    apply(&sandbox, &objects, MANAGERS[1]).await?;
    all_ready(&sandbox, &objects).await?;
    let again = must_get(&sandbox, "PersistentVolumeClaim", "uploads").await?;
    ensure!(kept["metadata"]["uid"] == again["metadata"]["uid"], "it has another volume: {again}");

    let specs = control_plane.audit().by_user(&sandbox.user(), begin)?.into_iter().filter(|event| {
        event.is_write()
            && event.group == "moorage.dev"
            && event.subresource.is_empty()
            && event.resource != "storageclaims"
    });
    let specs: Vec<_> = specs.collect();
    ensure!(specs.is_empty(), "the operator wrote to what the tool declares:\n{}", lines(&specs));
    Ok(())
}

/// Nothing that the operator made has a mark of the tool.
async fn is_unmarked(sandbox: &Sandbox) -> Result<()> {
    let kinds = "serviceaccounts,services,deployments,replicasets,pods,configmaps,persistentvolumeclaims,storageclaims.moorage.dev";
    let made =
        sandbox.kubectl(&["get", kinds, "--selector=app.kubernetes.io/managed-by=moorage", "--output=json"]).await?;
    let made: Value = serde_json::from_str(&made)?;
    let made = made["items"].as_array().context("no items")?;
    ensure!(made.len() >= 12, "{} objects", made.len());
    for object in made {
        for place in ["labels", "annotations"] {
            let keys = object["metadata"][place].as_object().into_iter().flatten().map(|(key, _)| key);
            let marks: Vec<_> = keys.filter(|key| MARKS.iter().any(|mark| key.contains(mark))).collect();
            ensure!(marks.is_empty(), "{} {} has {marks:?}", object["kind"], object["metadata"]["name"]);
        }
    }
    Ok(())
}
