//! The pod template: a function of the declared inputs that concern pods, and of nothing else.
//!
//! It does not depend on `replicas`, nor on whether the operator may make Secrets, so neither restarts a pod.

use super::config::{DATA_PATH, FILE, PORT};
use super::secret;
use crate::core::image::default_pull_policy;
use crate::core::security::{self, Os};
use crate::core::{meta, template};
use crate::registry::validate::{Source, ValidRegistry};
use k8s_openapi::api::core::v1::{
    ConfigMapVolumeSource, Container, ContainerPort, EnvVar, EnvVarSource, HTTPGetAction,
    PersistentVolumeClaimVolumeSource, PodSecurityContext, PodSpec, PodTemplateSpec, Probe, SecretKeySelector,
    SecurityContext, TCPSocketAction, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use xxhash_rust::xxh3::xxh3_64;

/// Name of the port.
pub const PORT_NAME: &str = "http";
/// Where the container sees its configuration. The image brings one of its own under `/etc/distribution`.
/// Name of the container.
pub const CONTAINER: &str = "registry";
const CONFIG_PATH: &str = "/etc/distribution-config";
/// User and group of the registry, which no image is known to use otherwise.
const ID: i64 = 65532;

/// The template of the registry's pods. The registry reads its configuration only when it starts, so the configuration's
/// hash is part of the template.
pub fn pod_template(registry: &ValidRegistry<'_>, image: &str, config: &str) -> PodTemplateSpec {
    let mut pod = registry.spec.pod.clone().unwrap_or_default();
    pod.annotations.insert(meta::CONFIG_HASH.to_owned(), format!("{:016x}", xxh3_64(config.as_bytes())));
    pod.termination_grace_period_seconds = Some(registry.grace_period());
    pod.security_context = Some(security_context(pod.security_context));
    // Kubernetes would set variables named for each Service of the namespace. The registry reads every REGISTRY_*
    // variable as configuration: a Service named registry-storage would stop it from starting.
    pod.enable_service_links = Some(false);
    let spec = PodSpec {
        containers: vec![container(registry, image)],
        volumes: Some(vec![config_volume(registry), data_volume(registry)]),
        automount_service_account_token: Some(false),
        ..PodSpec::default()
    };
    template::pod_template(&registry.identity, pod, spec)
}

/// The image names no user and would run as root, so the pod names one, which must also be able to write the volume.
///
/// `OpenShift` gives every namespace a range of users and refuses others under its restricted-v2 policy. There the
/// author writes an empty `spec.pod.securityContext: {}`, which leaves the choice of user and groups to the platform.
fn security_context(author: Option<PodSecurityContext>) -> PodSecurityContext {
    match author {
        Some(author) if author == PodSecurityContext::default() => author,
        author => {
            let author = author.unwrap_or_default();
            PodSecurityContext {
                run_as_user: author.run_as_user.or(Some(ID)),
                run_as_group: author.run_as_group.or(Some(ID)),
                fs_group: author.fs_group.or(Some(ID)),
                fs_group_change_policy: author
                    .fs_group_change_policy
                    .clone()
                    .or_else(|| Some("OnRootMismatch".to_owned())),
                ..author
            }
        }
    }
}

fn container(registry: &ValidRegistry<'_>, image: &str) -> Container {
    let read_only_root = SecurityContext { read_only_root_filesystem: Some(true), ..SecurityContext::default() };
    Container {
        name: CONTAINER.to_owned(),
        image: Some(image.to_owned()),
        image_pull_policy: Some(default_pull_policy(image).to_owned()),
        command: Some(vec!["registry".to_owned(), "serve".to_owned(), format!("{CONFIG_PATH}/{}", FILE)]),
        env: Some(environment(registry)),
        ports: Some(vec![ContainerPort {
            name: Some(PORT_NAME.to_owned()),
            container_port: PORT,
            protocol: Some("TCP".to_owned()),
            ..ContainerPort::default()
        }]),
        readiness_probe: Some(readiness_probe()),
        liveness_probe: Some(liveness_probe()),
        resources: registry.spec.resources.clone(),
        security_context: Some(security::container(Some(&read_only_root), Os::Linux)),
        volume_mounts: Some(vec![
            VolumeMount { read_only: Some(true), ..mount("config", CONFIG_PATH) },
            mount("data", DATA_PATH),
        ]),
        ..Container::default()
    }
}

/// Without the shared secret a pod makes up its own, which is as good while it is the only one.
fn environment(registry: &ValidRegistry<'_>) -> Vec<EnvVar> {
    let shared_secret =
        SecretKeySelector { name: registry.secret_name(), key: secret::FIELD.to_owned(), optional: Some(true) };
    vec![
        // Unset, the registry would try to send traces to localhost.
        EnvVar { name: "OTEL_TRACES_EXPORTER".to_owned(), value: Some("none".to_owned()), value_from: None },
        EnvVar {
            name: "REGISTRY_HTTP_SECRET".to_owned(),
            value: None,
            value_from: Some(EnvVarSource { secret_key_ref: Some(shared_secret), ..EnvVarSource::default() }),
        },
    ]
}

/// `/` needs no credentials and answers 503 while the storage does not work.
fn readiness_probe() -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some("/".to_owned()),
            port: IntOrString::Int(PORT),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(5),
        ..Probe::default()
    }
}

/// Only whether the process answers: restarting it would not mend its storage, and would hide what is wrong.
fn liveness_probe() -> Probe {
    Probe {
        tcp_socket: Some(TCPSocketAction { port: IntOrString::Int(PORT), ..TCPSocketAction::default() }),
        ..Probe::default()
    }
}

fn mount(name: &str, path: &str) -> VolumeMount {
    VolumeMount { name: name.to_owned(), mount_path: path.to_owned(), ..VolumeMount::default() }
}

fn config_volume(registry: &ValidRegistry<'_>) -> Volume {
    Volume {
        name: "config".to_owned(),
        config_map: Some(ConfigMapVolumeSource { name: registry.config_name(), ..ConfigMapVolumeSource::default() }),
        ..Volume::default()
    }
}

fn data_volume(registry: &ValidRegistry<'_>) -> Volume {
    let empty_dir = match registry.source {
        Source::EmptyDir(source) => Some(source.clone()),
        Source::Volume(_) | Source::Claim(_) => None,
    };
    let claim = registry.claim_name();
    Volume {
        name: "data".to_owned(),
        persistent_volume_claim: claim
            .map(|claim_name| PersistentVolumeClaimVolumeSource { claim_name, read_only: None }),
        empty_dir,
        ..Volume::default()
    }
}
