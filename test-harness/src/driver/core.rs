//! The core alone, natively: gates on shared data in memory, with the adapter's duties done by hand.
//!
//! Everything is behind cells, so that one worker can be interrupted by another between reading shared data and
//! writing it, as threads are.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use jwe_gate_core::config::Config;
use jwe_gate_core::gate::{
    Callout, CalloutId, ContextId, Edits, Effect, Effects, Event, Gate, HeaderEdit, ReplyHeaders, RequestHeaders,
};
use jwe_gate_core::headers::HeaderMap;
use jwe_gate_core::policy::Policy;
use jwe_gate_core::shared::{Cas, QueueId, SharedData, SharedKey};
use jwe_gate_core::time::UnixMillis;

use super::{Driver, Outcome, Sent, characters, text};
use crate::lookup::FakeLookup;
use crate::request::Request;
use crate::scenario::Setup;
use crate::steps::{Interruption, Steps, subjects};

type Map = Vec<(Vec<u8>, Vec<u8>)>;

/// Starts it.
#[must_use]
pub fn start(setup: &Setup, lookup: FakeLookup) -> Box<dyn Driver> {
    Box::new(Core::new(setup, lookup))
}

/// Starts it for being driven step by step.
#[must_use]
pub fn start_steps(setup: &Setup, lookup: FakeLookup) -> Rc<dyn Steps> {
    Rc::new(Core::new(setup, lookup))
}

struct Core {
    now: Cell<UnixMillis>,
    lookup: FakeLookup,
    setup: RefCell<Setup>,
    memory: RefCell<BTreeMap<SharedKey, (Vec<u8>, u32)>>,
    versions: Cell<u32>,
    workers: Cell<usize>,
    /// Every root context that there ever was; the number of its queue is its place here.
    roots: RefCell<Vec<Rc<Root>>>,
    requests: RefCell<Vec<InHand>>,
    counters: RefCell<BTreeMap<String, u64>>,
    /// What happens after so many more writes to shared data.
    interruption: RefCell<Option<(usize, Interruption)>>,
}

/// A root context.
struct Root {
    worker: usize,
    number: usize,
    queue: QueueId,
    gate: RefCell<Gate>,
    /// Whether it serves new requests.
    serves: Cell<bool>,
    /// Whether its worker has failed.
    is_dead: Cell<bool>,
    messages: RefCell<Vec<Vec<u8>>>,
    /// How many wake-ups are under way.
    wakeups: Cell<usize>,
    /// What waits for an answer, and until when.
    callouts: RefCell<BTreeMap<CalloutId, (Callout, UnixMillis)>>,
}

struct InHand {
    root: Rc<Root>,
    map: Map,
    outcome: Outcome,
    /// Whether its reply goes on and on.
    is_stream: bool,
    is_over: bool,
}

/// Shared data as one root context sees it.
struct View<'a> {
    core: &'a Core,
    queue: QueueId,
}

impl SharedData for View<'_> {
    fn get(&self, key: &SharedKey) -> (Option<Vec<u8>>, Cas) {
        match self.core.memory.borrow().get(key) {
            Some((value, version)) => (Some(value.clone()), Cas::Version(*version)),
            None => (None, Cas::Absent),
        }
    }

    fn put(&self, key: &SharedKey, value: &[u8], cas: Cas) -> bool {
        self.core.interrupted();
        if self.get(key).1 != cas {
            return false;
        }
        let version = self.core.versions.get() + 1;
        self.core.versions.set(version);
        self.core.memory.borrow_mut().insert(key.clone(), (value.to_vec(), version));
        true
    }

    fn queue(&self) -> Option<QueueId> {
        Some(self.queue)
    }
}

/// The cluster of the feed.
const FEED: &str = "revocations";

struct NoCookies;

impl ReplyHeaders for NoCookies {
    fn set_cookies(&self) -> Vec<Vec<u8>> {
        Vec::new()
    }
}

struct Headers(HeaderMap);

impl RequestHeaders for Headers {
    fn map(&self) -> &HeaderMap {
        &self.0
    }

