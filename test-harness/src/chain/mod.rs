//! The whole chain as it is shipped: Envoy with `envoy/envoy.yaml` and TLS, the lookup service, Redis, Postgres, an app.
//!
//! Nothing in it is a stand-in but the app, which tells what it was told. Each part can be taken down while it runs.

mod service;
mod traffic;

pub use service::Service;
pub use traffic::{Seen, Traffic};

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jwe_gate_test_parts::certificates::Certificates;
use jwe_gate_test_parts::envoy::{Envoy, Launch, repository};
use jwe_gate_test_parts::envoy_config::Shipped;
use jwe_gate_test_parts::http::{Connection, Reply, get};
use jwe_gate_test_parts::postgres::{Database, Postgres};
use jwe_gate_test_parts::redis::Redis;
use jwe_gate_test_parts::scratch::Scratch;
use jwe_gate_test_parts::upstream::{Received, Upstream};

use crate::artefact;
use crate::token::Token;

/// The session cookie of the shipped configuration.
pub const COOKIE: &str = "__Secure-authjs.session-token";

/// How to start a chain.
#[derive(Clone, Debug)]
pub struct Plan {
    program: PathBuf,
    preset: &'static str,
    users: String,
    lifetimes: Lifetimes,
}

/// How long verdicts may be used, in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Lifetimes {
    /// Without asking again.
    pub fresh: u32,
    /// So much longer while asking fails.
    pub hard: u32,
}

/// All parts, running.
#[derive(Debug)]
pub struct Chain {
    // Fields drop in order: whoever asks goes before who is asked.
    /// The proxy.
    pub envoy: Envoy,
    /// The lookup service.
    pub service: Service,
    /// The shared cache.
    pub redis: Redis,
    /// The database server.
    pub postgres: Postgres,
    database: Database,
    app: Upstream,
    certificates: Certificates,
    _scratch: Scratch,
}

