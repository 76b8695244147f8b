//! From an `App` as written to a [`ValidApp`], or every error at once, each starting with its field.
//!
//! The CRD's schema refuses most of these first; this holds for `render`, which has no API server, and for objects
//! written under an older schema.

use super::references::{readings, unread};
use super::volumes::{Source, ValidVolume, volumes};
use crate::api::app::{App, AppPort, AppSpec, Protocol, ServiceType};
use crate::api::monitoring::{MonitorKind, Monitoring};
use crate::api::rollout::{Rollout, RolloutStrategy};
use crate::core::checks::{duration, image, name};
use crate::core::configuration::Reading;
use crate::core::kind::{ChildKind, Identity};
use crate::core::parent::Parent;
use crate::core::reference::Reference;
use crate::core::storage;
use k8s_openapi::api::core::v1::ContainerPort;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use std::collections::{BTreeMap, BTreeSet};

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

/// How an App is scraped.
#[derive(Debug)]
pub struct ValidMonitoring<'a> {
    /// As written.
    pub declared: &'a Monitoring,
    /// By which kind of object.
    pub kind: MonitorKind,
    /// The port that has the metrics.
    pub port: &'a AppPort,
}

impl ValidMonitoring<'_> {
    /// The kind of child that it makes.
    pub const fn child(&self) -> ChildKind {
        match self.kind {
            MonitorKind::ServiceMonitor => ChildKind::ServiceMonitor,
            MonitorKind::PodMonitor => ChildKind::PodMonitor,
        }
    }
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
            Source::Storage(_) => Some(format!("{}-{}", self.identity.name, volume.declared.name)),
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
    errors.extend(image(&app.spec.image));
    errors.extend(ports(&app.spec.ports, service_type(&app.spec)));
    errors.extend(
        app.spec
            .service
            .as_ref()
            .filter(|service| service.headless && service.type_ != ServiceType::ClusterIP)
            .map(|_| "spec.service.headless: must be false unless spec.service.type is ClusterIP".to_owned()),
    );
    errors.extend(app.spec.rollout.as_ref().and_then(rollout));
    errors.extend(named_ports(&app.spec));
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

fn ports(ports: &[AppPort], service: ServiceType) -> Vec<String> {
    let mut errors = Vec::new();
    let (mut names, mut numbers) = (BTreeSet::new(), BTreeSet::new());
    for (index, port) in ports.iter().enumerate() {
        let field = format!("spec.ports[{index}]");
        for (part, number) in
            [("port", Some(port.port)), ("containerPort", port.container_port), ("nodePort", port.node_port)]
        {
            if number.is_some_and(|number| !(1..=65535).contains(&number)) {
                errors.push(format!("{field}.{part}: must be between 1 and 65535"));
            }
        }
        if ports.len() > 1 && port.name.is_none() {
            errors.push(format!("{field}.name: must be set when there is more than one port"));
        }
        if port.name.as_ref().is_some_and(|name| !names.insert(name)) {
            errors.push(format!("{field}.name: must be unique"));
        }
        if !numbers.insert((port.port, port.protocol)) {
            errors.push(format!("{field}.port: must be unique for its protocol"));
        }
        if port.node_port.is_some() && service == ServiceType::ClusterIP {
            errors
                .push(format!("{field}.nodePort: must be unset unless spec.service.type is NodePort or LoadBalancer"));
        }
    }
    errors
}

/// Ports that probes name: the kubelet looks for them among the container's, and fails for ever if there is none.
fn named_ports(spec: &AppSpec) -> Vec<String> {
    let probes = [
        ("livenessProbe", &spec.liveness_probe),
        ("readinessProbe", &spec.readiness_probe),
        ("startupProbe", &spec.startup_probe),
    ];
    let ports = probes.into_iter().flat_map(|(field, probe)| {
        let probe = probe.as_ref();
        let get = probe.and_then(|probe| Some(&probe.http_get.as_ref()?.port));
        let socket = probe.and_then(|probe| Some(&probe.tcp_socket.as_ref()?.port));
        [("httpGet", get), ("tcpSocket", socket)].map(|(handler, port)| (format!("spec.{field}.{handler}.port"), port))
    });
    let container = container_ports(&spec.ports);
    let names: Vec<&str> = container.iter().filter_map(|port| port.name.as_deref()).collect();
    let told = if names.is_empty() { "none has one".to_owned() } else { format!("there is: {}", names.join(", ")) };
    let unknown = ports.filter_map(|(field, port)| match port? {
        IntOrString::String(name) if !names.contains(&name.as_str()) && name.parse::<u16>().is_err() => {
            Some(format!("{field}: must be a number, or the name of one of spec.ports, and is {name} ({told})"))
        }
        IntOrString::String(_) | IntOrString::Int(_) => None,
    });
    unknown.collect()
}

/// Several Service ports may lead to one container port, which is declared once, under the first of their names, so
/// that probes may use it.
pub fn container_ports(ports: &[AppPort]) -> Vec<ContainerPort> {
    let mut made: Vec<ContainerPort> = Vec::new();
    for port in ports {
        let container_port = port.container_port();
        let protocol = Some(port.protocol.as_str().to_owned());
        if !made.iter().any(|other| other.container_port == container_port && other.protocol == protocol) {
            made.push(ContainerPort { container_port, protocol, name: port.name.clone(), ..ContainerPort::default() });
        }
    }
    made
}

fn rollout(rollout: &Rollout) -> Option<String> {
    let recreate = rollout.strategy == Some(RolloutStrategy::Recreate);
    (recreate && (rollout.max_surge.is_some() || rollout.max_unavailable.is_some())).then(|| {
        "spec.rollout.maxSurge: must be unset, like maxUnavailable, when spec.rollout.strategy is Recreate".to_owned()
    })
}

fn monitoring<'a>(
    declared: &'a Monitoring,
    ports: &'a [AppPort],
    errors: &mut Vec<String>,
) -> Option<ValidMonitoring<'a>> {
    let mut wrong = |field: &str, why: String| errors.push(format!("spec.monitoring{field}: {why}"));
    let port = match (&declared.port, ports) {
        (_, []) => Err((String::new(), "must be unset unless spec.ports has the port of the metrics".to_owned())),
        (None, [port]) => Ok(port),
        (None, _) => Err((".port".to_owned(), format!("must be one of {}", names(ports)))),
        (Some(name), _) => ports
            .iter()
            .find(|port| port.service_name() == *name)
            .ok_or_else(|| (".port".to_owned(), format!("must be one of {}; no port is called {name}", names(ports)))),
    };
    let port = port.map_err(|(field, why)| wrong(&field, why)).ok();
    if port.is_some_and(|port| port.protocol != Protocol::Tcp) {
        wrong(".port", "must be a TCP port, as metrics are read by HTTP".to_owned());
    }
    if declared.path.as_ref().is_some_and(|path| !is_path(path)) {
        wrong(".path", "must be a path such as /metrics, without spaces, '?' and '#'".to_owned());
    }
    if let Some(why) = declared.interval.as_deref().and_then(duration) {
        wrong(".interval", why);
    }
    Some(ValidMonitoring { declared, kind: declared.kind.unwrap_or_default(), port: port? })
}

/// The names of the ports that can be scraped, for a message.
fn names(ports: &[AppPort]) -> String {
    let scraped = ports.iter().filter(|port| port.protocol == Protocol::Tcp);
    scraped.map(AppPort::service_name).collect::<Vec<_>>().join(", ")
}

fn is_path(path: &str) -> bool {
    path.starts_with('/') && !path.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '?' | '#'))
}
