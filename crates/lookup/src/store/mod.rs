//! The source of record: who is known, read from a database.
//!
//! Only this folder names database crates.

mod catalogue;
mod ids;
pub mod journal;
mod loan;
mod postgres;
mod sqlite;
mod statements;

pub use postgres::{PostgresPool, PostgresStore, TlsMode, UrlError};
pub use sqlite::SqliteStore;

use async_trait::async_trait;

/// A database of users and their sessions. Each call is one query, however many keys it is asked for.
#[async_trait]
pub trait UserStore: Send + Sync {
    /// Reads what must be known of the tables before keys can be looked up. Called until it succeeds, and again when
    /// a lookup fails in a way that tells of changed tables.
    ///
    /// # Errors
    /// When the database cannot be asked, or its tables do not fit.
    async fn prepare(&self) -> Result<(), StoreError>;

    /// Looks up users by subject: one finding for each, in order.
    ///
    /// # Errors
    /// When the database cannot be asked.
    async fn users(&self, subjects: &[String]) -> Result<Reading, StoreError>;

    /// Looks up live sessions by token: one finding for each, in order.
    ///
    /// # Errors
    /// When the database cannot be asked, or has no table of sessions.
    async fn sessions(&self, tokens: &[String]) -> Result<Reading, StoreError>;
}

/// What one query found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The database's clock in milliseconds since 1970, not later than what the query could see.
    pub as_of_ms: u64,
    /// In the order of the keys.
    pub findings: Vec<Finding>,
}

/// What was found for one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// A user, or a live session of one.
    Known {
        /// The canonical id.
        user: String,
        /// How long the session lasts from `as_of` on, if it ends at all.
        ends_in_ms: Option<u64>,
    },
    /// No user, or no live session.
    Unknown,
}

/// Why the database did not answer. No variant holds text of the server's, which may quote ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// The service has no table of sessions to look into.
    NoSessions,
    /// The server refused the statement; its SQLSTATE, if it told one.
    Refused {
        /// Five characters, as `42P01` for a missing table.
        sqlstate: String,
    },
    /// The table or column that is to hold users does not exist.
    TableMissing {
        /// `table.column`
        column: String,
    },
    /// The query took too long.
    TimedOut,
    /// The column has a type that subjects cannot be looked up in.
    TypeUnsupported {
        /// `table.column`
        column: String,
        /// Its type.
        found: String,
    },
    /// The server could not be reached, or went away.
    Unreachable,
}

impl StoreError {
    /// A short name for metrics and logs.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::NoSessions => "no_sessions",
            Self::Refused { .. } => "refused",
            Self::TableMissing { .. } => "table_missing",
            Self::TimedOut => "timed_out",
            Self::TypeUnsupported { .. } => "type_unsupported",
            Self::Unreachable => "unreachable",
        }
    }

    /// Whether the tables may have changed since they were read.
    pub(crate) fn tells_of_changed_tables(&self) -> bool {
        // Syntax errors and access rule violations: no such table, no such column, no operator for these types.
        matches!(self, Self::Refused { sqlstate } if sqlstate.starts_with("42"))
    }
}

impl std::fmt::Display for StoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoSessions => f.write_str("there is no table of sessions"),
            Self::Refused { sqlstate } => write!(f, "the database refused the query with SQLSTATE {sqlstate}"),
            Self::TableMissing { column } => write!(f, "the database has no {column}"),
            Self::TimedOut => f.write_str("the database did not answer in time"),
            Self::TypeUnsupported { column, found } => {
                write!(f, "{column} has type {found}; supported are integers, uuid, text, varchar and char")
            }
            Self::Unreachable => f.write_str("the database cannot be reached"),
        }
    }
}

impl std::error::Error for StoreError {}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(refusal) => classify(refusal.code().unwrap_or_default().into_owned()),
            sqlx::Error::PoolTimedOut => Self::TimedOut,
            // Every other failure says that this connection did not answer; which way makes no difference here.
            _ => Self::Unreachable,
        }
    }
}

/// A server that is starting, stopping or full says so by refusing.
fn classify(sqlstate: String) -> StoreError {
    if ["08", "53", "57"].iter().any(|class| sqlstate.starts_with(class)) {
        return StoreError::Unreachable;
    }
    StoreError::Refused { sqlstate }
}

/// Database clocks are past 1970 and far from overflow.
fn milliseconds(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