impl Plan {
    /// The lookup service is `program`; the database has the tables of `preset`, and `users` is the SQL that fills them.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>, preset: &'static str, users: impl Into<String>) -> Self {
        let lifetimes = Lifetimes { fresh: 600, hard: 3600 };
        Self { program: program.into(), preset, users: users.into(), lifetimes }
    }

    /// Changes how long verdicts may be used. Nothing is served stale.
    #[must_use]
    pub fn lifetimes(mut self, lifetimes: Lifetimes) -> Self {
        self.lifetimes = lifetimes;
        self
    }

    /// Starts everything.
    #[must_use]
    pub fn start(&self) -> Chain {
        let postgres = Postgres::start().expect("Postgres starts");
        let redis = Redis::start().expect("Redis starts");
        let database = self.database(&postgres);
        let service = Service::start(&self.program, self.variables(&redis, &database)).expect("the service starts");
        let app = Upstream::start().expect("the app starts");
        let scratch = Scratch::new().expect("a folder of one's own");
        let certificates = Certificates::write(scratch.path()).expect("a folder of one's own");
        let shipped = Shipped {
            wasm: &artefact::path(),
            certificates: &certificates,
            app: app.address(),
            lookup: service.address(),
            listen: ([127, 0, 0, 1], 0).into(),
            admin: ([127, 0, 0, 1], 0).into(),
        };
        let launch = Launch::new(shipped.configuration().expect("the shipped configuration is as expected"))
            .env("AUTH_SECRET", AUTH_SECRET)
            .env("JWE_GATE_LOOKUP_SECRET", LOOKUP_SECRET);
        let envoy = Envoy::start(&launch).expect("Envoy starts");
        Chain { envoy, service, redis, postgres, database, app, certificates, _scratch: scratch }
    }

    fn database(&self, postgres: &Postgres) -> Database {
        let tables = tables(self.preset);
        let tables = fs::read_to_string(&tables).unwrap_or_else(|error| panic!("{}: {error}", tables.display()));
        let database = postgres.database().expect("Postgres runs");
        postgres.run_sql(&database, &tables).expect("the adapter's own tables");
        postgres.run_sql(&database, &self.users).expect("users that fit the tables");
        database
    }

    fn variables(&self, redis: &Redis, database: &Database) -> BTreeMap<String, String> {
        let variables = [
            ("JWE_GATE_LOOKUP_SECRET", LOOKUP_SECRET.to_owned()),
            ("DATABASE_URL", database.url()),
            ("REDIS_URL", redis.url()),
            ("SCHEMA", self.preset.to_owned()),
            ("REDIS_CACHE_TTL", self.lifetimes.fresh.to_string()),
            ("NEGATIVE_CACHE_TTL", self.lifetimes.fresh.to_string()),
            ("CACHE_STALE_SECONDS", "0".to_owned()),
            ("CACHE_HARD_SECONDS", self.lifetimes.hard.to_string()),
        ];
        variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

impl Chain {
    /// A new connection to the gate.
    #[must_use]
    pub fn connect(&self) -> Connection {
        Connection::open_tls(self.envoy.address("https"), &self.certificates.authority).expect("Envoy listens")
    }

    /// The answer to `GET` of `path` with these header lines, over a connection of its own.
    #[must_use]
    pub fn get(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        self.connect().send(get(path, headers)).expect("Envoy answers")
    }

    /// What the gate does with a request of the user `subject`.
    #[must_use]
    pub fn visit(&self, subject: &str) -> Seen {
        let cookie = cookie(subject);
        Seen::of(subject, &self.get("/", &[("cookie", &cookie)]))
    }

    /// Lets `subject` visit again and again until the gate answers `status`, and returns what it answered before.
    ///
    /// # Panics
    /// When that takes too long.
    #[must_use]
    pub fn visit_until(&self, subject: &str, status: u16) -> Vec<Seen> {
        let (start, mut before) = (Instant::now(), Vec::new());
        loop {
            let seen = self.visit(subject);
            if seen.status == status {
                return before;
            }
            assert!(start.elapsed() < PATIENCE, "waited for {status}: {:?}\n{}", before.last(), self.service.log());
            before.push(seen);
            std::thread::sleep(STEP);
        }
    }

    /// Lets the users visit over a connection of their own, one after the other and again and again.
    #[must_use]
    pub fn traffic(&self, subjects: &[&str]) -> Traffic {
        Traffic::start(self.connect(), subjects)
    }

    /// Runs statements in the database.
    pub fn sql(&self, statements: &str) {
        self.postgres.run_sql(&self.database, statements).expect("the statements fit");
    }

    /// How many requests have reached the app.
    #[must_use]
    pub fn app_requests(&self) -> u64 {
        self.app.requests()
    }
}

/// A Cookie header with a session of `subject`.
#[must_use]
pub fn cookie(subject: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    let now_ms = u64::try_from(now.as_millis()).expect("a clock before the year 500,000,000");
    let token = Token::of(subject, now_ms).cookie(COOKIE).secret(AUTH_SECRET).mint();
    format!("theme=dark; {COOKIE}={token}")
}

/// What the app was told, if it was asked.
fn told(reply: &Reply) -> Option<Vec<String>> {
    let received = Received::from_reply(reply).ok()?;
    Some(received.all("x-user-id").into_iter().map(str::to_owned).collect())
}

fn tables(preset: &str) -> PathBuf {
    let file = if preset == "better-auth" { preset.to_owned() } else { format!("authjs-{preset}") };
    Path::new(&repository()).join("test-harness/vectors/schemas").join(file).with_extension("sql")
}

/// The secret of the app's sessions.
pub const AUTH_SECRET: &str = "the secret of the app behind the chain";
/// The secret of gate and lookup service.
pub const LOOKUP_SECRET: &str = "the secret of gate and lookup service";
const PATIENCE: Duration = Duration::from_secs(30);
const STEP: Duration = Duration::from_millis(50);
