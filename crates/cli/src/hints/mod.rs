//! What people trip over, in plain words. A hint is given for what was tried and found, not for what might be.

mod cookies;
mod keys;
mod probe;
mod times;
mod token;

use jwe_gate_core::config::Config;
use jwe_gate_core::jwe::JweError;

use crate::inspect::{Reason, Request};

/// Everything worth saying about a request; `reason` is why it has no session.
pub(crate) fn all(config: &Config, request: &Request<'_>, reason: Option<Reason>) -> Vec<String> {
    let mut hints = Vec::new();
    match reason {
        None => {}
        Some(Reason::NoToken) => cookies::absent(config, request, &mut hints),
        Some(Reason::Credential(error)) => cookies::unreadable(config, request, error, &mut hints),
        Some(Reason::Claims(error)) => times::refused(config, request, error, &mut hints),
        Some(Reason::Jwe(error)) => refused(config, request, error, &mut hints),
    }
    cookies::size(request, &mut hints);
    hints
}

fn refused(config: &Config, request: &Request<'_>, error: JweError, hints: &mut Vec<String>) {
    let Ok(found) = request.token(config) else { return };
    let Some(session) = found.sessions.first() else { return };
    let token = found.token(session);
    let before = hints.len();
    token::form(&token, error, hints);
    keys::others(&token, &found, hints);
    cookies::left_over(config, request, &found, hints);
    if hints.len() == before {
        hints.push(token::in_general(error).to_owned());
    }
}
