//! How to reach Redis: by a URL, by the variables of the proxy that this replaces, as a cluster, or through sentinels.

use std::time::Duration;

use super::checked::{Reader, milliseconds};
use super::postgres::read_file;
use super::{Problem, SettingsError};
use crate::cache::{Credentials, RedisNode, RedisServer, Tls};

/// How to use Redis.
#[derive(Clone)]
pub struct RedisSettings {
    /// How to reach it.
    pub server: RedisServer,
    /// For one request.
    pub timeout: Duration,
}

impl RedisSettings {
    /// None when Redis is not mentioned at all.
    pub(super) fn read(reader: &Reader<'_>) -> Result<Option<Self>, SettingsError> {
        if !reader.has_any(&[SENTINELS]) {
            needs(reader, OF_SENTINELS, SENTINELS)?;
        }
        let server = if let Some(url) = reader.text(URL) {
            from_url(reader, &url)?
        } else if let Some(nodes) = reader.text(CLUSTER) {
            cluster(reader, &nodes)?
        } else if let Some(sentinels) = reader.text(SENTINELS) {
            through_sentinels(reader, &sentinels)?
        } else if reader.has_any(PARTS) {
            from_parts(reader)?
        } else {
            needs(reader, &[AUTHORITY, TLS], URL)?;
            return Ok(None);
        };
        Ok(Some(Self { server, timeout: milliseconds(reader, "REDIS_TIMEOUT", 1_000)? }))
    }
}

fn from_url(reader: &Reader<'_>, url: &str) -> Result<RedisServer, SettingsError> {
    reader.refuse_together(URL, &[CLUSTER, SENTINELS])?;
    reader.refuse_together(URL, PARTS)?;
    reader.refuse_together(URL, &[TLS])?;
    if !url.starts_with("rediss://") {
        needs(reader, &[AUTHORITY], "a rediss:// REDIS_URL")?;
    }
    let expected = "a redis:// or rediss:// URL";
    RedisServer::from_url(url, None).map_err(|_| Problem::Unfit { expected }.of(URL))?;
    let authority = authority(reader)?;
    RedisServer::from_url(url, authority).map_err(|_| not_an_authority(reader))
}

fn cluster(reader: &Reader<'_>, nodes: &str) -> Result<RedisServer, SettingsError> {
    reader.refuse_together(CLUSTER, &[SENTINELS, HOST, PORT])?;
    let (nodes, tls) = (addresses(CLUSTER, nodes)?, tls(reader)?);
    RedisServer::cluster(&nodes, &credentials(reader), &tls).map_err(|_| not_an_authority(reader))
}

fn through_sentinels(reader: &Reader<'_>, sentinels: &str) -> Result<RedisServer, SettingsError> {
    reader.refuse_together(SENTINELS, &[HOST, PORT])?;
    let sentinels = addresses(SENTINELS, sentinels)?;
    let name = reader.needed("REDIS_SENTINEL_MASTER", "give the name by which the sentinels know the master")?;
    let to_sentinels = Credentials {
        username: reader.text("REDIS_SENTINEL_USERNAME"),
        password: reader.text("REDIS_SENTINEL_PASSWORD"),
    };
    let server = RedisServer::sentinels(&sentinels, &name, &to_sentinels, &credentials(reader), &tls(reader)?);
    server.map_err(|_| not_an_authority(reader))
}

fn from_parts(reader: &Reader<'_>) -> Result<RedisServer, SettingsError> {
    let host = reader.text(HOST).unwrap_or_else(|| "redis".into());
    let node = RedisNode { host, port: reader.port(PORT, 6379)? };
    RedisServer::at(&node, &credentials(reader), &tls(reader)?).map_err(|_| not_an_authority(reader))
}

fn addresses(variable: &'static str, list: &str) -> Result<Vec<RedisNode>, SettingsError> {
    let parse = |text: &str| {
        let value = text.to_owned();
        text.trim().parse().map_err(|_| Problem::Value { value, expected: "host:port" }.of(variable))
    };
    list.split(',').map(parse).collect()
}

fn credentials(reader: &Reader<'_>) -> Credentials {
    Credentials { username: reader.text("REDIS_USERNAME"), password: reader.text("REDIS_PASSWORD") }
}

fn tls(reader: &Reader<'_>) -> Result<Tls, SettingsError> {
    if !reader.is_true(TLS)? {
        needs(reader, &[AUTHORITY], "REDIS_TLS=true")?;
        return Ok(Tls::Off);
    }
    Ok(authority(reader)?.map_or(Tls::System, Tls::Authority))
}

fn authority(reader: &Reader<'_>) -> Result<Option<Vec<u8>>, SettingsError> {
    reader.text(AUTHORITY).map(|path| read_file(AUTHORITY, &path)).transpose()
}

/// Addresses have been checked by then, so it is the certificates.
fn not_an_authority(reader: &Reader<'_>) -> SettingsError {
    let value = reader.text(AUTHORITY).unwrap_or_default();
    Problem::Value { value, expected: "a PEM file with certificates" }.of(AUTHORITY)
}

fn needs(reader: &Reader<'_>, variables: &[&'static str], other: &'static str) -> Result<(), SettingsError> {
    match variables.iter().find(|variable| reader.text(variable).is_some()) {
        None => Ok(()),
        Some(variable) => Err(Problem::Needs { other }.of(variable)),
    }
}

const URL: &str = "REDIS_URL";
const CLUSTER: &str = "REDIS_CLUSTER_NODES";
const SENTINELS: &str = "REDIS_SENTINELS";
const OF_SENTINELS: &[&str] = &["REDIS_SENTINEL_MASTER", "REDIS_SENTINEL_USERNAME", "REDIS_SENTINEL_PASSWORD"];
const HOST: &str = "REDIS_HOST";
const PORT: &str = "REDIS_PORT";
const PARTS: &[&str] = &[HOST, PORT, "REDIS_PASSWORD", "REDIS_USERNAME"];
const TLS: &str = "REDIS_TLS";
const AUTHORITY: &str = "REDIS_TLS_CA";
