//! kstatus, the standard by which Flux and others read any object: the rules of sigs.k8s.io/cli-utils, `pkg/kstatus`.

use serde_json::Value;

/// What it makes of an object.
pub fn kstatus(object: &Value) -> &'static str {
    let status = &object["status"];
    let conditions = || status["conditions"].as_array().into_iter().flatten();
    let is = |type_: &str, value: &str| conditions().any(|one| one["type"] == type_ && one["status"] == value);
    let is_observed =
        status["observedGeneration"].is_null() || status["observedGeneration"] == object["metadata"]["generation"];
    if !object["metadata"]["deletionTimestamp"].is_null() {
        "Terminating"
    } else if !is_observed || is("Reconciling", "True") {
        "InProgress"
    } else if is("Stalled", "True") {
        "Failed"
    } else if conditions().any(|one| one["type"] == "Ready") && !is("Ready", "True") {
        "InProgress"
    } else {
        "Current"
    }
}
