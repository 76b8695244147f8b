//! The one table of managed kinds: watches, order of applying and RBAC all derive from it.

use crate::api;
use crate::core::kind::{ChildKind, ParentKind};
use crate::core::offer::{Offer, Provider};
use crate::core::reference::ReferenceKind;
use kube::core::ApiResource;
use std::collections::BTreeMap;
use std::fmt;

/// One kind that the operator writes.
#[derive(Debug)]
pub struct Row {
    /// The kind.
    pub kind: ChildKind,
    /// Its API group, empty for core.
    pub group: &'static str,
    /// Its versions, the one that is liked best first. Only of an optional kind there is a choice.
    pub versions: &'static [&'static str],
    /// Its plural.
    pub plural: &'static str,
    /// The kinds that have such children.
    pub parents: &'static [ParentKind],
    /// What the operator may do to it.
    pub rights: Rights,
    /// Where the kind comes from, if it is not part of every cluster: it is watched while it is served, and its rights are granted by
    /// a component.
    pub optional: Option<Provider>,
}

/// What the operator may do to a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rights {
    /// To make one where there is none. It sees none, not even its own.
    Make,
    /// To keep it as declared.
    Keep,
    /// Likewise, and to delete it.
    Delete,
}

use ParentKind::{App, Registry, StorageClaim};

const V1: &[&str] = &["v1"];
const MONITORING: &str = "monitoring.coreos.com";
const PROMETHEUS: Provider = Provider { install: "prometheus-operator or at least its CRDs", component: "monitoring" };

/// Every kind that the operator writes.
#[rustfmt::skip]
pub static MANAGED: &[Row] = &[
    Row { kind: ChildKind::ServiceAccount,        group: "",         versions: V1,              plural: "serviceaccounts",        parents: &[App],           rights: Rights::Delete, optional: None },
    Row { kind: ChildKind::ConfigMap,             group: "",         versions: V1,              plural: "configmaps",             parents: &[Registry],      rights: Rights::Delete, optional: None },
    Row { kind: ChildKind::Secret,                group: "",         versions: V1,              plural: "secrets",                parents: &[Registry],      rights: Rights::Make,   optional: None },
    Row { kind: ChildKind::StorageClaim,          group: api::GROUP, versions: &[api::VERSION], plural: "storageclaims",          parents: &[App, Registry], rights: Rights::Keep,   optional: None },
    Row { kind: ChildKind::PersistentVolumeClaim, group: "",         versions: V1,              plural: "persistentvolumeclaims", parents: &[StorageClaim],  rights: Rights::Delete, optional: None },
    Row { kind: ChildKind::Deployment,            group: "apps",     versions: V1,              plural: "deployments",            parents: &[App, Registry], rights: Rights::Keep,   optional: None },
    Row { kind: ChildKind::Service,               group: "",         versions: V1,              plural: "services",               parents: &[App, Registry], rights: Rights::Delete, optional: None },
    Row { kind: ChildKind::PodDisruptionBudget,   group: "policy",   versions: V1,              plural: "poddisruptionbudgets",   parents: &[App],           rights: Rights::Delete, optional: None },
    Row { kind: ChildKind::ServiceMonitor,        group: MONITORING, versions: V1,              plural: "servicemonitors",        parents: &[App],           rights: Rights::Delete, optional: Some(PROMETHEUS) },
    Row { kind: ChildKind::PodMonitor,            group: MONITORING, versions: V1,              plural: "podmonitors",            parents: &[App],           rights: Rights::Delete, optional: Some(PROMETHEUS) },
];

impl Row {
    /// How the API server addresses the kind in that version.
    pub fn api_resource(&self, version: &str) -> ApiResource {
        api_resource(self.group, version, self.kind.as_str(), self.plural)
    }

    /// Name of the `CustomResourceDefinition` by which a kind is served that is not built in.
    pub fn definition(&self) -> String {
        format!("{}.{}", self.plural, self.group)
    }
}

