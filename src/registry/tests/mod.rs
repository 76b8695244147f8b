//! One table per decision, over plans and statuses made of plain data.

mod plan;
mod status;
mod template;
mod validate;

use crate::api::Registry;
use crate::api::common::AccessMode;
use crate::api::registry::{RegistrySpec, RegistryStorage, RegistryVolume};
use crate::api::volume::ClaimReference;
use crate::core::facts::Claim;
use crate::core::kind::ChildKind;
use crate::core::observed::Observed;
use crate::core::parent::Parent;
use crate::core::plan::{Plan, PlanSettings};
use crate::core::secret_key::SecretKey;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::EmptyDirVolumeSource;
use serde_json::Value;

fn registry(storage: RegistryStorage) -> Registry {
    let mut registry = Registry::new("images", RegistrySpec { storage, ..RegistrySpec::default() });
    registry.metadata.namespace = Some("team".to_owned());
    registry.metadata.uid = Some("uid-1".to_owned());
    registry.metadata.generation = Some(3);
    registry
}

fn volume(access_modes: &[AccessMode]) -> RegistryStorage {
    let volume =
        RegistryVolume { size: "20Gi".to_owned(), access_modes: access_modes.to_vec(), ..RegistryVolume::default() };
    RegistryStorage { volume: Some(volume), ..RegistryStorage::default() }
}

fn claim(name: &str) -> RegistryStorage {
    RegistryStorage { claim: Some(ClaimReference { name: name.to_owned() }), ..RegistryStorage::default() }
}

fn empty_dir() -> RegistryStorage {
    RegistryStorage { empty_dir: Some(EmptyDirVolumeSource::default()), ..RegistryStorage::default() }
}

/// A namespace with a `StorageClaim` named `shared` of those modes.
fn with_claim(access_modes: &[&str]) -> Observed {
    let access_modes = access_modes.iter().map(|&mode| mode.to_owned()).collect();
    let claim = Claim { ready: true, access_modes, ..Claim::default() };
    Observed { claims: [("shared".to_owned(), claim)].into(), ..Observed::default() }
}

fn settings() -> PlanSettings {
    let key = SecretKey(std::array::from_fn(|index| u8::try_from(index).unwrap()));
    PlanSettings {
        registry_image: "registry.example.com/distribution:3.1.1".to_owned(),
        secret_key: Some(key),
        ..PlanSettings::default()
    }
}

fn keyless() -> PlanSettings {
    PlanSettings { secret_key: None, ..settings() }
}

fn planned(registry: &Registry) -> Plan {
    let plan = registry.plan(&Observed::default(), &settings(), Timestamp::UNIX_EPOCH);
    assert_eq!(plan.invalid, Vec::<String>::new());
    plan
}

fn body(plan: &Plan, kind: ChildKind, name: &str) -> Value {
    plan.object(kind, name).unwrap_or_else(|| panic!("{kind} {name} is planned")).body.clone()
}

fn deployment_spec(registry: &Registry, observed: &Observed) -> Value {
    body(&registry.plan(observed, &settings(), Timestamp::UNIX_EPOCH), ChildKind::Deployment, "images")["spec"].clone()
}
