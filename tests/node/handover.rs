//! The leader's pod is deleted while Apps change: nothing is lost, and nobody acts twice.

use crate::install::leader;
use crate::support::*;
use anyhow::{Result, ensure};
use moorage_harness::node::{NodeCluster, OPERATOR_NAMESPACE};
use moorage_harness::{Mark, eventually};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// So many Apps are there before and are edited meanwhile, and as many are new.
const APPS: usize = 4;

pub async fn a_deleted_leader_loses_nothing(cluster: Arc<NodeCluster>) -> Result<()> {
    namespace(&cluster, "handover").await?;
    for index in 0..APPS {
        cluster.apply(&web("old", index), "handover").await?;
    }
    for index in 0..APPS {
        ready(&cluster, "handover", &format!("old-{index}")).await?;
    }
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
    let versions = versions_written(&cluster, mark)?;
    ensure!(versions.len() == APPS * 3 + APPS, "written were {versions:?}");
    ensure!(versions.values().all(|versions| versions.len() == 1), "written more than once: {versions:?}");
    cluster.operator_available().await
}

fn web(prefix: &str, index: usize) -> String {
    WEB.replace("name: web", &format!("name: {prefix}-{index}")).replace("replicas: 2", "replicas: 1")
}

/// The versions that the operator's writes gave to each child. A write that changes nothing gives no new one, and one that is
/// refused, as a second creation is, gives none at all.
fn versions_written(cluster: &NodeCluster, mark: Mark) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for event in cluster.audit().since(mark)? {
        let child = event.user.ends_with(":moorage-system:moorage")
            && matches!(event.resource.as_str(), "deployments" | "services" | "serviceaccounts");
        if child
            && event.namespace == "handover"
            && event.is_write()
            && event.subresource.is_empty()
            && event.code < 300
        {
            let version = event.response_object.unwrap_or_default()["metadata"]["resourceVersion"].to_string();
            versions.entry(format!("{} {}", event.resource, event.name)).or_default().insert(version);
        }
    }
    Ok(versions)
}
