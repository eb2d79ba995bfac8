//! What is counted. Closed sets of names, so that no client can make metrics grow.

use std::collections::BTreeMap;

/// A counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// Requests, by what was decided of them.
    Decision(&'static str),
    /// Requests that passed in report mode, by what would have been decided of them.
    Reported(&'static str),
    /// Requests whose token was in L0 with a judgement that may be used.
    L0Hit,
    /// Requests whose token L0 did not hold.
    L0Miss,
    /// Tokens that L0 forgot for others while they were of use.
    L0Eviction,
    /// Requests whose subject had a judgement in L1 that may be used.
    L1Hit,
    /// Requests whose subject had none.
    L1Miss,
    /// Records that L1 gave up for others while they were of use.
    L1Eviction,
    /// Records that were larger than a slot.
    L1TooLarge,
    /// Writes to L1 that another worker came before.
    L1Conflict,
    /// Requests that were parked until a lookup was answered.
    Parked,
    /// Lookups for which another worker was already asking, and that waited for it.
    Followed,
    /// Lookups that another worker did not bring to a good end, so that this one asked.
    TakenOver,
    /// Lookups that were asked for without letting other workers know, since there was no room for it.
    Unannounced,
    /// Requests that used what was known before, because a lookup failed.
    Fallback,
    /// Callouts to the lookup service, by what became of them.
    Callout(CalloutResult),
    /// Questions asked, several of which may travel in one callout.
    Questions,
    /// Requests that passed by the bypass.
    Bypass,
    /// Questions to the feed of revocations, by what became of them.
    Feed(FeedResult),
    /// Requests and streams that were cut, by why.
    Cut(CutReason),
    /// Requests to the path that signs out, by what came of them.
    SignOut(SignOutResult),
    /// Replies that lost session cookies, since the session of their request had ended.
    CookiesDropped,
}

/// What is told as it stands, not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gauge {
    /// How old what is known of revocations is, in milliseconds.
    FeedAge,
    /// How many notices of the feed are in force.
    FeedNotices,
}

/// What became of a question to the feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FeedResult {
    /// Answered.
    Answered,
    /// Answered, and another worker had changed the log meanwhile. It is asked again.
    Conflict,
    /// Answered with more revocations than there is room for.
    Full,
    /// The answer was not authentic or not understood.
    Invalid,
    /// There was no answer.
    Lost,
    /// The proxy would not send it.
    Refused,
    /// The service forgets revocations before the sessions that they end.
    SessionAge,
    /// An answer to a question that nobody asked.
    Unknown,
}

/// What came of a request to sign out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SignOutResult {
    /// The session has ended, for good.
    Durable,
    /// The service did not say that it has written it.
    Failed,
    /// There was no session to end.
    Nothing,
    /// The application has signed out; what came of it is counted besides.
    Observed,
}

/// Why a stream was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CutReason {
    /// Its token has expired.
    Expired,
    /// Its session has been ended.
    Revoked,
}

/// What became of a callout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CalloutResult {
    /// Answered.
    Answered,
    /// The answer was not authentic or not understood.
    Invalid,
    /// There was no answer.
    Lost,
    /// The proxy would not send it: no such cluster, no healthy host, or the circuit breaker is open.
    Refused,
    /// An answer to a question that nobody asked.
    Unknown,
}

impl Metric {
    /// The name under which the proxy shows it.
    #[must_use]
    pub fn name(self) -> String {
        let name = match self {
            Self::Decision(reason) => return format!("jwe_gate.decision.{reason}"),
            Self::Feed(result) => return format!("jwe_gate.feed.{}", result.as_str()),
            Self::Cut(CutReason::Expired) => "cut.expired",
            Self::Cut(CutReason::Revoked) => "cut.revoked",
            Self::SignOut(SignOutResult::Durable) => "sign_out.durable",
            Self::SignOut(SignOutResult::Failed) => "sign_out.failed",
            Self::SignOut(SignOutResult::Nothing) => "sign_out.nothing",
            Self::SignOut(SignOutResult::Observed) => "sign_out.observed",
            Self::CookiesDropped => "cookies_dropped",
            Self::Reported(reason) => return format!("jwe_gate.reported.{reason}"),
            Self::Callout(result) => return format!("jwe_gate.callout.{}", result.as_str()),
            Self::L0Hit => "l0.hit",
            Self::L0Miss => "l0.miss",
            Self::L0Eviction => "l0.eviction",
            Self::L1Hit => "l1.hit",
            Self::L1Miss => "l1.miss",
            Self::L1Eviction => "l1.eviction",
            Self::L1TooLarge => "l1.too_large",
            Self::L1Conflict => "l1.conflict",
            Self::Parked => "parked",
            Self::Followed => "together.followed",
            Self::TakenOver => "together.taken_over",
            Self::Unannounced => "together.unannounced",
            Self::Fallback => "fallback",
            Self::Questions => "questions",
            Self::Bypass => "bypass",
        };
        format!("jwe_gate.{name}")
    }
}

impl Gauge {
    /// The name under which the proxy shows it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::FeedAge => "jwe_gate.feed.age_ms",
            Self::FeedNotices => "jwe_gate.feed.notices",
        }
    }
}

impl FeedResult {
    fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Conflict => "conflict",
            Self::Full => "full",
            Self::Invalid => "invalid",
            Self::Lost => "lost",
            Self::Refused => "refused",
            Self::SessionAge => "session_age",
            Self::Unknown => "unknown",
        }
    }
}

impl CalloutResult {
    fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Invalid => "invalid",
            Self::Lost => "lost",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
        }
    }
}

/// Counts since they were last taken. The host is told on ticks, not once per request.
#[derive(Debug, Default)]
pub struct Counters {
    counts: BTreeMap<Metric, u64>,
    warm: u64,
}

impl Counters {
    /// Adds one.
    pub fn count(&mut self, metric: Metric) {
        self.add(metric, 1);
    }

    /// Adds one to what is counted of nearly every request: it was admitted for what L0 holds.
    pub fn count_warm(&mut self) {
        self.warm = self.warm.saturating_add(1);
    }

    /// Adds several.
    pub fn add(&mut self, metric: Metric, amount: u64) {
        let count = self.counts.entry(metric).or_default();
        *count = count.saturating_add(amount);
    }

    /// Takes what has been counted, leaving zeros behind.
    pub fn take(&mut self) -> impl Iterator<Item = (Metric, u64)> {
        let warm = std::mem::take(&mut self.warm);
        for metric in [Metric::L0Hit, Metric::Decision("ok")] {
            self.add(metric, warm);
        }
        self.counts.iter_mut().filter(|(_, count)| **count > 0).map(|(metric, count)| (*metric, std::mem::take(count)))
    }
}
