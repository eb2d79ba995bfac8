//! Who asks the proxies all the time, and what they are told.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use jwe_gate_test_parts::http::{Connection, get};

use crate::fleet::{Proxy, USERS, session};

/// Whose session is shown.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Whose {
    /// That of the user who is about to sign out, or just has.
    Leaving,
    /// One that ended in an earlier round.
    Ended,
    /// Somebody else's.
    Other,
}

/// What came of a request: the status, or nothing where it was cut.
pub(super) type Tally = BTreeMap<(Whose, Option<u16>), u64>;

/// What all visitors share.
pub(super) struct Board(Mutex<State>);

struct State {
    visitors: usize,
    /// The request of each round so far, the last being the one that is on.
    requests: Vec<String>,
    /// What the last answer to its session was, by visitor.
    seen: Vec<Option<u16>>,
    tally: Tally,
}

impl Board {
    pub(super) fn new(visitors: usize) -> Self {
        Self(Mutex::new(State { visitors, requests: Vec::new(), seen: Vec::new(), tally: Tally::new() }))
    }

    /// The next round begins, with this session.
    pub(super) fn begin(&self, round: usize, cookie: &str) {
        let mut state = self.state();
        state.requests.push(get(&format!("/round/{round}"), &[("cookie", cookie)]));
        state.seen = vec![None; state.visitors];
    }

    pub(super) fn all_admit(&self) -> bool {
        self.all_saw(200)
    }

    pub(super) fn all_refuse(&self) -> bool {
        self.all_saw(401)
    }

    pub(super) fn tally(self) -> Tally {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner).tally
    }

    fn all_saw(&self, status: u16) -> bool {
        self.state().seen.iter().all(|seen| *seen == Some(status))
    }

    /// The request with a session of this kind, and its round.
    fn request(&self, whose: Whose, turn: usize) -> Option<(usize, String)> {
        let state = self.state();
        let now = state.requests.len().checked_sub(1)?;
        let round = if whose == Whose::Ended { turn.checked_rem(now)? } else { now };
        Some((round, state.requests.get(round)?.clone()))
    }

    fn note(&self, visitor: usize, (whose, round): (Whose, usize), status: Option<u16>) {
        let mut state = self.state();
        *state.tally.entry((whose, status)).or_default() += 1;
        if whose == Whose::Leaving && round + 1 == state.requests.len() {
            state.seen[visitor] = status;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who asks one proxy on one connection.
pub(super) struct Visitor<'a> {
    proxy: &'a Proxy,
    connection: Connection,
}

impl<'a> Visitor<'a> {
    /// One with a connection that a worker has taken.
    pub(super) fn new(proxy: &'a Proxy) -> Self {
        let mut connection = proxy.connect();
        connection.send(get("/", &[])).expect("Envoy answers");
        Self { proxy, connection }
    }

    /// Asks at its share of the `rate` until it is enough: of eight requests six with the session of the round, one with an
    /// ended one and one with another user's.
    pub(super) fn visit(mut self, number: usize, (rate, visitors): (u32, usize), board: &Board, enough: &AtomicBool) {
        let pause = Duration::from_secs(1) * u32::try_from(visitors).unwrap_or(u32::MAX) / rate;
        let other = get("/other", &[("cookie", &session(USERS[1], "others"))]);
        // They do not ask all at the same moment.
        let mut due =
            Instant::now() + pause * u32::try_from(number).unwrap_or(0) / u32::try_from(visitors).unwrap_or(1);
        for turn in number.. {
            if enough.load(Ordering::Relaxed) {
                return;
            }
            thread::sleep(due.saturating_duration_since(Instant::now()));
            due = (due + pause).max(Instant::now());
            let whose = [Whose::Ended, Whose::Other].get(turn % 8).copied().unwrap_or(Whose::Leaving);
            let request = if whose == Whose::Other { Some((0, other.clone())) } else { board.request(whose, turn) };
            let Some((round, request)) = request else { continue };
            let status = self.connection.send(request).ok().map(|reply| reply.status);
            board.note(number, (whose, round), status);
            if status.is_none() {
                self = Self::new(self.proxy);
            }
        }
    }
}
