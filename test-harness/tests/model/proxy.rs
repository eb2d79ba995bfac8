//! One proxy: two workers in the test host, and its connections to the service.

use std::collections::BTreeSet;

use jwe_gate_test_harness::artefact;
use jwe_gate_test_harness::lookup::LOOKUP_SECRET;
use jwe_gate_test_harness::token::{COOKIE, SECRET};
use jwe_gate_test_host::{Answer, Call, CallId, Cluster, Headers, Outcome, RequestId, Response, RootId, VmId, World};
use serde_json::{Value, json};

use crate::contact::MAX_AGE_MS;
use crate::service::{Asked, Services};

pub(crate) const WORKERS: usize = 2;

/// Whether what a proxy asks arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// It does.
    Up,
    /// Connections are refused.
    Refused,
    /// Nothing comes back.
    Silent,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It went on as this user's.
    Admitted(String),
    /// It went on without a name, and without a session.
    Anonymous,
    /// It was answered.
    Refused(u16),
    /// It was cut.
    Cut,
}

pub(crate) struct Proxy {
    world: World,
    vms: Vec<VmId>,
    roots: Vec<RootId>,
    /// Which of two configurations it has.
    variant: bool,
    denies_if_stale: bool,
    pub(crate) line: Line,
    /// The callouts that were seen, and those of them that a replica has.
    known: BTreeSet<CallId>,
    asked: Vec<(CallId, Asked)>,
}

impl Proxy {
    /// Starts it. Two that have the same seed would give their requests the same ids.
    pub(crate) fn start(seed: u64, now: u64, denies_if_stale: bool) -> Self {
        let setup = World::setup().env("AUTH_SECRET", SECRET).env("JWE_GATE_LOOKUP_SECRET", LOOKUP_SECRET);
        let mut world =
            setup.seed(seed).start_ms(now).canary(false).build(&artefact::bytes()).expect("the artefact loads");
        for cluster in ["lookup", "revocations"] {
            world.set_cluster(cluster, Cluster::Reachable);
        }
        // Envoy's main thread has a VM as well, which follows and takes no requests.
        let vms = (0..=WORKERS).map(|_| world.add_vm()).collect();
        let mut proxy = Self {
            world,
            vms,
            roots: Vec::new(),
            variant: false,
            denies_if_stale,
            line: Line::Up,
            known: BTreeSet::new(),
            asked: Vec::new(),
        };
        proxy.configure();
        proxy
    }

    /// Gives it the other configuration.
    pub(crate) fn configure(&mut self) {
        self.variant = !self.variant;
        let configuration = self.configuration().to_string();
        let roots = self.vms.iter().map(|vm| self.world.configure(*vm, "gate", configuration.clone()));
        self.roots = roots.collect::<Result<_, _>>().expect("the configuration is accepted");
    }

    fn configuration(&self) -> Value {
        json!({
            "version": 1,
            "sessions": [{ "profile": "authjs", "cookie": COOKIE }],
            "lookup": { "cluster": "lookup", "timeout_ms": 1_000 },
            "revocation": {
                "cluster": "revocations",
                "poll_ms": 300,
                "max_feed_age_seconds": MAX_AGE_MS / 1_000,
                "on_stale_feed": if self.denies_if_stale { "deny" } else { "serve" },
                "sign_out": { "path": "/sign-out" },
                "observe_sign_out": true,
            },
            "routes": [{ "paths": [{ "prefix": "/api/auth" }], "access": "optional" }, { "access": "required" }],
            "debug_header": self.variant,
        })
    }

    /// Ends the VM of a worker. The next request gets a new one.
    pub(crate) fn crash(&mut self, worker: usize) {
        self.world.kill(self.vms[worker]);
    }

    /// Sends a request.
    pub(crate) fn send(&mut self, worker: usize, (method, path): (&str, &str), cookie: &str) -> RequestId {
        let lines =
            [(":method", method), (":scheme", "http"), (":authority", "app.test"), (":path", path), ("cookie", cookie)];
        self.world.request(self.roots[worker], lines)
    }

    pub(crate) fn waits(&self, request: RequestId) -> bool {
        self.world.outcome(request) == Outcome::Parked
    }

    pub(crate) fn seen(&self, request: RequestId) -> Seen {
        match self.world.outcome(request) {
            Outcome::Forwarded(headers) => match (headers.text("x-user-id"), headers.text("cookie")) {
                (Some(user), Some(_)) => Seen::Admitted(user),
                (None, None) => Seen::Anonymous,
                half => panic!("a name without a session, or a session without a name: {half:?}"),
            },
            Outcome::Replied(reply) => Seen::Refused(reply.status),
            Outcome::Reset => Seen::Cut,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn is_open(&self, request: RequestId) -> bool {
        self.world.is_open(request)
    }

    /// The application answers, with these cookies.
    pub(crate) fn respond(&mut self, request: RequestId, cookies: &[String]) {
        let mut headers = Headers::from([(":status", "200")]);
        for line in cookies {
            headers.add("set-cookie", line);
        }
        self.world.respond(request, headers);
    }

    /// The cookies of the application's answer that came through; nothing while it is held.
    pub(crate) fn came(&self, request: RequestId) -> Option<Vec<String>> {
        match self.world.response(request) {
            Response::Parked => None,
            Response::Forwarded(headers) => {
                let lines = headers.all("set-cookie").into_iter();
                Some(lines.map(|line| String::from_utf8_lossy(line).into_owned()).collect())
            }
            _ => Some(Vec::new()),
        }
    }

    pub(crate) fn end(&mut self, request: RequestId) {
        self.world.end(request);
    }

    /// Changes whether what it asks arrives; what is under way is lost.
    pub(crate) fn set_line(&mut self, line: Line) {
        if self.line == line {
            return;
        }
        self.line = line;
        for (call, _) in std::mem::take(&mut self.asked) {
            if line == Line::Refused {
                self.world.answer(call, Answer::Reset);
            }
        }
    }

    /// Lets the service have what is asked, and says how much that was.
    pub(crate) fn ask(&mut self, services: &mut Services) -> usize {
        self.world.run_until_idle();
        let calls: Vec<Call> = self.world.calls();
        let calls: Vec<Call> = calls.into_iter().filter(|call| self.known.insert(call.id)).collect();
        for call in &calls {
            let asked = if self.line == Line::Up { services.ask(call) } else { None };
            match asked {
                Some(asked) => self.asked.push((call.id, asked)),
                None if self.line == Line::Silent => {}
                None => drop(self.world.answer(call.id, Answer::Refused)),
            }
        }
        calls.len()
    }

    /// Hands over what the service has answered, and says how much that was.
    pub(crate) fn hear(&mut self, services: &Services) -> usize {
        let mut answers = Vec::new();
        self.asked.retain_mut(|(call, asked)| match services.answered(asked) {
            Some(answer) => {
                answers.push((*call, answer));
                false
            }
            None => true,
        });
        let heard = answers.len();
        for (call, answer) in answers {
            self.world.answer(call, answer);
        }
        heard
    }

    pub(crate) fn advance(&mut self, ms: u64) {
        self.world.advance(ms);
    }

    pub(crate) fn check(&self) {
        assert!(self.world.traps().is_empty(), "{:?}", self.world.traps());
        assert!(self.world.misuses().is_empty(), "{:?}", self.world.misuses());
    }
}
