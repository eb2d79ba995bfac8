//! Tokens that open and are refused for what they say.

use jwe_gate_core::claims::{self, ClaimsError, Rules};
use jwe_gate_core::config::{Config, SessionConfig};
use jwe_gate_core::jwe::KeyRing;
use jwe_gate_core::time::UnixMillis;

use crate::inspect::Request;

/// A difference that looks like two clocks rather than an old session.
const CLOCKS: f64 = 300.0;

pub(super) fn refused(config: &Config, request: &Request<'_>, error: ClaimsError, hints: &mut Vec<String>) {
    let times = times(config, request).unwrap_or_default();
    let now = request.now.seconds();
    hints.push(match error {
        ClaimsError::Expired => expired(times.exp, now),
        ClaimsError::NotYetValid | ClaimsError::IssuedInFuture => format!(
            "the token comes from the future: the app's clock is ahead of {now}, which is the time here. Set both by NTP"
        ),
        ClaimsError::SessionTooOld => "the session lasts longer than \"max_session_age\" (30 days if it is not set): make \
             the app's \"session.maxAge\" shorter, or \"max_session_age\" longer"
            .to_owned(),
        ClaimsError::MissingExp => {
            "the token never expires; the app has an \"encode\" of its own. \"require_exp\": false accepts that".to_owned()
        }
        ClaimsError::MissingIat => "the token does not say when it was issued, so its age cannot be limited; \
             \"max_session_age\": \"off\" accepts that"
            .to_owned(),
        ClaimsError::MissingSub => {
            "the token does not say who the user is: the app's \"jwt\" callback must keep \"sub\"".to_owned()
        }
        ClaimsError::ClaimTypeInvalid => {
            "\"iat\", \"nbf\" and \"exp\" must be numbers and \"sub\" a string; see the app's \"jwt\" callback".to_owned()
        }
        ClaimsError::ClaimMismatch => "the token's header says something else than the token".to_owned(),
        ClaimsError::IssuerNotAllowed => "\"iss\" is not the \"issuer\" of the configuration".to_owned(),
        ClaimsError::AudienceNotAllowed => "\"aud\" is not the \"audience\" of the configuration".to_owned(),
        ClaimsError::PayloadNotJsonObject => {
            "the token opens, and holds something else than claims; the app has an \"encode\" of its own".to_owned()
        }
    });
}

fn expired(exp: Option<f64>, now: f64) -> String {
    let Some(exp) = exp else { return "the session has expired; sign in again".to_owned() };
    let late = now - exp;
    let clocks = if late < CLOCKS { ". That is little: compare the clocks of the app and of this machine" } else { "" };
    format!("the session expired {late:.0} seconds ago (exp {exp:.0}, now {now:.0}); sign in again{clocks}")
}

#[derive(Default)]
struct Times {
    exp: Option<f64>,
}

/// The times of the token, which the check that refused it does not give out.
fn times(config: &Config, request: &Request<'_>) -> Option<Times> {
    let found = request.token(config).ok()?;
    found.sessions.iter().find_map(|session| {
        let SessionConfig { profile, salt, cookie, secrets, .. } = session;
        let ring = KeyRing::derive(*profile, salt.as_deref(), cookie.as_str(), secrets).ok()?;
        let opened = ring.open(&found.token(session)).ok()?;
        // At the beginning of time nothing has expired.
        let lenient = Rules { max_session_age: None, require_exp: false, ..Rules::default() };
        let session = claims::check(opened.plaintext(), None, &lenient, UnixMillis(0)).ok()?;
        Some(Times { exp: session.exp() })
    })
}
