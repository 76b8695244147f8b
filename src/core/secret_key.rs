//! The operator's own key, and what is derived from it.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt::{self, Write};

/// A key from which secrets are derived. It is never shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SecretKey(pub [u8; 32]);

impl fmt::Debug for SecretKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SecretKey(...)")
    }
}

/// What the ids of keys are for.
const ID: &[u8] = b"moorage.dev/key-id/v1\0";
/// Length of an id. It only tells a key from the one before it.
const ID_LENGTH: usize = 8;

impl SecretKey {
    /// HMAC-SHA256 of a purpose and a text, in hexadecimal: for another purpose the same text gives something else. There always is
    /// one, as HMAC takes keys of any length.
    pub fn derive(&self, purpose: &[u8], text: &[u8]) -> Option<String> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        mac.update(purpose);
        mac.update(text);
        let mut hex = String::with_capacity(64);
        for byte in mac.finalize().into_bytes() {
            write!(hex, "{byte:02x}").ok()?;
        }
        Some(hex)
    }

    /// By what the key is told from another one. It gives nothing of the key away.
    pub fn id(&self) -> Option<String> {
        let mut id = self.derive(ID, b"")?;
        id.truncate(ID_LENGTH);
        Some(id)
    }
}
