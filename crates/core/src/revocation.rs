//! Facts that end sessions before their tokens expire.
//!
//! The gate asks before it forwards, again when a parked request resumes, and again at response headers. Nothing
//! feeds revocations yet, so none is known.

use crate::claims::Session;

/// The revocations that this worker knows of.
#[derive(Debug, Default)]
pub struct Revocations(());

impl Revocations {
    /// Whether none is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        true
    }

    /// Whether something has ended this session.
    #[must_use]
    pub fn end(&self, _session: &Session) -> bool {
        false
    }
}
