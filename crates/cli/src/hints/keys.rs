//! Tokens that no configured key opens: would another salt, profile or spelling of the secret?

use jwe_gate_core::config::SessionConfig;
use jwe_gate_core::jwe::Profile;
use jwe_gate_core::secret::Secret;

use super::probe::{opens, package, spellings};
use crate::inspect::Found;

/// Cookie names that the packages use by themselves.
const USUAL: [&str; 2] = ["authjs.session-token", "next-auth.session-token"];

/// Tries the token with keys that are close to the configured ones. The first that opens it is told.
pub(super) fn others(token: &[u8], found: &Found<'_, '_>, hints: &mut Vec<String>) {
    let told = |session: &&SessionConfig| {
        let attempts = [salt, profile, secret_text, secret_text_and_salt];
        attempts.iter().find_map(|attempt| attempt(token, session))
    };
    hints.extend(found.sessions.iter().find_map(told));
}

/// The same package with another salt: nearly always the other spelling of the cookie's name.
fn salt(token: &[u8], session: &SessionConfig) -> Option<String> {
    let in_effect = session.profile.salt(session.salt.as_deref(), session.cookie.as_str());
    let found = salts(session).into_iter().find(|salt| opens_with(token, session, session.profile, salt))?;
    let prefixed = |name: &str| name.starts_with("__");
    let why = if prefixed(&found) == prefixed(in_effect) {
        ""
    } else {
        "; that is the cookie's name with TLS and without it, and the app and the proxy do not agree on TLS"
    };
    Some(format!(
        "the token opens with the salt \"{found}\" where the configuration has \"{in_effect}\"{why}. Auth.js takes \
         the cookie's name, prefix included, as salt: set \"cookie\" to the name that the app uses, or \"salt\""
    ))
}

/// Another package with the same secret.
fn profile(token: &[u8], session: &SessionConfig) -> Option<String> {
    let others = Profile::ALL.into_iter().filter(|profile| *profile != session.profile);
    for other in others {
        let salt = salts(session).into_iter().find(|salt| opens_with(token, session, other, salt));
        if let Some(salt) = salt {
            let salt = if other.salt(None, session.cookie.as_str()) == salt {
                String::new()
            } else {
                format!(" and \"salt\": \"{salt}\"")
            };
            return Some(format!(
                "the token is of {}, and the configuration is for {}. The keys differ in length and derivation although \
                 the secret is the same: set \"profile\": \"{}\"{salt}",
                package(other),
                package(session.profile),
                other.as_str(),
            ));
        }
    }
    None
}

/// The same text with or without what gets into secrets by accident.
fn secret_text(token: &[u8], session: &SessionConfig) -> Option<String> {
    let salt = session.salt.as_deref();
    let opens = |secret: Secret| opens(token, session.profile, salt, session.cookie.as_str(), &[secret]);
    told_of_secret(session, opens)
}

/// The same, where the prefix of the cookie is wrong as well.
fn secret_text_and_salt(token: &[u8], session: &SessionConfig) -> Option<String> {
    let cookie = session.cookie.as_str();
    let salts = salts(session);
    let opens = |secret: Secret| {
        let secrets = [secret];
        salts.iter().any(|salt| opens(token, session.profile, Some(salt), cookie, &secrets))
    };
    told_of_secret(session, opens).map(|told| format!("{told}; and the salt differs too"))
}

fn told_of_secret(session: &SessionConfig, opens: impl Fn(Secret) -> bool) -> Option<String> {
    for (index, secret) in session.secrets.iter().enumerate() {
        let Ok(text) = std::str::from_utf8(secret.expose()) else { continue };
        for (variant, difference) in variants(text) {
            if variant != text && !variant.is_empty() && opens(Secret::new(variant)) {
                return Some(format!(
                    "the token opens once secrets[{index}] {difference}. The packages use every byte of a secret as it is"
                ));
            }
        }
    }
    None
}

/// What a secret might have been meant to be, and how that differs.
fn variants(text: &str) -> [(String, &'static str); 8] {
    let unquoted = text.trim().trim_matches(['"', '\'']);
    [
        (text.trim_end_matches(['\r', '\n']).to_owned(), "has no line break at its end"),
        (text.trim().to_owned(), "has no white space around it"),
        (unquoted.to_owned(), "has no quotes around it"),
        (format!("{text}\n"), "has a line break at its end, as the app's has"),
        (format!("{text}\r\n"), "has a Windows line break at its end, as the app's has"),
        (format!("{text} "), "has a space at its end, as the app's has"),
        (format!("\"{text}\""), "has double quotes around it, as the app's has"),
        (format!("'{text}'"), "has single quotes around it, as the app's has"),
    ]
}

/// Salts that are not in effect and might be meant.
fn salts(session: &SessionConfig) -> Vec<String> {
    let configured = session.cookie.as_str();
    let names = [configured].into_iter().chain(USUAL).flat_map(spellings);
    names.chain([String::new()]).collect()
}

fn opens_with(token: &[u8], session: &SessionConfig, profile: Profile, salt: &str) -> bool {
    opens(token, profile, Some(salt), session.cookie.as_str(), &session.secrets)
}
