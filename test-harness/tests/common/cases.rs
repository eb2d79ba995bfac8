//! The token vectors as requests: what a client sends, how the gate is configured, and what may become of it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jwe_gate_core::identity::encode;
use jwe_gate_core::jwe::Profile;
use serde::Deserialize;
use serde_json::{Value, json};

/// How many cases of the formats that the gate reads there are: (must, either).
const CASES: (usize, usize) = (102, 13);

/// One case of the file, as far as a request goes.
#[derive(Deserialize)]
pub struct Case {
    pub id: String,
    pub now: u64,
    pub cookie_name: String,
    pub secrets: Vec<String>,
    pub salt: Option<String>,
    format: String,
    cookies: String,
    cookies_b64: Option<String>,
    cookie_header_lines: Option<Vec<String>>,
    authorization: Option<String>,
    expect: Expected,
    verdict: String,
    #[serde(default)]
    also_acceptable: Vec<Expected>,
}

/// What a package makes of it.
#[derive(Deserialize)]
struct Expected {
    valid: bool,
    sub: Option<Value>,
}

/// The credentials of a request, line by line.
#[derive(Clone, Debug)]
pub struct Lines {
    pub cookies: Vec<Vec<u8>>,
    pub authorization: Vec<Vec<u8>>,
}

/// What became of a request.
#[derive(Debug)]
pub enum Outcome {
    /// The app got it with these header lines.
    Admitted(Vec<(String, String)>),
    /// It was answered with this status.
    Refused(u16),
}

/// The cases of the formats that the gate reads.
///
/// # Panics
/// When the file has not as many as it should.
pub fn load() -> Vec<(Case, Profile)> {
    #[derive(Deserialize)]
    struct File {
        cases: Vec<Case>,
    }
    let text = include_str!("../../vectors/dev.json");
    let file: File = serde_json::from_str(text).expect("the vectors are as described");
    let ours: Vec<_> =
        file.cases.into_iter().filter_map(|case| profile(&case.format).map(|profile| (case, profile))).collect();
    let count = |verdict: &str| ours.iter().filter(|(case, _)| case.verdict == verdict).count();
    assert_eq!((count("must"), count("either")), CASES, "the file has lost or gained cases");
    ours
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
    /// A configuration of the gate that reads tokens as the package does: it knows no limit of a session's age and asks
    /// for no `exp`.
    pub fn configuration(&self, profile: Profile) -> Value {
        let mut session = json!({
            "profile": profile,
            "cookie": self.cookie_name,
            "secrets": self.secrets,
            "max_session_age": "off",
            "require_exp": false,
        });
        if let Some(salt) = self.salt.as_deref().filter(|salt| *salt != profile.salt(None, &self.cookie_name)) {
            session["salt"] = salt.into();
        }
        json!({ "version": 1, "sessions": [session], "routes": [{ "access": "required" }] })
    }

    /// The credentials as the client sends them.
    pub fn lines(&self) -> Lines {
        let cookies = match (&self.cookies_b64, &self.cookie_header_lines) {
            (Some(encoded), _) => vec![STANDARD.decode(encoded).expect("base64 in the vectors")],
            (None, Some(lines)) => lines.iter().map(|line| line.clone().into_bytes()).collect(),
            (None, None) if self.cookies.is_empty() => Vec::new(),
            (None, None) => vec![self.cookies.clone().into_bytes()],
        };
        Lines { cookies, authorization: self.authorization.iter().map(|line| line.clone().into_bytes()).collect() }
    }

    /// What is wrong with an outcome, if anything is.
    pub fn complaint(&self, sent: &Lines, outcome: &Outcome) -> Option<String> {
        let also = if self.verdict == "either" { self.also_acceptable.as_slice() } else { &[] };
        let mut allowed = std::iter::once(&self.expect).chain(also);
        match outcome {
            Outcome::Refused(401) if allowed.any(|expected| !expected.valid) => None,
            Outcome::Admitted(headers) => {
                let named = values(headers, "x-user-id");
                let fits = |expected: &Expected| expected.valid && named == [encode(&expected.subject())];
                if !allowed.any(fits) {
                    return Some(format!("{}: admitted as {named:?}", self.id));
                }
                self.stranger(sent, headers).map(|stranger| format!("{}: the app got {stranger:?}", self.id))
            }
            Outcome::Refused(status) => Some(format!("{}: refused with {status}", self.id)),
        }
    }

    /// A session cookie or a Bearer token that the app got although it was not what let the request in.
    fn stranger(&self, sent: &Lines, headers: &[(String, String)]) -> Option<String> {
        let base = self.cookie_name.trim_start_matches("__Secure-");
        let shown = |name: &str| name.trim_start_matches("__Secure-").trim_start_matches("__Host-").starts_with(base);
        let cookies = sent.cookies.iter().map(|line| line.iter().copied().map(char::from).collect::<String>());
        let sent_cookies: Vec<(String, String)> = cookies.flat_map(|line| pairs(&line)).collect();
        // A cookie counts before chunks, and both before a Bearer.
        let plain = sent_cookies.iter().find(|(name, value)| *name == self.cookie_name && !value.is_empty());
        let chunk = |name: &str| {
            let number = name.strip_prefix(&self.cookie_name).and_then(|rest| rest.strip_prefix('.'));
            number.is_some_and(|number| number.parse::<u32>().is_ok_and(|parsed| parsed.to_string() == number))
        };
        let has_chunks = sent_cookies.iter().any(|(name, _)| chunk(name));
        let accepted = |pair: &(String, String)| match plain {
            Some(plain) => pair == plain,
            None => chunk(&pair.0) && sent_cookies.contains(pair),
        };
        let received = values(headers, "cookie").into_iter().flat_map(|line| pairs(&line));
        let mut strangers = received.filter(|pair| shown(&pair.0) && !accepted(pair)).map(|(name, _)| name);
        let bearer = || values(headers, "authorization").pop().filter(|_| plain.is_some() || has_chunks);
        strangers.next().or_else(bearer)
    }
}

impl Expected {
    fn subject(&self) -> String {
        self.sub.as_ref().and_then(Value::as_str).expect("a valid case has a subject").to_owned()
    }
}

fn values(headers: &[(String, String)], name: &str) -> Vec<String> {
    headers.iter().filter(|(found, _)| found == name).map(|(_, value)| value.clone()).collect()
}

fn pairs(line: &str) -> Vec<(String, String)> {
    let split = |piece: &str| {
        let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
        (name.trim().to_owned(), value.trim().to_owned())
    };
    line.split(';').map(split).collect()
}
