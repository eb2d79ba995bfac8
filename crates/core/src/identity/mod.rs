//! What the app is told of the user, and which headers of a client look like it.
//!
//! Two different ids never become one header value: `%`, control and non-ASCII bytes, and spaces at either end are
//! written as `%XX`; HTTP would trim `" admin"` to `admin`. "Unauthenticated" is the absence of these headers.

mod preset;
mod proof;
mod table;

use std::fmt::Write;
use std::rc::Rc;

pub use preset::{Preset, default_entries, names_an_account};
pub use proof::{Issuer, Proof};
pub use table::{Entry, Facts, Source};

use crate::mac::MacKey;

/// The identity headers of one user, ready to be set.
#[derive(Debug, PartialEq, Eq)]
pub struct Identity {
    /// Names and values. What is not known of the user is not among them.
    pub headers: Vec<(Rc<str>, String)>,
    /// The user id, encoded.
    pub user_id: Rc<str>,
    /// What access logs call the user: a keyed hash, the same at every request and worker.
    pub log_id: Rc<str>,
}

impl Identity {
    /// What these facts come to in the headers of this table.
    #[must_use]
    pub fn new(table: &[Entry], facts: &Facts<'_>, log_key: &MacKey) -> Self {
        let header = |entry: &Entry| Some((entry.header.clone(), entry.value(facts)?));
        Self {
            headers: table.iter().filter_map(header).collect(),
            user_id: Rc::from(encode(facts.user)),
            log_id: Rc::from(log_id(facts.user, log_key)),
        }
    }

    /// No identity, in so many words: each header is there and empty.
    #[must_use]
    pub fn nobody(headers: impl Iterator<Item = Rc<str>>) -> Self {
        let headers = headers.map(|header| (header, String::new())).collect();
        Self { headers, user_id: Rc::from(""), log_id: Rc::from("") }
    }

    /// The same identity with an empty value for each header of this table that it lacks.
    #[must_use]
    pub fn spelt_out(mut self, table: &[Entry]) -> Self {
        for entry in table {
            if !self.headers.iter().any(|(header, _)| *header == entry.header) {
                self.headers.push((entry.header.clone(), String::new()));
            }
        }
        self
    }
}

/// What logs call a user: a keyed hash, the same wherever the key is.
#[must_use]
pub fn log_id(user: &str, log_key: &MacKey) -> String {
    format!("{:032x}", u128::from_be_bytes(log_key.tag(user.as_bytes())))
}

/// A header value that stands for `text` and for no other text.
#[must_use]
pub fn encode(text: &str) -> String {
    encode_as(text, None)
}

/// The same for one value of several in one header: the delimiter is escaped, too.
fn encode_as(text: &str, delimiter: Option<u8>) -> String {
    let bytes = text.as_bytes();
    let last = bytes.len().saturating_sub(1);
    let mut value = String::with_capacity(bytes.len());
    for (index, &byte) in bytes.iter().enumerate() {
        let at_an_end = index == 0 || index == last;
        match byte {
            b' ' if !at_an_end => value.push(' '),
            0x21..=0x7e if byte != b'%' && Some(byte) != delimiter => value.push(char::from(byte)),
            // Writing to a String cannot fail.
            _ => drop(write!(value, "%{byte:02X}")),
        }
    }
    value
}

/// Whether a client's header is one of ours in another spelling: case does not matter in HTTP, and servers that make
/// variables of headers (CGI, `FastCGI`, WSGI) write `_` for `-`, and some of them, or PHP behind them, for `.` and every
/// other sign that a name may have.
#[must_use]
#[inline(never)]
pub fn same_header(ours: &str, theirs: &[u8]) -> bool {
    let fold = |byte: u8| if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' };
    ours.len() == theirs.len() && ours.bytes().zip(theirs).all(|(ours, &theirs)| fold(ours) == fold(theirs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_ids_never_share_a_value() {
        let ids =
            ["admin", " admin", "admin ", "%20admin", "ad min", "admin\n", "admin\u{e9}", "admin%", "a", " ", "  "];
        let values: Vec<String> = ids.iter().map(|id| encode(id)).collect();
        for (index, value) in values.iter().enumerate() {
            assert!(value.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{value:?}");
            assert_eq!(value.trim(), value);
            assert!(!values[..index].contains(value), "{value:?}");
        }
    }

    #[test]
    fn an_ordinary_id_is_left_alone() {
        assert_eq!(encode("5f0c-ad min,x"), "5f0c-ad min,x");
        assert_eq!(encode(" 7%"), "%207%25");
    }

    #[test]
    fn other_spellings_of_a_header_are_recognised() {
        for spelling in ["x-user-id", "X-USER-ID", "x_user_id", "X-User_Id", "x.user.id", "x~User!id", "x-user\u{7f}id"]
        {
            assert!(same_header("x-user-id", spelling.as_bytes()), "{spelling}");
        }
        assert!(!same_header("x-user-id", b"x-user-ids"));
        assert!(!same_header("x-user-id", b"xuser-id"));
        assert!(!same_header("x-user-id", b"x-userxid"));
    }
}
