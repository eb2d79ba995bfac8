//! The statement about users in an `SQLite` file, and what its values mean.
//!
//! `SQLite` has neither booleans nor JSON. A column that is declared as one is read as one; of a query's results, whose
//! declarations are lost, a text that is a JSON list or object is read as such.

use std::collections::BTreeMap;

use serde_json::Value;
use sqlx::sqlite::{SqlitePool, SqliteStatement};
use sqlx::{AssertSqlSafe, Column, Either, Executor, SqlSafeStr, Statement};

use super::inner::check_names;
use super::statements::BARRED;
use super::{StoreError, details::LONGEST_TEXT};
use crate::schema::Identifier;
use crate::selection::{BANNED, Columns, FIELDS, ID, QUERY, Selection, Source};

/// Rows of (clock, id, whether barred, fields as JSON), at least one row, with no id if there is none.
#[derive(Debug)]
pub(super) struct UserStatement {
    pub(super) text: String,
    meanings: BTreeMap<String, Meaning>,
}

/// What values of a field are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    AsTheyAre,
    Boolean,
    Json,
    /// Nothing tells.
    Undeclared,
}

impl UserStatement {
    /// Makes the statement, if the file has what it names.
    pub(super) async fn prepare(pool: &SqlitePool, selection: &Selection) -> Result<Self, StoreError> {
        match &selection.source {
            Source::Columns(columns) => Self::of_columns(pool, columns, selection).await,
            Source::Query(query) => Self::of_query(pool, query, selection).await,
        }
    }

    async fn of_columns(pool: &SqlitePool, columns: &Columns, selection: &Selection) -> Result<Self, StoreError> {
        let declared: BTreeMap<String, String> =
            sqlx::query_as::<_, (String, String)>(DECLARED).fetch_all(pool).await?.into_iter().collect();
        let declared = |variable, column: &str| {
            let reason = format!("the table users has no column {column}");
            declared.get(column).cloned().ok_or(StoreError::Misconfigured { variable, reason })
        };
        let mut meanings = BTreeMap::new();
        let mut read = vec![format!("u.{ID} AS {ID}")];
        for it in columns.iter() {
            let meaning = Meaning::declared(&declared(FIELDS, it.column.as_str())?);
            meanings.insert(it.field.to_string(), meaning);
            read.push(format!("u.{} AS {}", it.column.quoted(), it.field.quoted()));
        }
        if let Some(column) = &selection.banned {
            declared(BANNED, column.as_str())?;
            read.push(format!("u.{} AS \"{BARRED}\"", column.quoted()));
        }
        let read = read.join(", ");
        let inner = format!("SELECT {read} FROM users u WHERE u.id IN (SELECT value FROM json_each(?1))");
        let barred = selection.banned.as_ref().map(|_| BARRED);
        Ok(Self { text: statement(&inner, barred, meanings.keys()), meanings })
    }

    async fn of_query(pool: &SqlitePool, query: &str, selection: &Selection) -> Result<Self, StoreError> {
        let refused = |variable, reason: String| StoreError::Misconfigured { variable, reason };
        let described = describe(pool, query).await?;
        let parameters = match described.parameters() {
            Some(Either::Right(parameters)) => parameters,
            _ => 0,
        };
        if parameters != 1 {
            return Err(refused(QUERY, format!("it has {parameters} parameters; it needs one, ?1, the list of ids")));
        }
        let banned = selection.banned.as_ref().map(Identifier::as_str);
        let fields = check_names(described.columns().iter().map(Column::name), banned)?;
        if let Some(column) = banned.filter(|column| described.columns().iter().all(|it| it.name() != *column)) {
            return Err(refused(BANNED, format!("the query has no column {column}")));
        }
        let meanings: BTreeMap<_, _> = fields.into_iter().map(|name| (name.to_owned(), Meaning::Undeclared)).collect();
        let text = statement(query, banned, meanings.keys());
        describe(pool, &text).await?;
        Ok(Self { text, meanings })
    }

    /// The value of a field as what it means; none if it does not mean that.
    pub(super) fn typed(&self, field: &str, value: Value) -> Option<Value> {
        match (self.meanings.get(field)?, value) {
            (_, Value::Null) => Some(Value::Null),
            (Meaning::Boolean, value) => match value.as_i64()? {
                0 => Some(Value::Bool(false)),
                1 => Some(Value::Bool(true)),
                _ => None,
            },
            (Meaning::Json, Value::String(text)) => serde_json::from_str(&text).ok(),
            (Meaning::Undeclared, Value::String(text)) => Some(list_or_object(&text).unwrap_or(Value::String(text))),
            (Meaning::AsTheyAre | Meaning::Json | Meaning::Undeclared, value) => Some(value),
        }
    }
}

impl Meaning {
    /// From a declaration, in which any words may stand.
    fn declared(declaration: &str) -> Self {
        let declaration = declaration.to_ascii_uppercase();
        match declaration {
            it if it.contains("BOOL") => Self::Boolean,
            it if it.contains("JSON") => Self::Json,
            _ => Self::AsTheyAre,
        }
    }
}

async fn describe(pool: &SqlitePool, statement: &str) -> Result<SqliteStatement, StoreError> {
    let statement = AssertSqlSafe(statement.to_owned()).into_sql_str();
    pool.prepare(statement).await.map_err(|error| match &error {
        sqlx::Error::Database(refusal) => {
            StoreError::Misconfigured { variable: QUERY, reason: refusal.message().to_owned() }
        }
        _ => error.into(),
    })
}

fn list_or_object(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok().filter(|value: &Value| value.is_array() || value.is_object())
}

/// What `inner` says of users. As a part of another statement it can do nothing but read.
fn statement<'a>(inner: &str, barred: Option<&str>, fields: impl Iterator<Item = &'a String>) -> String {
    // A number says whether, a text until when; anything else says nothing, and then nobody is answered for.
    let is_barred = barred.map_or("0".to_owned(), |column| {
        format!(
            "CASE typeof(q.\"{column}\") WHEN 'null' THEN 0 WHEN 'integer' THEN q.\"{column}\" <> 0 \
             WHEN 'text' THEN julianday(q.\"{column}\") > julianday('now') END"
        )
    });
    // JSON cannot hold a BLOB.
    let value =
        |name: &String| format!("'{name}', iif(typeof(q.\"{name}\") = 'blob', hex(q.\"{name}\"), q.\"{name}\")");
    let pairs: Vec<_> = fields.map(value).collect();
    let longest = LONGEST_TEXT + 1;
    let fields = if pairs.is_empty() {
        "NULL".to_owned()
    } else {
        format!("substr(json_object({}), 1, {longest})", pairs.join(", "))
    };
    // A comment at the end of the query ends with the line.
    format!(
        "SELECT clock.as_of, found.id, found.is_barred, found.fields \
         FROM (SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER) AS as_of) clock \
         LEFT JOIN (SELECT CAST(q.{ID} AS TEXT) AS id, {is_barred} AS is_barred, {fields} AS fields \
         FROM (\n{inner}\n) q WHERE q.{ID} IS NOT NULL) found"
    )
}

const DECLARED: &str = "SELECT name, type FROM pragma_table_xinfo('users')";
