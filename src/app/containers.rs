//! Containers beside the App's own: what they are called, what they mount and what they ask for.

use super::ports::{Asked, unknown_ports};
use crate::api::app::AppSpec;
use crate::api::volume::AppVolume;
use crate::core::checks::{image, resources};
use k8s_openapi::api::core::v1::{Container, VolumeMount};
use std::collections::BTreeSet;

/// One of them.
#[derive(Clone, Copy, Debug)]
pub struct Beside<'a> {
    /// As written.
    pub declared: &'a Container,
    /// Which list it is in.
    pub list: List,
    /// Which of them it is.
    pub index: usize,
}

/// Where an App declares containers beside its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// `spec.sidecars`
    Sidecars,
    /// `spec.initContainers`
    InitContainers,
}

impl Beside<'_> {
    /// The field that declares it.
    pub fn field(&self) -> String {
        let list = match self.list {
            List::Sidecars => "sidecars",
            List::InitContainers => "initContainers",
        };
        format!("spec.{list}[{}]", self.index)
    }

    /// What restarts it: a sidecar is an init container that always is.
    pub fn restart_policy(&self) -> Option<String> {
        match self.list {
            List::Sidecars => Some("Always".to_owned()),
            List::InitContainers => self.declared.restart_policy.clone(),
        }
    }
}

/// All of them, in the order in which they start: the sidecars come first, so that init containers can use them.
pub fn beside(spec: &AppSpec) -> impl Iterator<Item = Beside<'_>> {
    let of = |list: List| move |(index, declared)| Beside { declared, list, index };
    let sidecars = spec.sidecars.iter().enumerate().map(of(List::Sidecars));
    sidecars.chain(spec.init_containers.iter().enumerate().map(of(List::InitContainers)))
}

/// What is wrong with them.
pub fn containers(app: &str, spec: &AppSpec) -> Vec<String> {
    let mut errors = Vec::new();
    let mut names = BTreeSet::from([app]);
    for it in beside(spec) {
        let (field, container) = (it.field(), it.declared);
        if container.name == app {
            errors.push(format!("{field}.name: must not be {app}, which is the App's own container"));
        } else if !names.insert(&container.name) {
            errors.push(format!(
                "{field}.name: must be unique among the containers, and {} is there twice",
                container.name
            ));
        }
        errors.extend(image(&format!("{field}.image"), container.image.as_deref().unwrap_or_default()));
        errors
            .extend(container.resources.iter().flat_map(|declared| resources(&format!("{field}.resources"), declared)));
        errors.extend(unknown_ports(&asked(&field, container)));
        errors.extend(unrestarted(&it));
        errors.extend(contradictions(&field, container));
    }
    errors.extend(mounts(app, spec, &names));
    errors
}

fn asked<'a>(field: &str, container: &'a Container) -> Asked<'a> {
    let ports = container.ports.iter().flatten();
    Asked {
        field: field.to_owned(),
        names: ports.filter_map(|port| port.name.as_deref()).collect(),
        of: format!("{field}.ports"),
        probes: [
            ("livenessProbe", container.liveness_probe.as_ref()),
            ("readinessProbe", container.readiness_probe.as_ref()),
            ("startupProbe", container.startup_probe.as_ref()),
        ],
        lifecycle: container.lifecycle.as_ref(),
    }
}

/// What ends is not asked how it is.
fn unrestarted(it: &Beside<'_>) -> Vec<String> {
    let container = it.declared;
    let set = [
        ("livenessProbe", container.liveness_probe.is_some()),
        ("readinessProbe", container.readiness_probe.is_some()),
        ("startupProbe", container.startup_probe.is_some()),
        ("lifecycle", container.lifecycle.is_some()),
        (
            "resizePolicy",
            container.resize_policy.iter().flatten().any(|policy| policy.restart_policy == "RestartContainer"),
        ),
    ];
    let set = set.into_iter().filter(|(_, is_set)| *is_set && it.restart_policy().is_none());
    set.map(|(part, _)| format!("{}.{part}: must be unset unless restartPolicy is Always", it.field())).collect()
}

/// Where containers beside the App's own mount a volume by their own word.
pub fn mounts_beside<'a>(spec: &'a AppSpec, volume: &'a AppVolume) -> impl Iterator<Item = &'a VolumeMount> {
    let mounts = beside(spec).flat_map(|it| it.declared.volume_mounts.iter().flatten());
    mounts.filter(|mount| mount.name == volume.name)
}

/// Whether a volume is read-only wherever it is mounted.
pub fn is_read_only(spec: &AppSpec, volume: &AppVolume) -> bool {
    volume.read_only
        && volume.mounts.iter().all(|place| place.read_only)
        && mounts_beside(spec, volume).all(|mount| mount.read_only == Some(true))
}

/// Only volumes of claims are devices.
const fn may_be_block(volume: &AppVolume) -> bool {
    volume.storage.is_some() || volume.claim.is_some() || volume.ephemeral.is_some()
}

