//! Encrypted session tokens: compact JWE (RFC 7516) with `alg: "dir"`, as Auth.js and `NextAuth` write them.
//!
//! [`KeyRing::derive`] turns secrets into keys once; [`KeyRing::open`] turns a token into its authenticated plaintext.
//! What the plaintext says is no concern here: [`crate::claims`] reads it. The [`Profile`]s are a table of the
//! differences between the packages.

mod cipher;
mod compact;
mod error;
mod header;
mod key;
mod profile;
#[cfg(any(test, feature = "seal"))]
pub mod seal;

use std::fmt;

use serde_json::Value;
use zeroize::Zeroizing;

pub use error::{DeriveError, JweError};
pub use profile::{Encryption, Profile};

use crate::secret::Secret;
use compact::{Compact, decode, decode_fixed};
use header::{Header, Kid};
use key::{Key, header_json};

/// The keys of one profile, in the order of the configured secrets.
pub struct KeyRing {
    profile: Profile,
    keys: Vec<Key>,
    /// For each content encryption, the encoded header that names nothing but the algorithms.
    plain_headers: Vec<(Encryption, String)>,
}

/// What was inside a token. Authentic, but not looked at: it may be expired, or no JSON at all.
pub struct Opened {
    plaintext: Zeroizing<Vec<u8>>,
    replicated: Option<Box<Replicated>>,
    secret: usize,
}

/// Claims that the header repeats (RFC 7519 section 5.3).
#[derive(Clone, Default, PartialEq)]
pub struct Replicated {
    /// The issuer.
    pub iss: Option<Value>,
    /// The subject.
    pub sub: Option<Value>,
    /// The audience.
    pub aud: Option<Value>,
}

impl KeyRing {
    /// Derives the keys of all `secrets`, newest first. `salt` replaces what the profile takes by itself.
    ///
    /// # Errors
    /// [`DeriveError`] when there is no secret, or one is empty.
    pub fn derive(
        profile: Profile,
        salt: Option<&str>,
        cookie_name: &str,
        secrets: &[Secret],
    ) -> Result<Self, DeriveError> {
        if secrets.is_empty() {
            return Err(DeriveError::NoSecret);
        }
        if secrets.iter().any(Secret::is_empty) {
            return Err(DeriveError::EmptySecret);
        }
        let derivation = profile.derivation(salt, cookie_name);
        let encryptions = profile.encryptions();
        let of_secret = |secret| encryptions.iter().map(move |encryption| (secret, *encryption));
        let keys = secrets.iter().enumerate().flat_map(of_secret);
        Ok(Self {
            profile,
            keys: keys.map(|(secret, encryption)| Key::derive(profile, encryption, &derivation, secret)).collect(),
            plain_headers: encryptions
                .iter()
                .map(|encryption| (*encryption, compact::encode(header_json(*encryption, None).as_bytes())))
                .collect(),
        })
    }

    /// The profile that the keys were derived for.
    #[must_use]
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// Verifies and decrypts a token.
    ///
    /// # Errors
    /// [`JweError`] by cause; nothing of the plaintext gets out in that case.
    pub fn open(&self, token: &[u8]) -> Result<Opened, JweError> {
        let parts = Compact::split(token)?;
        let (choice, replicated) = self.choose(parts.header)?;
        let encryption = choice.encryption();

        let (mut iv, mut tag) = ([0; 16], [0; 32]);
        let iv = exactly(encryption.iv_len(), decode_fixed(parts.iv, &mut iv)?)?;
        let tag = exactly(encryption.tag_len(), decode_fixed(parts.tag, &mut tag)?)?;
        let mut buffer = decode(parts.ciphertext)?;

        let mut keys = self.keys.iter().filter(|key| choice.includes(key));
        let opened_by = keys.find(|key| key.open(parts.header, iv, &mut buffer, tag).is_ok());
        let secret = opened_by.ok_or(JweError::DecryptFailed)?.secret;
        Ok(Opened { plaintext: buffer, replicated, secret })
    }

    /// Which keys the header calls for. The headers that the packages write are recognised by their bytes.
    fn choose(&self, encoded: &[u8]) -> Result<(Choice<'_>, Option<Box<Replicated>>), JweError> {
        if let Some(key) = self.keys.iter().find(|key| key.own_header.as_deref().map(str::as_bytes) == Some(encoded)) {
            return Ok((Choice::One(key), None));
        }
        if let Some((encryption, _)) = self.plain_headers.iter().find(|(_, header)| header.as_bytes() == encoded) {
            return Ok((Choice::Each(*encryption), None));
        }
        let header = Header::parse(encoded, self.profile)?;
        let choice = match header.kid {
            Kid::Text(kid) if self.profile.reads_kid() => self.named(header.encryption, &kid)?,
            Kid::Odd if self.profile.reads_kid() => return Err(JweError::KeyNotFound),
            Kid::Absent | Kid::Odd | Kid::Text(_) => Choice::Each(header.encryption),
        };
        Ok((choice, header.replicated))
    }

    /// The key with that thumbprint. There is no fallback: who names a key means it.
    fn named(&self, encryption: Encryption, kid: &str) -> Result<Choice<'_>, JweError> {
        let mut keys = self.keys.iter().filter(|key| key.encryption == encryption);
        keys.find(|key| key.kid == kid).map(Choice::One).ok_or(JweError::KeyNotFound)
    }
}

/// The keys that are tried.
#[derive(Clone, Copy)]
enum Choice<'a> {
    /// Every secret's key for this algorithm, in order.
    Each(Encryption),
    One(&'a Key),
}

impl Choice<'_> {
    fn encryption(self) -> Encryption {
        match self {
            Self::Each(encryption) => encryption,
            Self::One(key) => key.encryption,
        }
    }

    fn includes(self, key: &Key) -> bool {
        match self {
            Self::Each(encryption) => key.encryption == encryption,
            Self::One(one) => std::ptr::eq(one, key),
        }
    }
}

fn exactly(len: usize, bytes: &[u8]) -> Result<&[u8], JweError> {
    if bytes.len() == len { Ok(bytes) } else { Err(JweError::MalformedToken) }
}

impl Opened {
    /// The authenticated plaintext; wiped when this value is dropped.
    #[must_use]
    pub fn plaintext(&self) -> &[u8] {
        &self.plaintext
    }

    /// Claims that the header repeats, if it does.
    #[must_use]
    pub fn replicated(&self) -> Option<&Replicated> {
        self.replicated.as_deref()
    }

    /// The position, in the configured list, of the secret that the token was made with.
    #[must_use]
    pub fn secret(&self) -> usize {
        self.secret
    }
}

impl Replicated {
    pub(crate) fn is_empty(&self) -> bool {
        self.iss.is_none() && self.sub.is_none() && self.aud.is_none()
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing").field("profile", &self.profile).finish_non_exhaustive()
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened").field("secret", &self.secret).finish_non_exhaustive()
    }
}

impl fmt::Debug for Replicated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replicated").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
