//! Deployment strategies, written so that one can follow the other.

use k8s_openapi::api::apps::v1::{DeploymentStrategy, RollingUpdateDeployment};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// With this `progressDeadlineSeconds` a rollout may take for ever: the Deployment controller forgets what it said of it, and with another
/// one judges it from then on.
pub const NO_DEADLINE: i32 = i32::MAX;

/// Old pods go before new ones come.
pub fn recreate() -> DeploymentStrategy {
    DeploymentStrategy { type_: Some("Recreate".to_owned()), rolling_update: None }
}

/// New pods replace old ones step by step. Both limits are always written, at Kubernetes' own default of a quarter: a
/// limit that is not ours would stay behind, and be refused, when the strategy becomes Recreate.
pub fn rolling_update(max_surge: Option<&IntOrString>, max_unavailable: Option<&IntOrString>) -> DeploymentStrategy {
    let or_quarter =
        |limit: Option<&IntOrString>| Some(limit.cloned().unwrap_or_else(|| IntOrString::String("25%".to_owned())));
    DeploymentStrategy {
        type_: Some("RollingUpdate".to_owned()),
        rolling_update: Some(RollingUpdateDeployment {
            max_surge: or_quarter(max_surge),
            max_unavailable: or_quarter(max_unavailable),
        }),
    }
}
