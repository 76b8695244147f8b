//! What the real server does to a built-in object while it decodes it: zero values that
//! Go omits disappear, quantities take canonical form, and defaults are filled in
//! (`pkg/apis/*/v1/defaults.go`). Custom resources are stored as they were sent.

mod omit;
mod pod;

use serde_json::{Value, json};

use crate::resource::Resource;

/// Brings a built-in object into the form in which the server holds it.
pub(crate) fn normalise(resource: &Resource, object: &mut Value) {
    if resource.custom {
        // Metadata is typed in every resource.
        inside(object, "metadata", omit::zero_values);
        return;
    }
    omit::zero_values(object);
    match resource.kind.as_str() {
        "Deployment" => deployment(object),
        "StatefulSet" => stateful_set(object),
        "Pod" => pod::pod(object),
        "Job" => inside(object, "spec", job),
        "CronJob" => cron_job(object),
        "Service" => service(object),
        "PersistentVolumeClaim" => claim(object),
        "StorageClass" => storage_class(object),
        "Secret" => secret(object),
        "NetworkPolicy" => network_policy(object),
        "HorizontalPodAutoscaler" => {
            inside(object, "spec", |spec| fill(spec, "minReplicas", &json!(1)));
            fill(object, "status", &json!({"desiredReplicas": 0, "currentMetrics": null}));
        }
        "PodDisruptionBudget" => {
            let none = json!({"currentHealthy": 0, "desiredHealthy": 0, "disruptionsAllowed": 0, "expectedPods": 0});
            fill(object, "status", &none);
        }
        "Event" if resource.group == "events.k8s.io" => {
            fill(object, "deprecatedSource", &json!({}));
        }
        "Ingress" => fill(object, "status", &json!({"loadBalancer": {}})),
        _ => {}
    }
    omit::quantities(object);
}

/// Sets `key` unless it is there; anything but a map is left alone.
fn fill(object: &mut Value, key: &str, default: &Value) {
    if let Some(map) = object.as_object_mut() {
        map.entry(key).or_insert_with(|| default.clone());
    }
}

fn each<'a>(object: &'a mut Value, list: &str) -> impl Iterator<Item = &'a mut Value> {
    object.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten()
}

fn inside(object: &mut Value, key: &str, change: impl FnOnce(&mut Value)) {
    if let Some(child) = object.get_mut(key) {
        change(child);
    }
}

fn deployment(object: &mut Value) {
    inside(object, "spec", |spec| {
        fill(spec, "replicas", &json!(1));
        fill(spec, "revisionHistoryLimit", &json!(10));
        fill(spec, "progressDeadlineSeconds", &json!(600));
        fill(spec, "strategy", &json!({"type": "RollingUpdate"}));
        inside(spec, "strategy", |strategy| {
            fill(strategy, "type", &json!("RollingUpdate"));
            if strategy["type"] == "RollingUpdate" {
                fill(strategy, "rollingUpdate", &json!({}));
                inside(strategy, "rollingUpdate", |rolling| {
                    fill(rolling, "maxUnavailable", &json!("25%"));
                    fill(rolling, "maxSurge", &json!("25%"));
                });
            }
        });
        inside(spec, "template", pod::template);
    });
    fill(object, "status", &json!({}));
}

fn stateful_set(object: &mut Value) {
    inside(object, "spec", |spec| {
        fill(spec, "replicas", &json!(1));
        fill(spec, "revisionHistoryLimit", &json!(10));
        fill(spec, "podManagementPolicy", &json!("OrderedReady"));
        fill(spec, "updateStrategy", &json!({"type": "RollingUpdate"}));
        inside(spec, "updateStrategy", |strategy| {
            if strategy["type"] == "RollingUpdate" {
                fill(strategy, "rollingUpdate", &json!({}));
                inside(strategy, "rollingUpdate", |rolling| {
                    fill(rolling, "partition", &json!(0));
                });
            }
        });
        fill(spec, "persistentVolumeClaimRetentionPolicy", &json!({"whenDeleted": "Retain", "whenScaled": "Retain"}));
        for template in each(spec, "volumeClaimTemplates") {
            fill(template, "apiVersion", &json!("v1"));
            fill(template, "kind", &json!("PersistentVolumeClaim"));
            claim(template);
        }
        inside(spec, "template", pod::template);
    });
    fill(object, "status", &json!({"replicas": 0, "availableReplicas": 0}));
}

