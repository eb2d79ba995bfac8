//! A scenario, and the world that it plays in.

use std::cmp::Ordering;

use serde_json::{Value, json};

use crate::driver::{Driver, Outcome, Sent, Start, Traits};
use crate::lookup::{FakeLookup, LOOKUP_SECRET};
use crate::request::Request;
use crate::token::{COOKIE, SECRET, Token};

/// A scenario.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// A sentence, in words joined by underscores.
    pub name: &'static str,
    /// What there is.
    pub setup: fn() -> Setup,
    /// What happens, and what is expected.
    pub run: fn(&mut World),
}

/// What there is when a scenario begins.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The configurations of the gates; all of them in one VM.
    pub gates: Vec<Value>,
    /// The environment.
    pub environment: Vec<(String, String)>,
    /// How many workers there are.
    pub workers: usize,
}

impl Default for Setup {
    /// One gate that requires a session and looks users up.
    fn default() -> Self {
        let environment = [("AUTH_SECRET", SECRET), ("JWE_GATE_LOOKUP_SECRET", LOOKUP_SECRET)];
        Self {
            gates: vec![gate()],
            environment: environment.map(|(name, value)| (name.into(), value.into())).into(),
            workers: 1,
        }
    }
}

/// The configuration of one gate.
#[must_use]
pub fn gate() -> Value {
    json!({
        "version": 1,
        "sessions": [{ "profile": "authjs", "cookie": COOKIE }],
        "lookup": { "cluster": "lookup", "timeout_ms": 10_000 },
        "cache": { "l0_entries": 64, "l1_records": 64 },
        "routes": [{ "access": "required" }],
    })
}

impl Setup {
    /// Changes a field of every gate; `path` is a JSON pointer.
    #[must_use]
    pub fn with(mut self, path: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        for gate in &mut self.gates {
            set(gate, path, value.clone());
        }
        self
    }

    /// Sets a variable of the environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Has this many workers.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Has these gates.
    #[must_use]
    pub fn gates(mut self, gates: Vec<Value>) -> Self {
        self.gates = gates;
        self
    }
}

/// Sets a field, making the objects on the way to it.
pub fn set(value: &mut Value, path: &str, new: Value) {
    let (parent, field) = path.rsplit_once('/').expect("a JSON pointer");
    let mut at = value;
    for step in parent.split('/').filter(|step| !step.is_empty()) {
        at = match step.parse::<usize>() {
            Ok(index) => &mut at[index],
            Err(_) => &mut at[step],
        };
    }
    at[field] = new;
}

/// The world of one run.
pub struct World {
    driver: Box<dyn Driver>,
    /// The lookup service.
    pub lookup: FakeLookup,
}

impl World {
    /// Starts a driver.
    #[must_use]
    pub fn start(setup: &Setup, start: Start) -> Self {
        let lookup = FakeLookup::default();
        Self { driver: start(setup, lookup.clone()), lookup }
    }

    /// Ends the run: nothing may have gone wrong out of sight.
    pub fn finish(mut self) {
        self.lookup.release();
        self.driver.check_health();
    }

    /// What may be expected of the proxy.
    #[must_use]
    pub fn traits(&self) -> Traits {
        self.driver.traits()
    }

