//! What a cluster has besides its processes: the Services in front of those that pods and kube-apiserver ask, the
//! metrics API, and a default storage class.

use std::{fs, path::Path};

use anyhow::{Result, ensure};
use k8s_openapi::{ByteString, apimachinery::pkg::apis::meta::v1::APIResourceList};
use serde_json::{Value, json};

use super::{
    ADDRESS,
    components::{DNS_SERVICE, METRICS_PORT, STORAGE_NAMESPACE},
};
use crate::{
    access::Access, cluster::START_DEADLINE, control_plane::until_pods_may_be_made, install::namespace_object,
    wait::eventually,
};

/// Applies it all and waits until pods may be made and the metrics API answers.
pub async fn furnish(access: &Access, authority: &Path) -> Result<()> {
    let system = "kube-system";
    for object in host_service("kube-dns", Some(DNS_SERVICE), &[("dns", "UDP", 53, 53), ("dns-tcp", "TCP", 53, 53)]) {
        access.apply_object(object, system).await?;
    }
    for object in host_service("metrics-server", None, &[("https", "TCP", 443, METRICS_PORT)]) {
        access.apply_object(object, system).await?;
    }
    access.apply_object(metrics_api(fs::read(authority)?), "").await?;
    access.apply_object(namespace_object(STORAGE_NAMESPACE), "").await?;
    access.apply_object(volume_scripts(), STORAGE_NAMESPACE).await?;
    access.apply_object(storage_class(), "").await?;
    until_pods_may_be_made(access, 1).await?;
    eventually(START_DEADLINE, "the metrics API to be served", || async {
        let request = http::Request::get("/apis/metrics.k8s.io/v1beta1").body(Vec::new())?;
        let list: APIResourceList = access.client().request(request).await?;
        ensure!(!list.resources.is_empty(), "it lists nothing");
        Ok(Some(()))
    })
    .await
}

/// A Service without selector for a process on the node: name, protocol, port and the process's port for each port.
fn host_service(name: &str, address: Option<&str>, ports: &[(&str, &str, u16, u16)]) -> [Value; 2] {
    let service_ports: Vec<Value> = ports
        .iter()
        .map(|(name, protocol, port, target)| json!({"name": name, "protocol": protocol, "port": port, "targetPort": target}))
        .collect();
    let slice_ports: Vec<Value> = ports
        .iter()
        .map(|(name, protocol, _, target)| json!({"name": name, "protocol": protocol, "port": target}))
        .collect();
    let mut spec = json!({"ports": service_ports});
    if let Some(address) = address {
        spec["clusterIP"] = address.into();
    }
    [
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}),
        json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": format!("{name}-node"), "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [ADDRESS], "conditions": {"ready": true}}],
            "ports": slice_ports,
        }),
    ]
}

fn metrics_api(authority: Vec<u8>) -> Value {
    json!({
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": "v1beta1.metrics.k8s.io"},
        "spec": {
            "group": "metrics.k8s.io",
            "version": "v1beta1",
            "service": {"name": "metrics-server", "namespace": "kube-system"},
            "caBundle": ByteString(authority),
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
        },
    })
}

/// What the provisioner's pods run for a claim that comes and one that goes.
fn volume_scripts() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "local-path-config"},
        "data": {
            "setup": "#!/bin/sh\nset -eu\nmkdir -m 0777 -p \"$VOL_DIR\"\n",
            "teardown": "#!/bin/sh\nset -eu\nrm -rf \"$VOL_DIR\"\n",
        },
    })
}

/// The class of claims that name none. A volume is made on the node of the first pod that asks for it.
fn storage_class() -> Value {
    json!({
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": "local-path",
            "annotations": {
                "storageclass.kubernetes.io/is-default-class": "true",
                // Of the two types it can make, this is the one whose files get the pod's fsGroup.
                "defaultVolumeType": "local",
            },
        },
        "provisioner": "rancher.io/local-path",
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer",
    })
}
