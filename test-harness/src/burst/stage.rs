//! The chain for bursts: several gates and lookup services on one Redis and one Postgres that counts and is slow.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use jwe_gate_test_parts::certificates::Certificates;
use jwe_gate_test_parts::envoy::{Envoy, Launch};
use jwe_gate_test_parts::envoy_config::Shipped;
use jwe_gate_test_parts::http::{Connection, get, send};
use jwe_gate_test_parts::postgres::{Database, Postgres};
use jwe_gate_test_parts::redis::Redis;
use jwe_gate_test_parts::scratch::Scratch;

use super::crowd::Crowd;
use crate::artefact;
use crate::chain::{AUTH_SECRET, LOOKUP_SECRET, Service};

/// What to start.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The lookup service's program.
    pub program: PathBuf,
    /// The shipped configuration of Envoy.
    pub file: &'static str,
    /// What to replace in it; each must be there once.
    pub edits: Vec<(&'static str, &'static str)>,
    /// How many Envoys.
    pub gates: usize,
    /// How many workers each of them has.
    pub workers: u32,
    /// How many lookup services.
    pub replicas: usize,
    /// How many users there are; see [`subject`].
    pub users: usize,
    /// How long each query takes longer.
    pub lag: Duration,
}

/// Everything but the app, running.
#[derive(Debug)]
pub struct Stage {
    // Fields drop in order: whoever asks goes before who is asked.
    /// The gates.
    pub gates: Vec<Envoy>,
    services: Vec<Service>,
    redis: Redis,
    /// The database server.
    pub postgres: Postgres,
    /// The database of the users.
    pub database: Database,
    certificates: Certificates,
    scratch: Scratch,
}

/// What Postgres was asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Asked {
    /// Rows of users.
    pub rows: u64,
    /// Different users among them.
    pub users: u64,
    /// Rows of the user who was asked for most often.
    pub most: u64,
    /// Queries.
    pub queries: u64,
}

impl Plan {
    /// One gate with two workers, one lookup service, no lag.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>, file: &'static str, users: usize) -> Self {
        let (edits, lag) = (Vec::new(), Duration::ZERO);
        Self { program: program.into(), file, edits, gates: 1, workers: 2, replicas: 1, users, lag }
    }

    /// With the cache after the gate. A page is stored under the day and not the minute, so that no burst meets the turn; and
    /// lookups may take their time, since they are not what is looked at.
    #[must_use]
    pub fn cached(program: impl Into<PathBuf>, users: usize) -> Self {
        let period = ("%START_TIME(%Y%m%d%H%M)%", "%START_TIME(%Y%m%d)%");
        let edits = vec![period, ("\"timeout_ms\": 1000", "\"timeout_ms\": 10000")];
        Self { edits, ..Self::new(program, "envoy/cached-content.yaml", users) }
    }

    /// With gates that let the app answer those who have no session.
    #[must_use]
    pub fn forwarding(mut self) -> Self {
        let to = r#""routes": [{ "access": "required", "on_unauthenticated": "forward" }]"#;
        self.edits.push((r#""routes": [{ "access": "required" }]"#, to));
        self
    }

    /// Starts everything, with gates in front of `app`.
    ///
    /// # Errors
    /// When something does not start.
    pub fn start(&self, app: SocketAddr) -> Result<Stage> {
        let (postgres, redis, scratch) = (Postgres::start()?, Redis::start()?, Scratch::new()?);
        let database = postgres.database()?;
        postgres.run_sql(&database, &tables(self.users, self.lag))?;
        let certificates = Certificates::write(scratch.path())?;
        let variables = variables(&redis, &database);
        let services: Result<Vec<_>> =
            (0..self.replicas).map(|_| Service::start(&self.program, variables.clone())).collect();
        let mut stage =
            Stage { gates: Vec::new(), services: services?, redis, postgres, database, certificates, scratch };
        for _ in 0..self.gates {
            stage.gates.push(stage.gate(self, app)?);
        }
        Ok(stage)
    }
}

impl Stage {
    /// One more Envoy like the others, with the changes of `plan`.
    pub(super) fn gate(&self, plan: &Plan, app: SocketAddr) -> Result<Envoy> {
        let lookups: Vec<_> = self.services.iter().map(Service::address).collect();
        let shipped = Shipped {
            wasm: &artefact::path(),
            certificates: &self.certificates,
            app,
            lookup: &lookups,
            listen: ([127, 0, 0, 1], 0).into(),
            admin: ([127, 0, 0, 1], 0).into(),
        };
        let mut text = shipped.configuration_of(plan.file)?;
        for (from, to) in &plan.edits {
            ensure!(text.matches(from).count() == 1, "{}: {from:?} should be there once", plan.file);
            text = text.replace(from, to);
        }
        let cache = self.scratch.path().join(format!("cache-{}", self.gates.len()));
        fs::create_dir_all(&cache)?;
        let text = text.replace(CACHE_FOLDER, &cache.display().to_string());
        let launch = Launch::new(text)
            .env("AUTH_SECRET", AUTH_SECRET)
            .env("JWE_GATE_LOOKUP_SECRET", LOOKUP_SECRET)
            .concurrency(plan.workers);
        Envoy::start(&launch)
    }

    /// `size` connections, to each gate in turn.
    ///
    /// # Errors
    /// When they cannot be opened.
    pub fn crowd(&self, size: usize) -> Result<Crowd> {
        let gates: Vec<_> = self.gates.iter().map(|gate| gate.address("https")).collect();
        self.crowd_at(&gates, size)
    }

    /// Where the first lookup service listens.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn lookup(&self) -> SocketAddr {
        self.services.first().expect("a lookup service").address()
    }

    /// The authority to trust at the gates.
    #[must_use]
    pub fn authority(&self) -> &Path {
        &self.certificates.authority
    }

    /// A new connection to the first gate.
    #[must_use]
    pub fn connect(&self) -> Connection {
        let gate = self.gates.first().expect("a gate");
        Connection::open_tls(gate.address("https"), &self.certificates.authority).expect("Envoy listens")
    }

    pub(super) fn crowd_at(&self, gates: &[SocketAddr], size: usize) -> Result<Crowd> {
        Crowd::gather(gates, size, &self.certificates.authority)
    }

    /// A counter of all gates together.
    ///
    /// # Errors
    /// When an admin page does not answer.
    pub fn counter(&self, suffix: &str) -> Result<u64> {
        self.gates.iter().map(|gate| gate.stat(suffix)).sum()
    }

    /// Waits until the gates have counted `requests` decisions in all; they count a little late. What is missing then is
    /// missing.
    ///
    /// # Errors
    /// When an admin page does not answer.
    pub fn await_decisions(&self, requests: u64) -> Result<()> {
        let start = Instant::now();
        let is_decision = |name: &String| name.contains("jwe_gate.decision.");
        loop {
            let stats = self.gates.iter().map(Envoy::stats).collect::<Result<Vec<_>>>()?;
            let decided: u64 =
                stats.iter().flatten().filter(|(name, _)| is_decision(name)).map(|(_, count)| count).sum();
            if decided >= requests || start.elapsed() > SETTLED {
                return Ok(());
            }
            std::thread::sleep(STEP);
        }
    }

    /// The sum of all counters of all lookup services whose line holds each of `parts`.
    pub(super) fn service_counter(&self, parts: &[&str]) -> Result<u64> {
        let mut sum = 0;
        for service in &self.services {
            let page = send(service.address(), get("/metrics", &[("connection", "close")]))?.text();
            let lines =
                page.lines().filter(|line| !line.starts_with('#') && parts.iter().all(|part| line.contains(part)));
            sum += lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum::<u64>();
        }
        Ok(sum)
    }

    /// What Postgres was asked for so far.
    ///
    /// # Errors
    /// When Postgres is not running.
    pub fn asked(&self) -> Result<Asked> {
        let row = self.postgres.run_sql(&self.database, ASKED)?;
        let mut numbers = row.split('|').map(str::parse::<u64>);
        let mut next = || anyhow::Ok(numbers.next().context("four numbers")??);
        Ok(Asked { rows: next()?, users: next()?, most: next()?, queries: next()? })
    }

    /// How many records Redis holds.
    pub(super) fn redis_records(&self) -> Result<u64> {
        Ok(self.redis.command(&["DBSIZE"])?.parse()?)
    }
}

