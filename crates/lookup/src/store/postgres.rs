//! Users and sessions in Postgres.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgPool, PgPoolOptions, PgRow, PgSslMode};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Postgres, Row};

use crate::schema::Schema;

use super::catalogue::Catalogue;
use super::details::{UserRow, findings};
use super::loan::Loan;
use super::{Finding, Reading, StoreError, UserFields, UserStore, milliseconds, of_users, users_of};

/// How to reach a Postgres server. Connections are made when they are first needed.
#[derive(Clone)]
pub struct PostgresPool {
    options: PgConnectOptions,
}

/// How much the connection to Postgres is protected; names and meanings are libpq's `sslmode`.
pub type TlsMode = PgSslMode;

/// The text is no URL of a Postgres server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UrlError;

/// Users and sessions in Postgres.
pub struct PostgresStore {
    pool: PgPool,
    schema: Schema,
    timeout: Duration,
    catalogue: RwLock<Option<Arc<Catalogue>>>,
}

impl PostgresPool {
    /// Reads a `postgres://` URL.
    ///
    /// # Errors
    /// When it is none.
    pub fn from_url(url: &str) -> Result<Self, UrlError> {
        let scheme_fits = url.starts_with("postgres://") || url.starts_with("postgresql://");
        let options = PgConnectOptions::from_str(url).ok().filter(|_| scheme_fits).ok_or(UrlError)?;
        Ok(Self { options: options.application_name(APPLICATION) })
    }

    /// Takes a server apart from a URL. No password means none is sent.
    #[must_use]
    pub fn from_parts(host: &str, port: u16, database: &str, user: &str, password: Option<&str>) -> Self {
        let options = PgConnectOptions::new_without_pgpass().host(host).port(port).database(database).username(user);
        let options = password.iter().fold(options, |options, password| options.password(password));
        Self { options: options.application_name(APPLICATION) }
    }

    /// Sets how much the connection is protected, and whom to trust besides the system's authorities.
    #[must_use]
    pub fn with_tls(mut self, mode: Option<TlsMode>, authority: Option<PathBuf>) -> Self {
        if let Some(mode) = mode {
            self.options = self.options.ssl_mode(mode);
        }
        if let Some(authority) = authority {
            self.options = self.options.ssl_root_cert(authority);
        }
        self
    }

    /// At most `size` connections.
    pub(super) fn open(self, size: u32, timeout: Duration) -> PgPool {
        PgPoolOptions::new().max_connections(size).acquire_timeout(timeout).connect_lazy_with(self.options)
    }
}

impl PostgresStore {
    /// A store on at most `size` connections, where each call takes at most `timeout`.
    #[must_use]
    pub fn new(server: PostgresPool, size: u32, schema: Schema, timeout: Duration) -> Self {
        Self::on(server.open(size, timeout), schema, timeout)
    }

    /// A store on connections made elsewhere.
    #[must_use]
    pub fn on(pool: PgPool, schema: Schema, timeout: Duration) -> Self {
        Self { pool, schema, timeout, catalogue: RwLock::new(None) }
    }

    /// The statements for users and for sessions, once the tables have been read: for asking Postgres how it would run
    /// them.
    #[must_use]
    pub fn statements(&self) -> Option<(String, Option<String>)> {
        let catalogue = self.known_catalogue()?;
        Some((catalogue.users.clone(), catalogue.sessions.clone()))
    }

    async fn catalogue(&self) -> Result<Arc<Catalogue>, StoreError> {
        if let Some(catalogue) = self.known_catalogue() {
            return Ok(catalogue);
        }
        let catalogue =
            self.loan().await?.run(async |connection| Catalogue::read(connection, &self.schema).await).await?;
        let catalogue = Arc::new(catalogue);
        self.keep(Some(Arc::clone(&catalogue)));
        Ok(catalogue)
    }

    fn known_catalogue(&self) -> Option<Arc<Catalogue>> {
        self.catalogue.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, catalogue: Option<Arc<Catalogue>>) {
        *self.catalogue.write().unwrap_or_else(PoisonError::into_inner) = catalogue;
    }

