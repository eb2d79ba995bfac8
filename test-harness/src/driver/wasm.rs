//! The artefact in wasmtime, in a host that behaves like a proxy and keeps to a virtual clock.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use jwe_gate_contract::MAC_HEADER;
use jwe_gate_test_host::{
    Answer, Call, CallId, Cluster, Outcome as HostOutcome, Profile, RequestId, RootId, VmId, World,
};
use serde_json::Value;

use super::{Driver, Outcome, Sent, Traits, characters, nginx, text};
use crate::artefact;
use crate::lookup::{FakeLookup, Wire};
use crate::request::Request;
use crate::scenario::Setup;
use crate::steps::{Interruption, Steps, subjects};

/// Starts it.
#[must_use]
pub fn start(setup: &Setup, lookup: FakeLookup) -> Box<dyn Driver> {
    start_in(Profile::Envoy, setup, lookup)
}

/// Starts it in a proxy of this kind.
pub(super) fn start_in(profile: Profile, setup: &Setup, lookup: FakeLookup) -> Box<dyn Driver> {
    Box::new(Wasm::new(profile, setup, lookup))
}

/// Starts it for being driven step by step.
#[must_use]
pub fn start_steps(setup: &Setup, lookup: FakeLookup) -> Rc<dyn Steps> {
    Rc::new(Wasm::new(Profile::Envoy, setup, lookup))
}

struct Wasm {
    world: RefCell<World>,
    lookup: FakeLookup,
    is_nginx: bool,
    setup: RefCell<Setup>,
    workers: RefCell<Vec<Worker>>,
    requests: RefCell<Vec<(usize, RequestId)>>,
    /// The callouts that the service has been told of.
    arrived: RefCell<BTreeSet<CallId>>,
}

struct Worker {
    vm: VmId,
    roots: Vec<RootId>,
    is_dead: bool,
}

impl Wasm {
    fn new(profile: Profile, setup: &Setup, lookup: FakeLookup) -> Self {
        let is_nginx = matches!(profile, Profile::Nginx(_));
        let wasm = if is_nginx { artefact::bytes_for_nginx() } else { artefact::bytes() };
        let mut host = World::setup().profile(profile);
        for (name, value) in &setup.environment {
            host = host.env(name, value);
        }
        let mut world = host.build(&wasm).expect("the artefact loads");
        world.set_cluster("lookup", Cluster::Reachable);
        world.set_cluster("127.0.0.1:9090", Cluster::Reachable);
        world.set_cluster(FEED, Cluster::Reachable);
        let driver = Self {
            world: RefCell::new(world),
            is_nginx,
            lookup,
            setup: RefCell::new(setup.clone()),
            workers: RefCell::default(),
            requests: RefCell::default(),
            arrived: RefCell::default(),
        };
        for _ in 0..setup.workers {
            driver.add();
        }
        driver
    }

    fn configure(&self, vm: VmId, gate: usize) -> Result<RootId, String> {
        let configuration = as_configured(self.is_nginx, &self.setup.borrow().gates[gate]);
        let configured = self.world.borrow_mut().configure(vm, &format!("gate-{gate}"), configuration);
        configured.map_err(|rejected| format!("{rejected:?}"))
    }

    /// Lets everything happen that happens without time passing.
    fn settle(&self) {
        loop {
            self.world.borrow_mut().run_until_idle();
            self.calls();
            if self.lookup.is_held() || !self.answer(0) {
                return;
            }
        }
    }

    /// Answers what the feed was asked.
    fn answer_feed(&self) {
        let calls = self.world.borrow().calls();
        for call in calls.into_iter().filter(|call| call.upstream == FEED) {
            let mac = call.headers.first(MAC_HEADER).expect("a signed question");
            let target = call.headers.first(":path").expect("a target");
            let answer = self.lookup.feed.answer(mac, &characters(target));
            self.world.borrow_mut().answer(call.id, as_answered(answer));
        }
    }

    /// The lookups that wait; the service hears of those that are new.
    fn calls(&self) -> Vec<Call> {
        let mut calls = self.world.borrow().calls();
        calls.retain(|call| call.upstream != FEED);
        for call in &calls {
            if self.arrived.borrow_mut().insert(call.id) {
                self.lookup.arrived(&call.body);
            }
        }
        calls
    }
}

/// The cluster of the feed.
const FEED: &str = "revocations";

fn as_answered(answer: Wire) -> Answer {
    let Some((lines, body)) = answer else { return Answer::Reset };
    Answer::Http { headers: lines.into_iter().collect(), body }
}

fn as_configured(is_nginx: bool, gate: &Value) -> String {
    if is_nginx { nginx::gate(gate.clone()).to_string() } else { gate.to_string() }
}

impl Steps for Wasm {
    fn now_ms(&self) -> u64 {
        self.world.borrow().now_ms()
    }

    fn workers(&self) -> usize {
        self.workers.borrow().len()
    }

    fn send(&self, request: &Request) -> Option<Sent> {
        let workers = self.workers.borrow();
        let worker = workers.get(request.worker).filter(|worker| !worker.is_dead)?;
        let sent = self.world.borrow_mut().request(worker.roots[request.gate], request.map());
        let mut requests = self.requests.borrow_mut();
        requests.push((request.worker, sent));
        Some(Sent(requests.len() - 1))
    }

    fn abandon(&self, sent: Sent) {
        self.world.borrow_mut().reset(self.requests.borrow()[sent.0].1);
    }

