//! The main container.

use super::volumes::{volume_devices, volume_mounts};
use crate::api::app::AppSpec;
use crate::api::common::PullPolicy;
use crate::app::validate::{ValidApp, container_ports};
use crate::core::image::default_pull_policy;
use crate::core::security::{self, Os};
use crate::core::template::unless_empty;
use k8s_openapi::api::core::v1::Container;

/// The container that runs the App's image, named after the App.
pub fn container(app: &ValidApp<'_>) -> Container {
    let spec = app.spec;
    let os = Os::of(spec.pod.as_ref().and_then(|pod| pod.os.as_ref()));
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
        resources: spec.resources.clone(),
        liveness_probe: spec.liveness_probe.clone(),
        readiness_probe: spec.readiness_probe.clone(),
        startup_probe: spec.startup_probe.clone(),
        lifecycle: spec.lifecycle.clone(),
        security_context: Some(security::container(spec.security_context.as_ref(), os)),
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

fn pull_policy(spec: &AppSpec) -> &'static str {
    spec.image_pull_policy.map_or_else(|| default_pull_policy(&spec.image), PullPolicy::as_str)
}
