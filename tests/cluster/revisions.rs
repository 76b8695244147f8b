//! What an App ran is told.

use crate::support::*;
use anyhow::{Context, Result, ensure};
use moorage_harness::{ControlPlane, Mark, Sandbox, eventually};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

crate::cases![
    a_failed_rollout_goes_back_by_itself,
    a_failed_rollout_under_recreate_comes_back,
    a_failed_rollout_to_what_ran_before_comes_back,
    revisions_are_told,
    a_former_revision_runs_until_it_is_unset_or_the_template_changes
];

/// The App of docs/concepts/app.md, less what makes its rollout slow.
const DOCUMENTED: &str = "
apiVersion: moorage.dev/v1alpha1
kind: App
metadata: {name: shop}
spec:
  image: registry.example.com/team/shop:1.4
  ports: [{port: 8080}]
";

const CONCEPT: &str = "docs/concepts/app.md";
const RECIPE: &str = "docs/recipes/rollback.md";

/// The commands of a section of a page, each with what it prints.
fn documented(page: &str, title: &str) -> Result<Vec<(String, String)>> {
    let blocks = blocks(&section(page, title)?, "console");
    let commands = blocks.iter().flat_map(|block| block.split("$ ").skip(1));
    let split = |command: &str| command.split_once('\n').map(|(line, output)| (line.to_owned(), output.to_owned()));
    let found: Vec<_> = commands.filter_map(split).collect();
    ensure!(!found.is_empty(), "{title} has no command");
    Ok(found)
}

/// Runs a documented command; it must print what is documented.
async fn holds(sandbox: &Sandbox, (line, output): &(String, String)) -> Result<()> {
    let printed = run(sandbox, line).await?;
    ensure!(printed.trim_end() == output.trim_end(), "{line}\nprints:\n{printed}\nand not:\n{output}");
    Ok(())
}

fn revision(app: &Value, number: i64) -> Option<&Value> {
    app["status"]["revisions"].as_array()?.iter().find(|revision| revision["number"] == number)
}

async fn revisions_are_told(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "revisions").await?;
    sandbox.apply(DOCUMENTED).await?;
    ready(&sandbox, "App", "shop").await?;
    patch(&sandbox, "App", "shop", &json!({"spec": {"image": "registry.example.com/team/shop:1.5"}})).await?;
    let app = until(&sandbox, "App", "shop", "to have two revisions", |app| {
        is_true(app, "Ready") && app["status"]["revisions"].as_array().is_some_and(|revisions| revisions.len() == 2)
    })
    .await?;
    for command in documented(CONCEPT, "Revisions")? {
        holds(&sandbox, &command).await?;
    }
    let of = |number| revision(&app, number).context("no such revision");
    ensure!(of(2)?["replicas"] == 1 && of(1)?["replicas"] == 0, "{}", app["status"]["revisions"]);
    ensure!(of(1)?["created"].is_string(), "{}", app["status"]["revisions"]);
    // A restart by hand is one too, and costs no write but the status.
    let mark = control_plane.audit().mark()?;
    sandbox.kubectl(&["rollout", "restart", "deployment/shop"]).await?;
    let app = until(&sandbox, "App", "shop", "to have a third revision", |app| revision(app, 3).is_some()).await?;
    ensure!(
        revision(&app, 3).context("no third")?["changed"] == json!(["kubectl rollout restart"]),
        "{}",
        app["status"]
    );
    exactly(&control_plane, &sandbox, mark, 0, |event| event.subresource.is_empty()).await
}