    fn client(&self) -> Option<Vec<u8>> {
        Some(b"127.0.0.1:40000".into())
    }

    fn are_complete(&self) -> bool {
        true
    }
}

impl Core {
    fn new(setup: &Setup, lookup: FakeLookup) -> Self {
        let core = Self {
            now: Cell::new(UnixMillis(1_750_000_000_000)),
            lookup,
            setup: RefCell::new(setup.clone()),
            memory: RefCell::default(),
            versions: Cell::new(0),
            workers: Cell::new(0),
            roots: RefCell::default(),
            requests: RefCell::default(),
            counters: RefCell::default(),
            interruption: RefCell::new(None),
        };
        for _ in 0..setup.workers {
            core.add();
        }
        core
    }

    /// Configures a root context, which takes the place of the one that served before.
    fn configure(&self, worker: usize, number: usize) -> Result<(), String> {
        let setup = self.setup.borrow();
        let find =
            |name: &str| setup.environment.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        let json = setup.gates[number].to_string();
        let config = Config::from_json(json.as_bytes(), &find).map_err(|error| error.to_string())?;
        let policy = Policy::compile(config).map_err(|error| error.to_string())?;
        let place = u32::try_from(self.roots.borrow().len()).expect("few root contexts");
        let mut seed = [0; 16];
        seed[..4].copy_from_slice(&place.to_le_bytes());
        let root = Rc::new(Root {
            worker,
            number,
            queue: QueueId(place),
            gate: RefCell::new(Gate::new(policy, seed)),
            serves: Cell::new(true),
            is_dead: Cell::new(false),
            messages: RefCell::default(),
            wakeups: Cell::new(0),
            callouts: RefCell::default(),
        });
        self.handle(&root, Event::Configured);
        if let Some(before) = self.serving(worker, number) {
            before.serves.set(false);
        }
        self.roots.borrow_mut().push(root);
        Ok(())
    }

    fn serving(&self, worker: usize, number: usize) -> Option<Rc<Root>> {
        let is_it = |root: &&Rc<Root>| root.worker == worker && root.number == number && root.serves.get();
        self.roots.borrow().iter().find(is_it).cloned()
    }

    /// The root contexts whose workers live.
    fn living(&self) -> Vec<Rc<Root>> {
        self.roots.borrow().iter().filter(|root| !root.is_dead.get()).cloned().collect()
    }

    /// Those of them that are not in the middle of something.
    fn idle(&self) -> Vec<Rc<Root>> {
        self.living().into_iter().filter(|root| root.gate.try_borrow_mut().is_ok()).collect()
    }

    fn handle(&self, root: &Rc<Root>, event: Event<'_>) {
        let mut effects = Effects::new();
        let view = View { core: self, queue: root.queue };
        root.gate.borrow_mut().handle(self.now.get(), event, &view, &mut effects);
        for effect in effects {
            self.play(root, effect);
        }
    }

    fn play(&self, root: &Rc<Root>, effect: Effect) {
        match effect {
            Effect::Enqueue => self.enqueue(root.queue, b"!".to_vec()),
            Effect::Wake { queue, message } => self.enqueue(queue, message),
            Effect::Dispatch(callout) if !["lookup", FEED].contains(&&*callout.cluster) => {
                self.handle(root, Event::DispatchFailed { callout: callout.callout });
            }
            Effect::Dispatch(callout) => {
                if let Some(body) = &callout.body {
                    self.lookup.arrived(body);
                }
                let due = self.now.get().after(callout.timeout);
                root.callouts.borrow_mut().insert(callout.callout, (callout, due));
            }
            Effect::Cut { context } => self.cut(root, context),
            Effect::Forward { context, edits, .. } => {
                let mut map = std::mem::take(&mut self.requests.borrow_mut()[context.0 as usize].map);
                apply(&mut map, &edits);
                let headers = text(map.iter().map(|(name, value)| (name.as_slice(), value.as_slice())));
                self.decide(context, Outcome::Forwarded(headers));
            }
            Effect::Reply { context, reply, .. } => {
                let headers = reply.headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
                let status = u16::try_from(reply.status).expect("a status");
                self.decide(context, Outcome::Replied { status, headers: text(headers) });
            }
            // What concerns cookies of replies has no place here: its apps set none.
            Effect::HoldReply { .. }
            | Effect::Log { .. }
            | Effect::Park { .. }
            | Effect::ReleaseReply { .. }
            | Effect::SetCookies { .. }
            | Effect::SetTick(_) => {}
        }
    }

