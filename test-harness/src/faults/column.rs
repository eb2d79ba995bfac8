//! All faults of one part, one after the other, in a chain of its own; and users in every state who ask meanwhile.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{Fault, Outcome, Part, State, expected, make};
use crate::chain::{Chain, Lifetimes, Plan, Seen};
use crate::health;

/// What was seen of one fault.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Row {
    /// What failed.
    pub part: Part,
    /// How.
    pub fault: Fault,
    /// What users got, in the order of [`State::ALL`].
    pub outcomes: [Outcome; 4],
}

/// Lets `part` fail in every way. The lookup service is `program`.
///
/// # Panics
/// When an answer is wrong in itself: somebody is admitted who must not be, or is told of under another's name, or
/// is refused without a reason.
#[must_use]
pub fn run(program: &Path, part: Part) -> Vec<Row> {
    let mut stage = Stage::start(program, part);
    let prepared = stage.prepare();
    Fault::ALL.iter().zip(prepared).map(|(fault, users)| stage.row(*fault, &users)).collect()
}

struct Stage {
    part: Part,
    chain: Chain,
    newcomers: AtomicU32,
    strangers: AtomicU32,
}

/// Users who were asked about long before the fault begins.
struct Prepared {
    stale: String,
    removed: String,
}

impl Stage {
    fn start(program: &Path, part: Part) -> Self {
        let plan = Plan::new(program, "pg-adapter", USERS).lifetimes(LIFETIMES).replicas(2).links();
        let plan = if part == Part::ClusterNode { plan.cluster() } else { plan };
        Self { part, chain: plan.start(), newcomers: AtomicU32::new(1), strangers: AtomicU32::new(FIRST_STRANGER) }
    }

    /// A pair of users for each fault, whose records are past their time by then.
    fn prepare(&self) -> Vec<Prepared> {
        self.chain
            .sql(&format!("INSERT INTO users (id) SELECT * FROM generate_series({FIRST_REMOVED}, {LAST_REMOVED})"));
        let removed = (FIRST_REMOVED..=LAST_REMOVED).map(|id| id.to_string());
        let pairs = removed.map(|removed| Prepared { stale: self.newcomer(), removed });
        let prepared: Vec<_> = pairs.take(Fault::ALL.len()).collect();
        for Prepared { stale, removed } in &prepared {
            assert!(self.chain.visit(stale).is_admitted());
            assert!(self.chain.visit(removed).is_admitted());
        }
        self.chain.sql(&format!("DELETE FROM users WHERE id >= {FIRST_REMOVED}"));
        for Prepared { removed, .. } in &prepared {
            assert!(self.chain.visit_until(removed, 403).iter().all(Seen::is_admitted));
        }
        // The refusals are the youngest records: once they are due, all are.
        thread::sleep(Duration::from_secs(LIFETIMES.denied.into()));
        prepared
    }

    fn row(&mut self, fault: Fault, users: &Prepared) -> Row {
        let known = self.newcomer();
        assert!(self.chain.visit(&known).is_admitted(), "before the fault");
        make::fail(&mut self.chain, self.part, fault).expect("it can fail");
        let [known, unknown] = self.ask_of_known_and_unknown(&known);
        let [stale, removed] = self.ask_again([&users.stale, &users.removed]);
        let told = [known, unknown, stale, removed];
        if expected(self.part, fault, State::Unknown) == Outcome::Wavering {
            self.until_newcomers_are_served();
        }
        make::mend(&mut self.chain, self.part, fault).expect("it starts again");
        self.recover(users);
        eprintln!("{} {}: slowest answers {:?}", self.part.name(), fault.name(), told.each_ref().map(Told::slowest));
        Row { part: self.part, fault, outcomes: told.map(|told| told.outcome()) }
    }

    /// Two users who were never asked about in a row, so that both replicas are; and two who do not even exist. A known
    /// one in between.
    fn ask_of_known_and_unknown(&self, known: &str) -> [Told; 2] {
        let (mut of_known, mut of_unknown) = (Told::default(), Told::default());
        for _ in 0..2 {
            of_unknown.hear(|| self.chain.visit(&self.newcomer()));
            of_known.hear(|| self.chain.visit(known));
        }
        for _ in 0..2 {
            let seen = self.chain.visit(&self.stranger());
            assert!(is_refused(&seen) || is_put_off(&seen), "a user who does not exist: {seen:?}");
            of_known.hear(|| self.chain.visit(known));
        }
        [of_known, of_unknown]
    }

