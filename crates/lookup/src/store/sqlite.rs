//! Users and sessions in an `SQLite` file, for running without any server.

use std::path::Path;

use async_trait::async_trait;
use sqlx::Row;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow};

use super::{Finding, Reading, StoreError, UserStore, milliseconds};

/// Users and sessions in an `SQLite` file.
pub struct SqliteStore {
    pool: SqlitePool,
}

impl SqliteStore {
    /// Opens the file, and makes it with its tables where they are absent.
    ///
    /// # Errors
    /// When the file cannot be written, or is something else.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
        let options = options.journal_mode(SqliteJournalMode::Wal);
        let pool = SqlitePoolOptions::new().max_connections(CONNECTIONS).connect_with(options).await?;
        sqlx::raw_sql(TABLES).execute(&pool).await?;
        Ok(Self { pool })
    }

    /// Adds a user, unless there is one with this id.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn add_user(&self, id: &str) -> Result<(), StoreError> {
        sqlx::query("INSERT INTO users (id) VALUES (?1) ON CONFLICT DO NOTHING").bind(id).execute(&self.pool).await?;
        Ok(())
    }

    async fn fetch(&self, statement: &'static str, keys: &[String]) -> Result<Vec<SqliteRow>, StoreError> {
        // SQLite has no arrays; a JSON list makes one statement do for any number of keys.
        let keys = serde_json::to_string(keys).map_err(|_| StoreError::Unreachable)?;
        Ok(sqlx::query(statement).bind(keys).fetch_all(&self.pool).await?)
    }
}

#[async_trait]
impl UserStore for SqliteStore {
    async fn prepare(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn users(&self, subjects: &[String]) -> Result<Reading, StoreError> {
        reading(&self.fetch(USERS, subjects).await?, subjects)
    }

    async fn sessions(&self, tokens: &[String]) -> Result<Reading, StoreError> {
        reading(&self.fetch(SESSIONS, tokens).await?, tokens)
    }
}

/// From rows of (clock, key, user id, milliseconds to the end), at least one.
fn reading(rows: &[SqliteRow], keys: &[String]) -> Result<Reading, StoreError> {
    let as_of_ms = milliseconds(rows.first().ok_or(StoreError::Unreachable)?.try_get(0)?);
    let known = rows.iter().map(finding).collect::<Result<Vec<_>, _>>()?;
    let find = |key: &String| {
        let row = known.iter().flatten().find(|(found, _)| found == key);
        row.map_or(Finding::Unknown, |(_, finding)| finding.clone())
    };
    Ok(Reading { as_of_ms, findings: keys.iter().map(find).collect() })
}

fn finding(row: &SqliteRow) -> Result<Option<(String, Finding)>, sqlx::Error> {
    let Some(key) = row.try_get::<Option<String>, _>(1)? else { return Ok(None) };
    let ends_in_ms = row.try_get::<Option<i64>, _>(3)?.map(milliseconds);
    Ok(Some((key, Finding::Known { user: row.try_get(2)?, ends_in_ms })))
}

const CONNECTIONS: u32 = 4;

const TABLES: &str = "\
CREATE TABLE IF NOT EXISTS users (id TEXT PRIMARY KEY NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sessions (
    \"sessionToken\" TEXT PRIMARY KEY NOT NULL,
    \"userId\" TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    expires INTEGER NOT NULL -- milliseconds since 1970
) WITHOUT ROWID;";

const USERS: &str = "\
SELECT clock.as_of, found.id, found.id, NULL
FROM (SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER) AS as_of) clock
LEFT JOIN (SELECT u.id FROM users u WHERE u.id IN (SELECT value FROM json_each(?1))) found";

const SESSIONS: &str = "\
SELECT clock.as_of, found.token, found.user, found.expires - clock.as_of
FROM (SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER) AS as_of) clock
LEFT JOIN (
    SELECT s.\"sessionToken\" AS token, u.id AS user, s.expires
    FROM sessions s JOIN users u ON u.id = s.\"userId\"
    WHERE s.\"sessionToken\" IN (SELECT value FROM json_each(?1))
) found ON found.expires > clock.as_of";
