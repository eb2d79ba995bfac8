//! `jwe-gate mint`: a token as the app would make it.

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use jwe_gate_core::cookie::Name;
use jwe_gate_core::jwe::seal::{HeaderForm, Recipe};
use jwe_gate_core::jwe::{Encryption, KeyRing, Profile};
use jwe_gate_core::secret::Secret;
use serde_json::{Map, Value};

use crate::arguments::{MintArguments, SecretSource};
use crate::failure::Failure;

/// How long the packages make a session last.
const THIRTY_DAYS: u64 = 30 * 24 * 3600;

pub(crate) fn run(arguments: &MintArguments) -> Result<ExitCode, Failure> {
    let profile = Profile::from(arguments.profile);
    let cookie = arguments.cookie.as_deref().unwrap_or(usual_cookie(profile));
    if Name::new(cookie).is_none() {
        return Err(Failure::CookieName(cookie.to_owned()));
    }
    let secret = secret(&arguments.secret)?;
    let ring = KeyRing::derive(profile, arguments.salt.as_deref(), cookie, &[secret]).map_err(Failure::Derive)?;
    let token = seal(&ring, arguments)?;
    if arguments.chunk {
        println!("{}", cookie_header(cookie, &token, profile.chunk_size()));
    } else {
        println!("{token}");
    }
    Ok(ExitCode::SUCCESS)
}

fn seal(ring: &KeyRing, arguments: &MintArguments) -> Result<String, Failure> {
    let usual = usual_encryption(ring);
    let encryption = arguments.enc.map_or(usual, Encryption::from);
    let usual_kid = ring.profile().reads_kid() && encryption == usual;
    let kid = arguments.kid || (usual_kid && !arguments.no_kid);
    seal_as(ring, encryption, kid, claims(arguments)?)
}

/// A token with these claims as the package would make it, under the first secret.
pub(crate) fn seal_usual(ring: &KeyRing, claims: Map<String, Value>) -> Result<String, Failure> {
    seal_as(ring, usual_encryption(ring), ring.profile().reads_kid(), claims)
}

fn usual_encryption(ring: &KeyRing) -> Encryption {
    ring.profile().encryptions().first().copied().unwrap_or(Encryption::A256Gcm)
}

fn seal_as(ring: &KeyRing, encryption: Encryption, kid: bool, claims: Map<String, Value>) -> Result<String, Failure> {
    let random = random()?;
    let iv = random.get(..encryption.iv_len()).unwrap_or_default();
    let header = if kid { HeaderForm::Kid } else { HeaderForm::Plain };
    let payload = Value::Object(claims).to_string();
    ring.seal(&Recipe { secret: 0, encryption, header, iv }, payload.as_bytes()).map_err(Failure::Seal)
}

fn claims(arguments: &MintArguments) -> Result<Map<String, Value>, Failure> {
    let iat = arguments.iat.unwrap_or_else(now);
    let exp = arguments.exp.unwrap_or(iat.saturating_add(THIRTY_DAYS));
    let mut claims = Map::new();
    claims.insert("sub".to_owned(), Value::from(arguments.sub.as_str()));
    claims.insert("iat".to_owned(), Value::from(iat));
    claims.insert("exp".to_owned(), Value::from(exp));
    claims.insert("jti".to_owned(), Value::from(uuid(random()?)));
    for claim in &arguments.claims {
        let (name, json) = claim.split_once('=').ok_or_else(|| Failure::Claim(claim.clone()))?;
        let value = serde_json::from_str(json).map_err(|_| Failure::Claim(name.to_owned()))?;
        claims.insert(name.to_owned(), value);
    }
    Ok(claims)
}

/// The cookie of the package without TLS, where it does not put a prefix before the name.
const fn usual_cookie(profile: Profile) -> &'static str {
    match profile {
        Profile::AuthJs => "authjs.session-token",
        Profile::AuthJsLegacy | Profile::NextAuth => "next-auth.session-token",
    }
}

fn secret(source: &SecretSource) -> Result<Secret, Failure> {
    if let Some(path) = &source.secret_file {
        let bytes = std::fs::read(path).map_err(Failure::io(path))?;
        let text = String::from_utf8(bytes).map_err(|_| Failure::SecretEncoding(path.clone()))?;
        let line = text.strip_suffix('\n').unwrap_or(&text);
        return Ok(Secret::new(line.strip_suffix('\r').unwrap_or(line)));
    }
    let name = source.secret_env.as_deref().unwrap_or_default();
    std::env::var(name).map(Secret::new).map_err(|_| Failure::Environment(name.to_owned()))
}

/// The token as a Cookie header, cut where the package cuts it.
pub(crate) fn cookie_header(name: &str, token: &str, chunk_size: usize) -> String {
    if token.len() <= chunk_size {
        return format!("{name}={token}");
    }
    // A token is ASCII, so that every byte is a character.
    let chunks = token.as_bytes().chunks(chunk_size).map(String::from_utf8_lossy);
    let cookies: Vec<String> = chunks.enumerate().map(|(index, chunk)| format!("{name}.{index}={chunk}")).collect();
    cookies.join("; ")
}

pub(crate) fn random() -> Result<[u8; 16], Failure> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| Failure::Randomness)?;
    Ok(bytes)
}

/// A version 4 UUID (RFC 9562 section 5.4).
pub(crate) fn uuid(bytes: [u8; 16]) -> String {
    let number = u128::from_be_bytes(bytes) & !(0xf << 76) & !(0b11 << 62) | 0x4 << 76 | 0b10 << 62;
    let hex = format!("{number:032x}");
    let part = |from, to| hex.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

/// Seconds since 1970, by this machine's clock.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
