//! Strict field validation: a field that the built-in type does not know is refused.
//!
//! Decodes into the `k8s-openapi` type and encodes again; a field that does not come
//! back was not part of the type.

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    autoscaling::v2::HorizontalPodAutoscaler,
    batch::v1::{CronJob, Job},
    coordination::v1::Lease,
    core::v1::{ConfigMap, PersistentVolumeClaim, Secret, Service, ServiceAccount},
    networking::v1::{Ingress, NetworkPolicy},
    policy::v1::PodDisruptionBudget,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::resource::Resource;

/// Refuses a body with an unknown or mistyped field.
pub(crate) fn check(resource: &Resource, body: &Value) -> Result<(), String> {
    if resource.custom {
        return Ok(());
    }
    match resource.kind.as_str() {
        "ConfigMap" => round_trip::<ConfigMap>(body),
        "CronJob" => round_trip::<CronJob>(body),
        "Deployment" => round_trip::<Deployment>(body),
        "HorizontalPodAutoscaler" => round_trip::<HorizontalPodAutoscaler>(body),
        "Ingress" => round_trip::<Ingress>(body),
        "Job" => round_trip::<Job>(body),
        "Lease" => round_trip::<Lease>(body),
        "NetworkPolicy" => round_trip::<NetworkPolicy>(body),
        "PersistentVolumeClaim" => round_trip::<PersistentVolumeClaim>(body),
        "PodDisruptionBudget" => round_trip::<PodDisruptionBudget>(body),
        "Secret" => round_trip::<Secret>(body),
        "Service" => round_trip::<Service>(body),
        "ServiceAccount" => round_trip::<ServiceAccount>(body),
        "StatefulSet" => round_trip::<StatefulSet>(body),
        _ => Ok(()),
    }
}

fn round_trip<K: DeserializeOwned + Serialize>(body: &Value) -> Result<(), String> {
    let decoded: K = K::deserialize(body).map_err(|error| format!("failed to decode: {error}"))?;
    let encoded = serde_json::to_value(&decoded).map_err(|error| format!("failed to encode: {error}"))?;
    match lost(body, &encoded) {
        None => Ok(()),
        Some(path) => Err(format!("strict decoding error: unknown field \"{}\"", path.trim_start_matches('.'))),
    }
}

/// The first field of `body` that `known` lacks.
fn lost(body: &Value, known: &Value) -> Option<String> {
    match (body, known) {
        (Value::Object(body), Value::Object(known)) => {
            body.iter().filter(|(_, value)| !value.is_null()).find_map(|(key, value)| match known.get(key) {
                None => Some(format!(".{key}")),
                Some(other) => lost(value, other).map(|rest| format!(".{key}{rest}")),
            })
        }
        (Value::Array(body), Value::Array(known)) => {
            let pairs = body.iter().zip(known).enumerate();
            pairs.into_iter().find_map(|(at, (value, other))| Some(format!("[{at}]{}", lost(value, other)?)))
        }
        _ => None,
    }
}
