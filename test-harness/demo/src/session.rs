//! Sessions as an Auth.js v5 application issues them, under a secret of this run.
use std::fs::File;
use std::io::Read;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use jwe_gate_core::jwe::seal::{HeaderForm, Recipe};
use jwe_gate_core::jwe::{Encryption, KeyRing, Profile};
use jwe_gate_core::secret::Secret;

/// The cookie in the shipped configuration.
pub(crate) const COOKIE: &str = "__Secure-authjs.session-token";

/// The application that signs users in.
pub(crate) struct Issuer {
    secret: String,
    keys: KeyRing,
}

impl Issuer {
    /// With a secret of its own.
    pub(crate) fn new() -> Result<Self> {
        let secret = random_text()?;
        let keys = KeyRing::derive(Profile::AuthJs, None, COOKIE, &[Secret::new(secret.clone())])?;
        Ok(Self { secret, keys })
    }

    /// What the filter must know to read its sessions.
    pub(crate) fn secret(&self) -> &str {
        &self.secret
    }

    /// A session of `user`, an hour old.
    pub(crate) fn token(&self, user: &str) -> Result<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let claims = format!(
            r#"{{"name":"{user}","email":"{user}@example.org","sub":"{user}","iat":{},"exp":{},"jti":"{}"}}"#,
            now - 3600,
            now + 29 * 24 * 3600,
            random_text()?,
        );
        let recipe =
            Recipe { secret: 0, encryption: Encryption::A256CbcHs512, header: HeaderForm::Kid, iv: &random()? };
        Ok(self.keys.seal(&recipe, claims.as_bytes())?)
    }
}

/// 32 random bytes in hexadecimal.
pub(crate) fn random_text() -> Result<String> {
    let half = || random().map(u128::from_be_bytes);
    Ok(format!("{:032x}{:032x}", half()?, half()?))
}

fn random() -> Result<[u8; 16]> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes)).context("cannot read /dev/urandom")?;
    Ok(bytes)
}
