//! Revocations: written durably, numbered in the order in which they become visible, told to every proxy.

mod changes;
mod documented;
mod durable;
mod embedded;
mod feed;
mod orders;
mod program;
mod requests;
mod rights;
mod settings;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode, header};
use jwe_gate_contract::{
    FeedAnswer, FeedQuestion, LookupSecret, MAC_HEADER, Message, REVOCATIONS_PATH, Receipt, RevocationRequest, Shown,
    Target, VERSION,
};
use jwe_gate_lookup::cache::{MemoryCache, SharedCache};
use jwe_gate_lookup::clock::Clock;
use jwe_gate_lookup::http::{AdminToken, KeySet, Readiness, Revoking, Service, router};
use jwe_gate_lookup::lookup::{Lookup, Parts};
use jwe_gate_lookup::metrics::Metrics;
use jwe_gate_lookup::revocation::{self, Revocations, Rules};
use jwe_gate_lookup::store::PostgresPool;
use jwe_gate_lookup::store::journal::{Journal, PostgresJournal};
use jwe_gate_test_parts::postgres::Database;
use jwe_gate_test_parts::redis::Redis;
use serde_json::Value;
use tokio::task::JoinHandle;
use tower::ServiceExt;

use crate::support::{FRESHNESS, LOAD, SECRET, World, redis_cache, schema, store};

pub(crate) const ADMIN: &str = "what administrators show in tests";

pub(crate) const RULES: Rules = Rules {
    delay: Duration::from_secs(2),
    skew: Duration::from_secs(5),
    max_session_age: Duration::from_hours(30 * 24),
    poll: Duration::from_millis(100),
    verdicts: Duration::from_hours(1),
};

/// Reads on its own after an hour: whatever it knows sooner, it was told.
pub(crate) const TOLD_ONLY: Rules = Rules { poll: Duration::from_hours(1), ..RULES };

/// One service, asked without a network.
pub(crate) struct Replica {
    pub(crate) router: Router,
    pub(crate) revocations: Revocations,
    pub(crate) clock: Clock,
    pub(crate) readiness: Readiness,
    running: JoinHandle<()>,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// A proxy's place in the feed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cursor {
    pub(crate) epoch: Option<String>,
    pub(crate) after: u64,
}

impl Replica {
    pub(crate) fn start(database: &Database, rules: Rules) -> Self {
        Self::on(Arc::new(journal(database)), database, rules)
    }

    pub(crate) fn on(journal: Arc<dyn Journal>, users: &Database, rules: Rules) -> Self {
        Self::with(journal, users, None, rules)
    }

    pub(crate) fn with(journal: Arc<dyn Journal>, users: &Database, redis: Option<&Redis>, rules: Rules) -> Self {
        let (clock, metrics) = (Clock::default(), Arc::new(Metrics::new()));
        let (secret, realm): (_, Arc<str>) = (LookupSecret::new(SECRET).unwrap(), "default".into());
        let shared = redis.map(|redis| -> Arc<dyn SharedCache> { Arc::new(redis_cache(&redis.url(), &clock)) });
        let lookup = Lookup::new(Parts {
            store: Arc::new(store(users, schema("pg-adapter"))),
            shared,
            memory: MemoryCache::new(100),
            freshness: FRESHNESS,
            load: LOAD,
            metrics: metrics.clone(),
            clock: clock.clone(),
        });
        let revocations = Revocations::new(revocation::Parts {
            journal,
            lookup: lookup.clone(),
            secret: secret.clone(),
            realm: realm.clone(),
            rules,
            metrics: metrics.clone(),
            clock: clock.clone(),
        });
        let readiness = Readiness::default();
        let revoking = Some(Revoking { revocations: revocations.clone(), admin: AdminToken::new(ADMIN) });
        let keys = KeySet::default();
        let service = Service { secret, realm, lookup, metrics, keys, readiness: readiness.clone(), revoking };
        let running = tokio::spawn(revocations.clone().run());
        Self { router: router(service), revocations, clock, readiness, running }
    }

