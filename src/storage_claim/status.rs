//! What the user is told about a claim.

use super::binding;
use super::expansion::{Sizing, surplus};
use super::retention::{self, Holding, doomed, is_spared};
use super::validate::validate;
use crate::api::StorageClaim;
use crate::api::common::{AccessMode, DeletionPolicy};
use crate::api::storage_claim::StorageClaimStatus;
use crate::core::conditions::{Summary, Type, Wanted, condition, merge};
use crate::core::facts::Volume;
use crate::core::kind::{ChildKind, Identity};
use crate::core::leaving;
use crate::core::observed::Observed;
use crate::core::owner::{consent, of_release};
use crate::core::parent::Parent;
use crate::core::plan::{Outcome, Plan};
use crate::core::reason::Reason;
use crate::core::status::{ERRORS, of_outcome};
use crate::core::storage;
use crate::core::text::{WORD, cut, list};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeSet;

/// Most consumers in a status.
const CONSUMERS: usize = 100;
/// Most consumers in a message.
const NAMED_CONSUMERS: usize = 8;

/// The status of a claim after its plan was carried out.
pub fn status(
    claim: &StorageClaim,
    plan: &Plan,
    outcome: &Outcome,
    observed: &Observed,
    now: Timestamp,
) -> StorageClaimStatus {
    let generation = claim.identity().generation;
    let volume = Holding::of(claim, observed).volume();
    let state = State::of(claim, observed);
    let told = vanishing(claim, observed).or_else(|| of_outcome(plan, outcome, observed));
    let summary = told.unwrap_or_else(|| state.summary());
    let mut wanted = summary.conditions();
    wanted.extend(degraded(&summary));
    wanted.extend([state.bound(), state.resized(), in_use(&observed.consumers)]);
    let old = claim.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let text = |of: fn(&Volume) -> &str| volume.map(of).filter(|text| !text.is_empty()).map(str::to_owned);
    StorageClaimStatus {
        observed_generation: Some(generation),
        conditions: merge(old, wanted, generation, now),
        requested: text(|volume| &volume.requested),
        capacity: text(|volume| &volume.capacity),
        storage_class_name: text(|volume| volume.class.as_deref().unwrap_or_default()),
        volume_name: text(|volume| volume.volume.as_deref().unwrap_or_default()),
        access_modes: volume.map(access_modes).unwrap_or_default(),
        consumers: observed.consumers.iter().take(CONSUMERS).map(|consumer| cut(consumer, WORD)).collect(),
    }
}

/// Modes unknown here are left out.
fn access_modes(volume: &Volume) -> Vec<AccessMode> {
    let known = |mode: &String| serde_json::from_value(Value::String(mode.clone())).ok();
    let mut modes: Vec<AccessMode> = volume.access_modes.iter().filter_map(known).collect();
    let mut seen = BTreeSet::new();
    modes.retain(|mode| seen.insert(*mode));
    modes
}

/// Where a claim stands, once its plan is carried out.
struct State {
    /// What a claim that is being deleted waits for.
    leaving: Option<Summary>,
    /// `PersistentVolume` that is bound, and its size; empty until then.
    bound_to: String,
    /// Why the claim has no volume, or none that lasts; `None` when it has.
    unbound: Option<Summary>,
    /// Why the volume has not the declared size, as far as the size itself is the cause.
    size: Option<Summary>,
    /// What there is beyond the declared size.
    surplus: Option<String>,
}

impl State {
    fn of(claim: &StorageClaim, observed: &Observed) -> Self {
        let holding = Holding::of(claim, observed);
        let leaving = leaving(claim, observed);
        let Some(volume) = holding.volume() else {
            let unbound = leaving.clone().unwrap_or_else(|| absent(&claim.identity().name, &holding));
            return Self { leaving, bound_to: String::new(), unbound: Some(unbound), size: None, surplus: None };
        };
        let (size, surplus) = match validate(claim) {
            Ok(valid) => {
                let sizing = Sizing::of(&valid, volume, observed.classes.as_ref());
                (sizing.complaint(&valid, volume), surplus(&valid, volume))
            }
            Err(errors) => (Some(Summary::Stalled(Reason::InvalidSpec, list(&errors, ERRORS, "; "))), None),
        };
        let bound_to = format!(
            "bound to PersistentVolume {} of {}{}",
            volume.volume.as_deref().unwrap_or_default(),
            volume.capacity,
            spared(claim, volume) + &released(claim, volume),
        );
        let unbound = binding::unbound(&claim.identity().name, &claim.spec, volume, observed);
        Self { leaving, bound_to, unbound, size, surplus }
    }

    fn summary(&self) -> Summary {
        let ready = || Summary::Ready(Reason::AsExpected, self.bound_to.clone());
        [&self.leaving, &self.unbound, &self.size].into_iter().flatten().next().cloned().unwrap_or_else(ready)
    }

    fn bound(&self) -> Wanted {
        match &self.unbound {
            Some(summary) => unmet(Type::Bound, summary),
            None => condition(Type::Bound, true, Reason::Bound, self.bound_to.as_str()),
        }
    }

