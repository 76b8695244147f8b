//! The main container.

use super::volumes::{volume_devices, volume_mounts};
use crate::api::app::AppSpec;
use crate::api::common::PullPolicy;
use crate::app::validate::{ValidApp, container_ports};
use crate::core::image::default_pull_policy;
use crate::core::security;
use k8s_openapi::api::core::v1::Container;

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

fn some<T: Clone>(items: &[T]) -> Option<Vec<T>> {
    Some(items.to_vec()).filter(|items| !items.is_empty())
}
