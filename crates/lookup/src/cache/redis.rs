//! The cache in Redis, shared by all services of a realm.
//!
//! The age of a record is told by the key's own time to live, which counts on one clock for all who read it. A value
//! that is not a record of this realm and version, such as one left by another program, is no record; and the
//! comparison by `as_of` is made in a script, so that writers cannot cross.

use std::time::{Duration, Instant};

use ::redis::aio::MultiplexedConnection;
use ::redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo, RedisError,
    Script, TlsCertificates,
};
use async_trait::async_trait;
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::circuit::{Change, Circuit};
use super::{CacheError, SharedCache};
use crate::clock::Clock;
use crate::key::{Namespace, RecordKey};
use crate::record::{Held, Record};

/// How to reach a Redis server.
#[derive(Clone)]
pub struct RedisServer {
    client: Client,
}

/// The address or the certificates of a Redis server make no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidServer;

/// A cache in Redis.
pub struct RedisCache {
    server: RedisServer,
    namespace: Namespace,
    timeout: Duration,
    clock: Clock,
    circuit: Circuit,
    reader: Script,
    writer: Script,
    /// None until first used, and after a failure. Connections carry many requests at once.
    connection: Mutex<Option<MultiplexedConnection>>,
}

/// What is stored.
#[derive(Serialize, Deserialize)]
struct Stored {
    version: u32,
    realm: String,
    kind: jwe_gate_contract::Kind,
    #[serde(flatten)]
    record: Record,
}

impl RedisServer {
    /// Reads a `redis://` or `rediss://` URL. `authority` is a PEM file's content, to trust instead of the system's
    /// authorities.
    ///
    /// # Errors
    /// When it is none.
    pub fn from_url(url: &str, authority: Option<Vec<u8>>) -> Result<Self, InvalidServer> {
        let is_network = url.starts_with("redis://") || url.starts_with("rediss://");
        let info = url.into_connection_info().ok().filter(|_| is_network).ok_or(InvalidServer)?;
        Self::new(info, authority)
    }

    /// Takes a server apart from a URL, without TLS.
    ///
    /// # Errors
    /// When the host makes no sense.
    pub fn from_parts(host: &str, port: u16, password: Option<&str>) -> Result<Self, InvalidServer> {
        let settings = RedisConnectionInfo::default();
        let settings = password.into_iter().fold(settings, RedisConnectionInfo::set_password);
        let address = ConnectionAddr::Tcp(host.to_owned(), port);
        let info = address.into_connection_info().map_err(|_| InvalidServer)?.set_redis_settings(settings);
        Self::new(info, None)
    }

    fn new(info: ConnectionInfo, authority: Option<Vec<u8>>) -> Result<Self, InvalidServer> {
        // The TLS library wants to be told of its cipher provider once; being told again is no harm.
        rustls::crypto::ring::default_provider().install_default().ok();
        let client = match authority {
            None => Client::open(info),
            Some(pem) => Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert: Some(pem) }),
        };
        client.map(|client| Self { client }).map_err(|_| InvalidServer)
    }
}

impl RedisCache {
    /// A cache where each call takes at most `timeout`.
    #[must_use]
    pub fn new(server: RedisServer, namespace: Namespace, timeout: Duration, clock: Clock) -> Self {
        let (reader, writer) = (Script::new(READ), Script::new(WRITE_NEWER));
        let (circuit, connection) = (Circuit::default(), Mutex::new(None));
        Self { server, namespace, timeout, clock, circuit, reader, writer, connection }
    }

    /// Runs `work` within `patience`, unless the server failed a moment ago.
    async fn guarded<T>(
        &self,
        patience: Duration,
        work: impl Future<Output = Result<T, RedisError>>,
    ) -> Result<T, CacheError> {
        if !self.circuit.lets_through(self.clock.now()) {
            return Err(CacheError::Skipped);
        }
        let result = match timeout(patience.min(self.timeout), work).await {
            Err(_) => Err(CacheError::TimedOut),
            Ok(result) => result.map_err(|error| classify(&error)),
        };
        if result.is_err() {
            // Whatever it was, a new connection starts from a known state.
            *self.connection.lock().await = None;
        }
        tell(self.circuit.report(result.is_ok(), self.clock.now()), result.as_ref().err());
        result
    }

    async fn connection(&self) -> Result<MultiplexedConnection, RedisError> {
        let mut connection = self.connection.lock().await;
        if let Some(connection) = &*connection {
            return Ok(connection.clone());
        }
        // The timeouts are kept by `guarded`, for connecting and asking together.
        let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        let new = self.server.client.get_multiplexed_async_connection_with_config(&config).await?;
        Ok(connection.insert(new).clone())
    }

