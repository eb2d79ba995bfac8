//! Why an authentic token is no session.

use std::fmt;

/// Why an authentic token is no session. For metrics, logs and the command line; a client is never told which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClaimsError {
    /// `aud` is not, and does not contain, the configured audience.
    AudienceNotAllowed,
    /// The header repeats a claim with another value.
    ClaimMismatch,
    /// `iat`, `nbf` or `exp` is no number, or `sub` no string.
    ClaimTypeInvalid,
    /// `exp` has passed.
    Expired,
    /// `iat` lies in the future. Check the issuer's clock.
    IssuedInFuture,
    /// `iss` is not the configured issuer.
    IssuerNotAllowed,
    /// There is no `exp`, and the configuration wants one.
    MissingExp,
    /// There is no `iat`, and the configuration limits the age of sessions.
    MissingIat,
    /// There is no `sub`, or nothing in it.
    MissingSub,
    /// `nbf` lies in the future. Check the issuer's clock.
    NotYetValid,
    /// The payload is no JSON object in UTF-8, or one that nests deeper than 127 levels.
    PayloadNotJsonObject,
    /// The session lasts longer, or began longer ago, than the configuration allows.
    SessionTooOld,
}

impl ClaimsError {
    /// A stable name, for metrics, logs and the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AudienceNotAllowed => "audience_not_allowed",
            Self::ClaimMismatch => "claim_mismatch",
            Self::ClaimTypeInvalid => "claim_type_invalid",
            Self::Expired => "expired",
            Self::IssuedInFuture => "issued_in_future",
            Self::IssuerNotAllowed => "issuer_not_allowed",
            Self::MissingExp => "missing_exp",
            Self::MissingIat => "missing_iat",
            Self::MissingSub => "missing_sub",
            Self::NotYetValid => "not_yet_valid",
            Self::PayloadNotJsonObject => "payload_not_json_object",
            Self::SessionTooOld => "session_too_old",
        }
    }
}

impl fmt::Display for ClaimsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::error::Error for ClaimsError {}
