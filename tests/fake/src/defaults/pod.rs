//! Defaults of pods and pod templates.

use serde_json::{Value, json};

use super::{each, fill, inside};

/// A pod of its own: the template's defaults and those that only pods get.
pub(super) fn pod(object: &mut Value) {
    template(object);
    inside(object, "spec", |spec| {
        fill(spec, "enableServiceLinks", &json!(true));
        fill(spec, "serviceAccountName", &json!("default"));
        fill(spec, "serviceAccount", &json!("default"));
        fill(spec, "preemptionPolicy", &json!("PreemptLowerPriority"));
        fill(spec, "priority", &json!(0));
    });
    fill(object, "status", &json!({"phase": "Pending", "qosClass": "BestEffort"}));
}

/// A pod template, in a workload's spec.
pub(super) fn template(template: &mut Value) {
    fill(template, "metadata", &json!({}));
    inside(template, "spec", |spec| {
        fill(spec, "restartPolicy", &json!("Always"));
        fill(spec, "terminationGracePeriodSeconds", &json!(30));
        fill(spec, "dnsPolicy", &json!("ClusterFirst"));
        fill(spec, "securityContext", &json!({}));
        fill(spec, "schedulerName", &json!("default-scheduler"));
        // The deprecated twin mirrors the name, and brings it back when only the twin is left:
        // a manager that stops to apply serviceAccountName does not get rid of it.
        if let Some(account) = spec.get("serviceAccountName").cloned() {
            spec["serviceAccount"] = account;
        } else if let Some(account) = spec.get("serviceAccount").cloned() {
            spec["serviceAccountName"] = account;
        }
        for list in ["initContainers", "containers"] {
            each(spec, list).for_each(container);
        }
        each(spec, "volumes").for_each(volume);
    });
}

fn container(container: &mut Value) {
    let policy = pull_policy(container["image"].as_str().unwrap_or_default());
    fill(container, "imagePullPolicy", &json!(policy));
    fill(container, "terminationMessagePath", &json!("/dev/termination-log"));
    fill(container, "terminationMessagePolicy", &json!("File"));
    fill(container, "resources", &json!({}));
    for port in each(container, "ports") {
        fill(port, "protocol", &json!("TCP"));
    }
    for variable in each(container, "env") {
        inside(variable, "valueFrom", field_source);
    }
    for kind in ["livenessProbe", "readinessProbe", "startupProbe"] {
        inside(container, kind, probe);
    }
    inside(container, "lifecycle", |lifecycle| {
        for hook in ["postStart", "preStop"] {
            inside(lifecycle, hook, |handler| {
                inside(handler, "httpGet", http_get);
            });
        }
    });
}

/// `Always` for a floating `latest`, else `IfNotPresent`.
fn pull_policy(image: &str) -> &'static str {
    let last = image.rsplit('/').next().unwrap_or(image);
    match (last.contains('@'), last.split_once(':')) {
        (false, None | Some((_, "latest"))) => "Always",
        _ => "IfNotPresent",
    }
}

fn probe(probe: &mut Value) {
    fill(probe, "timeoutSeconds", &json!(1));
    fill(probe, "periodSeconds", &json!(10));
    fill(probe, "successThreshold", &json!(1));
    fill(probe, "failureThreshold", &json!(3));
    inside(probe, "httpGet", http_get);
    inside(probe, "grpc", |grpc| fill(grpc, "service", &json!("")));
}

fn http_get(action: &mut Value) {
    fill(action, "path", &json!("/"));
    fill(action, "scheme", &json!("HTTP"));
}

fn field_source(source: &mut Value) {
    inside(source, "fieldRef", |field| {
        fill(field, "apiVersion", &json!("v1"));
    });
    inside(source, "resourceFieldRef", |field| {
        fill(field, "divisor", &json!("0"));
    });
}

const SOURCES: [&str; 12] = [
    "secret",
    "configMap",
    "projected",
    "downwardAPI",
    "hostPath",
    "persistentVolumeClaim",
    "ephemeral",
    "emptyDir",
    "csi",
    "nfs",
    "image",
    "iscsi",
];

fn volume(volume: &mut Value) {
    if !SOURCES.iter().any(|source| volume.get(source).is_some()) {
        fill(volume, "emptyDir", &json!({}));
    }
    for kind in ["secret", "configMap", "projected", "downwardAPI"] {
        inside(volume, kind, |source| {
            fill(source, "defaultMode", &json!(420));
        });
    }
    inside(volume, "hostPath", |source| {
        fill(source, "type", &json!(""));
    });
    inside(volume, "image", |source| {
        let policy = pull_policy(source["reference"].as_str().unwrap_or_default());
        fill(source, "pullPolicy", &json!(policy));
    });
    inside(volume, "downwardAPI", |source| {
        each(source, "items").for_each(field_source);
    });
    inside(volume, "projected", |projected| {
        for source in each(projected, "sources") {
            inside(source, "serviceAccountToken", |token| {
                fill(token, "expirationSeconds", &json!(3600));
            });
            inside(source, "downwardAPI", |api| {
                each(api, "items").for_each(field_source);
            });
        }
    });
    inside(volume, "ephemeral", |source| {
        inside(source, "volumeClaimTemplate", |claim| {
            fill(claim, "metadata", &json!({}));
            inside(claim, "spec", |spec| {
                fill(spec, "volumeMode", &json!("Filesystem"));
            });
        });
    });
}
