//! Stand-in.
use crate::api::Registry;
use crate::api::registry::RegistryStatus;
use crate::core::observed::Observed;
use crate::core::plan::{Outcome, Parent, ParentKind, Plan, PlanSettings};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
impl Parent for Registry {
    const KIND: ParentKind = ParentKind::Registry;
    type Status = RegistryStatus;
    fn plan(&self, _: &Observed, _: &PlanSettings) -> Plan {
        Plan::default()
    }
    fn status(&self, _: &Plan, _: &Outcome, _: &Observed, _: Timestamp) -> RegistryStatus {
        RegistryStatus::default()
    }
    fn current_status(&self) -> Option<&RegistryStatus> {
        self.status.as_ref()
    }
    fn conditions(status: &RegistryStatus) -> &[Condition] {
        &status.conditions
    }
    fn claims(&self) -> Vec<String> {
        Vec::new()
    }
}
