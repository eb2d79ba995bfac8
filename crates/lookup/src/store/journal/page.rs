//! What either database answers to the question for revocations: rows of the epoch, the last number and the clock, then the
//! columns of a revocation. Those are empty in the one row of a realm that has none.

use jwe_gate_contract::Bounds;
use sqlx::{ColumnIndex, Decode, Type};

use super::{Named, Page, Place, Row};
use crate::store::{StoreError, milliseconds};

/// The page that these rows come to. There is at least one if the realm is known.
pub(super) fn page<R>(rows: &[R]) -> Result<Page, StoreError>
where
    R: sqlx::Row,
    usize: ColumnIndex<R>,
    for<'r> i64: Decode<'r, R::Database> + Type<R::Database>,
    for<'r> String: Decode<'r, R::Database> + Type<R::Database>,
{
    let first = rows.first().ok_or(StoreError::Unreachable)?;
    Ok(Page {
        origin: first.try_get(0)?,
        head: milliseconds(first.try_get(1)?),
        now_ms: milliseconds(first.try_get(2)?),
        rows: rows.iter().filter_map(|found| row(found).transpose()).collect::<Result<_, _>>()?,
    })
}

/// The revocation of a row, if it has one.
fn row<R>(found: &R) -> Result<Option<Row>, sqlx::Error>
where
    R: sqlx::Row,
    usize: ColumnIndex<R>,
    for<'r> i64: Decode<'r, R::Database> + Type<R::Database>,
    for<'r> String: Decode<'r, R::Database> + Type<R::Database>,
{
    let (Some(seq), Some(kind)) = (found.try_get::<Option<i64>, _>(3)?, found.try_get::<Option<String>, _>(4)?) else {
        return Ok(None);
    };
    let number = |index: usize| found.try_get::<i64, _>(index).map(milliseconds);
    let named = Named::from_columns(&kind, found.try_get(5)?).ok_or(sqlx::Error::RowNotFound)?;
    let bounds = Bounds { signed_in_before_ms: number(7)?, issued_before_ms: number(8)? };
    let place = Place { seq: milliseconds(seq), at_ms: number(6)? };
    Ok(Some(Row { place, until_ms: number(9)?, named, bounds }))
}
