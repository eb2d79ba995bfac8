//! From what the operator wrote to what it means.

use std::time::Duration;

use jwe_gate_contract::{LookupSecret, MAX_FIELDS, is_field_name};

use super::environment::{Environment, number, secrets, switch, variable};
use super::error::{ConfigError, Fault};
use super::identity::{identity, jwt};
use super::raw::{
    RawAccessLog, RawBypass, RawCache, RawConfig, RawFailures, RawLasting, RawLimits, RawLookup, RawSession,
};
use super::replies::replies;
use super::revocation;
use super::routes::{Defaults, routes};
use super::scalar::{MaxAge, SecretRef, Whole};
use super::sign_in::{allowed_origins, sign_in};
use super::{
    AccessLog, BypassConfig, CacheConfig, Checked, Config, FailureLimit, LookupConfig, OnLookupError, SessionConfig,
    WaitingLimits,
};
use crate::claims::{Lasting, Rules};
use crate::cookie::{Limits, Name};
use crate::jwe::Profile;
use crate::mac::MacKey;
use crate::secret::Secret;
use crate::sign_in::SignIn;

/// Reads one configuration: the environment that it refers to, and what the operator should be told.
struct Reader<'a> {
    environment: Environment<'a>,
    warnings: Vec<String>,
}

pub(super) fn checked(raw: RawConfig, environment: Environment<'_>) -> Checked<Config> {
    if raw.version.is_some_and(|version| version.get() != 1) {
        return Err(ConfigError::new("version", Fault::Version));
    }
    let mut reader = Reader { environment, warnings: Vec::new() };
    let sessions = reader.sessions(raw.sessions)?;
    let lookup = reader.lookup(raw.lookup, raw.on_lookup_error)?;
    let streams = raw.revocation.as_ref().map(|revocation| revocation.stream_policy.unwrap_or_default());
    let revocation = revocation::checked(raw.revocation, lookup.as_ref(), &sessions, &mut reader.warnings)?;
    let bypass = reader.bypass(raw.bypass)?;
    let fields = lookup.as_ref().map_or(&[][..], |lookup| lookup.fields.as_slice());
    let routes = routes(raw.routes, &sessions, fields, Defaults { report: raw.report, streams })?;
    let public_url = raw.public_url.as_deref();
    let sign_in = sign_in(public_url, raw.sign_in.as_deref(), &routes.rules)?;
    let mut raw_identity = raw.identity;
    let jwt = raw_identity.jwt.take();
    let jwt = jwt.map(|raw| self::jwt(raw, fields, |key| reader.secret("identity.jwt.key", key))).transpose()?;
    let mut identity = identity(raw_identity, fields, bypass.as_ref().map(|bypass| bypass.header.as_str()))?;
    if jwt.as_ref().is_some_and(|jwt| identity.entries.iter().any(|entry| entry.header == jwt.header)) {
        return Err(ConfigError::new("identity.jwt.header", Fault::DuplicateHeader));
    }
    identity.jwt = jwt;
    Ok(Config {
        host: raw.host,
        sessions,
        lookup,
        revocation,
        cache: cache(&raw.cache),
        routes,
        allowed_origins: allowed_origins(public_url, raw.allowed_origins)?,
        replies: replies(raw.replies, sign_in.as_ref().map(SignIn::page))?,
        sign_in,
        issuer_paths: issuer_paths(raw.issuer_paths)?,
        identity,
        bypass,
        limits: limits(&raw.limits),
        waiting_limits: waiting_limits(&raw.limits),
        failures: raw.limits.failures.as_ref().map(failures),
        access_log: access_log(&raw.access_log),
        audit: raw.audit,
        debug_header: raw.debug_header,
        warnings: reader.warnings,
    })
}

