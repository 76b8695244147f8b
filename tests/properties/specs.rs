//! Specs of the three kinds: tame ones, which the schema accepts, and wild ones, with everything twice, missing or absurd.

#![allow(clippy::needless_pass_by_value, reason = "values are written where they are passed")]

use moorage::core::kind::ParentKind;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Map, Value, json};

/// One of these values.
fn one(values: Value) -> BoxedStrategy<Value> {
    select(values.as_array().cloned().unwrap_or_default()).boxed()
}

/// Some of these items: each at most once in a tame spec, in any number and order in a wild one.
fn some(wild: bool, tame: Value, absurd: Value) -> BoxedStrategy<Value> {
    let items = tame.as_array().cloned().unwrap_or_default();
    if !wild {
        let count = items.len();
        return subsequence(items, 0..=count).prop_map(Value::Array).boxed();
    }
    let all: Vec<Value> = items.into_iter().chain(absurd.as_array().cloned().unwrap_or_default()).collect();
    vec(select(all), 0..5).prop_map(Value::Array).boxed()
}

/// A value that is absurd in one of eight wild specs.
fn value(wild: bool, tame: Value, absurd: Value) -> BoxedStrategy<Value> {
    if wild { prop_oneof![7 => one(tame), 1 => one(absurd)].boxed() } else { one(tame) }
}

