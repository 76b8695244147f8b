//! The Secret that the pods share: they sign the state of an upload with it, and any of them must be able to go on.
//!
//! It is derived, never random, so nothing is stored elsewhere, a deleted Secret comes back as it was, and the operator needs no
//! right to read one.

use crate::core::kind::Identity;
use crate::core::meta;
use crate::core::plan::SecretKey;
use crate::registry::validate::ValidRegistry;
use hmac::{Hmac, KeyInit, Mac};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use sha2::Sha256;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Key of the shared secret in the Secret.
pub const FIELD: &str = "secret";

/// What the derived bytes are for: the same key and UID give something else for any other purpose.
const PURPOSE: &[u8] = b"moorage.dev/registry-http-secret/v1\0";

/// The Secret with what `key` and the Registry's UID derive.
pub fn secret(registry: &ValidRegistry<'_>, key: &SecretKey) -> Option<Secret> {
    let derived = derive(&key.0, &registry.identity)?;
    Some(Secret {
        metadata: meta::owned(&registry.identity, &registry.secret_name()),
        type_: Some("Opaque".to_owned()),
        data: Some(BTreeMap::from([(FIELD.to_owned(), ByteString(derived.into_bytes()))])),
        immutable: Some(true),
        ..Secret::default()
    })
}

/// HMAC-SHA256 of the purpose and the UID, in hexadecimal. There always is one, as HMAC takes keys of any length.
fn derive(key: &[u8; 32], registry: &Identity) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(PURPOSE);
    mac.update(registry.uid.as_bytes());
    let mut hex = String::with_capacity(64);
    for byte in mac.finalize().into_bytes() {
        write!(hex, "{byte:02x}").ok()?;
    }
    Some(hex)
}
