//! Servers, schemas and questions for the tests.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::response::Response;
use axum::{Router, body};
use futures_util::future::join_all;
use jwe_gate_contract::{
    Kind, LOOKUP_PATH, LookupAnswer, LookupQuestion, LookupSecret, MAC_HEADER, Outcome, Question, Reason, VERSION,
};
use jwe_gate_lookup::cache::{CacheError, Claim, MemoryCache, RedisCache, RedisServer, Settled, SharedCache, Ticket};
use jwe_gate_lookup::clock::Clock;
use jwe_gate_lookup::http::{KeySet, Readiness, Service, router};
use jwe_gate_lookup::key::{Namespace, RecordKey};
use jwe_gate_lookup::lookup::{Load, Lookup, Parts};
use jwe_gate_lookup::metrics::Metrics;
use jwe_gate_lookup::record::{Freshness, Held};
use jwe_gate_lookup::schema::{Preset, Schema};
use jwe_gate_lookup::store::{PostgresPool, PostgresStore, UserStore};
use jwe_gate_test_parts::postgres::{Database, Postgres};
use tower::ServiceExt;

pub(crate) const SECRET: &str = "a secret for tests only";

pub(crate) const FRESHNESS: Freshness = Freshness {
    positive: Duration::from_mins(10),
    negative: Duration::from_secs(10),
    stale: Duration::from_mins(1),
    hard: Duration::from_hours(1),
    spread: 0,
};

pub(crate) const LOAD: Load = Load { questions: 20_000, queries: 5 };

/// The server that all tests share which do not harm it. It goes when the last of them does.
pub(crate) fn postgres() -> Arc<Postgres> {
    static SHARED: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(postgres) = shared.upgrade() {
        return postgres;
    }
    let postgres = Arc::new(Postgres::start().unwrap());
    *shared = Arc::downgrade(&postgres);
    postgres
}

/// A database with an adapter's own tables.
pub(crate) fn database(postgres: &Postgres, preset: &str) -> Database {
    let file = if preset == "better-auth" { preset.to_owned() } else { format!("authjs-{preset}") };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../test-harness/vectors/schemas");
    let tables = fs::read_to_string(folder.join(file).with_extension("sql")).unwrap();
    let database = postgres.database().unwrap();
    postgres.run_sql(&database, &tables).unwrap();
    database
}

/// A place whose `users` have one column.
pub(crate) fn users_with_id(postgres: &Postgres, id_type: &str, ids: &[&str]) -> Database {
    let database = postgres.schema().unwrap();
    let rows = ids.iter().fold(String::new(), |rows, id| rows + "INSERT INTO users VALUES ('" + id + "');");
    postgres.run_sql(&database, &format!("CREATE TABLE users (id {id_type} PRIMARY KEY); {rows}")).unwrap();
    database
}

/// A place whose users are the numbers from 1 to `count`.
pub(crate) fn numbered_users(postgres: &Postgres, count: u32) -> Database {
    let database = postgres.schema().unwrap();
    let tables = "CREATE TABLE users (id int4 PRIMARY KEY); INSERT INTO users SELECT generate_series(1, ";
    postgres.run_sql(&database, &format!("{tables}{count})")).unwrap();
    database
}

pub(crate) fn schema(preset: &str) -> Schema {
    preset.parse::<Preset>().unwrap().schema()
}

pub(crate) fn store(database: &Database, schema: Schema) -> PostgresStore {
    let server = PostgresPool::from_url(&database.url()).unwrap();
    PostgresStore::new(server, 5, schema, Duration::from_secs(5))
}

pub(crate) fn redis_cache(url: &str, clock: &Clock) -> RedisCache {
    cache_on(RedisServer::from_url(url, None).unwrap(), clock)
}

pub(crate) fn cache_on(server: RedisServer, clock: &Clock) -> RedisCache {
    RedisCache::new(server, namespace(), Duration::from_secs(5), Duration::from_secs(6), clock.clone())
}

pub(crate) async fn write(cache: &RedisCache, key: &RecordKey, held: Held) -> Result<(), CacheError> {
    cache.settle(&[Settled { key: key.clone(), held: Some(held), ticket: None }]).await
}

pub(crate) async fn read(cache: &RedisCache, key: &RecordKey) -> Result<Option<Held>, CacheError> {
    let keys = std::slice::from_ref(key);
    let seen = cache.look(keys, &Ticket::new(), Claim::WhereAbsent, Duration::from_secs(5)).await?;
    Ok(seen.into_iter().next().unwrap().held)
}

pub(crate) fn namespace() -> Namespace {
    Namespace::new("auth:", "default", "users.id", "sessions.sessionToken")
}

/// A service that is asked without a network.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) router: Router,
    pub(crate) clock: Clock,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) deadline_ms: u64,
    pub(crate) lookup: Lookup,
    pub(crate) service: Service,
}

impl World {
    pub(crate) fn new(store: impl UserStore + 'static) -> Self {
        Self::with(Arc::new(store), None, FRESHNESS, Clock::default())
    }

    /// With the Redis at `url`.
    pub(crate) fn with_redis(store: impl UserStore + 'static, url: &str) -> Self {
        Self::with_server(store, RedisServer::from_url(url, None).unwrap())
    }

    pub(crate) fn with_server(store: impl UserStore + 'static, server: RedisServer) -> Self {
        let clock = Clock::default();
        let shared = Arc::new(cache_on(server, &clock));
        Self::with(Arc::new(store), Some(shared), FRESHNESS, clock)
    }

