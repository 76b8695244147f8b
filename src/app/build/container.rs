//! The pod's containers.

use super::volumes::{volume_devices, volume_mounts, volume_mounts_of};
use crate::api::app::{AppSpec, Protocol};
use crate::api::common::PullPolicy;
use crate::app::containers::{Beside, beside};
use crate::app::ports::container_ports;
use crate::app::validate::ValidApp;
use crate::core::image::default_pull_policy;
use crate::core::security::{self, Os};
use crate::core::template::unless_empty;
use k8s_openapi::api::core::v1::{Container, ContainerPort, ResourceRequirements};

/// The container that runs the App's image, named after the App.
pub fn container(app: &ValidApp<'_>) -> Container {
    let spec = app.spec;
    Container {
        name: app.identity.name.clone(),
        image: Some(spec.image.clone()),
        image_pull_policy: Some(pull_policy(spec).to_owned()),
        command: unless_empty(spec.command.clone()),
        args: unless_empty(spec.args.clone()),
        working_dir: spec.working_dir.clone(),
        env: unless_empty(spec.env.clone()),
        env_from: unless_empty(spec.env_from.clone()),
        ports: unless_empty(container_ports(&spec.ports)),
        resources: spec.resources.clone().map(resources),
        liveness_probe: spec.liveness_probe.clone(),
        readiness_probe: spec.readiness_probe.clone(),
        startup_probe: spec.startup_probe.clone(),
        lifecycle: spec.lifecycle.clone(),
        security_context: Some(security::container(spec.security_context.as_ref(), os(spec))),
        termination_message_path: spec.termination_message_path.clone(),
        termination_message_policy: spec.termination_message_policy.clone(),
        stdin: spec.stdin.then_some(true),
        tty: spec.tty.then_some(true),
        resize_policy: unless_empty(spec.resize_policy.clone()),
        volume_mounts: volume_mounts(app),
        volume_devices: volume_devices(app),
        ..Container::default()
    }
}

/// The containers beside it, in the order in which they start.
pub fn init_containers(app: &ValidApp<'_>) -> Option<Vec<Container>> {
    unless_empty(beside(app.spec).map(|it| init_container(app, it)).collect())
}

/// As the author says, with the defaults of the App's own container. What is empty is left out, as the API server does: nobody can be
/// seen to have declared it.
fn init_container(app: &ValidApp<'_>, it: Beside<'_>) -> Container {
    let declared = it.declared.clone();
    let default = declared.image.as_deref().map(|image| default_pull_policy(image).to_owned());
    let mounts = declared.volume_mounts.into_iter().flatten();
    let ports = declared.ports.into_iter().flatten().map(|port| ContainerPort {
        protocol: port.protocol.or_else(|| Some(Protocol::default().as_str().to_owned())),
        ..port
    });
    Container {
        image_pull_policy: declared.image_pull_policy.or(default),
        restart_policy: it.restart_policy(),
        security_context: Some(security::container(declared.security_context.as_ref(), os(app.spec))),
        volume_mounts: unless_empty(mounts.chain(volume_mounts_of(app, &declared.name)).collect()),
        volume_devices: declared.volume_devices.and_then(unless_empty),
        command: declared.command.and_then(unless_empty),
        args: declared.args.and_then(unless_empty),
        env: declared.env.and_then(unless_empty),
        env_from: declared.env_from.and_then(unless_empty),
        ports: unless_empty(ports.collect()),
        resources: declared.resources.map(resources),
        resize_policy: declared.resize_policy.and_then(unless_empty),
        ..declared
    }
}

fn resources(declared: ResourceRequirements) -> ResourceRequirements {
    ResourceRequirements { claims: declared.claims.and_then(unless_empty), ..declared }
}

fn os(spec: &AppSpec) -> Os {
    Os::of(spec.pod.as_ref().and_then(|pod| pod.os.as_ref()))
}

fn pull_policy(spec: &AppSpec) -> &'static str {
    spec.image_pull_policy.map_or_else(|| default_pull_policy(&spec.image), PullPolicy::as_str)
}
