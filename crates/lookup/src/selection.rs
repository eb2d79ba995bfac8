//! What is read of a user besides the id: columns of the user table, or what a query of the operator's says; and which of
//! it says that a user is barred.

use std::fmt::Write;
use std::str::FromStr;

use jwe_gate_contract::MAX_FIELDS;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::schema::Identifier;

/// What is read of a user besides the id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Where fields come from.
    pub source: Source,
    /// The column that says whether, or until when, a user is barred.
    pub banned: Option<Identifier>,
}

/// Where fields come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Columns of the user table.
    Columns(Columns),
    /// A query with one parameter, the ids: a row for each user that there is, with `id` among its columns. The others
    /// are fields.
    Query(String),
}

/// Fields and the columns that they come from; no field twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Columns(Vec<Column>);

/// A field and the column that it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// What the filter asks for.
    pub field: Identifier,
    /// Where it stands.
    pub column: Identifier,
}

/// The text is no list of fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotColumns;

impl Selection {
    /// Whether nothing but the id is read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.banned.is_none() && !self.has_fields()
    }

    /// Whether there may be any fields.
    #[must_use]
    pub fn has_fields(&self) -> bool {
        match &self.source {
            Source::Columns(columns) => !columns.0.is_empty(),
            Source::Query(_) => true,
        }
    }

    /// The variable that says where fields come from.
    #[must_use]
    pub fn variable(&self) -> &'static str {
        match self.source {
            Source::Columns(_) => FIELDS,
            Source::Query(_) => QUERY,
        }
    }

    /// What tells records of this selection from those of others, as part of their names; nothing where nothing is read.
    #[must_use]
    pub fn mark(&self) -> String {
        if self.is_empty() {
            return String::new();
        }
        let source = match &self.source {
            Source::Columns(columns) => {
                let pairs = columns.0.iter().map(|it| [it.field.as_str(), it.column.as_str()]);
                json!({ "columns": pairs.collect::<Vec<_>>() })
            }
            Source::Query(query) => json!({ "query": query }),
        };
        let all = json!([source, self.banned.as_ref().map(Identifier::as_str)]).to_string();
        Sha256::digest(all).iter().take(MARK_BYTES).fold(String::from("+"), |mut mark, byte| {
            // Writing to a String cannot fail.
            let _ = write!(mark, "{byte:02x}");
            mark
        })
    }
}

impl Default for Source {
    fn default() -> Self {
        Self::Columns(Columns::default())
    }
}

impl Columns {
    /// One by one.
    pub fn iter(&self) -> impl Iterator<Item = &Column> {
        self.0.iter()
    }
}

impl FromStr for Columns {
    type Err = NotColumns;

    /// Reads `field,field=column,…`.
    fn from_str(text: &str) -> Result<Self, NotColumns> {
        let mut columns: Vec<Column> = Vec::new();
        for part in text.split(',') {
            let (field, column) = part.split_once('=').unwrap_or((part, part));
            let parse = |name: &str| name.trim().parse::<Identifier>().map_err(|_| NotColumns);
            let column = Column { field: parse(field)?, column: parse(column)? };
            // The id is part of every answer and never a field.
            if column.field.as_str() == ID || columns.iter().any(|other| other.field == column.field) {
                return Err(NotColumns);
            }
            columns.push(column);
        }
        if columns.len() > MAX_FIELDS { Err(NotColumns) } else { Ok(Self(columns)) }
    }
}

/// The name of the id among the columns of a query.
pub(crate) const ID: &str = "id";

/// The variables that say where fields come from.
pub(crate) const FIELDS: &str = "USER_FIELDS";
pub(crate) const QUERY: &str = "USER_QUERY";

/// The variable that names the column of those who are barred.
pub(crate) const BANNED: &str = "USER_BANNED_FIELD";

const MARK_BYTES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(fields: &str, banned: Option<&str>) -> Selection {
        let banned = banned.map(|name| name.parse().unwrap());
        Selection { source: Source::Columns(fields.parse().unwrap()), banned }
    }

    #[test]
    fn a_list_of_fields_names_columns() {
        let columns: Columns = "email, role,customer = customer_id".parse().unwrap();
        let pairs: Vec<_> = columns.iter().map(|it| (it.field.as_str(), it.column.as_str())).collect();
        assert_eq!(pairs, [("email", "email"), ("role", "role"), ("customer", "customer_id")]);
    }

    #[test]
    fn what_is_no_list_of_fields_is_refused() {
        let many = (0..=MAX_FIELDS).map(|number| format!("f{number}")).collect::<Vec<_>>().join(",");
        for text in ["", ",", "a,", "a,a", "a=b,a=c", "id", "id=x", "a=", "a=b=c", "a.b", "a b", "a\"", &many] {
            assert_eq!(text.parse::<Columns>(), Err(NotColumns), "{text:?}");
        }
    }

    #[test]
    fn every_selection_has_a_mark_of_its_own() {
        assert_eq!(Selection::default().mark(), "");
        let query = |query: &str| Selection { source: Source::Query(query.into()), banned: None };
        let marks = [
            selection("a", None),
            selection("b", None),
            selection("a=b", None),
            selection("a,b", None),
            selection("a", Some("b")),
            Selection { banned: Some("b".parse().unwrap()), ..Selection::default() },
            query("SELECT 1"),
            query("SELECT 2"),
        ]
        .map(|selection| selection.mark());
        for (index, mark) in marks.iter().enumerate() {
            assert_eq!(mark.len(), 17, "{mark}");
            assert!(!marks[..index].contains(mark), "{mark}");
        }
    }
}
