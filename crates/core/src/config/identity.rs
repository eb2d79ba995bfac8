//! What the operator wrote of identity headers, and what it means.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use serde::Deserialize;

use super::check::header_name;
use super::error::{ConfigError, Fault};
use super::scalar::{RawClaimPath, SecretRef, Whole};
use super::{Checked, IdentityConfig};
use crate::claims::ClaimPath;
use crate::identity::{Entry, Issuer, Preset, Source, default_entries, names_an_account};
use crate::jws::{NotAKey, Signer};
use crate::secret::Secret;

/// What the app is told of the user.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawIdentity {
    /// Headers, and where their values come from; instead of `x-user-id`, `x-user-email` and `x-user-name`. Their names
    /// are written in lower case; those of the presets count as well. Without presets it must not be empty.
    #[cfg_attr(feature = "schema", schemars(extend("maxProperties" = 32)))]
    headers: Option<BTreeMap<String, RawSource>>,
    /// Applications whose headers are set as well.
    #[serde(default)]
    presets: Vec<Preset>,
    /// What presets take for the name of the account.
    #[cfg_attr(feature = "schema", schemars(extend("default" = "sub")))]
    #[serde(default)]
    account: Account,
    /// Whether the session's cookies are kept from the application. `issuer_paths` still get them.
    #[serde(default)]
    remove_cookie: bool,
    /// Whether the session's Bearer value is kept from the application. `issuer_paths` still get it.
    #[serde(default)]
    remove_authorization: bool,
    /// A signed form of the identity, for applications that want proof.
    pub(super) jwt: Option<RawJwt>,
}

/// A signed form of the identity, for apps that want proof.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawJwt {
    /// The header that carries it.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 64), extend("default" = "x-identity-jwt")))]
    header: Option<String>,
    /// The private key, as `jwe-gate identity-key` prints it.
    key: SecretRef,
    /// `iss`.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    issuer: String,
    /// `aud`.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    audience: String,
    /// From `iat` to `exp`, in seconds.
    lifetime_seconds: Option<Whole<10, 3600, 300>>,
    /// Further claims, and where their values come from, as in `identity.headers`.
    #[serde(default)]
    claims: BTreeMap<String, RawSource>,
}

/// What names an account.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(super) enum Account {
    /// The user id.
    #[default]
    Sub,
    /// The email address, if it is verified. A user without one has no account.
    VerifiedEmail,
}

/// Where the value of a header comes from: `"sub"`, `"verified_email"`, `{"claim": …}` or `{"field": …}`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(super) enum RawSource {
    /// The user id.
    Sub,
    /// The email address, if it is verified.
    VerifiedEmail,
    /// A claim of the token.
    Claim(RawClaimPath),
    /// A field of the user, one of `lookup.fields`.
    Field(RawClaimPath),
}

/// The most headers; each costs every request a call to the proxy.
const MAX: usize = 32;

/// Checks the table. `fields` are those that the lookup is asked for, `taken` is the header of the bypass.
pub(super) fn identity(raw: RawIdentity, fields: &[String], taken: Option<&str>) -> Checked<IdentityConfig> {
    let mut entries = match raw.headers {
        None => default_entries(),
        Some(headers) => {
            headers.into_iter().map(|(name, source)| entry(&name, source, fields)).collect::<Checked<_>>()?
        }
    };
    let account = match raw.account {
        Account::Sub => Source::Subject,
        Account::VerifiedEmail => Source::VerifiedEmail,
    };
    // What the database says of a user counts for more than what the token says.
    let fact = |name: &str| match ClaimPath::dotted(name) {
        Some(path) if fields.iter().any(|field| field == name) => Source::Field(path),
        Some(path) => Source::Claim(path),
        None => Source::Subject,
    };
    for (index, preset) in raw.presets.iter().enumerate() {
        let path = format!("identity.presets[{index}]");
        for entry in preset.entries(&account, fact) {
            if entries.iter().any(|earlier| earlier.header == entry.header) {
                return Err(ConfigError::new(path, Fault::DuplicateHeader));
            }
            entries.push(entry);
        }
    }
    if entries.is_empty() || entries.len() > MAX {
        let fault = if entries.is_empty() { Fault::Empty } else { Fault::TooMany { max: MAX } };
        return Err(ConfigError::new("identity.headers", fault));
    }
    if entries.iter().any(|entry| Some(&*entry.header) == taken) {
        return Err(ConfigError::new("bypass.header", Fault::HeaderReserved));
    }
    Ok(IdentityConfig {
        entries,
        remove_cookie: raw.remove_cookie,
        remove_authorization: raw.remove_authorization,
        jwt: None,
    })
}

/// Checks the signed form. `secret` reads what the key refers to.
pub(super) fn jwt(
    raw: RawJwt,
    fields: &[String],
    secret: impl FnOnce(SecretRef) -> Checked<Secret>,
) -> Checked<Issuer> {
    const OWN: [&str; 7] = ["aud", "exp", "iat", "iss", "jti", "nbf", "sub"];
    for (path, text) in [("identity.jwt.issuer", &raw.issuer), ("identity.jwt.audience", &raw.audience)] {
        if text.is_empty() {
            return Err(ConfigError::new(path, Fault::Empty));
        }
    }
    let header = header_name("identity.jwt.header", raw.header.as_deref().unwrap_or("x-identity-jwt"))?;
    let lifetime = Duration::from_secs(raw.lifetime_seconds.unwrap_or_default().get());
    let claims = raw.claims.into_iter().map(|(name, raw)| {
        let path = format!("identity.jwt.claims.{name}");
        if OWN.contains(&name.as_str()) {
            return Err(ConfigError::new(path, Fault::OwnClaim));
        }
        Ok((name, source(&path, raw, fields)?))
    });
    Ok(Issuer {
        header: Rc::from(header),
        signer: Signer::new(&secret(raw.key)?)
            .map_err(|NotAKey| ConfigError::new("identity.jwt.key", Fault::NotAKey))?,
        issuer: raw.issuer,
        audience: raw.audience,
        lifetime,
        claims: claims.collect::<Checked<_>>()?,
    })
}

fn entry(name: &str, source: RawSource, fields: &[String]) -> Checked<Entry> {
    let path = format!("identity.headers.{name}");
    let header = header_name(&path, name)?;
    if header != name {
        // Two spellings of one header would be two entries.
        return Err(ConfigError::new(path, Fault::LowerCase));
    }
    let source = self::source(&path, source, fields)?;
    if names_an_account(&header) && !matches!(source, Source::Subject | Source::VerifiedEmail) {
        return Err(ConfigError::new(path, Fault::Account));
    }
    Ok(Entry { header: Rc::from(header), source, delimiter: b',' })
}

fn source(path: &str, raw: RawSource, fields: &[String]) -> Checked<Source> {
    Ok(match raw {
        RawSource::Sub => Source::Subject,
        RawSource::VerifiedEmail => Source::VerifiedEmail,
        RawSource::Claim(RawClaimPath(claim)) => Source::Claim(claim),
        RawSource::Field(RawClaimPath(field)) if fields.iter().any(|known| known == field.root()) => {
            Source::Field(field)
        }
        RawSource::Field(_) => return Err(ConfigError::new(path, Fault::UnknownField)),
    })
}