    fn enqueue(&self, queue: QueueId, message: Vec<u8>) {
        let root = self.roots.borrow().get(queue.0 as usize).cloned();
        if let Some(root) = root {
            root.messages.borrow_mut().push(message);
            root.wakeups.set(root.wakeups.get() + 1);
        }
    }

    /// Decides about a request, once: acting on one that is over is what ends a worker on a real host.
    fn decide(&self, context: ContextId, outcome: Outcome) {
        let request = &mut self.requests.borrow_mut()[context.0 as usize];
        assert_eq!(request.outcome, Outcome::Waiting, "{context:?} was acted on twice");
        request.outcome = outcome;
    }

    /// Lets everything happen that happens without time passing.
    fn settle(&self) {
        while self.deliver() || !self.lookup.is_held() && self.answer(0) {}
    }

    /// A worker that is in the middle of something is not interrupted by itself.
    fn interrupted(&self) {
        let due = match self.interruption.borrow_mut().as_mut() {
            None => false,
            Some((0, _)) => true,
            Some((writes, _)) => {
                *writes -= 1;
                false
            }
        };
        if due && let Some((_, interruption)) = self.interruption.take() {
            interruption();
        }
    }

    /// Cuts a request that went on: its client hears no more of it.
    fn cut(&self, root: &Rc<Root>, context: ContextId) {
        {
            let request = &mut self.requests.borrow_mut()[context.0 as usize];
            assert!(!request.is_over, "{context:?} was cut and was over");
            (request.outcome, request.is_over) = (Outcome::Closed, true);
        }
        self.handle(root, Event::RequestGone { context });
    }

    /// Answers what the feed was asked.
    fn answer_feed(&self) {
        for root in self.idle() {
            let asks = |(_, (callout, _)): &(&CalloutId, &(Callout, UnixMillis))| &*callout.cluster == FEED;
            let asked = root.callouts.borrow().iter().find(asks).map(|(id, _)| *id);
            let Some((callout, _)) = asked.and_then(|id| root.callouts.borrow_mut().remove(&id)) else { continue };
            let answer = self.lookup.feed.answer(callout.mac.as_bytes(), &callout.target);
            let (headers, body) = answer.unzip();
            let mac = headers.and_then(|headers| headers.into_values().next());
            let mac = mac.as_ref().map(String::as_bytes);
            self.handle(&root, Event::Answered { callout: callout.callout, mac, body: body.as_deref() });
        }
    }

    fn take_callout(&self, nth: usize) -> Option<(Rc<Root>, Callout)> {
        let calls = |root: &Rc<Root>| -> Vec<_> {
            let callouts = root.callouts.borrow();
            let lookups = callouts.iter().filter(|(_, (callout, _))| callout.body.is_some());
            lookups.map(|(id, _)| (root.clone(), *id)).collect()
        };
        let (root, id) = self.living().iter().flat_map(calls).nth(nth)?;
        root.gate.try_borrow_mut().ok()?;
        let (callout, _) = root.callouts.borrow_mut().remove(&id)?;
        Some((root, callout))
    }

    fn time_out(&self) {
        for root in self.idle().into_iter().filter(|root| !root.is_dead.get()) {
            let is_due = |(_, (_, due)): &(&CalloutId, &(Callout, UnixMillis))| *due <= self.now.get();
            let due: Vec<_> = root.callouts.borrow().iter().filter(is_due).map(|(id, _)| *id).collect();
            for callout in due {
                root.callouts.borrow_mut().remove(&callout);
                self.handle(&root, Event::Answered { callout, mac: None, body: None });
            }
        }
    }

    fn tick(&self) {
        // One may end another meanwhile.
        for root in self.idle().into_iter().filter(|root| !root.is_dead.get()) {
            self.handle(&root, Event::Tick);
        }
    }

