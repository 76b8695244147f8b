//! What an existing object keeps from its making: allocated values, which the API server copies back without a word, and
//! immutable ones, whose change it refuses. What is to be done about each is held by `tests/cluster/fixed.rs`.

use super::kind::ChildKind;
use super::merge::Path;
use super::object::Object;
use super::plan::{ErrorClass, Failure};
use super::text::{WORD, cut};
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
    ConfigMap, Deployment, PersistentVolumeClaim, PodDisruptionBudget, PodMonitor, Secret, Service, ServiceAccount,
    ServiceMonitor, StorageClaim,
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
        ConfigMap | Service | PodDisruptionBudget | ServiceMonitor | PodMonitor => true,
        ServiceAccount | Secret | StorageClaim | PersistentVolumeClaim | Deployment => false,
    }
}

/// What the user is told of an object that stays as it is.
pub fn explain(object: &Object, live: &Value, field: &Path) -> Failure {
    let Object { kind, name, declared, .. } = object;
    let told = |message| Failure { object: format!("{kind} {name}"), class: ErrorClass::Invalid, message, field: None };
    let delete = |kinds: &str| format!("kubectl delete {kinds} {name}");
    let named = kind.as_str().to_lowercase();
    let remedy = match kind {
        ServiceAccount | ConfigMap | Secret | Service | PodDisruptionBudget | ServiceMonitor | PodMonitor => {
            format!("it was not made here, so it stays; once you delete it ({}), it is made anew", delete(&named))
        }
        Deployment => format!("once you delete it ({}), which stops its pods, it is made anew", delete(&named)),
        StorageClaim | PersistentVolumeClaim if has_no_data(*kind, live) => {
            let kinds = if *kind == StorageClaim { "storageclaim,pvc" } else { "pvc" };
            format!("it has no volume yet, so once you delete it ({}), it is made anew", delete(kinds))
        }
        StorageClaim | PersistentVolumeClaim => {
            "it stays, with its data; declare what it has, or storage of another name".to_owned()
        }
    };
    let place = field.to_string();
    match (declared, place.strip_prefix("spec.")) {
        (Some(declared), Some(part)) => {
            let (spec, status) = (field.value(live), &live["status"][part]);
            let has = in_words(if spec.is_null() { status } else { spec });
            let wanted = in_words(field.value(&object.body));
            let message = format!("can't be changed to {wanted}: {kind} {name} has {has}; {remedy}");
            Failure { field: Some(format!("{declared}.{part}")), ..told(message) }
        }
        (_, _) => told(format!("{field} can't be changed once the {kind} exists; {remedy}")),
    }
}

/// Whether nothing is lost with it. A claim that tells no request has no `PersistentVolumeClaim` of its own: what stands under its name is
/// another's, or kept.
fn has_no_data(kind: ChildKind, live: &Value) -> bool {
    let (status, generation) = (&live["status"], &live["metadata"]["generation"]);
    let is_told =
        kind == PersistentVolumeClaim || !status["requested"].is_null() && status["observedGeneration"] == *generation;
    let volume = if kind == PersistentVolumeClaim { &live["spec"]["volumeName"] } else { &status["volumeName"] };
    is_told && status["capacity"].is_null() && volume.is_null()
}

fn in_words(value: &Value) -> String {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match value {
        Value::Null => "unset".to_owned(),
        Value::Array(values) => cut(&values.iter().map(text).collect::<Vec<_>>().join(", "), WORD),
        value => cut(&text(value), WORD),
    }
}

#[cfg(test)]
mod tests {
    use super::{ChildKind, Failure, Object, explain, hindrance};
    use serde_json::{Value, json};

    fn explained(kind: ChildKind, status: &Value, declared: Option<&str>) -> Failure {
        let of =
            |class: Value| json!({"metadata": {"name": "data"}, "spec": {"storageClassName": class}, "status": status});
        let wanted = Object { declared: declared.map(Into::into), ..Object::new(kind, &of(json!("slow"))).unwrap() };
        let live = of(if kind == ChildKind::StorageClaim { Value::Null } else { json!("fast") });
        explain(&wanted, &live, &hindrance(kind, &live, &wanted.body).unwrap())
    }

    /// In the field that declares it, with both values; what holds no data may be made anew.
    #[test]
    fn what_storage_keeps_is_told_where_it_is_declared() {
        let bound = json!({"capacity": {"storage": "1Gi"}, "storageClassName": "fast"});
        let (claim, volume) = (ChildKind::StorageClaim, ChildKind::PersistentVolumeClaim);
        let app = Some("spec.volumes[0].storage");
        for (kind, status, field, message) in [
            (claim, &bound, app, "can't be changed to slow: StorageClaim data has fast; it stays, with its data"),
            // Its PersistentVolumeClaim is another's, or kept.
            (claim, &json!({}), app, "can't be changed to slow: StorageClaim data has unset; it stays, with its data"),
            (
                claim,
                &json!({"requested": "1Gi", "volumeName": "pv-1"}),
                app,
                "can't be changed to slow: StorageClaim data has unset; it stays, with its data",
            ),
            (
                claim,
                &json!({"requested": "1Gi"}),
                app,
                "can't be changed to slow: StorageClaim data has unset; it has no volume yet, so once you delete it (kubectl delete storageclaim,pvc data)",
            ),
            (volume, &bound, Some("spec"), "can't be changed to slow: PersistentVolumeClaim data has fast; it stays"),
            (
                volume,
                &json!({}),
                Some("spec"),
                "can't be changed to slow: PersistentVolumeClaim data has fast; it has no volume yet, so once you delete it (kubectl delete pvc data)",
            ),
            (
                volume,
                &bound,
                None,
                "spec.storageClassName can't be changed once the PersistentVolumeClaim exists; it stays",
            ),
        ] {
            let failure = explained(kind, status, field);
            assert!(failure.message.starts_with(message), "{}", failure.message);
            assert_eq!(failure.field, field.map(|field| format!("{field}.storageClassName")));
        }
    }
}