/// An object with the required fields, and each of the others or not.
fn object(
    required: Vec<(&'static str, BoxedStrategy<Value>)>,
    fields: Vec<(&'static str, BoxedStrategy<Value>)>,
) -> BoxedStrategy<Value> {
    let required = required.into_iter().map(|(name, value)| value.prop_map(move |value| Some((name, value))).boxed());
    let optional = fields.into_iter().map(|(name, value)| {
        prop_oneof![2 => Just(None), 1 => value.prop_map(move |value| Some((name, value)))].boxed()
    });
    let all: Vec<BoxedStrategy<Option<(&'static str, Value)>>> = required.chain(optional).collect();
    all.prop_map(|fields| {
        let fields = fields.into_iter().flatten();
        Value::Object(fields.map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
    })
    .boxed()
}

/// A resource of that kind around a spec.
fn resource(kind: ParentKind, name: &'static str, specs: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    specs
        .prop_map(move |spec| {
            json!({
                "apiVersion": "moorage.dev/v1alpha1", "kind": kind.as_str(), "spec": spec,
                "metadata": {"name": name, "namespace": "shop", "uid": "uid-now", "generation": 2, "resourceVersion": "5"},
            })
        })
        .boxed()
}

fn image(wild: bool) -> BoxedStrategy<Value> {
    value(
        wild,
        json!(["registry.example.com/team/web:1", "web", "registry:5000/web@sha256:00"]),
        json!(["", "a b", "http://x"]),
    )
}

fn size(wild: bool) -> BoxedStrategy<Value> {
    value(wild, json!(["1Gi", "1024Mi", "2Gi", "1.5Gi", "2e9", "3000000000"]), json!(["", "0", "-1Gi", "lots", "1Zi"]))
}

fn modes(wild: bool) -> BoxedStrategy<Value> {
    let tame =
        json!([[], ["ReadWriteOnce"], ["ReadWriteMany"], ["ReadOnlyMany", "ReadWriteMany"], ["ReadWriteOncePod"]]);
    value(wild, tame, json!([["ReadWriteOnce", "ReadWriteOnce"]]))
}

fn probe(wild: bool) -> BoxedStrategy<Value> {
    let tame = json!([
        {"httpGet": {"path": "/", "port": 8080}}, {"tcpSocket": {"port": 80}, "periodSeconds": 5},
        {"exec": {"command": ["true"]}, "initialDelaySeconds": 3, "failureThreshold": 2}, {"grpc": {"port": 9000}},
    ]);
    value(wild, tame, json!([{}]))
}

fn pod(wild: bool) -> BoxedStrategy<Value> {
    let labels =
        value(wild, json!([{"team": "a"}, {"team": "b", "tier": "web"}]), json!([{"moorage.dev/app": "forged"}]));
    let security = json!([{}, {"runAsUser": 1000}, {"fsGroup": 7, "runAsNonRoot": false}, {"seccompProfile": {"type": "Unconfined"}}]);
    let mut fields = placement(wild);
    fields.extend(vec![
        ("labels", labels),
        ("annotations", one(json!([{"example.com/a": "1"}, {"example.com/a": "2"}]))),
        ("nodeSelector", one(json!([{"disk": "ssd"}]))),
        (
            "tolerations",
            some(wild, json!([{"operator": "Exists"}, {"key": "a", "operator": "Equal", "value": "b"}]), json!([])),
        ),
        ("securityContext", one(security)),
        ("terminationGracePeriodSeconds", one(json!([0, 30, 300]))),
    ]);
    object(vec![], fields)
}

/// What of a pod is neither metadata nor security.
fn placement(wild: bool) -> Vec<(&'static str, BoxedStrategy<Value>)> {
    vec![
        (
            "affinity",
            one(
                json!([{"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "zone", "labelSelector": {"matchLabels": {"moorage.dev/app": "web"}}}]}}, {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference": {"matchExpressions": [{"key": "a", "operator": "Exists"}]}}]}}]),
            ),
        ),
        (
            "topologySpreadConstraints",
            some(wild, spread(), json!([{"maxSkew": 0, "topologyKey": "", "whenUnsatisfiable": "x"}])),
        ),
        ("priorityClassName", one(json!(["high", "low"]))),
        ("preemptionPolicy", one(json!(["Never", "PreemptLowerPriority"]))),
        ("runtimeClassName", one(json!(["gvisor"]))),
        ("schedulerName", one(json!(["bin-packer", "default-scheduler"]))),
        ("os", value(wild, json!([{"name": "linux"}]), json!([{"name": "windows"}, {"name": "x"}]))),
        (
            "readinessGates",
            some(wild, json!([{"conditionType": "a"}, {"conditionType": "b"}]), json!([{"conditionType": ""}])),
        ),
        (
            "resourceClaims",
            some(
                wild,
                json!([{"name": "gpu", "resourceClaimName": "a"}, {"name": "fpga", "resourceClaimTemplateName": "b"}]),
                json!([{"name": "x"}]),
            ),
        ),
        (
            "hostAliases",
            some(
                wild,
                json!([{"ip": "192.0.2.7", "hostnames": ["a", "b"]}, {"ip": "2001:db8::1"}]),
                json!([{"ip": "x"}]),
            ),
        ),
        ("dnsPolicy", one(json!(["ClusterFirst", "Default"]))),
        (
            "dnsConfig",
            one(
                json!([{"nameservers": ["192.0.2.53"]}, {"searches": ["a.example.com"], "options": [{"name": "ndots", "value": "2"}]}]),
            ),
        ),
        ("enableServiceLinks", one(json!([true, false]))),
        ("shareProcessNamespace", one(json!([true, false]))),
        ("hostUsers", one(json!([true, false]))),
    ]
}

fn spread() -> Value {
    json!([
        {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"},
        {"maxSkew": 2, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", "minDomains": 2, "labelSelector": {"matchLabels": {"moorage.dev/app": "web"}}},
    ])
}

fn resources() -> BoxedStrategy<Value> {
    one(json!([{"requests": {"cpu": 0.5, "memory": "1Gi"}}, {"limits": {"cpu": "500m", "memory": "1073741824"}}, {}]))
}

fn ports(wild: bool) -> BoxedStrategy<Value> {
    some(
        wild,
        json!([
            {"name": "http", "port": 80, "containerPort": 8080, "appProtocol": "http"}, {"name": "https", "port": 443},
            {"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "debug", "port": 5005, "private": true}, {"name": "alt", "port": 8080, "protocol": "TCP"},
        ]),
        json!([{"port": 0}, {"port": 80}, {"name": "x", "port": 70000}, {"name": "n", "port": 81, "nodePort": 30000}, {"name": "p", "port": 82, "private": true, "containerPort": 83}]),
    )
}

fn volumes(wild: bool) -> BoxedStrategy<Value> {
    some(
        wild,
        json!([
            {"name": "data", "mountPath": "/data", "storage": {"size": "1Gi"}},
            {"name": "shared", "mountPath": "/shared", "storage": {"size": "2048Mi", "accessModes": ["ReadWriteMany"], "deletionPolicy": "Delete"}},
            {"name": "raw", "devicePath": "/dev/raw", "storage": {"size": "1Gi", "volumeMode": "Block", "storageClassName": "fast"}},
            {"name": "claim", "mountPath": "/claim", "claim": {"name": "other"}, "readOnly": true},
            {"name": "secret", "mountPath": "/secret", "secret": {"secretName": "s", "items": [{"key": "k", "path": "p"}]}},
            {"name": "config", "mountPath": "/config", "subPath": "a", "configMap": {"name": "c", "optional": true}},
            {"name": "scratch", "mountPath": "/tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "0.5Gi"}},
            {"name": "pod", "mountPath": "/pod", "downwardAPI": {"items": [{"path": "cpu", "resourceFieldRef": {"containerName": "web", "resource": "limits.cpu"}}, {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
            {"name": "own", "mountPath": "/own", "ephemeral": {"volumeClaimTemplate": {"metadata": {"labels": {"a": "b"}}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "0.5Gi"}}}}}},
            {"name": "files", "mountPath": "/files", "image": {"reference": "registry.example.com/team/files"}, "subPath": "a"},
            {"name": "vault", "mountPath": "/vault", "readOnly": true, "csi": {"driver": "vault.example.com", "readOnly": true, "volumeAttributes": {"a": "b"}, "nodePublishSecretRef": {"name": "s"}}},
            {"name": "places", "mountPath": "/one", "emptyDir": {}, "mounts": [{"mountPath": "/two", "subPath": "a"}, {"container": "web", "mountPath": "/three", "readOnly": true}]},
            {"name": "all", "mountPath": "/all", "projected": {"sources": [{"configMap": {"name": "c"}}, {"downwardAPI": {"items": [{"path": "n", "fieldRef": {"fieldPath": "metadata.name"}}]}}]}},
        ]),
        json!([
            {"name": "", "mountPath": "x", "storage": {"size": "lots"}}, {"name": "none", "mountPath": "/none"},
            {"name": "two", "mountPath": "/two", "emptyDir": {}, "secret": {"secretName": "s"}},
            {"name": "no-path", "emptyDir": {}}, {"name": "elsewhere", "emptyDir": {}, "mounts": [{"container": "proxy", "mountPath": "/e"}, {"container": "nobody", "mountPath": "e"}]}, {"name": "no-image", "mountPath": "/i", "image": {}}, {"name": "raw", "devicePath": "/dev/x", "emptyDir": {}},
        ]),
    )
}

/// Containers beside the App's own.
fn beside(wild: bool, tame: Value) -> BoxedStrategy<Value> {
    let absurd = json!([{"name": "web", "image": "x"}, {"name": "a", "image": "", "volumeMounts": [{"name": "nothing", "mountPath": "x"}]}, {"name": "proxy", "image": "x", "livenessProbe": {"httpGet": {"port": "nowhere"}}}]);
    some(wild, tame, absurd)
}

/// Apps.
pub fn app(wild: bool) -> BoxedStrategy<Value> {
    let env = json!([
        {"name": "A", "value": "1"}, {"name": "B", "value": ""}, {"name": "C", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        {"name": "D", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}},
    ]);
    let service = object(
        vec![],
        vec![
            ("type", one(json!(["ClusterIP", "NodePort", "LoadBalancer"]))),
            ("annotations", one(json!([{"example.com/lb": "a"}, {}]))),
        ],
    );
    let service = prop_oneof![2 => service, 1 => Just(json!({"headless": true}))].boxed();
    let account = json!([{"name": "builder"}, {"annotations": {"example.com/role": "r"}, "automountToken": true}, {"imagePullSecrets": [{"name": "p"}]}, {}]);
    let rollout = value(
        wild,
        json!([{"strategy": "Recreate"}, {"maxSurge": 1, "maxUnavailable": "10%"}, {"strategy": "RollingUpdate", "maxSurge": "50%"}, {"minReadySeconds": 3, "progressDeadlineSeconds": 60, "historyLimit": 0}, {"toRevision": 3}, {"autoRollback": true}, {"onConfigChange": "Restart"}, {"onConfigChange": "Ignore"}, {"autoRollback": true, "toRevision": 3}, {}]),
        json!([{"strategy": "Recreate", "maxSurge": 1}, {"toRevision": 0}, {"toRevision": 7}, {"ignoreChangesOf": [{"kind": "Secret", "name": "s"}]}]),
    );
    let context = json!([{}, {"runAsUser": 0, "runAsNonRoot": false}, {"privileged": true}, {"capabilities": {"add": ["NET_ADMIN"]}, "readOnlyRootFilesystem": true}, {"capabilities": {"drop": ["NET_RAW"]}}, {"capabilities": {"drop": []}}, {"allowPrivilegeEscalation": true, "seccompProfile": {"type": "Unconfined"}}]);
    let mut fields = container(wild);
    fields.extend(vec![
            ("imagePullPolicy", one(json!(["Always", "IfNotPresent", "Never"]))),
            ("imagePullSecrets", some(wild, json!([{"name": "a"}, {"name": "b"}]), json!([{"name": ""}]))),
            ("command", one(json!([["/bin/a"], []]))),
            ("args", one(json!([["a", "b"], ["a"]]))),
            ("workingDir", one(json!(["/srv"]))),
            ("env", some(wild, env, json!([{"name": ""}]))),
            (
                "envFrom",
                some(
                    wild,
                    json!([{"configMapRef": {"name": "c"}}, {"prefix": "P_", "secretRef": {"name": "s", "optional": true}}]),
                    json!([{}]),
                ),
            ),
            ("ports", ports(wild)),
            ("resources", resources()),
            ("replicas", value(wild, json!([0, 1, 3]), json!([-1]))),
            ("securityContext", one(context)),
            ("volumes", volumes(wild)),
            ("service", service),
            ("serviceAccount", one(account)),
            ("pod", pod(wild)),
            ("rollout", rollout),
            ("monitoring", monitoring(wild)),
            ("paused", one(json!([wild]))),
    ]);
    let spec = object(vec![("image", image(wild))], fields);
    resource(ParentKind::App, "web", if wild { spec } else { spec.prop_map(scrapable).prop_map(mountable).boxed() })
}

/// Pods on several nodes can't mount storage of one.
fn mountable(mut spec: Value) -> Value {
    let is_shared =
        |volume: &Value| volume["storage"].is_null() || volume["storage"]["accessModes"].to_string().contains("Many\"");
    if !spec["volumes"].as_array().into_iter().flatten().all(is_shared) {
        if spec["replicas"].as_i64() > Some(1) {
            spec["replicas"] = json!(1);
        }
        if spec["rollout"]["strategy"] == "RollingUpdate" {
            spec["rollout"] = json!({});
        }
    }
    spec
}

/// How containers are asked, how they end, and what stands beside the App's own.
fn container(wild: bool) -> Vec<(&'static str, BoxedStrategy<Value>)> {
    vec![
        ("livenessProbe", probe(wild)),
        ("readinessProbe", probe(wild)),
        ("startupProbe", probe(wild)),
        (
            "lifecycle",
            one(json!([{"preStop": {"sleep": {"seconds": 3}}}, {"postStart": {"exec": {"command": ["true"]}}}])),
        ),
        ("terminationMessagePath", one(json!(["/tmp/end"]))),
        ("terminationMessagePolicy", one(json!(["File", "FallbackToLogsOnError"]))),
        ("stdin", one(json!([true, false]))),
        ("tty", one(json!([true, false]))),
        (
            "resizePolicy",
            some(
                wild,
                json!([{"resourceName": "cpu", "restartPolicy": "NotRequired"}, {"resourceName": "memory", "restartPolicy": "RestartContainer"}]),
                json!([]),
            ),
        ),
        (
            "initContainers",
            beside(
                wild,
                json!([{"name": "wait", "image": "a:1", "command": ["wait"]}, {"name": "log", "image": "a", "restartPolicy": "Always", "lifecycle": {"preStop": {"sleep": {"seconds": 1}}}}]),
            ),
        ),
        (
            "sidecars",
            beside(
                wild,
                json!([{"name": "proxy", "image": "p:1", "ports": [{"containerPort": 15021}], "env": [{"name": "A", "value": "1"}]}, {"name": "mesh", "image": "m:1", "resources": {"limits": {"cpu": "0.5"}}, "securityContext": {"runAsUser": 7}, "startupProbe": {"tcpSocket": {"port": 15021}}}]),
            ),
        ),
    ]
}

fn monitoring(wild: bool) -> BoxedStrategy<Value> {
    value(
        wild,
        json!([{}, {"path": "/stats", "scheme": "HTTPS"}, {"kind": "PodMonitor", "interval": "30s"}, {"labels": {"team": "a"}}]),
        json!([{"port": "nowhere"}, {"path": "x"}, {"interval": "0"}, {"port": "dns", "labels": {"moorage.dev/app": "forged"}}]),
    )
}

/// Names a TCP port to scrape, or asks for none where there is no such port.
fn scrapable(mut spec: Value) -> Value {
    let ports = spec["ports"].as_array().cloned().unwrap_or_default();
    let port = ports.iter().find(|port| port.get("protocol").is_none_or(|protocol| protocol == "TCP"));
    if let (Some(spec), None) = (spec.as_object_mut(), port) {
        spec.remove("monitoring");
    }
    if let (Some(port), Some(monitoring)) = (port, spec.get_mut("monitoring")) {
        monitoring["port"] = port["name"].clone();
    }
    spec
}

/// Claims. What Kubernetes never lets change is fixed, but in wild ones.
pub fn storage_claim(wild: bool) -> BoxedStrategy<Value> {
    let fixed = |values: Value| if wild { one(values) } else { one(json!([values[0]])) };
    let spec = object(
        // Two sizes would not be the same from scratch: a request can't change before the volume is bound.
        vec![
            ("size", if wild { size(true) } else { one(json!(["1Gi", "1024Mi"])) }),
            ("accessModes", if wild { modes(true) } else { one(json!([["ReadWriteOnce"]])) }),
        ],
        vec![
            ("volumeMode", fixed(json!(["Filesystem", "Block"]))),
            ("deletionPolicy", one(json!(["Retain", "Delete"]))),
            ("adopt", one(json!([true, false]))),
        ],
    );
    let more = object(
        vec![],
        if wild {
            vec![
                ("storageClassName", one(json!(["fast", "late", "", "none"]))),
                (
                    "selector",
                    one(
                        json!([{"matchLabels": {"a": "b"}}, {"matchExpressions": [{"key": "a", "operator": "Exists"}]}]),
                    ),
                ),
                ("volumeName", one(json!(["pv-1", ""]))),
            ]
        } else {
            vec![]
        },
    );
    let both = (spec, more).prop_map(|(mut spec, more)| {
        super::merge(&mut spec, &more);
        spec
    });
    let state = one(
        json!([{}, {"finalizers": ["moorage.dev/deletion-policy"]}, {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["moorage.dev/deletion-policy"]}, {"labels": {"moorage.dev/app": "web"}}]),
    );
    let claims = resource(ParentKind::StorageClaim, "data", both.boxed());
    if !wild {
        return claims;
    }
    (claims, state)
        .prop_map(|(mut claim, state)| {
            super::merge(&mut claim["metadata"], &state);
            claim
        })
        .boxed()
}

/// Registries. In tame ones the storage is always the same, as another needs another Registry.
pub fn registry(wild: bool) -> BoxedStrategy<Value> {
    let storage = json!([
        {"volume": {"size": "2Gi", "accessModes": ["ReadWriteMany"]}}, {"volume": {"size": "1Gi"}}, {"claim": {"name": "other"}},
        {"emptyDir": {}}, {}, {"emptyDir": {}, "claim": {"name": "x"}}, {"claim": {"name": ""}}, {"volume": {"size": "lots"}},
    ]);
    let spec = object(
        vec![("storage", if wild { one(storage) } else { one(json!([storage[0]])) })],
        vec![
            ("engine", one(json!(["Distribution"]))),
            ("logLevel", one(json!(["Error", "Warn", "Info", "Debug"]))),
            ("image", image(wild)),
            ("replicas", value(wild, json!([0, 1, 3]), json!([-1]))),
            ("readOnly", one(json!([true, false]))),
            ("resources", resources()),
            ("pod", pod(wild)),
        ],
    );
    resource(ParentKind::Registry, "images", spec)
}

/// Two tame specs of one resource.
pub fn pairs(kind: ParentKind) -> BoxedStrategy<(Value, Value)> {
    let specs = || match kind {
        ParentKind::App => app(false),
        ParentKind::StorageClaim => storage_claim(false),
        ParentKind::Registry => registry(false),
    };
    (specs(), specs()).boxed()
}
