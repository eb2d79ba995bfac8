//! Digests and MACs of what the gate itself writes. What issuers write is the business of `jwe`.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::secret::Secret;

/// A key for tags of 16 bytes: HMAC-SHA256 (RFC 2104), truncated.
#[derive(Clone)]
pub struct MacKey(Hmac<Sha256>);

impl MacKey {
    /// The key that a secret gives for one purpose; other purposes give other keys.
    #[must_use]
    pub fn derive(secret: &Secret, purpose: &[u8]) -> Self {
        let mut derivation = keyed(secret.expose());
        derivation.update(purpose);
        Self(keyed(&derivation.finalize().into_bytes()))
    }

    /// The tag of these bytes.
    #[must_use]
    pub fn tag(&self, bytes: &[u8]) -> [u8; 16] {
        first(self.of(bytes).finalize().into_bytes().into())
    }

    /// Whether this is the tag of these bytes; compared in constant time.
    #[must_use]
    pub fn verifies(&self, bytes: &[u8], tag: &[u8; 16]) -> bool {
        self.of(bytes).verify_truncated_left(tag).is_ok()
    }

    fn of(&self, bytes: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(bytes);
        mac
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKey(..)")
    }
}

/// Digests a list of parts so that no two lists look alike.
#[must_use]
pub fn digest<const N: usize>(label: &str, parts: &[&[u8]]) -> [u8; N] {
    let mut hash = Sha256::new();
    for part in [&[label.as_bytes()], parts].concat() {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    first(hash.finalize().into())
}

fn first<const N: usize>(digest: [u8; 32]) -> [u8; N] {
    let mut short = [0; N];
    for (to, from) in short.iter_mut().zip(digest) {
        *to = from;
    }
    short
}

/// HMAC takes keys of every length, so the empty key of the other branch is never used.
fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).unwrap_or_else(|_| Hmac::new(&hmac::digest::Key::<Hmac<Sha256>>::default()))
}
