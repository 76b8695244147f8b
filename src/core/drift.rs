//! Who changed what in an object of ours.

use super::live::{Live, items};
use super::merge::{Ours, Path};
use super::meta::FIELD_MANAGER;
use super::object::Object;
use super::observed::differences;
use serde_json::Value;
use std::fmt;

/// A field of ours that is not as wanted, and who is the cause. Never its value, which may be secret.
#[derive(Clone, Debug, PartialEq)]
pub struct Drift {
    /// Which field.
    pub field: Path,
    /// Who.
    pub cause: Cause,
}

/// Who changed a field of ours.
#[derive(Clone, Debug, PartialEq)]
pub enum Cause {
    /// The field manager that has it now.
    Manager(String),
    /// It is ours still, so somebody wrote it as us or on the way to the store.
    Ourselves,
    /// Nobody has it: it was taken out, and of that no trace is left.
    Unknown,
}

impl Drift {
    /// That of an object with those entries of `managedFields`; `None` if it is as wanted.
    pub fn of(live: &Live, entries: &Value, wanted: &Object) -> Option<Self> {
        let field = differences(live, wanted, Ours::Listed(Some(&live.ours))).into_iter().next()?;
        let entries = items(entries);
        let mut others =
            entries.filter(|entry| entry["manager"] != FIELD_MANAGER && entry.get("subresource").is_none());
        let holder = others.find(|entry| field.is_in(&entry["fieldsV1"])).and_then(|entry| entry["manager"].as_str());
        let cause = match holder {
            _ if field.is_in(&live.ours) => Cause::Ourselves,
            Some(manager) => Cause::Manager(manager.to_owned()),
            None => Cause::Unknown,
        };
        Some(Self { field, cause })
    }

    /// Whether it concerns the pods of a Deployment, as `kubectl rollout undo` does.
    pub fn is_of_pods(&self) -> bool {
        self.field.starts_with(&["spec", "template"])
    }
}

impl fmt::Display for Drift {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::Manager(manager) => write!(formatter, "{manager} changed {}", self.field),
            Cause::Ourselves => {
                write!(formatter, "another install of Moorage, or an admission webhook, changed {}", self.field)
            }
            Cause::Unknown => write!(formatter, "somebody took out {}", self.field),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Drift, Live};
    use crate::core::kind::ChildKind;
    use crate::core::object::Object;
    use serde_json::{Value, json};

    fn service(port: u16, managers: &Value) -> Value {
        json!({"metadata": {"name": "a", "managedFields": managers},
            "spec": {"ports": [{"port": port, "protocol": "TCP", "name": "http"}], "selector": {"app": "a"}}})
    }

    fn entry(manager: &str, time: &str, fields: &Value) -> Value {
        json!({"manager": manager, "operation": "Update", "time": time, "fieldsV1": fields})
    }

    fn of(whole: Value) -> Option<Drift> {
        let managed = whole["metadata"]["managedFields"].clone();
        Drift::of(&Live::new(whole), &managed, &wanted())
    }

    fn wanted() -> Object {
        let mut wanted = Object::new(ChildKind::Service, &service(80, &json!(null))).unwrap();
        wanted.body["metadata"].as_object_mut().unwrap().remove("annotations");
        wanted
    }

    #[test]
    fn who_has_the_field_now_is_named() {
        let ports = json!({"f:spec": {"f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {"f:name": {}}}}});
        let managers = json!([
            entry("kubectl-edit", "2026-01-01T00:00:00Z", &ports),
            entry("mesh", "2026-01-02T00:00:00Z", &json!({"f:metadata": {}})),
        ]);
        let mut live = service(80, &managers);
        live["spec"]["ports"][0]["name"] = json!("web");
        let drift = of(live).unwrap();
        assert_eq!(drift.to_string(), "kubectl-edit changed spec.ports[port=80,protocol=TCP].name");
    }

    /// Of what was taken out no manager has a trace; others that wrote to the object have nothing to do with it.
    #[test]
    fn of_a_field_that_is_gone_nobody_is_accused() {
        let managers = json!([
            {"manager": "kube-controller-manager", "operation": "Update", "subresource": "status", "fieldsV1": {"f:spec": {}}},
            entry("mesh", "2026-01-02T00:00:00Z", &json!({"f:metadata": {"f:labels": {"f:mesh": {}}}})),
        ]);
        let mut live = service(80, &managers);
        live["spec"].as_object_mut().unwrap().remove("selector");
        assert_eq!(of(live).unwrap().to_string(), "somebody took out spec.selector");
        assert_eq!(of(service(80, &json!([]))), None);
    }

    #[test]
    fn a_field_that_is_ours_still_was_written_as_us() {
        let ours = json!([{"manager": "moorage", "operation": "Apply", "fieldsV1": {"f:spec": {"f:selector": {}}}}]);
        let mut live = service(80, &ours);
        live["spec"]["selector"]["app"] = json!("b");
        let told = of(live).unwrap().to_string();
        assert!(
            told.starts_with("another install of Moorage, or an admission webhook, changed spec.selector"),
            "{told}"
        );
    }
}
