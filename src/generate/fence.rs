//! `ValidatingAdmissionPolicies` that fence the operator's own account in: what a stolen token can't do, although RBAC, which
//! knows neither labels nor specs, would let it. `tests/cluster/fence.yaml` shows each clause refusing what it should.

use crate::api::GROUP;
use crate::core::kind::ChildKind::{self, Deployment, PodMonitor, Secret, Service, ServiceMonitor, StorageClaim};
use crate::core::meta::{ADOPTABLE, APPLIED_HASH, CLOSED, FIELD_MANAGER, MANAGED_BY, MANAGER};
use crate::shell::kinds::{MANAGED, row};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const API: &str = "admissionregistration.k8s.io/v1";

/// What must be true of the account's requests about some kinds.
struct Policy {
    name: &'static str,
    kinds: Vec<ChildKind>,
    operations: &'static [&'static str],
    variables: &'static [(&'static str, &'static str)],
    /// CEL that must be true, and what is told when it is not.
    clauses: Vec<(String, &'static str)>,
}

const ANY: &[&str] = &["CREATE", "UPDATE", "DELETE"];
const WRITE: &[&str] = &["CREATE", "UPDATE"];

/// The policies, each followed by its binding, with those labels, for the account of that name and namespace.
pub fn fence(namespace: &str, account: &str, labels: &Value) -> Vec<Value> {
    let user = format!("request.userInfo.username == 'system:serviceaccount:{namespace}:{account}'");
    let all: Vec<ChildKind> = MANAGED.iter().map(|row| row.kind).collect();
    let (claims, children) = all.iter().partition(|kind| **kind == StorageClaim);
    // The account changes the finalizers of claims that users made, and nothing else of them. It may write their status, and with it
    // who is listed as the manager of their fields.
    let same = ["labels", "annotations", "ownerReferences"]
        .map(|field| format!("object.metadata.?{field} == oldObject.metadata.?{field}"))
        .join(" && ");
    let mut marks = marks();
    let of_claims =
        format!("request.operation == 'UPDATE' && object.spec == oldObject.spec && {same} || {}", ours(&marks));
    marks.push(format!(
        "oldObject.metadata.?managedFields.orValue([]).exists(f, f.?manager.orValue('') == '{FIELD_MANAGER}' \
         && f.?operation.orValue('') == 'Apply' && f.?subresource.orValue('') == '')"
    ));
    [
        Policy { name: "moorage-places", kinds: all, operations: ANY, variables: &[], clauses: places() },
        Policy {
            name: "moorage-marks",
            kinds: children,
            operations: ANY,
            variables: &[],
            clauses: vec![(ours(&marks), NOT_OURS)],
        },
        Policy {
            name: "moorage-claims",
            kinds: claims,
            operations: ANY,
            variables: &[],
            clauses: vec![(of_claims, NOT_OURS)],
        },
        Policy { name: "moorage-secrets", kinds: vec![Secret], operations: WRITE, variables: &[], clauses: secrets() },
        Policy {
            name: "moorage-services",
            kinds: vec![Service],
            operations: WRITE,
            variables: &[],
            clauses: services(),
        },
        Policy {
            name: "moorage-monitors",
            kinds: vec![ServiceMonitor, PodMonitor],
            operations: WRITE,
            variables: &[],
            clauses: monitors(),
        },
        Policy {
            name: "moorage-pods",
            kinds: vec![Deployment],
            operations: WRITE,
            variables: PODS,
            clauses: pods(namespace),
        },
    ]
    .iter()
    .flat_map(|policy| policy.objects(&user, labels))
    .collect()
}

const NOT_OURS: &str = "the operator may only write what carries its label app.kubernetes.io/managed-by: moorage; if it should, \
    something else takes the label away";

fn marked(object: &str) -> String {
    format!("{object}.metadata.?labels['{MANAGED_BY}'].orValue('') == '{MANAGER}'")
}

/// By which what is found is ours: it carries our label, or shows that it lost it, or its owner gave it to us.
fn marks() -> Vec<String> {
    vec![
        marked("oldObject"),
        format!("'{APPLIED_HASH}' in oldObject.metadata.?annotations.orValue({{}})"),
        format!("'{ADOPTABLE}' in oldObject.metadata.?annotations.orValue({{}})"),
        format!("oldObject.metadata.?ownerReferences.orValue([]).exists(o, o.apiVersion.startsWith('{GROUP}/'))"),
    ]
}

