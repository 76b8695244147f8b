//! `Registry` → `ConfigMap`, `Secret`, `StorageClaim`, `Service` and `Deployment`.
//!
//! [`plan`](Parent::plan) validates once and hands the result to one builder per object. Nothing is ever pruned: the kinds
//! of a Registry's children don't depend on its spec, except the claim, which is kept.

pub mod build;
mod status;
#[cfg(test)]
mod tests;
pub mod validate;

use crate::api::Registry;
use crate::api::registry::RegistryStatus;
use crate::core::facts::Workload;
use crate::core::kind::{ChildKind, ParentKind};
use crate::core::observed::Observed;
use crate::core::parent::Parent;
use crate::core::plan::{Outcome, Plan, PlanSettings};
use crate::core::reference::Reference;
use crate::core::{problems, storage};
use build::config::{config, config_map, worth_a_restart};
use build::deployment::deployment;
use build::secret::secret;
use build::service::service;
use build::storage_claim::storage_claim;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use validate::{ValidRegistry, claims, validate};

impl Parent for Registry {
    const KIND: ParentKind = ParentKind::Registry;
    type Status = RegistryStatus;

    fn plan(&self, observed: &Observed, settings: &PlanSettings, now: Timestamp) -> Plan {
        let plan = match validate(self, observed) {
            // What is left of it is the garbage collector's.
            _ if self.identity().deleting => Plan::default(),
            Ok(valid) => plan(&valid, observed, settings),
            Err(invalid) => Plan { invalid, ..Plan::default() },
        };
        Plan { requeue: problems::next_change(&observed.pods, now), ..plan }
    }

    fn status(&self, plan: &Plan, outcome: &Outcome, observed: &Observed, now: Timestamp) -> RegistryStatus {
        status::status(self, plan, outcome, observed, now)
    }

    fn current_status(&self) -> Option<&RegistryStatus> {
        self.status.as_ref()
    }

    fn conditions(status: &RegistryStatus) -> &[Condition] {
        &status.conditions
    }

    fn references(&self) -> Vec<Reference> {
        claims(self)
    }
}

fn plan(registry: &ValidRegistry<'_>, observed: &Observed, settings: &PlanSettings) -> Plan {
    let mut plan = Plan::default();
    let (config, essence) = match config(registry).and_then(|text| Ok((text, worth_a_restart(registry)?))) {
        Ok(config) => config,
        Err(error) => {
            plan.invalid.push(format!("{}: {error}", ChildKind::ConfigMap));
            return plan;
        }
    };
    plan.apply(ChildKind::ConfigMap, &config_map(registry, &config));
    if let Some(claim) = storage_claim(registry) {
        plan.apply_declared(ChildKind::StorageClaim, &claim, "spec.storage.volume".to_owned());
    }
    plan.apply(ChildKind::Deployment, &deployment(registry, observed, settings, &essence));
    plan.apply(ChildKind::Service, &service(registry));
    if let Some(secret) = settings.secret_key.and_then(|key| secret(registry, &key)) {
        // Pods read it when they start; one that somebody deleted is made again then.
        let runs = observed.workload(&registry.identity.name).is_some_and(Workload::is_complete);
        let stands = plan.object(ChildKind::Deployment, &registry.identity.name).is_some_and(|it| observed.agrees(it));
        plan.make(ChildKind::Secret, &secret, !(observed.made && runs && stands));
    }
    storage::hold_until_owned(&mut plan, &registry.identity, observed);
    plan
}
