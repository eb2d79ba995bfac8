//! A fleet: several Envoys as they are shipped, all following one feed, with replicas of the lookup service on one Redis and
//! one Postgres.
//!
//! Envoy's configuration is `envoy/envoy.yaml` with what `docs/CONFIGURATION.md` says for revocations: so that is tested,
//! too. Users sign out by the gate's own path, and an administrator ends sessions at any replica.

mod admin;
mod open;
mod proxy;
pub mod rounds;

pub use admin::{ADMIN_TOKEN, end_session, end_subject};
pub use open::Open;
pub use proxy::Proxy;

use std::collections::BTreeMap;
use std::iter;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use jwe_gate_test_parts::certificates::Certificates;
use jwe_gate_test_parts::postgres::{Database, Postgres};
use jwe_gate_test_parts::redis::Redis;
use jwe_gate_test_parts::scratch::Scratch;
use serde_json::{Value, json};

use crate::chain::{LOOKUP_SECRET, Service, token};
use crate::token::now_ms;

/// What to start.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The lookup service's program.
    pub program: PathBuf,
    /// The field `revocation` of each proxy, beside `ready_path` and `sign_out`.
    pub proxies: Vec<Value>,
    /// How many replicas of the lookup service there are.
    pub replicas: usize,
}

/// Everything but the app, running.
#[derive(Debug)]
pub struct Fleet {
    // Fields drop in order: whoever asks goes before who is asked.
    /// The proxies.
    pub proxies: Vec<Proxy>,
    /// The replicas.
    pub services: Vec<Service>,
    /// Their shared cache.
    pub redis: Redis,
    /// The database server.
    pub postgres: Postgres,
    /// The database.
    pub database: Database,
    _scratch: Scratch,
}

impl Plan {
    /// So many proxies that follow the feed as by default, and two replicas.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>, proxies: usize) -> Self {
        Self { program: program.into(), proxies: vec![json!({}); proxies], replicas: 2 }
    }

    /// Starts everything, with proxies in front of `app`. The users are [`USERS`].
    ///
    /// # Errors
    /// When something does not start.
    pub fn start(&self, app: SocketAddr) -> Result<Fleet> {
        let (postgres, redis, scratch) = (Postgres::start()?, Redis::start()?, Scratch::new()?);
        let database = postgres.database()?;
        let values = USERS.map(|user| format!("('{user}')")).join(",");
        let users = format!("CREATE TABLE users (id text PRIMARY KEY); INSERT INTO users VALUES {values}");
        postgres.run_sql(&database, &users)?;
        let variables = variables(&redis, &database);
        let start = |_| Service::start(&self.program, variables.clone());
        let services = (0..self.replicas).map(start).collect::<Result<Vec<_>>>()?;
        let certificates = Certificates::write(scratch.path())?;
        let replicas: Vec<_> = services.iter().map(Service::address).collect();
        let start = |how: &Value| Proxy::start(app, &replicas, &certificates, how);
        let proxies = self.proxies.iter().map(start).collect::<Result<_>>()?;
        Ok(Fleet { proxies, services, redis, postgres, database, _scratch: scratch })
    }
}

impl Fleet {
    /// Waits until every worker of every proxy admits this session, and sees to it that none refuses it as ended.
    pub fn admit(&self, cookie: &str) {
        for proxy in &self.proxies {
            wait_until("the session to be admitted", || {
                let statuses = proxy.in_a_row(cookie);
                assert!(statuses.iter().all(|status| [200, 503].contains(status)), "{statuses:?}");
                statuses == [200]
            });
        }
    }

    /// Waits until every worker of every proxy refuses this session; returns when it was last admitted, if it was.
    #[must_use]
    pub fn refuse(&self, cookie: &str) -> Option<Instant> {
        let mut last = None;
        wait_until("the session to be refused", || {
            let ask = |proxy: &Proxy| (Instant::now(), proxy.status(cookie));
            let all = self.proxies.iter().flat_map(|proxy| iter::repeat_n(proxy, IN_A_ROW));
            let answers: Vec<_> = all.map(ask).collect();
            last = answers.iter().rfind(|(_, status)| *status == 200).map(|(sent, _)| *sent).or(last);
            answers.iter().all(|(_, status)| *status == 401)
        });
        last
    }

    /// Waits until every proxy knows that all replicas can be reached.
    pub fn is_whole(&self) {
        for proxy in &self.proxies {
            wait_until("the replicas to be found well", || {
                let stats = proxy.envoy().stats().expect("the admin page answers");
                let well = |cluster| stats.get(&format!("cluster.{cluster}.membership_healthy")).copied();
                ["jwe_gate_lookup", "jwe_gate_revocations"].map(well) == [Some(self.services.len() as u64); 2]
            });
        }
    }

    /// How soon after its receipt every proxy applies a revocation, as the service says in a receipt.
    ///
    /// # Errors
    /// When it does not.
    pub fn promised(&self) -> Result<Duration> {
        Ok(Duration::from_millis(end_session(self.services[0].address(), "nobody's")?.promised_delay_ms))
    }
}

/// A Cookie header with the session `sid` of a user, who has signed in a minute ago.
#[must_use]
pub fn session(user: &str, sid: &str) -> String {
    token(user).claim("sid", sid).claim("auth_time", now_ms() / 1000 - 60).pair()
}

/// Waits until it is so, and returns how long that took.
///
/// # Panics
/// When it takes too long.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "waiting for {what}");
        thread::sleep(STEP);
    }
    begun.elapsed()
}

fn variables(redis: &Redis, database: &Database) -> BTreeMap<String, String> {
    let variables = [
        ("JWE_GATE_LOOKUP_SECRET", LOOKUP_SECRET.to_owned()),
        ("DATABASE_URL", database.url()),
        ("REDIS_URL", redis.url()),
        ("USER_TABLE", "users".to_owned()),
        ("USER_ID_FIELD", "id".to_owned()),
        ("REVOCATIONS", "true".to_owned()),
        ("REVOCATION_ADMIN_TOKEN", ADMIN_TOKEN.to_owned()),
    ];
    variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The users of a fleet.
pub const USERS: [&str; 3] = ["alice", "bob", "carol"];
/// So many connections to a proxy, all but surely, are some to each worker.
const IN_A_ROW: usize = 10;
const PATIENCE: Duration = Duration::from_secs(30);
const STEP: Duration = Duration::from_millis(2);
