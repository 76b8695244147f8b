//! Pods count for whom they run, and for nobody once they don't.

use super::scenarios::SHOP;
use super::world::World;
use anyhow::{Result, ensure};
use moorage_fake::Faults;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Waits until the App's Degraded condition has that status, for a while.
pub async fn degraded(world: &World, app: &str, status: &str) -> Result<()> {
    let since = Instant::now();
    while world.condition("App", app, "Degraded").unwrap_or_default()["status"] != status {
        ensure!(since.elapsed() < Duration::from_secs(60), "{app} is not {status}: {}", world.summary());
        sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// Waits until the App has problems, or none.
async fn has_problems(world: &World, app: &str, wanted: bool) -> Result<()> {
    let since = Instant::now();
    let problems = || world.server.get("App", "default", app).unwrap_or_default()["status"]["problems"].clone();
    while problems().as_array().is_some_and(|problems| !problems.is_empty()) != wanted {
        ensure!(since.elapsed() < Duration::from_secs(60), "{app} has problems: {}", problems());
        sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// A pod that can't pull its image.
pub fn pod(name: &str, controller: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "ownerReferences": controller,
            "labels": {"app.kubernetes.io/managed-by": "moorage", "moorage.dev/app": "shop", "pod-template-hash": "1a"}},
        "spec": {"nodeName": "node-0", "containers": [{"name": "shop", "image": "shop"}]},
    })
}

/// A pod is taken out of its App by other labels, as one does to look at it in peace: its App is well again, whoever is named now.
#[tokio::test(start_paused = true)]
async fn a_relabelled_pod_leaves_no_ghost() -> Result<()> {
    let relabel: [fn(&mut Value); 4] = [
        |labels| labels["moorage.dev/app"] = json!("another"),
        |labels| labels["app.kubernetes.io/managed-by"] = json!("nobody"),
        |labels| labels["pod-template-hash"] = json!("2b"),
        |labels| *labels = json!({"app.kubernetes.io/managed-by": "moorage", "moorage.dev/registry": "shop", "pod-template-hash": "1a"}),
    ];
    for change in relabel {
        let (world, _replica) = SHOP.play(Faults::default()).await?;
        let set = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "shop-1a", "namespace": "default"},
            "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}}}});
        let set = world.server.apply_as("test", set)?;
        let controller = json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "shop-1a", "uid": set["metadata"]["uid"], "controller": true}]);
        world.server.apply_as("test", pod("stray", &json!([])))?;
        world.server.apply_as("test", pod("shop-1a-x", &controller))?;
        let fails = |pod: &mut Value| {
            pod["status"] = json!({"containerStatuses": [{"name": "shop", "ready": false, "state": {"waiting": {"reason": "ErrImagePull"}}}]});
        };
        world.server.edit("Pod", "default", "stray", fails)?;
        sleep(Duration::from_secs(30)).await;
        has_problems(&world, "shop", false).await?;
        world.server.edit("Pod", "default", "shop-1a-x", fails)?;
        has_problems(&world, "shop", true).await?;
        world.server.edit("Pod", "default", "shop-1a-x", |pod| change(&mut pod["metadata"]["labels"]))?;
        has_problems(&world, "shop", false).await?;
    }
    Ok(())
}

/// A pod of others that carries the labels is told while it is ready, wherever it comes from and however it goes.
#[tokio::test(start_paused = true)]
async fn pods_of_others_that_get_requests_are_told_until_they_get_none() -> Result<()> {
    let ready = |status: &str| json!({"conditions": [{"type": "Ready", "status": status}]});
    let ends: [fn(&mut Value); 2] =
        [|pod| pod["metadata"]["labels"]["moorage.dev/app"] = json!("none"), |pod| pod["status"] = json!({})];
    for end in ends {
        let (world, mut replica) = SHOP.play(Faults::default()).await?;
        let edit = |change: &dyn Fn(&mut Value)| world.server.edit("Pod", "default", "stray", |pod| change(pod));
        world.server.apply_as("test", pod("stray", &json!([])))?;
        edit(&|pod| pod["status"] = ready("False"))?;
        world.rest(&mut replica).await?;
        world.expect_ready("App", "shop")?;
        let cost = world.cost();
        edit(&|pod| pod["status"]["phase"] = json!("Running"))?;
        world.rest(&mut replica).await?;
        ensure!(world.cost() == cost, "what becomes of a stranger's pod costs something");

        edit(&|pod| pod["status"] = ready("True"))?;
        degraded(&world, "shop", "True").await?;
        let condition = world.condition("App", "shop", "Ready").unwrap_or_default();
        let message = condition["message"].as_str().unwrap_or_default();
        ensure!(
            condition["reason"] == "ForeignPods" && message.contains("moorage.dev/app=shop: Pod stray"),
            "{condition}"
        );
        edit(&end)?;
        degraded(&world, "shop", "False").await?;
        world.expect_ready("App", "shop")?;
        edit(&|pod| {
            pod["metadata"]["labels"]["moorage.dev/app"] = json!("shop");
            pod["status"] = ready("True");
        })?;
        degraded(&world, "shop", "True").await?;
        world.server.delete("Pod", "default", "stray")?;
        degraded(&world, "shop", "False").await?;
    }
    Ok(())
}
