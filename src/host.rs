//! The host functions in use, one wrapper each. Only bytes come from clients, never text: the SDK's text getters
//! panic on what is not UTF-8, and a panic takes every parked request with it.
//!
//! The SDK also panics on statuses that it does not expect. Each wrapper says which statuses can come; none is
//! called where another could: above all never for a request that has ended.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, UNIX_EPOCH};

use jwe_gate_core::gate::{Callout, ReplyHeaders, RequestHeaders};
use jwe_gate_core::headers::HeaderMap;
use jwe_gate_core::shared::{Cas, QueueId, SharedData, SharedKey};
use jwe_gate_core::time::UnixMillis;
use proxy_wasm::hostcalls;
use proxy_wasm::types::{LogLevel, MapType, MetricType, Status};

use crate::queue::WakeQueue;
use crate::raw;

/// The current time. The host always tells it.
pub(crate) fn now() -> UnixMillis {
    let since = hostcalls::get_current_time().ok().and_then(|now| now.duration_since(UNIX_EPOCH).ok());
    UnixMillis(since.and_then(|since| u64::try_from(since.as_millis()).ok()).unwrap_or(u64::MAX))
}

/// Fresh randomness: the keys of the standard library's hasher, which come from WASI's `random_get`.
pub(crate) fn seed() -> [u8; 16] {
    let state = RandomState::new();
    let (high, low) = (state.hash_one(0_u8), state.hash_one(1_u8));
    (u128::from(high) << 64 | u128::from(low)).to_le_bytes()
}

/// The headers of the request whose callback is running.
pub(crate) struct CurrentRequest {
    /// Whether the host shows all of them.
    pub(crate) are_complete: bool,
    /// Whether the host keeps their names in lower case.
    pub(crate) names_are_lower: bool,
}

impl RequestHeaders for CurrentRequest {
    fn map(&self) -> HeaderMap {
        let map = HeaderMap::new(raw::request_headers().unwrap_or_default());
        if self.names_are_lower { map } else { map.with_lower_names() }
    }

    /// In Envoy the address that `X-Forwarded-For`, the PROXY protocol and the like lead to, as far as its configuration
    /// trusts them. `NotFound` where a host does not know it.
    fn client(&self) -> Option<Vec<u8>> {
        hostcalls::get_property(vec!["source", "address"]).ok().flatten()
    }

    fn are_complete(&self) -> bool {
        self.are_complete
    }
}

/// Removes every line of a request header. Fine where there is none.
pub(crate) fn remove_header(name: &str) {
    // The proxy may refuse to drop what it needs itself; no such header is ever named here.
    let _ = hostcalls::remove_map_value(MapType::HttpRequestHeaders, name);
}

/// Makes this the only line of a request header, however many there were.
pub(crate) fn set_header(name: &str, value: &[u8]) {
    let _ = hostcalls::set_map_value_bytes(MapType::HttpRequestHeaders, name, Some(value));
}

/// Removes the trailers of the request whose callback is running that the gate refuses.
pub(crate) fn remove_trailers(refuses: impl Fn(&[u8]) -> bool) {
    let trailers = HeaderMap::new(raw::request_trailers().unwrap_or_default());
    for (name, _) in trailers.lines().filter(|(name, _)| refuses(name)) {
        let removed =
            std::str::from_utf8(name).map(|name| hostcalls::remove_map_value(MapType::HttpRequestTrailers, name));
        // As with headers: names that are not text are none that a proxy lets through.
        let _ = removed;
    }
}

/// The headers of the reply whose callback is running.
pub(crate) struct CurrentReply;

impl ReplyHeaders for CurrentReply {
    fn set_cookies(&self) -> Vec<Vec<u8>> {
        let map = hostcalls::get_map_bytes(MapType::HttpResponseHeaders).unwrap_or_default();
        let lines = map.into_iter().filter(|(name, _)| name.eq_ignore_ascii_case(SET_COOKIE));
        lines.map(|(_, line)| line).collect()
    }
}

/// Makes these the only `Set-Cookie` lines of the reply whose callback is running.
pub(crate) fn set_cookies(lines: &[Vec<u8>]) {
    let _ = hostcalls::remove_map_value(MapType::HttpResponseHeaders, SET_COOKIE);
    for line in lines {
        let _ = hostcalls::add_map_value_bytes(MapType::HttpResponseHeaders, SET_COOKIE, line);
    }
}

const SET_COOKIE: &str = "set-cookie";

/// Shared data of the proxy process, and the queue of one worker.
pub(crate) struct Shared {
    absent_cas: u32,
    /// Nothing where no worker can wake another.
    queue: Option<WakeQueue>,
}

impl Shared {
    pub(crate) fn new(has_queue: bool, absent_cas: u32) -> Self {
        Self { absent_cas, queue: has_queue.then(WakeQueue::default) }
    }
}

impl SharedData for Shared {
    fn get(&self, key: &SharedKey) -> (Option<Vec<u8>>, Cas) {
        match hostcalls::get_shared_data(&key.0) {
            Ok((value, Some(version))) => (value, Cas::Version(version)),
            _ => (None, Cas::Absent),
        }
    }

    fn put(&self, key: &SharedKey, value: &[u8], cas: Cas) -> bool {
        let cas = match cas {
            Cas::Absent => self.absent_cas,
            Cas::Version(version) => version,
        };
        hostcalls::set_shared_data(&key.0, Some(value), Some(cas)).is_ok()
    }

