//! Containers beside the App's own: core's, without what the operator sets and what no App may have.

use super::schema::upstream;
use k8s_openapi::api::core::v1::Container;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

/// Containers that run before the App's own, or beside it from their place in the list on.
pub fn init_containers(generator: &mut SchemaGenerator) -> Schema {
    containers(generator, |fields| {
        if let Some(policy) = fields.get_mut("restartPolicy") {
            policy["enum"] = json!(["Always"]);
        }
    })
}

/// Containers that run beside the App's own. That they are restarted makes them so, and is not said again.
pub fn sidecars(generator: &mut SchemaGenerator) -> Schema {
    containers(generator, |fields| drop(fields.remove("restartPolicy")))
}

fn containers(generator: &mut SchemaGenerator, change: impl FnOnce(&mut Map<String, Value>)) -> Schema {
    let mut list = upstream::<Vec<Container>>(generator).to_value();
    list["items"]["required"] = json!(["name", "image"]);
    if let Some(fields) = list["items"]["properties"].as_object_mut() {
        fields.remove("stdinOnce");
        let port = &mut fields["ports"]["items"]["properties"];
        port["protocol"]["default"] = json!("TCP");
        if let Some(port) = port.as_object_mut() {
            // The nodes' ports are no App's.
            port.remove("hostPort");
            port.remove("hostIP");
        }
        change(fields);
    }
    Schema::try_from(list).unwrap_or_default()
}