impl Reader<'_> {
    fn sessions(&mut self, raw: Option<Vec<RawSession>>) -> Checked<Vec<SessionConfig>> {
        let Some(raw) = raw else { return Ok(vec![self.session_of_the_environment()?]) };
        if variable(self.environment, "JWT_SALT").is_some() {
            self.warnings.push("sessions: JWT_SALT is not looked at, since sessions are configured".to_owned());
        }
        if raw.is_empty() {
            return Err(ConfigError::new("sessions", Fault::Empty));
        }
        if raw.len() > MAX_SESSIONS {
            return Err(ConfigError::new("sessions", Fault::TooMany { max: MAX_SESSIONS }));
        }
        let mut sessions: Vec<SessionConfig> = Vec::with_capacity(raw.len());
        for (index, entry) in raw.into_iter().enumerate() {
            let path = format!("sessions[{index}]");
            let session = self.session(&path, entry)?;
            if sessions.iter().any(|earlier| same_tokens(earlier, &session)) {
                return Err(ConfigError::new(path, Fault::Duplicate));
            }
            sessions.push(session);
        }
        Ok(sessions)
    }

    /// What the system that is replaced did: one Auth.js session, its cookie named by `JWT_SALT`.
    fn session_of_the_environment(&mut self) -> Checked<SessionConfig> {
        let cookie = variable(self.environment, "JWT_SALT").unwrap_or_else(|| "authjs.session-token".to_owned());
        let Some(cookie) = Name::new(&cookie) else {
            return Err(ConfigError::new("env.JWT_SALT", Fault::CookieName));
        };
        Ok(SessionConfig {
            name: cookie.as_str().to_owned(),
            profile: Profile::AuthJs,
            cookie,
            salt: None,
            secrets: self.secrets("sessions", None)?,
            rules: Rules::default(),
            bearer: true,
        })
    }

    fn session(&mut self, path: &str, raw: RawSession) -> Checked<SessionConfig> {
        let Some(cookie) = Name::new(&raw.cookie) else {
            return Err(ConfigError::new(format!("{path}.cookie"), Fault::CookieName));
        };
        for (field, text) in [("issuer", &raw.issuer), ("audience", &raw.audience)] {
            if text.as_deref() == Some("") {
                return Err(ConfigError::new(format!("{path}.{field}"), Fault::Empty));
            }
        }
        let rules = Rules {
            max_session_age: max_session_age(raw.max_session_age),
            require_exp: raw.require_exp.unwrap_or(true),
            issuer: raw.issuer,
            audience: raw.audience,
            lasting: lasting(raw.claims),
        };
        if raw.name.as_deref() == Some("") {
            return Err(ConfigError::new(format!("{path}.name"), Fault::Empty));
        }
        Ok(SessionConfig {
            name: raw.name.unwrap_or(raw.cookie),
            profile: raw.profile,
            cookie,
            salt: raw.salt,
            secrets: self.secrets(path, raw.secrets)?,
            rules,
            bearer: raw.bearer.unwrap_or(true),
        })
    }

    fn secrets(&mut self, path: &str, raw: Option<Vec<SecretRef>>) -> Checked<Vec<Secret>> {
        let path = format!("{path}.secrets");
        let Some(raw) = raw else {
            let found = secrets(self.environment);
            for (name, secret) in &found {
                refuse_placeholder(&format!("env.{name}"), secret)?;
            }
            if found.is_empty() {
                return Err(ConfigError::new(path, Fault::NoSecret));
            }
            return Ok(found.into_iter().map(|(_, secret)| secret).collect());
        };
        if raw.is_empty() {
            return Err(ConfigError::new(path, Fault::Empty));
        }
        raw.into_iter().enumerate().map(|(index, secret)| self.secret(&format!("{path}[{index}]"), secret)).collect()
    }

    fn secret(&mut self, path: &str, raw: SecretRef) -> Checked<Secret> {
        let secret = match raw {
            SecretRef::Environment(name) => match variable(self.environment, &name) {
                Some(value) => Secret::new(value),
                None => return Err(ConfigError::new(format!("{path}.env"), Fault::EnvironmentUnset)),
            },
            SecretRef::Literal(secret) => {
                self.warnings.push(format!(
                    "{path}: a secret in the configuration is shown by the proxy's configuration dump; use {{\"env\": …}}"
                ));
                secret
            }
        };
        if secret.is_empty() {
            return Err(ConfigError::new(path, Fault::Empty));
        }
        refuse_placeholder(path, &secret)?;
        Ok(secret)
    }

    fn lookup(&mut self, raw: Option<RawLookup>, on_error: Option<OnLookupError>) -> Checked<Option<LookupConfig>> {
        let raw = match (switch(self.environment, "ENABLE_DB_CHECK")?, raw) {
            (Some(false), raw) => {
                if raw.is_some() {
                    self.warnings.push("lookup: switched off by ENABLE_DB_CHECK; every valid token passes".to_owned());
                }
                return Ok(None);
            }
            (None, None) => return Ok(None),
            (Some(true), None) => RawLookup::default(),
            (_, Some(raw)) => raw,
        };
        let secret = raw.secret.unwrap_or_else(|| SecretRef::Environment("JWE_GATE_LOOKUP_SECRET".to_owned()));
        let secret = self.secret("lookup.secret", secret)?;
        let feed_key = MacKey::derive(&secret, b"jwe-gate feed in shared data");
        let secret = LookupSecret::new(secret.expose())
            .map_err(|_| ConfigError::new("lookup.secret", Fault::ShortSecret { min: 16 }))?;
        let max_fresh = match raw.max_fresh_seconds {
            Some(seconds) => seconds.get(),
            None => number(self.environment, "REDIS_CACHE_TTL", 1, 86_400)?
                .unwrap_or_else(|| Whole::get(raw.max_fresh_seconds.unwrap_or_default())),
        };
        Ok(Some(LookupConfig {
            cluster: text("lookup.cluster", raw.cluster, "jwe_gate_lookup")?,
            authority: text("lookup.authority", raw.authority, "jwe-gate-lookup")?,
            timeout: Duration::from_millis(raw.timeout_ms.unwrap_or_default().get()),
            secret,
            realm: text("lookup.realm", raw.realm, "default")?,
            max_fresh: Duration::from_secs(max_fresh),
            fields: fields(raw.fields)?,
            on_error: self.on_lookup_error(on_error),
            feed_key,
        }))
    }

    fn on_lookup_error(&mut self, raw: Option<OnLookupError>) -> OnLookupError {
        if raw == Some(OnLookupError::Allow) {
            self.warnings
                .push("on_lookup_error: while lookups fail every valid token of an unknown user passes".to_owned());
        }
        raw.unwrap_or_default()
    }

    fn bypass(&mut self, raw: Option<RawBypass>) -> Checked<Option<BypassConfig>> {
        const DEFAULT_HEADER: &str = "x-bypass-auth";
        let allowed = switch(self.environment, "ALLOW_BYPASS")?;
        let (path, header, value) = match raw {
            Some(_) if allowed == Some(false) => return Ok(None),
            Some(raw) => ("bypass.value", raw.header, self.secret("bypass.value", raw.value)?),
            None if allowed == Some(true) => {
                let value = variable(self.environment, "BYPASS_HEADER_VALUE").unwrap_or_default();
                ("env.BYPASS_HEADER_VALUE", variable(self.environment, "BYPASS_HEADER"), Secret::new(value))
            }
            None => return Ok(None),
        };
        if value.len() < MIN_BYPASS_BYTES {
            return Err(ConfigError::new(path, Fault::ShortSecret { min: MIN_BYPASS_BYTES }));
        }
        let header = header_name("bypass.header", header.as_deref().unwrap_or(DEFAULT_HEADER))?;
        self.warnings.push(format!("bypass: requests with the right {header} header pass without a session"));
        Ok(Some(BypassConfig { header, value }))
    }
}

