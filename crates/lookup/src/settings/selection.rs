//! What is read of users besides the id.

use super::checked::Reader;
use super::{Problem, SettingsError};
use crate::selection::{BANNED, FIELDS, QUERY, Selection, Source};

pub(super) fn read(reader: &Reader<'_>) -> Result<Selection, SettingsError> {
    let source = match (reader.text(FIELDS), reader.text(QUERY)) {
        (Some(_), Some(_)) => return Err(Problem::Both { other: QUERY }.of(FIELDS)),
        (Some(value), None) => {
            let expected = "a list of up to 32 names such as email,customer=customer_id, none of them `id` or twice";
            Source::Columns(value.parse().map_err(|_| Problem::Value { value, expected }.of(FIELDS))?)
        }
        (None, Some(query)) => {
            Source::Query(query.trim_end_matches(|end: char| end == ';' || end.is_whitespace()).into())
        }
        (None, None) => Source::default(),
    };
    let banned = reader.text(BANNED).map(|value| {
        value.parse().map_err(|_| Problem::Value { value, expected: "a column name: letters, digits and _" }.of(BANNED))
    });
    Ok(Selection { source, banned: banned.transpose()? })
}
