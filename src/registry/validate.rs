//! From a `Registry` as written to a [`ValidRegistry`], or every error at once, each starting with its field.
//!
//! The CRD's schema refuses most of these first; this holds for `render`, which has no API server, for objects written
//! under an older schema, and for what only the cluster knows: how an existing claim may be mounted.

use crate::api::Registry;
use crate::api::common::AccessMode;
use crate::api::registry::{RegistrySpec, RegistryStorage, RegistryVolume};
use crate::core::checks::{NAME_LIMIT, image, name, size};
use crate::core::kind::Identity;
use crate::core::observed::Observed;
use crate::core::parent::Parent;
use crate::core::reference::Reference;
use crate::core::storage;
use k8s_openapi::api::core::v1::EmptyDirVolumeSource;
use xxhash_rust::xxh3::xxh3_64;

/// What Kubernetes takes when a pod says nothing.
const DEFAULT_GRACE_PERIOD: i64 = 30;
/// What the name of a Registry's own claim adds to the Registry's.
const CLAIM_SUFFIX: &str = "-storage";

/// A Registry whose every part makes sense; what the builders take.
#[derive(Debug)]
pub struct ValidRegistry<'a> {
    /// Who it is.
    pub identity: Identity,
    /// The spec as written.
    pub spec: &'a RegistrySpec,
    /// Where images are kept.
    pub source: Source<'a>,
    /// Whether several pods, on any nodes, may write the storage at once. If not, there is one pod at a time.
    pub shared: bool,
}

/// Where images are kept.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// A `StorageClaim` of the Registry's own.
    Volume(&'a RegistryVolume),
    /// An existing claim.
    Claim(&'a str),
    /// Scratch space.
    EmptyDir(&'a EmptyDirVolumeSource),
}

impl ValidRegistry<'_> {
    /// Seconds that a pod has to stop.
    pub fn grace_period(&self) -> i64 {
        let declared = self.spec.pod.as_ref().and_then(|pod| pod.termination_grace_period_seconds);
        declared.unwrap_or(DEFAULT_GRACE_PERIOD)
    }

    /// Name of the claim that holds the images, if one does.
    pub fn claim_name(&self) -> Option<String> {
        self.source.claim_name(&self.identity.name)
    }

    /// Name of the `ConfigMap` with the registry's configuration.
    pub fn config_name(&self) -> String {
        format!("{}-config", self.identity.name)
    }

    /// Name of the Secret that the pods share.
    pub fn secret_name(&self) -> String {
        secret_name(&self.identity)
    }
}

impl Source<'_> {
    fn claim_name(self, registry: &str) -> Option<String> {
        match self {
            Self::Volume(_) => Some(format!("{registry}{CLAIM_SUFFIX}")),
            Self::Claim(name) => Some(name.to_owned()),
            Self::EmptyDir(_) => None,
        }
    }

    /// Whether several pods may write it at once; `None` for a claim that is no `StorageClaim` (yet), of which the
    /// operator knows nothing.
    fn is_shared(self, observed: &Observed) -> Option<bool> {
        match self {
            Self::Volume(volume) => Some(volume.access_modes.contains(&AccessMode::ReadWriteMany)),
            Self::Claim(name) => {
                let claim = observed.claims.get(name)?;
                Some(claim.access_modes.iter().any(|mode| mode == AccessMode::ReadWriteMany.as_str()))
            }
            Self::EmptyDir(_) => Some(false),
        }
    }

    fn why_one_pod(self) -> String {
        match self {
            Self::Volume(_) => {
                "spec.storage.volume.accessModes has no mode that several nodes can mount (ReadWriteMany)".to_owned()
            }
            Self::Claim(name) => {
                format!("StorageClaim {name} has no access mode that several nodes can mount (ReadWriteMany)")
            }
            Self::EmptyDir(_) => "with spec.storage.emptyDir each pod would keep images of its own".to_owned(),
        }
    }
}

/// Name of the Secret that the pods of a Registry share. It is made without a look at what there is, so the UID is part of the
/// name: that of an earlier Registry of the same name, which may still be there, is another.
pub fn secret_name(registry: &Identity) -> String {
    format!("{}-http-{:08x}", registry.name, xxh3_64(registry.uid.as_bytes()) >> 32)
}

/// The claim that the Registry mounts, as far as it can be told.
pub fn claims(registry: &Registry) -> Vec<Reference> {
    let Ok(source) = source(&registry.spec.storage) else { return Vec::new() };
    let claim = source.claim_name(&registry.identity().name);
    claim.iter().flat_map(|claim| storage::references(claim, matches!(source, Source::Volume(_)))).collect()
}

/// Checks a Registry against itself and against what is known of its claim.
///
/// A claim that is no `StorageClaim` is unknown to the operator. It counts as shared exactly when more than one replica
/// is asked for: the author knows it, and one pod at a time is right for every volume.
///
/// # Errors
/// Every error found, each starting with the field.
pub fn validate<'a>(registry: &'a Registry, observed: &Observed) -> Result<ValidRegistry<'a>, Vec<String>> {
    let (identity, spec) = (registry.identity(), &registry.spec);
    let mut errors = Vec::new();
    errors.extend(name(&identity.name));
    errors.extend(spec.image.as_deref().and_then(|declared| image("spec.image", declared)));
    if spec.replicas.is_some_and(|replicas| replicas < 0) {
        errors.push("spec.replicas: must not be negative".to_owned());
    }
    let source = match source(&spec.storage) {
        Ok(source) => source,
        Err(error) => {
            errors.push(error);
            return Err(errors);
        }
    };
    errors.extend(source_errors(source, &identity.name));
    let several = spec.replicas.is_some_and(|replicas| replicas > 1);
    let shared = source.is_shared(observed).unwrap_or(several);
    if several && !shared {
        errors.push(format!("spec.replicas: must be 1 because {}", source.why_one_pod()));
    }
    if errors.is_empty() { Ok(ValidRegistry { identity, spec, source, shared }) } else { Err(errors) }
}

fn source(storage: &RegistryStorage) -> Result<Source<'_>, String> {
    let RegistryStorage { volume, claim, empty_dir } = storage;
    let mut given = [
        volume.as_ref().map(Source::Volume),
        claim.as_ref().map(|claim| Source::Claim(&claim.name)),
        empty_dir.as_ref().map(Source::EmptyDir),
    ]
    .into_iter()
    .flatten();
    match (given.next(), given.next()) {
        (Some(source), None) => Ok(source),
        _ => Err("spec.storage: must have exactly one of volume, claim and emptyDir".to_owned()),
    }
}

fn source_errors(source: Source<'_>, registry: &str) -> Vec<String> {
    let mut errors = Vec::new();
    match source {
        Source::Volume(volume) => {
            errors.extend(size(&volume.size).map(|error| format!("spec.storage.volume.{error}")));
            let limit = NAME_LIMIT - CLAIM_SUFFIX.len();
            if registry.len() > limit {
                errors.push(format!(
                    "metadata.name: must have at most {limit} characters when spec.storage.volume is set, \
                     as it names StorageClaim {registry}{CLAIM_SUFFIX}"
                ));
            }
        }
        Source::Claim("") => errors.push("spec.storage.claim.name: must name a claim of this namespace".to_owned()),
        Source::Claim(_) | Source::EmptyDir(_) => {}
    }
    errors
}
