//! What others added to an object of ours that changes what its pods may do. It is told, not removed: it may be an injector's that the
//! admin wants, and is not ours.

use super::kind::ChildKind;
use super::live::{LARGEST, Live, items};
use super::merge::Path;
use super::object::Object;
use serde_json::Value;

/// Fields of a pod's spec that let its pods do more.
const POD: [&str; 6] = [
    "hostNetwork",
    "hostPID",
    "hostIPC",
    "shareProcessNamespace",
    "serviceAccountName",
    "automountServiceAccountToken",
];
/// Fields of a container by which it does something else.
const CONTAINER: [&str; 4] = ["command", "args", "volumeDevices", "lifecycle"];
/// Of these, what runs a command.
const PROBES: [&str; 3] = ["startupProbe", "livenessProbe", "readinessProbe"];
/// Settings that let a container do less.
const HARDENING: [&str; 3] = ["drop", "readOnlyRootFilesystem", "runAsNonRoot"];
/// Sources of volumes that hold nothing which is not the pod's or the namespace's to read anyway.
const HARMLESS: [&str; 3] = ["emptyDir", "configMap", "downwardAPI"];

/// Most additions that are told of one object.
const MOST: usize = 8;

/// Each addition in words, as `sidecar-injector added spec.template.spec.containers[name=proxy]`, the first few of them; none where a
/// kind has no pods.
pub fn additions(live: &Live, wanted: &Object) -> Box<[String]> {
    if wanted.kind != ChildKind::Deployment {
        return Box::default();
    }
    if live.too_large {
        return Box::new([format!(
            "somebody made it larger than {} KiB, so what they added can't be read",
            LARGEST / 1024
        )]);
    }
    let place = "/spec/template/spec";
    let (Some(pod), Some(ours)) = (live.body.pointer(place), wanted.body.pointer(place)) else { return Box::default() };
    let place = |path: Path| path.within_fields(&["spec", "template", "spec"]);
    // What we applied once and no longer want goes with our next apply.
    let mut found = in_pod(pod, ours).into_iter().map(place).filter(|path| !path.is_in(&live.ours));
    let told = |path: Path| {
        let holder = live.holders.iter().find(|(_, fields)| path.is_in(fields));
        format!("{} added {path}", holder.map_or("somebody", |(manager, _)| manager.as_str()))
    };
    let first: Vec<String> = found.by_ref().take(MOST).map(told).collect();
    let more = found.next().map(|_| "and more was added".to_owned());
    first.into_iter().chain(more).collect()
}

fn in_pod(pod: &Value, ours: &Value) -> Vec<Path> {
    let mut found = fields(pod, ours, &POD);
    found.extend(within("securityContext", settings(&pod["securityContext"], &ours["securityContext"])));
    let volumes = added(&pod["volumes"], &ours["volumes"], "name");
    let volumes = volumes.filter(|volume| !HARMLESS.iter().any(|source| volume.get(source).is_some()));
    found.extend(within("volumes", volumes.map(|volume| item(volume, "name")).collect()));
    for list in ["initContainers", "containers"] {
        let mut inside: Vec<Path> =
            added(&pod[list], &ours[list], "name").map(|container| item(container, "name")).collect();
        for container in items(&ours[list]) {
            if let Some(live) = items(&pod[list]).find(|live| live["name"] == container["name"]) {
                let found = in_container(live, container);
                inside.extend(found.into_iter().map(|path| path.within_item(&["name".to_owned()], container)));
            }
        }
        found.extend(within(list, inside));
    }
    found
}

fn in_container(live: &Value, ours: &Value) -> Vec<Path> {
    let mut found = fields(live, ours, &CONTAINER);
    for probe in PROBES {
        found.extend(within(probe, fields(&live[probe], &ours[probe], &["exec"])));
    }
    found.extend(within("securityContext", settings(&live["securityContext"], &ours["securityContext"])));
    let ports = items(&live["ports"]).filter(|port| says(&port["hostPort"]));
    let ports = ports.filter(|port| !items(&ours["ports"]).any(|ours| ours["hostPort"] == port["hostPort"]));
    let keys = ["containerPort".to_owned(), "protocol".to_owned()];
    let ports = ports.map(|port| Path::default().within_field("hostPort").within_item(&keys, port)).collect();
    found.extend(within("ports", ports));
    found
}

