//! The Service that other Apps find the App by.

use crate::api::app::{AppPort, ServiceType};
use crate::app::validate::ValidApp;
use crate::core::meta;
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// The Service of the App's name, over all its ports that are not private.
pub fn service(app: &ValidApp<'_>) -> Service {
    let settings = app.spec.service.clone().unwrap_or_default();
    Service {
        metadata: ObjectMeta {
            annotations: Some(settings.annotations).filter(|annotations| !annotations.is_empty()),
            ..meta::owned(&app.identity, &app.identity.name)
        },
        spec: Some(ServiceSpec {
            type_: Some(settings.type_.as_str().to_owned()),
            cluster_ip: settings.headless.then(|| "None".to_owned()),
            selector: Some(meta::selector(&app.identity)),
            ports: Some(app.service_ports().map(|port| service_port(port, settings.type_)).collect()),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

fn service_port(port: &AppPort, service: ServiceType) -> ServicePort {
    ServicePort {
        name: Some(port.service_name()),
        port: port.port,
        target_port: Some(IntOrString::Int(port.container_port())),
        protocol: Some(port.protocol.as_str().to_owned()),
        app_protocol: port.app_protocol.clone(),
        node_port: port.node_port.filter(|_| service != ServiceType::ClusterIP),
    }
}
