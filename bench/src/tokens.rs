//! Sessions as Auth.js v5 makes them: the same claims, of the usual size, under a secret of this bench.
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use jwe_gate_core::jwe::seal::{HeaderForm, Recipe};
use jwe_gate_core::jwe::{Encryption, KeyRing, Profile};
use jwe_gate_core::secret::Secret;

/// The cookie that carries the token.
pub const COOKIE: &str = "__Secure-authjs.session-token";

/// The secret of the sessions.
pub const SECRET: &str = "bench-only: 7Vd0yq2mJ0o2kGq9";

/// Makes sessions.
pub struct Mint {
    ring: KeyRing,
    now: u64,
}

impl Mint {
    /// With tokens issued now.
    ///
    /// # Errors
    /// When the clock is before 1970.
    pub fn new() -> Result<Self> {
        let ring = KeyRing::derive(Profile::AuthJs, None, COOKIE, &[Secret::new(SECRET)])?;
        Ok(Self { ring, now: SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() })
    }

    /// The token of user number `user`.
    ///
    /// # Errors
    /// When the recipe is wrong.
    pub fn token(&self, user: u64) -> Result<String> {
        let iv = u128::from(user).to_be_bytes();
        let recipe = Recipe { secret: 0, encryption: Encryption::A256CbcHs512, header: HeaderForm::Kid, iv: &iv };
        let (issued, expires) = (self.now - 5, self.now + 30 * 24 * 3600 - 5);
        let claims = format!(
            r#"{{"name":"User Number {user}","email":"user{user}@example.org","picture":"https://example.org/avatars/{user}.png","sub":"{}","iat":{issued},"exp":{expires},"jti":"b6c9fa2e-8f0e-4a57-9c63-{user:012x}"}}"#,
            Self::subject(user)
        );
        Ok(self.ring.seal(&recipe, claims.as_bytes())?)
    }

    /// A browser's request for a page that carries this token among other cookies, the last of which has this value.
    #[must_use]
    pub fn request(token: &str, page: &str, last: &str) -> Vec<u8> {
        format!(
            "GET {page} HTTP/1.1\r\n\
             host: localhost\r\n\
             user-agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
             accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
             accept-language: en-US,en;q=0.5\r\n\
             accept-encoding: gzip, deflate, br, zstd\r\n\
             referer: https://localhost/\r\n\
             cookie: theme=dark; {COOKIE}={token}; lang={last}\r\n\
             \r\n"
        )
        .into_bytes()
    }

    /// The id of user number `user`, a UUID as databases make them.
    #[must_use]
    pub fn subject(user: u64) -> String {
        format!("7d2f1c3a-52b4-4e0f-8a1d-{user:012x}")
    }
}