/// What is known of the optional kinds where everything is installed, as `moorage render` takes it to be.
pub fn all_served() -> BTreeMap<ChildKind, Offer> {
    optional().map(|row| (row.kind, Offer::Served(row.versions[0]))).collect()
}

/// Every kind that is not part of every cluster.
pub fn optional() -> impl Iterator<Item = &'static Row> {
    MANAGED.iter().filter(|row| row.optional.is_some())
}

/// The row of a kind.
///
/// # Panics
/// Never: a test holds that every kind has its row.
pub fn row(kind: ChildKind) -> &'static Row {
    #[allow(clippy::expect_used, reason = "the table is complete, which the test below holds")]
    MANAGED.iter().find(|row| row.kind == kind).expect("every kind has a row")
}

/// How the API server addresses a parent kind.
pub fn parent_resource(kind: ParentKind) -> ApiResource {
    api_resource(api::GROUP, api::VERSION, kind.as_str(), kind.plural())
}

/// A kind that is watched and never written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Observable {
    /// Pods of ours, for what is wrong with them.
    Pod,
    /// `ReplicaSets` of ours, which are the revisions of Apps.
    ReplicaSet,
    /// Warnings about pods and volumes of ours.
    Event,
    /// The cluster's storage classes.
    StorageClass,
    /// Which kinds the cluster has beside those that are built in; their metadata only.
    Definition,
}

/// One kind that is watched and never written.
#[derive(Debug)]
pub struct Watched {
    /// The kind.
    pub kind: Observable,
    /// Its API group, empty for core.
    pub group: &'static str,
    /// Its version.
    pub version: &'static str,
    /// Its kind's name.
    pub name: &'static str,
    /// Its plural.
    pub plural: &'static str,
    /// Whether it lives in namespaces.
    pub namespaced: bool,
    /// Whether one of it is read as a whole when a plan wants that.
    pub read: bool,
}

/// Every kind that is watched and never written.
pub static OBSERVED: &[Watched] = &[
    Watched {
        kind: Observable::Pod,
        group: "",
        version: "v1",
        name: "Pod",
        plural: "pods",
        namespaced: true,
        read: false,
    },
    Watched {
        kind: Observable::ReplicaSet,
        group: "apps",
        version: "v1",
        name: "ReplicaSet",
        plural: "replicasets",
        namespaced: true,
        read: true,
    },
    Watched {
        kind: Observable::Event,
        group: "",
        version: "v1",
        name: "Event",
        plural: "events",
        namespaced: true,
        read: false,
    },
    Watched {
        kind: Observable::StorageClass,
        group: "storage.k8s.io",
        version: "v1",
        name: "StorageClass",
        plural: "storageclasses",
        namespaced: false,
        read: false,
    },
    Watched {
        kind: Observable::Definition,
        group: "apiextensions.k8s.io",
        version: "v1",
        name: "CustomResourceDefinition",
        plural: "customresourcedefinitions",
        namespaced: false,
        read: false,
    },
];

impl Watched {
    /// How the API server addresses the kind.
    pub fn api_resource(&self) -> ApiResource {
        api_resource(self.group, self.version, self.name, self.plural)
    }
}

fn api_resource(group: &str, version: &str, kind: &str, plural: &str) -> ApiResource {
    ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version: if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") },
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    }
}

/// What one watch is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// A kind that users write.
    Parent(ParentKind),
    /// A kind that the operator writes.
    Child(ChildKind),
    /// A kind that is only looked at.
    Observed(Observable),
    /// Objects of others that somebody refers to. They are watched as long as somebody does.
    Content(ReferenceKind),
}

impl Subject {
    /// Every kind that is watched from the start, in every cluster.
    pub fn all() -> impl Iterator<Item = Self> {
        let parents = ParentKind::ALL.into_iter().map(Self::Parent);
        let seen = MANAGED.iter().filter(|row| row.rights != Rights::Make && row.optional.is_none());
        let children = seen.map(|row| Self::Child(row.kind));
        parents.chain(children).chain(OBSERVED.iter().map(|watched| Self::Observed(watched.kind)))
    }

