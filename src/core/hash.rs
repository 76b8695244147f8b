//! Hashes of JSON that depend on what it says alone: neither on the order of its fields, which is the sender's choice, nor on
//! whether a feature of `serde_json` keeps that order or sorts.

use serde_json::{Number, Value};
use xxhash_rust::xxh3::Xxh3;

/// Hash of one value.
pub fn of(value: &Value) -> u64 {
    let mut hasher = Xxh3::new();
    feed(&mut hasher, value);
    hasher.digest()
}

/// The same as it stands in an annotation.
pub fn text(value: &Value) -> String {
    format!("{:016x}", of(value))
}

/// Hash of an object that has these fields.
pub fn of_fields<'a>(fields: impl IntoIterator<Item = (&'a str, &'a Value)>) -> u64 {
    let mut hasher = Xxh3::new();
    feed_fields(&mut hasher, fields);
    hasher.digest()
}

/// Each value begins with its type, and what has a length with that, so that no two values are fed alike.
fn feed(hasher: &mut Xxh3, value: &Value) {
    match value {
        Value::Null => hasher.update(b"0"),
        Value::Bool(false) => hasher.update(b"f"),
        Value::Bool(true) => hasher.update(b"t"),
        Value::Number(number) => feed_number(hasher, number),
        Value::String(text) => feed_text(hasher, text),
        Value::Array(items) => {
            feed_length(hasher, *b"[", items.len());
            for item in items {
                feed(hasher, item);
            }
        }
        Value::Object(map) => feed_fields(hasher, map.iter().map(|(key, value)| (key.as_str(), value))),
    }
}

fn feed_fields<'a>(hasher: &mut Xxh3, fields: impl IntoIterator<Item = (&'a str, &'a Value)>) {
    let mut fields: Vec<_> = fields.into_iter().collect();
    fields.sort_unstable_by_key(|(key, _)| *key);
    feed_length(hasher, *b"{", fields.len());
    for (key, value) in fields {
        feed_text(hasher, key);
        feed(hasher, value);
    }
}

fn feed_text(hasher: &mut Xxh3, text: &str) {
    feed_length(hasher, *b"s", text.len());
    hasher.update(text.as_bytes());
}

fn feed_length(hasher: &mut Xxh3, type_: [u8; 1], length: usize) {
    hasher.update(&type_);
    hasher.update(&(length as u64).to_le_bytes());
}

fn feed_number(hasher: &mut Xxh3, number: &Number) {
    if let Some(whole) = number.as_i64() {
        hasher.update(b"i");
        hasher.update(&whole.to_le_bytes());
    } else if let Some(whole) = number.as_u64() {
        hasher.update(b"u");
        hasher.update(&whole.to_le_bytes());
    } else {
        hasher.update(b"d");
        hasher.update(&number.as_f64().unwrap_or(f64::NAN).to_bits().to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::{of, of_fields};
    use serde_json::{Value, json};

    #[test]
    fn a_hash_tells_apart_what_differs() {
        let values = [
            json!(null),
            json!(false),
            json!(true),
            json!(1),
            json!(-1),
            json!(u64::MAX),
            json!(0.5),
            json!(""),
            json!("1"),
            json!([]),
            json!([1, 2]),
            json!([2, 1]),
            json!([[1], 2]),
            json!([[1, 2]]),
            json!(["a", "bc"]),
            json!(["ab", "c"]),
            json!({}),
            json!({"a": null}),
            json!({"a": "b"}),
            json!({"b": "a"}),
            json!({"a": {"b": 1}, "c": 2}),
            json!({"a": {"b": 1, "c": 2}}),
        ];
        for (index, value) in values.iter().enumerate() {
            assert!(values[..index].iter().all(|other| of(other) != of(value)), "{value}");
        }
    }

    #[test]
    fn fields_given_one_by_one_are_an_object() {
        let object = json!({"b": {"d": 1, "c": 2}, "a": [3]});
        let fields = [("a", &object["a"]), ("b", &object["b"])];
        assert_eq!(of_fields(fields), of(&object));
        assert_eq!(of_fields([]), of(&Value::Object(serde_json::Map::new())));
    }
}
