//! Who changed what in an object of ours.

use super::live::Live;
use super::merge::{Ours, Path};
use super::meta::FIELD_MANAGER;
use super::object::Object;
use super::observed::difference;
use serde_json::Value;
use std::fmt;

/// A field of ours that is not as wanted, and the field manager that has it now. Never its value, which may be secret.
#[derive(Clone, Debug, PartialEq)]
pub struct Drift {
    /// Which field.
    pub field: Path,
    /// Who has it, or wrote last to the object; none if nobody else did.
    pub manager: Option<String>,
}

impl Drift {
    /// That of a whole object, `managedFields` included; `None` if it is as wanted.
    pub fn of(whole: Value, wanted: &Object) -> Option<Self> {
        let entries = whole["metadata"]["managedFields"].clone();
        let live = Live::new(whole);
        let field = difference(&live, wanted, Ours::Listed(Some(&live.ours)))?;
        // What is ours still and yet is not as wanted, somebody wrote who says that it is us.
        if field.is_in(&live.ours) {
            return Some(Self { field, manager: None });
        }
        let others = entries.as_array().into_iter().flatten().filter(|entry| entry["manager"] != FIELD_MANAGER);
        let newest = others
            .max_by_key(|entry| (field.is_in(&entry["fieldsV1"]), entry["time"].as_str().unwrap_or("").to_owned()));
        let manager = newest.and_then(|entry| entry["manager"].as_str()).map(str::to_owned);
        Some(Self { field, manager })
    }

    /// Whether it concerns the pods of a Deployment, as `kubectl rollout undo` does.
    pub fn is_of_pods(&self) -> bool {
        self.field.starts_with(&["spec", "template"])
    }
}

impl fmt::Display for Drift {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.manager {
            Some(manager) => write!(formatter, "{manager} changed {}", self.field),
            None => write!(formatter, "another install of Moorage, it seems, changed {}", self.field),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Drift;
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
        let drift = Drift::of(live, &wanted()).unwrap();
        assert_eq!(drift.to_string(), "kubectl-edit changed spec.ports[port=80,protocol=TCP].name");
    }

    /// What was taken out nobody has: whoever wrote last is the likely one.
    #[test]
    fn of_a_field_that_is_gone_whoever_wrote_last_is_named() {
        let managers = json!([
            entry("kubectl-edit", "2026-01-03T00:00:00Z", &json!({})),
            entry("mesh", "2026-01-02T00:00:00Z", &json!({"f:metadata": {}})),
        ]);
        let mut live = service(80, &managers);
        live["spec"].as_object_mut().unwrap().remove("selector");
        assert_eq!(Drift::of(live, &wanted()).unwrap().to_string(), "kubectl-edit changed spec.selector");
        assert_eq!(Drift::of(service(80, &json!([])), &wanted()), None);
    }
}
