//! What a claim without a volume waits for: an ordered list of checks, the first that speaks decides.

use crate::api::storage_claim::StorageClaimSpec;
use crate::core::conditions::Summary;
use crate::core::facts::Volume;
use crate::core::observed::Observed;
use crate::core::readiness::volume_unready;
use crate::core::reason::Reason;
use crate::core::text::list;

/// Most `StorageClasses` named in one message.
const LISTED_CLASSES: usize = 5;

/// What a `PersistentVolumeClaim` without a volume waits for; `None` once it is bound.
pub fn unbound(name: &str, spec: &StorageClaimSpec, volume: &Volume, observed: &Observed) -> Option<Summary> {
    match volume_unready(volume)?.reason {
        Reason::VolumeLost => Some(lost(name, volume)),
        _ => Some(pending(name, spec, volume, observed)),
    }
}

fn lost(name: &str, volume: &Volume) -> Summary {
    let lost = volume.volume.as_deref().unwrap_or_default();
    Summary::Stalled(
        Reason::VolumeLost,
        format!(
            "PersistentVolumeClaim {name} lost its PersistentVolume {lost}; restore that PersistentVolume, \
             or delete the PersistentVolumeClaim to start with an empty one"
        ),
    )
}

fn pending(name: &str, spec: &StorageClaimSpec, volume: &Volume, observed: &Observed) -> Summary {
    let class = volume.class.as_deref().or(spec.storage_class_name.as_deref());
    awaits_named_volume(name, spec)
        .or_else(|| class_not_found(class?, observed))
        .or_else(|| no_default_class(name, class, observed))
        .or_else(|| provisioning_failed(name, observed))
        .or_else(|| awaits_first_consumer(name, class?, observed))
        .unwrap_or_else(|| {
            Summary::Waiting(Reason::WaitingForVolume, format!("PersistentVolumeClaim {name} waits for a volume"))
        })
}

/// A claim that names its volume is bound to it whatever the class says.
fn awaits_named_volume(name: &str, spec: &StorageClaimSpec) -> Option<Summary> {
    let volume = spec.volume_name.as_deref()?;
    let message = format!("PersistentVolumeClaim {name} waits for PersistentVolume {volume}");
    Some(Summary::Waiting(Reason::WaitingForVolume, message))
}

fn class_not_found(class: &str, observed: &Observed) -> Option<Summary> {
    let classes = observed.classes.as_ref().filter(|classes| !class.is_empty() && !classes.contains_key(class))?;
    let existing = if classes.is_empty() { "none".to_owned() } else { list(classes.keys(), LISTED_CLASSES, ", ") };
    Some(Summary::Stalled(
        Reason::StorageClassNotFound,
        format!("spec.storageClassName: StorageClass {class} does not exist (there is: {existing})"),
    ))
}

/// Not stalled: Kubernetes fills in a default class as soon as an admin marks one, with no change to the claim.
fn no_default_class(name: &str, class: Option<&str>, observed: &Observed) -> Option<Summary> {
    let classes = observed.classes.as_ref().filter(|_| class.is_none())?;
    (!classes.values().any(|class| class.default)).then(|| {
        Summary::Impaired(
            Reason::NoDefaultStorageClass,
            format!(
                "PersistentVolumeClaim {name} names no StorageClass and the cluster has no default one; mark one with \
                 the annotation storageclass.kubernetes.io/is-default-class: \"true\", or create the claim anew with \
                 spec.storageClassName"
            ),
        )
    })
}

/// Not stalled: the storage driver tries again by itself.
fn provisioning_failed(name: &str, observed: &Observed) -> Option<Summary> {
    let failure = observed.provisioning_failure.as_ref()?;
    let message = format!("PersistentVolumeClaim {name}: the storage driver failed to make the volume: {failure}");
    Some(Summary::Impaired(Reason::ProvisioningFailed, message))
}

/// Ready, as nothing more can be done: whoever waits for the claim before making the pod would wait for ever.
fn awaits_first_consumer(name: &str, class: &str, observed: &Observed) -> Option<Summary> {
    observed.classes.as_ref()?.get(class).filter(|class| class.waits_for_consumer)?;
    let message = format!("the volume of PersistentVolumeClaim {name} is made when the first pod uses it");
    Some(Summary::Ready(Reason::WaitingForFirstConsumer, message))
}
