//! Which size is asked for, and what is told of it.

use super::{bound, claim, class, message, of_app, pending, plan, request, retained, seen, status, told};
use crate::core::conditions::Type;
use crate::core::observed::Observed;
use serde_json::json;
use std::collections::BTreeMap;

#[test]
fn the_request_follows_the_size_only_where_kubernetes_lets_it() {
    let cases = [
        // size, live, request, Ready, Resized
        ("5Gi", bound("5Gi", "5Gi"), "5Gi", "True AsExpected", "True AsExpected"),
        ("10Gi", pending("5Gi"), "5Gi", "False WaitingForVolume", "False ResizePending"),
        ("2Gi", pending("5Gi"), "5Gi", "False WaitingForVolume", "False ResizePending"),
        ("5Gi", pending("5Gi"), "5Gi", "False WaitingForVolume", "False WaitingForVolume"),
        ("10Gi", bound("10Gi", "5Gi"), "10Gi", "False Resizing", "False Resizing"),
        ("10Gi", bound("10Gi", "10Gi"), "10Gi", "True AsExpected", "True AsExpected"),
        ("2Gi", bound("5120Mi", "5Gi"), "5120Mi", "False ShrinkRefused", "False ShrinkRefused"),
        ("7Gi", bound("5120Mi", "8Gi"), "5120Mi", "True AsExpected", "True AsExpected"),
        ("5Gi", bound("5Gi", "8Gi"), "5Gi", "True AsExpected", "True AsExpected"),
        ("5Gi", bound("10Gi", "5Gi"), "10Gi", "False ShrinkRefused", "False ShrinkRefused"),
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
    assert_eq!(request(&plan(&claim("6Gi"), &seen(&bound("10Gi", "5Gi")))), "6Gi", "growth taken back");
}

#[test]
fn a_shrink_is_told_with_the_size_there_is() {
    let status = status(&claim("2Gi"), seen(&bound("5Gi", "5Gi")));
    assert!(
        message(&status).starts_with("spec.size: must not be smaller than the volume's 5Gi;"),
        "{}",
        message(&status)
    );
    assert_eq!(told(&status, Type::Stalled), "True ShrinkRefused");
    assert_eq!(told(&status, Type::Bound), "True Bound");
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