fn max_session_age(raw: Option<MaxAge>) -> Option<Duration> {
    match raw {
        None => Rules::default().max_session_age,
        Some(MaxAge::Off) => None,
        Some(MaxAge::Seconds(seconds)) => Some(Duration::from_secs(seconds)),
    }
}

fn lasting(raw: RawLasting) -> Lasting {
    let Lasting { sid, auth_time } = Lasting::default();
    Lasting { sid: raw.sid.map_or(sid, |path| path.0), auth_time: raw.auth_time.map_or(auth_time, |path| path.0) }
}

fn same_tokens(one: &SessionConfig, other: &SessionConfig) -> bool {
    one.profile == other.profile && one.cookie == other.cookie && one.salt == other.salt
}

/// Secrets that stand in examples and in the system that is replaced.
fn refuse_placeholder(path: &str, secret: &Secret) -> Checked<()> {
    const PLACEHOLDERS: [&str; 4] = ["your_secret", "your-secret", "changeme", "secret"];
    let text = secret.expose().trim_ascii();
    if PLACEHOLDERS.iter().any(|placeholder| text.eq_ignore_ascii_case(placeholder.as_bytes())) {
        return Err(ConfigError::new(path, Fault::PlaceholderSecret));
    }
    if text.is_empty() {
        return Err(ConfigError::new(path, Fault::Empty));
    }
    Ok(())
}

