//! `values.schema.json`: what each value may be. What is not in it is refused, so a typo is, too.

use super::values::settings;
use serde_json::{Map, Value, json};

/// The schema of all values.
pub fn schema() -> String {
    let mut properties = Map::new();
    for setting in settings() {
        let mut one = setting.schema;
        one["description"] = json!(setting.what);
        match setting.path.split_once('.') {
            None => drop(properties.insert(setting.path, one)),
            Some((group, name)) => {
                let group = properties.entry(group).or_insert_with(|| closed(&Map::new()));
                group["properties"][name] = one;
            }
        }
    }
    let groups: Vec<String> =
        properties.iter().filter(|(_, one)| one.get("description").is_none()).map(|(name, _)| name.clone()).collect();
    // What is taken away as a whole is no default, and templates would fail without a word about it.
    properties
        .insert("global".to_owned(), json!({"type": "object", "description": "What a chart above this one shares."}));
    let mut schema = closed(&properties);
    schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    schema["title"] = json!("Values of the chart moorage");
    schema["required"] = json!(groups);
    format!("{}\n", serde_json::to_string_pretty(&schema).unwrap_or_default())
}

fn closed(properties: &Map<String, Value>) -> Value {
    json!({"type": "object", "additionalProperties": false, "properties": properties})
}
