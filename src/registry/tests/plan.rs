//! Which objects there are, and what the small ones say.

use super::{body, claim, deployment_spec, empty_dir, keyless, planned, registry, settings, volume, with_claim};
use crate::api::Registry;
use crate::api::common::{AccessMode, DeletionPolicy, PodSettings};
use crate::core::kind::ChildKind;
use crate::core::live::Live;
use crate::core::observed::{Child, Observed};
use crate::core::parent::Parent;
use crate::core::plan::PlanSettings;
use jiff::Timestamp;
use serde_json::{Value, json};

fn config(registry: &Registry) -> Value {
    let config_map = body(&planned(registry), ChildKind::ConfigMap, "images-config");
    serde_saphyr::from_str(config_map["data"]["config.yml"].as_str().unwrap()).unwrap()
}

fn secret(registry: &Registry) -> String {
    let text = planned(registry).once[0].body["data"]["secret"].clone();
    let bytes: k8s_openapi::ByteString = serde_json::from_value(text).unwrap();
    String::from_utf8(bytes.0).unwrap()
}

#[test]
fn every_object_is_planned_in_the_order_of_applying() {
    let plan = planned(&registry(volume(&[])));
    let names: Vec<_> = plan.objects.iter().map(|object| format!("{} {}", object.kind, object.name)).collect();
    let wanted = ["ConfigMap images-config", "StorageClaim images-storage", "Deployment images", "Service images"];
    assert_eq!(names, wanted);
    assert!(plan.objects.is_sorted_by_key(|object| object.kind));
    assert_eq!(plan.prune, []);
}

#[test]
fn configuration_is_what_distribution_reads() {
    let mut images = registry(empty_dir());
    let open = config(&images);
    let wanted = json!({
        "version": "0.1",
        "log": {"level": "warn", "formatter": "json", "accesslog": {"disabled": true}},
        "storage": {
            "filesystem": {"rootdirectory": "/var/lib/registry"},
            "delete": {"enabled": false},
            "cache": {"blobdescriptor": "inmemory"},
            "maintenance": {"readonly": {"enabled": false}}
        },
        "http": {"addr": ":5000", "draintimeout": "25s", "headers": {"X-Content-Type-Options": ["nosniff"]}},
        "health": {"storagedriver": {"enabled": true, "interval": "10s", "threshold": 3}}
    });
    assert_eq!(open, wanted);
    images.spec.read_only = true;
    assert_eq!(config(&images)["storage"]["maintenance"]["readonly"]["enabled"], true);
}

#[test]
fn requests_are_drained_before_the_grace_period_ends() {
    for (grace, drain) in [(None, "25s"), (Some(300), "295s"), (Some(5), "1s"), (Some(0), "1s")] {
        let mut images = registry(empty_dir());
        let pod = PodSettings { termination_grace_period_seconds: grace, ..PodSettings::default() };
        images.spec.pod = Some(pod);
        assert_eq!(config(&images)["http"]["draintimeout"], drain);
    }
}

#[test]
fn secret_is_derived_from_key_and_uid() {
    let mut images = registry(empty_dir());
    assert_eq!(secret(&images), "e1195a1be3574fbb272f26000369940a4b8ba02bc300cdac5f997f3301c114ae");
    images.metadata.uid = Some("uid-2".to_owned());
    assert_eq!(secret(&images), "c5f1595e415347869d7d66a974fab74023bdf21d25a121bce859879e8f430903");
}

#[test]
fn secret_needs_a_key() {
    let plan = registry(empty_dir()).plan(&Observed::default(), &keyless(), Timestamp::UNIX_EPOCH);
    assert_eq!((plan.once.len(), plan.objects.len()), (0, 3));
}

#[test]
fn secret_of_each_registry_has_a_name_of_its_own() {
    let mut images = registry(empty_dir());
    let name = |images: &Registry| planned(images).once[0].name.clone();
    let before = name(&images);
    assert!(before.starts_with("images-http-"), "{before}");
    images.metadata.uid = Some("uid-2".to_owned());
    assert_ne!(name(&images), before);
}

#[test]
fn claim_outlives_the_registry_unless_told_otherwise() {
    let mut images = registry(volume(&[AccessMode::ReadWriteMany]));
    let kept = body(&planned(&images), ChildKind::StorageClaim, "images-storage");
    assert_eq!(kept["metadata"]["labels"]["moorage.dev/registry"], "images");
    assert!(kept["metadata"].get("ownerReferences").is_none());
    assert_eq!(kept["spec"]["accessModes"], json!(["ReadWriteMany"]));
    images.spec.storage.volume.as_mut().unwrap().deletion_policy = DeletionPolicy::Delete;
    let owned = body(&planned(&images), ChildKind::StorageClaim, "images-storage");
    assert_eq!(owned["metadata"]["ownerReferences"][0]["uid"], "uid-1");
}

