//! Cookies that are missing, twice, in pieces, left over, or too large.

use jwe_gate_core::config::{Config, SessionConfig};
use jwe_gate_core::cookie::CredentialError;

use super::probe::{base, opens, package, spellings};
use crate::inspect::{Found, Request};

/// Where the first of the usual limits lies: nginx reads header lines of 8 KiB, Node all headers of 16 KiB.
const NGINX_LINE: usize = 8 * 1024;
/// Envoy's limit for all headers of a request.
const ENVOY_HEADERS: usize = 60 * 1024;

/// There is no session cookie: what is there instead?
pub(super) fn absent(config: &Config, request: &Request<'_>, hints: &mut Vec<String>) {
    if request.cookie.get(..7).is_some_and(|start| start.eq_ignore_ascii_case(b"cookie:")) {
        hints.push("the input begins with \"Cookie:\"; give the header's value alone".to_owned());
    }
    let before = hints.len();
    for session in &config.sessions {
        let found = other_spelling(session, request).or_else(|| other_package(session, request));
        hints.extend(found.or_else(|| nearly(session, request)));
    }
    if hints.len() == before && request.cookie.is_empty() && request.authorization.is_none() {
        hints.push(
            "the request has no cookies: a browser sends a \"__Secure-\" cookie over https only, and any cookie only to its \
             own domain and path"
                .to_owned(),
        );
    }
}

/// The name with another prefix.
fn other_spelling(session: &SessionConfig, request: &Request<'_>) -> Option<String> {
    let configured = session.cookie.as_str();
    let others = spellings(configured).into_iter().filter(|name| name != configured);
    let (name, token) = others.into_iter().find_map(|name| token(request.cookie, &name).map(|token| (name, token)))?;
    let SessionConfig { profile, secrets, .. } = session;
    let opens = opens(&token, *profile, None, &name, secrets);
    let proof = if opens { ", and it opens with the configured secret" } else { "" };
    Some(format!(
        "the request has the cookie \"{name}\" and the configuration names \"{configured}\"{proof}. The app puts \
         \"__Secure-\" before the name when it is served over https, also behind a proxy that ends TLS; the salt follows the \
         name. Set \"cookie\": \"{name}\""
    ))
}

/// The name that another package gives its cookie.
fn other_package(session: &SessionConfig, request: &Request<'_>) -> Option<String> {
    use jwe_gate_core::jwe::Profile;
    let configured = session.cookie.as_str();
    let usual = [("authjs.session-token", Profile::AuthJs), ("next-auth.session-token", Profile::NextAuth)];
    let (name, profile) = usual
        .into_iter()
        .filter(|(name, _)| *name != base(configured))
        .flat_map(|(name, profile)| spellings(name).map(|name| (name, profile)))
        .find(|(name, _)| token(request.cookie, name).is_some())?;
    Some(format!(
        "the request has the cookie \"{name}\" of {} and the configuration is for \"{configured}\" of {}. Set \"profile\" and \
         \"cookie\" to what the app uses; both may be listed during an upgrade",
        package(profile),
        package(session.profile)
    ))
}

/// The name, in another case or without a value.
fn nearly(session: &SessionConfig, request: &Request<'_>) -> Option<String> {
    let configured = session.cookie.as_str();
    let mut pieces = request.cookie.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    pieces.find_map(|piece| {
        let end = piece.iter().position(|byte| *byte == b'=').unwrap_or(piece.len());
        let (name, rest) = piece.split_at_checked(end)?;
        if name == configured.as_bytes() {
            let what = if rest.is_empty() { "no value" } else { "an empty value: the app has signed the user out" };
            return Some(format!("the cookie \"{configured}\" has {what}"));
        }
        name.eq_ignore_ascii_case(configured.as_bytes())
            .then(|| format!("a cookie has the name \"{configured}\" in other capitals; names are told apart by them"))
    })
}

/// There is a session cookie, and it cannot be read.
pub(super) fn unreadable(config: &Config, request: &Request<'_>, error: CredentialError, hints: &mut Vec<String>) {
    hints.push(match error {
        CredentialError::AmbiguousBearer => "there are two Authorization headers".to_owned(),
        CredentialError::AmbiguousCookie => "the browser sends the session cookie twice, which happens when it was set for two \
             domains or paths (example.org and www.example.org, say). Parsers do not agree on which one counts: delete one, \
             and set the cookie's \"domain\" and \"path\" in one place only"
            .to_owned(),
        CredentialError::ChunkIncomplete => missing_chunk(config, request),
        CredentialError::HeaderTooLarge | CredentialError::TokenTooLarge | CredentialError::TooManyChunks => {
            "the session cookie is larger than the configured limits: put less into the token in the app's \"jwt\" callback \
             (pictures and access tokens are what is usually too large), or raise \"limits\""
                .to_owned()
        }
    });
}

