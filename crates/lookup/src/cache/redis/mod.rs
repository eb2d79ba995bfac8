//! The cache in Redis, shared by all services of a realm.
//!
//! The age of a record is told by the key's own time to live, which counts on one clock for all who read it. A value
//! that is not a record of this realm and version, such as one left by another program, is no record; and the
//! comparison by `as_of` is made in a script, so that writers cannot cross.
//!
//! A claim on a lookup is a key of its own with the holder's ticket in it. It goes with the write that ends the lookup, in
//! one step; if its holder dies, it ends by itself soon after the database would have given up.

mod link;
mod scripts;
mod server;
mod stored;

pub use server::{Credentials, InvalidServer, RedisNode, RedisServer, Tls};

use std::sync::Arc;
use std::time::Duration;

use ::redis::RedisError;
use async_trait::async_trait;
use futures_util::future::try_join_all;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::circuit::{Change, Circuit};
use super::{CacheError, Claim, Seen, Settled, SharedCache, Ticket};
use crate::clock::{Clock, whole_ms};
use crate::key::{Namespace, RecordKey};
use crate::record::Held;
use link::Link;
use scripts::Scripts;

/// A cache in Redis.
pub struct RedisCache {
    server: RedisServer,
    namespace: Namespace,
    timeout: Duration,
    claim: Duration,
    clock: Clock,
    circuit: Circuit,
    scripts: Scripts,
    /// None until first used, and after a failure.
    link: Arc<Mutex<Option<Link>>>,
}

/// What a look brings: the text, its time to live, and whether the lookup was claimed.
type Reply = (Vec<u8>, i64, bool);

impl RedisCache {
    /// A cache where each call takes at most `timeout`, and where a lookup is claimed for `claim`, which should be a little
    /// longer than one takes at most.
    #[must_use]
    pub fn new(server: RedisServer, namespace: Namespace, timeout: Duration, claim: Duration, clock: Clock) -> Self {
        let (circuit, scripts, link) = (Circuit::default(), Scripts::new(), Arc::default());
        Self { server, namespace, timeout, claim, clock, circuit, scripts, link }
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
            // Whatever it was, a new connection starts from a known state. One that is being made is new enough.
            if let Ok(mut link) = self.link.try_lock() {
                *link = None;
            }
        }
        tell(self.circuit.report(result.is_ok(), self.clock.now()), result.as_ref().err());
        result
    }

    /// The connection. To make one may take longer than anybody waits, as where a sentinel or a node does not answer; it
    /// goes on without them, and whoever asks next finds it made.
    async fn link(&self) -> Result<Link, RedisError> {
        let mut slot = Arc::clone(&self.link).lock_owned().await;
        if let Some(link) = &*slot {
            return Ok(link.clone());
        }
        let server = self.server.clone();
        let connecting = tokio::spawn(async move {
            let opened = timeout(LONGEST_CONNECT, Link::open(&server)).await;
            let link = opened.unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()))?;
            Ok(slot.insert(link).clone())
        });
        connecting.await.unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::Other).into()))
    }

    async fn fetch(&self, keys: &[RecordKey], ticket: &Ticket, claim: Claim) -> Result<Vec<Reply>, RedisError> {
        let link = self.link().await?;
        let claim_ms = whole_ms(self.claim).to_string();
        let longest = LARGEST_VALUE.to_string();
        let claim = match claim {
            Claim::Always => "always",
            Claim::WhereAbsent => "where_absent",
        };
        let arguments = [longest.as_str(), ticket.as_str(), &claim_ms, claim];
        // All are under way at once, on one connection.
        let looks = keys.iter().map(|key| {
            let (record, lock, mut link) = (self.namespace.name(key), self.namespace.claim_name(key), link.clone());
            async move { self.scripts.look.call(&mut link, &[&record, &lock], &arguments).await }
        });
        try_join_all(looks).await
    }

    async fn end(&self, lookups: &[Settled]) -> Result<(), RedisError> {
        let link = self.link().await?;
        try_join_all(lookups.iter().map(|lookup| self.end_one(lookup, link.clone()))).await.map(drop)
    }

    async fn end_one(&self, lookup: &Settled, mut link: Link) -> Result<(), RedisError> {
        let Settled { key, held, ticket } = lookup;
        let (record, lock) = (self.namespace.name(key), self.namespace.claim_name(key));
        let (keys, ticket) = ([record.as_str(), &lock], ticket.as_ref().map_or("", Ticket::as_str));
        let now = self.clock.now();
        let value = held.as_ref().and_then(|held| Some((held, stored::value(&self.namespace, key, held, now)?)));
        let Some((held, value)) = value else {
            return self.scripts.release.call(&mut link, &keys, &[ticket]).await;
        };
        let is_denial = held.record.is_denial();
        let brief = is_denial.then(|| stored::value(&self.namespace, key, &stored::brief(held), now)).flatten();
        let (brief, brief_ms) = brief.map_or_else(Default::default, |brief| (brief.text, brief.lives_ms));
        let (lives_ms, as_of) = (value.lives_ms.to_string(), held.record.as_of_ms.to_string());
        let is_denial = if is_denial { "1" } else { "0" };
        let arguments = [ticket, &value.text, &lives_ms, &as_of, is_denial, &brief, &brief_ms.to_string()];
        self.scripts.write.call(&mut link, &keys, &arguments).await
    }
}

#[async_trait]
impl SharedCache for RedisCache {
    async fn look(
        &self,
        keys: &[RecordKey],
        ticket: &Ticket,
        claim: Claim,
        patience: Duration,
    ) -> Result<Vec<Seen>, CacheError> {
        let replies = self.guarded(patience, self.fetch(keys, ticket, claim)).await?;
        let now = self.clock.now();
        let see = |(key, (text, left_ms, is_claimed)): (&RecordKey, Reply)| {
            let held: Option<Held> = stored::recognise(&self.namespace, key, &text, left_ms, now);
            Seen { held, is_claimed }
        };
        Ok(keys.iter().zip(replies).map(see).collect())
    }

    async fn settle(&self, lookups: &[Settled]) -> Result<(), CacheError> {
        self.guarded(self.timeout, self.end(lookups)).await
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

/// More than any record has; what is longer does not parse.
const LARGEST_VALUE: usize = 16 * 1024;

/// For all that it takes: asking sentinels, or all nodes of a cluster.
const LONGEST_CONNECT: Duration = Duration::from_secs(5);
