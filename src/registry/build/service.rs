//! The Service that the registry is reached by inside the cluster.

use super::config::PORT;
use super::pod::PORT_NAME;
use crate::core::meta;
use crate::registry::validate::ValidRegistry;
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// The Service of the Registry's name.
pub fn service(registry: &ValidRegistry<'_>) -> Service {
    Service {
        metadata: meta::owned(&registry.identity, &registry.identity.name),
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".to_owned()),
            selector: Some(meta::selector(&registry.identity)),
            ports: Some(vec![ServicePort {
                name: Some(PORT_NAME.to_owned()),
                port: PORT,
                target_port: Some(IntOrString::Int(PORT)),
                protocol: Some("TCP".to_owned()),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}
