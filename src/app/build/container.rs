//! The main container.

use super::volumes::{volume_devices, volume_mounts};
use crate::api::app::{AppPort, AppSpec};
use crate::api::common::PullPolicy;
use crate::app::validate::ValidApp;
use crate::core::image::default_pull_policy;
use crate::core::security;
use k8s_openapi::api::core::v1::{Container, ContainerPort};

/// The container that runs the App's image, named after the App.
pub fn container(app: &ValidApp<'_>) -> Container {
    let spec = app.spec;
    Container {
        name: app.identity.name.clone(),
        image: Some(spec.image.clone()),
        image_pull_policy: Some(pull_policy(spec).to_owned()),
        command: some(&spec.command),
        args: some(&spec.args),
        working_dir: spec.working_dir.clone(),
        env: some(&spec.env),
        env_from: some(&spec.env_from),
        ports: some(&container_ports(&spec.ports)),
        resources: spec.resources.clone(),
        liveness_probe: spec.liveness_probe.clone(),
        readiness_probe: spec.readiness_probe.clone(),
        startup_probe: spec.startup_probe.clone(),
        lifecycle: spec.lifecycle.clone(),
        security_context: Some(security::container(spec.security_context.as_ref())),
        volume_mounts: volume_mounts(app),
        volume_devices: volume_devices(app),
        ..Container::default()
    }
}

fn pull_policy(spec: &AppSpec) -> &'static str {
    spec.image_pull_policy.map_or_else(|| default_pull_policy(&spec.image), PullPolicy::as_str)
}

/// Several Service ports may lead to one container port, which is declared once, under the first of their names, so
/// that probes may use it.
fn container_ports(ports: &[AppPort]) -> Vec<ContainerPort> {
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

fn some<T: Clone>(items: &[T]) -> Option<Vec<T>> {
    Some(items.to_vec()).filter(|items| !items.is_empty())
}
