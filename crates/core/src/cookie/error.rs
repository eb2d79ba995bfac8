//! Why a request's credential was not even read.

use std::fmt;

/// Why a request's credential was not even read. The client's fault, or of an app that leaves old cookies behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CredentialError {
    /// There are several Authorization headers, a Bearer among them; parsers do not agree on which one counts.
    AmbiguousBearer,
    /// The session cookie, or one of its chunks, is there twice; parsers do not agree on which one counts.
    AmbiguousCookie,
    /// A chunk of the session cookie is missing.
    ChunkIncomplete,
    /// The Cookie headers are larger than the limit.
    HeaderTooLarge,
    /// The token is larger than the limit.
    TokenTooLarge,
    /// The session cookie has more chunks than the limit.
    TooManyChunks,
}

impl CredentialError {
    /// A stable name, for metrics, logs and the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AmbiguousBearer => "ambiguous_bearer",
            Self::AmbiguousCookie => "ambiguous_cookie",
            Self::ChunkIncomplete => "chunk_incomplete",
            Self::HeaderTooLarge => "header_too_large",
            Self::TokenTooLarge => "token_too_large",
            Self::TooManyChunks => "too_many_chunks",
        }
    }
}

impl fmt::Display for CredentialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::error::Error for CredentialError {}
