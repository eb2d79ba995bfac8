//! What a token says: from an authenticated payload to a [`Session`] (RFC 7519).
//!
//! [`check`] is the only way to a [`Session`]. It reads a payload as the packages do: numbers are doubles, and of a
//! claim that occurs twice the last counts (RFC 7519 section 4 allows it), since the app behind reads it that way too.

mod condition;
mod error;
mod path;
mod session;

use std::time::Duration;

use serde_json::{Map, Value};

pub use condition::{Condition, Test};
pub use error::ClaimsError;
pub use path::ClaimPath;
pub use session::{Keep, Session};

use crate::jwe::Replicated;
use crate::time::UnixMillis;

/// How far two clocks may be apart, in seconds. The packages have the same.
const TOLERANCE: f64 = 15.0;

/// What claims must say, beyond what is always asked of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The longest that a session may last, from `iat` to `exp` and from `iat` to now. `None` leaves `iat` alone.
    pub max_session_age: Option<Duration>,
    /// Whether a token must say when it expires.
    pub require_exp: bool,
    /// The only `iss` that is accepted.
    pub issuer: Option<String>,
    /// What `aud` must be, or contain.
    pub audience: Option<String>,
    /// Where the token says what names its session.
    pub lasting: Lasting,
}

/// Where a token says what stays the same for as long as its session lasts, however often it is issued again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lasting {
    /// The name of the session.
    pub sid: ClaimPath,
    /// When the user signed in.
    pub auth_time: ClaimPath,
}

impl Default for Lasting {
    /// The registered claims.
    fn default() -> Self {
        Self { sid: ClaimPath::one("sid"), auth_time: ClaimPath::one("auth_time") }
    }
}

impl Default for Rules {
    /// Thirty days, as the packages' own default, and an `exp`; any issuer and audience.
    fn default() -> Self {
        Self {
            max_session_age: Some(Duration::from_hours(30 * 24)),
            require_exp: true,
            issuer: None,
            audience: None,
            lasting: Lasting::default(),
        }
    }
}

/// Checks the claims in an authenticated payload.
///
/// # Errors
/// [`ClaimsError`] for the first rule that is broken. Types come first, then times, then identities.
pub fn check(
    payload: &[u8],
    replicated: Option<&Replicated>,
    rules: &Rules,
    now: UnixMillis,
) -> Result<Session, ClaimsError> {
    let claims = parse(payload)?;
    let times = Times::read(&claims)?;
    let expires_at = times.check(rules, now)?;
    if let Some(replicated) = replicated {
        same_as_header(&claims, replicated)?;
    }
    check_parties(&claims, rules)?;
    Session::new(claims, times, expires_at, &rules.lasting)
}

/// A byte order mark may be ignored (RFC 8259 section 8.1), and the packages do.
fn parse(payload: &[u8]) -> Result<Map<String, Value>, ClaimsError> {
    let payload = payload.strip_prefix(b"\xef\xbb\xbf").unwrap_or(payload);
    serde_json::from_slice(payload).map_err(|_| ClaimsError::PayloadNotJsonObject)
}

/// The registered times, in seconds.
#[derive(Clone, Copy, Debug)]
struct Times {
    iat: Option<f64>,
    nbf: Option<f64>,
    exp: Option<f64>,
}

impl Times {
    fn read(claims: &Map<String, Value>) -> Result<Self, ClaimsError> {
        let number = |name| match claims.get(name) {
            None => Ok(None),
            Some(value) => value.as_f64().map(Some).ok_or(ClaimsError::ClaimTypeInvalid),
        };
        Ok(Self { iat: number("iat")?, nbf: number("nbf")?, exp: number("exp")? })
    }

    /// Checks the times and tells the first moment at which the answer will be no.
    fn check(self, rules: &Rules, now: UnixMillis) -> Result<UnixMillis, ClaimsError> {
        if self.nbf.is_some_and(|nbf| nbf > now.seconds() + TOLERANCE) {
            return Err(ClaimsError::NotYetValid);
        }
        let by_exp = match self.exp {
            Some(exp) => ceil_millis(exp + TOLERANCE),
            None if rules.require_exp => return Err(ClaimsError::MissingExp),
            None => UnixMillis(u64::MAX),
        };
        // `exp <= now - 15`, said so that `Session::expires_at` cannot disagree.
        if by_exp <= now {
            return Err(ClaimsError::Expired);
        }
        let by_age = match rules.max_session_age {
            Some(max) => self.check_age(max.as_secs_f64(), now)?,
            None => UnixMillis(u64::MAX),
        };
        Ok(by_exp.min(by_age))
    }

    /// The tolerance is for issuers that read their clock once for `iat` and again for `exp`, as Auth.js does.
    fn check_age(self, max: f64, now: UnixMillis) -> Result<UnixMillis, ClaimsError> {
        let iat = self.iat.ok_or(ClaimsError::MissingIat)?;
        if iat > now.seconds() + TOLERANCE {
            return Err(ClaimsError::IssuedInFuture);
        }
        let end = iat + max + TOLERANCE;
        let too_old = ceil_millis(end);
        if too_old <= now || self.exp.is_some_and(|exp| exp > end) {
            return Err(ClaimsError::SessionTooOld);
        }
        Ok(too_old)
    }
}

/// The first millisecond that is not before `seconds`; never is the end of time.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "float to integer saturates")]
fn ceil_millis(seconds: f64) -> UnixMillis {
    UnixMillis((seconds * 1000.0).ceil() as u64)
}

/// A claim that the header repeats must be the same there (RFC 7519 section 5.3).
fn same_as_header(claims: &Map<String, Value>, replicated: &Replicated) -> Result<(), ClaimsError> {
    for (name, value) in [("iss", &replicated.iss), ("sub", &replicated.sub), ("aud", &replicated.aud)] {
        if value.is_some() && value.as_ref() != claims.get(name) {
            return Err(ClaimsError::ClaimMismatch);
        }
    }
    Ok(())
}

fn check_parties(claims: &Map<String, Value>, rules: &Rules) -> Result<(), ClaimsError> {
    let says = |value: Option<&Value>, wanted: &str| value.and_then(Value::as_str) == Some(wanted);
    if let Some(issuer) = &rules.issuer
        && !says(claims.get("iss"), issuer)
    {
        return Err(ClaimsError::IssuerNotAllowed);
    }
    let Some(audience) = &rules.audience else { return Ok(()) };
    let accepted = match claims.get("aud") {
        Some(Value::Array(list)) => list.iter().any(|one| says(Some(one), audience)),
        one => says(one, audience),
    };
    if accepted { Ok(()) } else { Err(ClaimsError::AudienceNotAllowed) }
}

#[cfg(test)]
mod tests;
