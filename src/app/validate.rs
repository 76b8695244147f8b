//! From an `App` as written to a [`ValidApp`], or every error at once, each starting with its field.
//!
//! The CRD's schema refuses most of these first; this holds for `render`, which has no API server, and for objects
//! written under an older schema.

use super::containers::containers;
use super::ports::{ValidMonitoring, monitoring, named_ports, ports};
use super::references::{readings, unread};
use super::volumes::{Source, ValidVolume, own_claim, volumes};
use crate::api::app::{App, AppPort, AppSpec, ServiceType};
use crate::api::availability::Availability;
use crate::api::rollout::{Rollout, RolloutStrategy};
use crate::core::checks::{image, name, resources};
use crate::core::configuration::Reading;
use crate::core::kind::Identity;
use crate::core::parent::Parent;
use crate::core::reference::Reference;
use crate::core::storage;
use std::collections::BTreeMap;

/// An App whose every part makes sense; what the builders take.
#[derive(Debug)]
pub struct ValidApp<'a> {
    /// Who it is.
    pub identity: Identity,
    /// The spec as written.
    pub spec: &'a AppSpec,
    /// Its volumes, each with its one source.
    pub volumes: Vec<ValidVolume<'a>>,
    /// How it is scraped, if it is to be.
    pub monitoring: Option<ValidMonitoring<'a>>,
    /// What configuration its pods read.
    pub readings: BTreeMap<Reference, Reading>,
}

impl ValidApp<'_> {
    /// Whether the App has a `ServiceAccount` of its own.
    pub fn owns_service_account(&self) -> bool {
        self.service_account_name() == self.identity.name && self.named_service_account().is_none()
    }

    /// Name of the `ServiceAccount` of the pods.
    pub fn service_account_name(&self) -> &str {
        self.named_service_account().unwrap_or(&self.identity.name)
    }

    fn named_service_account(&self) -> Option<&str> {
        self.spec.service_account.as_ref()?.name.as_deref()
    }

    /// Whether its containers have a token of their `ServiceAccount`.
    pub fn has_token(&self) -> bool {
        let is_token = |volume: &ValidVolume<'_>| {
            let sources = volume.declared.projected.iter().flat_map(|projected| projected.sources.iter().flatten());
            sources.into_iter().any(|source| source.service_account_token.is_some())
        };
        let automount = self.spec.service_account.as_ref().is_some_and(|account| account.automount_token);
        automount || self.volumes.iter().any(is_token)
    }

    /// Name of the claim of a volume, if it has one.
    pub fn claim_name(&self, volume: &ValidVolume<'_>) -> Option<String> {
        match volume.source {
            Source::Storage(_) => Some(own_claim(&self.identity.name, volume.declared)),
            Source::Claim(name) => Some(name.to_owned()),
            Source::Elsewhere => None,
        }
    }

    /// Name of the container port behind a port: several may lead to one, which has the first one's name.
    pub fn container_port_name(&self, port: &AppPort) -> Option<&str> {
        let is_same =
            |other: &&AppPort| other.container_port() == port.container_port() && other.protocol == port.protocol;
        self.spec.ports.iter().find(is_same)?.name.as_deref()
    }

    /// The ports of the Service.
    pub fn service_ports(&self) -> impl Iterator<Item = &AppPort> {
        self.spec.ports.iter().filter(|port| !port.private)
    }

    /// All claims that the App mounts.
    pub fn claims(&self) -> Vec<Reference> {
        let claims = self.volumes.iter().filter_map(|volume| {
            let is_own = matches!(volume.source, Source::Storage(_));
            Some(storage::references(&self.claim_name(volume)?, is_own).collect::<Vec<_>>())
        });
        claims.flatten().collect()
    }
}

/// Checks an App.
///
/// # Errors
/// Every error found, each starting with the field.
pub fn validate(app: &App) -> Result<ValidApp<'_>, Vec<String>> {
    let identity = app.identity();
    let mut errors = Vec::new();
    errors.extend(name(&identity.name));
    errors.extend(image("spec.image", &app.spec.image));
    errors.extend(ports(&app.spec.ports, service_type(&app.spec)));
    errors.extend(
        app.spec
            .service
            .as_ref()
            .filter(|service| service.headless && service.type_ != ServiceType::ClusterIP)
            .map(|_| "spec.service.headless: must be false unless spec.service.type is ClusterIP".to_owned()),
    );
    errors.extend(app.spec.rollout.as_ref().and_then(rollout));
    errors.extend(availability(&app.spec));
    errors.extend(named_ports(&app.spec));
    errors.extend(containers(&identity.name, &app.spec));
    errors.extend(app.spec.resources.iter().flat_map(|declared| resources("spec.resources", declared)));
    let readings = readings(&app.spec);
    errors.extend(unread(&app.spec, &readings));
    let revision = app.spec.rollout.as_ref().and_then(|rollout| rollout.to_revision);
    errors.extend(
        revision.filter(|number| *number < 1).map(|_| "spec.rollout.toRevision: must be at least 1".to_owned()),
    );
    let volumes = volumes(&identity.name, &app.spec.volumes, &mut errors);
    let monitoring =
        app.spec.monitoring.as_ref().and_then(|declared| monitoring(declared, &app.spec.ports, &mut errors));
    if !errors.is_empty() {
        return Err(errors);
    }
    Ok(ValidApp { identity, spec: &app.spec, volumes, monitoring, readings })
}

fn service_type(spec: &AppSpec) -> ServiceType {
    spec.service.as_ref().map(|service| service.type_).unwrap_or_default()
}

/// What would be refused later, of the budget and of the pods.
fn availability(spec: &AppSpec) -> Vec<String> {
    let Availability { min_available, max_unavailable, spread } = spec.availability.clone().unwrap_or_default();
    let constrained = spec.pod.as_ref().is_some_and(|pod| !pod.topology_spread_constraints.is_empty());
    let two_budgets = (min_available.is_some() && max_unavailable.is_some())
        .then(|| "spec.availability.maxUnavailable: must be unset beside minAvailable".to_owned());
    let two_spreads = (spread.is_some() && constrained)
        .then(|| "spec.availability.spread: must be unset beside spec.pod.topologySpreadConstraints".to_owned());
    two_budgets.into_iter().chain(two_spreads).collect()
}

fn rollout(rollout: &Rollout) -> Option<String> {
    let recreate = rollout.strategy == Some(RolloutStrategy::Recreate);
    (recreate && (rollout.max_surge.is_some() || rollout.max_unavailable.is_some())).then(|| {
        "spec.rollout.maxSurge: must be unset, like maxUnavailable, when spec.rollout.strategy is Recreate".to_owned()
    })
}
