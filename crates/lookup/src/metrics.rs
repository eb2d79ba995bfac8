//! What is counted. Every label set is finite, and none holds an id.

use std::time::Duration;

use jwe_gate_contract::{Cause, Outcome};
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use crate::cache::CacheError;
use crate::revocation::State;
use crate::store::{StoreError, Unfit};

/// The counters of one service.
pub struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

/// Where an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// A database query.
    Database,
    /// A record past its limits for normal use, as the database failed.
    LastResort,
    /// The process's own cache.
    Memory,
    /// Nowhere: it could not be answered.
    None,
    /// The shared cache.
    Redis,
}

/// What came of the wish to look something up while other services may be looking it up, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimResult {
    /// Others were waited for in vain; it was looked up here as well.
    Expired,
    /// Another service looked it up, and its record was found.
    Waited,
    /// It was this service's to look up.
    Won,
}

/// Why a question was given up without asking the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shed {
    /// Too many are being worked on.
    Full,
    /// Whoever asked has gone.
    Gone,
    /// Its time was over before its turn came.
    Late,
}

/// Why a message was not answered at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// Whoever sent it may not.
    Forbidden,
    /// Its body is no question.
    Malformed,
    /// It has more questions than one message may.
    TooMany,
    /// Its MAC is missing or wrong.
    Unsigned,
    /// It speaks another version.
    Version,
}

impl Metrics {
    /// All counters at zero.
    #[must_use]
    pub fn new() -> Self {
        let recorder = PrometheusBuilder::new();
        // Only an empty list of buckets is refused; without buckets the histogram becomes a summary.
        let recorder = match recorder.set_buckets_for_metric(Matcher::Full(DATABASE_SECONDS.into()), BUCKETS) {
            Ok(builder) => builder.build_recorder(),
            Err(_) => PrometheusBuilder::new().build_recorder(),
        };
        let handle = recorder.handle();
        let metrics = Self { recorder, handle };
        metrics.describe();
        metrics
    }

    /// In the Prometheus text format.
    #[must_use]
    pub fn render(&self) -> String {
        self.handle.run_upkeep();
        self.handle.render()
    }

    /// One question was answered.
    pub fn answered(&self, outcome: &Outcome, layer: Layer) {
        let verdict = match outcome {
            Outcome::Allow { .. } => "allow",
            Outcome::Deny { .. } => "deny",
            Outcome::Failed { cause: Cause::Late } => "late",
            Outcome::Failed { cause: Cause::Unavailable } => "unavailable",
            Outcome::Failed { cause: Cause::Unsupported } => "unsupported",
        };
        self.counter(ANSWERS, &[("verdict", verdict), ("layer", layer.as_str())]).increment(1);
    }

    /// One message was answered.
    pub fn message(&self) {
        self.counter(MESSAGES, &[]).increment(1);
    }

    /// One message was not answered.
    pub fn rejected(&self, rejection: Rejection) {
        self.counter(REJECTED, &[("reason", rejection.as_str())]).increment(1);
    }

    /// One question joined a lookup that was under way.
    pub fn joined(&self) {
        self.counter(JOINED, &[]).increment(1);
    }

    /// The shared cache was of no use once.
    pub fn cache_failed(&self, error: CacheError) {
        self.counter(REDIS_ERRORS, &[("cause", error.as_str())]).increment(1);
    }

    /// One lookup was claimed among services, or waited for.
    pub fn claimed(&self, result: ClaimResult) {
        self.counter(CLAIMS, &[("result", result.as_str())]).increment(1);
    }

    /// One question was given up.
    pub fn shed(&self, reason: Shed) {
        self.counter(SHED, &[("reason", reason.as_str())]).increment(1);
    }

    /// One user could not be answered for.
    pub fn unfit(&self, unfit: &Unfit) {
        self.counter(UNFIT, &[("reason", unfit.as_str())]).increment(1);
    }

    /// So many questions are being worked on.
    pub fn working_on(&self, questions: usize) {
        self.gauge(WORKING_ON).set(number(questions));
    }

    /// A revocation was asked for, and maybe refused.
    pub fn revoked(&self, by: &'static str, refusal: Option<&'static str>) {
        self.counter(REVOCATIONS, &[("by", by), ("result", refusal.unwrap_or("ok"))]).increment(1);
    }

    /// A proxy that follows revocations got an answer.
    pub fn feed_answered(&self, is_snapshot: bool, is_empty: bool) {
        let kind = match (is_snapshot, is_empty) {
            (true, _) => "snapshot",
            (false, true) => "nothing",
            (false, false) => "news",
        };
        self.counter(FEED_ANSWERS, &[("kind", kind)]).increment(1);
    }

    /// What is revoked could not be read once.
    pub fn feed_read_failed(&self, error: &StoreError) {
        self.counter(FEED_ERRORS, &[("cause", error.as_str())]).increment(1);
    }

    /// So it stands with what is revoked.
    pub fn following(&self, state: State) {
        self.gauge(FEED_AGE).set(state.age.map_or(f64::INFINITY, |age| age.as_secs_f64()));
        self.gauge(IN_FORCE).set(number(state.in_force));
        self.gauge(WAITING).set(number(state.waiting));
    }

