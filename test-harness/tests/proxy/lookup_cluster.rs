//! The way from the shipped Envoy configuration to the lookup service: replicas that go, and a breaker that opens.

use std::collections::BTreeMap;
use std::path::Path;
use std::thread;

use jwe_gate_test_harness::artefact;
use jwe_gate_test_harness::chain::{AUTH_SECRET, LOOKUP_SECRET, Service, cookie};
use jwe_gate_test_parts::certificates::Certificates;
use jwe_gate_test_parts::envoy::{Envoy, Launch};
use jwe_gate_test_parts::envoy_config::Shipped;
use jwe_gate_test_parts::http::{Connection, Reply, get};
use jwe_gate_test_parts::postgres::{Database, Postgres};
use jwe_gate_test_parts::scratch::Scratch;
use jwe_gate_test_parts::upstream::Upstream;

/// Envoy before two replicas of the lookup service, without Redis: what is asked twice is looked up twice.
struct Proxied {
    // Fields drop in order: whoever asks goes before who is asked.
    envoy: Envoy,
    replicas: Vec<Service>,
    _app: Upstream,
    certificates: Certificates,
    _scratch: Scratch,
    _postgres: Postgres,
}

impl Proxied {
    /// With these changes to the shipped file, each of something that stands there once.
    fn start(replicas: usize, changes: &[(&str, &str)]) -> Self {
        let postgres = Postgres::start().unwrap();
        let database = postgres.schema().unwrap();
        let tables =
            "CREATE TABLE users (id text PRIMARY KEY); INSERT INTO users SELECT generate_series(1, 1000)::text";
        postgres.run_sql(&database, tables).unwrap();
        let replicas: Vec<_> = (0..replicas).map(|_| replica(&database)).collect();
        let (app, scratch) = (Upstream::start().unwrap(), Scratch::new().unwrap());
        let certificates = Certificates::write(scratch.path()).unwrap();
        let shipped = Shipped {
            wasm: &artefact::path(),
            certificates: &certificates,
            app: app.address(),
            lookup: &replicas.iter().map(Service::address).collect::<Vec<_>>(),
            listen: ([127, 0, 0, 1], 0).into(),
            admin: ([127, 0, 0, 1], 0).into(),
        };
        let mut text = shipped.configuration().unwrap();
        for (from, to) in changes {
            assert_eq!(text.matches(from).count(), 1, "{from:?}");
            text = text.replace(from, to);
        }
        let launch = Launch::new(text).env("AUTH_SECRET", AUTH_SECRET).env("JWE_GATE_LOOKUP_SECRET", LOOKUP_SECRET);
        let mut envoy = Envoy::start(&launch).unwrap();
        // Until a host has been checked for the first time it takes no part.
        let count = u64::try_from(replicas.len()).unwrap();
        envoy.wait_until("the replicas to be seen", |stats| stats[HEALTHY] == count).unwrap();
        Self { envoy, replicas, _app: app, certificates, _scratch: scratch, _postgres: postgres }
    }

    fn connect(&self) -> Connection {
        Connection::open_tls(self.envoy.address("https"), &self.certificates.authority).unwrap()
    }

    fn visit(&self, user: u32) -> Reply {
        self.connect().send(visit_of(user)).unwrap()
    }

    fn stat(&self, name: &str) -> u64 {
        self.envoy.stats().unwrap().get(name).copied().unwrap_or(0)
    }
}

fn visit_of(user: u32) -> String {
    get("/", &[("cookie", &cookie(&user.to_string()))])
}

fn replica(database: &Database) -> Service {
    let variables = [("JWE_GATE_LOOKUP_SECRET", LOOKUP_SECRET.to_owned()), ("DATABASE_URL", database.url())];
    let variables: BTreeMap<_, _> = variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Service::start(Path::new(env!("CARGO_BIN_EXE_lookup-service")), variables).unwrap()
}

const HEALTHY: &str = "cluster.jwe_gate_lookup.health_check.healthy";
const RETRIED: &str = "cluster.jwe_gate_lookup.upstream_rq_retry_success";
const REFUSED: &str = "wasmcustom.jwe_gate.callout.refused";

#[test]
fn a_replica_that_is_killed_costs_no_lookup() {
    let mut chain = Proxied::start(2, &[]);
    chain.replicas.first_mut().unwrap().kill();
    // Until Envoy has noticed, every second callout would go to it.
    for user in 1..=40 {
        assert_eq!(chain.visit(user).status, 200, "{user}");
    }
    assert!(chain.stat(RETRIED) > 0);
}

#[test]
fn what_a_replica_was_asked_when_it_was_killed_is_asked_again_elsewhere() {
    let mut chain = Proxied::start(2, &[]);
    let door = (chain.envoy.address("https"), chain.certificates.authority.clone());
    chain.replicas.first().unwrap().pause().unwrap();
    let visits = (1..=10).map(|user| {
        let mut connection = Connection::open_tls(door.0, &door.1).unwrap();
        thread::spawn(move || connection.send(visit_of(user)).unwrap().status)
    });
    let visits: Vec<_> = visits.collect();
    chain.envoy.wait_until("some to hang", |stats| stats["cluster.jwe_gate_lookup.upstream_rq_active"] > 0).unwrap();
    chain.replicas.first_mut().unwrap().kill();
    for visit in visits {
        assert_eq!(visit.join().unwrap(), 200);
    }
    assert!(chain.stat(RETRIED) > 0);
}

#[test]
fn a_replica_that_is_silent_is_left_out_and_comes_back() {
    let mut chain = Proxied::start(2, &[]);
    chain.replicas.first().unwrap().pause().unwrap();
    chain.envoy.wait_until("it to be left out", |stats| stats[HEALTHY] == 1).unwrap();
    for user in 1..=20 {
        assert_eq!(chain.visit(user).status, 200, "{user}");
    }
    chain.replicas.first().unwrap().resume().unwrap();
    chain.envoy.wait_until("it to be back", |stats| stats[HEALTHY] == 2).unwrap();
    for user in 21..=40 {
        assert_eq!(chain.visit(user).status, 200, "{user}");
    }
}

#[test]
fn an_open_breaker_refuses_strangers_at_once_serves_the_known_and_closes_by_itself() {
    let mut chain = Proxied::start(1, &[("max_requests: 1024\n", "max_requests: 1\n")]);
    assert_eq!(chain.visit(1).status, 200);
    chain.replicas.first().unwrap().pause().unwrap();
    let mut waiting = chain.connect();
    waiting.write(visit_of(2).as_bytes()).unwrap();
    chain.envoy.wait_until("it to be asked", |stats| stats["cluster.jwe_gate_lookup.upstream_rq_active"] == 1).unwrap();
    let refused = chain.visit(3);
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert_eq!(chain.visit(1).status, 200);
    chain.envoy.wait_until("the refusal to be counted", |stats| stats.get(REFUSED) > Some(&0)).unwrap();
    chain.replicas.first().unwrap().resume().unwrap();
    let _ = waiting.read().unwrap();
    assert_eq!((chain.visit(3).status, chain.visit(2).status), (200, 200));
}
