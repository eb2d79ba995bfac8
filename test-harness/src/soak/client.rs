//! A client that asks for users of all kinds, one request after the other.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use jwe_gate_test_parts::http::get;

use super::oracle::Oracle;
use super::visitors::Kind;
use crate::chain::{Door, Seen};

/// One connection at a time, and the choice of who asks next.
pub(super) struct Client {
    door: Door,
    random: Rng,
}

impl Client {
    pub(super) fn new(door: Door, seed: u64) -> Self {
        Self { door, random: Rng::with_seed(seed) }
    }

    pub(super) fn ask(mut self, oracle: &Oracle, enough: &AtomicBool) {
        let mut connection = self.door.connect();
        while !enough.load(Ordering::Relaxed) {
            let kind = self.kind();
            if let Some(visit) = oracle.visit(kind, &mut self.random) {
                match connection.send(get("/", &[("cookie", &visit.visitor.cookie)])) {
                    Ok(reply) => oracle.judge(&visit, &Seen::of(&visit.visitor.subject, &reply)),
                    Err(error) => {
                        oracle.complain(format!("{kind:?}: no answer: {error:#}"));
                        connection = self.door.connect();
                    }
                }
            }
            thread::sleep(PAUSE);
        }
    }

    fn kind(&mut self) -> Kind {
        match self.random.u32(0..100) {
            0..60 => Kind::Known,
            60..70 => Kind::Expired,
            70..80 => Kind::Forged,
            80..87 => Kind::Stranger,
            87..97 => Kind::Removed,
            _ => Kind::Newcomer,
        }
    }
}

/// However quick the answers are, a client sends no more than 50 requests a second.
const PAUSE: Duration = Duration::from_millis(20);
