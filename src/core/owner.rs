//! Whose a live object is, by its controller reference or its labels.

use super::kind::{ChildKind, Identity, ParentKind};
use super::live::{Live, items};
use super::meta::{ADOPTABLE, APPLIED_HASH, CLAIM_UID, MANAGED_BY, MANAGER, parent_label};
use super::text::{WORD, cut};
use serde_json::Value;

/// Whom a live object says it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A controller owner reference to a kind of ours.
    Controller {
        /// Kind of the owner.
        kind: ParentKind,
        /// Its name.
        name: Box<str>,
        /// Its UID.
        uid: Box<str>,
    },
    /// No controller, but ours by what we left on it: kept on purpose, or orphaned.
    Labelled {
        /// Kind that the label names.
        kind: ParentKind,
        /// Name in the label.
        name: Box<str>,
    },
    /// No controller and not our label, but the annotation of the `StorageClaim` that the volume was kept for.
    Kept {
        /// Name of the volume, which was the claim's.
        name: Box<str>,
        /// UID in the annotation.
        uid: Box<str>,
    },
    /// Somebody else, in words for a message.
    Foreign(Box<str>),
}

/// What a live object is to one parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// It is the parent's.
    Ours,
    /// It belonged to a deleted parent of the same name; the garbage collector is about to delete it.
    Predecessor,
    /// It is somebody else's, in words for a message.
    Foreign(String),
}

impl Owner {
    /// Who a live object belongs to.
    ///
    /// Our label gets lost: label policies and Helm put their own in its place. That an object is ours, a volume's annotation tells
    /// then; of others, that the API server lists us among those who applied it.
    pub fn of(kind: ChildKind, live: &Live) -> Self {
        if let Some(controller) = controller(&live.body) {
            return controller;
        }
        let is_labelled = live.label(MANAGED_BY) == Some(MANAGER);
        let stranger = || Self::Foreign("nobody's controller, not made by Moorage".into());
        if kind == ChildKind::PersistentVolumeClaim {
            let name = live.name().into();
            return match claim_uid(live) {
                Some(uid) if !is_labelled => Self::Kept { name, uid: uid.into() },
                None if !is_made_by_us(live) => stranger(),
                Some(_) | None => Self::Labelled { kind: ParentKind::StorageClaim, name },
            };
        }
        if !is_applied_by_us(live) {
            return stranger();
        }
        labelled(live).unwrap_or_else(|| Self::Foreign("no App, StorageClaim or Registry".into()))
    }

    /// What the object is to `parent`.
    pub fn to(&self, parent: &Identity) -> Ownership {
        match self {
            Self::Controller { kind, name, uid } if *kind == parent.kind && **name == *parent.name => {
                if **uid == *parent.uid { Ownership::Ours } else { Ownership::Predecessor }
            }
            Self::Labelled { kind, name } if *kind == parent.kind && **name == *parent.name => Ownership::Ours,
            Self::Kept { uid, .. } if **uid == *parent.uid => Ownership::Ours,
            Self::Kept { .. } => {
                let mark = format!("label {MANAGED_BY}={MANAGER}");
                Ownership::Foreign(format!("an earlier StorageClaim, of whose marks the {mark} is lost"))
            }
            Self::Controller { kind, name, .. } | Self::Labelled { kind, name } => {
                Ownership::Foreign(format!("{} {name}", kind.as_str()))
            }
            Self::Foreign(holder) => Ownership::Foreign(holder.to_string()),
        }
    }

    /// Whether the object is controlled by this very parent. Labels alone don't make an object ours enough to delete it:
    /// `kubectl expose` and many a copied manifest carry those of the object that they came from.
    pub fn is_controller(&self, parent: &Identity) -> bool {
        matches!(self, Self::Controller { uid, .. } if **uid == *parent.uid)
    }

    /// The parent to wake when the object moves.
    pub fn parent(&self) -> Option<(ParentKind, &str)> {
        match self {
            Self::Controller { kind, name, .. } | Self::Labelled { kind, name } => Some((*kind, name)),
            Self::Kept { name, .. } => Some((ParentKind::StorageClaim, name)),
            Self::Foreign(_) => None,
        }
    }
}

/// The owner reference of whoever controls an object.
pub fn controlling(body: &Value) -> Option<&Value> {
    items(&body["metadata"]["ownerReferences"]).find(|reference| reference["controller"] == true)
}

fn controller(body: &Value) -> Option<Owner> {
    let reference = controlling(body)?;
    let text = |field: &str| reference[field].as_str().unwrap_or_default();
    let ours = text("apiVersion").split('/').next() == Some(crate::api::GROUP);
    Some(match ParentKind::named(text("kind")) {
        Some(kind) if ours => Owner::Controller { kind, name: text("name").into(), uid: text("uid").into() },
        _ => Owner::Foreign(format!("{} {}", text("kind"), text("name")).into()),
    })
}

fn labelled(live: &Live) -> Option<Owner> {
    [ParentKind::App, ParentKind::Registry]
        .into_iter()
        .find_map(|kind| Some(Owner::Labelled { kind, name: live.label(parent_label(kind))?.into() }))
}

/// The App or Registry that our labels name, as `App/shop`.
pub fn parent_labels(live: &Live) -> Option<String> {
    match labelled(live)? {
        Owner::Labelled { kind, name } => Some(format!("{}/{name}", kind.as_str())),
        Owner::Controller { .. } | Owner::Kept { .. } | Owner::Foreign(_) => None,
    }
}

/// Whether we applied an object, or it is a copy of one that we did, restored with its annotations. Labels alone tell nothing:
/// `kubectl expose` and many a manifest copy them from the object that they are about.
fn is_applied_by_us(live: &Live) -> bool {
    !live.ours.is_null() || live.annotation(APPLIED_HASH).is_some()
}

