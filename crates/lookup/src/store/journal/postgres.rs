//! Revocations in Postgres.
//!
//! Writers and readers have connections of their own: a burst of lookups does not keep a sign-out waiting.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::Row as _;
use sqlx::postgres::{PgConnection, PgListener, PgPool};

use super::page::page;
use super::{Change, Ears, Journal, NewRow, Page, Written, signed};
use crate::store::loan::Loan;
use crate::store::{PostgresPool, StoreError};

/// Revocations in Postgres.
pub struct PostgresJournal {
    pool: PgPool,
    realm: String,
    timeout: Duration,
    /// The server lets us ask which server it is.
    says_which: AtomicBool,
}

impl PostgresJournal {
    /// The journal of `realm`, where each call takes at most `timeout`, and writing some times longer: writers wait for each
    /// other, and sooner late than not at all.
    #[must_use]
    pub fn new(server: PostgresPool, realm: &str, timeout: Duration) -> Self {
        let pool = server.open(CONNECTIONS, timeout.saturating_mul(TO_WRITE));
        Self { pool, realm: realm.to_owned(), timeout, says_which: AtomicBool::new(true) }
    }

    async fn in_time<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        tokio::time::timeout(self.timeout, work).await.unwrap_or(Err(StoreError::TimedOut))
    }

    async fn loan(&self) -> Result<Loan, StoreError> {
        Loan::take(&self.pool, self.timeout.saturating_mul(TO_RECOVER)).await
    }

    async fn make_tables(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let exist: bool = sqlx::query_scalar(TABLES_EXIST).fetch_one(&mut *connection).await?;
        if !exist {
            sqlx::raw_sql(TABLES).execute(&mut *connection).await?;
        }
        let epoch = uuid::Uuid::new_v4().to_string();
        sqlx::query(FIRST_ROW).bind(&self.realm).bind(epoch).execute(connection).await?;
        Ok(())
    }

    async fn try_write(&self, row: &NewRow) -> Result<Option<Written>, StoreError> {
        let query = sqlx::query(WRITE).bind(&self.realm).bind(&row.request_id);
        let query = query.bind(row.named.kind()).bind(row.named.name()).bind(row.by.as_str());
        let (from_now, at_least) = (row.from_now, row.at_least);
        let query = query.bind(signed(from_now.signed_in_before_ms)).bind(signed(from_now.issued_before_ms));
        let query = query.bind(signed(at_least.signed_in_before_ms)).bind(signed(at_least.issued_before_ms));
        let query = query.bind(signed(row.keep_ms));
        let found = self.loan().await?.run(async |connection| query.fetch_optional(connection).await).await?;
        let Some(found) = found else { return Ok(None) };
        let (seq, at_ms) = (found.try_get(0)?, found.try_get(1)?);
        Ok(Some(Written::from_columns(seq, at_ms, found.try_get(2)?, found.try_get(3)?)))
    }

    async fn write_or_prepare(&self, row: &NewRow) -> Result<Written, StoreError> {
        for _ in 0..TRIES {
            match self.try_write(row).await {
                Ok(Some(written)) => return Ok(written),
                // The tables were emptied, or dropped.
                Ok(None) => self.make().await?,
                Err(error) if error.tells_of_changed_tables() => self.make().await?,
                Err(error) if tells_of_another_writer(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::TimedOut)
    }

    async fn make(&self) -> Result<(), StoreError> {
        for _ in 0..TRIES {
            let made = self.loan().await?.run(async |connection| self.make_tables(connection).await).await;
            match made {
                // Two services that make the same table at once: one of them fails.
                Err(error) if tells_of_another_writer(&error) => {}
                made => return made,
            }
        }
        Err(StoreError::TimedOut)
    }

    /// Which server this is, and how often it has been taken back to an earlier state or replaced by a copy that may
    /// have been behind. Some providers do not let clients ask; there, only `jwe_gate_feed.epoch` tells.
    async fn incarnation(&self, connection: &mut PgConnection) -> Result<String, sqlx::Error> {
        if !self.says_which.load(Ordering::Relaxed) {
            return Ok(String::new());
        }
        match sqlx::query_scalar(INCARNATION).fetch_one(connection).await {
            Err(sqlx::Error::Database(_)) => {
                self.says_which.store(false, Ordering::Relaxed);
                tracing::warn!("the database does not tell its timeline: see to jwe_gate_feed.epoch after a failover");
                Ok(String::new())
            }
            found => found,
        }
    }

    async fn read_page(&self, after: u64, limit: u32) -> Result<Page, StoreError> {
        let (incarnation, rows) = self
            .loan()
            .await?
            .run(async |connection| -> Result<_, StoreError> {
                let incarnation = self.incarnation(connection).await?;
                let query = sqlx::query(READ).bind(&self.realm).bind(signed(after)).bind(i64::from(limit));
                Ok((incarnation, query.fetch_all(connection).await?))
            })
            .await?;
        let page = page(&rows)?;
        Ok(Page { origin: format!("{} {incarnation}", page.origin), ..page })
    }
}

#[async_trait]
impl Journal for PostgresJournal {
    async fn prepare(&self) -> Result<(), StoreError> {
        self.in_time(self.make()).await
    }

    async fn write(&self, row: &NewRow) -> Result<Written, StoreError> {
        let limit = self.timeout.saturating_mul(TO_WRITE);
        tokio::time::timeout(limit, self.write_or_prepare(row)).await.unwrap_or(Err(StoreError::TimedOut))
    }

    async fn read(&self, after: u64, limit: u32) -> Result<Page, StoreError> {
        self.in_time(self.read_page(after, limit)).await
    }

    async fn prune(&self, limit: u32) -> Result<u64, StoreError> {
        let query = sqlx::query(PRUNE).bind(&self.realm).bind(i64::from(limit));
        let work = async { self.loan().await?.run(async |connection| query.execute(connection).await).await };
        Ok(self.in_time(work).await?.rows_affected())
    }

    async fn listen(&self, ears: &Ears) -> StoreError {
        let listening = async {
            let mut connection = PgListener::connect_with(&self.pool).await?;
            connection.listen_all([WRITTEN, CHANGED]).await?;
            // What was written before is not told.
            ears.bell.notify_one();
            // Nothing comes after the connection was lost.
            while let Some(notice) = connection.try_recv().await? {
                if notice.channel() == WRITTEN {
                    ears.bell.notify_one();
                } else if let Some(change) = Change::new(notice.payload()) {
                    // Too many at once: the rest is noticed when what is known of them is no longer fresh.
                    let _ = ears.changes.try_send(change);
                }
            }
            Err::<(), sqlx::Error>(sqlx::Error::PoolClosed)
        };
        listening.await.err().map_or(StoreError::Unreachable, StoreError::from)
    }
}

/// Two writers met, and one of them is to try again: with the same request id, by making the same table, or where
/// transactions are by default stricter than this needs.
fn tells_of_another_writer(error: &StoreError) -> bool {
    let codes = ["23505", "40001", "40P01", "42P07", "42710", "XX000"];
    matches!(error, StoreError::Refused { sqlstate } if codes.contains(&sqlstate.as_str()))
}

/// One reads, two write, one listens.
const CONNECTIONS: u32 = 4;

/// So many times as long as a query may take, a connection is waited for whose query was given up.
const TO_RECOVER: u32 = 20;

/// So many times as long as a query may take, a revocation may.
const TO_WRITE: u32 = 4;

const TRIES: usize = 10;
const WRITTEN: &str = "jwe_gate_revocations";
const CHANGED: &str = "jwe_gate_user_changed";
const TABLES: &str = include_str!("../../../sql/revocations.sql");
const TABLES_EXIST: &str =
    "SELECT to_regclass('jwe_gate_feed') IS NOT NULL AND to_regclass('jwe_gate_revocations') IS NOT NULL";
const FIRST_ROW: &str = "INSERT INTO jwe_gate_feed (realm, epoch, seq) VALUES ($1, $2, 0) ON CONFLICT DO NOTHING";

/// The time is taken when the row's lock is held, so that it is not before that of the number before. A database that is
/// set to acknowledge before it has written waits for this one, and tells the others when it has.
const WRITE: &str = "\
WITH given AS (
    SELECT seq, at_ms, kind, name FROM jwe_gate_revocations WHERE realm = $1 AND request_id = $2
), numbered AS (
    UPDATE jwe_gate_feed SET seq = seq + 1 WHERE realm = $1 AND NOT EXISTS (SELECT FROM given)
    RETURNING seq, floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS at_ms
), written AS (
    INSERT INTO jwe_gate_revocations (realm, seq, request_id, kind, name, revoked_by,
        at_ms, signed_in_before_ms, issued_before_ms, until_ms)
    SELECT $1, seq, $2, $3, $4, $5,
        at_ms, greatest(at_ms + $6, $8), greatest(at_ms + $7, $9), greatest(at_ms + $7, $9) + $10
    FROM numbered RETURNING seq, at_ms
)
SELECT seq, at_ms, true, true, pg_notify('jwe_gate_revocations', '')::text,
    set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on'
        ELSE current_setting('synchronous_commit') END, true)
