//! What is remembered of a `ConfigMap` or a Secret: hashes of its values and the names of its keys. The values themselves are hashed
//! while they are decoded, and never kept; no error quotes one.

use super::known::Known;
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// Of so many keys each is remembered. Of one that has more, only the hash of it all is.
const KEYS: usize = 256;
/// Likewise of names that take so many bytes together.
const NAMES: usize = 16 * 1024;

/// A hash of each value, and of all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Of all entries, in whatever order they came.
    hash: u64,
    /// By key; `None` where there are too many.
    keys: Option<BTreeMap<Box<str>, u64>>,
}

impl Default for Content {
    fn default() -> Self {
        Self { hash: 0, keys: Some(BTreeMap::new()) }
    }
}

impl Content {
    /// Hash of everything in it.
    pub const fn hash(&self) -> u64 {
        self.hash
    }

    /// Hash of one value.
    pub fn key(&self, name: &str) -> Known<u64> {
        match &self.keys {
            None => Known::Unknown,
            Some(keys) => keys.get(name).map_or(Known::Absent, |hash| Known::Known(*hash)),
        }
    }

    /// Its keys, as far as they are known.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().flatten().map(|(name, _)| &**name)
    }

    fn add(&mut self, key: &str, value: u64) {
        let mut hasher = Xxh3::new();
        hasher.update(&value.to_le_bytes());
        hasher.update(key.as_bytes());
        self.hash = self.hash.wrapping_add(hasher.digest());
        if let Some(keys) = &mut self.keys {
            keys.insert(key.into(), value);
            if keys.len() > KEYS || keys.keys().map(|name| name.len()).sum::<usize>() > NAMES {
                self.keys = None;
            }
        }
    }

    /// Adds what another part of the same object holds.
    pub fn extend(&mut self, others: Self) {
        self.hash = self.hash.wrapping_add(others.hash);
        self.keys = self.keys.take().zip(others.keys).map(|(mut keys, others)| {
            keys.extend(others);
            keys
        });
    }
}

/// Answers whatever else there is than what a visitor takes. The usual answer quotes it.
macro_rules! refuse {
    ($expected:literal, $($visit:ident: $type:ty),*) => {
        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str($expected)
        }

        $(fn $visit<E: de::Error>(self, _: $type) -> Result<Self::Value, E> {
            Err(E::custom(concat!("the content is not ", $expected)))
        })*

        fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
            Err(E::custom(concat!("the content is not ", $expected)))
        }

        fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
            Err(de::Error::custom(concat!("the content is not ", $expected)))
        }
    };
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Entries)
    }
}

struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Content;

    refuse!("keys and values", visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Content, A::Error> {
        let mut content = Content::default();
        while let Some((key, Hashed(value))) = access.next_entry::<Cow<'de, str>, Hashed>()? {
            content.add(&key, value);
        }
        Ok(content)
    }
}

/// The hash of a text.
struct Hashed(u64);

impl<'de> Deserialize<'de> for Hashed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Text)
    }
}

struct Text;

impl<'de> Visitor<'de> for Text {
    type Value = Hashed;

    refuse!("a text", visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64);

