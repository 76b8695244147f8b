//! The leader's pod is deleted while Apps change: nothing is lost, and nobody acts twice.

use crate::install::leader;
use crate::support::*;
use anyhow::{Result, ensure};
use moorage_harness::eventually;
use moorage_harness::node::{NodeCluster, OPERATOR_NAMESPACE};
use std::collections::BTreeMap;
use std::sync::Arc;

const APPS: usize = 8;

pub async fn a_deleted_leader_loses_nothing(cluster: Arc<NodeCluster>) -> Result<()> {
    namespace(&cluster, "handover").await?;
    let mark = cluster.audit().mark()?;
    let before = leader(&cluster).await?;
    for index in 0..APPS {
        if index == APPS / 2 {
            cluster.run_kubectl(&["-n", OPERATOR_NAMESPACE, "delete", "pod", &before, "--wait=false"]).await?;
        }
        let app = WEB.replace("name: web", &format!("name: web-{index}")).replace("replicas: 2", "replicas: 1");
        cluster.apply(&app, "handover").await?;
    }
    for index in 0..APPS {
        ready(&cluster, "handover", &format!("web-{index}")).await?;
    }
    let after = eventually(DEADLINE, "another pod to lead", || async {
        let now = leader(&cluster).await?;
        Ok((now != before).then_some(now))
    });
    after.await?;
    // Each child was made by exactly one request: none was forgotten, none was written by both.
    let mut written: BTreeMap<String, usize> = BTreeMap::new();
    for event in cluster.audit().since(mark)? {
        let child = event.user.ends_with(":moorage-system:moorage")
            && matches!(event.resource.as_str(), "deployments" | "services" | "serviceaccounts");
        if child && event.namespace == "handover" && event.is_write() && event.subresource.is_empty() {
            *written.entry(format!("{} {}", event.resource, event.name)).or_default() += 1;
        }
    }
    ensure!(written.len() == APPS * 3, "written were {written:?}");
    ensure!(written.values().all(|count| *count == 1), "written more than once: {written:?}");
    cluster.operator_available().await
}
