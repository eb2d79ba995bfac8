//! Users and sessions in an `SQLite` file, for running without any server.

use std::path::Path;

use async_trait::async_trait;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow};
use sqlx::{AssertSqlSafe, Row, SqlSafeStr};
use tokio::sync::OnceCell;

use super::details::{UserRow, findings};
use super::sqlite_users::UserStatement;
use super::{Finding, Reading, StoreError, UserFields, UserStore, milliseconds, of_users, users_of};
use crate::selection::Selection;

/// Users and sessions in an `SQLite` file.
pub struct SqliteStore {
    pool: SqlitePool,
    selection: Selection,
    users: OnceCell<UserStatement>,
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
        Ok(Self { pool, selection: Selection::default(), users: OnceCell::new() })
    }

    /// Reads this of users, too.
    #[must_use]
    pub fn selecting(self, selection: Selection) -> Self {
        Self { selection, users: OnceCell::new(), ..self }
    }

    /// Adds a user, unless there is one with this id.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn add_user(&self, id: &str) -> Result<(), StoreError> {
        sqlx::query("INSERT INTO users (id) VALUES (?1) ON CONFLICT DO NOTHING").bind(id).execute(&self.pool).await?;
        Ok(())
    }

    async fn fetch(&self, statement: impl SqlSafeStr, keys: &[String]) -> Result<Vec<SqliteRow>, StoreError> {
        // SQLite has no arrays; a JSON list makes one statement do for any number of keys.
        let keys = serde_json::to_string(keys).map_err(|_| StoreError::Unreachable)?;
        Ok(sqlx::query(statement).bind(keys).fetch_all(&self.pool).await?)
    }

    async fn user_statement(&self) -> Result<&UserStatement, StoreError> {
        self.users.get_or_try_init(|| UserStatement::prepare(&self.pool, &self.selection)).await
    }
}

#[async_trait]
impl UserStore for SqliteStore {
    async fn prepare(&self) -> Result<(), StoreError> {
        self.user_statement().await.map(drop)
    }

    async fn users(&self, subjects: &[String]) -> Result<Reading, StoreError> {
        let statement = self.user_statement().await?;
        let rows = self.fetch(AssertSqlSafe(statement.text.clone()), subjects).await?;
        let known = rows.iter().map(user).collect::<Result<Vec<_>, _>>()?;
        let typed = |name: &str, value| statement.typed(name, value);
        Ok(Reading {
            as_of_ms: as_of(&rows)?,
            findings: findings(subjects, known.into_iter().flatten().collect(), typed),
        })
    }

    async fn sessions(&self, tokens: &[String]) -> Result<Reading, StoreError> {
        let sessions = reading(&self.fetch(SESSIONS, tokens).await?, tokens)?;
        let users = users_of(&sessions);
        if users.is_empty() || self.selection.is_empty() {
            return Ok(sessions);
        }
        Ok(of_users(sessions, &users, self.users(&users).await?))
    }
}

fn as_of(rows: &[SqliteRow]) -> Result<u64, StoreError> {
    Ok(milliseconds(rows.first().ok_or(StoreError::Unreachable)?.try_get(0)?))
}

/// The user, unless the row holds the clock alone.
fn user(row: &SqliteRow) -> Result<Option<UserRow>, sqlx::Error> {
    let Some(id) = row.try_get(1)? else { return Ok(None) };
    let is_banned = row.try_get::<Option<i64>, _>(2)?.map(|flag| flag != 0);
    Ok(Some(UserRow { id, is_banned, fields: row.try_get(3)? }))
}

/// From rows of (clock, token, user id, milliseconds to the end), at least one.
fn reading(rows: &[SqliteRow], tokens: &[String]) -> Result<Reading, StoreError> {
    let known = rows.iter().map(finding).collect::<Result<Vec<_>, _>>()?;
    let find = |token: &String| {
        let row = known.iter().flatten().find(|(found, _)| found == token);
        row.map_or(Finding::Unknown, |(_, finding)| finding.clone())
    };
    Ok(Reading { as_of_ms: as_of(rows)?, findings: tokens.iter().map(find).collect() })
}

fn finding(row: &SqliteRow) -> Result<Option<(String, Finding)>, sqlx::Error> {
    let Some(key) = row.try_get::<Option<String>, _>(1)? else { return Ok(None) };
    let ends_in_ms = row.try_get::<Option<i64>, _>(3)?.map(milliseconds);
    let fields = UserFields::new();
    Ok(Some((key, Finding::Known { user: row.try_get(2)?, ends_in_ms, fields })))
}

const CONNECTIONS: u32 = 4;

const TABLES: &str = "\
CREATE TABLE IF NOT EXISTS users (id TEXT PRIMARY KEY NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sessions (
    \"sessionToken\" TEXT PRIMARY KEY NOT NULL,
    \"userId\" TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    expires INTEGER NOT NULL -- milliseconds since 1970
) WITHOUT ROWID;";

const SESSIONS: &str = "\
SELECT clock.as_of, found.token, found.user, found.expires - clock.as_of
FROM (SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER) AS as_of) clock
LEFT JOIN (
    SELECT s.\"sessionToken\" AS token, u.id AS user, s.expires
    FROM sessions s JOIN users u ON u.id = s.\"userId\"
    WHERE s.\"sessionToken\" IN (SELECT value FROM json_each(?1))
) found ON found.expires > clock.as_of";
