//! Subjects, parsed into the type of the id column.
//!
//! Postgres reads `007`, ` 7` and `+7` as 7. Here a subject is an id only if it is written as Postgres would write that
//! id; everything else names no user.

use sqlx::postgres::{PgArguments, Postgres};
use sqlx::query::Query;
use uuid::Uuid;

/// A type of id columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IdType {
    /// `char(n)`, which comes back without the blanks that pad it.
    Bpchar,
    Int2,
    Int4,
    Int8,
    /// `text` and `varchar`.
    Text,
    Uuid,
}

/// Subjects in a column's own type, so that its index serves.
#[derive(Debug, PartialEq)]
pub(super) enum Ids {
    Int2(Vec<i16>),
    Int4(Vec<i32>),
    Int8(Vec<i64>),
    Text(Vec<String>),
    Uuid(Vec<Uuid>),
}

impl IdType {
    /// From the name in `pg_type`.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "bpchar" => Some(Self::Bpchar),
            "int2" => Some(Self::Int2),
            "int4" => Some(Self::Int4),
            "int8" => Some(Self::Int8),
            "text" | "varchar" => Some(Self::Text),
            "uuid" => Some(Self::Uuid),
            _ => None,
        }
    }

    /// From the driver's name.
    pub(super) fn of_driver(name: &str) -> Option<Self> {
        match name {
            "CHAR" => Some(Self::Bpchar),
            "INT2" => Some(Self::Int2),
            "INT4" => Some(Self::Int4),
            "INT8" => Some(Self::Int8),
            "TEXT" | "VARCHAR" => Some(Self::Text),
            "UUID" => Some(Self::Uuid),
            _ => None,
        }
    }

    /// The type that the parameter is sent as. A text parameter for a `char(n)` column would need `bpchar`, as comparing
    /// as text passes the index by.
    pub(super) fn array(self) -> &'static str {
        match self {
            Self::Bpchar => "bpchar[]",
            Self::Int2 => "int2[]",
            Self::Int4 => "int4[]",
            Self::Int8 => "int8[]",
            Self::Text => "text[]",
            Self::Uuid => "uuid[]",
        }
    }

    /// Those of the subjects that can be ids at all.
    pub(super) fn parse(self, subjects: &[String]) -> Ids {
        match self {
            Self::Int2 => Ids::Int2(canonical(subjects)),
            Self::Int4 => Ids::Int4(canonical(subjects)),
            Self::Int8 => Ids::Int8(canonical(subjects)),
            // Postgres has no NUL in text, and refuses a whole statement that has one.
            Self::Bpchar | Self::Text => {
                Ids::Text(subjects.iter().filter(|subject| !subject.contains('\0')).cloned().collect())
            }
            Self::Uuid => Ids::Uuid(canonical(subjects)),
        }
    }
}

impl Ids {
    /// As the parameter of a statement.
    pub(super) fn bind(self, query: Query<'_, Postgres, PgArguments>) -> Query<'_, Postgres, PgArguments> {
        match self {
            Self::Int2(ids) => query.bind(ids),
            Self::Int4(ids) => query.bind(ids),
            Self::Int8(ids) => query.bind(ids),
            Self::Text(ids) => query.bind(ids),
            Self::Uuid(ids) => query.bind(ids),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Int2(ids) => ids.is_empty(),
            Self::Int4(ids) => ids.is_empty(),
            Self::Int8(ids) => ids.is_empty(),
            Self::Text(ids) => ids.is_empty(),
            Self::Uuid(ids) => ids.is_empty(),
        }
    }
}

fn canonical<T: std::str::FromStr + ToString>(subjects: &[String]) -> Vec<T> {
    let parse = |subject: &String| subject.parse::<T>().ok().filter(|id| id.to_string() == *subject);
    subjects.iter().filter_map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(subjects: &[&str]) -> Vec<String> {
        subjects.iter().map(|subject| (*subject).to_owned()).collect()
    }

    #[test]
    fn only_the_canonical_spelling_of_a_number_is_an_id() {
        let spellings = owned(&["7", "007", " 7", "7 ", "+7", "-7", "-0", "7.0", "٧", "", "99999999999"]);
        assert_eq!(IdType::Int4.parse(&spellings), Ids::Int4(vec![7, -7]));
        assert_eq!(IdType::Int8.parse(&owned(&["99999999999"])), Ids::Int8(vec![99_999_999_999]));
        assert_eq!(IdType::Int2.parse(&owned(&["40000", "4"])), Ids::Int2(vec![4]));
    }

    #[test]
    fn only_the_canonical_spelling_of_a_uuid_is_an_id() {
        let plain = "67e55044-10b1-426f-9247-bb680e5fe0c8";
        let spellings = [plain, &plain.to_uppercase(), &plain.replace('-', ""), &format!("{{{plain}}}")];
        assert_eq!(IdType::Uuid.parse(&owned(&spellings)), Ids::Uuid(vec![plain.parse().unwrap()]));
    }

    #[test]
    fn text_is_taken_as_it_is_unless_postgres_could_not_hold_it() {
        assert_eq!(IdType::Text.parse(&owned(&["007", "a\0b", " "])), Ids::Text(owned(&["007", " "])));
    }
}
