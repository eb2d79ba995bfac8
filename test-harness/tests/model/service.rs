//! The lookup service: two replicas on one store, in this thread, where time passes when the test says so.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, header};
use http_body_util::BodyExt;
use jwe_gate_contract::{LookupSecret, REVOCATIONS_PATH, Receipt, RevocationRequest, Target, VERSION};
use jwe_gate_lookup::cache::MemoryCache;
use jwe_gate_lookup::clock::Clock;
use jwe_gate_lookup::http::{AdminToken, KeySet, Readiness, Revoking, Service, router};
use jwe_gate_lookup::lookup::{Load, Lookup, Parts};
use jwe_gate_lookup::metrics::Metrics;
use jwe_gate_lookup::record::Freshness;
use jwe_gate_lookup::revocation::{self, Revocations, Rules};
use jwe_gate_test_harness::lookup::LOOKUP_SECRET;
use jwe_gate_test_host::{Answer, Call, Headers};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tower::ServiceExt;

use crate::database::{Database, Ended};

pub(crate) const RULES: Rules = Rules {
    delay: Duration::from_secs(2),
    skew: Duration::from_secs(5),
    max_session_age: Duration::from_hours(30 * 24),
    poll: Duration::from_millis(200),
    verdicts: Duration::from_hours(1),
};

pub(crate) const REPLICAS: usize = 2;

/// The replicas.
pub(crate) struct Services {
    // Its tasks hold the rest.
    runtime: Runtime,
    database: Arc<Database>,
    replicas: [Option<Replica>; REPLICAS],
    /// How many have been started, and how often one was asked.
    started: usize,
    asked: usize,
}

struct Replica {
    number: usize,
    router: Router,
    running: JoinHandle<()>,
}

/// A question that a replica has.
pub(crate) struct Asked {
    replica: usize,
    answer: JoinHandle<Answer>,
}

impl Services {
    pub(crate) fn start(database: Arc<Database>) -> Self {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
        let mut services = Self { runtime, database, replicas: [None, None], started: 0, asked: 0 };
        (0..REPLICAS).for_each(|replica| services.restart(replica));
        services
    }

    /// Starts a replica, or starts it again.
    pub(crate) fn restart(&mut self, replica: usize) {
        self.stop(replica);
        let _context = self.runtime.enter();
        self.started += 1;
        self.replicas[replica] = Some(Replica::start(self.started, &self.database));
        self.settle();
    }

    /// Stops a replica, as a crash does.
    pub(crate) fn stop(&mut self, replica: usize) {
        if let Some(replica) = self.replicas[replica].take() {
            replica.running.abort();
        }
    }

    /// Whether anything can be learnt from them.
    pub(crate) fn can_answer(&self) -> bool {
        !self.database.is_down() && self.replicas.iter().any(Option::is_some)
    }

    /// Asks the replicas in turn; nothing where none runs.
    pub(crate) fn ask(&mut self, call: &Call) -> Option<Asked> {
        self.asked += 1;
        let running: Vec<_> = self.replicas.iter().flatten().collect();
        let replica = running.get(self.asked % running.len().max(1))?;
        let target = call.headers.text(":path").expect("a target");
        let method = call.headers.text(":method").expect("a method");
        let lines = call.headers.lines().filter(|(name, _)| !name.starts_with(b":"));
        let request = lines.fold(Request::builder().method(&*method).uri(target), |request, (name, value)| {
            request.header(name, value)
        });
        let request = request.body(Body::from(call.body.clone())).expect("a request");
        let answer = self.runtime.spawn(answer(replica.router.clone(), request));
        Some(Asked { replica: replica.number, answer })
    }

    /// The answer, once there is one. It is lost where the replica has stopped.
    pub(crate) fn answered(&self, asked: &mut Asked) -> Option<Answer> {
        if !self.replicas.iter().flatten().any(|replica| replica.number == asked.replica) {
            asked.answer.abort();
            return Some(Answer::Reset);
        }
        asked.answer.is_finished().then(|| self.runtime.block_on(&mut asked.answer).expect("the handler did not panic"))
    }

    /// Ends sessions as an administrator does, and says whether it is durable.
    pub(crate) fn end(&mut self, id: String, ended: &Ended) -> bool {
        let Some(replica) = self.replicas.iter().flatten().next() else { return false };
        let target = match ended {
            Ended::Session(sid) => Target::Session { sid: sid.clone() },
            Ended::User(sub) => Target::Subject { sub: sub.clone() },
        };
        let request = RevocationRequest { version: VERSION, realm: "default".into(), id, target };
        let request = Request::post(REVOCATIONS_PATH)
            .header(header::AUTHORIZATION, format!("Bearer {ADMIN}"))
            .body(Body::from(serde_json::to_vec(&request).expect("a request is JSON")))
            .expect("a request");
        let answer = self.runtime.spawn(answer(replica.router.clone(), request));
        self.settle();
        match self.runtime.block_on(answer).expect("the handler did not panic") {
            Answer::Http { body, .. } => serde_json::from_slice::<Receipt>(&body).is_ok(),
            _ => false,
        }
    }

    /// Lets everything happen that happens without time passing. The runtime is never idle meanwhile: it would let its own
    /// time pass then.
    pub(crate) fn settle(&self) {
        self.runtime.block_on(async {
            for _ in 0..LONGEST_CHAIN {
                tokio::task::yield_now().await;
            }
        });
    }

    /// Lets time pass.
    pub(crate) fn advance(&self, ms: u64) {
        self.runtime.block_on(tokio::time::advance(Duration::from_millis(ms)));
        self.settle();
    }
}

impl Replica {
    fn start(number: usize, database: &Arc<Database>) -> Self {
        let (clock, metrics) = (Clock::default(), Arc::new(Metrics::new()));
        let secret = LookupSecret::new(LOOKUP_SECRET).expect("a long secret");
        let realm: Arc<str> = "default".into();
        let lookup = Lookup::new(Parts {
            store: database.clone(),
            shared: None,
            memory: MemoryCache::new(100),
            freshness: FRESHNESS,
            load: Load { questions: 1_000, queries: 2 },
            metrics: metrics.clone(),
            clock: clock.clone(),
        });
        let revocations = Revocations::new(revocation::Parts {
            journal: database.clone(),
            lookup: lookup.clone(),
            secret: secret.clone(),
            realm: realm.clone(),
            rules: RULES,
            metrics: metrics.clone(),
            clock: clock.clone(),
        });
        let revoking = Some(Revoking { revocations: revocations.clone(), admin: AdminToken::new(ADMIN) });
        let (keys, readiness) = (KeySet::default(), Readiness::default());
        let router = router(Service { secret, realm, lookup, revoking, keys, metrics, readiness });
        Self { number, router, running: tokio::spawn(revocations.run()) }
    }
}

async fn answer(router: Router, request: Request<Body>) -> Answer {
    let response = router.oneshot(request).await.expect("a router always answers");
    let (head, body) = response.into_parts();
    let mut headers = Headers::from([(":status", head.status.as_str())]);
    head.headers.iter().for_each(|(name, value)| headers.add(name, value));
    let body = body.collect().await.expect("the body is in memory").to_bytes().to_vec();
    Answer::Http { headers, body }
}

const FRESHNESS: Freshness = Freshness {
    positive: Duration::from_mins(10),
    negative: Duration::from_secs(10),
    stale: Duration::from_mins(1),
    hard: Duration::from_hours(1),
    spread: 0,
};
const ADMIN: &str = "the administrator of the model shows this";
/// More than the steps from a question to its answer, if every one of them has to wait for its turn.
const LONGEST_CHAIN: usize = 16;