/// What is left carries our label, and what was found one of the marks.
fn ours(marks: &[String]) -> String {
    format!(
        "(request.operation == 'DELETE' || {}) && (request.operation == 'CREATE' || {})",
        marked("object"),
        marks.join(" || ")
    )
}

fn places() -> Vec<(String, &'static str)> {
    vec![
        ("!request.namespace.startsWith('kube-')".to_owned(), "the operator may write nothing in namespaces kube-*"),
        (
            format!("namespaceObject.metadata.?labels['{CLOSED}'].orValue('') != 'true'"),
            "the operator may write nothing in a namespace with the label moorage.dev/closed: true",
        ),
    ]
}

fn secrets() -> Vec<(String, &'static str)> {
    vec![("object.type == 'Opaque'".to_owned(), "type must be Opaque, as others are credentials of the cluster's own")]
}

/// What was there before, others put there, and it stays theirs.
fn services() -> Vec<(String, &'static str)> {
    let before = "request.operation == 'UPDATE' ? oldObject.spec.?externalIPs.orValue([]) : []";
    vec![
        (
            format!("object.spec.?externalIPs.orValue([]).all(ip, ip in ({before}))"),
            "spec.externalIPs must not be added to, as they draw others' traffic",
        ),
        ("object.spec.?type.orValue('') != 'ExternalName'".to_owned(), "spec.type must not be ExternalName"),
    ]
}

/// Prometheus reads whatever file or Secret it is told to, and sends what is in it.
fn monitors() -> Vec<(String, &'static str)> {
    let endpoints = "(object.spec.?endpoints.orValue([]) + object.spec.?podMetricsEndpoints.orValue([]))";
    let credentials = ["bearerTokenFile", "bearerTokenSecret", "authorization", "basicAuth", "oauth2", "tlsConfig"];
    let none = credentials.map(|field| format!("!has(e.{field})")).join(" && ");
    vec![
        (
            format!("{endpoints}.all(e, {none})"),
            "spec.endpoints and spec.podMetricsEndpoints must have no credentials and no tlsConfig, as Prometheus would send them",
        ),
        (
            "!has(object.spec.namespaceSelector)".to_owned(),
            "spec.namespaceSelector must be unset, as an App has one namespace",
        ),
    ]
}

/// What the clauses about pods speak of.
const PODS: &[(&str, &str)] = &[
    ("pod", "object.spec.template.spec"),
    ("annotations", "object.spec.template.?metadata.?annotations.orValue({})"),
    ("containers", "variables.pod.containers + variables.pod.?initContainers.orValue([])"),
    ("contexts", "[variables.pod.?securityContext] + variables.containers.map(c, c.?securityContext)"),
];