    fn look(&self, sent: Sent) -> Outcome {
        match self.world.borrow().outcome(self.requests.borrow()[sent.0].1) {
            HostOutcome::Forwarded(headers) => Outcome::Forwarded(text(headers.lines())),
            HostOutcome::Replied(reply) => {
                Outcome::Replied { status: reply.status, headers: text(reply.headers.lines()) }
            }
            HostOutcome::Parked => Outcome::Waiting,
            HostOutcome::Gone | HostOutcome::Reset => Outcome::Closed,
        }
    }

    fn deliver(&self) -> bool {
        let delivered = self.world.borrow_mut().deliver_wakeup();
        self.calls();
        delivered
    }

    fn lose_wakeups(&self) {
        self.world.borrow_mut().lose_wakeups();
    }

    fn callouts(&self) -> Vec<Vec<String>> {
        self.calls().iter().map(|call| subjects(&call.body)).collect()
    }

    fn answer(&self, nth: usize) -> bool {
        let Some(call) = self.calls().into_iter().nth(nth) else { return false };
        let mac = call.headers.first(MAC_HEADER).expect("a signed question");
        let answer = as_answered(self.lookup.answer_at(
            &characters(call.headers.first(":path").unwrap_or_default()),
            mac,
            &call.body,
        ));
        self.world.borrow_mut().answer(call.id, answer);
        true
    }

    fn never_answer(&self, _nth: usize) {
        // The host keeps to its timeouts.
    }

    fn pass(&self, ms: u64) {
        self.world.borrow_mut().pass(ms);
        self.calls();
    }

    fn kill(&self, worker: usize) {
        let mut workers = self.workers.borrow_mut();
        let Some(dying) = workers.get_mut(worker) else { return };
        dying.is_dead = true;
        self.world.borrow_mut().kill(dying.vm);
        for (_, request) in self.requests.borrow().iter().filter(|(of, _)| *of == worker) {
            let mut world = self.world.borrow_mut();
            if world.outcome(*request) == HostOutcome::Parked {
                world.reset(*request);
            }
        }
    }

    fn add(&self) {
        let vm = self.world.borrow_mut().add_vm();
        let gates = self.setup.borrow().gates.len();
        let roots = (0..gates).map(|gate| self.configure(vm, gate).expect("the configuration is accepted")).collect();
        self.workers.borrow_mut().push(Worker { vm, roots, is_dead: false });
    }

    fn interrupt(&self, _after: usize, interruption: Interruption) {
        // One store holds all VMs, so none runs inside another.
        interruption();
    }

    fn counters(&self) -> BTreeMap<String, u64> {
        let world = self.world.borrow();
        let names = world.metric_names();
        names.into_iter().filter_map(|name| Some((name.clone(), world.metric(&name)?))).collect()
    }

    fn check_health(&self) {
        let world = self.world.borrow();
        assert!(world.traps().is_empty(), "{:?}", world.traps());
        assert!(world.misuses().is_empty(), "{:?}", world.misuses());
        for (index, (_, request)) in self.requests.borrow().iter().enumerate() {
            assert_ne!(world.outcome(*request), HostOutcome::Parked, "request {index} still waits");
        }
    }
}

impl Driver for Wasm {
    fn traits(&self) -> Traits {
        if self.is_nginx { Traits::NGINX } else { Traits::ENVOY }
    }

    fn now_ms(&self) -> u64 {
        Steps::now_ms(self)
    }

    fn advance(&mut self, ms: u64) {
        // In steps, so that what ticks ask for is answered in between.
        let mut left = ms;
        while left > 0 {
            let step = left.min(100);
            self.world.borrow_mut().advance(step);
            self.answer_feed();
            self.settle();
            left -= step;
        }
    }

    fn send(&mut self, request: &Request) -> Sent {
        Steps::send(self, request).expect("the worker lives")
    }

    fn abandon(&mut self, sent: Sent) {
        Steps::abandon(self, sent);
    }

    fn outcome(&mut self, sent: Sent) -> Outcome {
        self.settle();
        let outcome = self.look(sent);
        let (_, request) = self.requests.borrow()[sent.0];
        let world = self.world.get_mut();
        if matches!(outcome, Outcome::Forwarded(_)) && world.is_open(request) {
            world.respond(request, [(":status", "200")]);
            world.end(request);
        }
        outcome
    }

    fn open(&mut self, request: &Request) -> Sent {
        let sent = Driver::send(self, request);
        self.settle();
        let (_, request) = self.requests.borrow()[sent.0];
        let outcome = self.look(sent);
        assert!(matches!(outcome, Outcome::Forwarded(_)), "{outcome:?}");
        self.world.get_mut().respond(request, [(":status", "200")]);
        sent
    }

    fn is_open(&mut self, sent: Sent) -> bool {
        self.settle();
        let (_, request) = self.requests.borrow()[sent.0];
        self.world.get_mut().is_open(request)
    }

    fn counters(&mut self) -> BTreeMap<String, u64> {
        // The filter tells on ticks.
        self.advance(100);
        Steps::counters(self)
    }

    fn shared_writes(&mut self) -> Option<u64> {
        Some(self.world.borrow().hostcalls().get("proxy_set_shared_data").copied().unwrap_or_default())
    }

    fn reconfigure(&mut self, gate: usize, setup: &Setup) -> Result<(), String> {
        if self.is_nginx {
            self.world.get_mut().reload();
        }
        self.setup.replace(setup.clone());
        for worker in 0..Steps::workers(self) {
            let vm = self.workers.borrow()[worker].vm;
            let root = self.configure(vm, gate)?;
            self.workers.borrow_mut()[worker].roots[gate] = root;
        }
        Ok(())
    }

    fn check_health(&mut self) {
        self.settle();
        Steps::check_health(self);
    }
}
