//! Who visits, and with which session.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::chain::{COOKIE, token};

/// What is true of a visitor.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Kind {
    /// In the database all the time, and served before anything failed.
    Known,
    /// In the database all the time, and never asked about.
    Newcomer,
    /// Known at first, and deleted from the database at some time.
    Removed,
    /// With a good session, and never in the database.
    Stranger,
    /// With a session that has expired.
    Expired,
    /// With a session under another secret.
    Forged,
}

/// A user and a `Cookie` header.
#[derive(Debug)]
pub(super) struct Visitor {
    pub(super) subject: String,
    pub(super) cookie: String,
}

/// All of them, with their sessions.
#[derive(Debug)]
pub(super) struct Visitors(BTreeMap<Kind, Vec<Visitor>>);

impl Visitors {
    pub(super) fn new() -> Self {
        let kinds = [
            (Kind::Known, 1..401),
            (Kind::Newcomer, 1000..3000),
            (Kind::Removed, 500..550),
            (Kind::Stranger, 10_000..10_050),
            (Kind::Expired, 1..21),
            (Kind::Forged, 1..21),
        ];
        Self(kinds.into_iter().map(|(kind, ids)| (kind, visitors(kind, ids))).collect())
    }

    pub(super) fn of(&self, kind: Kind) -> &[Visitor] {
        self.0.get(&kind).map_or(&[], Vec::as_slice)
    }
}

fn visitors(kind: Kind, ids: Range<u32>) -> Vec<Visitor> {
    ids.map(|id| {
        let subject = id.to_string();
        let token = match kind {
            Kind::Expired => token(&subject).claim("iat", 1_700_000_000).claim("exp", 1_700_003_600),
            Kind::Forged => token(&subject).secret("a secret that the gate does not know"),
            Kind::Known | Kind::Newcomer | Kind::Removed | Kind::Stranger => token(&subject),
        };
        Visitor { cookie: format!("{COOKIE}={}", token.mint()), subject }
    })
    .collect()
}

/// Everybody but the strangers.
pub(super) const USERS: &str = "INSERT INTO users (id) SELECT * FROM generate_series(1, 2999)";
