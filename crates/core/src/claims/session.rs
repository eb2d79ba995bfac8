//! A session: the claims of a token that is authentic and in force.

use std::cell::OnceCell;
use std::fmt;

use serde_json::{Map, Value};

use super::{ClaimsError, Times};
use crate::revocation::Marks;
use crate::time::UnixMillis;

/// Who a request comes from, and until when that holds. Only [`super::check`] makes one.
#[derive(Clone, PartialEq)]
pub struct Session {
    subject: String,
    issued_at: Option<f64>,
    expiry: Option<f64>,
    expires_at: UnixMillis,
    claims: Map<String, Value>,
    marks: OnceCell<Marks>,
}

impl Session {
    pub(super) fn new(claims: Map<String, Value>, times: Times, expires_at: UnixMillis) -> Result<Self, ClaimsError> {
        let subject = match claims.get("sub") {
            None => return Err(ClaimsError::MissingSub),
            Some(Value::String(subject)) if subject.is_empty() => return Err(ClaimsError::MissingSub),
            Some(Value::String(subject)) => subject.clone(),
            Some(_) => return Err(ClaimsError::ClaimTypeInvalid),
        };
        let marks = OnceCell::new();
        Ok(Self { subject, issued_at: times.iat, expiry: times.exp, expires_at, claims, marks })
    }

    /// `sub`, byte for byte; never empty.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// `iat`, in seconds.
    #[must_use]
    pub fn iat(&self) -> Option<f64> {
        self.issued_at
    }

    /// `iat` as a moment, for comparing it with others.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "float to integer saturates")]
    pub fn issued_at(&self) -> Option<UnixMillis> {
        self.issued_at.map(|seconds| UnixMillis((seconds * 1000.0) as u64))
    }

    /// `exp`, in seconds.
    #[must_use]
    pub fn exp(&self) -> Option<f64> {
        self.expiry
    }

    /// The first moment at which the session must be refused, clock tolerance and the limit of its age included.
    #[must_use]
    pub fn expires_at(&self) -> UnixMillis {
        self.expires_at
    }

    /// `jti`, if it is a string. Auth.js makes a new one whenever it issues the token again.
    #[must_use]
    pub fn jti(&self) -> Option<&str> {
        self.text("jti")
    }

    /// `sid`, if the app sets it: the same for as long as the session lasts.
    #[must_use]
    pub fn sid(&self) -> Option<&str> {
        self.text("sid")
    }

    /// `auth_time` in seconds, if the app sets it: when the user signed in.
    #[must_use]
    pub fn auth_time(&self) -> Option<f64> {
        self.claims.get("auth_time").and_then(Value::as_f64)
    }

    /// Everything that the token says.
    #[must_use]
    pub fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// What revocations know it by; worked out when that is first asked for.
    pub(crate) fn marks(&self, work_out: impl FnOnce(&Self) -> Marks) -> &Marks {
        self.marks.get_or_init(|| work_out(self))
    }

    /// The session without the claims that the gate does not go by itself, for keeping in memory; `None` when what is
    /// left of the texts has more than `max_bytes`.
    #[must_use]
    pub fn trimmed(mut self, max_bytes: usize) -> Option<Self> {
        self.claims.retain(|name, _| matches!(name.as_str(), "auth_time" | "jti" | "sid"));
        let kept = [Some(self.subject()), self.jti(), self.sid()];
        let bytes: usize = kept.into_iter().flatten().map(str::len).sum();
        self.claims.retain(|_, value| value.is_string() || value.is_number());
        (bytes <= max_bytes).then_some(self)
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.claims.get(name).and_then(Value::as_str)
    }
}

impl fmt::Debug for Session {
    /// Who it is and what else is known of them stays out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}