    /// Each of them several times, at the same time.
    fn ask_again<const N: usize>(&self, users: [&str; N]) -> [Told; N] {
        thread::scope(|scope| {
            let asking = users.map(|user| {
                scope.spawn(move || {
                    let mut told = Told::default();
                    for _ in 0..TIMES {
                        told.hear(|| self.chain.visit(user));
                        thread::sleep(STEP);
                    }
                    told
                })
            });
            asking.map(|thread| thread.join().expect("every visit was answered"))
        })
    }

    /// Nobody is needed for an answer any more who does not give one.
    fn until_newcomers_are_served(&self) {
        let (start, mut in_a_row) = (Instant::now(), 0);
        while in_a_row < ENOUGH_IN_A_ROW {
            let seen = self.chain.visit(&self.newcomer());
            assert!(seen.is_admitted() || is_put_off(&seen), "{seen:?}");
            assert!(start.elapsed() < PATIENCE, "{seen:?}\n{}", self.chain.service.log());
            in_a_row = if seen.is_admitted() { in_a_row + 1 } else { 0 };
            thread::sleep(STEP);
        }
        assert!(is_refused(&self.chain.visit(&self.stranger())));
    }

    /// Everything is as before, without a hand being laid on it.
    fn recover(&self, users: &Prepared) {
        self.until_newcomers_are_served();
        for replica in [self.chain.links.service.address(), self.chain.replicas[0].address()] {
            self.until_newcomers_move("both replicas are asked", || self.answers_of(replica));
        }
        self.until_newcomers_move("Redis is used", || {
            self.chain.redis.node().command(&["DBSIZE"]).expect("Redis runs")
        });
        assert!(is_refused(&self.chain.visit(&users.removed)), "after the fault");
        health::check(&self.chain.envoy);
    }

    /// New users are served until a figure is another.
    fn until_newcomers_move(&self, what: &str, figure: impl Fn() -> String) {
        let (start, before) = (Instant::now(), figure());
        while figure() == before {
            assert!(start.elapsed() < PATIENCE, "waited until {what}\n{}", self.chain.service.log());
            assert!(self.chain.visit(&self.newcomer()).is_admitted());
            thread::sleep(STEP);
        }
    }

    /// How many lookups Envoy has had answered by this replica.
    fn answers_of(&self, replica: SocketAddr) -> String {
        let page = self.chain.envoy.admin("/clusters").expect("the admin page answers");
        let line = format!("jwe_gate_lookup::{replica}::rq_success::");
        let count = page.lines().find_map(|it| it.strip_prefix(&line));
        count.expect("Envoy counts for each host").to_owned()
    }

    /// Somebody who is in the database and was never asked about.
    fn newcomer(&self) -> String {
        self.newcomers.fetch_add(1, Ordering::Relaxed).to_string()
    }

    /// Somebody who was never in the database.
    fn stranger(&self) -> String {
        self.strangers.fetch_add(1, Ordering::Relaxed).to_string()
    }
}

/// What the visits of one user, or of several in the same state, came to.
#[derive(Debug, Default)]
struct Told {
    seen: Vec<Seen>,
    slowest: Duration,
}

impl Told {
    fn hear(&mut self, visit: impl FnOnce() -> Seen) {
        let start = Instant::now();
        self.seen.push(visit());
        self.slowest = self.slowest.max(start.elapsed());
    }

    fn slowest(&self) -> Duration {
        self.slowest
    }

    fn outcome(&self) -> Outcome {
        let all = |is_so: fn(&Seen) -> bool| self.seen.iter().all(is_so);
        match () {
            () if all(Seen::is_admitted) => Outcome::Served,
            () if all(is_refused) => Outcome::Refused,
            () if all(is_put_off) => Outcome::Unavailable,
            () if all(|seen| seen.is_admitted() || is_put_off(seen)) => Outcome::Wavering,
            () => panic!("answers that do not go together: {:?}", self.seen),
        }
    }
}

fn is_refused(seen: &Seen) -> bool {
    seen.status == 403 && seen.is_kept_out()
}

/// Told to come again, and the app has heard nothing of it.
fn is_put_off(seen: &Seen) -> bool {
    seen.status == 503 && seen.is_kept_out() && seen.retry_after.is_some()
}

const USERS: &str = "INSERT INTO users (id) SELECT * FROM generate_series(1, 9999)";
const FIRST_REMOVED: u32 = 100_001;
const LAST_REMOVED: u32 = 100_010;
const FIRST_STRANGER: u32 = 200_001;

/// A known user must stay known while the first visits of a fault are waited for, and no longer than a test has patience.
const LIFETIMES: Lifetimes = Lifetimes { fresh: 10, denied: 1, hard: 3600 };
const TIMES: usize = 3;
const STEP: Duration = Duration::from_millis(200);
const ENOUGH_IN_A_ROW: usize = 4;
const PATIENCE: Duration = Duration::from_secs(30);