fn missing_chunk(config: &Config, request: &Request<'_>) -> String {
    let told = config.sessions.iter().find_map(|session| {
        let present = chunk_numbers(request.cookie, session.cookie.as_str());
        let last = present.iter().max().copied()?;
        let missing = (0..last).find(|number| !present.contains(number))?;
        let name = session.cookie.as_str();
        Some(format!("the chunk \"{name}.{missing}\" is missing, and there is \"{name}.{last}\""))
    });
    let told = told.unwrap_or_else(|| "a chunk of the session cookie is missing".to_owned());
    format!(
        "{told}: one was dropped on the way, or the later ones are left over from a longer session. Delete the cookies and \
         sign in again"
    )
}

fn chunk_numbers(header: &[u8], name: &str) -> Vec<usize> {
    let names =
        header.split(|byte| *byte == b';').filter_map(|piece| piece.trim_ascii().split(|byte| *byte == b'=').next());
    let digits = names.filter_map(|found| found.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"."));
    digits.filter_map(|digits| std::str::from_utf8(digits).ok()?.parse().ok()).collect()
}

/// The token does not open: are there cookies of another session in it, or beside it?
pub(super) fn left_over(config: &Config, request: &Request<'_>, found: &Found<'_, '_>, hints: &mut Vec<String>) {
    let Some(session) = found.sessions.first() else { return };
    let name = session.cookie.as_str();
    let opens = |token: &[u8]| opens(token, session.profile, session.salt.as_deref(), name, &session.secrets);
    let pieces = &found.pieces;
    let fewer =
        (1..pieces.len()).find(|count| opens(&pieces.iter().take(*count).copied().collect::<Vec<_>>().concat()));
    if let Some(count) = fewer {
        hints.push(format!(
            "the token opens without \"{name}.{count}\" and what follows: those chunks are left over from a longer session"
        ));
    } else if in_other_order(pieces, &opens) {
        hints.push("the token opens when its chunks are joined in another order than their numbers say".to_owned());
    } else if pieces.len() > 1 {
        hints.push(format!(
            "the token comes in {} chunks: some may belong to another session. Delete the cookies and sign in again",
            pieces.len()
        ));
    } else {
        let chunked = !chunk_numbers(request.cookie, name).is_empty() && config.limits.chunks > 0;
        let joined = chunked.then(|| joined_chunks(request.cookie, name));
        if joined.is_some_and(|joined| opens(&joined)) {
            hints.push(format!(
                "the cookie \"{name}\" is left over: the chunks beside it hold the session. Delete it and sign in again"
            ));
        }
    }
}

/// Whether some order of a few chunks opens.
fn in_other_order(pieces: &[&[u8]], opens: &impl Fn(&[u8]) -> bool) -> bool {
    (2..=5).contains(&pieces.len()) && permuted(pieces.to_vec(), 0, opens)
}

fn permuted(mut pieces: Vec<&[u8]>, fixed: usize, opens: &impl Fn(&[u8]) -> bool) -> bool {
    if fixed + 1 >= pieces.len() {
        return opens(&pieces.concat());
    }
    (fixed..pieces.len()).any(|other| {
        pieces.swap(fixed, other);
        permuted(pieces.clone(), fixed + 1, opens)
    })
}

fn joined_chunks(header: &[u8], name: &str) -> Vec<u8> {
    let values = (0..).map_while(|number| value(header, &format!("{name}.{number}")));
    values.collect::<Vec<_>>().concat()
}

/// The value of a cookie, as it stands.
fn value<'a>(header: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut pieces = header.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    pieces.find_map(|piece| piece.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}

/// The token under a name, whole or in chunks.
fn token(header: &[u8], name: &str) -> Option<Vec<u8>> {
    let whole = value(header, name).map(<[u8]>::to_vec).filter(|token| !token.is_empty());
    whole.or_else(|| Some(joined_chunks(header, name)).filter(|token| !token.is_empty()))
}

/// Large headers, whatever was said of the token.
pub(super) fn size(request: &Request<'_>, hints: &mut Vec<String>) {
    let len = request.cookie.len();
    if len >= ENVOY_HEADERS {
        hints.push(format!("the Cookie header has {len} bytes: Envoy answers 431 above 60 KiB of headers"));
    } else if len >= NGINX_LINE {
        hints.push(format!(
            "the Cookie header has {len} bytes: nginx answers 400 above 8 KiB for one header, Node 431 above 16 KiB for all, \
             unless they are told otherwise"
        ));
    }
}
