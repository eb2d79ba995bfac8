//! A steady load that does not wait for anybody: each request has its time, and what comes late counts as late.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use jwe_gate_test_parts::http::{Connection, Reply};
use jwe_gate_test_parts::upstream::Received;

/// Requests of known users, until [`Load::stop`].
pub(crate) struct Load {
    enough: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Sent>>,
    begun: Instant,
}

/// What came of them.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    /// How long each one took, from the time when it was due.
    pub(crate) latencies: Vec<Duration>,
    /// What was not as it should be.
    pub(crate) failures: Vec<String>,
    /// From the first to the last.
    pub(crate) took: Duration,
}

/// A request, and whom the application must be told of.
pub(crate) type Visit = (String, String);

impl Load {
    /// Starts it: `rate` requests a second over `connections`, the visits in turn.
    pub(crate) fn start(address: SocketAddr, rate: u32, connections: u32, visits: &Arc<Vec<Visit>>) -> Self {
        let (enough, begun) = (Arc::new(AtomicBool::new(false)), Instant::now());
        let thread = |number: u32| {
            let (enough, visits) = (Arc::clone(&enough), Arc::clone(visits));
            let due = begun + Duration::from_secs(1) * number / rate;
            let period = Duration::from_secs(1) * connections / rate;
            let first = usize::try_from(number).expect("few connections");
            thread::spawn(move || send(address, due, period, &enough, visits.iter().cycle().skip(first)))
        };
        let threads = (0..connections).map(thread).collect();
        Self { enough, threads, begun }
    }

    /// Ends it, once every request that was due has been answered.
    pub(crate) fn stop(self) -> Sent {
        self.enough.store(true, Ordering::Relaxed);
        let mut all = Sent::default();
        for thread in self.threads {
            let sent = thread.join().expect("a thread that notes what goes wrong");
            all.latencies.extend(sent.latencies);
            all.failures.extend(sent.failures);
        }
        all.took = self.begun.elapsed();
        all.latencies.sort_unstable();
        all
    }
}

impl Sent {
    /// The latency that this many of a thousand do not exceed.
    pub(crate) fn at(&self, thousandth: usize) -> Duration {
        let index = (self.latencies.len() * thousandth / 1000).min(self.latencies.len().saturating_sub(1));
        self.latencies.get(index).copied().unwrap_or_default()
    }
}

fn send<'a>(
    address: SocketAddr,
    mut due: Instant,
    period: Duration,
    enough: &AtomicBool,
    mut visits: impl Iterator<Item = &'a Visit>,
) -> Sent {
    let mut sent = Sent::default();
    let mut connection = Connection::open(address).expect("Envoy listens");
    while !enough.load(Ordering::Relaxed) || due <= Instant::now() {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let (request, user) = visits.next().expect("visits without end");
        match connection.send(request) {
            Ok(reply) if is_admitted(&reply, user) => sent.latencies.push(due.elapsed()),
            Ok(reply) => sent.failures.push(format!("{user}: {}", reply.status)),
            Err(error) => {
                sent.failures.push(format!("{user}: {error:#}"));
                let Ok(new) = Connection::open(address) else { return sent };
                connection = new;
            }
        }
        due += period;
    }
    sent
}

/// Whether the application got it, and was told of this user and nobody else.
pub(crate) fn is_admitted(reply: &Reply, user: &str) -> bool {
    reply.status == 200 && Received::from_reply(reply).is_ok_and(|received| received.all("x-user-id") == [user])
}
