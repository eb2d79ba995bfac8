//! Session cookies and Bearer values: finding the credential in a request, and taking out whatever is not it.
//!
//! [`scan`] reads Cookie headers as the packages' own parser does and finds one credential: the cookie `<name>`, or an
//! unbroken row of chunks `<name>.0`, `<name>.1`, …. The packages themselves read *every* cookie whose name starts with
//! the session's, so what was not accepted must not get past: [`keep`] writes the header without it, and with other
//! parsers than Node's in mind.

mod bearer;
mod error;
mod keep;
mod name;
mod pair;
mod percent;
mod scan;
mod set;

pub use bearer::{bearer, looks_like_jwe};
pub use error::CredentialError;
pub use keep::{Kept, keep};
pub use name::Name;
pub use scan::{Credential, Scan, scan};
pub use set::{cleared, session_cookies, sets_session, takes_session_away};

/// What is read of a request before it is called too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one token, before percent-decoding.
    pub token_bytes: usize,
    /// Chunks of one token.
    pub chunks: usize,
    /// Bytes of all Cookie headers together.
    pub header_bytes: usize,
}

impl Default for Limits {
    /// Room for a token of twenty full chunks, more than any browser or proxy lets through by itself.
    fn default() -> Self {
        Self { token_bytes: 96 * 1024, chunks: 64, header_bytes: 128 * 1024 }
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
