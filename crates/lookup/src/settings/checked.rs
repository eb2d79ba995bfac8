//! The settings, checked.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use jwe_gate_contract::{LookupSecret, PublicKey};
use tracing::Level;

use super::{Flags, PostgresSettings, Problem, RedisSettings, RevocationSettings, SettingsError, Variables, selection};
use crate::record::Freshness;
use crate::schema::{Preset, Schema};

/// Everything that the service is told.
pub struct Settings {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Shared with the filter.
    pub secret: LookupSecret,
    /// The realm that is served.
    pub realm: String,
    /// Where users are kept.
    pub users: Users,
    /// The tables they are in.
    pub schema: Schema,
    /// The shared cache, if there is one.
    pub redis: Option<RedisSettings>,
    /// What every key in Redis begins with.
    pub prefix: String,
    /// What verifies the identities that filters sign.
    pub identity_keys: Vec<PublicKey>,
    /// How long verdicts may be used.
    pub freshness: Freshness,
    /// Questions that are worked on at once, at most.
    pub questions: usize,
    /// How sessions are ended early, if they are to be.
    pub revocations: Option<RevocationSettings>,
    /// How much is logged.
    pub log: LogLevel,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLevel(pub Level);

/// Where users are kept.
pub enum Users {
    /// In an `SQLite` file.
    Embedded {
        /// The file.
        path: PathBuf,
        /// Users to add before serving.
        seeds: Vec<String>,
    },
    /// In Postgres.
    Postgres(Box<PostgresSettings>),
}

impl Settings {
    /// Reads and checks all settings.
    ///
    /// # Errors
    /// The first variable that is wrong, and why.
    pub fn read(flags: Flags, variables: Variables<'_>) -> Result<Self, SettingsError> {
        let reader = Reader { variables };
        let freshness = freshness(&reader)?;
        Ok(Self {
            listen: listen(&flags, &reader)?,
            secret: secret(&reader)?,
            realm: realm(&reader)?,
            schema: schema(&flags, &reader)?,
            redis: redis(&flags, &reader)?,
            prefix: prefix(&reader)?,
            identity_keys: identity_keys(&reader)?,
            freshness,
            questions: questions(&reader)?,
            revocations: RevocationSettings::read(&reader, &freshness)?,
            log: log(&reader)?,
            users: users(flags, &reader)?,
        })
    }
}

impl Users {
    /// How long one query takes at most.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        match self {
            // A file answers or fails; nothing else waits for it.
            Self::Embedded { .. } => Duration::ZERO,
            Self::Postgres(it) => it.timeout,
        }
    }

    /// How many queries of a kind are under way at once, at most.
    #[must_use]
    pub fn queries(&self) -> usize {
        match self {
            Self::Embedded { .. } => 1,
            Self::Postgres(it) => usize::try_from(it.size).unwrap_or(1),
        }
    }
}

fn listen(flags: &Flags, reader: &Reader<'_>) -> Result<SocketAddr, SettingsError> {
    let given = flags.listen.clone().or_else(|| reader.text("LISTEN"));
    let text = given.unwrap_or_else(|| "127.0.0.1:9090".into());
    parse("LISTEN", text, "an IP address and port, such as 127.0.0.1:9090")
}

fn secret(reader: &Reader<'_>) -> Result<LookupSecret, SettingsError> {
    let text = reader
        .needed("JWE_GATE_LOOKUP_SECRET", "make one with `openssl rand -base64 32` and give the filter the same")?;
    let expected = "long enough: at least 16 bytes are needed";
    LookupSecret::new(&text).map_err(|_| Problem::Unfit { expected }.of("JWE_GATE_LOOKUP_SECRET"))
}

fn log(reader: &Reader<'_>) -> Result<LogLevel, SettingsError> {
    let level = match reader.text("LOG").as_deref() {
        Some("error") => Level::ERROR,
        Some("warn") => Level::WARN,
        None | Some("info") => Level::INFO,
        Some("debug") => Level::DEBUG,
        Some(other) => {
            let expected = "one of error, warn, info, debug";
            return Err(Problem::Value { value: other.to_owned(), expected }.of("LOG"));
        }
    };
    Ok(LogLevel(level))
}

/// Part of key names, so its characters are few.
fn realm(reader: &Reader<'_>) -> Result<String, SettingsError> {
    let value = reader.text("JWE_GATE_REALM").unwrap_or_else(|| "default".into());
    let is_harmless = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if value.len() <= 64 && value.bytes().all(is_harmless) {
        return Ok(value);
    }
    Err(Problem::Value { value, expected: "1 to 64 letters, digits, `-`, `_` or `.`" }.of("JWE_GATE_REALM"))
}

fn schema(flags: &Flags, reader: &Reader<'_>) -> Result<Schema, SettingsError> {
    let preset = match flags.schema.clone().or_else(|| reader.text("SCHEMA")) {
        None => Preset::PgAdapter,
        Some(name) => parse("SCHEMA", name, "one of pg-adapter, prisma, drizzle, better-auth")?,
    };
    let mut schema = preset.schema();
    if let Some(table) = reader.text("USER_TABLE") {
        schema.users = parse("USER_TABLE", table, "a table name: letters, digits and _, or schema.table")?;
    }
    if let Some(field) = reader.text("USER_ID_FIELD") {
        schema.user_id = parse("USER_ID_FIELD", field, "a column name: letters, digits and _")?;
    }
    schema.selection = selection::read(reader)?;
    Ok(schema)
}