    async fn read_users(&self, subjects: &[String]) -> Result<Reading, StoreError> {
        let catalogue = self.catalogue().await?;
        let ids = catalogue.id_type.parse(subjects);
        if ids.is_empty() {
            let findings = vec![Finding::Unknown; subjects.len()];
            return Ok(Reading { as_of_ms: catalogue.estimated_clock_ms(), findings });
        }
        let query = ids.bind(sqlx::query(AssertSqlSafe(catalogue.users.clone())));
        let rows = self.fetch(query).await?;
        let known = rows.iter().map(user).collect::<Result<Vec<_>, _>>()?;
        // Postgres has typed the values.
        let findings = findings(subjects, known.into_iter().flatten().collect(), |_, value| Some(value));
        Ok(Reading { as_of_ms: as_of(&rows)?, findings })
    }

    async fn read_sessions(&self, tokens: &[String]) -> Result<Reading, StoreError> {
        let sessions = self.read_session_table(tokens).await?;
        let users = users_of(&sessions);
        if users.is_empty() || self.schema.selection.is_empty() {
            return Ok(sessions);
        }
        Ok(of_users(sessions, &users, self.read_users(&users).await?))
    }

    async fn read_session_table(&self, tokens: &[String]) -> Result<Reading, StoreError> {
        let catalogue = self.catalogue().await?;
        let Some(statement) = catalogue.sessions.clone() else {
            // The table may have been made since.
            if catalogue.is_old() {
                self.keep(None);
            }
            return Err(StoreError::NoSessions);
        };
        let possible: Vec<_> = tokens.iter().filter(|token| !token.contains('\0')).cloned().collect();
        let rows = self.fetch(sqlx::query(AssertSqlSafe(statement)).bind(possible)).await?;
        let known = rows.iter().map(live_session).collect::<Result<Vec<_>, _>>()?;
        let find = |token: &String| {
            let session = known.iter().flatten().find(|(found, _)| found == token);
            session.map_or(Finding::Unknown, |(_, finding)| finding.clone())
        };
        Ok(Reading { as_of_ms: as_of(&rows)?, findings: tokens.iter().map(find).collect() })
    }

    async fn fetch(&self, query: Query<'_, Postgres, PgArguments>) -> Result<Vec<PgRow>, StoreError> {
        self.loan().await?.run(async |connection| query.fetch_all(connection).await).await
    }

    async fn loan(&self) -> Result<Loan, StoreError> {
        Loan::take(&self.pool, self.timeout.saturating_mul(TO_RECOVER)).await
    }

    async fn in_time<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let result = tokio::time::timeout(self.timeout, work).await.unwrap_or(Err(StoreError::TimedOut));
        if result.as_ref().is_err_and(StoreError::tells_of_changed_tables) {
            self.keep(None);
        }
        result
    }
}

#[async_trait]
impl UserStore for PostgresStore {
    async fn prepare(&self) -> Result<(), StoreError> {
        self.in_time(self.catalogue()).await.map(drop)
    }

    async fn users(&self, subjects: &[String]) -> Result<Reading, StoreError> {
        self.in_time(self.read_users(subjects)).await
    }

    async fn sessions(&self, tokens: &[String]) -> Result<Reading, StoreError> {
        self.in_time(self.read_sessions(tokens)).await
    }
}

fn as_of(rows: &[PgRow]) -> Result<u64, StoreError> {
    let row = rows.first().ok_or(StoreError::Unreachable)?;
    Ok(milliseconds(row.try_get(0)?))
}

/// The user, unless the row holds the clock alone.
fn user(row: &PgRow) -> Result<Option<UserRow>, sqlx::Error> {
    let Some(id) = row.try_get(1)? else { return Ok(None) };
    Ok(Some(UserRow { id, is_banned: row.try_get(2)?, fields: row.try_get(3)? }))
}

/// The token and its session, unless the row holds the clock alone.
fn live_session(row: &PgRow) -> Result<Option<(String, Finding)>, sqlx::Error> {
    let Some(token) = row.try_get::<Option<String>, _>(1)? else { return Ok(None) };
    let ends_in_ms = row.try_get::<Option<i64>, _>(3)?.map(milliseconds);
    let fields = UserFields::new();
    Ok(Some((token, Finding::Known { user: row.try_get(2)?, ends_in_ms, fields })))
}

const APPLICATION: &str = "jwe-gate-lookup";

/// So many times as long as a query may take, a connection is waited for whose query was given up.
const TO_RECOVER: u32 = 20;
