//! `deploy/`: what installs the operator, as a kustomize base and as single files.

use super::fence::fence;
use super::files::{File, yaml};
use super::rbac::{self, COMPONENTS, Grant, Place};
use serde_json::{Value, json};

/// Where the operator lives unless somebody moves it.
pub const NAMESPACE: &str = "moorage-system";
/// What it, its account and most of what installs it are called.
pub const NAME: &str = "moorage";
const RBAC_API: &str = "rbac.authorization.k8s.io/v1";
/// No image is published yet. This name can never be anybody's (RFC 2606), so nothing is pulled before the installer says whose.
pub const IMAGE: &str = concat!("registry.invalid/moorage:", env!("CARGO_PKG_VERSION"));

/// Every file, by its path below `deploy/`.
pub fn manifests() -> Vec<File> {
    let base = rbac::base();
    let mut files = vec![
        ("namespace.yaml".to_owned(), yaml(&[namespace()])),
        ("service-account.yaml".to_owned(), yaml(&[service_account()])),
        ("rbac/roles.yaml".to_owned(), yaml(&base.iter().map(role).collect::<Vec<_>>())),
        ("rbac/bindings.yaml".to_owned(), yaml(&base.iter().map(binding).collect::<Vec<_>>())),
        ("rbac/users.yaml".to_owned(), yaml(&user_roles())),
        ("fence.yaml".to_owned(), yaml(&fence(NAMESPACE, NAME, &labels()))),
        ("deployment.yaml".to_owned(), yaml(&[deployment(None)])),
        ("disruption-budget.yaml".to_owned(), yaml(&[disruption_budget()])),
        // kustomize reads nothing above its own folder, and so not `../crds`.
        ("kustomization.yaml".to_owned(), yaml(&[kustomization(&["install.yaml"])])),
        ("install.yaml".to_owned(), yaml(&install())),
        ("namespaced/operator.yaml".to_owned(), yaml(&namespaced(&[]))),
        ("namespaced/tenant.yaml".to_owned(), yaml(&tenant(None))),
    ];
    for component in COMPONENTS {
        let (folder, grants) = (format!("components/{}", component.name), (component.grants)());
        let objects: Vec<Value> = grants.iter().flat_map(granted).collect();
        files.push((format!("{folder}/kustomization.yaml"), yaml(&[kustomization(&["rbac.yaml"])])));
        files.push((format!("{folder}/rbac.yaml"), yaml(&objects)));
        let chosen: Vec<Value> = grants.iter().filter(|grant| grant.place == Place::Chosen).map(bound_here).collect();
        if !chosen.is_empty() {
            files.push((format!("{folder}/binding.yaml"), format!("{}{}", how_to_bind(component.name), yaml(&chosen))));
        }
    }
    files
}

/// What has kustomize take these files.
pub fn kustomization(resources: &[&str]) -> Value {
    json!({"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": resources})
}

/// Everything but the components, for all namespaces.
fn install() -> Vec<Value> {
    let base = rbac::base();
    operator(&base, base.iter().map(binding).collect(), &[])
}

/// How an admin grants what is granted one namespace at a time.
fn how_to_bind(component: &str) -> String {
    let folder = format!("deploy/components/{component}");
    format!(
        "# For one namespace, as often as needed; the first command once per cluster, unless deploy/namespaced is installed:\n\
         #   kubectl apply -k {folder}\n\
         #   kubectl apply -n NAMESPACE -f {folder}/binding.yaml\n"
    )
}

/// Everything, all components included, for these namespaces only, which must exist: rights are granted in them and nowhere else. What
/// an admin chooses namespaces for is not bound.
pub fn install_for(namespaces: &[String]) -> Vec<File> {
    vec![("install.yaml".to_owned(), yaml(&namespaced(namespaces)))]
}

fn namespaced(namespaces: &[String]) -> Vec<Value> {
    let grants = every_grant();
    let own = grants.iter().filter(|grant| grant.place == Place::Own).map(binding);
    let bindings = own.chain(namespaces.iter().flat_map(|namespace| tenant(Some(namespace)))).collect();
    operator(&grants, bindings, namespaces)
}

/// What the operator has in a namespace that it watches; without a name, in the one that this is applied to.
fn tenant(namespace: Option<&str>) -> Vec<Value> {
    let grants = every_grant().into_iter().filter(|grant| grant.place == Place::Watched);
    let bound = grants.map(|grant| {
        let mut bound = bound_here(&grant);
        if let Some(namespace) = namespace {
            bound["metadata"]["namespace"] = json!(namespace);
        }
        bound
    });
    bound.collect()
}

