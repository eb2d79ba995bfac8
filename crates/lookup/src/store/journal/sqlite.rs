//! Revocations in an `SQLite` file, for one process.

use std::path::Path;

use async_trait::async_trait;
use sqlx::Row as _;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};

use super::page::page;
use super::{Ears, Journal, NewRow, Page, Written, signed};
use crate::store::StoreError;

/// Revocations in an `SQLite` file.
pub struct SqliteJournal {
    pool: SqlitePool,
    realm: String,
}

impl SqliteJournal {
    /// Opens the file, and makes it where it is absent.
    ///
    /// # Errors
    /// When the file cannot be written, or is something else.
    pub async fn open(path: &Path, realm: &str) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
        // Each commit is forced to the disk.
        let options = options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
        let pool = SqlitePoolOptions::new().max_connections(CONNECTIONS).connect_with(options).await?;
        Ok(Self { pool, realm: realm.to_owned() })
    }

    async fn insert(&self, row: &NewRow) -> Result<Written, sqlx::Error> {
        // Only one transaction writes at a time, and it has the lock from its beginning.
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let (kind, name) = (row.named.kind(), row.named.name());
        let query = sqlx::query(GIVEN).bind(&self.realm).bind(&row.request_id).bind(kind).bind(name);
        if let Some(given) = query.fetch_optional(&mut *transaction).await? {
            return written(&given, false);
        }
        sqlx::query(NEXT).bind(&self.realm).execute(&mut *transaction).await?;
        let query = sqlx::query(INSERT).bind(&self.realm).bind(&row.request_id).bind(kind).bind(name);
        let (from_now, at_least) = (row.from_now, row.at_least);
        let query = query.bind(row.by.as_str());
        let query = query.bind(signed(from_now.signed_in_before_ms)).bind(signed(from_now.issued_before_ms));
        let query = query.bind(signed(at_least.signed_in_before_ms)).bind(signed(at_least.issued_before_ms));
        let inserted = query.bind(signed(row.keep_ms)).fetch_one(&mut *transaction).await?;
        transaction.commit().await?;
        written(&inserted, true)
    }
}

#[async_trait]
impl Journal for SqliteJournal {
    async fn prepare(&self) -> Result<(), StoreError> {
        sqlx::raw_sql(TABLES).execute(&self.pool).await?;
        let epoch = uuid::Uuid::new_v4().to_string();
        sqlx::query(FIRST_ROW).bind(&self.realm).bind(epoch).execute(&self.pool).await?;
        Ok(())
    }

    async fn write(&self, row: &NewRow) -> Result<Written, StoreError> {
        Ok(self.insert(row).await?)
    }

    async fn read(&self, after: u64, limit: u32) -> Result<Page, StoreError> {
        let query = sqlx::query(READ).bind(&self.realm).bind(signed(after)).bind(limit);
        page(&query.fetch_all(&self.pool).await?)
    }

    async fn prune(&self, limit: u32) -> Result<u64, StoreError> {
        Ok(sqlx::query(PRUNE).bind(&self.realm).bind(limit).execute(&self.pool).await?.rows_affected())
    }

    /// Nobody else writes.
    async fn listen(&self, _ears: &Ears) -> StoreError {
        std::future::pending().await
    }
}

fn written(row: &SqliteRow, is_new: bool) -> Result<Written, sqlx::Error> {
    Ok(Written::from_columns(row.try_get(0)?, row.try_get(1)?, is_new, row.try_get(2)?))
}

const CONNECTIONS: u32 = 2;

const TABLES: &str = "\
CREATE TABLE IF NOT EXISTS jwe_gate_feed (
    realm TEXT PRIMARY KEY NOT NULL,
    epoch TEXT NOT NULL,
    seq INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS jwe_gate_revocations (
    realm TEXT NOT NULL,
    seq INTEGER NOT NULL,
    request_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    revoked_by TEXT NOT NULL,
    at_ms INTEGER NOT NULL, -- milliseconds since 1970, as all times here
    signed_in_before_ms INTEGER NOT NULL,
    issued_before_ms INTEGER NOT NULL,
    until_ms INTEGER NOT NULL,
    PRIMARY KEY (realm, seq),
    UNIQUE (realm, request_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS jwe_gate_revocations_until ON jwe_gate_revocations (realm, until_ms);";

const FIRST_ROW: &str = "INSERT INTO jwe_gate_feed (realm, epoch, seq) VALUES (?1, ?2, 0) ON CONFLICT DO NOTHING";

const GIVEN: &str = "\
SELECT seq, at_ms, kind = ?3 AND name = ?4 FROM jwe_gate_revocations WHERE realm = ?1 AND request_id = ?2";

const NEXT: &str = "UPDATE jwe_gate_feed SET seq = seq + 1 WHERE realm = ?1";

const INSERT: &str = "\
INSERT INTO jwe_gate_revocations (realm, seq, request_id, kind, name, revoked_by,
    at_ms, signed_in_before_ms, issued_before_ms, until_ms)
SELECT ?1, seq, ?2, ?3, ?4, ?5,
    now_ms, max(now_ms + ?6, ?8), max(now_ms + ?7, ?9), max(now_ms + ?7, ?9) + ?10
FROM jwe_gate_feed, (SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER) AS now_ms)
WHERE realm = ?1
RETURNING seq, at_ms, true";

const READ: &str = "\
SELECT f.epoch, f.seq, clock.now_ms, r.seq, r.kind, r.name, r.at_ms, r.signed_in_before_ms, r.issued_before_ms, r.until_ms
FROM jwe_gate_feed f
CROSS JOIN (SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER) AS now_ms) clock
LEFT JOIN (
    SELECT * FROM jwe_gate_revocations WHERE realm = ?1 AND seq > ?2
    AND until_ms > CAST(unixepoch('subsec') * 1000 AS INTEGER) ORDER BY seq LIMIT ?3
) r
WHERE f.realm = ?1 ORDER BY r.seq";

const PRUNE: &str = "\
DELETE FROM jwe_gate_revocations WHERE realm = ?1 AND seq IN (
    SELECT seq FROM jwe_gate_revocations
    WHERE realm = ?1 AND until_ms <= CAST(unixepoch('subsec') * 1000 AS INTEGER) LIMIT ?2
)";
