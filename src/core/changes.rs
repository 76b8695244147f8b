//! Which fields of an object an apply changes, never to what, as a value may be secret.

use super::live::Live;
use super::merge::{Ours, Path, Rules, is_item};
use super::meta::APPLIED_HASH;
use super::object::Object;
use super::observed::differences;
use serde_json::Value;

/// The fields that an apply of what is wanted changes.
pub fn changes(live: &Live, wanted: &Object) -> Vec<Path> {
    let mut fields = differences(live, wanted, Ours::Listed(Some(&live.ours)));
    fields.extend(undeclared(&live.ours, &wanted.body, Rules::of(wanted.kind)));
    let annotations = Path::default().within_fields(&["metadata", "annotations"]);
    let has_others = wanted.body["metadata"]["annotations"].as_object().is_some_and(|all| all.len() > 1);
    fields.retain(|field| {
        !field.starts_with(&["metadata", "annotations", APPLIED_HASH]) && (has_others || *field != annotations)
    });
    fields
}

/// What of `ours`, a part of `fieldsV1`, is not wanted any more, so that an apply takes it out.
fn undeclared(ours: &Value, wanted: &Value, rules: &Rules) -> Vec<Path> {
    let steps = ours.as_object().into_iter().flatten();
    let found = steps.flat_map(|(step, below)| match step.split_once(':') {
        Some(("f", name)) => {
            let gone = match wanted.get(name) {
                None => vec![Path::default()],
                Some(value) => undeclared(below, value, rules.field(name)),
            };
            gone.into_iter().map(|path| path.within_field(name)).collect()
        }
        Some(("k", keys)) => {
            let item: Value = serde_json::from_str(keys).unwrap_or_default();
            let mut others = wanted.as_array().into_iter().flatten();
            let gone = match others.find(|other| is_item(&rules.keys, other, &item)) {
                None => vec![Path::default()],
                Some(other) => undeclared(below, other, rules.item()),
            };
            gone.into_iter().map(|path| path.within_item(&rules.keys, &item)).collect()
        }
        Some(("v", value)) => {
            let member: Value = serde_json::from_str(value).unwrap_or_default();
            let stays = wanted.as_array().is_some_and(|members| members.contains(&member));
            if stays { Vec::new() } else { vec![Path::default()] }
        }
        _ => Vec::new(),
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::{Live, Object, changes};
    use crate::core::kind::ChildKind;
    use serde_json::{Value, json};

    fn changed(kind: ChildKind, live: Value, wanted: &Value) -> Vec<String> {
        let wanted = Object::new(kind, wanted).unwrap();
        changes(&Live::new(live), &wanted).iter().map(ToString::to_string).collect()
    }

    /// A Deployment as the API server has it after an apply of this container, and with these fields ours.
    fn deployment(container: &Value, ours: &Value) -> Value {
        let listed = json!({"f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"web\"}": ours}}}}});
        json!({
            "metadata": {"name": "web", "managedFields": [{"manager": "moorage", "operation": "Apply", "fieldsV1": listed}]},
            "spec": {"replicas": 1, "template": {"spec": {"containers": [container]}}},
        })
    }

    fn wanted(container: &Value) -> Value {
        json!({"metadata": {"name": "web"}, "spec": {"template": {"spec": {"containers": [container]}}}})
    }

    #[test]
    fn each_field_that_an_apply_changes_is_named_and_none_else() {
        let port = "k:{\"containerPort\":80,\"protocol\":\"TCP\"}";
        let ours = json!({".": {}, "f:name": {}, "f:image": {}, "f:args": {},
            "f:ports": {port: {".": {}, "f:containerPort": {}, "f:protocol": {}}},
            "f:env": {"k:{\"name\":\"MODE\"}": {".": {}, "f:name": {}, "f:value": {}}}});
        let live = json!({"name": "web", "image": "a", "args": ["-v"], "imagePullPolicy": "Always", "tty": true,
            "ports": [{"containerPort": 80, "protocol": "TCP"}], "env": [{"name": "MODE", "value": "secret"}]});
        let same = json!({"name": "web", "image": "a", "args": ["-v"], "ports": [{"containerPort": 80, "protocol": "TCP"}],
            "env": [{"name": "MODE", "value": "secret"}]});
        let with = |change: &dyn Fn(&mut Value)| {
            let mut container = same.clone();
            change(&mut container);
            changed(ChildKind::Deployment, deployment(&live, &ours), &wanted(&container))
        };
        let within = |rest: &str| format!("spec.template.spec.containers[name=web]{rest}");
        assert_eq!(with(&|_| {}), Vec::<String>::new());
        for (change, fields) in [
            (&(|c: &mut Value| c["image"] = json!("b")) as &dyn Fn(&mut Value), vec![".image"]),
            (&|c| c["args"] = json!(["-v", "-q"]), vec![".args"]),
            (&|c| c["env"][0]["value"] = json!("other"), vec![".env[name=MODE].value"]),
            (&|c| c["env"][0] = json!({"name": "LEVEL", "value": "1"}), vec![".env[name=LEVEL]", ".env[name=MODE]"]),
            (
                &|c| c["ports"][0]["containerPort"] = json!(81),
                vec![".ports[containerPort=81,protocol=TCP]", ".ports[containerPort=80,protocol=TCP]"],
            ),
            (&|c| drop(c.as_object_mut().unwrap().remove("args")), vec![".args"]),
            (&|c| drop(c.as_object_mut().unwrap().remove("env")), vec![".env"]),
            (&|c| (c["image"], c["workingDir"]) = (json!("b"), json!("/")), vec![".image", ".workingDir"]),
        ] {
            assert_eq!(with(change), fields.into_iter().map(within).collect::<Vec<_>>());
        }
    }

    #[test]
    fn members_of_sets_and_whole_values_count_as_one() {
        let listed = json!({"f:metadata": {"f:finalizers": {"v:\"a\"": {}}}, "f:spec": {"f:selector": {}}});
        let managers = json!([{"manager": "moorage", "operation": "Apply", "fieldsV1": listed}]);
        let live = json!({"metadata": {"name": "web", "finalizers": ["a", "b"], "managedFields": managers},
            "spec": {"selector": {"app": "a", "tier": "b"}}});
        let wanted =
            json!({"metadata": {"name": "web", "finalizers": ["c"]}, "spec": {"selector": {"app": "b", "tier": "c"}}});
        assert_eq!(
            changed(ChildKind::Service, live, &wanted),
            ["spec.selector", "metadata.finalizers", "metadata.finalizers"]
        );
    }
}
