//! The leader's pod is deleted while Apps change: nothing is lost, and nobody acts twice.

use crate::install::leader;
use crate::support::*;
use anyhow::{Result, ensure};
use moorage_harness::node::{NodeCluster, OPERATOR_NAMESPACE};
use moorage_harness::{Mark, eventually};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// So many Apps are there before and are edited meanwhile, and as many are new.
const APPS: usize = 4;

pub async fn a_deleted_leader_loses_nothing(cluster: Arc<NodeCluster>) -> Result<()> {
    namespace(&cluster, "handover").await?;
    let start = cluster.audit().mark()?;
    for index in 0..APPS {
        cluster.apply(&web("old", index), "handover").await?;
    }
    for index in 0..APPS {
        ready(&cluster, "handover", &format!("old-{index}")).await?;
    }
    let made = contents_written(&cluster, start)?;
    let mark = cluster.audit().mark()?;
    let before = leader(&cluster).await?;
    for index in 0..APPS {
        if index == APPS / 2 {
            cluster.run_kubectl(&["-n", OPERATOR_NAMESPACE, "delete", "pod", &before, "--wait=false"]).await?;
        }
        cluster.apply(&web("new", index), "handover").await?;
        let edited = web("old", index).replace("replicas: 1", "replicas: 1\n  env: [{name: GREETING, value: moin}]");
        cluster.apply(&edited, "handover").await?;
    }
    for name in (0..APPS).flat_map(|index| [format!("new-{index}"), format!("old-{index}")]) {
        ready(&cluster, "handover", &name).await?;
    }
    let after = eventually(DEADLINE, "another pod to lead", || async {
        let now = leader(&cluster).await?;
        Ok((now != before).then_some(now))
    });
    after.await?;
    // Every child of a new App was made once, and of an edited one the Deployment alone was changed, once.
    let mut contents = contents_written(&cluster, mark)?;
    // What a new leader applies although it stands so already changes nothing either.
    for (child, contents) in &mut contents {
        contents.retain(|content| !made.get(child).is_some_and(|made| made.contains(content)));
    }
    contents.retain(|_, contents| !contents.is_empty());
    ensure!(contents.len() == APPS * 3 + APPS, "written were {:?}", contents.keys());
    for (child, contents) in contents {
        ensure!(contents.len() == 1, "{child} was changed {} times: {contents:#?}", contents.len());
    }
    cluster.operator_available().await
}

fn web(prefix: &str, index: usize) -> String {
    WEB.replace("name: web", &format!("name: {prefix}-{index}")).replace("replicas: 2", "replicas: 1")
}

/// What the operator's writes made of each child, as the API server answered. A new leader may not have seen the last write
/// of the one before and apply the same once more: that changes nothing. Versions don't tell, as the answer to a write that
/// changes nothing has the version that the Deployment controller's last status has made.
fn contents_written(cluster: &NodeCluster, mark: Mark) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let mut contents: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for event in cluster.audit().since(mark)? {
        let child = event.user.ends_with(":moorage-system:moorage")
            && matches!(event.resource.as_str(), "deployments" | "services" | "serviceaccounts");
        if child
            && event.namespace == "handover"
            && event.is_write()
            && event.subresource.is_empty()
            && event.code < 300
        {
            let content = without_the_work_of_others(event.response_object.unwrap_or_default());
            contents.entry(format!("{} {}", event.resource, event.name)).or_default().insert(content.to_string());
        }
    }
    Ok(contents)
}

/// The object less what controllers and the API server itself write into it.
fn without_the_work_of_others(mut object: Value) -> Value {
    for (place, field) in [
        ("", "status"),
        ("/metadata", "resourceVersion"),
        ("/metadata", "managedFields"),
        ("/metadata/annotations", "deployment.kubernetes.io/revision"),
    ] {
        if let Some(map) = object.pointer_mut(place).and_then(Value::as_object_mut) {
            map.remove(field);
        }
    }
    object
}
