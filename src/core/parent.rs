//! A kind that users write, as the engine sees it.

use super::kind::{Identity, ParentKind};
use super::observed::Observed;
use super::plan::{Outcome, Plan, PlanSettings};
use super::reference::Reference;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Two pure functions and its status type.
pub trait Parent:
    kube::Resource<DynamicType = ()> + Serialize + DeserializeOwned + Clone + Send + Sync + 'static
{
    /// Which kind it is.
    const KIND: ParentKind;
    /// The type of its status.
    type Status: Serialize + DeserializeOwned + Clone + PartialEq + Default + Send + Sync;

    /// What must exist for this object, given what was seen. Time may decide when to look again, never what pods are made of.
    fn plan(&self, observed: &Observed, settings: &PlanSettings, now: Timestamp) -> Plan;

    /// What to tell the user, given the plan, what became of it and what was seen after it.
    fn status(&self, plan: &Plan, outcome: &Outcome, observed: &Observed, now: Timestamp) -> Self::Status;

    /// The status it has now.
    fn current_status(&self) -> Option<&Self::Status>;

    /// The conditions of a status.
    fn conditions(status: &Self::Status) -> &[Condition];

    /// What it refers to without making it.
    fn references(&self) -> Vec<Reference>;

    /// What there is to be said goodbye to, of an object that is being deleted and can't be read; `None` if it can go without.
    fn departing(_body: &Value) -> Option<Self> {
        None
    }

    /// Who this object is.
    fn identity(&self) -> Identity {
        Identity::of(Self::KIND, self)
    }
}
