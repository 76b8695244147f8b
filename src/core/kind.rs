//! The kinds that users and the operator write, and who a parent is.

use std::fmt;

/// A kind that users write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ParentKind {
    /// [`crate::api::App`]
    App,
    /// [`crate::api::StorageClaim`]
    StorageClaim,
    /// [`crate::api::Registry`]
    Registry,
}

impl ParentKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::App, Self::StorageClaim, Self::Registry];

    /// The kind's name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::App => "App",
            Self::StorageClaim => "StorageClaim",
            Self::Registry => "Registry",
        }
    }

    /// The kind's plural in the API.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::App => "apps",
            Self::StorageClaim => "storageclaims",
            Self::Registry => "registries",
        }
    }

    /// The kind of that API name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// A kind that the operator writes. The order is the order of applying.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChildKind {
    /// `v1`
    ServiceAccount,
    /// `v1`
    ConfigMap,
    /// `v1`
    Secret,
    /// `moorage.dev/v1alpha1`
    StorageClaim,
    /// `v1`
    PersistentVolumeClaim,
    /// `apps/v1`
    Deployment,
    /// `v1`
    Service,
    /// `policy/v1`
    PodDisruptionBudget,
    /// `monitoring.coreos.com`
    ServiceMonitor,
    /// `monitoring.coreos.com`
    PodMonitor,
}

impl ChildKind {
    /// The kind's name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ServiceAccount => "ServiceAccount",
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
            Self::StorageClaim => "StorageClaim",
            Self::PersistentVolumeClaim => "PersistentVolumeClaim",
            Self::Service => "Service",
            Self::PodDisruptionBudget => "PodDisruptionBudget",
            Self::Deployment => "Deployment",
            Self::ServiceMonitor => "ServiceMonitor",
            Self::PodMonitor => "PodMonitor",
        }
    }

    /// The kinds of what its pods start with: a change of theirs reaches no pod that runs, so they come first.
    pub const fn needs(self) -> &'static [Self] {
        match self {
            Self::Deployment => &[Self::ServiceAccount, Self::ConfigMap, Self::Secret],
            Self::ServiceAccount
            | Self::ConfigMap
            | Self::Secret
            | Self::StorageClaim
            | Self::PersistentVolumeClaim
            | Self::Service
            | Self::PodDisruptionBudget
            | Self::ServiceMonitor
            | Self::PodMonitor => &[],
        }
    }
}

impl fmt::Display for ChildKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Which parent a plan is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its kind.
    pub kind: ParentKind,
    /// Its namespace, which is that of every child.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// Generation of its spec.
    pub generation: i64,
    /// Whether it is being deleted.
    pub deleting: bool,
}

impl Identity {
    /// The identity of a parent object. An object that never was in a cluster has the nil UID and the namespace `default`.
    pub fn of<K: kube::Resource>(kind: ParentKind, object: &K) -> Self {
        let meta = object.meta();
        Self {
            kind,
            namespace: meta.namespace.clone().unwrap_or_else(|| "default".to_owned()),
            name: meta.name.clone().unwrap_or_default(),
            uid: meta.uid.clone().unwrap_or_else(|| "00000000-0000-0000-0000-000000000000".to_owned()),
            generation: meta.generation.unwrap_or(0),
            deleting: meta.deletion_timestamp.is_some(),
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}/{}", self.kind.as_str(), self.namespace, self.name)
    }
}