    fn flush(&self) {
        for root in self.roots.borrow().iter() {
            for (metric, amount) in root.gate.borrow_mut().counters().take() {
                *self.counters.borrow_mut().entry(metric.name()).or_default() += amount;
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
    for (name, value) in edits.identity.iter().flat_map(|identity| &identity.headers) {
        remove(map, name.as_bytes());
        map.push((name.as_bytes().into(), value.clone().into()));
    }
    if let Some((name, token)) = &edits.proof {
        remove(map, name.as_bytes());
        map.push((name.as_bytes().into(), token.as_bytes().into()));
    }
    for (name, value) in &edits.set {
        remove(map, name.as_bytes());
        map.push(((*name).into(), (*value).into()));
    }
}

impl Steps for Core {
    fn now_ms(&self) -> u64 {
        self.now.get().0
    }

    fn workers(&self) -> usize {
        self.workers.get()
    }

    fn send(&self, request: &Request) -> Option<Sent> {
        let root = self.serving(request.worker, request.gate)?;
        if root.gate.try_borrow_mut().is_err() {
            return None;
        }
        let index = self.requests.borrow().len();
        let map = request.map();
        let in_hand = InHand {
            root: root.clone(),
            map: map.clone(),
            outcome: Outcome::Waiting,
            is_stream: false,
            is_over: false,
        };
        self.requests.borrow_mut().push(in_hand);
        let context = ContextId(u32::try_from(index).expect("few requests"));
        let headers = Headers(map.iter().map(|(name, value)| (name, value)).collect());
        let admission = root.gate.borrow_mut().admit_known(self.now.get(), context, &headers);
        match admission {
            Some(admission) => self.play(&root, admission.into_effect(context)),
            None => self.handle(&root, Event::RequestHeaders { context, headers: &headers }),
        }
        Some(Sent(index))
    }

    fn abandon(&self, sent: Sent) {
        let root = self.requests.borrow()[sent.0].root.clone();
        let waits = self.requests.borrow()[sent.0].outcome == Outcome::Waiting;
        if waits && root.gate.try_borrow_mut().is_ok() {
            self.requests.borrow_mut()[sent.0].outcome = Outcome::Closed;
            let context = ContextId(u32::try_from(sent.0).expect("few requests"));
            self.handle(&root, Event::RequestGone { context });
        }
    }

    fn look(&self, sent: Sent) -> Outcome {
        self.requests.borrow()[sent.0].outcome.clone()
    }

    fn deliver(&self) -> bool {
        let Some(root) = self.idle().into_iter().find(|root| root.wakeups.get() > 0) else { return false };
        root.wakeups.set(root.wakeups.get() - 1);
        let messages = root.messages.take();
        self.handle(&root, Event::QueueMessages(&messages));
        true
    }

    fn lose_wakeups(&self) {
        for root in self.living() {
            root.wakeups.set(0);
        }
    }

    fn callouts(&self) -> Vec<Vec<String>> {
        let bodies = |root: &Rc<Root>| -> Vec<Vec<String>> {
            let callouts = root.callouts.borrow();
            callouts.values().filter_map(|(callout, _)| callout.body.as_deref()).map(subjects).collect()
        };
        self.living().iter().flat_map(bodies).collect()
    }

    fn answer(&self, nth: usize) -> bool {
        let Some((root, callout)) = self.take_callout(nth) else { return false };
        let answer =
            self.lookup.answer_at(&callout.target, callout.mac.as_bytes(), callout.body.as_deref().unwrap_or_default());
        let (headers, body) = answer.unzip();
        let mac = headers.and_then(|headers| headers.into_values().next());
        let mac = mac.as_ref().map(String::as_bytes);
        self.handle(&root, Event::Answered { callout: callout.callout, mac, body: body.as_deref() });
        true
    }

    fn never_answer(&self, nth: usize) {
        self.take_callout(nth);
    }

    fn pass(&self, ms: u64) {
        let end = self.now.get().0 + ms;
        while self.now.get().0 < end {
            self.now.set(UnixMillis((self.now.get().0 + 100).min(end)));
            self.tick();
            self.time_out();
        }
    }

    fn kill(&self, worker: usize) {
        let is_busy = |root: &Rc<Root>| root.worker == worker && root.gate.try_borrow_mut().is_err();
        if self.living().iter().any(is_busy) {
            return;
        }
        for root in self.living().iter().filter(|root| root.worker == worker) {
            root.is_dead.set(true);
            root.serves.set(false);
            let mut requests = self.requests.borrow_mut();
            let lost = requests.iter_mut().filter(|request| Rc::ptr_eq(&request.root, root));
            lost.filter(|request| request.outcome == Outcome::Waiting)
                .for_each(|request| request.outcome = Outcome::Closed);
        }
    }

    fn add(&self) {
        let (worker, gates) = (self.workers.get(), self.setup.borrow().gates.len());
        self.workers.set(worker + 1);
        for gate in 0..gates {
            self.configure(worker, gate).expect("the configuration is accepted");
        }
    }

    fn interrupt(&self, after: usize, interruption: Interruption) {
        self.interruption.replace(Some((after, interruption)));
    }

    fn counters(&self) -> BTreeMap<String, u64> {
        self.flush();
        self.counters.borrow().clone()
    }

    fn check_health(&self) {
        for (index, request) in self.requests.borrow().iter().enumerate() {
            let path = request.map.get(3).map_or(String::new(), |(_, path)| characters(path));
            assert_ne!(request.outcome, Outcome::Waiting, "request {index} ({path}) still waits");
        }
        // A lookup may be under way that nobody waits for.
        let timeout = std::time::Duration::from_secs(65);
        let end = self.now.get().after(timeout).0;
        while self.now.get().0 < end && self.living().iter().any(|root| !root.gate.borrow().is_idle()) {
            self.pass(100);
        }
        assert!(self.living().iter().all(|root| root.gate.borrow().is_idle()), "something is left in the parked table");
    }
}

impl Driver for Core {
    fn now_ms(&self) -> u64 {
        Steps::now_ms(self)
    }

    fn advance(&mut self, ms: u64) {
        let mut left = ms;
        while left > 0 {
            let step = left.min(100);
            self.pass(step);
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
        let (outcome, root, goes_on) = {
            let request = &mut self.requests.borrow_mut()[sent.0];
            let goes_on = matches!(request.outcome, Outcome::Forwarded(_)) && !request.is_over;
            request.is_over |= goes_on && !request.is_stream;
            (request.outcome.clone(), request.root.clone(), goes_on)
        };
        let is_stream = self.requests.borrow()[sent.0].is_stream;
        if goes_on {
            let context = ContextId(u32::try_from(sent.0).expect("few requests"));
            self.handle(&root, Event::ResponseHeaders { context, headers: &NoCookies });
            if !is_stream {
                self.handle(&root, Event::RequestGone { context });
            }
        }
        outcome
    }

    fn open(&mut self, request: &Request) -> Sent {
        let sent = Steps::send(self, request).expect("the worker lives");
        self.requests.borrow_mut()[sent.0].is_stream = true;
        let outcome = Driver::outcome(self, sent);
        assert!(matches!(outcome, Outcome::Forwarded(_)), "{outcome:?}");
        sent
    }

    fn is_open(&mut self, sent: Sent) -> bool {
        self.settle();
        !self.requests.borrow()[sent.0].is_over
    }

    fn counters(&mut self) -> BTreeMap<String, u64> {
        Steps::counters(self)
    }

    fn shared_writes(&mut self) -> Option<u64> {
        Some(self.versions.get().into())
    }

    fn reconfigure(&mut self, gate: usize, setup: &Setup) -> Result<(), String> {
        let before = self.setup.replace(setup.clone());
        for worker in 0..self.workers.get() {
            if let Err(error) = self.configure(worker, gate) {
                self.setup.replace(before);
                return Err(error);
            }
        }
        Ok(())
    }

    fn check_health(&mut self) {
        self.settle();
        Steps::check_health(self);
    }
}
