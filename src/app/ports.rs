//! An App's ports: of the container, of the Service, and who asks them by name.

use crate::api::app::{AppPort, AppSpec, Protocol, ServiceType};
use crate::api::monitoring::{MonitorKind, Monitoring};
use crate::core::checks::duration;
use crate::core::kind::ChildKind;
use k8s_openapi::api::core::v1::{ContainerPort, Lifecycle, LifecycleHandler, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use std::collections::BTreeSet;

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

/// What is wrong with the ports themselves.
pub fn ports(ports: &[AppPort], service: ServiceType) -> Vec<String> {
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
        let unused = [
            ("containerPort", port.container_port.is_some()),
            ("nodePort", port.node_port.is_some()),
            ("appProtocol", port.app_protocol.is_some()),
        ];
        let unused = unused.into_iter().filter(|(_, is_set)| port.private && *is_set);
        errors.extend(
            unused.map(|(part, _)| format!("{field}.{part}: must be unset for a private port, which no Service has")),
        );
        let is_same =
            |other: &AppPort| other.container_port() == port.container_port() && other.protocol == port.protocol;
        if port.private && ports.iter().filter(|other| is_same(other)).count() > 1 {
            errors.push(format!("{field}.port: must be a port that no other one leads to, for a private one"));
        }
        if port.node_port.is_some() && !port.private && service == ServiceType::ClusterIP {
            errors
                .push(format!("{field}.nodePort: must be unset unless spec.service.type is NodePort or LoadBalancer"));
        }
    }
    errors
}

/// Who asks ports of a container, and by which names it has some.
#[derive(Debug)]
pub struct Asked<'a> {
    /// The field that declares the container.
    pub field: String,
    /// Names of its ports.
    pub names: Vec<&'a str>,
    /// The field that has those.
    pub of: String,
    /// Its probes, by field.
    pub probes: [(&'static str, Option<&'a Probe>); 3],
    /// Its hooks.
    pub lifecycle: Option<&'a Lifecycle>,
}

/// Those of the App's own container.
pub fn named_ports(spec: &AppSpec) -> Vec<String> {
    let container = container_ports(&spec.ports);
    let asked = Asked {
        field: "spec".to_owned(),
        names: container.iter().filter_map(|port| port.name.as_deref()).collect(),
        of: "spec.ports".to_owned(),
        probes: [
            ("livenessProbe", spec.liveness_probe.as_ref()),
            ("readinessProbe", spec.readiness_probe.as_ref()),
            ("startupProbe", spec.startup_probe.as_ref()),
        ],
        lifecycle: spec.lifecycle.as_ref(),
    };
    unknown_ports(&asked)
}

/// Ports that probes and hooks name: the kubelet looks for them among the container's, and fails for ever if there is none.
pub fn unknown_ports(asked: &Asked<'_>) -> Vec<String> {
    let Asked { field: _, names, of, probes: _, lifecycle: _ } = asked;
    let told = if names.is_empty() { "none has one".to_owned() } else { format!("there is: {}", names.join(", ")) };
    let unknown = handlers(asked).into_iter().filter_map(|(field, port)| match port {
        IntOrString::String(name) if !names.contains(&name.as_str()) => {
            Some(format!("{field}: must be a number, or the name of one of {of}, and is {name:?} ({told})"))
        }
        IntOrString::String(_) | IntOrString::Int(_) => None,
    });
    unknown.collect()
}

/// The ports that probes and hooks ask, with their fields.
fn handlers<'a>(asked: &Asked<'a>) -> Vec<(String, &'a IntOrString)> {
    let Asked { field: within, names: _, of: _, probes, lifecycle } = asked;
    let probes = probes.iter().filter_map(|(field, probe)| {
        let Probe { http_get, tcp_socket, .. } = (*probe)?;
        Some(((*field).to_owned(), http_get, tcp_socket))
    });
    let hooks = lifecycle.iter().flat_map(|hooks| [("postStart", &hooks.post_start), ("preStop", &hooks.pre_stop)]);
    let hooks = hooks.filter_map(|(field, hook)| {
        let LifecycleHandler { http_get, tcp_socket, .. } = hook.as_ref()?;
        Some((format!("lifecycle.{field}"), http_get, tcp_socket))
    });
    let asked = probes.chain(hooks).flat_map(|(field, get, socket)| {
        let get = get.as_ref().map(|get| (format!("{within}.{field}.httpGet.port"), &get.port));
        let socket = socket.as_ref().map(|socket| (format!("{within}.{field}.tcpSocket.port"), &socket.port));
        get.into_iter().chain(socket)
    });
    asked.collect()
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

/// How the App is scraped; what is wrong with it is added to the errors.
pub fn monitoring<'a>(
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
    let is_private = port.is_some_and(|port| port.private);
    if is_private && declared.kind == Some(MonitorKind::ServiceMonitor) {
        wrong(".kind", "must be PodMonitor for a private port, which no Service has".to_owned());
    }
    let default = if is_private { MonitorKind::PodMonitor } else { MonitorKind::ServiceMonitor };
    Some(ValidMonitoring { declared, kind: declared.kind.unwrap_or(default), port: port? })
}

/// The names of the ports that can be scraped, for a message.
fn names(ports: &[AppPort]) -> String {
    let scraped = ports.iter().filter(|port| port.protocol == Protocol::Tcp);
    scraped.map(AppPort::service_name).collect::<Vec<_>>().join(", ")
}

fn is_path(path: &str) -> bool {
    path.starts_with('/') && !path.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '?' | '#'))
}
