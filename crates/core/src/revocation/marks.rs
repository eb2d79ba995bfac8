//! What revocations know a session by. Worked out once for each session, and kept with it.

use std::cell::Cell;

use jwe_gate_contract::{LookupSecret, Tag, TagKind};

use crate::claims::Session;

/// The tags and times of a session.
#[derive(Clone, Debug, PartialEq)]
pub struct Marks {
    /// Of its `sid`, if it has one.
    pub(super) sid: Option<Tag>,
    /// Of its `sub`.
    pub(super) subject: Tag,
    /// When its user signed in, if it says so, in milliseconds.
    pub(super) signed_in_ms: Option<u64>,
    /// When its token was issued, in milliseconds.
    pub(super) issued_ms: Option<u64>,
    /// In which generation of what is known nothing was known of it; 0 for none.
    pub(super) clean: Cell<u64>,
}

impl Marks {
    pub(super) fn of(session: &Session, secret: &LookupSecret, realm: &str) -> Self {
        Self {
            sid: session.sid().map(|sid| secret.tag(realm, TagKind::Session, sid)),
            subject: secret.tag(realm, TagKind::Subject, session.subject()),
            signed_in_ms: session.auth_time().map(milliseconds),
            issued_ms: session.iat().map(milliseconds),
            clean: Cell::new(0),
        }
    }

    /// The tags.
    pub(super) fn tags(&self) -> impl Iterator<Item = Tag> {
        self.sid.into_iter().chain([self.subject])
    }
}

/// Seconds as milliseconds, as far as there are any.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "float to integer saturates")]
pub(crate) fn milliseconds(seconds: f64) -> u64 {
    (seconds * 1000.0) as u64
}
