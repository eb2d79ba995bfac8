//! The token vectors, through the whole path from Cookie header to session.
//!
//! The packages know no limit of a session's age and accept a token without `exp`, so the vectors are run that way.

#![expect(clippy::unwrap_used, reason = "outside test functions too, here")]

use jwe_gate_core::claims::{self, ClaimsError, Rules, Session};
use jwe_gate_core::cookie::{self, CredentialError, Limits, Name};
use jwe_gate_core::jwe::{JweError, KeyRing, Profile};
use jwe_gate_core::secret::Secret;
use jwe_gate_core::time::UnixMillis;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct File {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    id: String,
    format: String,
    cookie_name: String,
    secrets: Vec<String>,
    salt: Option<String>,
    now: u64,
    cookies: String,
    cookies_b64: Option<String>,
    cookie_header_lines: Option<Vec<String>>,
    authorization: Option<String>,
    expect: Outcome,
    verdict: String,
    #[serde(default)]
    also_acceptable: Vec<Outcome>,
}

#[derive(Deserialize)]
struct Outcome {
    valid: bool,
    reason: String,
    sub: Option<Value>,
    claims: Option<Value>,
}

fn profile(format: &str) -> Option<Profile> {
    match format {
        "authjs-v5" => Some(Profile::AuthJs),
        "authjs-legacy" => Some(Profile::AuthJsLegacy),
        "nextauth-v4" => Some(Profile::NextAuth),
        _ => None,
    }
}

impl Case {
    fn lines(&self) -> Vec<Vec<u8>> {
        use base64::Engine;
        if let Some(encoded) = &self.cookies_b64 {
            return vec![base64::engine::general_purpose::STANDARD.decode(encoded).unwrap()];
        }
        match &self.cookie_header_lines {
            Some(lines) => lines.iter().map(|line| line.clone().into_bytes()).collect(),
            None if self.cookies.is_empty() => Vec::new(),
            None => vec![self.cookies.clone().into_bytes()],
        }
    }

    fn session(&self, profile: Profile) -> Result<Session, &'static str> {
        let secrets: Vec<Secret> = self.secrets.iter().map(Secret::new).collect();
        let ring = KeyRing::derive(profile, self.salt.as_deref(), &self.cookie_name, &secrets).unwrap();
        let names = [Name::new(&self.cookie_name).unwrap()];
        let lines = self.lines();
        let lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
        let limits = Limits::default();

        let scan = cookie::scan(&lines, &names, &limits).map_err(CredentialError::as_str)?;
        let authorization: Vec<&[u8]> = self.authorization.iter().map(String::as_bytes).collect();
        let token = match scan.credential() {
            Some(credential) => credential.token(profile),
            None => cookie::bearer(&authorization, &limits).map_err(CredentialError::as_str)?.ok_or("no_token")?,
        };
        let opened = ring.open(&token).map_err(JweError::as_str)?;
        let rules = Rules { max_session_age: None, require_exp: false, ..Rules::default() };
        claims::check(opened.plaintext(), opened.replicated(), &rules, UnixMillis::from_seconds(self.now))
            .map_err(ClaimsError::as_str)
    }

    /// What went wrong, if anything did.
    fn complaint(&self, profile: Profile) -> Option<String> {
        let found = self.session(profile);
        let fits = |outcome: &Outcome| {
            found.is_ok() == outcome.valid
                && found.as_ref().map_or(true, |session| outcome.sub == Some(Value::from(session.subject())))
        };
        let also = if self.verdict == "either" { self.also_acceptable.as_slice() } else { &[] };
        if !fits(&self.expect) && !also.iter().any(fits) {
            let found = found.as_ref().map_or_else(|reason| *reason, |_| "accepted");
            return Some(format!("{}: {found}, expected {}", self.id, self.expect.reason));
        }
        match (&found, &self.expect.claims) {
            (Ok(session), Some(claims)) if doubles(claims) != doubles(&Value::Object(session.claims().clone())) => {
                Some(format!("{}: other claims", self.id))
            }
            _ => None,
        }
    }
}

/// Numbers as JavaScript has them.
fn doubles(value: &Value) -> Value {
    match value {
        Value::Number(number) => Value::from(number.as_f64()),
        Value::Array(list) => list.iter().map(doubles).collect(),
        Value::Object(map) => map.iter().map(|(name, value)| (name.clone(), doubles(value))).collect(),
        other => other.clone(),
    }
}

/// JavaScript strings may hold half a surrogate pair, and what one vector expects does. Rust strings cannot.
fn without_lone_surrogates(text: &str) -> String {
    let half = |at: usize, digits: &[u8]| {
        text.get(at..at + 6).is_some_and(|escape| {
            escape.starts_with("\\ud")
                && escape.as_bytes().get(3).is_some_and(|digit| digits.contains(&digit.to_ascii_lowercase()))
        })
    };
    let mut whole = text.to_owned();
    let mut at = 0;
    while let Some(found) = text[at..].find("\\ud") {
        at += found;
        if half(at, b"89ab") && half(at + 6, b"cdef") {
            at += 12;
        } else {
            if half(at, b"89abcdef") {
                whole.replace_range(at..at + 6, "\\ufffd");
            }
            at += 4;
        }
    }
    whole
}

#[test]
fn every_vector_of_our_formats_has_the_verdict_of_the_package() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../test-harness/vectors/dev.json");
    let text = without_lone_surrogates(&std::fs::read_to_string(path).unwrap());
    let file: File = serde_json::from_str(&text).unwrap();
    let ours: Vec<_> = file.cases.iter().filter_map(|case| Some((case, profile(&case.format)?))).collect();
    let count = |verdict: &str| ours.iter().filter(|(case, _)| case.verdict == verdict).count();
    assert_eq!((count("must"), count("either")), (102, 13), "the file has lost or gained cases");

    let complaints: Vec<String> = ours.iter().filter_map(|(case, profile)| case.complaint(*profile)).collect();
    assert!(complaints.is_empty(), "{} of {}:\n{}", complaints.len(), ours.len(), complaints.join("\n"));
}