/// What the API server would refuse of a container beside the App's own, by what else it says.
fn contradictions(field: &str, container: &Container) -> Vec<String> {
    let mut errors = Vec::new();
    let mut names = BTreeSet::new();
    for (index, port) in container.ports.iter().flatten().enumerate() {
        let Some(name) = &port.name else { continue };
        let field = format!("{field}.ports[{index}].name");
        if !names.insert(name) {
            errors.push(format!("{field}: must be unique in container {}", container.name));
        }
        if !name.contains(|letter: char| letter.is_ascii_lowercase()) || name.contains("--") {
            errors.push(format!("{field}: must have a letter, and no two '-' side by side"));
        }
    }
    let privileged = container.security_context.as_ref().is_some_and(|context| context.privileged == Some(true));
    let devices: BTreeSet<&String> = container.volume_devices.iter().flatten().map(|device| &device.name).collect();
    for (index, mount) in container.volume_mounts.iter().flatten().enumerate() {
        let field = format!("{field}.volumeMounts[{index}]");
        if mount.mount_propagation.as_deref() == Some("Bidirectional") && !privileged {
            errors.push(format!(
                "{field}.mountPropagation: must not be Bidirectional unless securityContext.privileged is true"
            ));
        }
        if mount.recursive_read_only.as_deref().is_some_and(|it| it != "Disabled") && mount.read_only != Some(true) {
            errors.push(format!("{field}.recursiveReadOnly: must be unset or Disabled unless readOnly is true"));
        }
        let propagates = mount.mount_propagation.as_deref().is_some_and(|it| it != "None");
        if mount.recursive_read_only.as_deref().is_some_and(|it| it != "Disabled") && propagates {
            errors.push(format!("{field}.mountPropagation: must be unset or None beside recursiveReadOnly"));
        }
        if devices.contains(&mount.name) {
            errors.push(format!("{field}.name: must not be among volumeDevices as well, and {} is", mount.name));
        }
    }
    errors
}

/// What is mounted is a volume of the App's, in a container of the App's, at a place of its own; and every volume is mounted.
fn mounts(app: &str, spec: &AppSpec, containers: &BTreeSet<&str>) -> Vec<String> {
    let mut errors = Vec::new();
    let mut places = BTreeSet::new();
    let mut mounted = BTreeSet::new();
    for (index, volume) in spec.volumes.iter().enumerate() {
        let field = format!("spec.volumes[{index}]");
        for (part, path) in [("mountPath", &volume.mount_path), ("devicePath", &volume.device_path)] {
            let Some(path) = path else { continue };
            if !places.insert((app, path.as_str())) {
                errors.push(format!("{field}.{part}: must be unique in container {app}"));
            }
            mounted.insert(volume.name.as_str());
        }
        for (index, mount) in volume.mounts.iter().enumerate() {
            let field = format!("{field}.mounts[{index}]");
            let container = mount.container.as_deref().unwrap_or(app);
            if !containers.contains(container) {
                errors.push(format!(
                    "{field}.container: must be the name of a container of this App, and is {container}"
                ));
            }
            if !mount.mount_path.starts_with('/') {
                errors.push(format!("{field}.mountPath: must be an absolute path"));
            }
            if !places.insert((container, mount.mount_path.as_str())) {
                errors.push(format!("{field}.mountPath: must be unique in container {container}"));
            }
            mounted.insert(&volume.name);
        }
    }
    for it in beside(spec) {
        let (field, container) = (it.field(), it.declared);
        let mounts = container.volume_mounts.iter().flatten().map(|mount| (&mount.name, &mount.mount_path));
        let mounts = mounts.enumerate().map(|(index, it)| (format!("{field}.volumeMounts[{index}]"), "mountPath", it));
        let devices = container.volume_devices.iter().flatten().map(|device| (&device.name, &device.device_path));
        let devices =
            devices.enumerate().map(|(index, it)| (format!("{field}.volumeDevices[{index}]"), "devicePath", it));
        for (field, part, (name, path)) in mounts.chain(devices) {
            match spec.volumes.iter().find(|volume| volume.name == *name) {
                None => errors.push(format!("{field}.name: must be the name of one of spec.volumes, and is {name}")),
                Some(volume) if part == "devicePath" && !may_be_block(volume) => {
                    errors.push(format!(
                        "{field}.name: must be a volume with storage, claim or ephemeral, which {name} has not"
                    ));
                }
                Some(_) => {}
            }
            if !places.insert((container.name.as_str(), path.as_str())) {
                errors.push(format!("{field}.{part}: must be unique in container {}", container.name));
            }
            mounted.insert(name.as_str());
        }
    }
    let unused = spec.volumes.iter().enumerate().filter(|(_, volume)| !mounted.contains(volume.name.as_str()));
    errors.extend(unused.map(|(index, _)| {
        format!("spec.volumes[{index}].mountPath: must be set, unless mounts or a container beside the App's own mount the volume")
    }));
    errors
}
