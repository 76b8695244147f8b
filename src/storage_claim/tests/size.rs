//! Which size is asked for, and what is told of it.

use super::{bound, claim, class, message, of_app, pending, plan, request, retained, seen, status, told};
use crate::core::conditions::{Type, find};
use crate::core::observed::Observed;
use serde_json::json;
use std::collections::BTreeMap;

#[test]
fn the_request_follows_the_size_only_where_kubernetes_lets_it() {
    let cases = [
        // size, live, request, Ready, Resized
        ("5Gi", bound("5Gi", "5Gi"), "5Gi", "True AsExpected", "True AsExpected"),
        ("10Gi", pending("5Gi"), "5Gi", "False WaitingForVolume", "False ResizePending"),
        ("2Gi", pending("5Gi"), "5Gi", "False WaitingForVolume", "False WaitingForVolume"),
        ("5Gi", pending("5Gi"), "5Gi", "False WaitingForVolume", "False WaitingForVolume"),
        ("10Gi", bound("10Gi", "5Gi"), "10Gi", "False Resizing", "False Resizing"),
        ("10Gi", bound("10Gi", "10Gi"), "10Gi", "True AsExpected", "True AsExpected"),
        ("8Gi", bound("5120Mi", "8Gi"), "5120Mi", "True AsExpected", "True AsExpected"),
        ("2Gi", bound("5120Mi", "5Gi"), "5120Mi", "True AsExpected", "True LargerThanDeclared"),
        ("7Gi", bound("5120Mi", "8Gi"), "5120Mi", "True AsExpected", "True LargerThanDeclared"),
        ("5Gi", bound("5Gi", "8Gi"), "5Gi", "True AsExpected", "True LargerThanDeclared"),
        ("5Gi", bound("10Gi", "5Gi"), "10Gi", "True AsExpected", "True LargerThanDeclared"),
        ("6Gi", bound("10Gi", "5Gi"), "10Gi", "False Resizing", "False Resizing"),
    ];
    for (size, live, wanted, ready, resized) in cases {
        let claim = claim(size);
        assert_eq!(request(&plan(&claim, &seen(&live))), wanted, "{size} {live}");
        let status = status(&claim, seen(&live));
        assert_eq!(
            (told(&status, Type::Ready), told(&status, Type::Resized)),
            (ready.into(), resized.into()),
            "{size} {live}"
        );
    }
    assert_eq!(request(&plan(&claim("10Gi"), &seen(&bound("5Gi", "5Gi")))), "10Gi", "growth");
}

/// A quota, say, refuses the larger request.
#[test]
fn growth_that_nobody_was_asked_for_is_not_the_drivers() {
    let status = status(&claim("10Gi"), seen(&bound("5Gi", "5Gi")));
    let resized = find(&status.conditions, Type::Resized).unwrap();
    assert!(resized.message.ends_with("grows from 5Gi to 10Gi: it is yet to be asked for"), "{}", resized.message);
}

/// An autoresizer and an admin may ask for more than was declared, and the author may declare less than there is.
#[test]
fn more_than_declared_is_ready_and_told() {
    let failed = |status: &str| {
        let mut live = bound("10Gi", "5Gi");
        live["status"]["allocatedResourceStatuses"] = json!({"storage": status});
        live["status"]["conditions"] = json!([{"type": "ControllerResizeError", "status": "True", "message": "quota"}]);
        live
    };
    let cases = [
        (bound("10Gi", "10Gi"), "10Gi that PersistentVolumeClaim data has; nothing is shrunk; set spec.size to 10Gi"),
        (
            bound("10Gi", "5Gi"),
            "10Gi that PersistentVolumeClaim data asks for; nothing is shrunk; PersistentVolumeClaim data grows",
        ),
        (bound("10Gi", "5Gi"), "grows from 5Gi to 10Gi: the storage driver is at work; set spec.size to 10Gi"),
        (failed("ControllerResizeInProgress"), "grows from 5Gi to 10Gi, which failed and is tried again: quota"),
        (
            failed("ControllerResizeInfeasible"),
            "which failed: quota; set spec.size to more than 5Gi and less than 10Gi",
        ),
    ];
    for (live, words) in cases {
        let status = status(&claim("5Gi"), seen(&live));
        assert_eq!(told(&status, Type::Ready), "True AsExpected");
        assert_eq!(told(&status, Type::Resized), "True LargerThanDeclared");
        let message = &find(&status.conditions, Type::Resized).unwrap().message;
        assert!(message.starts_with("spec.size: 5Gi is less than the 10Gi") && message.contains(words), "{message}");
    }
}

