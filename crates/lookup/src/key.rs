//! The name of a record in every cache: realm, table, kind and what was asked, none of which another can be taken for.

use std::fmt::{self, Write};

use jwe_gate_contract::Kind;
use sha2::{Digest, Sha256};

/// Which record is meant.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RecordKey {
    kind: Kind,
    /// A subject in plain, or the digest of what is long, binary or secret.
    name: String,
}

/// The part of a name that all records of one service share.
#[derive(Clone, Debug)]
pub struct Namespace {
    prefix: String,
    realm: String,
    users: String,
    sessions: String,
}

impl RecordKey {
    /// The record of a subject or of an opaque token. The token itself is not kept.
    #[must_use]
    pub fn new(kind: Kind, key: &str) -> Self {
        let name = if kind == Kind::Subject && is_plain(key) { key.to_owned() } else { digest(key) };
        Self { kind, name }
    }

    /// What it was asked as.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }
}

// Subjects do not belong in logs.
impl fmt::Debug for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordKey").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl Namespace {
    /// `users` and `sessions` say which table and column the two kinds are looked up in, so that another table's records
    /// are never read as this one's.
    #[must_use]
    pub fn new(prefix: &str, realm: &str, users: &str, sessions: &str) -> Self {
        Self { prefix: prefix.into(), realm: realm.into(), users: users.into(), sessions: sessions.into() }
    }

    /// The realm.
    #[must_use]
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// The name in Redis.
    #[must_use]
    pub fn name(&self, key: &RecordKey) -> String {
        let (kind, table) = match key.kind {
            Kind::Opaque => ("opaque", &self.sessions),
            Kind::Subject => ("subject", &self.users),
        };
        format!("{}v1:{}:{table}:{kind}:{}", self.prefix, self.realm, key.name)
    }

    /// The name of the claim on its lookup in Redis. A cluster places a name by what stands in its braces, where it has any;
    /// no part of a record's name has. So both are on one node, as a script needs them.
    #[must_use]
    pub fn claim_name(&self, key: &RecordKey) -> String {
        format!("{{{}}}:claim", self.name(key))
    }
}

/// Short and made of characters that are harmless in key names; and not one that looks like a digest.
fn is_plain(key: &str) -> bool {
    let harmless = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@+=|".contains(&byte);
    key.len() <= LONGEST_PLAIN && key.bytes().all(harmless) && !key.starts_with(DIGEST)
}

fn digest(key: &str) -> String {
    Sha256::digest(key).iter().fold(DIGEST.to_owned(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

const LONGEST_PLAIN: usize = 128;
const DIGEST: &str = "sha256-";

#[cfg(test)]
mod tests {
    use super::*;

    fn name(kind: Kind, key: &str) -> String {
        Namespace::new("auth:", "default", "users.id", "sessions.sessionToken").name(&RecordKey::new(kind, key))
    }

    #[test]
    fn a_subject_is_named_in_plain_and_a_token_never() {
        assert_eq!(name(Kind::Subject, "7"), "auth:v1:default:users.id:subject:7");
        let token = name(Kind::Opaque, "7");
        assert_eq!(
            token,
            "auth:v1:default:sessions.sessionToken:opaque:sha256-\
             7902699be42c8a8e46fbbb4501726517e86b22c56a189f7625a6da49081b2451"
        );
    }

    #[test]
    fn long_binary_and_misleading_subjects_are_hashed() {
        for key in ["a:b", "a b", "ä", "\0", "sha256-00", &"x".repeat(129)] {
            assert!(name(Kind::Subject, key).starts_with("auth:v1:default:users.id:subject:sha256-"), "{key:?}");
            assert!(!name(Kind::Subject, key).ends_with("sha256-00"), "{key:?}");
        }
    }

    #[test]
    fn a_key_prints_without_what_was_asked() {
        assert_eq!(format!("{:?}", RecordKey::new(Kind::Subject, "alice")), "RecordKey { kind: Subject, .. }");
    }
}
