//! How revocations reach proxies: a numbered list that is read on from a cursor.
//!
//! Numbers are given in the order in which entries become visible, so whoever has read up to a number has missed
//! nothing before it. They count within an epoch: after the database was replaced or rolled back, and after a change
//! of the lookup secret, the epoch is another one. To a question with another epoch, with none, or from a number that
//! has not been given yet, the answer is a snapshot: everything that is in force, from the first number on.

use serde::{Deserialize, Serialize};

use super::{Bounds, Tag};
use crate::REVOCATIONS_PATH;

/// The most entries in one answer.
pub const MAX_ENTRIES: usize = 2_000;

/// The longest that an answer is held back, in milliseconds; a longer wish is cut to this.
pub const MAX_WAIT_MS: u64 = 25_000;

/// What has happened after a number? Sent as the query of a `GET`; its MAC is over the request target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeedQuestion {
    /// [`VERSION`](crate::VERSION).
    pub version: u32,
    /// Which realm is meant. The service refuses realms that it does not serve.
    pub realm: String,
    /// Fresh randomness that makes the answer unlike any earlier one.
    pub nonce: String,
    /// The epoch of the last answer; none to begin with a snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<String>,
    /// [`FeedAnswer::upto`] of the last answer in that epoch.
    #[serde(default)]
    pub after: u64,
    /// How long to hold the answer back while there is nothing to say, in milliseconds.
    #[serde(default)]
    pub wait_ms: u64,
}

impl FeedQuestion {
    /// The request target: path and query.
    #[must_use]
    pub fn target(&self) -> String {
        // Texts and numbers always can be written.
        let query = serde_urlencoded::to_string(self).unwrap_or_default();
        format!("{REVOCATIONS_PATH}?{query}")
    }

    /// Reads the query of a request target. What is unknown, missing or given twice makes it no question.
    #[must_use]
    pub fn from_query(query: &str) -> Option<Self> {
        serde_urlencoded::from_str(query).ok()
    }
}

/// What has happened since, in order; its MAC is over the body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedAnswer {
    /// [`VERSION`](crate::VERSION).
    pub version: u32,
    /// As asked.
    pub realm: String,
    /// As asked.
    pub nonce: String,
    /// For the next question.
    pub epoch: String,
    /// Whether this begins a snapshot. Its other pages are read on from here like any news, and the first that is
    /// complete completes it.
    pub snapshot: bool,
    /// The number up to which nothing is missing; the next question's `after`.
    pub upto: u64,
    /// Whether that is all there is. If not, the next question gets its answer at once.
    pub complete: bool,
    /// How long ago the service last read the database, in milliseconds: so much older than its arrival is what a
    /// complete answer says.
    pub read_ms_ago: u64,
    /// The database's clock, in milliseconds since 1970.
    pub now_ms: u64,
    /// How soon after a revocation every proxy that the service can reach must apply it, in milliseconds. Where a
    /// session has no `auth_time`, [`Bounds::issued_before_ms`] relies on it: a proxy whose knowledge is older than this
    /// must not let such a session have its token issued again.
    pub promised_delay_ms: u64,
    /// The longest session that revocations are remembered for, in milliseconds. A proxy that accepts longer ones would
    /// revive them.
    pub max_session_age_ms: u64,
    /// At most [`MAX_ENTRIES`], in the order of their numbers.
    pub entries: Vec<Entry>,
}

/// One fact. A kind that is not known makes the whole answer unreadable, so that nobody skips what they do not
/// understand; new kinds come with a new [`VERSION`](crate::VERSION).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number: larger than those of all entries before it. Numbers may be left out.
    pub seq: u64,
    /// When it may be forgotten, in milliseconds since 1970: by then, and by the same clock, every token that it is
    /// about is too old.
    pub until_ms: u64,
    /// What it says.
    #[serde(flatten)]
    pub fact: Fact,
}

/// What an entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fact {
    /// The user was changed, banned or deleted: a verdict with an `as_of` before this moment is no longer fresh.
    Changed {
        /// The subject.
        tag: Tag,
        /// By the database's clock, in milliseconds since 1970.
        as_of_ms: u64,
    },
    /// The session with this `sid` has ended.
    Session {
        /// The `sid`.
        tag: Tag,
    },
    /// The sessions of this subject from before these moments have ended. A database session has neither moment: its
    /// row is the truth about it, so for it this means what [`Fact::Changed`] means.
    Subject {
        /// The subject.
        tag: Tag,
        /// Which of its sessions.
        #[serde(flatten)]
        bounds: Bounds,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question() -> FeedQuestion {
        FeedQuestion {
            version: 1,
            realm: "a b&c".into(),
            nonce: "n".into(),
            epoch: Some("e".into()),
            after: 7,
            wait_ms: 1_000,
        }
    }

    #[test]
    fn a_question_is_read_as_it_was_asked() {
        let target = question().target();
        assert_eq!(target, "/v1/revocations?version=1&realm=a+b%26c&nonce=n&epoch=e&after=7&wait_ms=1000");
        let (_, query) = target.split_once('?').unwrap();
        assert_eq!(FeedQuestion::from_query(query), Some(question()));
        let first = FeedQuestion { epoch: None, after: 0, ..question() };
        let target = first.target();
        assert_eq!(FeedQuestion::from_query(target.split_once('?').unwrap().1), Some(first));
    }

    #[test]
    fn a_question_with_something_unknown_missing_or_twice_is_none() {
        for query in
            ["", "version=1&realm=a", "version=1&realm=a&nonce=n&x=1", "version=1&realm=a&nonce=n&realm=b", "version=x"]
        {
            assert_eq!(FeedQuestion::from_query(query), None, "{query}");
        }
    }

    #[test]
    fn entries_read_as_the_documented_json() {
        let tag = Tag::from_bytes([1; 16]);
        let hex = "01".repeat(16);
        let bounds = Bounds { signed_in_before_ms: 3, issued_before_ms: 4 };
        for (fact, json) in [
            (Fact::Session { tag }, serde_json::json!({"seq": 1, "until_ms": 2, "kind": "session", "tag": hex})),
            (
                Fact::Subject { tag, bounds },
                serde_json::json!({"seq": 1, "until_ms": 2, "kind": "subject", "tag": hex,
                    "signed_in_before_ms": 3, "issued_before_ms": 4}),
            ),
            (
                Fact::Changed { tag, as_of_ms: 5 },
                serde_json::json!({"seq": 1, "until_ms": 2, "kind": "changed", "tag": hex, "as_of_ms": 5}),
            ),
        ] {
            let entry = Entry { seq: 1, until_ms: 2, fact };
            assert_eq!(serde_json::to_value(&entry).unwrap(), json);
            assert_eq!(serde_json::from_value::<Entry>(json).unwrap(), entry);
        }
    }

    #[test]
    fn a_kind_that_is_not_known_is_refused() {
        let json = r#"{"seq":1,"until_ms":2,"kind":"device","tag":"01010101010101010101010101010101"}"#;
        assert!(serde_json::from_str::<Entry>(json).is_err());
    }
}