/// What is taken back is a growth that the driver gave up, to a declared size that is above what there is.
#[test]
fn nothing_is_shrunk_and_a_claim_that_has_its_size_is_ready() {
    let sizes = [2, 5, 8].map(|size| (size, format!("{size}Gi")));
    let each = || sizes.iter();
    for ((size, declared), (asked, requested), (there_is, capacity)) in
        each().flat_map(|d| each().flat_map(move |r| each().map(move |c| (d, r, c))))
    {
        for resize in [None, Some("ControllerResizeInProgress"), Some("NodeResizeInfeasible")] {
            let mut live = bound(requested, capacity);
            live["status"]["allocatedResourceStatuses"] = json!({"storage": resize});
            let (claim, case) = (claim(declared), format!("{declared} {requested} {capacity} {resize:?}"));
            let has_room = size <= there_is && asked < size;
            let taken_back = resize == Some("NodeResizeInfeasible") && there_is < size;
            let wanted = match (has_room, taken_back) {
                (true, _) => requested,
                (_, true) => declared,
                (false, false) => declared.max(requested),
            };
            assert_eq!(request(&plan(&claim, &seen(&live))), wanted, "{case}");
            let ready = told(&status(&claim, seen(&live)), Type::Ready);
            assert_eq!(ready == "True AsExpected", size <= there_is, "{case}: {ready}");
        }
    }
}

#[test]
fn growth_needs_a_class_that_allows_it() {
    let classes = |name: &str, expandable| Some(BTreeMap::from([(name.to_owned(), class(expandable, false, false))]));
    let mut classless = bound("5Gi", "5Gi");
    classless["spec"]["storageClassName"].take();
    let cases = [
        (bound("5Gi", "5Gi"), classes("fast", true), "10Gi", ""),
        (bound("5Gi", "5Gi"), None, "10Gi", ""),
        (bound("5Gi", "5Gi"), classes("fast", false), "5Gi", "StorageClass fast does not allow growth"),
        (bound("5Gi", "5Gi"), classes("slow", true), "5Gi", "StorageClass fast does not exist any more"),
        (classless, classes("fast", true), "5Gi", "the volume has no StorageClass"),
    ];
    for (live, classes, wanted, why) in cases {
        let observed = Observed { classes, ..seen(&live) };
        assert_eq!(request(&plan(&claim("10Gi"), &observed)), wanted, "{why}");
        if !why.is_empty() {
            let status = status(&claim("10Gi"), observed);
            assert_eq!(told(&status, Type::Stalled), "True ExpansionNotAllowed");
            assert!(message(&status).contains(why), "{}", message(&status));
        }
    }
}

#[test]
fn growth_is_told_step_by_step() {
    let cases = [
        (None, None, "False Resizing", "the storage driver is at work"),
        (Some("ControllerResizeInProgress"), Some("Resizing"), "False Resizing", "the storage driver is at work"),
        (Some("NodeResizePending"), None, "False Resizing", "when a pod mounts it"),
        (None, Some("FileSystemResizePending"), "False Resizing", "when a pod mounts it"),
        (Some("NodeResizeInProgress"), None, "False Resizing", "the node grows"),
        (Some("ControllerResizeInfeasible"), Some("ControllerResizeError"), "False ResizeFailed", "quota"),
        (Some("NodeResizeFailed"), None, "False ResizeFailed", "the storage driver can't do it"),
        (Some("ControllerResizeInProgress"), Some("ControllerResizeError"), "False ResizeFailed", "tried again: quota"),
        (None, Some("NodeResizeError"), "False ResizeFailed", "tried again: quota"),
        (Some("SomethingNew"), Some("Unheard"), "False Resizing", "the storage driver is at work"),
    ];
    for (allocated, condition, ready, words) in cases {
        let mut live = bound("10Gi", "5Gi");
        live["status"]["allocatedResourceStatuses"] = json!({"storage": allocated});
        live["status"]["conditions"] = json!([{"type": condition, "status": "True", "message": "quota"}]);
        let status = status(&claim("10Gi"), seen(&live));
        assert_eq!(told(&status, Type::Ready), ready, "{allocated:?} {condition:?}");
        assert!(message(&status).contains(words), "{allocated:?} {condition:?}: {}", message(&status));
    }
}

#[test]
fn a_volume_taken_over_keeps_its_size() {
    let claim = of_app(claim("2Gi"), "shop");
    assert_eq!(request(&plan(&claim, &seen(&retained()))), "5Gi");
}