/// The binding of a role in the namespace that it is applied to.
fn bound_here(grant: &Grant) -> Value {
    let mut bound = binding(grant);
    bound["kind"] = json!("RoleBinding");
    bound
}

fn every_grant() -> Vec<Grant> {
    rbac::base().into_iter().chain(COMPONENTS.iter().flat_map(|component| (component.grants)())).collect()
}

/// The operator in a namespace of its own, with these roles and bindings; it watches these namespaces, or all.
fn operator(grants: &[Grant], bindings: Vec<Value>, watched: &[String]) -> Vec<Value> {
    let crds = crate::core::kind::ParentKind::ALL.into_iter().map(super::crds::crd);
    std::iter::once(namespace())
        .chain(crds)
        .chain([service_account()])
        .chain(grants.iter().map(role))
        .chain(bindings)
        .chain(user_roles())
        .chain(fence(NAMESPACE, NAME, &labels()))
        .chain([deployment(watch(watched)), disruption_budget()])
        .collect()
}

/// By which everything of the operator is known.
pub fn labels() -> Value {
    json!({"app.kubernetes.io/name": NAME, "app.kubernetes.io/component": "operator"})
}

/// Of an object of that name in the operator's namespace.
pub fn metadata(name: &str) -> Value {
    json!({"name": name, "namespace": NAMESPACE, "labels": labels()})
}

/// The namespace that the operator lives in, which lets no pod do more than it needs.
pub fn namespace() -> Value {
    let mut labels = labels();
    for mode in ["enforce", "audit", "warn"] {
        labels[format!("pod-security.kubernetes.io/{mode}")] = json!("restricted");
    }
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}})
}

/// The operator's account, whose token only its pods have.
pub fn service_account() -> Value {
    json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata(NAME), "automountServiceAccountToken": false})
}

/// A role, and its binding to the operator unless an admin binds it.
fn granted(grant: &Grant) -> Vec<Value> {
    let is_bound = !matches!(grant.place, Place::Others | Place::Chosen);
    std::iter::once(role(grant)).chain(is_bound.then(|| binding(grant))).collect()
}

/// The role of a grant.
pub fn role(grant: &Grant) -> Value {
    let (kind, metadata) = match grant.place {
        Place::Own => ("Role", metadata(grant.name)),
        Place::Watched | Place::Chosen | Place::Cluster | Place::Others => {
            ("ClusterRole", json!({"name": grant.name, "labels": labels()}))
        }
    };
    json!({"apiVersion": RBAC_API, "kind": kind, "metadata": metadata, "rules": grant.rules})
}

/// A role bound to the operator.
pub fn binding(grant: &Grant) -> Value {
    let mut bound = role(grant);
    let kind = bound["kind"].take();
    json!({
        "apiVersion": RBAC_API, "kind": if kind == "Role" { "RoleBinding" } else { "ClusterRoleBinding" },
        "metadata": bound["metadata"].take(),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": grant.name},
        "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}],
    })
}

/// Whoever may view or edit a namespace may view or edit our kinds in it.
pub fn user_roles() -> Vec<Value> {
    let aggregated = |name: &'static str, into: &[&str], verbs: &[&str]| {
        let mut made = role(&Grant { name, place: Place::Cluster, rules: rbac::users(verbs) });
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

/// The setting that has these namespaces watched, unless that is all.
fn watch(namespaces: &[String]) -> Option<Value> {
    (!namespaces.is_empty()).then(|| json!({"name": "MOORAGE_WATCH_NAMESPACE", "value": namespaces.join(",")}))
}

/// A variable that is a field of the pod.
pub fn field(name: &str, path: &str) -> Value {
    json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}})
}

/// The operator, with these variables beside those that it always has.
pub fn deployment(more: impl IntoIterator<Item = Value>) -> Value {
    let mut env = vec![
        field("MOORAGE_NAMESPACE", "metadata.namespace"),
        field("MOORAGE_IDENTITY", "metadata.name"),
        field("MOORAGE_SERVICE_ACCOUNT", "spec.serviceAccountName"),
    ];
    env.extend(more);
    let probe = |path: &str| json!({"httpGet": {"path": path, "port": "http"}, "periodSeconds": 5});
    let container = json!({
        "name": "operator",
        "image": IMAGE,
        "args": ["run"],
        "env": env,
        "ports": [{"name": "http", "containerPort": 8080}],
        "livenessProbe": probe("/healthz"),
        "readinessProbe": probe("/readyz"),
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": {"drop": ["ALL"]},
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
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

/// Keeps one of its pods while nodes are drained.
pub fn disruption_budget() -> Value {
    json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": metadata(NAME),
        "spec": {
            "maxUnavailable": 1,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": labels()},
        },
    })
}