/// The id of user number `number`, from 0; as long as a UUID.
#[must_use]
pub fn subject(number: usize) -> String {
    format!("7d2f1c3a-52b4-4e0f-8a1d-{number:012x}")
}

/// The users as a view that takes its time once for each query, and notes each row that a query gets from it. (The
/// condition on the id is cheaper than the note, so Postgres looks at it first.)
fn tables(users: usize, lag: Duration) -> String {
    let (last, lag) = (users.saturating_sub(1), lag.as_secs_f64());
    format!(
        "CREATE TABLE people (id text PRIMARY KEY);
         INSERT INTO people SELECT '7d2f1c3a-52b4-4e0f-8a1d-' || lpad(to_hex(n), 12, '0') FROM generate_series(0, {last}) n;
         ANALYZE people;
         CREATE TABLE noted (id text NOT NULL);
         CREATE SEQUENCE queries;
         CREATE FUNCTION note(text) RETURNS boolean LANGUAGE plpgsql VOLATILE COST 1000000 AS
           'BEGIN INSERT INTO noted VALUES ($1); RETURN true; END';
         CREATE VIEW users AS
           WITH query AS MATERIALIZED (SELECT pg_sleep({lag}), nextval('queries'))
           SELECT people.id FROM query, people WHERE note(people.id);"
    )
}

fn variables(redis: &Redis, database: &Database) -> BTreeMap<String, String> {
    let variables = [
        ("JWE_GATE_LOOKUP_SECRET", LOOKUP_SECRET.to_owned()),
        ("DATABASE_URL", database.url()),
        ("REDIS_URL", redis.url()),
        // A busy machine is no outage; the gates do not wait longer for it.
        ("POSTGRES_TIMEOUT", "5000".to_owned()),
        ("USER_TABLE", "users".to_owned()),
        ("USER_ID_FIELD", "id".to_owned()),
    ];
    variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

const ASKED: &str = "\
SELECT (SELECT count(*) FROM noted), (SELECT count(DISTINCT id) FROM noted),
       (SELECT coalesce(max(times), 0) FROM (SELECT count(*) AS times FROM noted GROUP BY id) t),
       (SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM queries)";
const CACHE_FOLDER: &str = "/var/cache/jwe-gate";
const SETTLED: Duration = Duration::from_secs(5);
const STEP: Duration = Duration::from_millis(20);