#[test]
fn mounted_claims() {
    let cases = [
        (volume(&[]), Some("images-storage"), vec!["StorageClaim images-storage"]),
        (claim("shared"), Some("shared"), vec!["StorageClaim shared", "PersistentVolumeClaim shared"]),
        (empty_dir(), None, vec![]),
    ];
    for (storage, name, references) in cases {
        let images = registry(storage);
        let mounted: Vec<String> = images.references().iter().map(ToString::to_string).collect();
        assert_eq!(mounted, references);
        let data = deployment_spec(&images, &Observed::default())["template"]["spec"]["volumes"][1].clone();
        assert_eq!(data["persistentVolumeClaim"]["claimName"].as_str(), name);
        assert_eq!(data.get("emptyDir").is_some(), name.is_none());
    }
}

#[test]
fn service_leads_to_the_pods() {
    let service = body(&planned(&registry(empty_dir())), ChildKind::Service, "images");
    assert_eq!(service["spec"]["type"], "ClusterIP");
    assert_eq!(service["spec"]["selector"], json!({"moorage.dev/registry": "images"}));
    let port = json!([{"name": "http", "port": 5000, "targetPort": 5000, "protocol": "TCP"}]);
    assert_eq!(service["spec"]["ports"], port);
}

#[test]
fn storage_that_one_pod_can_write_has_one_pod_at_a_time() {
    use AccessMode::{ReadOnlyMany, ReadWriteMany, ReadWriteOnce, ReadWriteOncePod};
    let nothing = Observed::default();
    let (one, many) = (with_claim(&["ReadWriteOnce"]), with_claim(&["ReadWriteOnce", "ReadWriteMany"]));
    for (storage, observed, asked, replicas, strategy) in [
        (volume(&[]), &nothing, None, Some(1), "Recreate"),
        (volume(&[ReadWriteOnce]), &nothing, Some(0), Some(0), "Recreate"),
        (volume(&[ReadWriteOncePod]), &nothing, Some(1), Some(1), "Recreate"),
        (volume(&[ReadWriteOnce, ReadOnlyMany]), &nothing, None, Some(1), "Recreate"),
        (volume(&[ReadWriteMany]), &nothing, None, None, "RollingUpdate"),
        (volume(&[ReadWriteMany]), &nothing, Some(3), Some(3), "RollingUpdate"),
        (empty_dir(), &nothing, None, Some(1), "Recreate"),
        (claim("shared"), &one, None, Some(1), "Recreate"),
        (claim("shared"), &many, None, None, "RollingUpdate"),
        (claim("shared"), &many, Some(2), Some(2), "RollingUpdate"),
        (claim("shared"), &nothing, None, Some(1), "Recreate"),
        (claim("shared"), &nothing, Some(2), Some(2), "RollingUpdate"),
    ] {
        let mut images = registry(storage);
        images.spec.replicas = asked;
        let spec = deployment_spec(&images, observed);
        assert_eq!(spec.get("replicas").and_then(Value::as_i64), replicas, "{:?}", images.spec);
        assert_eq!(spec["strategy"]["type"], strategy, "{:?}", images.spec);
    }
}

/// An operator with another default image finds what an earlier one declared.
#[test]
fn a_new_default_image_restarts_nothing_by_itself() {
    let newer = PlanSettings { registry_image: "registry.example.com/distribution:9".to_owned(), ..settings() };
    let images = registry(empty_dir());
    let before = body(&planned(&images), ChildKind::Deployment, "images");
    let standing = |live: &Value| {
        let mut observed = Observed::default();
        let child = Child::of(ChildKind::Deployment, &Live::new(live.clone()));
        observed.children.insert((ChildKind::Deployment, "images".to_owned()), child);
        observed
    };
    let deployment = |images: &Registry, live: &Value| {
        body(&images.plan(&standing(live), &newer, Timestamp::UNIX_EPOCH), ChildKind::Deployment, "images")
    };
    let image = |deployment: &Value| deployment["spec"]["template"]["spec"]["containers"][0]["image"].clone();
    assert_eq!(deployment(&images, &before), before, "nothing is written");

    let mut other = images.clone();
    other.spec.replicas = Some(0);
    assert_eq!(deployment(&other, &before)["spec"]["template"], before["spec"]["template"], "pods are not concerned");
    other.spec.read_only = true;
    assert_eq!(image(&deployment(&other, &before)), newer.registry_image, "the pods restart anyway");
    other.spec.image = Some("registry.example.com/own:1".to_owned());
    let named = deployment(&other, &before);
    assert_eq!(image(&named), "registry.example.com/own:1");
    other.spec.image = None;
    assert_eq!(image(&deployment(&other, &named)), newer.registry_image, "what was named is not kept");

    let mut edited = before.clone();
    edited["spec"]["template"]["spec"]["containers"][0]["image"] = json!("registry.example.com/intruder:1");
    assert_eq!(deployment(&images, &edited), before, "somebody else's image is taken back, and that is no upgrade");
    let mut asked = before.clone();
    asked["metadata"]["annotations"].as_object_mut().unwrap().remove("moorage.dev/default-image");
    assert_eq!(image(&deployment(&images, &asked)), newer.registry_image, "it was asked for");
}