    /// The time, in Unix milliseconds.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.driver.now_ms()
    }

    /// Lets time pass.
    pub fn advance(&mut self, ms: u64) {
        self.driver.advance(ms);
    }

    /// A token for this subject, as of now.
    #[must_use]
    pub fn token(&self, subject: &str) -> Token {
        Token::of(subject, self.now_ms())
    }

    /// Sends a request and leaves it under way.
    pub fn send(&mut self, request: &Request) -> Sent {
        self.driver.send(request)
    }

    /// Sends a request that is admitted, and whose reply goes on and on.
    pub fn open(&mut self, request: &Request) -> Sent {
        self.driver.open(request)
    }

    /// Whether that reply still goes on.
    pub fn is_open(&mut self, sent: Sent) -> bool {
        self.driver.is_open(sent)
    }

    /// The client of a waiting request disconnects.
    pub fn abandon(&mut self, sent: Sent) {
        self.driver.abandon(sent);
    }

    /// What became of a request.
    pub fn outcome(&mut self, sent: Sent) -> Seen {
        Seen(self.driver.outcome(sent))
    }

    /// Sends a request and sees what becomes of it.
    pub fn request(&mut self, request: &Request) -> Seen {
        let sent = self.send(request);
        self.outcome(sent)
    }

    /// `GET /` with these cookies.
    pub fn get(&mut self, cookies: &str) -> Seen {
        self.request(&Request::with_cookies(cookies))
    }

    /// `GET /` with a new token of this subject.
    pub fn get_as(&mut self, subject: &str) -> Seen {
        let cookies = self.token(subject).pair();
        self.get(&cookies)
    }

    /// How often something was counted.
    pub fn count(&mut self, name: &str) -> Count {
        let shown = self.traits().shows_counters;
        Count(shown.then(|| self.driver.counters().get(name).copied().unwrap_or_default()))
    }

    /// How many questions have reached the lookup service.
    #[must_use]
    pub fn questions(&self) -> usize {
        self.lookup.questions().len()
    }

    /// How often the gates have written shared data, where the driver can tell.
    pub fn shared_writes(&mut self) -> Option<u64> {
        self.driver.shared_writes()
    }

    /// Gives a gate another configuration.
    pub fn reconfigure(&mut self, gate: usize, setup: &Setup) {
        self.driver.reconfigure(gate, setup).expect("the configuration is accepted");
    }
}

/// How often something was counted. Where the proxy does not tell, it is what is expected.
#[derive(Clone, Copy, Debug)]
pub struct Count(Option<u64>);

impl PartialEq<u64> for Count {
    fn eq(&self, expected: &u64) -> bool {
        self.0.is_none_or(|count| count == *expected)
    }
}

impl PartialOrd<u64> for Count {
    fn partial_cmp(&self, expected: &u64) -> Option<Ordering> {
        self.0.map_or(Some(Ordering::Equal), |count| count.partial_cmp(expected))
    }
}

/// What was seen of a request.
#[derive(Debug)]
pub struct Seen(pub Outcome);

impl Seen {
    /// The app got the request, for this user.
    #[track_caller]
    pub fn admitted(self, user: &str) -> Self {
        assert_eq!(self.upstream("x-user-id"), [user], "{:?}", self.0);
        self
    }

    /// The app got the request, without an identity.
    #[track_caller]
    pub fn anonymous(self) -> Self {
        assert!(self.upstream("x-user-id").is_empty(), "{:?}", self.0);
        self
    }

    /// The proxy answered with this status.
    #[track_caller]
    pub fn refused(self, status: u16) -> Self {
        match &self.0 {
            Outcome::Replied { status: seen, .. } => assert_eq!(*seen, status),
            other => panic!("a reply {status} was expected: {other:?}"),
        }
        self
    }

    /// The request waits.
    #[track_caller]
    pub fn waits(self) {
        assert_eq!(self.0, Outcome::Waiting);
    }

    /// The values of a header that the app got.
    #[track_caller]
    #[must_use]
    pub fn upstream(&self, name: &str) -> Vec<&str> {
        match &self.0 {
            Outcome::Forwarded(headers) => values(headers, name),
            other => panic!("the app should have got the request: {other:?}"),
        }
    }

    /// The values of a header that the client got.
    #[track_caller]
    #[must_use]
    pub fn reply(&self, name: &str) -> Vec<&str> {
        match &self.0 {
            Outcome::Replied { headers, .. } => values(headers, name),
            other => panic!("the proxy should have replied: {other:?}"),
        }
    }
}

fn values<'a>(headers: &'a [(String, String)], name: &str) -> Vec<&'a str> {
    headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
}
