//! Which tables hold the users and their sessions: four presets, or a table and field of one's own; and what is read of
//! users.

use std::fmt;
use std::str::FromStr;

use crate::selection::Selection;

/// Where users and database sessions are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    /// The table of users.
    pub users: Table,
    /// Its id column.
    pub user_id: Identifier,
    /// Where database sessions are found. The service goes without when the table is absent.
    pub sessions: SessionTable,
    /// What is read of a user besides the id.
    pub selection: Selection,
}

/// Where database sessions are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionTable {
    /// The table.
    pub table: Table,
    /// The column of tokens.
    pub token: Identifier,
    /// The column of user ids.
    pub user: Identifier,
    /// The column that says when a session ends.
    pub expires: Identifier,
}

/// The tables as an adapter makes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// better-auth.
    BetterAuth,
    /// `@auth/drizzle-adapter`.
    Drizzle,
    /// `@auth/pg-adapter`.
    PgAdapter,
    /// `@auth/prisma-adapter`.
    Prisma,
}

/// A table, by name or by schema and name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    schema: Option<Identifier>,
    name: Identifier,
}

/// A name that is safe to put into a statement: letters, digits and underscores, no digit first, at most 63 bytes. Its
/// case is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identifier(String);

/// The text is no identifier, or no `schema.table`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAnIdentifier;

/// The text names no preset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownPreset;

impl Preset {
    /// The tables.
    #[must_use]
    pub fn schema(self) -> Schema {
        let (users, sessions, token, expires) = match self {
            Self::BetterAuth => ("user", "session", "token", "expiresAt"),
            Self::Drizzle => ("user", "session", "sessionToken", "expires"),
            Self::PgAdapter => ("users", "sessions", "sessionToken", "expires"),
            Self::Prisma => ("User", "Session", "sessionToken", "expires"),
        };
        Schema {
            users: Table::plain(users),
            user_id: Identifier::known("id"),
            sessions: SessionTable {
                table: Table::plain(sessions),
                token: Identifier::known(token),
                user: Identifier::known("userId"),
                expires: Identifier::known(expires),
            },
            selection: Selection::default(),
        }
    }
}

impl FromStr for Preset {
    type Err = UnknownPreset;

    fn from_str(text: &str) -> Result<Self, UnknownPreset> {
        match text {
            "better-auth" => Ok(Self::BetterAuth),
            "drizzle" => Ok(Self::Drizzle),
            "pg-adapter" => Ok(Self::PgAdapter),
            "prisma" => Ok(Self::Prisma),
            _ => Err(UnknownPreset),
        }
    }
}

impl Schema {
    /// The table and column of users.
    #[must_use]
    pub fn user_label(&self) -> String {
        format!("{}.{}", self.users, self.user_id)
    }

    /// What records of users are of, and those of sessions, as parts of their names.
    #[must_use]
    pub fn record_labels(&self) -> (String, String) {
        let (sessions, mark) = (&self.sessions, self.selection.mark());
        (self.user_label() + &mark, format!("{}.{}{mark}", sessions.table, sessions.token))
    }
}

impl Table {
    fn plain(name: &str) -> Self {
        Self { schema: None, name: Identifier::known(name) }
    }

    /// As it stands in a statement.
    #[must_use]
    pub fn quoted(&self) -> String {
        match &self.schema {
            None => self.name.quoted(),
            Some(schema) => format!("{}.{}", schema.quoted(), self.name.quoted()),
        }
    }
}

impl FromStr for Table {
    type Err = NotAnIdentifier;

    fn from_str(text: &str) -> Result<Self, NotAnIdentifier> {
        match text.split_once('.') {
            None => Ok(Self { schema: None, name: text.parse()? }),
            Some((schema, name)) => Ok(Self { schema: Some(schema.parse()?), name: name.parse()? }),
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.schema.iter().try_for_each(|schema| write!(f, "{schema}."))?;
        self.name.fmt(f)
    }
}

impl Identifier {
    /// One of the names written in this file.
    fn known(name: &str) -> Self {
        debug_assert!(name.parse::<Self>().is_ok());
        Self(name.to_owned())
    }

    /// As it stands in a statement.
    #[must_use]
    pub fn quoted(&self) -> String {
        format!("\"{}\"", self.0)
    }

    /// As the catalogue holds it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Identifier {
    type Err = NotAnIdentifier;

    fn from_str(text: &str) -> Result<Self, NotAnIdentifier> {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let starts_well = text.bytes().next().is_some_and(|byte| !byte.is_ascii_digit());
        let fits = starts_well && text.len() <= LONGEST && text.bytes().all(is_word);
        if fits { Ok(Self(text.to_owned())) } else { Err(NotAnIdentifier) }
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Postgres cuts longer names off, so that two of them could become one.
const LONGEST: usize = 63;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_case_and_are_quoted() {
        assert_eq!("User".parse::<Table>().unwrap().quoted(), "\"User\"");
        let table: Table = "app.user".parse().unwrap();
        assert_eq!((table.quoted().as_str(), table.to_string().as_str()), ("\"app\".\"user\"", "app.user"));
    }

    #[test]
    fn what_could_end_an_identifier_is_refused() {
        let long = "x".repeat(64);
        for text in ["", "1a", "a b", "a\"b", "a;--", "a.b.c", ".a", "a.", "ä", "a-b", "a\0", &long] {
            assert_eq!(text.parse::<Table>(), Err(NotAnIdentifier), "{text:?}");
        }
    }
}