    pub(crate) fn without_revocations(users: &Database) -> Self {
        let world = World::new(store(users, schema("pg-adapter")));
        let mut replica = Self::start(users, RULES);
        replica.router = world.router;
        replica
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answered {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
        Answered { status: parts.status, headers: parts.headers, body }
    }

    /// As a proxy.
    pub(crate) async fn show(&self, id: &str, shown: Shown) -> Answered {
        self.send(by_proxy(&request(id, Target::Shown(shown)))).await
    }

    /// As an administrator.
    pub(crate) async fn name(&self, id: &str, target: Target) -> Answered {
        self.send(by_admin(&request(id, target))).await
    }

    /// Ends a session by its `sid`, and returns the number.
    pub(crate) async fn end(&self, sid: &str) -> u64 {
        self.end_as(&id(), sid).await.receipt().seq
    }

    pub(crate) async fn end_as(&self, id: &str, sid: &str) -> Answered {
        self.until_written(|| self.name(id, Target::Session { sid: sid.into() })).await
    }

    /// Sends it again until it has been written: a service that has just been started has not read anything yet.
    pub(crate) async fn until_written(&self, send: impl AsyncFn() -> Answered) -> Answered {
        let start = Instant::now();
        loop {
            let answered = send().await;
            if answered.status != StatusCode::SERVICE_UNAVAILABLE {
                return answered;
            }
            assert!(start.elapsed() < PATIENCE, "{answered:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn ask(&self, cursor: &Cursor, wait_ms: u64) -> Answered {
        self.send(followed_by_proxy(&question(cursor, wait_ms))).await
    }

    /// Asks once, and moves the cursor.
    pub(crate) async fn follow(&self, cursor: &mut Cursor, wait_ms: u64) -> FeedAnswer {
        let question = question(cursor, wait_ms);
        let answered = self.send(followed_by_proxy(&question)).await;
        let answer = answered.feed(&question);
        *cursor = Cursor { epoch: Some(answer.epoch.clone()), after: answer.upto };
        answer
    }

    /// All pages from the cursor to the end.
    pub(crate) async fn catch_up(&self, cursor: &mut Cursor) -> Vec<FeedAnswer> {
        let mut pages = Vec::new();
        loop {
            pages.push(self.follow(cursor, 0).await);
            if pages.last().unwrap().complete {
                return pages;
            }
        }
    }

    pub(crate) async fn is_ready(&self) {
        let revocations = self.revocations.clone();
        crate::support::eventually("the first reading", || revocations.is_ready()).await;
    }

    /// Ends without a word, as if killed.
    pub(crate) fn kill(&self) {
        self.running.abort();
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Answered {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn receipt(&self) -> Receipt {
        assert!(self.status.is_success(), "{self:?}");
        assert!(self.is_signed(Message::Receipt));
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn feed(&self, question: &FeedQuestion) -> FeedAnswer {
        assert_eq!(self.status, StatusCode::OK, "{self:?}");
        assert!(self.is_signed(Message::FeedAnswer));
        let answer: FeedAnswer = serde_json::from_slice(&self.body).unwrap();
        assert_eq!((&answer.realm, &answer.nonce), (&question.realm, &question.nonce));
        answer
    }

    pub(crate) fn error(&self) -> (u16, String) {
        (self.status.as_u16(), self.json()["error"].as_str().unwrap().to_owned())
    }

    fn is_signed(&self, message: Message) -> bool {
        let mac = self.headers.get(MAC_HEADER).unwrap();
        LookupSecret::new(SECRET).unwrap().is_signed(message, &self.body, mac.as_bytes())
    }
}

pub(crate) fn journal(database: &Database) -> PostgresJournal {
    PostgresJournal::new(PostgresPool::from_url(&database.url()).unwrap(), "default", Duration::from_secs(5))
}

pub(crate) fn id() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("request-{:016}", NEXT.fetch_add(1, Ordering::Relaxed))
}

pub(crate) fn question(cursor: &Cursor, wait_ms: u64) -> FeedQuestion {
    let Cursor { epoch, after } = cursor.clone();
    FeedQuestion { version: VERSION, realm: "default".into(), nonce: id(), epoch, after, wait_ms }
}

pub(crate) fn request(id: &str, target: Target) -> RevocationRequest {
    RevocationRequest { version: VERSION, realm: "default".into(), id: id.into(), target }
}

pub(crate) fn shown(sub: &str, sid: Option<&str>) -> Shown {
    Shown { sub: sub.into(), sid: sid.map(str::to_owned), auth_time_ms: None, issued_at_ms: now_ms() / 1000 * 1000 }
}

pub(crate) fn now_ms() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(now.as_millis()).unwrap()
}

pub(crate) fn by_proxy(request: &RevocationRequest) -> Request<Body> {
    signed_post(serde_json::to_vec(request).unwrap())
}

pub(crate) fn signed_post(body: Vec<u8>) -> Request<Body> {
    let mac = LookupSecret::new(SECRET).unwrap().sign(Message::Revocation, &body);
    Request::post(REVOCATIONS_PATH).header(MAC_HEADER, mac).body(body.into()).unwrap()
}

pub(crate) fn by_admin(request: &RevocationRequest) -> Request<Body> {
    let post = Request::post(REVOCATIONS_PATH).header(header::AUTHORIZATION, bearer());
    post.body(serde_json::to_vec(request).unwrap().into()).unwrap()
}

pub(crate) fn bearer() -> String {
    format!("Bearer {ADMIN}")
}

pub(crate) fn followed_by_proxy(question: &FeedQuestion) -> Request<Body> {
    signed_get(&question.target())
}

pub(crate) fn signed_get(target: &str) -> Request<Body> {
    let mac = LookupSecret::new(SECRET).unwrap().sign(Message::FeedQuestion, target.as_bytes());
    Request::get(target).header(MAC_HEADER, mac).body(Body::empty()).unwrap()
}

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
