//! How to reach Postgres: by a URL, or by the variables of the proxy that this replaces.

use std::fs;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::checked::{Reader, milliseconds};
use super::{Problem, SettingsError};
use crate::store::{PostgresPool, TlsMode};

/// How to use Postgres.
#[derive(Clone)]
pub struct PostgresSettings {
    /// How to reach it.
    pub server: PostgresPool,
    /// Connections, at most.
    pub size: u32,
    /// For one query.
    pub timeout: Duration,
}

impl PostgresSettings {
    pub(super) fn read(reader: &Reader<'_>) -> Result<Self, SettingsError> {
        let server = match reader.text("DATABASE_URL") {
            Some(url) => postgres_from_url(reader, &url)?,
            None => postgres_from_parts(reader)?,
        };
        let size = reader.number("POSTGRES_POOL", 1..=1_000, 10, "a number from 1 to 1000")?;
        // With the third of the time that goes to Redis at most, less than what the filter leaves by default (810 ms), so
        // that a silent Redis does not keep Postgres from being heard.
        let timeout = milliseconds(reader, "POSTGRES_TIMEOUT", 500)?;
        Ok(Self { server, size: u32::try_from(size).unwrap_or(u32::MAX), timeout })
    }
}

fn postgres_from_url(reader: &Reader<'_>, url: &str) -> Result<PostgresPool, SettingsError> {
    reader.refuse_together("DATABASE_URL", POSTGRES_PARTS)?;
    let expected = "a postgres:// URL";
    let server = PostgresPool::from_url(url).map_err(|_| Problem::Unfit { expected }.of("DATABASE_URL"))?;
    // What the URL itself says about TLS stands.
    let says = |name: &str| url.split(['?', '&']).skip(1).any(|part| part.starts_with(name));
    if says("sslmode=") || says("ssl-mode=") {
        return Ok(server.with_tls(None, authority(reader)?));
    }
    if says("sslrootcert=") {
        return Ok(server.with_tls(tls_mode(reader)?.or(Some(TlsMode::VerifyFull)), None));
    }
    with_tls(reader, server)
}

fn postgres_from_parts(reader: &Reader<'_>) -> Result<PostgresPool, SettingsError> {
    if !reader.has_any(POSTGRES_PARTS) {
        let remedy = "give it or POSTGRES_HOST, POSTGRES_DB and POSTGRES_USER, or start with --embedded for SQLite";
        return Err(Problem::Missing { remedy }.of("DATABASE_URL"));
    }
    let host = reader.text("POSTGRES_HOST").unwrap_or_else(|| "postgres".into());
    let port = reader.port("POSTGRES_PORT", 5432)?;
    let database = reader.needed("POSTGRES_DB", "name the database")?;
    let user = reader.needed("POSTGRES_USER", "name the user")?;
    let password = reader.text("POSTGRES_PASSWORD");
    with_tls(reader, PostgresPool::from_parts(&host, port, &database, &user, password.as_deref()))
}

fn with_tls(reader: &Reader<'_>, server: PostgresPool) -> Result<PostgresPool, SettingsError> {
    let authority = authority(reader)?;
    // Whoever names an authority wants it to be checked.
    let default = authority.is_some().then_some(TlsMode::VerifyFull);
    Ok(server.with_tls(tls_mode(reader)?.or(default), authority))
}

fn tls_mode(reader: &Reader<'_>) -> Result<Option<TlsMode>, SettingsError> {
    let expected = "one of disable, allow, prefer, require, verify-ca, verify-full";
    let parse =
        |value: String| TlsMode::from_str(&value).map_err(|_| Problem::Value { value, expected }.of("PGSSLMODE"));
    reader.text("PGSSLMODE").map(parse).transpose()
}

fn authority(reader: &Reader<'_>) -> Result<Option<PathBuf>, SettingsError> {
    let Some(path) = reader.text("PGSSLROOTCERT") else { return Ok(None) };
    read_file("PGSSLROOTCERT", &path)?;
    Ok(Some(path.into()))
}

pub(super) fn read_file(variable: &'static str, path: &str) -> Result<Vec<u8>, SettingsError> {
    fs::read(path).map_err(|error| Problem::File { path: path.into(), reason: error.to_string() }.of(variable))
}

const POSTGRES_PARTS: &[&str] =
    &["POSTGRES_HOST", "POSTGRES_PORT", "POSTGRES_DB", "POSTGRES_USER", "POSTGRES_PASSWORD"];