/// The App or Registry that a pod runs for: its labels name it, and its controller is a `ReplicaSet` of the Deployment of that
/// name, by the name that Kubernetes gives to those. A pod that names a controller that is not there, the garbage collector deletes.
pub fn of_pod(live: &Live) -> Option<(ParentKind, Box<str>)> {
    let Owner::Labelled { kind, name } = labelled(live).filter(|_| live.label(MANAGED_BY) == Some(MANAGER))? else {
        return None;
    };
    let set = format!("{name}-{}", live.label("pod-template-hash")?);
    let controller = controlling(&live.body)?;
    let is_of_apps = controller["apiVersion"].as_str()?.starts_with("apps/");
    (is_of_apps && controller["kind"] == "ReplicaSet" && controller["name"] == set).then_some((kind, name))
}

/// The App or Registry whose labels a pod carries without running for it, and who controls it, as `ReplicaSet web-6d4`.
pub fn of_stray(live: &Live) -> Option<(ParentKind, Box<str>, Option<String>)> {
    let Owner::Labelled { kind, name } = labelled(live).filter(|_| of_pod(live).is_none())? else { return None };
    let text = |field: &Value| cut(field.as_str().unwrap_or_default(), WORD);
    let controller = controlling(&live.body).map(|it| format!("{} {}", text(&it["kind"]), text(&it["name"])));
    Some((kind, name, controller))
}

/// Whether we made a `PersistentVolumeClaim` and nobody else may have, as far as the API server's list of managers tells.
pub fn is_made_by_us(live: &Live) -> bool {
    live.ours["f:spec"].get("f:accessModes").is_some() && !live.others.access_modes
}

/// Whether nobody controls a live object, so that it could be adopted.
pub fn is_free(live: &Live) -> bool {
    controlling(&live.body).is_none()
}

/// Whether a live object consents to its adoption by whom it shares its name with.
pub fn is_adoptable(live: &Live) -> bool {
    live.annotation(ADOPTABLE).is_some_and(|name| name == live.name())
}

/// The command by which a `PersistentVolumeClaim` is made to consent.
pub fn consent(namespace: &str, name: &str) -> String {
    format!("kubectl -n {namespace} annotate pvc {name} {ADOPTABLE}={name}")
}

/// The Helm release whose uninstall deletes a live object. It goes by the release's own record; that the chart keeps the object, the
/// annotation shows which it left.
pub fn helm_release(live: &Live) -> Option<&str> {
    let is_kept = live.annotation("helm.sh/resource-policy") == Some("keep");
    live.annotation("meta.helm.sh/release-name").filter(|_| !is_kept)
}

/// What is told of a `PersistentVolumeClaim` that such a release has.
pub fn of_release(name: &str, release: &str) -> String {
    format!(
        "PersistentVolumeClaim {name} is in the Helm release {release} still: helm uninstall {release} deletes it, and its data. To keep \
         it, have the chart annotate it with helm.sh/resource-policy: keep, and run helm upgrade"
    )
}

/// The UID of the `StorageClaim` that a `PersistentVolumeClaim` was kept for.
pub fn claim_uid(live: &Live) -> Option<&str> {
    live.annotation(CLAIM_UID)
}

#[cfg(test)]
mod tests {
    use super::{Owner, of_pod};
    use crate::core::kind::{ChildKind, ParentKind};
    use crate::core::live::Live;
    use serde_json::{Value, json};

    fn labelled(more: &Value) -> Live {
        let mut object = json!({"metadata": {
            "name": "web", "labels": {"app.kubernetes.io/managed-by": "moorage", "moorage.dev/app": "web", "pod-template-hash": "6d4"},
        }});
        object["metadata"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Live::new(object)
    }

    /// Labels are copied by `kubectl expose`, annotations by a dump; the list of managers nobody copies.
    #[test]
    fn labels_alone_make_nothing_ours() {
        let applied = |manager: &str| json!({"managedFields": [{"manager": manager, "operation": "Apply", "fieldsV1": {"f:spec": {}}}]});
        let cases = [
            (json!({}), false),
            (applied("kubectl"), false),
            (applied("moorage"), true),
            (json!({"annotations": {"moorage.dev/applied-hash": "1a"}}), true),
        ];
        for (more, ours) in cases {
            for kind in [ChildKind::Service, ChildKind::Deployment, ChildKind::StorageClaim, ChildKind::Secret] {
                let owner = Owner::of(kind, &labelled(&more));
                assert_eq!(matches!(owner, Owner::Labelled { .. }), ours, "{kind} {more}: {owner:?}");
            }
        }
    }

    #[test]
    fn a_pod_counts_only_by_its_controller() {
        let controller = |api: &str, kind: &str, name: &str, controls: bool| json!({"ownerReferences": [{"apiVersion": api, "kind": kind, "name": name, "controller": controls}]});
        let cases = [
            (json!({}), false),
            (controller("apps/v1", "ReplicaSet", "web-6d4", true), true),
            (controller("apps/v1", "ReplicaSet", "web-6d4", false), false),
            (controller("apps/v1", "ReplicaSet", "other-6d4", true), false),
            (controller("apps/v1", "ReplicaSet", "web-7", true), false),
            (controller("apps/v1", "StatefulSet", "web-6d4", true), false),
            (controller("batch/v1", "ReplicaSet", "web-6d4", true), false),
        ];
        for (more, counts) in cases {
            let of = of_pod(&labelled(&more));
            assert_eq!(of, counts.then(|| (ParentKind::App, "web".into())), "{more}");
        }
    }
}