FROM written
UNION ALL
SELECT seq, at_ms, false, kind = $3 AND name = $4, NULL, NULL FROM given";

/// Rows of (epoch, head, clock, then the columns of a revocation), at least one if the realm has a row.
const READ: &str = "\
SELECT f.epoch, f.seq, clock.now_ms, r.seq, r.kind, r.name, r.at_ms, r.signed_in_before_ms, r.issued_before_ms, r.until_ms
FROM jwe_gate_feed f
CROSS JOIN (SELECT floor(extract(epoch FROM now()) * 1000)::bigint AS now_ms) clock
LEFT JOIN LATERAL (
    SELECT * FROM jwe_gate_revocations WHERE realm = f.realm AND seq > $2 AND until_ms > clock.now_ms
    ORDER BY seq LIMIT $3
) r ON true
WHERE f.realm = $1 ORDER BY r.seq";

const PRUNE: &str = "\
DELETE FROM jwe_gate_revocations WHERE realm = $1 AND seq = ANY(ARRAY(
    SELECT seq FROM jwe_gate_revocations
    WHERE realm = $1 AND until_ms <= floor(extract(epoch FROM now()) * 1000)::bigint LIMIT $2
))";

/// The server's own identifier, and the timeline, which a restore to an earlier moment and a promoted copy begin anew.
const INCARNATION: &str = "\
SELECT CASE WHEN pg_is_in_recovery() THEN 'copy' ELSE
    (SELECT system_identifier::text FROM pg_control_system()) || ' ' ||
    left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)
END";