/// Those of the fields that say something here and nothing in ours.
fn fields(live: &Value, ours: &Value, names: &[&str]) -> Vec<Path> {
    let is_added = |name: &&&str| says(&live[**name]) && !says(&ours[**name]);
    names.iter().filter(is_added).map(|name| Path::default().within_field(name)).collect()
}

/// Whatever says something in a security context and nothing in ours.
fn settings(live: &Value, ours: &Value) -> Vec<Path> {
    match live {
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(name, _)| !HARDENING.contains(&name.as_str()));
            let found = fields.flat_map(|(name, live)| within(name, settings(live, &ours[name])));
            found.collect()
        }
        Value::Array(items) if ours.as_array().is_some_and(|ours| items.iter().all(|item| ours.contains(item))) => {
            Vec::new()
        }
        Value::Array(_) if says(live) => vec![Path::default()],
        _ if says(live) && !says(ours) => vec![Path::default()],
        _ => Vec::new(),
    }
}

/// Items of a list that ours has none like, by that key.
fn added<'a>(live: &'a Value, ours: &'a Value, key: &'a str) -> impl Iterator<Item = &'a Value> {
    items(live).filter(move |item| !items(ours).any(|ours| ours[key] == item[key]))
}

fn item(item: &Value, key: &str) -> Path {
    Path::default().within_item(&[key.to_owned()], item)
}

fn within(field: &str, paths: Vec<Path>) -> Vec<Path> {
    paths.into_iter().map(|path| path.within_field(field)).collect()
}

