//! A session: the claims of a token that is authentic and in force.

use std::cell::OnceCell;
use std::fmt;

use serde_json::{Map, Value};

use jwe_gate_contract::revocation::MAX_NAME_BYTES;

use super::{ClaimsError, Condition, Lasting, Times};
use crate::revocation::Marks;
use crate::time::UnixMillis;

/// Who a request comes from, and until when that holds. Only [`super::check`] makes one.
#[derive(Clone, PartialEq)]
pub struct Session {
    subject: String,
    issued_at: Option<f64>,
    expiry: Option<f64>,
    expires_at: UnixMillis,
    sid: Option<String>,
    auth_time: Option<f64>,
    claims: Map<String, Value>,
    marks: OnceCell<Marks>,
    kind: usize,
    met: u64,
    kept_bytes: usize,
}

/// What is kept of a token once it has been opened.
#[derive(Clone, Debug, Default)]
pub struct Keep {
    /// Claims that the app is to be told of.
    pub claims: Vec<String>,
    /// What rules ask of claims; each gets a bit of its own, the first one the lowest.
    pub conditions: Vec<Option<Condition>>,
    /// How much all texts may come to, in bytes.
    pub max_bytes: usize,
}

impl Session {
    pub(super) fn new(
        claims: Map<String, Value>,
        times: Times,
        expires_at: UnixMillis,
        lasting: &Lasting,
    ) -> Result<Self, ClaimsError> {
        let subject = match claims.get("sub") {
            None => return Err(ClaimsError::MissingSub),
            Some(Value::String(subject)) if subject.is_empty() => return Err(ClaimsError::MissingSub),
            Some(Value::String(subject)) => subject.clone(),
            Some(_) => return Err(ClaimsError::ClaimTypeInvalid),
        };
        let sid = lasting.sid.of(&claims).and_then(Value::as_str).filter(|sid| names_a_session(sid));
        Ok(Self {
            subject,
            issued_at: times.iat,
            expiry: times.exp,
            expires_at,
            sid: sid.map(str::to_owned),
            auth_time: lasting.auth_time.of(&claims).and_then(Value::as_f64),
            claims,
            kind: 0,
            met: 0,
            kept_bytes: 0,
            marks: OnceCell::new(),
        })
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
        self.claims.get("jti").and_then(Value::as_str)
    }

    /// The name of the session (`sid`, or as configured), if the app sets it: the same for as long as it lasts.
    #[must_use]
    pub fn sid(&self) -> Option<&str> {
        self.sid.as_deref()
    }

    /// When the user signed in (`auth_time`, or as configured) in seconds, if the app sets it.
    #[must_use]
    pub fn auth_time(&self) -> Option<f64> {
        self.auth_time
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

    /// Which of the configured sessions it is, counted from zero.
    #[must_use]
    pub fn kind(&self) -> usize {
        self.kind
    }

    /// Which of the conditions it meets, one bit for each.
    #[must_use]
    pub fn met(&self) -> u64 {
        self.met
    }

    /// How much memory its texts take, in bytes.
    #[must_use]
    pub fn kept_bytes(&self) -> usize {
        self.kept_bytes
    }

    /// The session for keeping in memory: what rules ask is answered once, and the claims that nobody is told of go.
    /// `None` when what is left of the texts is too large. `kind` says which of the configured sessions it is.
    #[must_use]
    pub fn kept(mut self, kind: usize, keep: &Keep) -> Option<Self> {
        self.met = Condition::met(&keep.conditions, &self.claims);
        self.kind = kind;
        self.claims.retain(|name, value| match name.as_str() {
            "jti" if value.is_string() => true,
            name => keep.claims.iter().any(|kept| kept == name),
        });
        self.kept_bytes = self.subject.len()
            + self.sid.as_ref().map_or(0, String::len)
            + self.claims.iter().map(|(name, value)| name.len() + size(value)).sum::<usize>();
        (self.kept_bytes <= keep.max_bytes).then_some(self)
    }
}

/// Whether a session can be ended under this name. An empty one would be that of all sessions for which the app has none, and
/// the service takes neither a longer one nor a NUL. Without a name it is ended with all others of its subject.
fn names_a_session(sid: &str) -> bool {
    (1..=MAX_NAME_BYTES).contains(&sid.len()) && !sid.contains('\0')
}

/// Roughly what a value takes in memory beside itself, in bytes.
fn size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(list) => list.iter().map(|value| size_of::<Value>() + size(value)).sum(),
        Value::Object(map) => map.iter().map(|(name, value)| size_of::<Value>() + name.len() + size(value)).sum(),
    }
}

impl fmt::Debug for Session {
    /// Who it is and what else is known of them stays out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}
