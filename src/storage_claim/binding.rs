//! What a claim without a volume waits for: an ordered list of checks, the first that speaks decides.

use crate::api::storage_claim::StorageClaimSpec;
use crate::core::complaints::NoVolume;
use crate::core::conditions::Summary;
use crate::core::facts::Volume;
use crate::core::observed::Observed;
use crate::core::readiness::volume_unready;
use crate::core::reason::Reason;
use crate::core::storage;
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
    let volume = volume.volume.as_deref().unwrap_or_default();
    let or = "delete the PersistentVolumeClaim to start with an empty one";
    Summary::Stalled(Reason::VolumeLost, storage::lost(name, volume, or))
}

fn pending(name: &str, spec: &StorageClaimSpec, volume: &Volume, observed: &Observed) -> Summary {
    let class = volume.class.as_deref().or(spec.storage_class_name.as_deref());
    unbindable(name, spec, volume, observed)
        .or_else(|| awaits_named_volume(name, spec))
        .or_else(|| class_not_found(class?, observed))
        .or_else(|| no_default_class(name, class, observed))
        .or_else(|| provisioning_failed(name, observed))
        .or_else(|| awaits_driver(name, volume, class, observed))
        .or_else(|| awaits_first_consumer(name, class?, observed))
        .unwrap_or_else(|| {
            Summary::Waiting(Reason::WaitingForVolume, format!("PersistentVolumeClaim {name} waits for a volume"))
        })
}

/// Kubernetes tries again for ever, and nothing changes before somebody changes the claim or its volume.
fn unbindable(name: &str, spec: &StorageClaimSpec, volume: &Volume, observed: &Observed) -> Option<Summary> {
    let refusals = [Reason::VolumeMismatch, Reason::FailedBinding];
    let NoVolume { reason, message } = observed.no_volume.as_ref().filter(|it| refusals.contains(&it.reason))?;
    let advice = mend(name, spec, volume, *reason, message);
    let message = format!("PersistentVolumeClaim {name}: {}; {advice}", message.trim_end_matches('.'));
    Some(Summary::Stalled(*reason, message))
}

/// What to set, by the words of `checkVolumeSatisfyClaim` in `pkg/controller/volume/persistentvolume/pv_controller.go`.
fn mend(name: &str, spec: &StorageClaimSpec, volume: &Volume, reason: Reason, message: &str) -> String {
    let shown = spec.volume_name.as_deref().or(volume.volume.as_deref()).unwrap_or("NAME");
    let named = format!("PersistentVolume {shown}");
    if reason == Reason::FailedBinding {
        return format!(
            "name another one in spec.volumeName of a new StorageClaim; or, if that claim is gone and its data are yours ({named} is \
             Released), free it: kubectl patch pv {shown} --type=json -p '[{{\"op\":\"remove\",\"path\":\"/spec/claimRef\"}}]'"
        );
    }
    let anew = format!(
        "as there is no data yet, delete both (kubectl delete storageclaim,pvc {name}) and make the StorageClaim anew"
    );
    let class = volume.class.as_deref().unwrap_or_default();
    let mode = volume.mode.as_deref().unwrap_or("Filesystem");
    let modes = list(&volume.declared_modes, LISTED_CLASSES, ", ");
    let set = match message {
        text if text.contains("storageClassName") => {
            format!(
                "it asks for StorageClass \"{class}\": set spec.storageClassName to that of {named} (\"\" if it has none)"
            )
        }
        text if text.contains("too small") => {
            let asked = &volume.requested;
            return format!(
                "it asks for {asked}: set spec.size to no more than the capacity of {named}, and, as there is no data yet, delete \
                 PersistentVolumeClaim {name} (kubectl delete pvc {name}), which is made anew"
            );
        }
        text if text.contains("volumeMode") => format!("it asks for {mode}: set spec.volumeMode to that of {named}"),
        text if text.contains("accessMode") => {
            format!("it asks for {modes}: set spec.accessModes to what {named} offers")
        }
        _ => "name another one in spec.volumeName".to_owned(),
    };
    format!("{set} (kubectl get pv {shown} -o yaml); {anew}")
}

/// A claim that names its volume is bound to it whatever the class says.
fn awaits_named_volume(name: &str, spec: &StorageClaimSpec) -> Option<Summary> {
    let volume = spec.volume_name.as_deref()?;
    let message = format!(
        "PersistentVolumeClaim {name} waits for PersistentVolume {volume}; if there is none of that name (kubectl get pv {volume}), an \
         admin has to make it"
    );
    Some(Summary::Waiting(Reason::WaitingForVolume, message))
}

fn class_not_found(class: &str, observed: &Observed) -> Option<Summary> {
    let classes = observed.classes.as_ref().filter(|classes| !class.is_empty() && !classes.contains_key(class))?;
    let existing = if classes.is_empty() { "none".to_owned() } else { list(classes.keys(), LISTED_CLASSES, ", ") };
    Some(Summary::Stalled(
        Reason::StorageClassNotFound,
        format!(
            "spec.storageClassName: StorageClass {class} does not exist (there is: {existing}); create it, or create the claim anew with another"
        ),
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
    let failure = observed.no_volume.as_ref().filter(|it| it.reason == Reason::ProvisioningFailed)?;
    let words = failure.message.trim_end_matches('.');
    let lower = words.to_lowercase();
    let is_refused = ["only support", "not support", "unsupported"].iter().any(|refusal| lower.contains(refusal));
    let is_of_modes =
        ["readwrite", "readonlymany", "access mode", "accessmode"].iter().any(|mode| lower.contains(mode));
    let advice = if is_refused && is_of_modes {
        format!(
            ". spec.accessModes can't be changed: as there is no data yet, delete both (kubectl delete storageclaim,pvc {name}) and make the \
             StorageClaim anew with modes that the driver can do"
        )
    } else {
        String::new()
    };
    let message =
        format!("PersistentVolumeClaim {name}: the storage driver failed to make the volume: {words}{advice}");
    Some(Summary::Impaired(Reason::ProvisioningFailed, message))
}

/// Whether it is at work or not installed at all, nobody tells.
fn awaits_driver(name: &str, volume: &Volume, class: Option<&str>, observed: &Observed) -> Option<Summary> {
    let class = class.and_then(|class| observed.classes.as_ref()?.get(class));
    let driver = volume
        .provisioner
        .as_deref()
        .filter(|_| volume.node.is_some() || class.is_some_and(|class| !class.waits_for_consumer))?;
    let message = format!(
        "PersistentVolumeClaim {name} waits for the storage driver {driver} to make its volume; if that takes long, see whether the driver \
         is installed and runs (kubectl get csidrivers; kubectl get pods -A)"
    );
    Some(Summary::Waiting(Reason::WaitingForVolume, message))
}

/// Ready, as nothing more can be done: whoever waits for the claim before making the pod would wait for ever.
fn awaits_first_consumer(name: &str, class: &str, observed: &Observed) -> Option<Summary> {
    observed.classes.as_ref()?.get(class).filter(|class| class.waits_for_consumer)?;
    let message = format!("PersistentVolumeClaim {name} gets its volume when the first pod uses it");
    Some(Summary::Ready(Reason::WaitingForFirstConsumer, message))
}
