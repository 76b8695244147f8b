//! Names, labels and ownership that mark an object as ours.

use super::kind::{Identity, ParentKind};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};
use std::collections::BTreeMap;

/// Field manager of every server-side apply.
pub const FIELD_MANAGER: &str = "moorage";
/// Label that every object of ours carries, and the one that the watches select by.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Value of [`MANAGED_BY`].
pub const MANAGER: &str = "moorage";
/// Recommended label with the name of the parent.
pub const NAME: &str = "app.kubernetes.io/name";
/// Annotation with the hash of what was last applied: it tells a field we no longer want from one that is foreign.
pub const APPLIED_HASH: &str = "moorage.dev/applied-hash";
/// Annotation on a `PersistentVolumeClaim` with the UID of the `StorageClaim` that keeps it.
pub const CLAIM_UID: &str = "moorage.dev/claim-uid";
/// Annotation on a `PersistentVolumeClaim` that a later `StorageClaim` took over: what the later one leaves open keeps the
/// value that the earlier one gave, as Kubernetes never lets it change.
pub const ADOPTED: &str = "moorage.dev/adopted";
/// Annotation by which whoever made a `PersistentVolumeClaim` lets the `StorageClaim` that it names have it.
pub const ADOPTABLE: &str = "moorage.dev/adoptable";
/// Label of namespaces in which the fence lets the operator write nothing.
pub const CLOSED: &str = "moorage.dev/closed";
/// Annotation on a `ServiceAccount` with the names of the pull secrets that its App declares: the others in its list are somebody
/// else's.
pub const PULL_SECRETS: &str = "moorage.dev/pull-secrets";
/// Annotation on a pod template with the hash of the configuration that the pods read when they start.
pub const CONFIG_HASH: &str = "moorage.dev/config-hash";
/// Annotation on an App's Deployment with the hashes of the configuration that its pods are known to have, and the one in their
/// template.
pub const CONFIGURATION: &str = "moorage.dev/configuration";
/// Annotation on the Deployment of a Registry that names no image, with the hash of its pod template as applied and the image that was
/// the default then: it tells whether anything but the default has changed since.
pub const DEFAULT_IMAGE: &str = "moorage.dev/default-image";
/// Annotation on the Deployment of an App that runs a former revision: which, and for which declared template that was asked.
pub const ROLLED_BACK: &str = "moorage.dev/rolled-back";
/// Annotation on the Deployment of an App that goes back by itself: for which declared template, to what, and what failed.
pub const AUTO_ROLLBACK: &str = "moorage.dev/auto-rollback";
/// Finalizer that carries out a `StorageClaim`'s deletion policy.
pub const FINALIZER: &str = "moorage.dev/deletion-policy";

/// Label that names the parent, such as `moorage.dev/app: shop`. It is the pods' selector and never changes.
pub const fn parent_label(kind: ParentKind) -> &'static str {
    match kind {
        ParentKind::App => "moorage.dev/app",
        ParentKind::StorageClaim => "moorage.dev/storage-claim",
        ParentKind::Registry => "moorage.dev/registry",
    }
}

/// The fixed selector of a parent's pods.
pub fn selector(parent: &Identity) -> BTreeMap<String, String> {
    BTreeMap::from([(parent_label(parent.kind).to_owned(), parent.name.clone())])
}

/// The same, as other objects select the pods.
pub fn label_selector(parent: &Identity) -> LabelSelector {
    LabelSelector { match_labels: Some(selector(parent)), ..LabelSelector::default() }
}

/// The labels of every object that belongs to `parent`.
pub fn labels(parent: &Identity) -> BTreeMap<String, String> {
    let mut labels = selector(parent);
    labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
    labels.insert(NAME.to_owned(), parent.name.clone());
    labels
}

/// The controller reference that ties a child's life to `parent`.
pub fn owner_reference(parent: &Identity) -> OwnerReference {
    OwnerReference {
        api_version: crate::api::API_VERSION.to_owned(),
        kind: parent.kind.as_str().to_owned(),
        name: parent.name.clone(),
        uid: parent.uid.clone(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// Metadata of a child that lives and dies with `parent`.
pub fn owned(parent: &Identity, name: &str) -> ObjectMeta {
    ObjectMeta { owner_references: Some(vec![owner_reference(parent)]), ..kept(parent, name) }
}

/// Metadata of a child that outlives `parent`.
pub fn kept(parent: &Identity, name: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(parent.namespace.clone()),
        labels: Some(labels(parent)),
        ..ObjectMeta::default()
    }
}
