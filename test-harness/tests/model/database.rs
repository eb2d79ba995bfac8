//! The store of the service: what a database does, in memory, on a clock that the test sets.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use jwe_gate_contract::Bounds;
use jwe_gate_lookup::store::journal::{Ears, Journal, Named, NewRow, Page, Place, Row, Written};
use jwe_gate_lookup::store::{Finding, Reading, StoreError, UserStore};

/// The database. Every user exists in it.
#[derive(Debug)]
pub(crate) struct Database {
    now_ms: AtomicU64,
    is_down: AtomicBool,
    /// Under the ids of the requests.
    rows: Mutex<BTreeMap<String, Row>>,
}

impl Database {
    pub(crate) fn new(now_ms: u64) -> Self {
        Self { now_ms: AtomicU64::new(now_ms), is_down: AtomicBool::new(false), rows: Mutex::default() }
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.now_ms.load(Ordering::Relaxed)
    }

    pub(crate) fn advance(&self, ms: u64) {
        self.now_ms.fetch_add(ms, Ordering::Relaxed);
    }

    pub(crate) fn is_down(&self) -> bool {
        self.is_down.load(Ordering::Relaxed)
    }

    pub(crate) fn set_down(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::Relaxed);
    }

    /// What was written after a number, in order.
    pub(crate) fn written_after(&self, number: u64) -> Vec<Row> {
        let mut rows: Vec<_> = self.rows().values().filter(|row| row.place.seq > number).cloned().collect();
        rows.sort_by_key(|row| row.place.seq);
        rows
    }

    fn reached(&self) -> Result<MutexGuard<'_, BTreeMap<String, Row>>, StoreError> {
        if self.is_down() { Err(StoreError::Unreachable) } else { Ok(self.rows()) }
    }

    fn rows(&self) -> MutexGuard<'_, BTreeMap<String, Row>> {
        self.rows.lock().expect("no holder of the lock panicked")
    }
}

#[async_trait]
impl Journal for Database {
    async fn prepare(&self) -> Result<(), StoreError> {
        self.reached().map(drop)
    }

    async fn write(&self, new: &NewRow) -> Result<Written, StoreError> {
        let mut rows = self.reached()?;
        if let Some(row) = rows.get(&new.request_id) {
            return Ok(if row.named == new.named { Written::Repeated(row.place) } else { Written::Conflict });
        }
        let place = Place { seq: rows.len() as u64 + 1, at_ms: self.now_ms() };
        let counted = Bounds {
            signed_in_before_ms: place.at_ms + new.from_now.signed_in_before_ms,
            issued_before_ms: place.at_ms + new.from_now.issued_before_ms,
        };
        let bounds = counted.or_later(new.at_least);
        let until_ms = bounds.issued_before_ms + new.keep_ms;
        rows.insert(new.request_id.clone(), Row { place, until_ms, named: new.named.clone(), bounds });
        Ok(Written::New(place))
    }

    async fn read(&self, after: u64, limit: u32) -> Result<Page, StoreError> {
        let head = self.reached()?.len() as u64;
        let now_ms = self.now_ms();
        let mut rows = self.written_after(after);
        rows.retain(|row| row.until_ms > now_ms);
        rows.truncate(limit as usize);
        Ok(Page { origin: "the only one".into(), head, now_ms, rows })
    }

    async fn prune(&self, _limit: u32) -> Result<u64, StoreError> {
        Ok(0)
    }

    /// Nothing: replicas find by polling what others write.
    async fn listen(&self, _ears: &Ears) -> StoreError {
        std::future::pending().await
    }
}

#[async_trait]
impl UserStore for Database {
    async fn prepare(&self) -> Result<(), StoreError> {
        self.reached().map(drop)
    }

    async fn users(&self, subjects: &[String]) -> Result<Reading, StoreError> {
        let _reached = self.reached()?;
        let known = |user: &String| Finding::Known { user: user.clone(), ends_in_ms: None, fields: BTreeMap::new() };
        Ok(Reading { as_of_ms: self.now_ms(), findings: subjects.iter().map(known).collect() })
    }

    async fn sessions(&self, _tokens: &[String]) -> Result<Reading, StoreError> {
        Err(StoreError::NoSessions)
    }
}

/// The name of what a row ends.
pub(crate) fn ended(row: &Row) -> Ended {
    match &row.named {
        Named::Session(sid) => Ended::Session(sid.clone()),
        Named::Subject(user) => Ended::User(user.clone()),
        Named::Changed(_) => panic!("no user was changed"),
    }
}

/// What a revocation ends.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ended {
    /// The session with this `sid`.
    Session(String),
    /// All of this user's sessions up to now.
    User(String),
}
