//! The caches in front of the database: one inside the process and one in Redis, shared by all services.
//!
//! Only this folder names cache crates.

mod circuit;
mod memory;
mod redis;

pub use memory::MemoryCache;
pub use redis::{InvalidServer, RedisCache, RedisServer};

use std::time::Duration;

use async_trait::async_trait;

use crate::key::RecordKey;
use crate::record::Held;

/// A cache that other services share. It may lose anything at any time, and fail: then the database is asked.
#[async_trait]
pub trait SharedCache: Send + Sync {
    /// Looks up records: one entry for each key, in order. Takes at most `patience`.
    ///
    /// # Errors
    /// When the cache cannot be asked, or not soon enough.
    async fn read(&self, keys: &[RecordKey], patience: Duration) -> Result<Vec<Option<Held>>, CacheError>;

    /// Writes records, except where the cache holds ones that they do not replace.
    ///
    /// # Errors
    /// When the cache cannot be asked, or not soon enough.
    async fn write(&self, records: &[(RecordKey, Held)]) -> Result<(), CacheError>;
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