    fn queue(&self) -> Option<QueueId> {
        self.queue.as_ref()?.id(self)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(queue) = &self.queue {
            queue.give_back(self);
        }
    }
}

/// Registers a queue, which makes it one's own whoever had it. The host calls the root context when something is in it.
pub(crate) fn register_queue(name: &str) -> Option<QueueId> {
    hostcalls::register_shared_queue(name).ok().map(QueueId)
}

/// Puts a message into a queue.
pub(crate) fn enqueue(queue: QueueId, message: &[u8]) {
    // Nothing relies on a wake-up: what it does not bring about the next tick does.
    let _ = hostcalls::enqueue_shared_queue(queue.0, Some(message));
}

/// Empties a queue.
pub(crate) fn drain(queue: u32) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| hostcalls::dequeue_shared_queue(queue).ok().flatten()).collect()
}

/// Makes a callout. The context that acts is told how it ended.
///
/// # Errors
/// In Envoy `BadArgument` for an unknown cluster, `InternalFailure` for an empty one or an open circuit breaker. nginx
/// reports everything later.
pub(crate) fn dispatch(callout: &Callout) -> Result<u32, Status> {
    let body = callout.body.as_deref();
    let mut headers = vec![
        (":method", if body.is_some() { "POST" } else { "GET" }),
        (":scheme", "http"),
        (":authority", &*callout.authority),
        (":path", &*callout.target),
        (jwe_gate_contract::MAC_HEADER, &callout.mac),
    ];
    if body.is_some() {
        headers.push(("content-type", "application/json"));
    }
    hostcalls::dispatch_http_call(&callout.cluster, headers, body, vec![], callout.timeout)
}

/// The MAC that came with the answer to a callout.
pub(crate) fn answer_mac() -> Option<Vec<u8>> {
    hostcalls::get_map_value_bytes(MapType::HttpCallResponseHeaders, jwe_gate_contract::MAC_HEADER).ok().flatten()
}

/// Whether a callout brought an answer. nginx shows failures as headers too, and says in one how the callout ended.
pub(crate) fn is_answered() -> bool {
    let header = |name| hostcalls::get_map_value_bytes(MapType::HttpCallResponseHeaders, name).ok().flatten();
    header(":status").is_some() && header(":dispatch_status").is_none_or(|how| how == b"ok")
}

/// The body of the answer to a callout; nothing for one that is larger than any answer, or that broke off.
pub(crate) fn answer_body(size: usize) -> Option<Vec<u8>> {
    if size == 0 || size > jwe_gate_contract::MAX_BODY_BYTES {
        return None;
    }
    raw::answer_body(size)
}

/// Whether a callback can act on other requests than its own. A host that agrees to act on a context that cannot be acts
/// on its own whatever it is told.
pub(crate) fn acts_on_others() -> bool {
    !act_on(u32::MAX)
}

/// Makes the calls that follow act on this context; whether the host knows it.
pub(crate) fn act_on(context: u32) -> bool {
    hostcalls::set_effective_context(context).is_ok()
}

/// Lets a parked request go on.
pub(crate) fn resume() {
    let _ = hostcalls::resume_http_request();
}

/// Lets a reply go on that was held.
pub(crate) fn resume_reply() {
    let _ = hostcalls::resume_http_response();
}

/// Answers a request.
pub(crate) fn reply(status: u32, headers: Vec<(&str, &str)>, body: &[u8]) {
    let _ = hostcalls::send_http_response(status, headers, Some(body));
}

/// Answers a request that must not pass, without any word on why.
pub(crate) fn refuse() {
    reply(503, vec![("cache-control", "no-store")], b"{\"error\":\"unavailable\"}\n");
}

/// Ends a request and its stream.
pub(crate) fn cut() {
    let _ = hostcalls::reset_http_request();
}

/// Sets filter state of the request at hand, `wasm.<name>` in access logs of Envoy.
pub(crate) fn set_filter_state(name: &str, value: &str) {
    let _ = raw::set_property(name, value.as_bytes());
}

/// Sets a variable of the request at hand, `$<name>` in nginx; whether it is declared.
pub(crate) fn set_variable(name: &str, value: &[u8]) -> bool {
    raw::set_property(&format!("ngx\0{name}"), value)
}

/// Asks for ticks.
pub(crate) fn set_tick(period: Duration) {
    let _ = hostcalls::set_tick_period(period);
}

/// Writes to the proxy's log.
pub(crate) fn log(level: LogLevel, message: &str) {
    let _ = hostcalls::log(level, message);
}

/// Defines a counter, or finds it where another worker has.
pub(crate) fn counter(name: &str) -> Option<u32> {
    hostcalls::define_metric(MetricType::Counter, name).ok()
}

/// Defines a gauge, or finds it where another worker has.
pub(crate) fn gauge(name: &str) -> Option<u32> {
    hostcalls::define_metric(MetricType::Gauge, name).ok()
}

/// Sets a gauge.
pub(crate) fn record(gauge: u32, value: u64) {
    let _ = hostcalls::record_metric(gauge, value);
}

/// Adds to a counter.
pub(crate) fn count(counter: u32, amount: u64) {
    let _ = hostcalls::increment_metric(counter, i64::try_from(amount).unwrap_or(i64::MAX));
}
