//! The operator is uninstalled by the commands of the README; nothing of it stays but the data.

use crate::support::*;
use anyhow::{Context, Result, ensure};
use moorage_harness::build::workspace;
use moorage_harness::node::NodeCluster;
use regex::Regex;
use serde_json::json;
use std::fs;
use std::sync::Arc;

pub async fn what_was_installed_goes_and_the_rest_stays(cluster: Arc<NodeCluster>) -> Result<()> {
    namespace(&cluster, "kept").await?;
    let app = format!("{WEB}    - {{name: data, mountPath: /data, storage: {{size: 1Gi}}}}\n")
        .replace("volumes: [{name: scratch, mountPath: /scratch, emptyDir: {}}]", "volumes:");
    cluster.apply(&app.replace("replicas: 2", "replicas: 1"), "kept").await?;
    ready(&cluster, "kept", "web").await?;
    let before = identities(&cluster, "kept", "web").await?;
    let volume = get(&cluster, "v1", "PersistentVolumeClaim", ("kept", "web-data")).await?["metadata"]["uid"].clone();
    for command in commands()? {
        let arguments: Vec<&str> = command.iter().map(String::as_str).collect();
        cluster.run_kubectl(&arguments).await?;
    }
    ensure!(identities(&cluster, "kept", "web").await? == before, "the pods were disturbed");
    let kept = get(&cluster, "v1", "PersistentVolumeClaim", ("kept", "web-data")).await?;
    ensure!(kept["metadata"]["uid"] == volume && kept["metadata"]["deletionTimestamp"] == json!(null), "{kept}");
    for kind in [
        "customresourcedefinitions",
        "clusterroles",
        "clusterrolebindings",
        "validatingadmissionpolicies",
        "namespaces",
    ] {
        let names = cluster.run_kubectl(&["get", kind, "--output=name"]).await?;
        ensure!(!names.contains("moorage"), "left are {names}");
    }
    Ok(())
}

/// The numbered commands of the README's section, one for each step. Files are named as from the repository's root.
fn commands() -> Result<Vec<Vec<String>>> {
    let readme = fs::read_to_string(workspace().join("README.md"))?;
    let section = readme.split("\n## ").find(|section| section.starts_with("Uninstall")).context("no such section")?;
    let steps = section.split("\n1. ").nth(1).context("no steps")?;
    let command = |step: &str| -> Result<Vec<String>> {
        let text = step.split("`kubectl ").nth(1).and_then(|rest| rest.split('`').next());
        let words = text.with_context(|| format!("no command in {step}"))?.split_whitespace();
        let file = |word: &str| workspace().join(word).display().to_string();
        Ok(words.map(|word| if word.starts_with("deploy/") { file(word) } else { word.to_owned() }).collect())
    };
    let found = Regex::new(r"\n\d\. ")?.split(steps).map(command).collect::<Result<Vec<_>>>()?;
    ensure!(found.len() == 5 && found.iter().all(|words| words.contains(&"delete".to_owned())), "{found:?}");
    Ok(found)
}
