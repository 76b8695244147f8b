//! Stand-in.
use crate::api::StorageClaim;
use crate::api::storage_claim::StorageClaimStatus;
use crate::core::observed::Observed;
use crate::core::plan::{Outcome, Parent, ParentKind, Plan, PlanSettings};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
impl Parent for StorageClaim {
    const KIND: ParentKind = ParentKind::StorageClaim;
    type Status = StorageClaimStatus;
    fn plan(&self, _: &Observed, _: &PlanSettings) -> Plan { Plan::default() }
    fn status(&self, _: &Plan, _: &Outcome, _: &Observed, _: Timestamp) -> StorageClaimStatus { StorageClaimStatus::default() }
    fn current_status(&self) -> Option<&StorageClaimStatus> { self.status.as_ref() }
    fn conditions(status: &StorageClaimStatus) -> &[Condition] { &status.conditions }
    fn claims(&self) -> Vec<String> { Vec::new() }
}
