//! The caches in front of the database: one inside the process and one in Redis, shared by all services.
//!
//! Only this folder names cache crates.

mod circuit;
mod memory;
mod redis;

pub use memory::MemoryCache;
pub use redis::{Credentials, InvalidServer, RedisCache, RedisNode, RedisServer, Tls};

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use crate::key::RecordKey;
use crate::record::Held;

/// A cache that other services share. It may lose anything at any time, and fail: then the database is asked.
///
/// It also tells the services apart who looks something up in the database, so that one does and the others wait for what
/// it writes. That is a saving and nothing more: it may let several through, and lets everybody through in the end.
#[async_trait]
pub trait SharedCache: Send + Sync {
    /// Looks up records: one entry for each key, in order. What is not there (or, with [`Claim::Always`], everything)
    /// becomes the lookup of whoever holds `ticket`, unless it is somebody else's already. Takes at most `patience`.
    ///
    /// # Errors
    /// When the cache cannot be asked, or not soon enough.
    async fn look(
        &self,
        keys: &[RecordKey],
        ticket: &Ticket,
        claim: Claim,
        patience: Duration,
    ) -> Result<Vec<Seen>, CacheError>;

    /// Ends lookups: writes what was found, except where the cache holds records that it does not replace, and gives back
    /// what was claimed.
    ///
    /// # Errors
    /// When the cache cannot be asked, or not soon enough.
    async fn settle(&self, lookups: &[Settled]) -> Result<(), CacheError>;
}

/// What the shared cache has on one key.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The record, fresh or not.
    pub held: Option<Held>,
    /// Whether the lookup is now that of the ticket's holder.
    pub is_claimed: bool,
}

/// Which lookups to claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// All that are free, whatever record there is.
    Always,
    /// Those without any record.
    WhereAbsent,
}

/// One lookup that has ended.
#[derive(Clone, Debug)]
pub struct Settled {
    /// What was looked up.
    pub key: RecordKey,
    /// What was found, unless it failed.
    pub held: Option<Held>,
    /// The ticket that it was claimed with, if it was.
    pub ticket: Option<Ticket>,
}

/// Tells the claims of one holder from those of all others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket(Arc<str>);

impl Ticket {
    /// One that nobody else has.
    #[must_use]
    pub fn new() -> Self {
        Self(Uuid::new_v4().simple().to_string().into())
    }

    fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Ticket {
    fn default() -> Self {
        Self::new()
    }
}

/// Why the shared cache was of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheError {
    /// The server answered with an error, such as a wrong password.
    Refused,
    /// It failed a moment ago and is left alone for now.
    Skipped,
    /// It took too long.
    TimedOut,
    /// It could not be reached, or went away.
    Unreachable,
}

impl CacheError {
    /// A short name for metrics and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Skipped => "skipped",
            Self::TimedOut => "timed_out",
            Self::Unreachable => "unreachable",
        }
    }
}
