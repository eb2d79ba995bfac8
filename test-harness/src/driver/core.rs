//! The core alone, natively: gates on shared data in memory, with the adapter's duties done by hand.

use std::collections::BTreeMap;
use std::rc::Rc;

use jwe_gate_core::claims::Session;
use jwe_gate_core::config::Config;
use jwe_gate_core::gate::{
    Callout, CalloutId, Cas, ContextId, Edits, Effect, Effects, Event, Gate, HeaderEdit, RequestHeaders, SharedData,
};
use jwe_gate_core::l1::SetKey;
use jwe_gate_core::policy::Policy;
use jwe_gate_core::time::UnixMillis;

use super::{Driver, Outcome, Sent, characters, text};
use crate::lookup::FakeLookup;
use crate::request::Request;
use crate::scenario::Setup;

type Map = Vec<(Vec<u8>, Vec<u8>)>;

/// Starts it.
#[must_use]
pub fn start(setup: &Setup, lookup: FakeLookup) -> Box<dyn Driver> {
    let mut driver = Core {
        now: UnixMillis(1_750_000_000_000),
        lookup,
        shared: Memory::default(),
        workers: Vec::new(),
        requests: Vec::new(),
        counters: BTreeMap::new(),
    };
    for worker in 0..setup.workers {
        driver.workers.push(Vec::new());
        for gate in 0..setup.gates.len() {
            let root = driver.root(setup, worker, gate).expect("the configuration is accepted");
            driver.workers[worker].push(root);
        }
    }
    Box::new(driver)
}

struct Core {
    now: UnixMillis,
    lookup: FakeLookup,
    shared: Memory,
    /// By worker and gate.
    workers: Vec<Vec<Root>>,
    requests: Vec<InHand>,
    counters: BTreeMap<String, u64>,
}

/// A root context.
struct Root {
    gate: Gate,
    woken: bool,
    callouts: BTreeMap<CalloutId, Callout>,
}

struct InHand {
    worker: usize,
    gate: usize,
    map: Map,
    outcome: Outcome,
    session: Option<Rc<Session>>,
}

#[derive(Default)]
struct Memory {
    values: BTreeMap<SetKey, (Vec<u8>, u32)>,
    version: u32,
}

impl SharedData for Memory {
    fn set(&self, key: &SetKey) -> (Option<Vec<u8>>, Cas) {
        match self.values.get(key) {
            Some((value, version)) => (Some(value.clone()), Cas::Version(*version)),
            None => (None, Cas::Absent),
        }
    }
}

impl Memory {
    fn put(&mut self, key: SetKey, value: Vec<u8>, cas: Cas) -> bool {
        if self.set(&key).1 != cas {
            return false;
        }
        self.version += 1;
        self.values.insert(key, (value, self.version));
        true
    }
}

struct Headers<'a>(&'a Map);

impl RequestHeaders for Headers<'_> {
    fn all(&self) -> Map {
        self.0.clone()
    }

    fn first(&self, name: &str) -> Option<Vec<u8>> {
        self.0.iter().find(|(known, _)| known == name.as_bytes()).map(|(_, value)| value.clone())
    }

    fn client(&self) -> Option<Vec<u8>> {
        Some(b"127.0.0.1:40000".into())
    }

    fn are_complete(&self) -> bool {
        true
    }
}

impl Core {
    fn root(&mut self, setup: &Setup, worker: usize, gate: usize) -> Result<Root, String> {
        let find =
            |name: &str| setup.environment.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        let json = setup.gates[gate].to_string();
        let config = Config::from_json(json.as_bytes(), &find).map_err(|error| error.to_string())?;
        let policy = Policy::compile(config).map_err(|error| error.to_string())?;
        let seed = [u8::try_from(worker * 16 + gate).expect("few gates"); 16];
        let mut root = Root { gate: Gate::new(policy, seed), woken: false, callouts: BTreeMap::new() };
        let mut effects = Effects::new();
        root.gate.handle(self.now, Event::Configured, &self.shared, &mut effects);
        Ok(root)
    }

    fn handle(&mut self, worker: usize, gate: usize, event: Event<'_>) {
        let mut effects = Effects::new();
        self.workers[worker][gate].gate.handle(self.now, event, &self.shared, &mut effects);
        for effect in effects {
            self.play(worker, gate, effect);
        }
    }

    fn play(&mut self, worker: usize, gate: usize, effect: Effect) {
        let root = &mut self.workers[worker][gate];
        match effect {
            Effect::Enqueue => root.woken = true,
            Effect::Dispatch(callout) if &*callout.cluster != "lookup" => {
                self.handle(worker, gate, Event::DispatchFailed { callout: callout.callout });
            }
            Effect::Dispatch(callout) => {
                self.lookup.arrived(&callout.body);
                root.callouts.insert(callout.callout, callout);
            }
            Effect::Cut { context } => self.decide(context, Outcome::Closed),
            Effect::Forward { context, edits, session, .. } => {
                let mut map = std::mem::take(&mut self.requests[context.0 as usize].map);
                apply(&mut map, &edits);
                let headers = text(map.iter().map(|(name, value)| (name.as_slice(), value.as_slice())));
                self.decide(context, Outcome::Forwarded(headers));
                self.requests[context.0 as usize].session = session;
            }
            Effect::Reply { context, reply, .. } => {
                let headers = reply.headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
                let status = u16::try_from(reply.status).expect("a status");
                self.decide(context, Outcome::Replied { status, headers: text(headers) });
            }
            Effect::Put { set, cas, value, put } => {
                if !self.shared.put(set, value, cas) {
                    self.handle(worker, gate, Event::PutConflicted(put));
                }
            }
            Effect::Log { .. } | Effect::Park { .. } | Effect::SetTick(_) => {}
        }
    }

