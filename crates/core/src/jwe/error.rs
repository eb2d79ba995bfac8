//! Why a token was not opened.

use std::fmt;

/// Why a token was not opened. Always the client's fault, or that of whoever gave it the token.
///
/// For metrics, logs and the command line. A client is never told which: what it did wrong and what it did right would
/// help it guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JweError {
    /// The header names another key management algorithm than `dir`.
    AlgNotAllowed,
    /// The header has a `crit` member; there is no extension that we understand.
    CritNotSupported,
    /// The tag does not verify: another key, or changed bytes. Check the secret and the salt.
    DecryptFailed,
    /// The header names a content encryption that the profile does not use.
    EncNotAllowed,
    /// The header is no JSON object, says something twice, carries a key, or lacks `alg` or `enc`.
    HeaderInvalid,
    /// The header's `kid` belongs to no configured secret. Check whether the issuer's secret has changed.
    KeyNotFound,
    /// Not five parts of canonical base64url with an empty encrypted key and the right lengths.
    MalformedToken,
    /// The header has a `zip` member; no issuer compresses, and decompression is a way to exhaust memory.
    ZipNotSupported,
}

impl JweError {
    /// A stable name, for metrics, logs and the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AlgNotAllowed => "alg_not_allowed",
            Self::CritNotSupported => "crit_not_supported",
            Self::DecryptFailed => "decrypt_failed",
            Self::EncNotAllowed => "enc_not_allowed",
            Self::HeaderInvalid => "header_invalid",
            Self::KeyNotFound => "key_not_found",
            Self::MalformedToken => "malformed_token",
            Self::ZipNotSupported => "zip_not_supported",
        }
    }
}

impl fmt::Display for JweError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::error::Error for JweError {}

/// Why no keys were derived. The operator's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeriveError {
    /// A secret has no bytes: anybody could mint tokens.
    EmptySecret,
    /// There is no secret at all.
    NoSecret,
}

impl fmt::Display for DeriveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EmptySecret => "a secret is empty",
            Self::NoSecret => "there is no secret",
        })
    }
}

impl std::error::Error for DeriveError {}
