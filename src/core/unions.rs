//! Fields that exclude each other. Server-side apply takes away what nobody declares any more and leaves what another manager holds as
//! well, and then the API server refuses the object that has both.

use super::copy::unite;
use super::managed::is_ours;
use super::merge::{Path, Rules};
use super::object::Object;
use super::subset::item_of;
use serde_json::{Value, json};

/// Sets of which an object may have one only.
const UNIONS: [&[&str]; 5] = [
    &["value", "valueFrom"],
    &["resourceClaimName", "resourceClaimTemplateName"],
    &["configMapKeyRef", "fieldRef", "fileKeyRef", "resourceFieldRef", "secretKeyRef"],
    &["exec", "grpc", "httpGet", "sleep", "tcpSocket"],
    &[
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "hostPath",
        "image",
        "iscsi",
        "nfs",
        "persistentVolumeClaim",
        "projected",
        "secret",
    ],
];

/// How an object gets rid of what excludes what is wanted of it.
#[derive(Debug, PartialEq)]
pub struct Freed {
    /// The patch that makes it ours, if nobody changes the object meanwhile. Our next apply then takes it away.
    pub patch: Value,
    /// Which fields that are, and who held each.
    pub fields: Vec<(Path, String)>,
}

/// What others hold of a whole object, `managedFields` included, that excludes what is wanted of it; `None` if there is nothing.
pub fn freed(whole: &Value, wanted: &Object) -> Option<Freed> {
    let metadata = &whole["metadata"];
    let mut entries = metadata["managedFields"].as_array()?.clone();
    let at = entries.iter().position(is_ours)?;
    let mut ours = entries.remove(at);
    let mut fields = Vec::new();
    for path in losing(&whole["spec"], &wanted.body["spec"], Rules::of(wanted.kind).field("spec")) {
        let path = path.within_field("spec");
        for entry in entries.iter_mut().filter(|entry| entry.get("subresource").is_none()) {
            let Some(taken) = path.take_from(&mut entry["fieldsV1"]) else { continue };
            unite(&mut ours["fieldsV1"], taken);
            fields.push((path.clone(), entry["manager"].as_str().unwrap_or_default().to_owned()));
        }
    }
    entries.retain(|entry| entry["fieldsV1"].as_object().is_none_or(|fields| !fields.is_empty()));
    entries.push(ours);
    let patch = json!({"metadata": {
        "uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"], "managedFields": entries,
    }});
    (!fields.is_empty()).then_some(Freed { patch, fields })
}

/// Where a live object has a member of a union of which another one is wanted.
fn losing(live: &Value, wanted: &Value, rules: &Rules) -> Vec<Path> {
    match (live, wanted) {
        (Value::Object(live), Value::Object(wanted)) => {
            let unions = UNIONS.iter().filter(|union| union.iter().any(|member| wanted.contains_key(*member)));
            let members = unions.flat_map(|union| union.iter());
            let others = members.filter(|member| live.contains_key(**member) && !wanted.contains_key(**member));
            let here = others.map(|member| Path::default().within_field(member));
            let below = wanted.iter().flat_map(|(key, wanted)| {
                let found = live.get(key).map(|live| losing(live, wanted, rules.field(key))).unwrap_or_default();
                found.into_iter().map(|path| path.within_field(key))
            });
            here.chain(below).collect()
        }
        (Value::Array(live), Value::Array(wanted)) if !rules.keys.is_empty() => {
            let of_item = |wanted: &Value| {
                let found = item_of(live, wanted, rules).map(|live| losing(live, wanted, rules.item()));
                let found = found.unwrap_or_default().into_iter();
                found.map(|path| path.within_item(&rules.keys, wanted)).collect::<Vec<_>>()
            };
            wanted.iter().flat_map(of_item).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::freed;
    use crate::core::kind::ChildKind;
    use crate::core::object::Object;
    use serde_json::{Value, json};

    fn deployment(env: &Value, probe: &Value) -> Value {
        let container = json!({"name": "web", "env": [env], "readinessProbe": probe});
        json!({"metadata": {"name": "web", "uid": "u", "resourceVersion": "7"}, "spec": {"template": {"spec": {"containers": [container]}}}})
    }

    fn fields(env: &Value, probe: &Value) -> Value {
        json!({"f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"web\"}": {
            ".": {}, "f:name": {}, "f:env": {"k:{\"name\":\"A\"}": env}, "f:readinessProbe": probe,
        }}}}}})
    }

    fn entry(manager: &str, fields: &Value) -> Value {
        json!({"manager": manager, "operation": "Apply", "apiVersion": "apps/v1", "fieldsV1": fields})
    }

    /// What others hold besides stays theirs.
    #[test]
    fn the_losing_member_becomes_ours() {
        let (value, reference) =
            (json!({"name": "A", "value": "x"}), json!({"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "p"}}}));
        let (get, socket) = (json!({"httpGet": {"port": 80}, "periodSeconds": 5}), json!({"tcpSocket": {"port": 80}}));
        let wanted = Object::new(ChildKind::Deployment, &deployment(&reference, &socket)).unwrap();
        let mut live = deployment(&value, &get);
        let (held, probe) =
            (json!({".": {}, "f:value": {}}), json!({"f:httpGet": {"f:port": {}}, "f:periodSeconds": {}}));
        live["metadata"]["managedFields"] = json!([
            entry("team", &fields(&held, &probe)),
            entry("moorage", &fields(&json!({"f:name": {}}), &json!({})))
        ]);
        let found = freed(&live, &wanted).unwrap();
        let told: Vec<String> = found.fields.iter().map(|(path, manager)| format!("{manager} {path}")).collect();
        let place = "spec.template.spec.containers[name=web]";
        assert_eq!(told, [format!("team {place}.env[name=A].value"), format!("team {place}.readinessProbe.httpGet")]);
        let entries = &found.patch["metadata"]["managedFields"];
        assert_eq!(entries[0], entry("team", &fields(&json!({".": {}}), &json!({"f:periodSeconds": {}}))));
        let ours = fields(&json!({"f:name": {}, "f:value": {}}), &json!({".": {}, "f:httpGet": {"f:port": {}}}));
        assert_eq!(entries[1], entry("moorage", &ours));
    }

    #[test]
    fn what_nobody_else_holds_is_no_matter() {
        let (env, probe) = (json!({"name": "A", "value": "x"}), json!({"exec": {"command": ["a"]}}));
        let wanted = Object::new(ChildKind::Deployment, &deployment(&env, &probe)).unwrap();
        let mut live = deployment(&env, &probe);
        live["metadata"]["managedFields"] = json!([
            entry("team", &fields(&json!({"f:value": {}}), &json!({"f:exec": {}}))),
            entry("moorage", &json!({})),
        ]);
        assert_eq!(freed(&live, &wanted), None);
        live["spec"]["template"]["spec"]["containers"][0]["env"][0] = json!({"name": "A", "valueFrom": {}});
        assert_eq!(freed(&live, &wanted), None, "nobody holds valueFrom");
    }
}