/// The controls of the Pod Security Standard `baseline`, <https://kubernetes.io/docs/concepts/security/pod-security-standards/>; that
/// about `hostProcess` is in the first, as such pods must have `hostNetwork`.
fn pods(own: &str) -> Vec<(String, &'static str)> {
    let handlers =
        "c.?livenessProbe, c.?readinessProbe, c.?startupProbe, c.?lifecycle.?postStart, c.?lifecycle.?preStop";
    let no_host = "h.?httpGet.?host.orValue('') == '' && h.?tcpSocket.?host.orValue('') == ''";
    let capabilities = "'AUDIT_WRITE', 'CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'KILL', 'MKNOD', 'NET_BIND_SERVICE', \
                        'SETFCAP', 'SETGID', 'SETPCAP', 'SETUID', 'SYS_CHROOT'";
    let types = "'', 'container_t', 'container_init_t', 'container_kvm_t', 'container_engine_t'";
    let sysctls = "'kernel.shm_rmid_forced', 'net.ipv4.ip_local_port_range', 'net.ipv4.ip_local_reserved_ports', \
                   'net.ipv4.ip_unprivileged_port_start', 'net.ipv4.ping_group_range', 'net.ipv4.tcp_fin_timeout', \
                   'net.ipv4.tcp_keepalive_intvl', 'net.ipv4.tcp_keepalive_probes', 'net.ipv4.tcp_keepalive_time', \
                   'net.ipv4.tcp_rmem', 'net.ipv4.tcp_syncookies', 'net.ipv4.tcp_wmem'";
    let contexts = |rule: &str| format!("variables.contexts.all(s, {rule})");
    let containers = |rule: &str| format!("variables.containers.all(c, {rule})");
    vec![
        (
            format!("request.namespace != '{own}'"),
            "the operator may run nothing in its own namespace, as that would have its power",
        ),
        (
            ["hostNetwork", "hostPID", "hostIPC"]
                .map(|field| format!("!variables.pod.?{field}.orValue(false)"))
                .join(" && "),
            "hostNetwork, hostPID and hostIPC must be unset",
        ),
        (contexts("!s.?privileged.orValue(false)"), "securityContext.privileged must be unset"),
        (
            contexts(&format!("s.?capabilities.?add.orValue([]).all(a, a in [{capabilities}])")),
            "securityContext.capabilities.add must have only what container runtimes give anyway",
        ),
        ("variables.pod.?volumes.orValue([]).all(v, !has(v.hostPath))".to_owned(), "volumes must have no hostPath"),
        (containers("c.?ports.orValue([]).all(p, p.?hostPort.orValue(0) == 0)"), "ports must have no hostPort"),
        (containers(&format!("[{handlers}].all(h, {no_host})")), "probes and lifecycle handlers must name no host"),
        (
            contexts("s.?appArmorProfile.?type.orValue('') != 'Unconfined'")
                + " && variables.annotations.all(k, !k.startsWith('container.apparmor.security.beta.kubernetes.io/') \
                   || variables.annotations[k] != 'unconfined')",
            "the AppArmor profile must not be Unconfined",
        ),
        (contexts("s.?seccompProfile.?type.orValue('') != 'Unconfined'"), "the seccomp profile must not be Unconfined"),
        (
            contexts(&format!(
                "s.?seLinuxOptions.?type.orValue('') in [{types}] && s.?seLinuxOptions.?user.orValue('') == '' \
                 && s.?seLinuxOptions.?role.orValue('') == ''"
            )),
            "seLinuxOptions must have no user, no role, and only types of containers",
        ),
        (contexts("s.?procMount.orValue('Default') == 'Default'"), "securityContext.procMount must be Default"),
        (
            format!("variables.pod.?securityContext.?sysctls.orValue([]).all(s, s.name in [{sysctls}])"),
            "securityContext.sysctls must have only those that concern nothing but the pod",
        ),
    ]
}

impl Policy {
    /// The policy and its binding.
    fn objects(&self, user: &str, labels: &Value) -> [Value; 2] {
        let mut groups: BTreeMap<(&str, &[&str]), Vec<&str>> = BTreeMap::new();
        for row in self.kinds.iter().map(|kind| row(*kind)) {
            groups.entry((row.group, row.versions)).or_default().push(row.plural);
        }
        let resources: Vec<Value> = groups
            .into_iter()
            .map(|((group, versions), plurals)| {
                json!({
                    "apiGroups": [group], "apiVersions": versions, "operations": self.operations, "resources": plurals,
                })
            })
            .collect();
        let validations: Vec<Value> = self
            .clauses
            .iter()
            .map(|(rule, message)| json!({"expression": rule, "message": message, "reason": "Forbidden"}))
            .collect();
        let mut spec = json!({
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": resources},
            "matchConditions": [{"name": "operator", "expression": user}],
            "validations": validations,
        });
        if !self.variables.is_empty() {
            let variables = self.variables.iter();
            spec["variables"] =
                variables.map(|(name, expression)| json!({"name": name, "expression": expression})).collect();
        }
        let metadata = json!({"name": self.name, "labels": labels});
        [
            json!({"apiVersion": API, "kind": "ValidatingAdmissionPolicy", "metadata": metadata, "spec": spec}),
            json!({
                "apiVersion": API, "kind": "ValidatingAdmissionPolicyBinding", "metadata": metadata,
                "spec": {"policyName": self.name, "validationActions": ["Deny"]},
            }),
        ]
    }
}
