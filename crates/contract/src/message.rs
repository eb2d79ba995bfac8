//! What is asked and what is answered, as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The body of a question to the lookup service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LookupQuestion {
    /// [`VERSION`](crate::VERSION).
    pub version: u32,
    /// How long the asker will wait, in milliseconds from now. The service answers sooner or not at all.
    pub deadline_ms: u64,
    /// At most [`MAX_QUESTIONS`](crate::MAX_QUESTIONS), each with a nonce of its own.
    pub questions: Vec<Question>,
}

/// One thing that the filter wants to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Which user table is meant. The service refuses realms that it does not serve.
    pub realm: String,
    /// What `key` is.
    pub kind: Kind,
    /// The subject, or the opaque token.
    pub key: String,
    /// Fresh randomness that makes the answer to this question unlike any earlier one.
    pub nonce: String,
    /// When the token was issued, by the app's clock, in milliseconds since 1970. A cached "unknown user" from before
    /// says nothing about it; the database is asked again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_at_ms: Option<u64>,
    /// User fields that the answer should carry; at most [`MAX_FIELDS`](crate::MAX_FIELDS).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
}

/// What the key of a question is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The token of a database session.
    Opaque,
    /// The `sub` of an authenticated token.
    Subject,
}

/// The body of an answer: one entry for each question, in any order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookupAnswer {
    /// [`VERSION`](crate::VERSION).
    pub version: u32,
    /// The answers.
    pub answers: Vec<Answer>,
}

/// The answer to the question with the same realm, kind, key and nonce.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// As asked.
    pub realm: String,
    /// As asked.
    pub kind: Kind,
    /// As asked.
    pub key: String,
    /// As asked.
    pub nonce: String,
    /// What was found.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What the lookup found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Outcome {
    /// The user is known and may pass.
    Allow {
        /// The canonical user id. For a subject it equals the key byte for byte.
        user: String,
        /// When the database said so: its own clock, in milliseconds since 1970.
        as_of_ms: u64,
        /// How long this may be used.
        #[serde(flatten)]
        limits: Limits,
        /// The fields that were asked for, each of them and no other; `null` where the user has no value.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        fields: BTreeMap<String, serde_json::Value>,
    },
    /// The user must not pass.
    Deny {
        /// Why.
        reason: Reason,
        /// When the database said so: its own clock, in milliseconds since 1970.
        as_of_ms: u64,
        /// How long this may be used.
        #[serde(flatten)]
        limits: Limits,
    },
    /// The service could not find out. Nothing may be concluded from it.
    Failed {
        /// Why.
        cause: Cause,
    },
}

/// How long a verdict may be used, counted from the moment the answer was written, so that clocks need not agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Used without asking again, in milliseconds.
    pub fresh_ms: u64,
    /// Used while it is being asked again, in milliseconds; at least `fresh_ms`.
    pub stale_ms: u64,
    /// Used while asking fails, in milliseconds; at least `stale_ms`.
    pub hard_ms: u64,
}

/// Why a user must not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The user exists and is barred.
    Banned,
    /// No live database session has this token.
    UnknownSession,
    /// No user has this id.
    UnknownUser,
}

/// Why the service could not find out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The deadline passed first.
    Late,
    /// The database could not be asked.
    Unavailable,
    /// The service does not serve this realm, kind or field.
    Unsupported,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_reads_as_the_documented_json() {
        let answer = Answer {
            realm: "default".into(),
            kind: Kind::Subject,
            key: "7".into(),
            nonce: "n".into(),
            outcome: Outcome::Deny {
                reason: Reason::UnknownUser,
                as_of_ms: 5,
                limits: Limits { fresh_ms: 1, stale_ms: 1, hard_ms: 2 },
            },
        };
        let json = serde_json::to_value(&answer).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "realm": "default", "kind": "subject", "key": "7", "nonce": "n", "verdict": "deny",
                "reason": "unknown_user", "as_of_ms": 5, "fresh_ms": 1, "stale_ms": 1, "hard_ms": 2,
            })
        );
        assert_eq!(serde_json::from_value::<Answer>(json).unwrap(), answer);
    }

    #[test]
    fn a_question_with_an_unknown_field_is_refused() {
        let json = r#"{"version":1,"deadline_ms":1,"questions":[],"extra":1}"#;
        assert!(serde_json::from_str::<LookupQuestion>(json).is_err());
    }
}