fn job(spec: &mut Value) {
    fill(spec, "completions", &json!(1));
    fill(spec, "parallelism", &json!(1));
    fill(spec, "backoffLimit", &json!(6));
    fill(spec, "completionMode", &json!("NonIndexed"));
    fill(spec, "suspend", &json!(false));
    fill(spec, "podReplacementPolicy", &json!("TerminatingOrFailed"));
    inside(spec, "template", pod::template);
}

fn cron_job(object: &mut Value) {
    inside(object, "spec", |spec| {
        fill(spec, "concurrencyPolicy", &json!("Allow"));
        fill(spec, "suspend", &json!(false));
        fill(spec, "successfulJobsHistoryLimit", &json!(3));
        fill(spec, "failedJobsHistoryLimit", &json!(1));
        // A job template gets the pod defaults but not those of the Job, as upstream.
        inside(spec, "jobTemplate", |job| {
            fill(job, "metadata", &json!({}));
            inside(job, "spec", |spec| inside(spec, "template", pod::template));
        });
    });
    fill(object, "status", &json!({}));
}

fn service(object: &mut Value) {
    inside(object, "spec", |spec| {
        fill(spec, "type", &json!("ClusterIP"));
        fill(spec, "sessionAffinity", &json!("None"));
        if spec["sessionAffinity"] == "ClientIP" {
            fill(spec, "sessionAffinityConfig", &json!({"clientIP": {"timeoutSeconds": 10800}}));
        }
        let kind = spec["type"].as_str().unwrap_or_default().to_owned();
        if kind != "ExternalName" {
            fill(spec, "internalTrafficPolicy", &json!("Cluster"));
        }
        if matches!(kind.as_str(), "NodePort" | "LoadBalancer") {
            fill(spec, "externalTrafficPolicy", &json!("Cluster"));
        }
        if kind == "LoadBalancer" {
            fill(spec, "allocateLoadBalancerNodePorts", &json!(true));
        }
        for port in each(spec, "ports") {
            fill(port, "protocol", &json!("TCP"));
            let number = port["port"].clone();
            fill(port, "targetPort", &number);
        }
    });
    fill(object, "status", &json!({}));
    inside(object, "status", |status| {
        fill(status, "loadBalancer", &json!({}));
    });
}

fn claim(object: &mut Value) {
    inside(object, "spec", |spec| {
        fill(spec, "volumeMode", &json!("Filesystem"));
        fill(spec, "resources", &json!({}));
        // The two spellings of a data source mirror each other.
        if let Some(source) = spec.get("dataSource").cloned() {
            fill(spec, "dataSourceRef", &source);
        }
    });
    fill(object, "status", &json!({}));
    inside(object, "status", |status| {
        fill(status, "phase", &json!("Pending"));
    });
}

fn storage_class(object: &mut Value) {
    fill(object, "reclaimPolicy", &json!("Delete"));
    fill(object, "volumeBindingMode", &json!("Immediate"));
}

fn secret(object: &mut Value) {
    fill(object, "type", &json!("Opaque"));
    let Some(texts) = object.as_object_mut().and_then(|map| map.remove("stringData")) else {
        return;
    };
    fill(object, "data", &json!({}));
    for (key, text) in texts.as_object().into_iter().flatten() {
        let bytes = k8s_openapi::ByteString(text.as_str().unwrap_or_default().as_bytes().to_vec());
        object["data"][key] = json!(bytes);
    }
}

fn network_policy(object: &mut Value) {
    inside(object, "spec", |spec| {
        let egress = spec.get("egress").is_some();
        let types = if egress { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) };
        fill(spec, "policyTypes", &types);
        for direction in ["ingress", "egress"] {
            for rule in each(spec, direction) {
                for port in each(rule, "ports") {
                    fill(port, "protocol", &json!("TCP"));
                }
            }
        }
    });
}