    /// Decides about a request, once: acting on one that is over is what ends a worker on a real host.
    fn decide(&mut self, context: ContextId, outcome: Outcome) {
        let request = &mut self.requests[context.0 as usize];
        assert_eq!(request.outcome, Outcome::Waiting, "{context:?} was acted on twice");
        request.outcome = outcome;
    }

    /// Lets everything happen that happens without time passing.
    fn settle(&mut self) {
        while self.wake() || self.answer() {}
    }

    fn wake(&mut self) -> bool {
        let woken = self.roots().find(|(worker, gate)| self.workers[*worker][*gate].woken);
        let Some((worker, gate)) = woken else { return false };
        self.workers[worker][gate].woken = false;
        self.handle(worker, gate, Event::QueueMessage);
        true
    }

    fn answer(&mut self) -> bool {
        if self.lookup.is_held() {
            return false;
        }
        let waiting = self.roots().find(|(worker, gate)| !self.workers[*worker][*gate].callouts.is_empty());
        let Some((worker, gate)) = waiting else { return false };
        let Some((id, callout)) = self.workers[worker][gate].callouts.pop_first() else { return false };
        let answer = self.lookup.answer(callout.mac.as_bytes(), &callout.body);
        let (headers, body) = answer.unzip();
        let mac = headers.and_then(|headers| headers.into_values().next());
        let mac = mac.as_ref().map(String::as_bytes);
        self.handle(worker, gate, Event::Answered { callout: id, mac, body: body.as_deref() });
        true
    }

    fn roots(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let gates = self.workers.first().map_or(0, Vec::len);
        (0..self.workers.len()).flat_map(move |worker| (0..gates).map(move |gate| (worker, gate)))
    }

    fn flush(&mut self) {
        for (worker, gate) in self.roots() {
            for (metric, amount) in self.workers[worker][gate].gate.counters().take() {
                *self.counters.entry(metric.name()).or_default() += amount;
            }
        }
    }
}

fn apply(map: &mut Map, edits: &Edits) {
    let remove = |map: &mut Map, name: &[u8]| map.retain(|(known, _)| known != name);
    edits.remove.iter().for_each(|name| remove(map, name));
    for (name, edit) in [("cookie", &edits.cookie), ("authorization", &edits.authorization)] {
        if *edit != HeaderEdit::Keep {
            remove(map, name.as_bytes());
        }
        if let HeaderEdit::Replace(value) = edit {
            map.push((name.into(), value.clone()));
        }
    }
    if let Some((name, identity)) = &edits.identity {
        remove(map, name.as_bytes());
        map.push((name.as_bytes().into(), identity.user_id.clone().into()));
    }
    for (name, value) in &edits.set {
        remove(map, name.as_bytes());
        map.push(((*name).into(), (*value).into()));
    }
}

impl Driver for Core {
    fn now_ms(&self) -> u64 {
        self.now.0
    }

    fn advance(&mut self, ms: u64) {
        let end = self.now.0 + ms;
        while self.now.0 < end {
            self.now.0 = (self.now.0 + 100).min(end);
            for (worker, gate) in self.roots() {
                self.handle(worker, gate, Event::Tick);
            }
            self.settle();
        }
    }

    fn send(&mut self, request: &Request) -> Sent {
        let context = ContextId(u32::try_from(self.requests.len()).expect("few requests"));
        let (worker, gate, map) = (request.worker, request.gate, request.map());
        self.requests.push(InHand { worker, gate, map: map.clone(), outcome: Outcome::Waiting, session: None });
        self.handle(worker, gate, Event::RequestHeaders { context, headers: &Headers(&map) });
        Sent(context.0 as usize)
    }

    fn abandon(&mut self, sent: Sent) {
        let request = &mut self.requests[sent.0];
        request.outcome = Outcome::Closed;
        let (worker, gate) = (request.worker, request.gate);
        let context = ContextId(u32::try_from(sent.0).expect("few requests"));
        self.handle(worker, gate, Event::RequestGone { context });
    }

    fn outcome(&mut self, sent: Sent) -> Outcome {
        self.settle();
        let request = &self.requests[sent.0];
        let (worker, gate, outcome) = (request.worker, request.gate, request.outcome.clone());
        if let Some(session) = self.requests[sent.0].session.take() {
            let context = ContextId(u32::try_from(sent.0).expect("few requests"));
            self.handle(worker, gate, Event::ResponseHeaders { context, session: &session });
        }
        outcome
    }

    fn counters(&mut self) -> BTreeMap<String, u64> {
        self.flush();
        self.counters.clone()
    }

    fn shared_writes(&mut self) -> Option<u64> {
        Some(self.shared.version.into())
    }

    fn reconfigure(&mut self, gate: usize, setup: &Setup) -> Result<(), String> {
        self.flush();
        for worker in 0..self.workers.len() {
            self.workers[worker][gate] = self.root(setup, worker, gate)?;
        }
        Ok(())
    }

    fn check_health(&mut self) {
        for (index, request) in self.requests.iter().enumerate() {
            assert_ne!(
                request.outcome,
                Outcome::Waiting,
                "request {index} ({}) still waits",
                characters(&request.map[3].1)
            );
        }
    }
}