    pub(crate) fn with(
        store: Arc<dyn UserStore>,
        shared: Option<Arc<dyn SharedCache>>,
        freshness: Freshness,
        clock: Clock,
    ) -> Self {
        Self::under(LOAD, store, shared, freshness, clock)
    }

    pub(crate) fn under(
        load: Load,
        store: Arc<dyn UserStore>,
        shared: Option<Arc<dyn SharedCache>>,
        freshness: Freshness,
        clock: Clock,
    ) -> Self {
        let metrics = Arc::new(Metrics::new());
        let memory = MemoryCache::new(10_000);
        let parts = Parts { store, shared, memory, freshness, load, metrics: metrics.clone(), clock: clock.clone() };
        let lookup = Lookup::new(parts);
        let service = Service {
            secret: LookupSecret::new(SECRET).unwrap(),
            realm: "default".into(),
            lookup: lookup.clone(),
            metrics: metrics.clone(),
            readiness: Readiness::default(),
            revoking: None,
            keys: KeySet::default(),
        };
        Self { router: router(service.clone()), clock, metrics, deadline_ms: 20_000, lookup, service }
    }

    /// With these public keys.
    pub(crate) fn publishing(self, keys: KeySet) -> Self {
        let service = Service { keys, ..self.service };
        Self { router: router(service.clone()), service, ..self }
    }

    pub(crate) async fn subject(&self, key: &str) -> Outcome {
        self.ask(vec![question(Kind::Subject, key)]).await.remove(0)
    }

    /// Asks for each in a message of its own, all at once.
    pub(crate) async fn subjects_at_once(&self, keys: impl IntoIterator<Item = u32>) -> Vec<Outcome> {
        join_all(keys.into_iter().map(|key| async move { self.subject(&key.to_string()).await })).await
    }

    pub(crate) async fn opaque(&self, key: &str) -> Outcome {
        self.ask(vec![question(Kind::Opaque, key)]).await.remove(0)
    }

    /// Asks, checks that the answer is signed and repeats the questions, and returns the outcomes in order.
    pub(crate) async fn ask(&self, questions: Vec<Question>) -> Vec<Outcome> {
        let message = LookupQuestion { version: VERSION, deadline_ms: self.deadline_ms, questions: questions.clone() };
        let body = serde_json::to_vec(&message).unwrap();
        let mac = LookupSecret::new(SECRET).unwrap().sign_question(&body);
        let response = self.post(body, Some(&mac)).await;
        assert_eq!(response.status(), StatusCode::OK);
        let answer = read_answer(response).await;
        assert_eq!(answer.answers.len(), questions.len());
        let find = |question: &Question| {
            let is_it = |answer: &&jwe_gate_contract::Answer| {
                (&answer.realm, answer.kind, &answer.key, &answer.nonce)
                    == (&question.realm, question.kind, &question.key, &question.nonce)
            };
            answer.answers.iter().find(is_it).unwrap().outcome.clone()
        };
        questions.iter().map(find).collect()
    }

    pub(crate) async fn post(&self, body: Vec<u8>, mac: Option<&str>) -> Response {
        let request = Request::post(LOOKUP_PATH);
        let request = mac.iter().fold(request, |request, mac| request.header(MAC_HEADER, *mac));
        self.router.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.router.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap()
    }

    /// The sum of all counters whose line holds each of `parts`.
    pub(crate) fn count(&self, parts: &[&str]) -> u64 {
        let text = self.metrics.render();
        let lines = text.lines().filter(|line| !line.starts_with('#') && parts.iter().all(|part| line.contains(part)));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    }

    /// Questions that are being worked on.
    pub(crate) fn under_way(&self) -> usize {
        self.lookup.under_way()
    }

    pub(crate) fn queries(&self) -> u64 {
        self.count(&["jwe_gate_lookup_database_queries_total"])
    }

    /// How often the database was asked for a key, all queries together.
    pub(crate) fn keys(&self) -> u64 {
        self.count(&["jwe_gate_lookup_database_keys_total"])
    }

    pub(crate) fn claims(&self, result: &str) -> u64 {
        self.count(&["jwe_gate_lookup_claims_total", &format!("result=\"{result}\"")])
    }

    pub(crate) fn answers_from(&self, layer: &str) -> u64 {
        self.count(&["jwe_gate_lookup_answers_total", &format!("layer=\"{layer}\"")])
    }
}

pub(crate) async fn read_answer(response: Response) -> LookupAnswer {
    let mac = response.headers().get(MAC_HEADER).unwrap().clone();
    let bytes = body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    assert!(LookupSecret::new(SECRET).unwrap().is_answer(&bytes, mac.as_bytes()));
    serde_json::from_slice(&bytes).unwrap()
}

pub(crate) fn question(kind: Kind, key: &str) -> Question {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let nonce = format!("nonce {}", NEXT.fetch_add(1, Ordering::Relaxed));
    Question { realm: "default".into(), kind, key: key.into(), nonce, issued_at_ms: None, fields: Vec::new() }
}

#[track_caller]
pub(crate) fn assert_allows(outcome: &Outcome, expected: &str) {
    assert!(matches!(outcome, Outcome::Allow { user, .. } if user == expected), "{outcome:?}");
}

#[track_caller]
pub(crate) fn assert_denies(outcome: &Outcome, expected: Reason) {
    assert!(matches!(outcome, Outcome::Deny { reason, .. } if *reason == expected), "{outcome:?}");
}

/// Polls until it is so.
pub(crate) async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(20), "waited too long for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
