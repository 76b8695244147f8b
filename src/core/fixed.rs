//! What an existing object keeps from its making: allocated values, which the API server copies back without a word, and
//! immutable ones, whose change it refuses. What is to be done about each is held by `tests/cluster/fixed.rs`.

use super::kind::ChildKind;
use super::merge::Path;
use serde_json::Value;

/// One such field.
struct Fixed {
    kind: ChildKind,
    path: &'static [&'static str],
    /// Whether the API server keeps the old value without a word.
    copied_back: bool,
    /// Whether a live value is in the way of a wanted one.
    hinders: fn(&Value, &Value) -> bool,
}

const fn refused(kind: ChildKind, path: &'static [&'static str], hinders: fn(&Value, &Value) -> bool) -> Fixed {
    Fixed { kind, path, copied_back: false, hinders }
}

use ChildKind::{
    ConfigMap, Deployment, PersistentVolumeClaim, PodMonitor, Secret, Service, ServiceAccount, ServiceMonitor,
    StorageClaim,
};

static FIXED: &[Fixed] = &[
    refused(ConfigMap, &["immutable"], is_set),
    refused(StorageClaim, &["spec", "storageClassName"], differs),
    refused(StorageClaim, &["spec", "accessModes"], differs),
    refused(StorageClaim, &["spec", "volumeMode"], differs),
    refused(PersistentVolumeClaim, &["spec", "storageClassName"], is_other),
    refused(PersistentVolumeClaim, &["spec", "accessModes"], is_other),
    refused(PersistentVolumeClaim, &["spec", "volumeMode"], is_other),
    refused(PersistentVolumeClaim, &["spec", "selector"], is_other),
    refused(PersistentVolumeClaim, &["spec", "volumeName"], is_other),
    refused(Deployment, &["spec", "selector"], is_other),
    Fixed { kind: Service, path: &["spec", "clusterIP"], copied_back: true, hinders: is_headless_otherwise },
];

fn differs(live: &Value, wanted: &Value) -> bool {
    live != wanted
}

fn is_other(live: &Value, wanted: &Value) -> bool {
    !wanted.is_null() && live != wanted
}

fn is_set(live: &Value, _: &Value) -> bool {
    live == true
}

/// An address is kept, and so is having none.
fn is_headless_otherwise(live: &Value, wanted: &Value) -> bool {
    (live == "None") != (wanted == "None")
}

fn find(kind: ChildKind, live: &Value, wanted: &Value, which: impl Fn(&Fixed) -> bool) -> Option<Path> {
    let value = |object: &Value, path: &[&str]| path.iter().fold(object, |value, field| &value[*field]).clone();
    let hinders = |fixed: &&Fixed| (fixed.hinders)(&value(live, fixed.path), &value(wanted, fixed.path));
    let found = FIXED.iter().filter(|fixed| fixed.kind == kind && which(fixed)).find(hinders)?;
    Some(Path::default().within_fields(found.path))
}

/// The first field by which a live object can never become what is wanted.
pub fn hindrance(kind: ChildKind, live: &Value, wanted: &Value) -> Option<Path> {
    find(kind, live, wanted, |_| true)
}

/// Likewise, of those that an apply leaves as they are without a word.
pub fn copied_back(kind: ChildKind, live: &Value, wanted: &Value) -> Option<Path> {
    find(kind, live, wanted, |fixed| fixed.copied_back)
}

/// Whether an object may be deleted and made anew to change such a field: nothing is lost with it, and no pod stops. Tokens are
/// bound to the UID of their `ServiceAccount`.
pub const fn is_replaceable(kind: ChildKind) -> bool {
    match kind {
        ConfigMap | Service | ServiceMonitor | PodMonitor => true,
        ServiceAccount | Secret | StorageClaim | PersistentVolumeClaim | Deployment => false,
    }
}

/// What the user is told of an object that stays as it is.
pub fn explain(kind: ChildKind, name: &str, field: &Path) -> String {
    let delete = format!("kubectl delete {} {name}", kind.as_str().to_lowercase());
    let remedy = match kind {
        ServiceAccount | ConfigMap | Secret | Service | ServiceMonitor | PodMonitor => {
            format!("it was not made here, so it stays; once you delete it ({delete}), it is made anew")
        }
        Deployment => format!("once you delete it ({delete}), which stops its pods, it is made anew"),
        StorageClaim | PersistentVolumeClaim => {
            "it stays, with its data; declare what it has, or storage of another name".to_owned()
        }
    };
    format!("{field} can't be changed once the {kind} exists; {remedy}")
}
