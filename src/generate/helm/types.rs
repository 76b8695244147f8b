//! What a value may be, as JSON Schema says it.

use crate::api::schema::{bound, upstream};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

/// A switch.
pub fn flag() -> Value {
    json!({"type": "boolean"})
}

/// A number.
pub fn amount(least: u32, most: u32) -> Value {
    json!({"type": "integer", "minimum": least, "maximum": most})
}

/// A text.
pub fn text(longest: u32) -> Value {
    json!({"type": "string", "maxLength": longest})
}

/// A text of that form.
pub fn text_like(pattern: &str, longest: u32) -> Value {
    json!({"type": "string", "maxLength": longest, "pattern": pattern})
}

/// The name of an object.
pub fn name() -> Value {
    text_like(r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$", 253)
}

/// One of some texts.
pub fn choice(choices: &[&str]) -> Value {
    json!({"type": "string", "enum": choices})
}

/// Any number of something, perhaps each once.
pub fn list(items: &Value, once: bool) -> Value {
    json!({"type": "array", "items": items, "uniqueItems": once})
}

/// Something by names.
pub fn map(values: &Value) -> Value {
    json!({"type": "object", "additionalProperties": values})
}

/// One of Kubernetes' own types, with the bounds that it has in our kinds.
pub fn of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true);
    let mut value = upstream::<T>(&mut settings.into_generator()).to_value();
    bound(&mut value, "");
    strict(&mut value);
    value
}

/// Makes a schema for the API server one for validators of JSON, which take what they do not know for good.
fn strict(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if map.remove("x-kubernetes-int-or-string").is_some() {
                map.insert("type".to_owned(), json!(["integer", "string"]));
            }
            map.retain(|key, _| !key.starts_with("x-kubernetes-") && key != "format");
            if map.get("properties").is_some_and(Value::is_object)
                && map.get("type").is_some_and(|kind| kind == "object")
            {
                map.insert("additionalProperties".to_owned(), json!(false));
            }
            map.values_mut().for_each(strict);
        }
        Value::Array(items) => items.iter_mut().for_each(strict),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
