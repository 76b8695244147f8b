//! `deploy/`: what installs the operator, as a kustomize base and as single files.

use super::files::{File, yaml};
use super::rbac;
use serde_json::{Value, json};

const NAMESPACE: &str = "moorage-system";
const NAME: &str = "moorage";
const RBAC_API: &str = "rbac.authorization.k8s.io/v1";
/// No image is published yet. This name can never be anybody's (RFC 2606), so nothing is pulled before the installer says whose.
const IMAGE: &str = concat!("registry.invalid/moorage:", env!("CARGO_PKG_VERSION"));

/// Every file, by its path below `deploy/`.
pub fn manifests() -> Vec<File> {
    let pieces: Vec<File> = vec![
        ("namespace.yaml".to_owned(), yaml(&[namespace()])),
        ("service-account.yaml".to_owned(), yaml(&[service_account()])),
        ("rbac/roles.yaml".to_owned(), yaml(&roles())),
        ("rbac/bindings.yaml".to_owned(), yaml(&bindings())),
        ("rbac/users.yaml".to_owned(), yaml(&user_roles())),
        ("deployment.yaml".to_owned(), yaml(&[deployment(&[])])),
        ("disruption-budget.yaml".to_owned(), yaml(&[disruption_budget()])),
    ];
    // kustomize reads nothing above its own folder, and so not `../crds`.
    let kustomization = json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": ["install.yaml"],
    });
    let mut files = pieces;
    files.push(("kustomization.yaml".to_owned(), yaml(&[kustomization])));
    files.push(("install.yaml".to_owned(), yaml(&install())));
    files.push(("namespaced/install.yaml".to_owned(), yaml(&namespaced())));
    files
}

/// Everything, for all namespaces.
fn install() -> Vec<Value> {
    let crds = crate::core::kind::ParentKind::ALL.into_iter().map(super::crds::crd);
    std::iter::once(namespace())
        .chain(crds)
        .chain([service_account()])
        .chain(roles())
        .chain(bindings())
        .chain(user_roles())
        .chain([deployment(&[]), disruption_budget()])
        .collect()
}

/// The operator for its own namespace only: Roles instead of `ClusterRoles`. The CRDs are installed apart, by an admin.
fn namespaced() -> Vec<Value> {
    let own = [
        (rbac::BASE, rbac::base()),
        (rbac::REGISTRY_SECRETS, rbac::registry_secrets()),
        (rbac::LEADER, rbac::leader()),
        (rbac::REGISTRY_KEY, rbac::registry_key()),
    ];
    let mut objects = vec![service_account()];
    for (name, rules) in own {
        objects.push(role("Role", name, &rules));
        objects.push(binding("RoleBinding", name, "Role"));
    }
    objects.push(deployment(&["--watch-namespace=$(POD_NAMESPACE)"]));
    objects.push(disruption_budget());
    for object in &mut objects {
        let subjects = object["subjects"].as_array().map_or(0, Vec::len);
        for place in
            [Some("/metadata".to_owned()), (subjects > 0).then(|| "/subjects/0".to_owned())].into_iter().flatten()
        {
            if let Some(Value::Object(map)) = object.pointer_mut(&place) {
                map.remove("namespace");
            }
        }
    }
    objects
}

fn labels() -> Value {
    json!({"app.kubernetes.io/name": NAME, "app.kubernetes.io/component": "operator"})
}

fn metadata(name: &str) -> Value {
    json!({"name": name, "namespace": NAMESPACE, "labels": labels()})
}

fn namespace() -> Value {
    let mut labels = labels();
    for mode in ["enforce", "audit", "warn"] {
        labels[format!("pod-security.kubernetes.io/{mode}")] = json!("restricted");
    }
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}})
}

fn service_account() -> Value {
    json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata(NAME), "automountServiceAccountToken": false})
}

