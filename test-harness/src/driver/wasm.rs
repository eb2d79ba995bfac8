//! The artefact in wasmtime, in a host that behaves like a proxy and keeps to a virtual clock.

use std::collections::{BTreeMap, BTreeSet};

use jwe_gate_contract::MAC_HEADER;
use jwe_gate_test_host::{
    Answer, CallId, Cluster, Headers, Outcome as HostOutcome, Profile, RequestId, RootId, VmId, World,
};
use serde_json::Value;

use super::{Driver, Outcome, Sent, Traits, nginx, text};
use crate::artefact;
use crate::lookup::FakeLookup;
use crate::request::Request;
use crate::scenario::Setup;

/// Starts it.
#[must_use]
pub fn start(setup: &Setup, lookup: FakeLookup) -> Box<dyn Driver> {
    start_in(Profile::Envoy, setup, lookup)
}

/// Starts it in a proxy of this kind.
pub(super) fn start_in(profile: Profile, setup: &Setup, lookup: FakeLookup) -> Box<dyn Driver> {
    let is_nginx = matches!(profile, Profile::Nginx(_));
    let wasm = if is_nginx { artefact::bytes_for_nginx() } else { artefact::bytes() };
    let mut host = World::setup().profile(profile);
    for (name, value) in &setup.environment {
        host = host.env(name, value);
    }
    let mut world = host.build(&wasm).expect("the artefact loads");
    world.set_cluster("lookup", Cluster::Reachable);
    world.set_cluster("127.0.0.1:9090", Cluster::Reachable);
    let mut driver =
        Wasm { world, is_nginx, lookup, workers: Vec::new(), requests: Vec::new(), arrived: BTreeSet::new() };
    for _ in 0..setup.workers {
        let vm = driver.world.add_vm();
        let configure = |(gate, config): (usize, &serde_json::Value)| {
            driver
                .world
                .configure(vm, &format!("gate-{gate}"), as_configured(is_nginx, config))
                .expect("the configuration is accepted")
        };
        let roots = setup.gates.iter().enumerate().map(configure).collect();
        driver.workers.push((vm, roots));
    }
    Box::new(driver)
}

struct Wasm {
    world: World,
    lookup: FakeLookup,
    is_nginx: bool,
    workers: Vec<(VmId, Vec<RootId>)>,
    requests: Vec<RequestId>,
    /// The callouts that the service has been told of.
    arrived: BTreeSet<CallId>,
}

impl Wasm {
    /// Lets everything happen that happens without time passing.
    fn settle(&mut self) {
        loop {
            self.world.run_until_idle();
            let calls = self.world.calls();
            for call in &calls {
                if self.arrived.insert(call.id) {
                    self.lookup.arrived(&call.body);
                }
            }
            let Some(call) = calls.first().filter(|_| !self.lookup.is_held()) else { return };
            let mac = call.headers.first(MAC_HEADER).expect("a signed question");
            let answer = match self.lookup.answer(mac, &call.body) {
                None => Answer::Reset,
                Some((lines, body)) => {
                    let mut headers = Headers::new();
                    lines.iter().for_each(|(name, value)| headers.add(name, value));
                    Answer::Http { headers, body }
                }
            };
            self.world.answer(call.id, answer);
        }
    }
}

fn as_configured(is_nginx: bool, gate: &Value) -> String {
    if is_nginx { nginx::gate(gate.clone()).to_string() } else { gate.to_string() }
}

impl Driver for Wasm {
    fn traits(&self) -> Traits {
        if self.is_nginx { Traits::NGINX } else { Traits::ENVOY }
    }

    fn now_ms(&self) -> u64 {
        self.world.now_ms()
    }

    fn advance(&mut self, ms: u64) {
        // In steps, so that what ticks ask for is answered in between.
        for _ in 0..ms / 100 {
            self.world.advance(100);
            self.settle();
        }
        self.world.advance(ms % 100);
        self.settle();
    }

    fn send(&mut self, request: &Request) -> Sent {
        let root = self.workers[request.worker].1[request.gate];
        let mut headers = Headers::new();
        for (name, value) in request.map() {
            headers.add(name, value);
        }
        self.requests.push(self.world.request(root, headers));
        Sent(self.requests.len() - 1)
    }

    fn abandon(&mut self, sent: Sent) {
        self.world.reset(self.requests[sent.0]);
    }

    fn outcome(&mut self, sent: Sent) -> Outcome {
        self.settle();
        let request = self.requests[sent.0];
        match self.world.outcome(request) {
            HostOutcome::Forwarded(headers) => {
                if self.world.is_open(request) {
                    self.world.respond(request, [(":status", "200")]);
                    self.world.end(request);
                }
                Outcome::Forwarded(text(headers.lines()))
            }
            HostOutcome::Replied(reply) => {
                Outcome::Replied { status: reply.status, headers: text(reply.headers.lines()) }
            }
            HostOutcome::Parked => Outcome::Waiting,
            HostOutcome::Gone | HostOutcome::Reset => Outcome::Closed,
        }
    }

    fn counters(&mut self) -> BTreeMap<String, u64> {
        // The filter tells on ticks.
        self.advance(100);
        let names = self.world.metric_names();
        names.into_iter().filter_map(|name| Some((name.clone(), self.world.metric(&name)?))).collect()
    }

    fn shared_writes(&mut self) -> Option<u64> {
        Some(self.world.hostcalls().get("proxy_set_shared_data").copied().unwrap_or_default())
    }

    fn reconfigure(&mut self, gate: usize, setup: &Setup) -> Result<(), String> {
        if self.is_nginx {
            self.world.reload();
        }
        let config = as_configured(self.is_nginx, &setup.gates[gate]);
        for (vm, roots) in &mut self.workers {
            let configured = self.world.configure(*vm, &format!("gate-{gate}"), config.clone());
            roots[gate] = configured.map_err(|rejected| format!("{rejected:?}"))?;
        }
        Ok(())
    }

    fn check_health(&mut self) {
        self.settle();
        assert!(self.world.traps().is_empty(), "{:?}", self.world.traps());
        assert!(self.world.misuses().is_empty(), "{:?}", self.world.misuses());
        for (index, request) in self.requests.iter().enumerate() {
            assert_ne!(self.world.outcome(*request), HostOutcome::Parked, "request {index} still waits");
        }
    }
}
