//! Random orders of what can happen to workers that wait for each other's lookups, on the core alone and on the artefact.
//!
//! Whatever happens: each request is decided once, and after a while it is; nobody is admitted of whom the lookup service
//! has not said so; about each user there is one callout under way at most; nothing is left behind. A failing order is made
//! as short as possible and printed as a list of [`Step`]s; `PROPTEST_CASES` sets how many are tried.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use jwe_gate_test_harness::driver::{self, Outcome, Sent};
use jwe_gate_test_harness::steps::Steps;
use jwe_gate_test_harness::{FakeLookup, Mood, Request, Setup, Token};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

const USERS: [&str; 3] = ["alice", "bob", "carol"];
const WORKERS: usize = 3;

/// Something that happens. Numbers choose among what there is, modulo how much there is.
#[derive(Clone, Debug)]
enum Step {
    Request { worker: usize, user: usize, age_seconds: u64 },
    Leave(usize),
    Deliver,
    LoseWakeups,
    Answer { nth: usize, mood: Mood },
    NeverAnswer(usize),
    Join(usize),
    Part(usize),
    Pass(u64),
    Kill(usize),
    Add,
    Interrupt { after: usize, by: Box<Step> },
}

fn moods() -> impl Strategy<Value = Mood> {
    use Mood::{Confused, Forger, Honest, Mistaken, Newer, Replayer, Unable, Unreachable, Unsigned, Website};
    let bad = vec![Unable, Unreachable, Unsigned, Forger, Replayer, Mistaken, Confused, Website, Newer];
    prop_oneof![2 => Just(Honest), 1 => prop::sample::select(bad)]
}

