//! The source of record: who is known, read from a database.
//!
//! Only this folder names database crates.

mod catalogue;
mod details;
mod ids;
mod inner;
pub mod journal;
mod loan;
mod postgres;
mod sqlite;
mod sqlite_users;
mod statements;

pub use postgres::{PostgresPool, PostgresStore, TlsMode, UrlError};
pub use sqlite::SqliteStore;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use async_trait::async_trait;
use jwe_gate_contract::{MAX_FIELD_BYTES, MAX_FIELDS_BYTES};
use serde_json::Value;

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
        /// All fields that are served; `null` where the user has no value.
        fields: UserFields,
    },
    /// A user who is barred, or a session of one.
    Banned,
    /// A user of whom nothing can be answered, or a session of one.
    Unfit(Unfit),
    /// No user, or no live session.
    Unknown,
}

/// What is known of a user, by name.
pub type UserFields = BTreeMap<String, Value>;

/// Why nothing can be answered of a user although the database was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// There are several rows, and they differ.
    Ambiguous,
    /// More is said than an answer may hold.
    TooLarge {
        /// The field that is too large by itself; if none is, all are together.
        field: Option<String>,
    },
    /// A value is not what its column says, or no JSON can hold it.
    Unreadable,
}

impl Unfit {
    /// A short name for metrics.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Ambiguous => "ambiguous",
            Self::TooLarge { .. } => "too_large",
            Self::Unreadable => "unreadable",
        }
    }
}

impl std::fmt::Display for Unfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ambiguous => f.write_str("the database has several rows for one user, and they differ"),
            Self::TooLarge { field: Some(field) } => {
                write!(f, "the field {field} has more than {MAX_FIELD_BYTES} bytes")
            }
            Self::TooLarge { field: None } => write!(f, "all fields together have more than {MAX_FIELDS_BYTES} bytes"),
            Self::Unreadable => f.write_str("a value cannot be read"),
        }
    }
}

/// What the database says of sessions, where it says more of their users than the id: what is known of a user holds for
/// each session.
fn of_users(mut sessions: Reading, users: &[String], reading: Reading) -> Reading {
    let found: HashMap<&String, Finding> = users.iter().zip(reading.findings).collect();
    for session in &mut sessions.findings {
        let Finding::Known { user, ends_in_ms, .. } = session else { continue };
        let (user, ends_in_ms) = (user.clone(), *ends_in_ms);
        *session = match found.get(&user).cloned().unwrap_or(Finding::Unknown) {
            Finding::Known { fields, .. } => Finding::Known { user, ends_in_ms, fields },
            other => other,
        };
    }
    // What changed between the two readings is not older than the first.
    Reading { as_of_ms: sessions.as_of_ms.min(reading.as_of_ms), ..sessions }
}

/// Whose sessions these are.
fn users_of(sessions: &Reading) -> Vec<String> {
    let users = sessions.findings.iter().filter_map(|finding| match finding {
        Finding::Known { user, .. } => Some(user.clone()),
        _ => None,
    });
    users.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Why the database did not answer. No variant holds text that the server wrote about a query with ids, which may quote
/// them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// What is to be read of users is not there, or not as it must be.
    Misconfigured {
        /// The variable that is wrong.
        variable: &'static str,
        /// Why, in words; the server's where it refused the statement itself.
        reason: String,
    },
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
            Self::Misconfigured { .. } => "misconfigured",
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
            Self::Misconfigured { variable, reason } => write!(f, "{variable}: {reason}"),
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
