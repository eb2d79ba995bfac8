//! What is read of the tables before anything is looked up in them.

use std::time::{Duration, Instant};

use sqlx::postgres::PgConnection;

use crate::clock::whole_ms;
use crate::schema::{Identifier, Schema, Table};
use crate::selection::Source;

use super::ids::IdType;
use super::inner;
use super::statements::{self, ExpiresType};
use super::{StoreError, milliseconds};

/// The tables as they were found.
#[derive(Debug)]
pub(super) struct Catalogue {
    pub(super) id_type: IdType,
    /// Ready to send.
    pub(super) users: String,
    /// None when there is no usable table of sessions.
    pub(super) sessions: Option<String>,
    clock_ms: u64,
    read: Instant,
}

impl Catalogue {
    pub(super) async fn read(connection: &mut PgConnection, schema: &Schema) -> Result<Self, StoreError> {
        let (id_type, users) = match &schema.selection.source {
            Source::Columns(columns) => {
                let id_type = id_type(connection, schema).await?;
                (id_type, inner::of_columns(connection, schema, columns, id_type).await?)
            }
            Source::Query(query) => inner::of_query(connection, schema, query).await?,
        };
        let expires = column_type(connection, &schema.sessions.table, &schema.sessions.expires).await?;
        let sessions = expires.as_deref().and_then(ExpiresType::named).map(|it| statements::sessions(schema, it));
        let clock_ms = milliseconds(sqlx::query_scalar(statements::CLOCK).fetch_one(connection).await?);
        Ok(Self { id_type, users, sessions, clock_ms, read: Instant::now() })
    }

    /// Whether it was read long enough ago to look again for what was missing then.
    pub(super) fn is_old(&self) -> bool {
        self.read.elapsed() > LOOK_AGAIN
    }

    /// About what the database's clock shows, for answers that need no query.
    pub(super) fn estimated_clock_ms(&self) -> u64 {
        self.clock_ms.saturating_add(whole_ms(self.read.elapsed().saturating_sub(ALLOWANCE)))
    }
}

async fn id_type(connection: &mut PgConnection, schema: &Schema) -> Result<IdType, StoreError> {
    let found = column_type(connection, &schema.users, &schema.user_id).await?;
    let column = schema.user_label();
    let found = found.ok_or_else(|| StoreError::TableMissing { column: column.clone() })?;
    IdType::named(&found).ok_or(StoreError::TypeUnsupported { column, found })
}

async fn column_type(
    connection: &mut PgConnection,
    table: &Table,
    column: &Identifier,
) -> Result<Option<String>, StoreError> {
    let query = sqlx::query_scalar(statements::COLUMN_TYPE).bind(table.quoted()).bind(column.as_str());
    Ok(query.fetch_optional(connection).await?)
}

const LOOK_AGAIN: Duration = Duration::from_mins(1);

/// Clocks drift apart; an `as_of` should rather be too early.
const ALLOWANCE: Duration = Duration::from_secs(1);
