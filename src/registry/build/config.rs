//! The configuration of Distribution 3 and the `ConfigMap` that holds it.
//!
//! Field names are those of <https://distribution.github.io/distribution/about/configuration/>.

use crate::api::registry::LogLevel;
use crate::core::meta;
use crate::registry::validate::ValidRegistry;
use k8s_openapi::api::core::v1::ConfigMap;
use serde::Serialize;
use std::collections::BTreeMap;

/// Key of the configuration in the `ConfigMap`, and its file name in the pod.
pub const FILE: &str = "config.yml";
/// Port of the registry, in the container and on the Service.
pub const PORT: i32 = 5000;
/// Where the container sees the images.
pub const DATA_PATH: &str = "/var/lib/registry";

/// Seconds of the grace period that remain when the registry stops waiting for requests that it still serves.
const SECONDS_TO_EXIT: i64 = 5;

#[derive(Serialize)]
struct Config {
    version: &'static str,
    log: Log,
    storage: Storage,
    http: Http,
    health: Health,
}

/// Where requests are asked for, the registry logs them itself, as JSON; the access log would tell them again, probes included.
#[derive(Serialize)]
struct Log {
    level: &'static str,
    formatter: &'static str,
    accesslog: AccessLog,
}

#[derive(Serialize)]
struct AccessLog {
    disabled: bool,
}

/// Deletion stays off: the blobs that it leaves behind can only be collected safely by something that knows all pods.
#[derive(Serialize)]
struct Storage {
    filesystem: Filesystem,
    delete: Switch,
    cache: Cache,
    maintenance: Maintenance,
}

#[derive(Serialize)]
struct Filesystem {
    rootdirectory: &'static str,
}

#[derive(Serialize)]
struct Switch {
    enabled: bool,
}

#[derive(Serialize)]
struct Cache {
    blobdescriptor: &'static str,
}

#[derive(Serialize)]
struct Maintenance {
    readonly: Switch,
}

#[derive(Serialize)]
struct Http {
    addr: String,
    draintimeout: String,
    headers: BTreeMap<&'static str, [&'static str; 1]>,
}

#[derive(Serialize)]
struct Health {
    storagedriver: StorageDriver,
}

/// While the storage does not answer, every request gets 503, so the pod is not ready.
#[derive(Serialize)]
struct StorageDriver {
    enabled: bool,
    interval: &'static str,
    threshold: u8,
}

/// The text of the configuration file.
///
/// # Errors
/// Fails when it can't be expressed as YAML, which nothing in it provokes.
pub fn config(registry: &ValidRegistry<'_>) -> Result<String, serde_saphyr::ser::Error> {
    at_level(registry, registry.spec.log_level)
}

/// What of the configuration is worth a restart. Registries that leave the level open were all at `Info` once, and it would be an upgrade
/// of the operator that restarts them: they get to the default with their next restart.
///
/// # Errors
/// As [`config`].
pub fn worth_a_restart(registry: &ValidRegistry<'_>) -> Result<String, serde_saphyr::ser::Error> {
    let level = registry.spec.log_level;
    let chosen = if level == LogLevel::default() { "" } else { level.as_str() };
    Ok(format!("{}{chosen}", at_level(registry, LogLevel::Info)?))
}

fn at_level(registry: &ValidRegistry<'_>, level: LogLevel) -> Result<String, serde_saphyr::ser::Error> {
    let drain = (registry.grace_period() - SECONDS_TO_EXIT).max(1);
    serde_saphyr::to_string(&Config {
        version: "0.1",
        log: Log { level: level.as_str(), formatter: "json", accesslog: AccessLog { disabled: true } },
        storage: Storage {
            filesystem: Filesystem { rootdirectory: DATA_PATH },
            delete: Switch { enabled: false },
            cache: Cache { blobdescriptor: "inmemory" },
            maintenance: Maintenance { readonly: Switch { enabled: registry.spec.read_only } },
        },
        http: Http {
            addr: format!(":{PORT}"),
            draintimeout: format!("{drain}s"),
            headers: BTreeMap::from([("X-Content-Type-Options", ["nosniff"])]),
        },
        health: Health { storagedriver: StorageDriver { enabled: true, interval: "10s", threshold: 3 } },
    })
}

/// The `ConfigMap` with the configuration.
pub fn config_map(registry: &ValidRegistry<'_>, config: &str) -> ConfigMap {
    ConfigMap {
        metadata: meta::owned(&registry.identity, &registry.config_name()),
        data: Some(BTreeMap::from([(FILE.to_owned(), config.to_owned())])),
        ..ConfigMap::default()
    }
}