fn image(deployment: &Value) -> &str {
    deployment["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap_or_default()
}

async fn runs(sandbox: &Sandbox, tag: &str) -> Result<Value> {
    let wanted = format!("registry.example.com/team/shop:{tag}");
    let what = format!("to run {wanted} alone");
    until(sandbox, "Deployment", "shop", &what, |deployment| {
        let status = &deployment["status"];
        image(deployment) == wanted
            && status["observedGeneration"] == deployment["metadata"]["generation"]
            && status["updatedReplicas"] == status["replicas"]
    })
    .await
}

/// Names of the `ReplicaSets` there are.
async fn replica_sets(sandbox: &Sandbox) -> Result<Vec<String>> {
    let found = sandbox.kubectl(&["get", "replicasets", "--output=jsonpath={.items[*].metadata.name}"]).await?;
    Ok(found.split_whitespace().map(str::to_owned).collect())
}

async fn a_former_revision_runs_until_it_is_unset_or_the_template_changes(
    control_plane: Arc<ControlPlane>,
) -> Result<()> {
    let mut sandbox = sandbox(&control_plane, "go-back").await?;
    sandbox.apply(DOCUMENTED).await?;
    ready(&sandbox, "App", "shop").await?;
    patch(&sandbox, "App", "shop", &json!({"spec": {"image": "registry.example.com/team/shop:1.5"}})).await?;
    runs(&sandbox, "1.5").await?;
    ready(&sandbox, "App", "shop").await?;
    let before = replica_sets(&sandbox).await?;
    let mark = control_plane.audit().mark()?;
    for command in documented(CONCEPT, "Going back")? {
        holds(&sandbox, &command).await?;
    }
    runs(&sandbox, "1.4").await?;
    exactly(&control_plane, &sandbox, mark, 1, |event| event.subresource.is_empty()).await?;
    ensure!(replica_sets(&sandbox).await? == before, "the template is not the former one to the byte");
    let app = ready(&sandbox, "App", "shop").await?;
    ensure!(app["spec"]["image"] == "registry.example.com/team/shop:1.5", "the spec was written: {}", app["spec"]);

    // A restart neither ends it nor repeats it, nor writes.
    let mark = restart(&control_plane, &mut sandbox).await?;
    exactly(&control_plane, &sandbox, mark, 0, |_| true).await?;
    patch(&sandbox, "App", "shop", &json!({"spec": {"replicas": 2}})).await?;
    until(&sandbox, "App", "shop", "to have 2 ready pods", |app| app["status"]["readyReplicas"] == 2).await?;
    exactly(&control_plane, &sandbox, mark, 1, |event| event.subresource.is_empty()).await?;
    ensure!(image(&must_get(&sandbox, "Deployment", "shop").await?).ends_with(":1.4"));

    // Unset, the declared template runs; a former number is as good as the new one.
    patch(&sandbox, "App", "shop", &json!({"spec": {"rollout": null}})).await?;
    runs(&sandbox, "1.5").await?;
    until(&sandbox, "App", "shop", "to be as declared", |app| has_reason(app, "Ready", "AsExpected")).await?;
    patch(&sandbox, "App", "shop", &json!({"spec": {"rollout": {"toRevision": 1}}})).await?;
    runs(&sandbox, "1.4").await?;

    // A new template ends it, and what is left of it is told.
    patch(&sandbox, "App", "shop", &json!({"spec": {"image": "registry.example.com/team/shop:1.6"}})).await?;
    runs(&sandbox, "1.6").await?;
    let is_stale =
        |app: &Value| is_true(app, "Ready") && message(app, "Ready").contains("toRevision: 1 was for an earlier");
    until(&sandbox, "App", "shop", "to tell that toRevision is stale", is_stale).await?;

    // What does not exist is told, with what does, and nothing is touched.
    patch(&sandbox, "App", "shop", &json!({"spec": {"rollout": {"toRevision": 99}}})).await?;
    let app = reason(&sandbox, "App", "shop", "Stalled", "InvalidSpec").await?;
    let told = message(&app, "Stalled");
    ensure!(told.starts_with("spec.rollout.toRevision: ") && told.contains("99 is none: there are 6, 5, 4"), "{told}");
    runs(&sandbox, "1.6").await.map(drop)
}

/// Restarts the operator, and waits until it has looked at the former revision and at what runs; from where the audit tells of that.
async fn restart(control_plane: &ControlPlane, sandbox: &mut Sandbox) -> Result<Mark> {
    let mark = control_plane.audit().mark()?;
    sandbox.operator.restart().await?;
    sandbox.operator.ready().await?;
    eventually(DEADLINE, "the operator to look at the former revision and at what runs", || async {
        let events = control_plane.audit().by_user(&sandbox.user(), mark)?;
        let looked = |resource: &str| events.iter().any(|event| event.verb == "get" && event.resource == resource);
        Ok((looked("replicasets") && looked("deployments")).then_some(()))
    })
    .await?;
    Ok(mark)
}

/// Names of the pods that run, in order.
async fn pods(sandbox: &Sandbox) -> Result<Vec<String>> {
    let arguments =
        ["get", "pods", "--field-selector=status.phase=Running", "--output=jsonpath={.items[*].metadata.name}"];
    let mut names: Vec<String> = sandbox.kubectl(&arguments).await?.split_whitespace().map(str::to_owned).collect();
    names.sort();
    Ok(names)
}

/// Waits until the rollout that a patch begins has gone back; whether old pods were lacking meanwhile.
async fn goes_back(sandbox: &Sandbox) -> Result<(Value, bool)> {
    let lacked = AtomicBool::new(false);
    let app = until(sandbox, "App", "shop", "to be rolled back", |app| {
        lacked.fetch_or(app["status"]["readyReplicas"].as_i64() < Some(3), Ordering::Relaxed);
        has_reason(app, "Degraded", "RolledBack") && app["status"]["readyReplicas"] == 3
    })
    .await?;
    let told = message(&app, "Stalled");
    for part in ["failed: pod shop-", "Unschedulable", "runs again, image registry.example.com/team/shop:1.4"] {
        ensure!(told.contains(part), "{told}");
    }
    ensure!(has_reason(&app, "Ready", "RolledBack") && !is_true(&app, "Ready"), "{}", app["status"]);
    runs(sandbox, "1.4").await?;
    Ok((app, lacked.into_inner()))
}

/// The new pods find no node. Of the old ones none is ever lacking, and none is restarted.
async fn a_failed_rollout_goes_back_by_itself(control_plane: Arc<ControlPlane>) -> Result<()> {
    let mut sandbox = sandbox(&control_plane, "auto-rollback").await?;
    let title = "An App that goes back by itself";
    for manifest in blocks(&section(RECIPE, title)?, "yaml") {
        sandbox.apply(&manifest).await?;
    }
    ready(&sandbox, "App", "shop").await?;
    let before = pods(&sandbox).await?;
    ensure!(before.len() == 3, "{before:?}");
    let commands = documented(RECIPE, title)?;
    let (failing, mending) = commands.split_at(4);
    let ((), (_, lacked)) = tokio::try_join!(
        async {
            for command in failing {
                holds(&sandbox, command).await?;
            }
            Ok(())
        },
        goes_back(&sandbox)
    )?;
    let after = pods(&sandbox).await?;
    ensure!(!lacked && after == before, "old pods were lacking: {lacked}; {before:?} became {after:?}");
    ensure!(replica_sets(&sandbox).await?.len() == 2, "the template is not the former one to the byte");

    // It outlives the operator, who finds nothing to do.
    let mark = restart(&control_plane, &mut sandbox).await?;
    for command in mending {
        holds(&sandbox, command).await?;
    }
    runs(&sandbox, "1.6").await?;
    // The template, and that it has been rolled out to the end.
    until(&sandbox, "Deployment", "shop", "to be what to go back to", |deployment| {
        let remembered = deployment["metadata"]["annotations"]["moorage.dev/auto-rollback"].as_str();
        remembered.is_some_and(|text| text.contains("\"done\":true"))
    })
    .await?;
    exactly(&control_plane, &sandbox, mark, 2, |event| event.subresource.is_empty()).await
}

/// Recreate leaves no old pod to go on with: they come back.
async fn a_failed_rollout_under_recreate_comes_back(control_plane: Arc<ControlPlane>) -> Result<()> {
    let sandbox = sandbox(&control_plane, "auto-recreate").await?;
    sandbox.apply(DOCUMENTED).await?;
    let rollout = json!({"autoRollback": true, "progressDeadlineSeconds": 3, "strategy": "Recreate"});
    patch(&sandbox, "App", "shop", &json!({"spec": {"replicas": 3, "rollout": rollout}})).await?;
    until(&sandbox, "App", "shop", "to have 3 ready pods", |app| {
        is_true(app, "Ready") && app["status"]["readyReplicas"] == 3
    })
    .await?;
    let fast = json!({"nodeSelector": {"example.com/disk": "fast"}});
    let bad = json!({"spec": {"image": "registry.example.com/team/shop:1.5", "pod": fast}});
    patch(&sandbox, "App", "shop", &bad).await?;
    let (app, lacked) = goes_back(&sandbox).await?;
    ensure!(lacked, "under Recreate no old pod stays");
    ensure!(app["spec"]["image"] == "registry.example.com/team/shop:1.5", "the spec was written");
    Ok(())
}

/// Under Recreate the Deployment controller takes its word on the template before for one on a template that ran once: it never says that
/// its rollout failed, however long its pods find no node.
async fn a_failed_rollout_to_what_ran_before_comes_back(control_plane: Arc<ControlPlane>) -> Result<()> {
    const SHELF: &str = "example.com/auto-again";
    let sandbox = sandbox(&control_plane, "auto-again").await?;
    let label = async |value: &str| -> Result<()> {
        sandbox.kubectl(&["label", "nodes", "--all", "--overwrite", &format!("{SHELF}{value}")]).await.map(drop)
    };
    let becomes = async |tag: &str, selector: Value| -> Result<()> {
        let image = format!("registry.example.com/team/shop:{tag}");
        let spec = json!({"spec": {"image": image, "pod": {"nodeSelector": selector}}});
        patch(&sandbox, "App", "shop", &spec).await
    };
    label("=yes").await?;
    sandbox.apply(DOCUMENTED).await?;
    let rollout = json!({"autoRollback": true, "progressDeadlineSeconds": 3, "strategy": "Recreate"});
    patch(&sandbox, "App", "shop", &json!({"spec": {"rollout": rollout}})).await?;
    for (tag, selector) in [("1.3", json!({SHELF: "yes"})), ("1.4", json!(null))] {
        becomes(tag, selector).await?;
        until(&sandbox, "App", "shop", "to run it", |app| {
            let newest = &app["status"]["revisions"][0];
            let image = newest["image"].as_str().is_some_and(|image| image.ends_with(tag));
            image && newest["outcome"] == "Succeeded" && is_true(app, "Ready")
        })
        .await?;
    }
    label("-").await?;
    becomes("1.3", json!({SHELF: "yes"})).await?;
    let app = until(&sandbox, "App", "shop", "to run 1.4 again", |app| {
        has_reason(app, "Degraded", "RolledBack") && app["status"]["readyReplicas"] == 1
    })
    .await?;
    let revisions = &app["status"]["revisions"];
    ensure!(revisions[1]["outcome"] == "Failed", "{revisions}");
    let deployment = runs(&sandbox, "1.4").await?;
    ensure!(deployment["spec"]["progressDeadlineSeconds"] == 3, "{}", deployment["spec"]);
    Ok(())
}
