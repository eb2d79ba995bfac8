//! One key: a secret, derived for one content encryption.

use zeroize::Zeroizing;

use super::cipher::{CbcHs512, Forged, Gcm, derive_key, sha256, sha512};
use super::compact::encode;
use super::profile::Derivation;
use super::{Encryption, Profile};
use crate::secret::Secret;

/// A derived key with its schedules, and the names by which a token's header may call for it.
pub(super) struct Key {
    /// Which of the configured secrets it comes from.
    pub(super) secret: usize,
    pub(super) encryption: Encryption,
    /// The thumbprint that Auth.js writes as `kid`.
    pub(super) kid: String,
    /// The encoded header that the package writes for this key, if only this key can be meant by it.
    pub(super) own_header: Option<String>,
    cipher: Cipher,
}

/// Boxed, since the schedules are large and of different sizes.
enum Cipher {
    Cbc(Box<CbcHs512>),
    Gcm(Box<Gcm>),
}

impl Key {
    pub(super) fn derive(
        profile: Profile,
        encryption: Encryption,
        derivation: &Derivation,
        secret: (usize, &Secret),
    ) -> Self {
        let Derivation { salt, info } = derivation;
        let (index, bytes) = (secret.0, secret.1.expose());
        let (cipher, kid) = match encryption {
            Encryption::A256CbcHs512 => {
                let key = derive_key::<64>(bytes, salt, info);
                (Cipher::Cbc(Box::new(CbcHs512::new(&key))), encode(&sha512(&thumbprint_input(&*key))))
            }
            Encryption::A256Gcm => {
                let key = derive_key::<32>(bytes, salt, info);
                (Cipher::Gcm(Box::new(Gcm::new(&key))), encode(&sha256(&thumbprint_input(&*key))))
            }
        };
        let own_header = profile.reads_kid().then(|| encode(header_json(encryption, Some(&kid)).as_bytes()));
        Self { secret: index, encryption, kid, own_header, cipher }
    }

    /// Turns the ciphertext in `buffer` into the plaintext; leaves it alone when the tag is wrong.
    pub(super) fn open(&self, aad: &[u8], iv: &[u8], buffer: &mut Vec<u8>, tag: &[u8]) -> Result<(), Forged> {
        match &self.cipher {
            Cipher::Cbc(cipher) => cipher.open(aad, iv, buffer, tag),
            Cipher::Gcm(cipher) => cipher.open(aad, iv, buffer, tag),
        }
    }

    #[cfg(any(test, feature = "seal"))]
    pub(super) fn seal(&self, aad: &[u8], iv: &[u8], plaintext: &[u8]) -> Result<(Vec<u8>, Vec<u8>), Forged> {
        match &self.cipher {
            Cipher::Cbc(cipher) => cipher.seal(aad, iv, plaintext),
            Cipher::Gcm(cipher) => cipher.seal(aad, iv, plaintext),
        }
    }
}

/// The header as the packages write it, member by member.
pub(super) fn header_json(encryption: Encryption, kid: Option<&str>) -> String {
    let enc = encryption.as_str();
    match kid {
        Some(kid) => format!(r#"{{"alg":"dir","enc":"{enc}","kid":"{kid}"}}"#),
        None => format!(r#"{{"alg":"dir","enc":"{enc}"}}"#),
    }
}

/// What is hashed for a symmetric key's thumbprint (RFC 7638 section 3.2): its required members in order.
fn thumbprint_input(key: &[u8]) -> Zeroizing<Vec<u8>> {
    let encoded = Zeroizing::new(encode(key));
    Zeroizing::new([r#"{"k":""#, encoded.as_str(), r#"","kty":"oct"}"#].concat().into_bytes())
}