fn simple_steps() -> impl Strategy<Value = Step> {
    let any = 0_usize..64;
    prop_oneof![
        8 => (any.clone(), any.clone(), 0_u64..4)
            .prop_map(|(worker, user, age_seconds)| Step::Request { worker, user, age_seconds }),
        2 => any.clone().prop_map(Step::Leave),
        8 => Just(Step::Deliver),
        1 => Just(Step::LoseWakeups),
        6 => (any.clone(), moods()).prop_map(|(nth, mood)| Step::Answer { nth, mood }),
        1 => any.clone().prop_map(Step::NeverAnswer),
        1 => any.clone().prop_map(Step::Join),
        1 => any.clone().prop_map(Step::Part),
        4 => prop_oneof![Just(50), Just(100), Just(300), Just(2_000)].prop_map(Step::Pass),
        1 => any.prop_map(Step::Kill),
        1 => Just(Step::Add),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // A worker that stands still for longer than it may be silent is rightly taken for dead, and two ask.
    let is_short = |step: &Step| !matches!(step, Step::Pass(1_000..));
    let interruption = simple_steps().prop_filter("short", is_short);
    let interrupt = (0_usize..4, interruption).prop_map(|(after, by)| Step::Interrupt { after, by: Box::new(by) });
    prop::collection::vec(prop_oneof![5 => simple_steps(), 1 => interrupt], 1..60)
}

/// A proxy, and what is known of what happened to it.
struct Run {
    steps: Rc<dyn Steps>,
    lookup: FakeLookup,
    requests: RefCell<Vec<Followed>>,
    users: RefCell<BTreeSet<&'static str>>,
    /// Of whom the service has said that they are known.
    vouched_for: RefCell<BTreeSet<String>>,
}

/// A request, and what was last seen of it.
#[derive(Debug)]
struct Followed {
    sent: Sent,
    user: &'static str,
    outcome: Outcome,
}

type Start = fn(&Setup, FakeLookup) -> Rc<dyn Steps>;

impl Run {
    fn new(start: Start) -> Rc<Self> {
        let setup = Setup::default().workers(WORKERS).with("/lookup/timeout_ms", 1_000).with("/cache/l1_records", 16);
        let lookup = FakeLookup::default();
        lookup.limits(500, 1_500, 5_000);
        Rc::new(Self {
            steps: start(&setup, lookup.clone()),
            lookup,
            requests: RefCell::default(),
            users: RefCell::default(),
            vouched_for: RefCell::default(),
        })
    }

    fn take(self: &Rc<Self>, step: &Step) {
        match step {
            Step::Request { worker, user, age_seconds } => {
                self.request(*worker, USERS[user % USERS.len()], *age_seconds);
            }
            Step::Leave(nth) => {
                let waiting = self.requests.borrow().iter().map(|request| request.sent).collect::<Vec<_>>();
                let waiting = waiting.into_iter().filter(|sent| self.steps.look(*sent) == Outcome::Waiting);
                let waiting: Vec<_> = waiting.collect();
                if let Some(sent) = waiting.get(nth % waiting.len().max(1)) {
                    self.steps.abandon(*sent);
                }
            }
            Step::Deliver => drop(self.steps.deliver()),
            Step::LoseWakeups => self.steps.lose_wakeups(),
            Step::Answer { nth, mood } => self.answer(*nth, *mood),
            Step::NeverAnswer(nth) => self.steps.never_answer(nth % self.steps.callouts().len().max(1)),
            Step::Join(user) => {
                self.lookup.add(USERS[user % USERS.len()]);
                self.users.borrow_mut().insert(USERS[user % USERS.len()]);
            }
            Step::Part(user) => {
                self.lookup.remove(USERS[user % USERS.len()]);
                self.users.borrow_mut().remove(USERS[user % USERS.len()]);
            }
            Step::Pass(ms) => self.steps.pass(*ms),
            Step::Kill(worker) => self.steps.kill(worker % self.steps.workers()),
            Step::Add if self.steps.workers() < 2 * WORKERS => self.steps.add(),
            Step::Add => {}
            Step::Interrupt { after, by } => {
                let (run, by) = (self.clone(), by.clone());
                self.steps.interrupt(*after, Box::new(move || run.take(&by)));
            }
        }
    }

    fn request(&self, worker: usize, user: &'static str, age_seconds: u64) {
        let now = self.steps.now_ms();
        let token = Token::of(user, now).claim("iat", now / 1000 - age_seconds);
        let request = Request::with_cookies(&token.pair()).worker(worker % self.steps.workers());
        if let Some(sent) = self.steps.send(&request) {
            self.requests.borrow_mut().push(Followed { sent, user, outcome: Outcome::Waiting });
        }
    }

    fn answer(&self, nth: usize, mood: Mood) {
        let callouts = self.steps.callouts();
        let Some(subjects) = callouts.get(nth % callouts.len().max(1)) else { return };
        // The first answer of all may be played back as long as it is the first.
        if matches!(mood, Mood::Honest | Mood::Replayer) {
            let users = self.users.borrow();
            let known = subjects.iter().filter(|subject| users.contains(subject.as_str())).cloned();
            self.vouched_for.borrow_mut().extend(known);
        }
        self.lookup.as_of(self.steps.now_ms());
        self.lookup.mood(mood);
        self.steps.answer(nth % callouts.len());
    }

    fn check(&self) {
        for request in self.requests.borrow_mut().iter_mut() {
            let outcome = self.steps.look(request.sent);
            if request.outcome != Outcome::Waiting {
                // A request whose reply is done may be over by now.
                assert!(outcome == request.outcome || outcome == Outcome::Closed, "{outcome:?}");
                continue;
            }
            if let Outcome::Forwarded(headers) = &outcome {
                assert!(headers.contains(&("x-user-id".into(), request.user.into())), "{headers:?}");
                assert!(self.vouched_for.borrow().contains(request.user), "{} was admitted", request.user);
            }
            request.outcome = outcome;
        }
        if self.superfluous() > self.unannounced() {
            // The artefact tells what it has counted on ticks.
            self.steps.pass(100);
            assert!(self.superfluous() <= self.unannounced(), "{:?}", self.steps.callouts());
        }
    }

    /// How many callouts are under way about somebody whom another one is about.
    fn superfluous(&self) -> u64 {
        let mut callouts: BTreeMap<String, u64> = BTreeMap::new();
        for subject in self.steps.callouts().into_iter().flatten() {
            *callouts.entry(subject).or_default() += 1;
        }
        callouts.values().map(|count| count - 1).sum()
    }

    /// How many lookups went their own way, having followed others in vain or found no room.
    fn unannounced(&self) -> u64 {
        self.steps.counters().get("jwe_gate.together.unannounced").copied().unwrap_or_default()
    }

    /// Lets everything come to its end.
    fn finish(self: &Rc<Self>) {
        // Nobody follows more often than three times, and no lookup takes longer than three seconds.
        for _ in 0..100 {
            self.steps.pass(100);
            while self.steps.deliver() {}
            while !self.steps.callouts().is_empty() {
                self.answer(0, Mood::Honest);
            }
            self.check();
            if !self.requests.borrow().iter().any(|request| request.outcome == Outcome::Waiting) {
                return self.steps.check_health();
            }
        }
        panic!("somebody still waits: {:?}", self.requests.borrow());
    }
}

fn play(start: Start, steps: &[Step]) {
    let run = Run::new(start);
    for step in steps {
        run.take(step);
        run.check();
    }
    run.finish();
}

fn explore(start: Start, cases: u32) {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(cases);
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 20_000, ..Config::default() };
    let explored = TestRunner::new(config).run(&steps(), |steps| {
        play(start, &steps);
        Ok(())
    });
    if let Err(error) = explored {
        panic!("{error}");
    }
}

#[test]
fn whatever_the_order_the_core_decides_each_request_once_and_asks_once() {
    explore(driver::core::start_steps, 1_000);
}

#[test]
fn whatever_the_order_the_artefact_decides_each_request_once_and_asks_once() {
    explore(driver::wasm::start_steps, 100);
}