    /// A size that waits for binding is told as that; any other one is not worth a word before there is a volume.
    fn resized(&self) -> Wanted {
        match (&self.size, &self.unbound) {
            (Some(pending @ Summary::Waiting(Reason::ResizePending, _)), _) => unmet(Type::Resized, pending),
            (_, Some(summary)) | (Some(summary), None) => unmet(Type::Resized, summary),
            (None, None) => match &self.surplus {
                Some(message) => condition(Type::Resized, true, Reason::LargerThanDeclared, message.as_str()),
                None => condition(Type::Resized, true, Reason::AsExpected, "the volume has the declared size"),
            },
        }
    }
}

/// That the policy will not be carried out, if so, and how it would be.
fn spared(claim: &StorageClaim, volume: &Volume) -> String {
    if claim.spec.deletion_policy != DeletionPolicy::Delete || !is_spared(volume) {
        return String::new();
    }
    let Identity { namespace, name, .. } = claim.identity();
    let consent = consent(&namespace, &name);
    format!(
        "; Moorage did not make PersistentVolumeClaim {name}, so spec.deletionPolicy: Delete does not reach it before: {consent}"
    )
}

/// That somebody else's uninstall takes the data, if so, and how they would stay.
fn released(claim: &StorageClaim, volume: &Volume) -> String {
    let told = |release: &String| format!("; {}", of_release(&claim.identity().name, release));
    volume.release.as_ref().map(told).unwrap_or_default()
}

/// A false condition with the reason and message of a summary.
fn unmet(type_: Type, summary: &Summary) -> Wanted {
    let (Summary::Ready(reason, message)
    | Summary::Waiting(reason, message)
    | Summary::Stalled(reason, message)
    | Summary::Impaired(reason, message)) = summary;
    condition(type_, false, *reason, message.as_str())
}

/// Why a claim without a volume has none.
fn absent(name: &str, holding: &Holding<'_>) -> Summary {
    if *holding == Holding::Retained {
        let message = format!(
            "PersistentVolumeClaim {name} holds data kept from a deleted StorageClaim; set spec.adopt to true to use it; \
             to start with an empty volume, delete the PersistentVolumeClaim, and that data with it"
        );
        return Summary::Stalled(Reason::AdoptionNeeded, message);
    }
    Summary::Waiting(Reason::Applying, format!("PersistentVolumeClaim {name} does not exist yet"))
}

/// What a claim that is being deleted waits for.
fn leaving(claim: &StorageClaim, observed: &Observed) -> Option<Summary> {
    let name = claim.identity().name;
    if !claim.identity().deleting {
        return None;
    }
    let volume = observed.child(ChildKind::PersistentVolumeClaim, &name);
    let goes = volume.filter(|volume| volume.deleting);
    let goes = goes.map(|volume| leaving::how(ChildKind::PersistentVolumeClaim, &name, volume));
    let message = match (doomed(claim, observed), goes) {
        _ if volume.is_none() => {
            format!("StorageClaim {name} is being deleted; there is no PersistentVolumeClaim {name}")
        }
        (None, None) => format!("StorageClaim {name} is being deleted; PersistentVolumeClaim {name} and its data stay"),
        (None, Some(goes)) => format!("StorageClaim {name} is being deleted; PersistentVolumeClaim {name} is {goes}"),
        (Some(_), Some(goes)) if observed.consumers.is_empty() => {
            format!("PersistentVolumeClaim {name} and its data are {goes}")
        }
        (Some(_), _) => {
            let users = list(&observed.consumers, NAMED_CONSUMERS, ", ");
            let users = if users.is_empty() { users } else { format!("; still used by {users}") };
            format!("PersistentVolumeClaim {name} and its data are being deleted, once no pod uses it any more{users}")
        }
    };
    let parts: Vec<String> =
        [Some(message), leaving::held(claim.metadata.finalizers.iter().flatten())].into_iter().flatten().collect();
    Some(Summary::Waiting(Reason::Deleting, parts.join("; ")))
}

/// What a claim says whose volume somebody deletes.
fn vanishing(claim: &StorageClaim, observed: &Observed) -> Option<Summary> {
    let Volume { phase, volume, .. } = retention::vanishing(claim, observed)?;
    let name = claim.identity().name;
    let Some(volume) = volume.as_deref().filter(|_| phase != "Pending") else {
        let message = format!(
            "PersistentVolumeClaim {name} is being deleted; it has no data yet, and is made anew once it is gone"
        );
        return Some(Summary::Waiting(Reason::WaitingForDeletion, message));
    };
    let mounted = match observed.consumers.as_slice() {
        [] => String::new(),
        [one] => format!(" while {one} mounts it"),
        several => format!(" while {} mount it", list(several, NAMED_CONSUMERS, ", ")),
    };
    let message = storage::going(&name, &mounted, volume, "an empty volume follows");
    Some(Summary::Impaired(Reason::VolumeDeleting, message))
}

/// Present only while no change is under way and none to the spec would help.
fn degraded(summary: &Summary) -> Option<Wanted> {
    match summary {
        Summary::Impaired(reason, message) => Some(condition(Type::Degraded, true, *reason, message.as_str())),
        Summary::Ready(_, _) | Summary::Waiting(_, _) | Summary::Stalled(_, _) => None,
    }
}

fn in_use(consumers: &[String]) -> Wanted {
    if consumers.is_empty() {
        return condition(Type::InUse, false, Reason::NotMounted, "no App or Registry mounts it");
    }
    condition(Type::InUse, true, Reason::Mounted, format!("mounted by {}", list(consumers, NAMED_CONSUMERS, ", ")))
}
