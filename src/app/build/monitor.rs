//! What has Prometheus scrape the App, by its Service or by its pods.

use crate::api::monitoring::{MonitorKind, Scheme};
use crate::app::ports::ValidMonitoring;
use crate::app::validate::ValidApp;
use crate::core::meta;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use serde::Serialize;

/// The group of both kinds.
const GROUP: &str = "monitoring.coreos.com";

/// A `ServiceMonitor` or `PodMonitor`, as far as an App declares it
/// (<https://prometheus-operator.dev/docs/api-reference/api/>).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Monitor {
    api_version: String,
    kind: &'static str,
    metadata: ObjectMeta,
    spec: MonitorSpec,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MonitorSpec {
    selector: LabelSelector,
    /// Of a `ServiceMonitor`.
    endpoints: Option<[Endpoint; 1]>,
    /// Of a `PodMonitor`.
    pod_metrics_endpoints: Option<[Endpoint; 1]>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Endpoint {
    port: Option<String>,
    port_number: Option<i32>,
    path: Option<String>,
    interval: Option<String>,
    scheme: Option<&'static str>,
}

/// The monitor of the App's name, in that version of its API.
pub fn monitor(app: &ValidApp<'_>, monitoring: &ValidMonitoring<'_>, version: &str) -> Monitor {
    let ValidMonitoring { declared, kind, port } = monitoring;
    let labels = declared.labels.clone().into_iter().chain(meta::labels(&app.identity)).collect();
    let metadata = ObjectMeta { labels: Some(labels), ..meta::owned(&app.identity, &app.identity.name) };
    let (port_name, port_number) = match kind {
        MonitorKind::ServiceMonitor => (Some(port.service_name()), None),
        MonitorKind::PodMonitor => match app.container_port_name(port) {
            Some(name) => (Some(name.to_owned()), None),
            None => (None, Some(port.container_port())),
        },
    };
    let endpoint = Endpoint {
        port: port_name,
        port_number,
        path: declared.path.clone(),
        interval: declared.interval.clone(),
        scheme: declared.scheme.map(Scheme::as_prometheus),
    };
    let (endpoints, pod_metrics_endpoints) = match kind {
        MonitorKind::ServiceMonitor => (Some([endpoint]), None),
        MonitorKind::PodMonitor => (None, Some([endpoint])),
    };
    let selector = meta::label_selector(&app.identity);
    Monitor {
        api_version: format!("{GROUP}/{version}"),
        kind: monitoring.child().as_str(),
        metadata,
        spec: MonitorSpec { selector, endpoints, pod_metrics_endpoints },
    }
}
