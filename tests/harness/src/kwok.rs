//! What kwok plays: the fake nodes, their pods, and the volumes of two storage classes.

use std::fs;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::{build::Assets, modules::STAGES, work_dir::WorkDir};

/// Provisions and grows volumes.
const MORE_STAGES: &str = include_str!("stages.yaml");
/// What the first of them stands for: kwok's stage writes into whatever claim has the name by then, also the next one.
const PROVISION: &str = "pvc-provision.yaml";

/// How kwok's volume stages recognise a claim or volume of theirs.
const OWN_CLASS: &str = "self.spec.storageClassName == 'kwok-volume'";
const BOTH_CLASSES: &str = "self.spec.storageClassName in ['kwok-volume', 'kwok-wait']";
/// kwok's flags; writes the stage file they name.
pub fn arguments(assets: &Assets, work: &WorkDir, kubeconfig: &str) -> Result<Vec<String>> {
    let stages = work.write("stages.yaml", &stages(assets)?)?;
    Ok(vec![
        format!("--kubeconfig={kubeconfig}"),
        format!("--config={}", stages.display()),
        "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake".into(),
        // With leases, a kwok started after a kill would wait 40 s for its predecessor's to run out.
        "--node-lease-duration-seconds=0".into(),
        "--cidr=10.244.0.0/16".into(),
    ])
}

/// kwok's own stage files as one document stream, taught about the second storage class.
fn stages(assets: &Assets) -> Result<String> {
    let folder = assets.folder(STAGES)?;
    let mut all = String::from(MORE_STAGES);
    let mut names: Vec<_> = fs::read_dir(&folder)
        .with_context(|| format!("reading kwok's stages in {}", folder.display()))?
        .collect::<std::io::Result<Vec<_>>>()?;
    names.sort_by_key(std::fs::DirEntry::file_name);
    let mut taught = 0;
    for entry in names {
        let text = fs::read_to_string(entry.path())?;
        if !text.contains("kind: Stage") || entry.file_name() == PROVISION {
            continue;
        }
        taught += text.matches(OWN_CLASS).count();
        all.push_str("\n---\n");
        all.push_str(&text.replace(OWN_CLASS, BOTH_CLASSES));
    }
    ensure!(taught == 3, "kwok's volume stages are not the known ones");
    Ok(all)
}

/// A fake node with the given index; its name is `node-<index>`.
pub fn node(index: usize) -> Value {
    let name = format!("node-{index}");
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {"kwok.x-k8s.io/node": "fake"},
            "labels": {
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
                "topology.kubernetes.io/region": "rig",
                "topology.kubernetes.io/zone": format!("zone-{}", index % 3),
            },
        },
    })
}

/// The default class `kwok-volume`, and `kwok-wait`, which waits for the first consumer.
pub fn storage_classes() -> [Value; 2] {
    let class = |name: &str, default: bool, mode: &str| {
        json!({
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {
                "name": name,
                "annotations": {"storageclass.kubernetes.io/is-default-class": default.to_string()},
            },
            "provisioner": "kwok.x-k8s.io/volume",
            "reclaimPolicy": "Delete",
            "allowVolumeExpansion": true,
            "volumeBindingMode": mode,
        })
    };
    [class("kwok-volume", true, "Immediate"), class("kwok-wait", false, "WaitForFirstConsumer")]
}
