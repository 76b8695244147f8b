//! What a claim without a volume waits for.

use super::{UID, claim, class, message, pending, seen, status, told, volume};
use crate::api::StorageClaim;
use crate::core::complaints::NoVolume;
use crate::core::conditions::{Type, find};
use crate::core::observed::{Observed, StorageClass};
use crate::core::reason::Reason;
use serde_json::json;

/// A pending claim: the live class, the spec's, `spec.volumeName`, and the classes there are.
fn waiting(
    live: Option<&str>,
    spec: Option<&str>,
    volume: Option<&str>,
    classes: &[(&str, StorageClass)],
) -> (StorageClaim, Observed) {
    let mut claim = claim("5Gi");
    claim.spec.storage_class_name = spec.map(str::to_owned);
    claim.spec.volume_name = volume.map(str::to_owned);
    let mut body = pending("5Gi");
    body["spec"]["storageClassName"] = json!(live);
    let classes = classes.iter().map(|(name, class)| ((*name).to_owned(), class.clone())).collect();
    (claim, Observed { classes: Some(classes), ..seen(&body) })
}

#[test]
fn a_pending_claim_says_what_it_waits_for() {
    let (plain, default, lazy) = (class(true, false, false), class(true, false, true), class(true, true, true));
    let fast = Some("fast");
    let cases = [
        (
            waiting(fast, None, None, &[("fast", default.clone())]),
            "False WaitingForVolume",
            "True WaitingForVolume",
            "absent",
        ),
        (waiting(fast, None, None, &[("fast", lazy.clone())]), "True WaitingForFirstConsumer", "absent", "absent"),
        (waiting(fast, fast, Some("pv-9"), &[]), "False WaitingForVolume", "True WaitingForVolume", "absent"),
        (
            waiting(fast, fast, None, &[("slow", plain.clone())]),
            "False StorageClassNotFound",
            "absent",
            "True StorageClassNotFound",
        ),
        (waiting(None, None, None, &[("slow", plain.clone())]), "False NoDefaultStorageClass", "absent", "absent"),
        (waiting(None, None, None, &[("fast", default)]), "False WaitingForVolume", "True WaitingForVolume", "absent"),
        (
            waiting(Some(""), Some(""), None, &[("slow", plain)]),
            "False WaitingForVolume",
            "True WaitingForVolume",
            "absent",
        ),
    ];
    for ((claim, observed), ready, reconciling, stalled) in cases {
        let status = status(&claim, observed);
        let told = [Type::Ready, Type::Reconciling, Type::Stalled].map(|type_| told(&status, type_));
        assert_eq!(told, [ready, reconciling, stalled]);
        assert!(find(&status.conditions, Type::Bound).is_some_and(|bound| bound.status == "False"));
    }
    let (claim, observed) = waiting(fast, None, None, &[("fast", lazy)]);
    let failing = Observed { no_volume: Some(no_volume(Reason::ProvisioningFailed, "disk full")), ..observed };
    let failing = status(&claim, failing);
    assert_eq!(told(&failing, Type::Ready), "False ProvisioningFailed");
    assert!(message(&failing).ends_with("disk full"));
    let (claim, observed) = waiting(fast, None, None, &[]);
    let words = "NodePath only supports ReadWriteOnce and ReadWriteOncePod (1.22+) access modes";
    let failing = Observed { no_volume: Some(no_volume(Reason::ProvisioningFailed, words)), ..observed };
    let failing = status(&claim, Observed { classes: None, ..failing });
    assert!(
        message(&failing).contains("spec.accessModes can't be changed: as there is no data yet"),
        "{}",
        message(&failing)
    );
    let unseen = Observed { classes: None, ..seen(&pending("5Gi")) };
    assert_eq!(told(&status(&claim, unseen), Type::Ready), "False WaitingForVolume");
}

#[test]
fn a_missing_class_is_told_with_at_most_five_others() {
    let names: Vec<_> = (0..7).map(|number| format!("c{number}")).collect();
    let classes: Vec<_> = names.iter().map(|name| (name.as_str(), class(true, false, false))).collect();
    for (count, words) in
        [(0, "(there is: none)"), (2, "(there is: c0, c1)"), (7, "(there is: c0, c1, c2, c3, c4, and 2 more)")]
    {
        let (claim, observed) = waiting(Some("fast"), Some("fast"), None, &classes[..count]);
        let status = status(&claim, observed);
        assert!(message(&status).contains(words), "{}", message(&status));
        assert!(message(&status).contains("StorageClass fast does not exist"));
    }
}

#[test]
fn a_lost_volume_is_for_the_user_to_mend() {
    let status = status(&claim("5Gi"), seen(&volume(UID, "5Gi", &json!({"phase": "Lost"}))));
    assert_eq!(
        (told(&status, Type::Stalled), told(&status, Type::Bound)),
        ("True VolumeLost".into(), "False VolumeLost".into())
    );
    assert!(message(&status).contains("pv-1"));
}

fn no_volume(reason: Reason, message: &str) -> NoVolume {
    NoVolume { reason, message: message.to_owned() }
}

/// Each of the controller's words, with what is asked for and what to set.
#[test]
fn a_volume_that_cannot_be_bound_is_told_with_what_to_set() {
    let cannot = |why: &str| format!("Cannot bind to requested volume \"pv-9\": {why}");
    let (mismatch, taken) = (Reason::VolumeMismatch, "volume \"pv-9\" already bound to a different claim.");
    for (reason, said, set) in [
        (
            mismatch,
            cannot("storageClassName does not match"),
            "asks for StorageClass \"fast\": set spec.storageClassName",
        ),
        (mismatch, cannot("requested PV is too small"), "asks for 5Gi: set spec.size to no more than"),
        (mismatch, cannot("incompatible volumeMode"), "asks for Filesystem: set spec.volumeMode"),
        (mismatch, cannot("incompatible accessMode"), "asks for ReadWriteOnce: set spec.accessModes"),
        (mismatch, cannot("the volume is marked for deletion \"pv-9\""), "name another one in spec.volumeName"),
        (Reason::FailedBinding, taken.to_owned(), "kubectl patch pv pv-9 --type=json"),
    ] {
        let (claim, observed) = waiting(Some("fast"), None, Some("pv-9"), &[]);
        let status = status(&claim, Observed { no_volume: Some(no_volume(reason, &said)), ..observed });
        let told = [Type::Ready, Type::Reconciling, Type::Stalled].map(|type_| told(&status, type_));
        assert_eq!(told, [format!("False {}", reason.as_str()), "absent".into(), format!("True {}", reason.as_str())]);
        let begins = format!("PersistentVolumeClaim data: {}; ", said.trim_end_matches('.'));
        assert!(message(&status).starts_with(&begins) && message(&status).contains(set), "{}", message(&status));
    }
}