    /// One database query for so many keys ended.
    pub fn queried(&self, kind: &'static str, keys: usize, error: Option<&StoreError>, took: Duration) {
        let result = error.map_or("ok", StoreError::as_str);
        self.counter(DATABASE_KEYS, &[("kind", kind)]).increment(u64::try_from(keys).unwrap_or(u64::MAX));
        self.counter(DATABASE_QUERIES, &[("kind", kind), ("result", result)]).increment(1);
        self.histogram(DATABASE_SECONDS, &[("kind", kind)]).record(took.as_secs_f64());
    }

    fn counter(&self, name: &'static str, labels: &[(&'static str, &'static str)]) -> Counter {
        self.recorder.register_counter(&key(name, labels), &METADATA)
    }

    fn gauge(&self, name: &'static str) -> Gauge {
        self.recorder.register_gauge(&key(name, &[]), &METADATA)
    }

    fn histogram(&self, name: &'static str, labels: &[(&'static str, &'static str)]) -> Histogram {
        self.recorder.register_histogram(&key(name, labels), &METADATA)
    }

    fn describe(&self) {
        for (name, text) in DESCRIPTIONS {
            self.recorder.describe_counter(KeyName::from_const_str(name), None, (*text).into());
        }
        for (name, text) in GAUGES {
            self.recorder.describe_gauge(KeyName::from_const_str(name), None, (*text).into());
        }
        let text = "How long database queries took.";
        self.recorder.describe_histogram(KeyName::from_const_str(DATABASE_SECONDS), None, text.into());
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Layer {
    fn as_str(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::LastResort => "last_resort",
            Self::Memory => "memory",
            Self::None => "none",
            Self::Redis => "redis",
        }
    }
}

impl ClaimResult {
    fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Waited => "waited",
            Self::Won => "won",
        }
    }
}

impl Shed {
    fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Gone => "gone",
            Self::Late => "late",
        }
    }
}

impl Rejection {
    fn as_str(self) -> &'static str {
        match self {
            Self::Forbidden => "forbidden",
            Self::Malformed => "malformed",
            Self::TooMany => "too_many",
            Self::Unsigned => "unsigned",
            Self::Version => "version",
        }
    }
}

fn key(name: &'static str, labels: &[(&'static str, &'static str)]) -> Key {
    let labels = labels.iter().map(|(name, value)| Label::from_static_parts(name, value));
    Key::from_parts(name, labels.collect::<Vec<_>>())
}

/// Far below 2^52.
#[expect(clippy::cast_precision_loss, reason = "a gauge is a floating-point number")]
fn number(count: usize) -> f64 {
    count as f64
}

static METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, None);

const ANSWERS: &str = "jwe_gate_lookup_answers_total";
const REJECTED: &str = "jwe_gate_lookup_rejected_messages_total";
const JOINED: &str = "jwe_gate_lookup_joined_questions_total";
const CLAIMS: &str = "jwe_gate_lookup_claims_total";
const SHED: &str = "jwe_gate_lookup_shed_questions_total";
const UNFIT: &str = "jwe_gate_lookup_unfit_users_total";
const WORKING_ON: &str = "jwe_gate_lookup_questions_under_way";
const MESSAGES: &str = "jwe_gate_lookup_messages_total";
const REDIS_ERRORS: &str = "jwe_gate_lookup_redis_errors_total";
const DATABASE_QUERIES: &str = "jwe_gate_lookup_database_queries_total";
const DATABASE_KEYS: &str = "jwe_gate_lookup_database_keys_total";
const DATABASE_SECONDS: &str = "jwe_gate_lookup_database_seconds";
const REVOCATIONS: &str = "jwe_gate_lookup_revocations_total";
const FEED_ANSWERS: &str = "jwe_gate_lookup_feed_answers_total";
const FEED_ERRORS: &str = "jwe_gate_lookup_feed_errors_total";
const FEED_AGE: &str = "jwe_gate_lookup_feed_age_seconds";
const IN_FORCE: &str = "jwe_gate_lookup_revocations_in_force";
const WAITING: &str = "jwe_gate_lookup_feed_waiting";
const BUCKETS: &[f64] = &[0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];

const GAUGES: &[(&str, &str)] = &[
    (WORKING_ON, "Questions that are being worked on."),
    (FEED_AGE, "How long ago revocations were last read from the database."),
    (IN_FORCE, "Entries of the feed of revocations that are in force."),
    (WAITING, "Proxies that wait for the next revocation."),
];

const DESCRIPTIONS: &[(&str, &str)] = &[
    (ANSWERS, "Questions answered, by what was found and where."),
    (REJECTED, "Messages that were not answered, by reason."),
    (JOINED, "Questions that joined a lookup under way."),
    (CLAIMS, "Lookups claimed among services that share a Redis: won, waited for, or waited for in vain."),
    (SHED, "Questions given up without asking the database, by reason."),
    (UNFIT, "Users who were not answered for, as what the database says of them does not fit, by reason."),
    (MESSAGES, "Messages answered; each holds one question or more."),
    (DATABASE_KEYS, "Keys that the database was asked for, by kind."),
    (REDIS_ERRORS, "Times that Redis was of no use, by cause; skipped means left alone after a failure."),
    (DATABASE_QUERIES, "Database queries, by kind of key and result."),
    (REVOCATIONS, "Revocations asked for, by whom, and what came of it."),
    (FEED_ANSWERS, "Answers to proxies that follow revocations: a snapshot's first page, news, or nothing new."),
    (FEED_ERRORS, "Times that revocations could not be read from the database, by cause."),
];
