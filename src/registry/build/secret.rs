//! The Secret that the pods share: they sign the state of an upload with it, and any of them must be able to go on.
//!
//! It is derived, never random, so nothing is stored elsewhere, a deleted Secret comes back as it was, and the operator needs no
//! right to read one.

use crate::core::meta;
use crate::core::secret_key::SecretKey;
use crate::registry::validate::ValidRegistry;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use std::collections::BTreeMap;

/// Key of the shared secret in the Secret.
pub const FIELD: &str = "secret";

/// What the derived bytes are for: the same key and UID give something else for any other purpose.
const PURPOSE: &[u8] = b"moorage.dev/registry-http-secret/v1\0";

/// The Secret with what `key` and the Registry's UID derive.
pub fn secret(registry: &ValidRegistry<'_>, key: &SecretKey) -> Option<Secret> {
    let derived = key.derive(PURPOSE, registry.identity.uid.as_bytes())?;
    Some(Secret {
        metadata: meta::owned(&registry.identity, &registry.secret_name()),
        type_: Some("Opaque".to_owned()),
        data: Some(BTreeMap::from([(FIELD.to_owned(), ByteString(derived.into_bytes()))])),
        immutable: Some(true),
        ..Secret::default()
    })
}
