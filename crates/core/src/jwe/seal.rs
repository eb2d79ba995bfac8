//! Minting tokens, for the command line and for tests. Behind the feature `seal`: the filter cannot mint.
//!
//! Nothing here is random; who mints brings the initialisation vector, and must never bring the same one twice.

use std::fmt;

use super::compact::encode;
use super::key::{Key, header_json};
use super::{Encryption, KeyRing};

/// How a token is to be made.
#[derive(Clone, Copy, Debug)]
pub struct Recipe<'a> {
    /// Which of the key ring's secrets encrypts; the packages use the first.
    pub secret: usize,
    /// The content encryption, one of the profile's.
    pub encryption: Encryption,
    /// The protected header.
    pub header: HeaderForm<'a>,
    /// The initialisation vector, of [`Encryption::iv_len`] bytes.
    pub iv: &'a [u8],
}

/// The protected header of a minted token.
#[derive(Clone, Copy, Debug)]
pub enum HeaderForm<'a> {
    /// `alg`, `enc` and the key's thumbprint.
    Kid,
    /// `alg` and `enc`.
    Plain,
    /// These bytes, whatever they say.
    Verbatim(&'a str),
}

/// Why no token was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealError {
    /// The initialisation vector does not have the length that the algorithm wants.
    IvLength,
    /// The profile has no such key: no secret at that position, or another content encryption.
    NoSuchKey,
}

impl KeyRing {
    /// Encrypts `payload` into a token.
    ///
    /// # Errors
    /// [`SealError`] when the recipe cannot be followed.
    pub fn seal(&self, recipe: &Recipe<'_>, payload: &[u8]) -> Result<String, SealError> {
        let fits = |key: &&Key| (key.secret, key.encryption) == (recipe.secret, recipe.encryption);
        let key = self.keys.iter().find(fits).ok_or(SealError::NoSuchKey)?;
        let header = match recipe.header {
            HeaderForm::Kid => encode(header_json(key.encryption, Some(&key.kid)).as_bytes()),
            HeaderForm::Plain => encode(header_json(key.encryption, None).as_bytes()),
            HeaderForm::Verbatim(json) => encode(json.as_bytes()),
        };
        let sealed = key.seal(header.as_bytes(), recipe.iv, payload).map_err(|_| SealError::IvLength)?;
        let (ciphertext, tag) = (encode(&sealed.0), encode(&sealed.1));
        Ok(format!("{header}..{}.{ciphertext}.{tag}", encode(recipe.iv)))
    }

    /// The `kid` by which Auth.js names one of the keys.
    #[must_use]
    pub fn kid(&self, secret: usize, encryption: Encryption) -> Option<&str> {
        let key = self.keys.iter().find(|key| (key.secret, key.encryption) == (secret, encryption));
        key.map(|key| key.kid.as_str())
    }
}

impl fmt::Display for SealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::IvLength => "the initialisation vector has the wrong length for this algorithm",
            Self::NoSuchKey => "the profile does not use this algorithm, or there is no such secret",
        })
    }
}

impl std::error::Error for SealError {}
