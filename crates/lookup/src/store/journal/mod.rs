//! Where revocations are kept: a numbered list, durable, whose numbers become visible in their order.
//!
//! A number is given by updating the realm's row of `jwe_gate_feed`, whose lock is held until the writer commits: the
//! next writer gets the next number only when the one before can be seen. Whoever has read up to a number has therefore
//! missed nothing before it. A sequence would hand out numbers that commit out of order.

mod page;
mod postgres;
mod sqlite;

pub use postgres::PostgresJournal;
pub use sqlite::SqliteJournal;

use async_trait::async_trait;
use jwe_gate_contract::Bounds;
use sha2::{Digest, Sha256};
use tokio::sync::{Notify, mpsc};

use super::StoreError;

/// The revocations of one realm.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Makes the tables and the realm's row where they are absent.
    ///
    /// # Errors
    /// When the database cannot be asked, or does not allow it.
    async fn prepare(&self) -> Result<(), StoreError>;

    /// Writes a row, and returns when it will outlive a crash. A request id that is known writes nothing.
    ///
    /// # Errors
    /// When it was not written, or it is not known whether it was. Writing it again is safe.
    async fn write(&self, row: &NewRow) -> Result<Written, StoreError>;

    /// Reads at most `limit` rows that are in force, from the one after the number `after` on.
    ///
    /// # Errors
    /// When the database cannot be asked.
    async fn read(&self, after: u64, limit: u32) -> Result<Page, StoreError>;

    /// Deletes rows that are no longer in force, at most `limit`, and tells how many.
    ///
    /// # Errors
    /// When the database cannot be asked.
    async fn prune(&self, limit: u32) -> Result<u64, StoreError>;

    /// Tells what the database says by itself, until that fails. Who relies on it alone misses something.
    async fn listen(&self, ears: &Ears) -> StoreError;
}

/// Where the database is heard.
#[derive(Debug)]
pub struct Ears {
    /// Rung when others may have written.
    pub bell: Notify,
    /// Gets the users that were changed. What does not fit is lost.
    pub changes: mpsc::Sender<Change>,
}

/// A notice that a user was changed. All services get the same one.
#[derive(Clone, PartialEq, Eq)]
pub struct Change(String);

impl Change {
    /// From the text of a notice: a transaction's number, a space, and the user's id.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        text.split_once(' ').filter(|(_, subject)| !subject.is_empty())?;
        Some(Self(text.to_owned()))
    }

    /// The user's id.
    #[must_use]
    pub fn subject(&self) -> &str {
        self.0.split_once(' ').map_or("", |(_, subject)| subject)
    }

    /// The id of the request that all services make of this notice, so that it is written once.
    #[must_use]
    pub fn request_id(&self) -> String {
        use std::fmt::Write;
        let digest = Sha256::digest(&self.0);
        digest.iter().take(16).fold("changed-".to_owned(), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

/// Names nobody.
impl std::fmt::Debug for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Change(..)")
    }
}

/// A row to be written. The database adds the time at which it is.
#[derive(Clone, Debug)]
pub struct NewRow {
    /// A request that comes twice is written once.
    pub request_id: String,
    /// What it is about.
    pub named: Named,
    /// Who asked for it.
    pub by: Author,
    /// The bounds, counted from the time of writing.
    pub from_now: Bounds,
    /// What the bounds are at least.
    pub at_least: Bounds,
    /// How long after the later bound the row stays in force, in milliseconds.
    pub keep_ms: u64,
}

/// What a row is about.
#[derive(Clone, PartialEq, Eq)]
pub enum Named {
    /// A subject whose user was changed.
    Changed(String),
    /// A `sid`.
    Session(String),
    /// A subject whose sessions end.
    Subject(String),
}

/// Who asked for a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Author {
    /// An administrator.
    Admin,
    /// A trigger in the database.
    Database,
    /// A proxy.
    Proxy,
}

/// What came of writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// The request id belongs to a row about something else. Nothing was written.
    Conflict,
    /// The row was written.
    New(Place),
    /// The row was there.
    Repeated(Place),
}

/// Where a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its number.
    pub seq: u64,
    /// When it was written, by the database's clock, in milliseconds since 1970.
    pub at_ms: u64,
}

/// What was read.
#[derive(Clone, Debug)]
pub struct Page {
    /// Numbers count within it: another one after the database was replaced or taken back.
    pub origin: String,
    /// The last number that was given when the page was read.
    pub head: u64,
    /// The database's clock, in milliseconds since 1970.
    pub now_ms: u64,
    /// In the order of their numbers.
    pub rows: Vec<Row>,
}

/// A row that is in force.
#[derive(Clone, Debug)]
pub struct Row {
    /// Where it is.
    pub place: Place,
    /// When it ceases to be in force, in milliseconds since 1970.
    pub until_ms: u64,
    /// What it is about.
    pub named: Named,
    /// Which sessions of a subject it ends.
    pub bounds: Bounds,
}

impl Named {
    fn kind(&self) -> &'static str {
        match self {
            Self::Changed(_) => CHANGED,
            Self::Session(_) => SESSION,
            Self::Subject(_) => SUBJECT,
        }
    }

    fn name(&self) -> &str {
        let (Self::Changed(name) | Self::Session(name) | Self::Subject(name)) = self;
        name
    }

    fn from_columns(kind: &str, name: String) -> Option<Self> {
        match kind {
            CHANGED => Some(Self::Changed(name)),
            SESSION => Some(Self::Session(name)),
            SUBJECT => Some(Self::Subject(name)),
            _ => None,
        }
    }
}

/// Names nobody.
impl std::fmt::Debug for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.kind())
    }
}

impl Author {
    /// As it is written down.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Database => "database",
            Self::Proxy => "proxy",
        }
    }
}

impl Written {
    /// From a row of (number, time, whether it is new, whether it is about the same).
    fn from_columns(seq: i64, at_ms: i64, is_new: bool, is_same: bool) -> Self {
        let place = Place { seq: super::milliseconds(seq), at_ms: super::milliseconds(at_ms) };
        match (is_new, is_same) {
            (true, _) => Self::New(place),
            (false, true) => Self::Repeated(place),
            (false, false) => Self::Conflict,
        }
    }
}

/// As the databases count. What is larger is for ever.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(FOR_EVER)
}

/// Leaves room for being added to.
const FOR_EVER: i64 = i64::MAX / 4;

const CHANGED: &str = "changed";
const SESSION: &str = "session";
const SUBJECT: &str = "subject";
