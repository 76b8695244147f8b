//! Secrets are followed in the namespaces in which an admin grants it, and in no other.

use crate::install::printed;
use crate::support::*;
use anyhow::{Context, Result, ensure};
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use moorage_harness::{ControlPlane, OperatorOptions, build::workspace, eventually};
use serde_json::{Value, json};
use std::sync::Arc;

crate::cases![a_secret_is_followed_where_that_is_granted, the_recipe_is_true];

/// The operator's namespace, and those that it watches; the audit log may show that it reads Secrets there.
const OWN: &str = "reads-secrets";
pub const GRANTED: &str = "reads-secrets-shop";
const OTHER: &str = "reads-secrets-blog";

const DATABASE: &str = "{apiVersion: v1, kind: Secret, metadata: {name: database}, stringData: {password: anchor}}";
const SHOP: &str = "
apiVersion: moorage.dev/v1alpha1
kind: App
metadata: {name: shop}
spec:
  image: registry.example.com/team/shop:1
  env:
    - {name: PASSWORD, valueFrom: {secretKeyRef: {name: database, key: password}}}
  rollout: {onConfigChange: Restart}
";

fn api(control_plane: &ControlPlane, namespace: &str, kind: &str) -> Api<DynamicObject> {
    let (group, version) = api_version(kind).split_once('/').unwrap_or(("", api_version(kind)));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    Api::namespaced_with(control_plane.client(), namespace, &resource)
}

async fn until_app(
    control_plane: &ControlPlane,
    namespace: &str,
    what: &str,
    is: impl Fn(&Value) -> bool,
) -> Result<Value> {
    eventually(DEADLINE, &format!("the App in {namespace} {what}"), || async {
        let app = serde_json::to_value(api(control_plane, namespace, "App").get("shop").await?)?;
        ensure!(is(&app), "its status is {}", app["status"]);
        Ok(Some(app))
    })
    .await
}

async fn replica_sets(control_plane: &ControlPlane, namespace: &str) -> Result<usize> {
    let all = ListParams::default().labels("moorage.dev/app=shop");
    Ok(api(control_plane, namespace, "ReplicaSet").list(&all).await?.items.len())
}

/// Changes the password, in both namespaces.
async fn change(control_plane: &ControlPlane, password: &str) -> Result<()> {
    for namespace in [GRANTED, OTHER] {
        let patch = Patch::Merge(json!({"stringData": {"password": password}}));
        api(control_plane, namespace, "Secret").patch("database", &PatchParams::default(), &patch).await?;
    }
    Ok(())
}

async fn until_rolled_out(control_plane: &ControlPlane, count: usize) -> Result<()> {
    eventually(DEADLINE, &format!("{count} ReplicaSets"), || async {
        let found = replica_sets(control_plane, GRANTED).await?;
        ensure!(found == count, "there are {found}");
        Ok(Some(()))
    })
    .await?;
    until_app(control_plane, GRANTED, "to be Ready", |app| is_true(app, "Ready")).await?;
    ensure!(replica_sets(control_plane, GRANTED).await? == count, "one change, one rollout");
    ensure!(replica_sets(control_plane, OTHER).await? == 1, "another namespace is concerned");
    Ok(())
}

/// Told where it is not granted, followed within a minute where it is, and no longer when it is revoked.
async fn a_secret_is_followed_where_that_is_granted(control_plane: Arc<ControlPlane>) -> Result<()> {
    for namespace in [OWN, GRANTED, OTHER] {
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        control_plane.apply_object(object, "").await?;
    }
    control_plane.apply(&printed(OWN, &[GRANTED, OTHER])?, "").await?;
    let operator = control_plane
        .operator(OperatorOptions {
            watch_namespaces: [GRANTED, OTHER].map(str::to_owned).to_vec(),
            operator_namespace: OWN.to_owned(),
            // The API server ends no watch whose right is revoked; that is noticed when it is renewed.
            extra_args: ["--watch-timeout-seconds", "15"].map(str::to_owned).to_vec(),
            ..options()
        })
        .await?;
    operator.ready().await?;
    let is_denied = |app: &Value| has_reason(app, "Stalled", "Denied");
    for namespace in [GRANTED, OTHER] {
        control_plane.apply(DATABASE, namespace).await?;
        control_plane.apply(SHOP, namespace).await?;
        let app = until_app(&control_plane, namespace, "to say what it lacks", is_denied).await?;
        ensure!(message(&app, "Ready").contains("deploy/components/config-secrets"), "{}", message(&app, "Ready"));
        ensure!(is_true(&app, "Available"), "what serves is told to serve: {}", app["status"]);
    }
    let binding = std::fs::read_to_string(workspace().join("deploy/components/config-secrets/binding.yaml"))?;
    let binding = binding.replace("moorage-system", OWN);
    control_plane.apply(&binding, GRANTED).await?;
    until_app(&control_plane, GRANTED, "to be Ready", |app| is_true(app, "Ready")).await?;
    change(&control_plane, "sextant").await?;
    until_rolled_out(&control_plane, 2).await?;

    let revoke = ["delete", "rolebinding/moorage-config-secrets", "--namespace", GRANTED];
    control_plane.run_kubectl(&revoke).await?;
    until_app(&control_plane, GRANTED, "to say what it lacks", is_denied).await?;
    change(&control_plane, "compass").await?;
    control_plane.apply(&binding, GRANTED).await?;
    until_rolled_out(&control_plane, 3).await?;
    let app = until_app(&control_plane, OTHER, "to say what it lacks", is_denied).await?;
    ensure!(is_true(&app, "Available"), "{}", app["status"]);
    let deployment = serde_json::to_value(api(&control_plane, GRANTED, "Deployment").get("shop").await?)?;
    let remembered = deployment["metadata"]["annotations"]["moorage.dev/configuration"].as_str();
    ensure!(remembered.context("nothing is remembered")?.contains("Secret/database"), "{deployment}");
    for password in ["anchor", "sextant", "compass", "Y29tcGFzcw=="] {
        ensure!(!operator.logs().contains(password), "the log has {password}");
    }
    Ok(())
}

/// The recipe's manifests and commands, as they stand.
async fn the_recipe_is_true(control_plane: Arc<ControlPlane>) -> Result<()> {
    let mut options = options();
    options.namespaced_roles.push("moorage-config-secrets".to_owned());
    let sandbox = control_plane.sandbox("reads-secrets-recipe", options).await?;
    let recipe = page("docs/recipes/configuration.md")?;
    let manifests = blocks(&recipe, "yaml");
    ensure!(manifests.len() == 4, "{} manifests", manifests.len());
    for manifest in manifests {
        for applied in sandbox.apply(&manifest).await? {
            if applied.types.is_some_and(|types| types.kind == "App") {
                ready(&sandbox, "App", &applied.metadata.name.context("no name")?).await?;
            }
        }
    }
    let commands = blocks(&recipe, "sh").concat();
    let lines: Vec<&str> = commands.lines().filter(|line| !line.starts_with("kubectl apply ")).collect();
    ensure!(lines.len() >= 4, "{lines:?}");
    for line in lines {
        run(&sandbox, line).await?;
    }
    Ok(())
}