fn cache(raw: &RawCache) -> CacheConfig {
    CacheConfig {
        l0_entries: raw.l0_entries.unwrap_or_default().size(),
        l1_records: raw.l1_records.unwrap_or_default().size(),
        record_bytes: raw.record_bytes.unwrap_or_default().size(),
    }
}

fn limits(raw: &RawLimits) -> Limits {
    Limits {
        token_bytes: raw.token_bytes.unwrap_or_default().size(),
        chunks: raw.chunks.unwrap_or_default().size(),
        header_bytes: raw.cookie_bytes.unwrap_or_default().size(),
    }
}

fn failures(raw: &RawFailures) -> FailureLimit {
    FailureLimit {
        per_client: u32::try_from(raw.per_client.unwrap_or_default().get()).unwrap_or(u32::MAX),
        window: Duration::from_secs(raw.window_seconds.unwrap_or_default().get()),
        clients: raw.clients.unwrap_or_default().size(),
    }
}

fn waiting_limits(raw: &RawLimits) -> WaitingLimits {
    WaitingLimits {
        requests: raw.waiting_requests.unwrap_or_default().size(),
        bytes: raw.waiting_bytes.unwrap_or_default().size(),
    }
}

fn access_log(raw: &RawAccessLog) -> AccessLog {
    AccessLog {
        reason: raw.reason,
        subject: raw.subject,
        session: raw.session,
        verdict: raw.verdict,
        rule: raw.rule,
        cache: raw.cache,
        lookup_ms: raw.lookup_ms,
    }
}

fn issuer_paths(raw: Option<Vec<String>>) -> Checked<Vec<String>> {
    let paths = raw.unwrap_or_else(|| vec!["/api/auth/".to_owned()]);
    match paths.iter().position(|path| !path.starts_with('/')) {
        Some(index) => Err(ConfigError::new(format!("issuer_paths[{index}]"), Fault::Path)),
        None => Ok(paths),
    }
}

/// A header name in lower case; refused when the proxy or the gate gives it a meaning of its own.
pub(super) fn header_name(path: &str, name: &str) -> Checked<String> {
    const RESERVED: [&str; 10] = [
        "authorization",
        "connection",
        "content-length",
        "cookie",
        "expect",
        "host",
        "set-cookie",
        "te",
        "transfer-encoding",
        "upgrade",
    ];
    let token = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if name.is_empty() || name.len() > 64 || !name.bytes().all(token) {
        return Err(ConfigError::new(path, Fault::HeaderName));
    }
    let name = name.to_ascii_lowercase();
    // The proxy's own headers, and those of the gate, which listeners strip by their prefix.
    if RESERVED.contains(&name.as_str()) || name.starts_with("x-envoy-") || name.starts_with("x-jwe-gate-") {
        return Err(ConfigError::new(path, Fault::HeaderReserved));
    }
    Ok(name)
}

pub(super) fn text(path: &str, raw: Option<String>, default: &str) -> Checked<String> {
    match raw {
        Some(text) if text.is_empty() => Err(ConfigError::new(path, Fault::Empty)),
        Some(text) => Ok(text),
        None => Ok(default.to_owned()),
    }
}

pub(super) fn bounded(path: &str, value: u64, min: u64, max: u64) -> Checked<u64> {
    if (min..=max).contains(&value) {
        return Ok(value);
    }
    Err(ConfigError::new(path, Fault::OutOfBounds { min, max }))
}

/// In order, so that the order in the configuration means nothing.
fn fields(mut raw: Vec<String>) -> Checked<Vec<String>> {
    for (index, name) in raw.iter().enumerate() {
        let fault = match raw.iter().position(|other| other == name) {
            _ if !is_field_name(name) => Fault::FieldName,
            Some(first) if first < index => Fault::FieldTwice,
            _ if index >= MAX_FIELDS => Fault::TooMany { max: MAX_FIELDS },
            _ => continue,
        };
        return Err(ConfigError::new(format!("lookup.fields[{index}]"), fault));
    }
    raw.sort_unstable();
    Ok(raw)
}

/// Rules have one bit for each.
const MAX_SESSIONS: usize = 64;

/// A bypass value is a password that every request may guess at.
const MIN_BYPASS_BYTES: usize = 16;
