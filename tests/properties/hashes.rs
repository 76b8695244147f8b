//! Hashes of what is wanted and of what is seen: the order of fields is nothing, the order of a list is something.

use super::{Outcome, check, specs};
use moorage::core::kind::ChildKind;
use moorage::core::live::Live;
use moorage::core::object::Object;
use moorage::core::observed::fingerprint;
use proptest::prelude::*;
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The same value with the fields of its objects in another order.
fn shuffled(value: &Value, seed: u64) -> Value {
    match value {
        Value::Object(map) => {
            let mut fields: Vec<_> = map.iter().map(|(key, inner)| (key.clone(), shuffled(inner, seed))).collect();
            fields.sort_by_key(|(key, _)| xxh3_64_with_seed(key.as_bytes(), seed));
            Value::Object(fields.into_iter().collect())
        }
        Value::Array(items) => items.iter().map(|item| shuffled(item, seed)).collect(),
        _ => value.clone(),
    }
}

/// The same value with its lists backwards.
fn backwards(value: &Value) -> Value {
    match value {
        Value::Object(map) => map.iter().map(|(key, inner)| (key.clone(), backwards(inner))).collect(),
        Value::Array(items) => items.iter().rev().map(backwards).collect(),
        _ => value.clone(),
    }
}

#[test]
fn the_order_of_fields_changes_no_hash_and_the_order_of_a_list_does() {
    check(&(specs::app(true), any::<u64>()), |(value, seed)| -> Outcome {
        let wanted = |value: &Value| Object::new(ChildKind::Deployment, value).unwrap().hash;
        let seen = |value: &Value| fingerprint(&Live::new(value.clone()));
        let hashes = |value: &Value| (wanted(value), seen(value));
        let (shuffled, backwards) = (shuffled(&value, seed), backwards(&value));
        prop_assert_eq!(hashes(&value), hashes(&shuffled), "{} {}", value, shuffled);
        if backwards != value {
            prop_assert_ne!(wanted(&value), wanted(&backwards), "{} {}", value, backwards);
            prop_assert_ne!(seen(&value), seen(&backwards), "{} {}", value, backwards);
        }
        Ok(())
    });
}
