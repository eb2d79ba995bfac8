//! The whole chain as it is shipped: Envoy with `envoy/envoy.yaml` and TLS, the lookup service, Redis, Postgres, an app.
//!
//! Nothing in it is a stand-in but the app, which tells what it was told. Each part can be taken down while it runs.

mod cache;
mod links;
mod service;
mod traffic;

pub use cache::Cache;
pub use links::Links;
pub use service::Service;
pub use traffic::{Seen, Traffic};

use std::collections::BTreeMap;
use std::fs;
use std::iter;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jwe_gate_test_parts::certificates::Certificates;
use jwe_gate_test_parts::envoy::{Envoy, Launch, repository};
use jwe_gate_test_parts::envoy_config::Shipped;
use jwe_gate_test_parts::fault_proxy::FaultProxy;
use jwe_gate_test_parts::http::{Connection, Reply, get};
use jwe_gate_test_parts::postgres::{Database, Postgres};
use jwe_gate_test_parts::scratch::Scratch;
use jwe_gate_test_parts::upstream::{Received, Upstream};

use crate::artefact;
use crate::token::{Token, now_ms};

/// The session cookie of the shipped configuration.
pub const COOKIE: &str = "__Secure-authjs.session-token";

/// How to start a chain.
#[derive(Clone, Debug)]
pub struct Plan {
    program: PathBuf,
    preset: &'static str,
    users: String,
    lifetimes: Lifetimes,
    replicas: usize,
    workers: u32,
    links: bool,
    cluster: bool,
}

/// How long verdicts may be used, in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Lifetimes {
    /// A known user's, without asking again.
    pub fresh: u32,
    /// A denial, without asking again.
    pub denied: u32,
    /// So much longer while asking fails.
    pub hard: u32,
}

/// All parts, running.
#[derive(Debug)]
pub struct Chain {
    // Fields drop in order: whoever asks goes before who is asked.
    /// The proxy.
    pub envoy: Envoy,
    /// The lookup service; the first of its replicas.
    pub service: Service,
    /// The other replicas.
    pub replicas: Vec<Service>,
    /// The shared cache.
    pub redis: Cache,
    /// The database server.
    pub postgres: Postgres,
    /// The ways to Redis, to Postgres and to the first lookup service.
    pub links: Links,
    database: Database,
    users: String,
    app: Upstream,
    certificates: Certificates,
    _scratch: Scratch,
}

/// Where clients get in, and whom they trust.
#[derive(Clone, Debug)]
pub struct Door {
    address: SocketAddr,
    authority: PathBuf,
}

