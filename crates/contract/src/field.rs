//! Fields: what an answer says of a user besides the verdict, and how much that may be.

/// The most fields that a question may ask for.
pub const MAX_FIELDS: usize = 32;

/// The largest value of one field, as JSON, in bytes.
pub const MAX_FIELD_BYTES: usize = 1024;

/// The largest object of all fields of one user, as JSON, in bytes. The answers to [`MAX_QUESTIONS`](crate::MAX_QUESTIONS)
/// then fit into one body.
pub const MAX_FIELDS_BYTES: usize = 2048;

/// Whether this can be the name of a field: 1 to 63 letters, digits and `_`, no digit first.
#[must_use]
pub fn is_field_name(name: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let starts_well = name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit());
    starts_well && name.len() <= LONGEST_NAME && name.bytes().all(is_word)
}

/// As long as Postgres lets a column's name be.
const LONGEST_NAME: usize = 63;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_word() {
        for name in ["role", "_id", "customerId", "a1", &"x".repeat(63)] {
            assert!(is_field_name(name), "{name}");
        }
        for name in ["", "1a", "a.b", "a-b", "a b", "ä", "a\0", &"x".repeat(64)] {
            assert!(!is_field_name(name), "{name}");
        }
    }
}
