//! What runs a scenario.

mod clients;
pub mod core;
pub mod envoy;
pub mod nginx;
pub mod real_nginx;
pub mod wasm;

use std::collections::BTreeMap;

use crate::lookup::FakeLookup;
use crate::request::Request;
use crate::scenario::Setup;

/// The number of a request that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sent(pub usize);

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The app got it, with these headers; bytes outside ASCII as the characters of the same number.
    Forwarded(Vec<(String, String)>),
    /// It was answered by the proxy.
    Replied {
        /// The status.
        status: u16,
        /// The headers.
        headers: Vec<(String, String)>,
    },
    /// It waits.
    Waiting,
    /// The connection was closed without a reply.
    Closed,
}

/// In what proxies differ, as far as it shows from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a difference of its own")]
pub struct Traits {
    /// Requests of one user wait for one lookup, and what is asked is heard also when nobody waits any more. Else each
    /// request asks for itself, and its question ends with it.
    pub wait_together: bool,
    /// What is shared between workers outlives another configuration.
    pub keeps_shared_data: bool,
    /// That a lookup service cannot be reached is known before it is asked.
    pub knows_clusters: bool,
    /// What the gates count can be read. Where it cannot, no expectation of a count is checked.
    pub shows_counters: bool,
}

impl Traits {
    /// Envoy's.
    pub const ENVOY: Self =
        Self { wait_together: true, keeps_shared_data: true, knows_clusters: true, shows_counters: true };

    /// Those of nginx, whose counters only the test host can read.
    pub const NGINX: Self =
        Self { wait_together: false, keeps_shared_data: false, knows_clusters: false, shows_counters: true };
}

/// Something that a scenario runs on.
pub trait Driver {
    /// What may be expected of it.
    fn traits(&self) -> Traits {
        Traits::ENVOY
    }

    /// The time, in Unix milliseconds.
    fn now_ms(&self) -> u64;

    /// Lets time pass.
    fn advance(&mut self, ms: u64);

    /// Sends a request.
    fn send(&mut self, request: &Request) -> Sent;

    /// Takes back a request that waits: its client disconnects.
    fn abandon(&mut self, sent: Sent);

    /// What became of a request, once everything that could happen has happened.
    fn outcome(&mut self, sent: Sent) -> Outcome;

    /// Sends a request that is admitted, and whose reply begins and does not end.
    fn open(&mut self, _request: &Request) -> Sent {
        unreachable!("no scenario asks this of it")
    }

    /// Whether that reply still goes on.
    fn is_open(&mut self, _sent: Sent) -> bool {
        unreachable!("no scenario asks this of it")
    }

    /// Everything that the gates have counted.
    fn counters(&mut self) -> BTreeMap<String, u64>;

    /// How often the gates have written shared data; a real proxy does not tell.
    fn shared_writes(&mut self) -> Option<u64>;

    /// Gives a gate another configuration, and the environment other variables.
    ///
    /// # Errors
    /// What the operator is told when it is refused.
    fn reconfigure(&mut self, gate: usize, setup: &Setup) -> Result<(), String>;

    /// Fails if the filter has misbehaved in a way that no client sees: trapped, restarted, acted on what is gone.
    fn check_health(&mut self);
}

/// Makes a driver for a scenario.
pub type Start = fn(&Setup, FakeLookup) -> Box<dyn Driver>;

/// Bytes as characters of the same number.
#[must_use]
pub fn characters(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// Header lines as text.
#[must_use]
pub fn text<'a>(lines: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Vec<(String, String)> {
    lines.into_iter().map(|(name, value)| (characters(name), characters(value))).collect()
}