impl Plan {
    /// The lookup service is `program`; the database has the tables of `preset`, and `users` is the SQL that fills them.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>, preset: &'static str, users: impl Into<String>) -> Self {
        let lifetimes = Lifetimes { fresh: 600, denied: 600, hard: 3600 };
        let (program, users) = (program.into(), users.into());
        Self { program, preset, users, lifetimes, replicas: 1, workers: 1, links: false, cluster: false }
    }

    /// Changes how long verdicts may be used. Nothing is served stale.
    #[must_use]
    pub fn lifetimes(mut self, lifetimes: Lifetimes) -> Self {
        self.lifetimes = lifetimes;
        self
    }

    /// So many replicas of the lookup service, on one Redis and one database.
    #[must_use]
    pub fn replicas(mut self, replicas: usize) -> Self {
        self.replicas = replicas;
        self
    }

    /// So many workers of Envoy.
    #[must_use]
    pub fn workers(mut self, workers: u32) -> Self {
        self.workers = workers;
        self
    }

    /// Lets others ask Redis, Postgres and the first lookup service through [`Chain::links`].
    #[must_use]
    pub fn links(mut self) -> Self {
        self.links = true;
        self
    }

    /// A Redis Cluster in place of one server.
    #[must_use]
    pub fn cluster(mut self) -> Self {
        self.cluster = true;
        self
    }

    /// Starts everything.
    #[must_use]
    pub fn start(&self) -> Chain {
        let postgres = Postgres::start().expect("Postgres starts");
        let redis = Cache::start(self.cluster).expect("Redis starts");
        let database = self.database(&postgres);
        let (to_redis, redis_at) = self.link(redis.node().address());
        let (to_postgres, postgres_at) = self.link(postgres.address());
        if self.links {
            redis.announce(&to_redis).expect("a cluster that is well");
        }
        let variables = self.variables(redis.variable(redis_at), &database.at(postgres_at));
        let start = || Service::start(&self.program, variables.clone()).expect("the service starts");
        let (service, replicas) = (start(), (1..self.replicas).map(|_| start()).collect::<Vec<_>>());
        let (to_service, service_at) = self.link(service.address());
        let lookup: Vec<_> = iter::once(service_at).chain(replicas.iter().map(Service::address)).collect();
        let app = Upstream::start().expect("the app starts");
        let scratch = Scratch::new().expect("a folder of one's own");
        let certificates = Certificates::write(scratch.path()).expect("a folder of one's own");
        let envoy = self.envoy(&app, &lookup, &certificates);
        let links = Links { redis: to_redis, postgres: to_postgres, service: to_service };
        let users = self.users.clone();
        Chain {
            envoy,
            service,
            replicas,
            redis,
            postgres,
            links,
            database,
            users,
            app,
            certificates,
            _scratch: scratch,
        }
    }

    /// A proxy before a server, and where clients are to look for that.
    fn link(&self, server: SocketAddr) -> (FaultProxy, SocketAddr) {
        let proxy = FaultProxy::start(server).expect("a free port");
        let at = if self.links { proxy.address() } else { server };
        (proxy, at)
    }

    fn envoy(&self, app: &Upstream, lookup: &[SocketAddr], certificates: &Certificates) -> Envoy {
        let shipped = Shipped {
            wasm: &artefact::path(),
            certificates,
            app: app.address(),
            lookup,
            listen: ([127, 0, 0, 1], 0).into(),
            admin: ([127, 0, 0, 1], 0).into(),
        };
        let launch = Launch::new(shipped.configuration().expect("the shipped configuration is as expected"))
            .env("AUTH_SECRET", AUTH_SECRET)
            .env("JWE_GATE_LOOKUP_SECRET", LOOKUP_SECRET)
            .concurrency(self.workers);
        Envoy::start(&launch).expect("Envoy starts")
    }

    fn database(&self, postgres: &Postgres) -> Database {
        let tables = tables(self.preset);
        let tables = fs::read_to_string(&tables).unwrap_or_else(|error| panic!("{}: {error}", tables.display()));
        let database = postgres.database().expect("Postgres runs");
        postgres.run_sql(&database, &tables).expect("the adapter's own tables");
        postgres.run_sql(&database, &self.users).expect("users that fit the tables");
        database
    }

    fn variables(&self, redis: (&'static str, String), database: &Database) -> BTreeMap<String, String> {
        let variables = [
            ("JWE_GATE_LOOKUP_SECRET", LOOKUP_SECRET.to_owned()),
            ("DATABASE_URL", database.url()),
            redis,
            ("SCHEMA", self.preset.to_owned()),
            ("REDIS_CACHE_TTL", self.lifetimes.fresh.to_string()),
            ("NEGATIVE_CACHE_TTL", self.lifetimes.denied.to_string()),
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
        self.door().connect()
    }

    /// The way in, for whoever uses the chain while somebody else takes parts of it down.
    #[must_use]
    pub fn door(&self) -> Door {
        Door { address: self.envoy.address("https"), authority: self.certificates.authority.clone() }
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

    /// Puts the users of the plan into an empty table.
    pub fn add_users(&self) {
        self.sql(&self.users);
    }

    /// How many requests have reached the app.
    #[must_use]
    pub fn app_requests(&self) -> u64 {
        self.app.requests()
    }
}

impl Door {
    /// A new connection to the gate.
    ///
    /// # Panics
    /// When Envoy is gone.
    #[must_use]
    pub fn connect(&self) -> Connection {
        Connection::open_tls(self.address, &self.authority).expect("Envoy listens")
    }
}

/// A Cookie header with a session of `subject`.
#[must_use]
pub fn cookie(subject: &str) -> String {
    format!("theme=dark; {COOKIE}={}", token(subject).mint())
}

/// A session of `subject`, to be changed before it is minted.
pub(crate) fn token(subject: &str) -> Token {
    Token::of(subject, now_ms()).cookie(COOKIE).secret(AUTH_SECRET)
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
