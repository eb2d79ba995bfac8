//! A soak: mixed traffic through the whole chain while parts of it fail at random, and an oracle that knows who may pass.
//!
//! What must hold: nobody passes who must not; no request is lost that [`expected`](crate::faults::expected) says is served;
//! memory stays flat; and it ends.

mod client;
mod oracle;
mod visitors;
mod weather;

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::chain::{Chain, Lifetimes, Plan};
use crate::health;
use client::Client;
use oracle::{Answers, Oracle};
use weather::Weather;

/// What a soak came to.
#[derive(Debug)]
pub struct Report {
    seed: u64,
    faults: u32,
    answers: Answers,
    memory: Vec<Memory>,
    complaints: Vec<String>,
}

/// What one process held.
#[derive(Debug)]
struct Memory {
    process: &'static str,
    warm_kib: u64,
    end_kib: u64,
}

/// Runs a soak for so long; starting the parts comes on top. The lookup service is `program`; `seed` decides what fails
/// when, and who asks.
#[must_use]
pub fn run(program: &Path, length: Duration, seed: u64) -> Report {
    let plan = Plan::new(program, "pg-adapter", visitors::USERS).lifetimes(LIFETIMES).replicas(2).workers(2).links();
    let mut chain = plan.start();
    let (oracle, enough) = (Oracle::new(), AtomicBool::new(false));
    oracle.introduce(&chain);
    let (faults, memory) = thread::scope(|scope| {
        for number in 0..CLIENTS {
            let client = Client::new(chain.door(), seed.wrapping_add(number + 1));
            let (oracle, enough) = (&oracle, &enough);
            scope.spawn(move || client.ask(oracle, enough));
        }
        let result = drive(&mut chain, &oracle, length, seed);
        enough.store(true, Ordering::Relaxed);
        result
    });
    let (answers, mut complaints) = oracle.findings();
    complaints.extend(memory.iter().filter_map(Memory::complaint));
    // A trap is counted at the next request.
    assert_eq!(chain.get("/", &[]).status, 401);
    health::check(&chain.envoy);
    Report { seed, faults, answers, memory, complaints }
}

/// Lets parts fail and users be removed, until the time is over.
fn drive(chain: &mut Chain, oracle: &Oracle, length: Duration, seed: u64) -> (u32, Vec<Memory>) {
    let (start, mut weather) = (Instant::now(), Weather::new(seed));
    let (mut warm, mut removal) = (None, start);
    while start.elapsed() < length {
        weather.turn(chain, || oracle.something_fails());
        if !weather.shows() {
            oracle.nothing_fails();
        }
        if weather.has_database() && Instant::now() > removal {
            oracle.remove_next(chain);
            removal = Instant::now() + length / REMOVALS;
        }
        if warm.is_none() && start.elapsed() > length / 4 {
            warm = Some(held(chain));
        }
        thread::sleep(TURN);
    }
    let end = held(chain);
    weather.clear_up(chain);
    let memory = warm.unwrap_or(end).into_iter().zip(end);
    let memory = memory.map(|((process, warm_kib), (_, end_kib))| Memory { process, warm_kib, end_kib }).collect();
    (weather.faults(), memory)
}

/// The first lookup service is killed now and then and begins anew, so it is the second one that tells.
fn held(chain: &Chain) -> [(&'static str, u64); 2] {
    let service = chain.replicas[0].rss_kib().expect("it runs");
    [("Envoy", chain.envoy.rss_kib().expect("it runs")), ("the second lookup service", service)]
}

impl Report {
    /// Whether all that must hold has held.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.complaints.is_empty()
    }
}

impl Memory {
    fn complaint(&self) -> Option<String> {
        let grown = self.end_kib.saturating_sub(self.warm_kib);
        (grown > MOST_GROWTH_KIB).then(|| format!("{} has grown by {grown} KiB", self.process))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "seed {}: {} faults, {} requests", self.seed, self.faults, self.answers.values().sum::<u64>())?;
        for ((kind, status), count) in &self.answers {
            writeln!(out, "{:>12} {status}: {count}", format!("{kind:?}").to_lowercase())?;
        }
        for Memory { process, warm_kib, end_kib } in &self.memory {
            writeln!(out, "{process}: {warm_kib} KiB after a quarter of the time, {end_kib} KiB at the end")?;
        }
        self.complaints.iter().try_for_each(|complaint| writeln!(out, "WRONG: {complaint}"))
    }
}

/// Lookups all the time, and records that outlast the soak.
const LIFETIMES: Lifetimes = Lifetimes { fresh: 2, denied: 1, hard: 86_400 };
const CLIENTS: u64 = 6;
const REMOVALS: u32 = 60;
const TURN: Duration = Duration::from_millis(100);

/// The caches are far from full, and take in a little with every newcomer.
const MOST_GROWTH_KIB: u64 = 24 << 10;