/// Braces would decide which node of a cluster a key is on.
fn prefix(reader: &Reader<'_>) -> Result<String, SettingsError> {
    let value = reader.text("REDIS_KEY_PREFIX").unwrap_or_else(|| "auth:".into());
    if value.contains(['{', '}']) {
        return Err(Problem::Value { value, expected: "free of { and }" }.of("REDIS_KEY_PREFIX"));
    }
    Ok(value)
}

/// The value is not repeated: somebody may have taken the private half.
fn identity_keys(reader: &Reader<'_>) -> Result<Vec<PublicKey>, SettingsError> {
    let variable = "IDENTITY_PUBLIC_KEYS";
    let Some(list) = reader.text(variable) else { return Ok(Vec::new()) };
    let expected = "a list of public keys as `jwe-gate identity-key` makes them, each once";
    let mut keys: Vec<PublicKey> = Vec::new();
    for text in list.split(',') {
        match text.trim().parse() {
            Ok(key) if !keys.contains(&key) => keys.push(key),
            _ => return Err(Problem::Unfit { expected }.of(variable)),
        }
    }
    Ok(keys)
}

fn questions(reader: &Reader<'_>) -> Result<usize, SettingsError> {
    let range = 256..=1_000_000;
    let number = reader.number("MAX_QUESTIONS", range, 20_000, "a number from 256 to 1000000")?;
    Ok(usize::try_from(number).unwrap_or(usize::MAX))
}

/// One process with one file has no use for a shared cache.
fn redis(flags: &Flags, reader: &Reader<'_>) -> Result<Option<RedisSettings>, SettingsError> {
    if flags.embedded.is_some() { Ok(None) } else { RedisSettings::read(reader) }
}

fn freshness(reader: &Reader<'_>) -> Result<Freshness, SettingsError> {
    let (stale, hard) = (seconds(reader, "CACHE_STALE_SECONDS", 60)?, seconds(reader, "CACHE_HARD_SECONDS", 3_600)?);
    if hard < stale {
        let expected = "at least CACHE_STALE_SECONDS";
        return Err(Problem::Value { value: hard.as_secs().to_string(), expected }.of("CACHE_HARD_SECONDS"));
    }
    let positive = seconds(reader, "REDIS_CACHE_TTL", 600)?;
    let negative = seconds(reader, "NEGATIVE_CACHE_TTL", 10)?;
    Ok(Freshness { positive, negative, stale, hard, spread: SPREAD })
}

fn users(flags: Flags, reader: &Reader<'_>) -> Result<Users, SettingsError> {
    match flags.embedded {
        Some(path) => Ok(Users::Embedded { path, seeds: flags.seed }),
        None => Ok(Users::Postgres(Box::new(PostgresSettings::read(reader)?))),
    }
}

fn seconds(reader: &Reader<'_>, variable: &'static str, default: u64) -> Result<Duration, SettingsError> {
    let most = 30 * 24 * 60 * 60;
    reader.number(variable, 0..=most, default, "a number of seconds, at most 30 days").map(Duration::from_secs)
}

pub(super) fn milliseconds(
    reader: &Reader<'_>,
    variable: &'static str,
    default: u64,
) -> Result<Duration, SettingsError> {
    reader.number(variable, 1..=60_000, default, "a number of milliseconds from 1 to 60000").map(Duration::from_millis)
}

fn parse<T: FromStr>(variable: &'static str, value: String, expected: &'static str) -> Result<T, SettingsError> {
    value.parse().map_err(|_| Problem::Value { value, expected }.of(variable))
}

/// Reads variables one by one.
pub(super) struct Reader<'a> {
    variables: Variables<'a>,
}

impl Reader<'_> {
    pub(super) fn text(&self, variable: &str) -> Option<String> {
        (self.variables)(variable).filter(|value| !value.is_empty())
    }

    pub(super) fn is_true(&self, variable: &'static str) -> Result<bool, SettingsError> {
        match self.text(variable).as_deref() {
            None | Some("false" | "0") => Ok(false),
            Some("true" | "1") => Ok(true),
            Some(other) => Err(Problem::Value { value: other.to_owned(), expected: "true or false" }.of(variable)),
        }
    }

    pub(super) fn has_any(&self, variables: &[&'static str]) -> bool {
        variables.iter().any(|variable| self.text(variable).is_some())
    }

    pub(super) fn needed(&self, variable: &'static str, remedy: &'static str) -> Result<String, SettingsError> {
        self.text(variable).ok_or(Problem::Missing { remedy }.of(variable))
    }

    pub(super) fn port(&self, variable: &'static str, default: u16) -> Result<u16, SettingsError> {
        let port = self.number(variable, 1..=65_535, default.into(), "a port number")?;
        Ok(u16::try_from(port).unwrap_or(default))
    }

    pub(super) fn number(
        &self,
        variable: &'static str,
        range: RangeInclusive<u64>,
        default: u64,
        expected: &'static str,
    ) -> Result<u64, SettingsError> {
        let Some(value) = self.text(variable) else { return Ok(default) };
        let number = value.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| Problem::Value { value, expected }.of(variable))
    }

    /// Two ways of saying the same thing would leave open which one counts.
    pub(super) fn refuse_together(&self, variable: &'static str, others: &[&'static str]) -> Result<(), SettingsError> {
        match others.iter().find(|other| self.text(other).is_some()) {
            None => Ok(()),
            Some(other) => Err(Problem::Both { other }.of(variable)),
        }
    }
}

/// Enough that a burst does not come back as one, and little against what was asked for.
const SPREAD: u8 = 10;
