//! A connection of the pool for one query.
//!
//! The pool takes a connection back once it answers again, and waits for that without an end. A host that has vanished
//! without a word never answers: each query given up would cost the pool one place until the kernel gives up, too, which
//! takes a quarter of an hour. So that waiting has an end here. It is a long one: behind a connection that is closed
//! while its query waits for a lock, the server's side of it waits on, and these must not pile up.

use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, PgPool};
use sqlx::{Connection, Postgres};
use tokio::runtime::Handle;

use super::StoreError;

/// A connection that goes back to the pool when it has been used, and otherwise when it has recovered.
pub(super) struct Loan {
    connection: Option<PoolConnection<Postgres>>,
    patience: Duration,
}

impl Loan {
    /// Takes a connection. Dropped in mid-query, it has `patience` to recover.
    pub(super) async fn take(pool: &PgPool, patience: Duration) -> Result<Self, StoreError> {
        Ok(Self { connection: Some(pool.acquire().await?), patience })
    }

    /// Runs one query, or several.
    pub(super) async fn run<T, E: Into<StoreError>>(
        mut self,
        query: impl AsyncFnOnce(&mut PgConnection) -> Result<T, E>,
    ) -> Result<T, StoreError> {
        let Some(connection) = &mut self.connection else { return Err(StoreError::Unreachable) };
        let result = query(connection).await;
        // Used to the end, whatever came of it: the pool may have it back.
        self.connection = None;
        result.map_err(Into::into)
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        let (Some(mut connection), patience) = (self.connection.take(), self.patience) else { return };
        let Ok(runtime) = Handle::try_current() else { return };
        runtime.spawn(async move {
            let recovered = tokio::time::timeout(patience, connection.ping()).await;
            if !matches!(recovered, Ok(Ok(()))) {
                connection.close_on_drop();
            }
        });
    }
}