fn role(kind: &str, name: &str, rules: &[Value]) -> Value {
    let mut metadata = metadata(name);
    if kind == "ClusterRole" {
        metadata = json!({"name": name, "labels": labels()});
    }
    json!({"apiVersion": RBAC_API, "kind": kind, "metadata": metadata, "rules": rules})
}

fn roles() -> Vec<Value> {
    vec![
        role("ClusterRole", rbac::BASE, &rbac::base()),
        role("ClusterRole", rbac::CLUSTER, &rbac::cluster()),
        role("ClusterRole", rbac::REGISTRY_SECRETS, &rbac::registry_secrets()),
        role("Role", rbac::LEADER, &rbac::leader()),
        role("Role", rbac::REGISTRY_KEY, &rbac::registry_key()),
    ]
}

fn binding(kind: &str, name: &str, role_kind: &str) -> Value {
    let mut metadata = metadata(name);
    if kind == "ClusterRoleBinding" {
        metadata = json!({"name": name, "labels": labels()});
    }
    let mut subject = json!({"kind": "ServiceAccount", "name": NAME});
    if role_kind == "ClusterRole" || kind == "ClusterRoleBinding" || name == rbac::LEADER || name == rbac::REGISTRY_KEY
    {
        subject["namespace"] = json!(NAMESPACE);
    }
    json!({
        "apiVersion": RBAC_API, "kind": kind, "metadata": metadata,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role_kind, "name": name},
        "subjects": [subject],
    })
}

fn bindings() -> Vec<Value> {
    let cluster = [rbac::BASE, rbac::CLUSTER, rbac::REGISTRY_SECRETS];
    let own = [rbac::LEADER, rbac::REGISTRY_KEY];
    cluster
        .into_iter()
        .map(|name| binding("ClusterRoleBinding", name, "ClusterRole"))
        .chain(own.into_iter().map(|name| binding("RoleBinding", name, "Role")))
        .collect()
}

/// Whoever may view or edit a namespace may view or edit our kinds in it.
fn user_roles() -> Vec<Value> {
    let aggregated = |name: &str, into: &[&str], verbs: &[&str]| {
        let mut made = role("ClusterRole", name, &rbac::users(verbs));
        for role in into {
            made["metadata"]["labels"][format!("rbac.authorization.k8s.io/aggregate-to-{role}")] = json!("true");
        }
        made
    };
    let view = ["get", "list", "watch"];
    let edit = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"];
    vec![
        aggregated("moorage-view", &["view", "edit", "admin"], &view),
        aggregated("moorage-edit", &["edit", "admin"], &edit),
    ]
}

fn deployment(extra: &[&str]) -> Value {
    let mut args = vec!["run"];
    args.extend(extra);
    let field = |name: &str, path: &str| json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}});
    let probe = |path: &str| json!({"httpGet": {"path": path, "port": "http"}, "periodSeconds": 5});
    let container = json!({
        "name": "operator",
        "image": IMAGE,
        "args": args,
        "env": [
            field("POD_NAMESPACE", "metadata.namespace"),
            field("MOORAGE_NAMESPACE", "metadata.namespace"),
            field("MOORAGE_IDENTITY", "metadata.name"),
        ],
        "ports": [{"name": "http", "containerPort": 8080}],
        "livenessProbe": probe("/healthz"),
        "readinessProbe": probe("/readyz"),
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": {"drop": ["ALL"]},
        },
    });
    let spread = json!([{
        "maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": labels()},
    }]);
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata(NAME),
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels()},
            "template": {
                "metadata": {"labels": labels()},
                "spec": {
                    "serviceAccountName": NAME,
                    "automountServiceAccountToken": true,
                    "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
                    "terminationGracePeriodSeconds": 20,
                    "topologySpreadConstraints": spread,
                    "containers": [container],
                },
            },
        },
    })
}

fn disruption_budget() -> Value {
    json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": metadata(NAME),
        "spec": {
            "maxUnavailable": 1,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": labels()},
        },
    })
}