    async fn fetch(&self, keys: &[RecordKey]) -> Result<Vec<Option<(Vec<u8>, i64)>>, RedisError> {
        let connection = self.connection().await?;
        let reads = keys.iter().map(|key| {
            let (name, mut connection) = (self.namespace.name(key), connection.clone());
            async move { self.reader.key(name).arg(LARGEST_VALUE).invoke_async(&mut connection).await }
        });
        try_join_all(reads).await
    }

    /// The record, if the value is one of ours and has not lived longer than it may.
    fn recognise(&self, key: &RecordKey, value: &[u8], left_ms: i64, now: Instant) -> Option<Held> {
        let stored: Stored = serde_json::from_slice(value).ok()?;
        let is_ours = stored.version == VERSION && stored.realm == self.namespace.realm() && stored.kind == key.kind();
        let limits = stored.record.limits;
        let is_ordered = limits.fresh_ms <= limits.stale_ms && limits.stale_ms <= limits.hard_ms;
        // A key without an end, or with a later one than it was written with, was not written by us.
        let age_ms = limits.hard_ms.checked_sub(u64::try_from(left_ms).ok()?)?;
        let since = now.checked_sub(Duration::from_millis(age_ms))?;
        (is_ours && is_ordered).then_some(Held { record: stored.record, since })
    }

    async fn store(&self, records: &[(RecordKey, Held)]) -> Result<(), RedisError> {
        let connection = self.connection().await?;
        let now = self.clock.now();
        let writes = records.iter().filter_map(|(key, held)| self.write_one(key, held, now, connection.clone()));
        try_join_all(writes).await.map(drop)
    }

    fn write_one(
        &self,
        key: &RecordKey,
        held: &Held,
        now: Instant,
        mut connection: MultiplexedConnection,
    ) -> Option<impl Future<Output = Result<(), RedisError>>> {
        let left_ms = held.remaining(now).hard_ms;
        let stored = Stored {
            version: VERSION,
            realm: self.namespace.realm().to_owned(),
            kind: key.kind(),
            record: held.record.clone(),
        };
        let value = serde_json::to_string(&stored).ok().filter(|_| left_ms > 0)?;
        let name = self.namespace.name(key);
        let (as_of, is_denial) = (held.record.as_of_ms, u8::from(held.record.is_denial()));
        Some(async move {
            let mut call = self.writer.key(name);
            call.arg(value).arg(as_of).arg(is_denial).arg(left_ms);
            call.invoke_async(&mut connection).await
        })
    }
}

#[async_trait]
impl SharedCache for RedisCache {
    async fn read(&self, keys: &[RecordKey], patience: Duration) -> Result<Vec<Option<Held>>, CacheError> {
        let values = self.guarded(patience, self.fetch(keys)).await?;
        let now = self.clock.now();
        let recognise = |(key, found): (&RecordKey, Option<(Vec<u8>, i64)>)| {
            let (value, left_ms) = found?;
            self.recognise(key, &value, left_ms, now)
        };
        Ok(keys.iter().zip(values).map(recognise).collect())
    }

    async fn write(&self, records: &[(RecordKey, Held)]) -> Result<(), CacheError> {
        self.guarded(self.timeout, self.store(records)).await
    }
}

fn tell(change: Change, error: Option<&CacheError>) {
    match (change, error) {
        (Change::Failed, Some(error)) => {
            tracing::warn!(cause = error.as_str(), "redis fails; answering without it");
        }
        (Change::Recovered, _) => tracing::info!("redis works again"),
        _ => {}
    }
}

fn classify(error: &RedisError) -> CacheError {
    if error.is_timeout() {
        CacheError::TimedOut
    } else if error.is_io_error() || error.is_connection_dropped() {
        CacheError::Unreachable
    } else {
        CacheError::Refused
    }
}

/// The version of the stored form. Another one is no record.
const VERSION: u32 = 1;

/// More than any record has; what is longer does not parse.
const LARGEST_VALUE: usize = 16 * 1024;

/// The value of KEYS[1], at most ARGV[1] bytes of it, with its time to live in the same moment; nil for what holds no text.
const READ: &str = r"
local value = redis.pcall('GETRANGE', KEYS[1], 0, ARGV[1])
if type(value) ~= 'string' or value == '' then return false end
return {value, redis.call('PTTL', KEYS[1])}
";

/// Writes ARGV[1] to KEYS[1] for ARGV[4] milliseconds, unless a record is there that is newer than ARGV[2], or as new
/// and not a positive that ARGV[3] says is now denied. What is no record is overwritten.
const WRITE_NEWER: &str = r"
local found = redis.pcall('GET', KEYS[1])
if type(found) == 'string' then
    local parsed, old = pcall(cjson.decode, found)
    if parsed and type(old) == 'table' and old.version == 1 and type(old.as_of_ms) == 'number' then
        local new = tonumber(ARGV[2])
        if old.as_of_ms > new then return 0 end
        if old.as_of_ms == new and (old.verdict == 'deny' or ARGV[3] == '0') then return 0 end
    end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[4])
return 1
";
