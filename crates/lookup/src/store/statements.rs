//! Every statement that Postgres is sent.
//!
//! `now()` is when the transaction began, which is before its snapshot was taken: a change that the query could not see
//! is never older than the `as_of` of its answer. (`clock_timestamp()` is later than the snapshot, and would order such a
//! change before the answer that missed it.)

use crate::schema::Schema;
use crate::selection::{Columns, ID};

use super::details::LONGEST_TEXT;
use super::ids::IdType;

/// The type of a column, with domains followed down to what they are made of.
pub(super) const COLUMN_TYPE: &str = "\
WITH RECURSIVE base AS (
    SELECT t.oid, t.typname, t.typtype, t.typbasetype
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
    WHERE a.attrelid = to_regclass($1) AND a.attname = $2 AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT t.oid, t.typname, t.typtype, t.typbasetype
    FROM base b JOIN pg_type t ON t.oid = b.typbasetype
    WHERE b.typtype = 'd'
)
SELECT typname::text FROM base WHERE typtype <> 'd'";

/// The database's clock in milliseconds.
const NOW_MS: &str = "floor(extract(epoch FROM now()) * 1000)::bigint";

/// The clock alone.
pub(super) const CLOCK: &str = "SELECT floor(extract(epoch FROM now()) * 1000)::bigint";

/// The users among `$1`, as `id`, with fields under their names, and the column of those who are barred as [`BARRED`].
pub(super) fn columns(schema: &Schema, columns: &Columns, id_type: IdType) -> String {
    let (table, id, array) = (schema.users.quoted(), schema.user_id.quoted(), id_type.array());
    let fields = columns.iter().map(|it| (it.column.quoted(), it.field.quoted()));
    let barred = schema.selection.banned.iter().map(|column| (column.quoted(), format!("\"{BARRED}\"")));
    let more =
        fields.chain(barred).fold(String::new(), |more, (column, name)| more + ", u." + &column + " AS " + &name);
    format!("SELECT u.{id} AS {ID}{more} FROM {table} u WHERE u.{id} = ANY($1::{array})")
}

/// What `inner` says of users: rows of (clock, id, whether barred, fields as JSON), at least one row, with no id if there
/// is none. As a part of another statement, `inner` can do nothing but read.
pub(super) fn users(inner: &str, barred: Option<&(String, BarredType)>, has_fields: bool) -> String {
    let (is_barred, without) = match barred {
        None => ("false".to_owned(), String::new()),
        Some((column, kind)) => (kind.is_barred(&format!("q.\"{column}\"")), format!(" - '{column}'")),
    };
    let fields = if has_fields {
        let longest = LONGEST_TEXT + 1;
        format!("left((to_jsonb(q) - '{ID}'{without})::text, {longest})")
    } else {
        "NULL::text".to_owned()
    };
    // A comment at the end of the query ends with the line.
    format!(
        "SELECT clock.as_of, found.id, found.is_barred, found.fields FROM (SELECT {NOW_MS} AS as_of) clock LEFT JOIN \
         (SELECT q.{ID}::text AS id, {is_barred} AS is_barred, {fields} AS fields FROM (\n{inner}\n) q) found ON true"
    )
}

/// The live sessions among `$1`: rows of (clock, token, user id, milliseconds to the end), at least one row. A session
/// without an end, or with an infinite one, has no milliseconds.
pub(super) fn sessions(schema: &Schema, expires_type: ExpiresType) -> String {
    let sessions = &schema.sessions;
    let (users, id) = (schema.users.quoted(), schema.user_id.quoted());
    let (table, token) = (sessions.table.quoted(), sessions.token.quoted());
    let (user, expires, now) = (sessions.user.quoted(), sessions.expires.quoted(), expires_type.now());
    format!(
        "SELECT clock.as_of, found.token, found.id, found.ends_in FROM (SELECT {NOW_MS} AS as_of) clock LEFT JOIN \
         (SELECT s.{token}::text AS token, u.{id}::text AS id, \
         CASE WHEN isfinite(s.{expires}) THEN floor(extract(epoch FROM s.{expires} - {now}) * 1000)::bigint END AS ends_in \
         FROM {table} s JOIN {users} u ON u.{id} = s.{user} \
         WHERE s.{token} = ANY($1::text[]) AND s.{expires} > {now}) found ON true"
    )
}

/// The type of the column that says when a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ExpiresType {
    /// Without a zone; holds UTC.
    Timestamp,
    Timestamptz,
}

impl ExpiresType {
    /// From the name in `pg_type`.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "timestamp" => Some(Self::Timestamp),
            "timestamptz" => Some(Self::Timestamptz),
            _ => None,
        }
    }

    /// The time to compare with. A bare `now()` would be converted into the connection's time zone.
    fn now(self) -> &'static str {
        match self {
            Self::Timestamp => "(now() AT TIME ZONE 'UTC')",
            Self::Timestamptz => "now()",
        }
    }
}

/// The type of the column that says who is barred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BarredType {
    Boolean,
    /// Barred until then; without a zone it holds UTC.
    Timestamp,
    Timestamptz,
}

impl BarredType {
    /// From the driver's name.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "BOOL" => Some(Self::Boolean),
            "TIMESTAMP" => Some(Self::Timestamp),
            "TIMESTAMPTZ" => Some(Self::Timestamptz),
            _ => None,
        }
    }

    /// A null bars nobody.
    fn is_barred(self, column: &str) -> String {
        match self {
            Self::Boolean => format!("coalesce({column}, false)"),
            Self::Timestamp => format!("coalesce({column} > {}, false)", ExpiresType::Timestamp.now()),
            Self::Timestamptz => format!("coalesce({column} > {}, false)", ExpiresType::Timestamptz.now()),
        }
    }
}

/// What the column of those who are barred is called beside columns of the operator's choice, none of which can have
/// this name.
pub(super) const BARRED: &str = "is barred";
