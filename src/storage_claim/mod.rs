//! `StorageClaim` → `PersistentVolumeClaim` of the same name.
//!
//! Each question has a file: whose data it is ([`retention`]), which size is asked for ([`expansion`]), what an unbound
//! volume waits for (`binding`).

mod binding;
pub mod build;
pub mod expansion;
pub mod retention;
mod status;
#[cfg(test)]
mod tests;
pub mod validate;

use crate::api::StorageClaim;
use crate::api::storage_claim::StorageClaimStatus;
use crate::core::kind::{ChildKind, ParentKind};
use crate::core::object::Former;
use crate::core::observed::Observed;
use crate::core::parent::Parent;
use crate::core::plan::{Outcome, Plan, PlanSettings};
use crate::core::reference::Reference;
use build::pvc::pvc;
use expansion::Sizing;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use retention::Holding;
use serde_json::Value;
use validate::{ValidClaim, validate};

impl Parent for StorageClaim {
    const KIND: ParentKind = ParentKind::StorageClaim;
    type Status = StorageClaimStatus;

    fn plan(&self, observed: &Observed, _settings: &PlanSettings, _now: Timestamp) -> Plan {
        if self.identity().deleting {
            return retention::farewell(self, observed);
        }
        match validate(self) {
            Ok(valid) => {
                let mut plan = plan(&valid, Holding::of(self, observed), observed);
                let former = retention::former(self, observed);
                for object in &mut plan.objects {
                    object.declared = Some("spec".into());
                    object.follows = former.map(|volume| Former::Volume(volume.into()));
                }
                Plan { finalizer: retention::finalizer(self), ..plan }
            }
            Err(invalid) => Plan { invalid, ..Plan::default() },
        }
    }

    fn status(&self, plan: &Plan, outcome: &Outcome, observed: &Observed, now: Timestamp) -> StorageClaimStatus {
        status::status(self, plan, outcome, observed, now)
    }

    fn current_status(&self) -> Option<&StorageClaimStatus> {
        self.status.as_ref()
    }

    fn conditions(status: &StorageClaimStatus) -> &[Condition] {
        &status.conditions
    }

    fn references(&self) -> Vec<Reference> {
        Vec::new()
    }

    fn departing(body: &Value) -> Option<Self> {
        retention::departing(body)
    }
}

fn plan(claim: &ValidClaim<'_>, holding: Holding<'_>, observed: &Observed) -> Plan {
    let mut plan = Plan::default();
    if holding == Holding::Retained {
        return plan;
    }
    let request = holding.volume().map_or(claim.spec.size.as_str(), |volume| {
        Sizing::of(claim, volume, observed.classes.as_ref()).request(claim, volume)
    });
    let wanted = pvc(claim, &holding, request);
    if claim.spec.adopt {
        plan.adopt(ChildKind::PersistentVolumeClaim, &wanted);
    } else {
        plan.apply(ChildKind::PersistentVolumeClaim, &wanted);
    }
    plan
}
