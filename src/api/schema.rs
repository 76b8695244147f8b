//! Schemas of embedded Kubernetes types.

use schemars::{JsonSchema, Schema, SchemaGenerator};

/// The schema of an upstream Kubernetes type.
pub fn upstream<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    T::json_schema(generator)
}