    /// Whether the operator works without it, and then says what it lacks.
    pub fn is_optional(self) -> bool {
        match self {
            Self::Parent(_) => false,
            Self::Child(kind) => row(kind).optional.is_some(),
            Self::Observed(kind) => !matches!(kind, Observable::Pod | Observable::ReplicaSet),
            Self::Content(_) => true,
        }
    }

    /// Whether news of it are followed by news of another kind that say more: what moves in a `ReplicaSet`, its Deployment tells.
    pub fn is_followed(self) -> bool {
        self == Self::Observed(Observable::ReplicaSet)
    }

    /// Whether the right to look at it comes with a component, namespace by namespace. Only a refusal tells where it is not given.
    pub const fn comes_with_a_component(self) -> bool {
        match self {
            Self::Parent(_) | Self::Child(_) | Self::Observed(_) => false,
            Self::Content(kind) => kind.component().is_some(),
        }
    }

    /// Whether it is Events, most of which are about others' objects.
    pub fn is_events(self) -> bool {
        self == Self::Observed(Observable::Event)
    }

    /// Whether what it shows must be known before the other is looked at.
    pub fn comes_before(self, other: Self) -> bool {
        match self {
            Self::Parent(_) => !matches!(other, Self::Parent(_)),
            Self::Child(ChildKind::PersistentVolumeClaim) | Self::Observed(Observable::Pod) => other.is_events(),
            Self::Child(_) | Self::Observed(_) | Self::Content(_) => false,
        }
    }

    /// How the API server addresses the kind, in the version that is liked best, and whether it lives in namespaces.
    pub fn resource(self) -> (ApiResource, bool) {
        match self {
            Self::Parent(kind) => (parent_resource(kind), true),
            Self::Child(kind) => (row(kind).api_resource(row(kind).versions[0]), true),
            Self::Content(ReferenceKind::StorageClaim) => Self::Child(ChildKind::StorageClaim).resource(),
            Self::Content(ReferenceKind::PersistentVolumeClaim) => {
                Self::Child(ChildKind::PersistentVolumeClaim).resource()
            }
            Self::Content(ReferenceKind::ConfigMap) => Self::Child(ChildKind::ConfigMap).resource(),
            Self::Content(ReferenceKind::Secret) => Self::Child(ChildKind::Secret).resource(),
            Self::Observed(kind) => {
                let watched = OBSERVED.iter().find(|watched| watched.kind == kind);
                watched.map_or_else(
                    || (parent_resource(ParentKind::App), true),
                    |watched| (watched.api_resource(), watched.namespaced),
                )
            }
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.resource().0.plural)?;
        if matches!(self, Self::Content(_)) { formatter.write_str(" that Apps refer to") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::{ChildKind, MANAGED, row};

    #[test]
    fn every_kind_has_one_row_and_rows_stand_in_the_order_of_applying() {
        use ChildKind::{
            ConfigMap, Deployment, PersistentVolumeClaim, PodMonitor, Secret, Service, ServiceAccount, ServiceMonitor,
            StorageClaim,
        };
        for kind in [
            ServiceAccount,
            ConfigMap,
            Secret,
            StorageClaim,
            PersistentVolumeClaim,
            Deployment,
            Service,
            ServiceMonitor,
            PodMonitor,
        ] {
            assert_eq!(row(kind).kind, kind);
        }
        assert!(MANAGED.windows(2).all(|pair| pair[0].kind < pair[1].kind));
    }

    /// Which version is served is looked up of optional kinds only.
    #[test]
    fn only_an_optional_kind_has_a_choice_of_versions() {
        assert!(
            MANAGED.iter().all(|row| row.versions.len() == 1 || row.optional.is_some() && !row.versions.is_empty())
        );
    }
}
