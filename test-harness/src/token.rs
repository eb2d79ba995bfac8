//! Tokens for scenarios, minted by the core's own sealing; that it agrees with the packages is what the vectors show.

use std::time::{SystemTime, UNIX_EPOCH};

use std::sync::atomic::{AtomicU64, Ordering};

use jwe_gate_core::jwe::seal::{HeaderForm, Recipe};
use jwe_gate_core::jwe::{Encryption, KeyRing, Profile};
use jwe_gate_core::secret::Secret;
use serde_json::{Map, Value, json};

/// A token to be minted. What is not said is as in [`Token::of`].
#[derive(Clone, Debug)]
pub struct Token {
    profile: Profile,
    cookie: String,
    salt: Option<String>,
    secret: String,
    claims: Map<String, Value>,
}

/// The cookie that scenarios use.
pub const COOKIE: &str = "authjs.session-token";

/// The secret that scenarios use.
pub const SECRET: &str = "the secret of the scenarios";

impl Token {
    /// A token of Auth.js v5 for this subject, issued a minute before `now_ms` and good for an hour.
    #[must_use]
    pub fn of(subject: &str, now_ms: u64) -> Self {
        let now = now_ms / 1000;
        let claims = json!({ "sub": subject, "iat": now - 60, "exp": now + 3600, "jti": "a token of the scenarios" });
        let Value::Object(claims) = claims else { unreachable!("an object was written") };
        Self { profile: Profile::AuthJs, cookie: COOKIE.into(), salt: None, secret: SECRET.into(), claims }
    }

    /// Sets a claim.
    #[must_use]
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.into(), value.into());
        self
    }

    /// Replaces all claims.
    #[must_use]
    pub fn claims(mut self, claims: Map<String, Value>) -> Self {
        self.claims = claims;
        self
    }

    /// Encrypts under another secret.
    #[must_use]
    pub fn secret(mut self, secret: &str) -> Self {
        self.secret = secret.into();
        self
    }

    /// Is meant for another cookie.
    #[must_use]
    pub fn cookie(mut self, cookie: &str) -> Self {
        self.cookie = cookie.into();
        self
    }

    /// Uses this salt.
    #[must_use]
    pub fn salt(mut self, salt: Option<&str>) -> Self {
        self.salt = salt.map(Into::into);
        self
    }

    /// Has the form of another package.
    #[must_use]
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// The token itself. Two of them are never alike.
    #[must_use]
    pub fn mint(&self) -> String {
        static MINTED: AtomicU64 = AtomicU64::new(1);
        let secrets = [Secret::new(self.secret.as_str())];
        let keys =
            KeyRing::derive(self.profile, self.salt.as_deref(), &self.cookie, &secrets).expect("a usable secret");
        let encryption = self.profile.encryptions()[0];
        let mut iv = MINTED.fetch_add(1, Ordering::Relaxed).to_le_bytes().to_vec();
        iv.resize(encryption.iv_len(), 7);
        let header = if encryption == Encryption::A256CbcHs512 { HeaderForm::Kid } else { HeaderForm::Plain };
        let payload = Value::Object(self.claims.clone()).to_string();
        keys.seal(&Recipe { secret: 0, encryption, header, iv: &iv }, payload.as_bytes()).expect("a sealed token")
    }

    /// `<cookie>=<token>`.
    #[must_use]
    pub fn pair(&self) -> String {
        format!("{}={}", self.cookie, self.mint())
    }
}

/// The machine's clock, in milliseconds since 1970: for tokens that a real proxy is to accept.
pub fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    u64::try_from(now.as_millis()).expect("a clock before the year 500,000,000")
}
