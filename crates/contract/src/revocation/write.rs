//! How a revocation is asked for, and what is said when it is durable.
//!
//! A proxy shows a session that it has accepted and can end no other; its request carries a MAC. An administrator names
//! a `sid` or a subject, and shows a secret of their own.

use serde::{Deserialize, Serialize};

/// The longest `sub` or `sid`, in bytes.
pub const MAX_NAME_BYTES: usize = 1_024;

/// The body of a request to end sessions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevocationRequest {
    /// [`VERSION`](crate::VERSION).
    pub version: u32,
    /// Which realm is meant. The service refuses realms that it does not serve.
    pub realm: String,
    /// Fresh randomness, 16 to 64 of `0-9 A-Z a-z - _`. A request that is sent again with the same id writes nothing
    /// new, and gets the answer that the first one got: sending it again until it is answered is safe.
    pub id: String,
    /// What is to end.
    pub target: Target,
}

/// What is to end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Target {
    /// For administrators: one session.
    Session {
        /// Its `sid`.
        sid: String,
    },
    /// For proxies: the session that was shown. With a `sid` it alone ends; without one, the subject's sessions do, up
    /// to now.
    Shown(Shown),
    /// For administrators: all of a subject's sessions, up to now.
    Subject {
        /// The `sub`.
        sub: String,
    },
}

/// A session that the proxy has accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shown {
    /// `sub`.
    pub sub: String,
    /// `sid`, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// `auth_time` in milliseconds, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_time_ms: Option<u64>,
    /// `iat` in milliseconds.
    pub issued_at_ms: u64,
}

/// The answer: the revocation has been written and will outlive a crash. Anything else is no receipt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// [`VERSION`](crate::VERSION).
    pub version: u32,
    /// As asked.
    pub realm: String,
    /// As asked.
    pub id: String,
    /// The feed's epoch.
    pub epoch: String,
    /// The revocation's number in it.
    pub seq: u64,
    /// When it was written, by the database's clock, in milliseconds since 1970.
    pub at_ms: u64,
    /// How soon from now every proxy that the service can reach applies it, in milliseconds.
    pub promised_delay_ms: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_read_as_the_documented_json() {
        let shown = Shown { sub: "7".into(), sid: None, auth_time_ms: Some(1_000), issued_at_ms: 2_000 };
        for (target, json) in [
            (Target::Session { sid: "s".into() }, serde_json::json!({"kind": "session", "sid": "s"})),
            (Target::Subject { sub: "7".into() }, serde_json::json!({"kind": "subject", "sub": "7"})),
            (
                Target::Shown(shown),
                serde_json::json!({"kind": "shown", "sub": "7", "auth_time_ms": 1000, "issued_at_ms": 2000}),
            ),
        ] {
            let request = RevocationRequest { version: 1, realm: "default".into(), id: "i".into(), target };
            let json = serde_json::json!({"version": 1, "realm": "default", "id": "i", "target": json});
            assert_eq!(serde_json::to_value(&request).unwrap(), json);
            assert_eq!(serde_json::from_value::<RevocationRequest>(json).unwrap(), request);
        }
    }

    #[test]
    fn a_request_that_says_more_than_is_understood_is_refused() {
        for target in [
            r#"{"kind":"subject","sub":"7","only_on":"phone"}"#,
            r#"{"kind":"shown","sub":"7","issued_at_ms":1,"x":1}"#,
            r#"{"kind":"everybody"}"#,
        ] {
            let json = format!(r#"{{"version":1,"realm":"default","id":"i","target":{target}}}"#);
            assert!(serde_json::from_str::<RevocationRequest>(&json).is_err(), "{target}");
        }
    }
}
