//! The table of resources that the server serves, and how each one behaves.

use serde_json::Value;

/// A check that a request body must pass, in addition to the server's own rules.
pub type Check = fn(&Value) -> Result<(), String>;

/// One resource: a row of the server's table.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools)]
pub struct Resource {
    /// API group, empty for the core group.
    pub group: String,
    /// API version, `v1` for instance.
    pub version: String,
    /// Plural, as it stands in URLs.
    pub plural: String,
    /// Kind.
    pub kind: String,
    /// Whether objects live in namespaces.
    pub namespaced: bool,
    /// Whether `/status` exists; then the main endpoint never writes status.
    pub status: bool,
    /// Whether `metadata.generation` is kept.
    pub generation: bool,
    /// Whether `/scale` exists.
    pub scale: bool,
    /// Whether it is a custom resource: stored as sent, without typed defaults.
    pub custom: bool,
    /// Associative lists of a custom resource: field name and its keys.
    pub list_maps: Vec<(String, Vec<String>)>,
    /// An additional check of bodies, answered with 422.
    pub check: Option<Check>,
}

impl Resource {
    /// A namespaced built-in resource without subresources or generation.
    pub fn builtin(api_version: &str, kind: &str, plural: &str) -> Self {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        Self {
            group: group.to_owned(),
            version: version.to_owned(),
            plural: plural.to_owned(),
            kind: kind.to_owned(),
            namespaced: true,
            status: false,
            generation: false,
            scale: false,
            custom: false,
            list_maps: Vec::new(),
            check: None,
        }
    }

    /// A namespaced custom resource with `/status`; its conditions are keyed by type.
    pub fn custom(api_version: &str, kind: &str, plural: &str) -> Self {
        let base = Self { custom: true, ..Self::builtin(api_version, kind, plural) };
        base.with_status().with_generation().with_list_map("conditions", &["type"])
    }

    /// The same at cluster scope.
    #[must_use]
    pub fn cluster_scoped(self) -> Self {
        Self { namespaced: false, ..self }
    }

    /// The same with a `/status` subresource.
    #[must_use]
    pub fn with_status(self) -> Self {
        Self { status: true, ..self }
    }

    /// The same with `metadata.generation`.
    #[must_use]
    pub fn with_generation(self) -> Self {
        Self { generation: true, ..self }
    }

    /// The same with a `/scale` subresource on `.spec.replicas`.
    #[must_use]
    pub fn with_scale(self) -> Self {
        Self { scale: true, ..self }
    }

    /// The same with an associative list: every list field of that name is merged by `keys`.
    #[must_use]
    pub fn with_list_map(mut self, field: &str, keys: &[&str]) -> Self {
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        self.list_maps.push((field.to_owned(), keys));
        self
    }

    /// The same with an additional check of bodies.
    #[must_use]
    pub fn with_check(self, check: Check) -> Self {
        Self { check: Some(check), ..self }
    }

    /// `plural` or `plural.group`: the name by which the table is keyed.
    pub fn id(&self) -> String {
        qualify(&self.plural, &self.group)
    }

    /// `group/version`, or the version alone in the core group.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    pub(crate) fn qualified_kind(&self) -> String {
        qualify(&self.kind, &self.group)
    }
}

pub(crate) fn qualify(name: &str, group: &str) -> String {
    if group.is_empty() { name.to_owned() } else { format!("{name}.{group}") }
}

/// The resources a new server starts with: Moorage's own and the built-in ones it touches.
/// Optional APIs (routes, gateways, snapshots, monitors) are absent, as on a bare cluster.
pub fn standard() -> Vec<Resource> {
    let builtin = Resource::builtin;
    let custom = |kind, plural| Resource::custom("moorage.dev/v1alpha1", kind, plural);
    vec![
        custom("App", "apps").with_scale(),
        custom("StorageClaim", "storageclaims"),
        custom("Registry", "registries"),
        builtin("v1", "Namespace", "namespaces").cluster_scoped().with_status(),
        builtin("v1", "ServiceAccount", "serviceaccounts"),
        builtin("v1", "Service", "services").with_status(),
        builtin("v1", "ConfigMap", "configmaps"),
        builtin("v1", "Secret", "secrets"),
        builtin("v1", "PersistentVolumeClaim", "persistentvolumeclaims").with_status(),
        builtin("v1", "Pod", "pods").with_status().with_generation(),
        builtin("v1", "Event", "events"),
        builtin("apps/v1", "Deployment", "deployments").with_status().with_generation().with_scale(),
        builtin("apps/v1", "ReplicaSet", "replicasets").with_status().with_generation().with_scale(),
        builtin("apps/v1", "StatefulSet", "statefulsets").with_status().with_generation().with_scale(),
        builtin("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers").with_status(),
        builtin("batch/v1", "Job", "jobs").with_status().with_generation(),
        builtin("batch/v1", "CronJob", "cronjobs").with_status().with_generation(),
        builtin("coordination.k8s.io/v1", "Lease", "leases"),
        builtin("events.k8s.io/v1", "Event", "events"),
        builtin("networking.k8s.io/v1", "Ingress", "ingresses").with_status().with_generation(),
        builtin("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies").with_generation(),
        builtin("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets").with_status().with_generation(),
        builtin("rbac.authorization.k8s.io/v1", "Role", "roles"),
        builtin("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings"),
        builtin("storage.k8s.io/v1", "StorageClass", "storageclasses").cluster_scoped(),
        builtin("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions").cluster_scoped(),
    ]
}