    fn visit_str<E>(self, text: &str) -> Result<Hashed, E> {
        Ok(Hashed(xxh3_64(text.as_bytes())))
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Hashed, A::Error> {
        Err(de::Error::custom("the content is not a text"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::referent::Holder;
    use super::{Content, KEYS, Known};
    use serde_json::{Value, json};

    fn read(fields: &Value) -> Holder {
        let mut object = json!({"kind": "ConfigMap", "metadata": {"name": "a", "namespace": "b", "resourceVersion": "7",
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"}}});
        object.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        serde_json::from_str(&object.to_string()).unwrap()
    }

    fn content(fields: &Value) -> Content {
        read(fields).content
    }

    #[test]
    fn contents_are_told_apart_by_what_pods_can_see() {
        let all = [
            json!({}),
            json!({"data": {"a": "1"}}),
            json!({"data": {"a": "2"}}),
            json!({"data": {"b": "1"}}),
            json!({"data": {"a": "1", "b": "2"}}),
            json!({"data": {"a": "2", "b": "1"}}),
            json!({"data": {"a": "1"}, "binaryData": {"b": "Mg=="}}),
            json!({"data": {"a": ""}}),
            json!({"data": {"ab": "c"}}),
            json!({"data": {"a": "bc"}}),
        ];
        let hashes: Vec<u64> = all.iter().map(|fields| content(fields).hash()).collect();
        for (index, hash) in hashes.iter().enumerate() {
            assert!(!hashes[..index].contains(hash), "{}", all[index]);
        }
        let with = json!({"data": {"a": "1"}, "immutable": true, "binaryData": null});
        assert_eq!(content(&with), content(&all[1]), "what else an object has is no content");
    }

    #[test]
    fn each_key_is_known_by_name() {
        let content = content(&json!({"data": {"colour": "blue", "size": "9"}, "binaryData": {"icon": "AA=="}}));
        assert_eq!(content.keys().collect::<Vec<_>>(), ["colour", "icon", "size"]);
        assert_eq!(content.key("mode"), Known::Absent);
        assert!(matches!(content.key("icon"), Known::Known(_)));
        assert_ne!(content.key("colour"), content.key("size"));
    }

    /// A hostile object costs no more than a usual one.
    #[test]
    fn of_too_many_keys_none_is_kept_and_every_change_is_seen() {
        let many = |count: usize, value: &str| {
            let data: serde_json::Map<_, _> = (0..count).map(|index| (format!("k{index}"), json!(value))).collect();
            content(&json!({"data": data}))
        };
        assert_eq!(many(KEYS, "1").keys().count(), KEYS);
        let (one, other) = (many(KEYS + 1, "1"), many(KEYS + 1, "2"));
        assert_eq!((one.keys().count(), one.key("k1")), (0, Known::Unknown));
        assert_ne!(one.hash(), other.hash());
        let long: serde_json::Map<_, _> = (0..70).map(|index| (format!("{index:0>250}"), json!("1"))).collect();
        assert_eq!(content(&json!({"data": long})).keys().count(), 0);
    }

    /// Neither as it comes off a watch nor as it comes in a list.
    #[test]
    fn no_error_quotes_a_value() {
        let parts = [
            json!({"data": "hunter2"}),
            json!({"data": 4711}),
            json!({"data": -4711}),
            json!({"data": 47.11}),
            json!({"data": true}),
            json!({"data": ["hunter2"]}),
            json!({"data": {"password": 4711}}),
            json!({"data": {"password": -4711}}),
            json!({"data": {"password": 47.11}}),
            json!({"data": {"password": true}}),
            json!({"data": {"password": null}}),
            json!({"data": {"password": ["hunter2"]}}),
            json!({"data": {"password": {"hunter2": "hunter2"}}}),
            json!({"binaryData": {"password": 4711}}),
        ];
        for part in parts {
            let mut object = json!({"metadata": {"name": "a", "resourceVersion": "7"}});
            object.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
            let event = json!({"type": "ADDED", "object": object}).to_string();
            let list = json!({"apiVersion": "v1", "kind": "SecretList", "metadata": {}, "items": [object]}).to_string();
            let errors = [
                serde_json::from_str::<Holder>(&object.to_string()).unwrap_err(),
                serde_json::from_str::<kube::core::WatchEvent<Holder>>(&event).unwrap_err(),
                serde_json::from_str::<kube::core::ObjectList<Holder>>(&list).unwrap_err(),
            ];
            for error in errors {
                let error = format!("{error} {error:?}");
                assert!(error.contains("the content is not"), "{part}: {error}");
                assert!(
                    ["hunter2", "4711", "47.11", "true"].iter().all(|value| !error.contains(value)),
                    "{part}: {error}"
                );
            }
        }
    }
}
