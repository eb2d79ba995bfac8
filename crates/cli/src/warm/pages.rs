//! Pages, asked for as users: so that each proxy knows them, and has stored what is the same for all.

use jwe_gate_core::config::SessionConfig;
use jwe_gate_core::jwe::KeyRing;
use serde_json::{Map, Value};
use ureq::Agent;

use super::tally::Seen;
use crate::failure::Failure;
use crate::mint;

/// A Cookie header for each user, with a session under the first secret that lasts for five minutes.
pub(super) fn sessions(session: &SessionConfig, users: &[&String]) -> Result<Vec<String>, Failure> {
    let SessionConfig { profile, salt, cookie, secrets, .. } = session;
    let ring = KeyRing::derive(*profile, salt.as_deref(), cookie.as_str(), secrets).map_err(Failure::Derive)?;
    let mint = |user: &&String| {
        let token = mint::seal_usual(&ring, claims(session, user)?)?;
        Ok(mint::cookie_header(cookie.as_str(), &token, profile.chunk_size()))
    };
    users.iter().map(mint).collect()
}

/// The answer is read to its end, so that the connection can be used again and the page is stored.
pub(super) fn visit(agent: &Agent, page: &str, host: Option<&str>, session: &str) -> Seen {
    let request = agent.get(page).header("cookie", session);
    let request = host.into_iter().fold(request, |request, host| request.header("host", host));
    let Ok(mut answer) = request.call() else { return Seen::Failed("without an answer") };
    if std::io::copy(&mut answer.body_mut().as_reader(), &mut std::io::sink()).is_err() {
        return Seen::Failed("with an answer that broke off");
    }
    match answer.status().as_u16() {
        200..=399 => Seen::Passed,
        403 => Seen::Refused,
        401 => Seen::Failed("401: the proxy does not accept sessions of this configuration"),
        400..=499 => Seen::Failed("with another status from 400 to 499"),
        503 => Seen::Failed("503: the proxy could not look up, or the application is overloaded"),
        _ => Seen::Failed("with a status of 500 or more"),
    }
}

fn claims(session: &SessionConfig, user: &str) -> Result<Map<String, Value>, Failure> {
    let now = mint::now();
    let mut claims = Map::new();
    claims.insert("sub".to_owned(), Value::from(user));
    claims.insert("iat".to_owned(), Value::from(now));
    claims.insert("exp".to_owned(), Value::from(now.saturating_add(LIFETIME)));
    claims.insert("jti".to_owned(), Value::from(mint::uuid(mint::random()?)));
    for (name, value) in [("iss", &session.rules.issuer), ("aud", &session.rules.audience)] {
        if let Some(value) = value {
            claims.insert(name.to_owned(), Value::from(value.as_str()));
        }
    }
    Ok(claims)
}

const LIFETIME: u64 = 300;
