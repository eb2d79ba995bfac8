//! The statement about users: made of the operator's columns or query, after the server has said what comes of it.

use jwe_gate_contract::{MAX_FIELDS, is_field_name};
use sqlx::postgres::{PgConnection, PgStatement, PgTypeInfo, PgTypeKind};
use sqlx::{AssertSqlSafe, Column, Either, Executor, SqlSafeStr, Statement, TypeInfo};

use crate::schema::{Identifier, Schema};
use crate::selection::{BANNED, Columns, ID, QUERY};

use super::ids::IdType;
use super::statements::{self, BARRED, BarredType};
use super::{StoreError, classify};

/// The statement where fields are columns of the table.
pub(super) async fn of_columns(
    connection: &mut PgConnection,
    schema: &Schema,
    columns: &Columns,
    id_type: IdType,
) -> Result<String, StoreError> {
    let (selection, inner) = (&schema.selection, statements::columns(schema, columns, id_type));
    if selection.is_empty() {
        return Ok(statements::users(&inner, None, false));
    }
    let variable = if selection.has_fields() { selection.variable() } else { BANNED };
    let described = describe(connection, variable, &inner).await?;
    let barred = selection.banned.as_ref().map(|_| barred(&described, BARRED)).transpose()?;
    Ok(statements::users(&inner, barred.as_ref(), selection.has_fields()))
}

/// The statement where users come from a query, and the type of its parameter.
pub(super) async fn of_query(
    connection: &mut PgConnection,
    schema: &Schema,
    query: &str,
) -> Result<(IdType, String), StoreError> {
    let described = describe(connection, QUERY, query).await?;
    let banned = schema.selection.banned.as_ref().map(Identifier::as_str);
    check_names(described.columns().iter().map(Column::name), banned)?;
    let id_type = parameter(&described)?;
    let barred = banned.map(|column| barred(&described, column)).transpose()?;
    let statement = statements::users(query, barred.as_ref(), true);
    // What is no query by itself, such as one that changes something, is none here.
    describe(connection, QUERY, &statement).await?;
    Ok((id_type, statement))
}

/// Which columns a query must have, and may have.
pub(super) fn check_names<'a>(
    names: impl Iterator<Item = &'a str>,
    banned: Option<&str>,
) -> Result<Vec<&'a str>, StoreError> {
    let refused = |reason: String| Err(StoreError::Misconfigured { variable: QUERY, reason });
    let mut fields: Vec<&str> = Vec::new();
    for name in names {
        if !is_field_name(name) {
            return refused(format!("its column {name:?} needs a name of letters, digits and `_`"));
        }
        if fields.contains(&name) {
            return refused(format!("it has two columns with the name {name}"));
        }
        fields.push(name);
    }
    if !fields.contains(&ID) {
        return refused("it has no column `id`".into());
    }
    fields.retain(|name| *name != ID && Some(*name) != banned);
    if fields.len() > MAX_FIELDS {
        return refused(format!("it has more than {MAX_FIELDS} fields"));
    }
    Ok(fields)
}

/// Has the server parse a statement, which names what is wrong with it; nobody's id is in it yet.
async fn describe(
    connection: &mut PgConnection,
    variable: &'static str,
    statement: &str,
) -> Result<PgStatement, StoreError> {
    let statement = AssertSqlSafe(statement.to_owned()).into_sql_str();
    connection.prepare(statement).await.map_err(|error| match &error {
        sqlx::Error::Database(refusal) => match classify(refusal.code().unwrap_or_default().into_owned()) {
            StoreError::Refused { .. } => StoreError::Misconfigured { variable, reason: refusal.message().to_owned() },
            other => other,
        },
        _ => error.into(),
    })
}

/// The one parameter of a query: a list of ids.
fn parameter(described: &PgStatement) -> Result<IdType, StoreError> {
    let refused = |reason: String| StoreError::Misconfigured { variable: QUERY, reason };
    let parameters: &[PgTypeInfo] = match described.parameters() {
        Some(Either::Left(parameters)) => parameters,
        _ => &[],
    };
    let [parameter] = parameters else {
        return Err(refused(format!("it has {} parameters; it needs one, $1, the list of ids", parameters.len())));
    };
    let element = match parameter.kind() {
        PgTypeKind::Array(element) => IdType::of_driver(element.name()),
        _ => None,
    };
    element.ok_or_else(|| {
        let found = parameter.name();
        refused(format!("$1 has type {found}; write a list of ids, such as `= ANY($1)` or `= ANY($1::text[])`"))
    })
}

fn barred(described: &PgStatement, column: &str) -> Result<(String, BarredType), StoreError> {
    let refused = |reason: String| StoreError::Misconfigured { variable: BANNED, reason };
    let found = described.columns().iter().find(|it| it.name() == column);
    let found = found.ok_or_else(|| refused(format!("the query has no column {column}")))?.type_info().name();
    let kind = BarredType::named(found);
    let kind = kind.ok_or_else(|| refused(format!("has type {found}; supported are boolean and timestamp")))?;
    Ok((column.to_owned(), kind))
}
