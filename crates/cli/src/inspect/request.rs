//! The verdict on a request's token, by the filter's own parts. Users are not looked up.

use std::borrow::Cow;

use jwe_gate_core::claims::{self, ClaimsError, Session};
use jwe_gate_core::config::{Config, SessionConfig};
use jwe_gate_core::cookie::{self, CredentialError, Name};
use jwe_gate_core::jwe::{DeriveError, JweError, KeyRing};
use jwe_gate_core::time::UnixMillis;

/// What is known of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    /// The Cookie header; empty if there is none.
    pub(crate) cookie: &'a [u8],
    /// The Authorization header.
    pub(crate) authorization: Option<&'a [u8]>,
    /// When it is judged.
    pub(crate) now: UnixMillis,
}

/// Why there is no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    Claims(ClaimsError),
    Credential(CredentialError),
    Jwe(JweError),
    NoToken,
}

/// A token, and which sessions' keys it may belong to.
pub(crate) struct Found<'a, 'c> {
    pub(crate) sessions: Vec<&'c SessionConfig>,
    /// The cookies' values in order; one for a plain cookie or a Bearer.
    pub(crate) pieces: Vec<&'a [u8]>,
    token: TokenSource<'a>,
}

enum TokenSource<'a> {
    Bearer(Cow<'a, [u8]>),
    Cookie(cookie::Credential<'a>),
}

impl<'a> Request<'a> {
    pub(crate) fn judge(&self, config: &Config) -> Result<Result<Session, Reason>, DeriveError> {
        match self.token(config) {
            Ok(found) => found.judge(self.now),
            Err(reason) => Ok(Err(reason)),
        }
    }

    /// The token that counts.
    pub(crate) fn token<'c>(&self, config: &'c Config) -> Result<Found<'a, 'c>, Reason> {
        let names = names(config);
        let lines = [self.cookie];
        let scan = cookie::scan(&lines, &names, &config.limits).map_err(Reason::Credential)?;
        if let Some(credential) = scan.credential() {
            let name = names.get(credential.name());
            return Ok(Found {
                sessions: config.sessions.iter().filter(|session| Some(&session.cookie) == name).collect(),
                pieces: credential.pieces().collect(),
                token: TokenSource::Cookie(credential.clone()),
            });
        }
        let sessions: Vec<_> = config.sessions.iter().filter(|session| session.bearer).collect();
        let lines: Vec<&[u8]> = self.authorization.into_iter().collect();
        match cookie::bearer(&lines, &config.limits).map_err(Reason::Credential)? {
            Some(value) if !sessions.is_empty() => {
                Ok(Found { sessions, pieces: lines, token: TokenSource::Bearer(value) })
            }
            _ => Err(Reason::NoToken),
        }
    }
}

impl Found<'_, '_> {
    /// The token as this session's package would read it.
    pub(crate) fn token(&self, session: &SessionConfig) -> Cow<'_, [u8]> {
        match &self.token {
            TokenSource::Bearer(value) => Cow::Borrowed(value),
            TokenSource::Cookie(credential) => credential.token(session.profile),
        }
    }

    fn judge(&self, now: UnixMillis) -> Result<Result<Session, Reason>, DeriveError> {
        let mut first_error = None;
        for session in &self.sessions {
            let SessionConfig { profile, salt, cookie, secrets, .. } = session;
            let ring = KeyRing::derive(*profile, salt.as_deref(), cookie.as_str(), secrets)?;
            match ring.open(&self.token(session)) {
                Ok(opened) => {
                    let checked = claims::check(opened.plaintext(), opened.replicated(), &session.rules, now);
                    return Ok(checked.map_err(Reason::Claims));
                }
                Err(error) => {
                    first_error.get_or_insert(error);
                }
            }
        }
        Ok(Err(first_error.map_or(Reason::NoToken, Reason::Jwe)))
    }
}

/// The configured cookies, each once.
fn names(config: &Config) -> Vec<Name> {
    let mut names: Vec<Name> = Vec::new();
    for session in &config.sessions {
        if !names.contains(&session.cookie) {
            names.push(session.cookie.clone());
        }
    }
    names
}

impl Reason {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Claims(error) => error.as_str(),
            Self::Credential(error) => error.as_str(),
            Self::Jwe(error) => error.as_str(),
            Self::NoToken => "no_token",
        }
    }
}
