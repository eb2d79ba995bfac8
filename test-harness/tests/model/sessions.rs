//! The model: what every session has come to. It knows nothing of tags, cursors and bounds.

use std::collections::BTreeSet;
use std::fmt;

use jwe_gate_lookup::store::journal::Row;
use jwe_gate_test_harness::Token;

use crate::database::{Ended, ended};
use crate::service::RULES;

pub(crate) const USERS: [&str; 2] = ["alice", "bob"];

/// What the application writes into tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `sid` and `auth_time`.
    Named,
    /// `auth_time`.
    Dated,
    /// Neither.
    Plain,
}

/// A session: from a sign-in on, through all its tokens.
pub(crate) struct Session {
    pub(crate) user: &'static str,
    pub(crate) kind: Kind,
    sid: String,
    signed_in: u64,
    pub(crate) fate: Fate,
    /// Cookies, one for each token that was ever issued.
    pub(crate) cookies: Vec<String>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, kind, signed_in, fate, cookies, .. } = self;
        write!(f, "{kind:?} of {user} from {signed_in}, {} tokens, {fate:?}", cookies.len())
    }
}

/// What has become of a session. Times are the database's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nobody ended it.
    Live,
    /// It ended then.
    Ended(u64),
    /// It was begun so soon after its user's sessions were ended that clocks cannot tell.
    Unclear,
}

/// All sessions.
pub(crate) struct Sessions {
    all: Vec<Session>,
    /// How far the application's clock is ahead of the database's.
    ahead_ms: i64,
    /// What somebody asked to end.
    asked: BTreeSet<Ended>,
    /// The number up to which revocations were read.
    read: u64,
    /// When each user's sessions were ended, at last.
    users_ended: [Option<u64>; USERS.len()],
}

impl Sessions {
    pub(crate) fn new(ahead_ms: i64) -> Self {
        Self { all: Vec::new(), ahead_ms, asked: BTreeSet::new(), read: 0, users_ended: [None; USERS.len()] }
    }

    pub(crate) fn count(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn get(&self, session: usize) -> &Session {
        &self.all[session]
    }

    /// One of them, if there is any: zero is the latest.
    pub(crate) fn pick(&self, number: usize) -> Option<usize> {
        (!self.all.is_empty()).then(|| self.all.len() - 1 - number % self.all.len())
    }

    pub(crate) fn sign_in(&mut self, user: usize, kind: Kind, now: u64) {
        let wait = u64::try_from(self.longest_wait(kind)).expect("a wait");
        let fate = match self.users_ended[user] {
            Some(at) if now < at + wait => Fate::Unclear,
            _ => Fate::Live,
        };
        let sid = format!("session-{}", self.all.len());
        self.all.push(Session { user: USERS[user], kind, sid, signed_in: now, fate, cookies: Vec::new() });
        self.issue(self.all.len() - 1, now);
    }

    /// For so long after a user's sessions were ended a new one may be refused.
    fn longest_wait(&self, kind: Kind) -> i64 {
        let delay = if kind == Kind::Plain { RULES.delay } else { std::time::Duration::ZERO };
        // Claims are whole seconds.
        i64::try_from((RULES.skew + delay).as_millis()).expect("a wait") - self.ahead_ms + 1_000
    }

    /// The application issues a token of a session.
    pub(crate) fn issue(&mut self, session: usize, now: u64) -> String {
        let claim = |at: u64| at.saturating_add_signed(self.ahead_ms) / 1_000;
        let session = &mut self.all[session];
        let jti = format!("{}-{}", session.sid, session.cookies.len());
        let token = Token::of(session.user, now).claim("iat", claim(now)).claim("jti", jti);
        let token =
            if session.kind == Kind::Plain { token } else { token.claim("auth_time", claim(session.signed_in)) };
        let token = if session.kind == Kind::Named { token.claim("sid", &*session.sid) } else { token };
        session.cookies.push(token.pair());
        session.cookies.last().expect("a cookie").clone()
    }

    /// The token that was issued last never reached anybody.
    pub(crate) fn take_back(&mut self, session: usize) {
        self.all[session].cookies.pop();
    }

    /// What ends when this session is signed out. From now on it may.
    pub(crate) fn ask_to_end(&mut self, session: usize) -> Ended {
        let session = &self.all[session];
        let ended = match session.kind {
            Kind::Named => Ended::Session(session.sid.clone()),
            Kind::Dated | Kind::Plain => Ended::User(session.user.to_owned()),
        };
        self.asked.insert(ended.clone());
        ended
    }

    /// The same for all of a user's sessions.
    pub(crate) fn ask_to_end_user(&mut self, user: usize) -> Ended {
        let ended = Ended::User(USERS[user].to_owned());
        self.asked.insert(ended.clone());
        ended
    }

    /// Reads what has been written since the last time.
    pub(crate) fn read(&mut self, rows: &[Row]) {
        for row in rows {
            let (ended, at) = (ended(row), row.place.at_ms);
            assert!(self.asked.contains(&ended), "nobody asked to end {ended:?}");
            let is_meant = |session: &Session| match &ended {
                Ended::Session(sid) => session.sid == *sid,
                Ended::User(user) => session.user == *user,
            };
            for session in self.all.iter_mut().filter(|session| is_meant(session)) {
                // Whoever signs in later does so after this was read.
                session.fate = match session.fate {
                    Fate::Ended(earlier) => Fate::Ended(earlier),
                    Fate::Live | Fate::Unclear => Fate::Ended(at),
                };
            }
            if let Ended::User(name) = &ended {
                let user = USERS.iter().position(|user| user == name).expect("a user");
                self.users_ended[user] = Some(at);
            }
            self.read = row.place.seq;
        }
    }

    pub(crate) fn read_up_to(&self) -> u64 {
        self.read
    }
}
