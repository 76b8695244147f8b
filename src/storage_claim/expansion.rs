//! Which size is asked for, and how far a growth is.
//!
//! Kubernetes lets the request of a `PersistentVolumeClaim` grow only once it is bound, and only under a class that allows
//! it. What it would refuse is not tried: the request stays as it is and the status says why. The request does not become
//! smaller either, as a volume can't shrink, and whoever asked for more, an autoresizer or an admin, had a reason; but for a
//! growth that the storage driver gave up, which Kubernetes lets us take back to a size above the capacity (KEP-1790).

use super::validate::ValidClaim;
use crate::core::conditions::Summary;
use crate::core::facts::Volume;
use crate::core::observed::StorageClass;
use crate::core::quantity::Quantity;
use crate::core::reason::Reason;
use std::collections::BTreeMap;

/// What to do about the declared size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sizing {
    /// Ask for it.
    Declared,
    /// Keep the request: it can't change before the volume is bound.
    AwaitsBinding,
    /// Keep the request: the volume has the declared size, or that much is asked for already.
    Covered,
    /// Keep the request: the volume can't grow, for this reason.
    NotExpandable(String),
}

impl Sizing {
    /// Decides on the size of a claim that has that volume.
    pub fn of(claim: &ValidClaim<'_>, volume: &Volume, classes: Option<&BTreeMap<String, StorageClass>>) -> Self {
        let Some(requested) = quantity(&volume.requested).filter(|requested| *requested != claim.size) else {
            return Self::Declared;
        };
        if reaches(volume, claim.size) || claim.size < requested && !is_given_up(volume) {
            return Self::Covered;
        }
        if volume.phase != "Bound" {
            return Self::AwaitsBinding;
        }
        obstacle(volume, classes).map_or(Self::Declared, Self::NotExpandable)
    }

    /// The size to ask for; one that is kept is kept to the letter.
    pub fn request<'a>(&self, claim: &ValidClaim<'a>, volume: &'a Volume) -> &'a str {
        match self {
            Self::Declared => &claim.spec.size,
            Self::AwaitsBinding | Self::Covered | Self::NotExpandable(_) => &volume.requested,
        }
    }

    /// What keeps the volume from having the declared size; `None` when it has it.
    pub fn complaint(&self, claim: &ValidClaim<'_>, volume: &Volume) -> Option<Summary> {
        let Volume { requested, capacity, .. } = volume;
        let (name, size) = (&claim.identity.name, &claim.spec.size);
        match self {
            Self::Declared | Self::Covered => {
                (!reaches(volume, claim.size)).then(|| progress(name, self.request(claim, volume), volume))
            }
            Self::AwaitsBinding => Some(Summary::Waiting(
                Reason::ResizePending,
                format!(
                    "PersistentVolumeClaim {name} asks for {requested}; that can become {size} only once it is bound"
                ),
            )),
            Self::NotExpandable(obstacle) => Some(Summary::Stalled(
                Reason::ExpansionNotAllowed,
                format!("spec.size: {size} can't be reached: {obstacle}, or set spec.size back to {capacity}"),
            )),
        }
    }
}

/// What there is beyond the declared size and what to do about it; `None` when it is no more. A growth to more than was
/// declared is told as well, and is no complaint however it ends.
pub fn surplus(claim: &ValidClaim<'_>, volume: &Volume) -> Option<String> {
    let Volume { requested, capacity, .. } = volume;
    let (name, size) = (&claim.identity.name, &claim.spec.size);
    let told = |has: &str, much: &str, advice: &str| {
        format!(
            "spec.size: {size} is less than the {much} that PersistentVolumeClaim {name} {has}; nothing is shrunk; {advice}"
        )
    };
    let (asked, there_is) = (quantity(requested)?, quantity(capacity)?);
    if asked > there_is.max(claim.size) {
        let advice = match progress(name, requested, volume) {
            Summary::Waiting(_, growth) => format!("{growth}; set spec.size to {requested} to declare it"),
            Summary::Ready(_, growth) | Summary::Stalled(_, growth) | Summary::Impaired(_, growth) => growth,
        };
        return Some(told("asks for", requested, &advice));
    }
    (there_is > claim.size).then(|| told("has", capacity, &format!("set spec.size to {capacity} to declare it")))
}

fn quantity(text: &str) -> Option<Quantity> {
    text.parse().ok()
}

fn reaches(volume: &Volume, size: Quantity) -> bool {
    quantity(&volume.capacity).is_some_and(|capacity| capacity >= size)
}

/// Whether the storage driver tries its growth no longer.
fn is_given_up(volume: &Volume) -> bool {
    let given_up = ["ControllerResizeInfeasible", "ControllerResizeFailed", "NodeResizeInfeasible", "NodeResizeFailed"];
    volume.resize_status.as_deref().is_some_and(|status| given_up.contains(&status))
}

/// Why the volume can't grow and what an admin can do about it; the API server would refuse a larger request for the same
/// reasons. Where the classes can't be seen it is asked.
fn obstacle(volume: &Volume, classes: Option<&BTreeMap<String, StorageClass>>) -> Option<String> {
    let classes = classes?;
    let Some(name) = volume.class.as_deref().filter(|name| !name.is_empty()) else {
        return Some("the volume has no StorageClass; create a larger StorageClaim and copy the data".to_owned());
    };
    match classes.get(name) {
        Some(class) if class.expandable => None,
        Some(_) => Some(format!(
            "StorageClass {name} does not allow growth; set its allowVolumeExpansion to true if its driver can grow volumes"
        )),
        None => Some(format!("StorageClass {name} does not exist any more; create it again")),
    }
}

/// How far a growth is that was asked for. The words are those of `PersistentVolumeClaim.status` (KEP-1790, KEP-284);
/// ones unknown here count as growth under way.
fn progress(name: &str, size: &str, volume: &Volume) -> Summary {
    let told = |wanted: &str| volume.conditions.iter().find(|(type_, _)| type_ == wanted).map(|(_, message)| message);
    let error = told("ControllerResizeError").or_else(|| told("NodeResizeError"));
    let status = volume.resize_status.as_deref();
    let growth = format!("PersistentVolumeClaim {name} grows from {} to {size}", volume.capacity);
    let waits = |step: &str| Summary::Waiting(Reason::Resizing, format!("{growth}: {step}"));
    match (status, error) {
        (_, error) if is_given_up(volume) => {
            let detail =
                error.filter(|message| !message.is_empty()).map_or("the storage driver can't do it", String::as_str);
            let advice = format!("set spec.size to more than {} and less than {size}", volume.capacity);
            Summary::Stalled(Reason::ResizeFailed, format!("{growth}, which failed: {detail}; {advice}"))
        }
        (_, Some(error)) => {
            Summary::Impaired(Reason::ResizeFailed, format!("{growth}, which failed and is tried again: {error}"))
        }
        (None, None) if quantity(&volume.requested) < quantity(size) => waits("it is yet to be asked for"),
        (Some("NodeResizePending"), None) => waits("will finish when a pod mounts it"),
        (Some("NodeResizeInProgress"), None) => waits("the node grows the file system"),
        (_, None) if told("FileSystemResizePending").is_some() => waits("will finish when a pod mounts it"),
        (Some(_) | None, None) => waits("the storage driver is at work"),
    }
}