/// Whether a value is more than the absence of one.
fn says(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Number(_) | Value::String(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::{ChildKind, Live, Object, additions};
    use serde_json::{Value, json};

    fn wanted() -> Object {
        let pod = json!({
            "serviceAccountName": "web", "securityContext": {"runAsNonRoot": true},
            "volumes": [{"name": "data", "emptyDir": {}}],
            "containers": [{"name": "web", "image": "web:1", "ports": [{"containerPort": 80, "protocol": "TCP"}],
                "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"], "add": ["CHOWN"]}}}],
        });
        Object::new(ChildKind::Deployment, &json!({"metadata": {"name": "web"}, "spec": {"template": {"spec": pod}}}))
            .unwrap()
    }

    /// What is told when the pod's spec has these fields as well, all of which `injector` holds.
    fn told(path: &str, value: &Value) -> Vec<String> {
        let mut body = wanted().body;
        let pod = body.pointer_mut("/spec/template/spec").unwrap();
        if let Some(list) = path.strip_suffix("/-") {
            let list = pod.pointer_mut(list);
            list.map(|list| list.as_array_mut().unwrap().push(value.clone())).unwrap();
        } else {
            let (parent, name) = path.rsplit_once('/').unwrap();
            pod.pointer_mut(parent).unwrap()[name] = value.clone();
        }
        body["metadata"]["managedFields"] = json!([
            {"manager": "injector", "operation": "Update", "fieldsV1": {"f:spec": {"f:template": {"f:spec": {}}}}},
        ]);
        additions(&Live::new(body), &wanted()).into_vec()
    }

    #[test]
    fn what_changes_what_a_pod_may_do_is_told() {
        let cases = [
            ("/hostNetwork", json!(true), Some("hostNetwork")),
            ("/hostPID", json!(true), Some("hostPID")),
            ("/hostIPC", json!(true), Some("hostIPC")),
            ("/shareProcessNamespace", json!(true), Some("shareProcessNamespace")),
            ("/automountServiceAccountToken", json!(true), Some("automountServiceAccountToken")),
            ("/securityContext/runAsUser", json!(0), Some("securityContext.runAsUser")),
            ("/securityContext/sysctls", json!([{"name": "a"}]), Some("securityContext.sysctls")),
            ("/volumes/-", json!({"name": "host", "hostPath": {"path": "/"}}), Some("volumes[name=host]")),
            ("/volumes/-", json!({"name": "s", "secret": {"secretName": "s"}}), Some("volumes[name=s]")),
            ("/containers/-", json!({"name": "proxy"}), Some("containers[name=proxy]")),
            ("/initContainers", json!([{"name": "init"}]), Some("initContainers[name=init]")),
            ("/containers/0/command", json!(["sh"]), Some("containers[name=web].command")),
            ("/containers/0/args", json!(["-c"]), Some("containers[name=web].args")),
            ("/containers/0/lifecycle", json!({"postStart": {}}), Some("containers[name=web].lifecycle")),
            (
                "/containers/0/securityContext/privileged",
                json!(true),
                Some("containers[name=web].securityContext.privileged"),
            ),
            (
                "/containers/0/securityContext/capabilities/add",
                json!(["CHOWN", "SYS_ADMIN"]),
                Some("containers[name=web].securityContext.capabilities.add"),
            ),
            (
                "/containers/0/ports/0/hostPort",
                json!(80),
                Some("containers[name=web].ports[containerPort=80,protocol=TCP].hostPort"),
            ),
            (
                "/containers/0/livenessProbe",
                json!({"exec": {"command": ["sh"]}}),
                Some("containers[name=web].livenessProbe.exec"),
            ),
            ("/containers/0/readinessProbe", json!({"httpGet": {"port": 80}}), None),
            ("/containers/0/securityContext/readOnlyRootFilesystem", json!(true), None),
            ("/containers/0/securityContext/capabilities/drop", json!(["ALL", "CHOWN"]), None),
            ("/hostNetwork", json!(false), None),
            ("/volumes/-", json!({"name": "tmp", "emptyDir": {}}), None),
            ("/containers/0/securityContext/privileged", json!(false), None),
            ("/containers/0/env", json!([{"name": "A", "value": "b"}]), None),
            ("/containers/0/resources", json!({"limits": {"cpu": 1}}), None),
            ("/tolerations", json!([{"operator": "Exists"}]), None),
            ("/dnsPolicy", json!("ClusterFirst"), None),
        ];
        for (path, value, expected) in cases {
            let expected: Vec<String> =
                expected.iter().map(|field| format!("injector added spec.template.spec.{field}")).collect();
            assert_eq!(told(path, &value), expected, "{path}: {value}");
        }
    }

    #[test]
    fn who_added_it_is_not_always_known() {
        let mut body = wanted().body;
        body["spec"]["template"]["spec"]["hostPID"] = json!(true);
        let told = additions(&Live::new(body.clone()), &wanted());
        assert_eq!(*told, ["somebody added spec.template.spec.hostPID"]);
        body["spec"]["template"]["spec"]["hostPID"] = json!(null);
        assert!(additions(&Live::new(body), &wanted()).is_empty());
    }

    /// As while the App is paused: what we declared once stands until our next apply.
    #[test]
    fn what_is_ours_is_not_told() {
        let mut body = wanted().body;
        body["spec"]["template"]["spec"]["hostPID"] = json!(true);
        body["metadata"]["managedFields"] = json!([{"manager": "moorage", "operation": "Apply",
            "fieldsV1": {"f:spec": {"f:template": {"f:spec": {"f:hostPID": {}}}}}}]);
        assert!(additions(&Live::new(body), &wanted()).is_empty());
    }

    #[test]
    fn of_many_the_first_are_told() {
        let mut body = wanted().body;
        let volumes = (0..5000).map(|number| json!({"name": format!("v{number}"), "secret": {}}));
        body["spec"]["template"]["spec"]["volumes"] = volumes.collect();
        let told = additions(&Live::new(body), &wanted());
        assert_eq!((told.len(), told[8].as_str()), (9, "and more was added"));
    }
}
