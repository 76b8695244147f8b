//! What the user is told about a Registry.

use super::build::config::PORT;
use super::build::pod::CONTAINER;
use super::validate::secret_name;
use crate::api::Registry;
use crate::api::registry::{RegistryEndpoint, RegistryStatus};
use crate::core::advice::Author;
use crate::core::conditions::{Summary, merge};
use crate::core::kind::ParentKind;
use crate::core::observed::Observed;
use crate::core::parent::Parent;
use crate::core::plan::{Outcome, Plan};
use crate::core::reason::Reason;
use crate::core::sharing::Unshared;
use crate::core::status::{Running, of_children, of_outcome};
use crate::core::{leaving, sharing, storage};
use jiff::Timestamp;

/// The status of a Registry after its plan was carried out.
pub fn status(
    registry: &Registry,
    plan: &Plan,
    outcome: &Outcome,
    observed: &Observed,
    now: Timestamp,
) -> RegistryStatus {
    let identity = registry.identity();
    let author = Author { kind: ParentKind::Registry, container: CONTAINER, beside: [&[], &[]] };
    let running = Running::of(&identity, author, plan, observed, now);
    let workload = running.workload;
    let wanted = running.conditions(&summary(registry, plan, outcome, observed, &running));
    let old = registry.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    RegistryStatus {
        observed_generation: Some(identity.generation),
        conditions: merge(old, wanted, identity.generation, now),
        endpoint: Some(RegistryEndpoint { internal: format!("{}.{}.svc:{PORT}", identity.name, identity.namespace) }),
        ready_replicas: workload.map(|workload| workload.ready),
        children: running.children(&identity, plan, outcome, observed),
        problems: running.problems.told,
    }
}

fn summary(registry: &Registry, plan: &Plan, outcome: &Outcome, observed: &Observed, running: &Running<'_>) -> Summary {
    of_outcome(plan, outcome, observed)
        .or_else(|| leaving::summary(&registry.identity(), &registry.metadata, observed, running.worst()))
        .or_else(|| storage::not_ready(&registry.identity(), &registry.references(), plan, observed))
        .or_else(|| of_children(plan, observed))
        .or_else(|| secret_missing(registry, plan, outcome, running))
        .unwrap_or_else(|| {
            let claim = registry.spec.storage.claim.iter().filter_map(|claim| Unshared::known(&claim.name, observed));
            sharing::summary(claim, running.workload, observed, running.summary())
        })
}

/// Several pods without a shared secret refuse to go on with each other's uploads, so pushes fail now and then. Pods read
/// the secret when they start, which is why those that run must be restarted once it is there.
fn secret_missing(registry: &Registry, plan: &Plan, outcome: &Outcome, running: &Running<'_>) -> Option<Summary> {
    let replicas = registry.spec.replicas.or_else(|| running.workload.map(|workload| workload.desired))?;
    if replicas <= 1 || !plan.once.is_empty() && outcome.unmade.is_none() {
        return None;
    }
    let (name, secret) = (running.name, secret_name(&registry.identity()));
    let why = outcome.unmade.as_deref().unwrap_or(
        "the operator may not make Secrets, or has no key to derive them from; its log says which, and what is wrong with Secret \
         moorage-key in its namespace",
    );
    let message = format!(
        "{replicas} replicas must share Secret {secret}: {why}. Apply deploy/components/registry-secrets (where only some \
         namespaces are watched, deploy/namespaced/tenant.yaml in this one), then restart the pods (kubectl rollout restart \
         deployment/{name}); or set spec.replicas to 1, which works without"
    );
    Some(Summary::Stalled(Reason::SecretAccessMissing, message))
}
