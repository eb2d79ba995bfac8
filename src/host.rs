//! What is asked of the host, one wrapper each. Only bytes come from clients, never text.
//!
//! Most calls cannot fail where they are made, and where one does there is nobody to tell: what relies on an outcome gets it,
//! and nothing else looks at it.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use jwe_gate_core::capabilities::Capabilities;
use jwe_gate_core::gate::{Callout, ReplyHeaders, RequestHeaders};
use jwe_gate_core::headers::HeaderMap;
use jwe_gate_core::shared::{Cas, QueueId, SharedData, SharedKey};
use jwe_gate_core::time::UnixMillis;

use crate::abi;
use crate::queue::WakeQueue;

/// How urgent a message in the proxy's log is, as the ABI numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum LogLevel {
    Info = 2,
    Warn = 3,
    Error = 4,
    Critical = 5,
}

/// The current time. The host always tells it.
pub(crate) fn now() -> UnixMillis {
    UnixMillis(abi::current_time().map_or(u64::MAX, |nanoseconds| nanoseconds / 1_000_000))
}

/// The configuration of the root context whose callback is running, of this size.
pub(crate) fn configuration(size: usize) -> Vec<u8> {
    abi::buffer(abi::PLUGIN_CONFIGURATION, size).filter(|_| size > 0).unwrap_or_default()
}

/// Fresh randomness: the keys of the standard library's hasher, which come from WASI's `random_get`.
pub(crate) fn seed() -> [u8; 16] {
    let state = RandomState::new();
    let (high, low) = (state.hash_one(0_u8), state.hash_one(1_u8));
    (u128::from(high) << 64 | u128::from(low)).to_le_bytes()
}

/// The headers of the request whose callback is running.
pub(crate) struct CurrentRequest {
    map: HeaderMap,
    are_complete: bool,
}

impl CurrentRequest {
    /// Reads them. The host shows so many of them at most, and keeps their names in lower case or not; there are `count`.
    #[inline]
    pub(crate) fn read(Capabilities { shown_headers, lowers_names, .. }: Capabilities, count: usize) -> Self {
        let map = HeaderMap::new(abi::map(abi::REQUEST_HEADERS).unwrap_or_default());
        let map = if lowers_names { map } else { map.with_lower_names() };
        // One without any is one that could not be read.
        let are_complete = count <= shown_headers && !map.as_bytes().is_empty();
        Self { map, are_complete }
    }
}

impl Drop for CurrentRequest {
    fn drop(&mut self) {
        abi::recycle(std::mem::take(&mut self.map).into_bytes());
    }
}

impl RequestHeaders for CurrentRequest {
    fn map(&self) -> &HeaderMap {
        &self.map
    }

    /// In Envoy the address that `X-Forwarded-For`, the PROXY protocol and the like lead to, as far as its configuration
    /// trusts them. nginx does not know it.
    fn client(&self) -> Option<Vec<u8>> {
        abi::property("source\0address")
    }

    fn are_complete(&self) -> bool {
        self.are_complete
    }
}

/// Removes every line of a request header. Whether there is none any more.
#[must_use]
pub(crate) fn remove_header(name: &[u8]) -> bool {
    remove(abi::REQUEST_HEADERS, name)
}

/// Adds a line to the headers of a request. Whether it is there.
#[must_use]
pub(crate) fn add_header(name: &str, value: &[u8]) -> bool {
    abi::add_map_value(abi::REQUEST_HEADERS, name, value)
}

/// Makes this the only line of a request header, however many there were. Whether it is.
#[must_use]
pub(crate) fn set_header(name: &str, value: &[u8]) -> bool {
    abi::replace_map_value(abi::REQUEST_HEADERS, name, value)
}

/// Removes the trailers of the request whose callback is running that the gate refuses. Whether there are none any more.
#[must_use]
pub(crate) fn remove_trailers(refuses: impl Fn(&[u8]) -> bool) -> bool {
    let trailers = HeaderMap::new(abi::map(abi::REQUEST_TRAILERS).unwrap_or_default());
    let mut removed = trailers.lines().map(|(name, _)| name).filter(|name| refuses(name));
    removed.all(|name| remove(abi::REQUEST_TRAILERS, name))
}

fn remove(map: u32, name: &[u8]) -> bool {
    // The host takes names as text, and proxies let no others through.
    std::str::from_utf8(name).is_ok_and(|name| abi::remove_map_value(map, name))
}

/// The headers of the reply whose callback is running.
pub(crate) struct CurrentReply;

impl ReplyHeaders for CurrentReply {
    fn set_cookies(&self) -> Vec<Vec<u8>> {
        let map = HeaderMap::new(abi::map(abi::RESPONSE_HEADERS).unwrap_or_default());
        let lines = map.lines().filter(|(name, _)| name.eq_ignore_ascii_case(SET_COOKIE.as_bytes()));
        lines.map(|(_, line)| line.to_vec()).collect()
    }
}

/// Makes these the only `Set-Cookie` lines of the reply whose callback is running.
pub(crate) fn set_cookies(lines: &[Vec<u8>]) {
    abi::remove_map_value(abi::RESPONSE_HEADERS, SET_COOKIE);
    for line in lines {
        abi::add_map_value(abi::RESPONSE_HEADERS, SET_COOKIE, line);
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
        match abi::shared_data(&key.0) {
            // No version is zero.
            Some((value, version @ 1..)) => (value, Cas::Version(version)),
            _ => (None, Cas::Absent),
        }
    }

    fn put(&self, key: &SharedKey, value: &[u8], cas: Cas) -> bool {
        let cas = match cas {
            Cas::Absent => self.absent_cas,
            Cas::Version(version) => version,
        };
        abi::set_shared_data(&key.0, value, cas)
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
    abi::register_queue(name).map(QueueId)
}

/// Puts a message into a queue.
pub(crate) fn enqueue(queue: QueueId, message: &[u8]) {
    // Nothing relies on a wake-up: what it does not bring about the next tick does.
    abi::enqueue(queue.0, message);
}

/// Empties a queue.
pub(crate) fn drain(queue: u32) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| abi::dequeue(queue)).collect()
}

const NO_TRAILERS: [(&str, &str); 0] = [];

/// Makes a callout, and says which one it is; nothing where the proxy would not: in Envoy for an unknown cluster, an empty
/// one, or an open circuit breaker. nginx reports everything later. The context that acts is told how it ended.
pub(crate) fn dispatch(callout: &Callout) -> Option<u32> {
    let method = if callout.body.is_some() { "POST" } else { "GET" };
    let line = [
        (":method", method),
        (":scheme", "http"),
        (":authority", &*callout.authority),
        (":path", &*callout.target),
        (jwe_gate_contract::MAC_HEADER, &callout.mac),
    ];
    let content = callout.body.is_some().then_some(("content-type", "application/json"));
    let headers: HeaderMap = line.into_iter().chain(content).collect();
    let trailers = HeaderMap::from_iter(NO_TRAILERS);
    let body = callout.body.as_deref().unwrap_or_default();
    let timeout = u32::try_from(callout.timeout.as_millis()).unwrap_or(u32::MAX);
    abi::http_call(&callout.cluster, headers.as_bytes(), body, trailers.as_bytes(), timeout)
}

/// The MAC that came with the answer to a callout.
pub(crate) fn answer_mac() -> Option<Vec<u8>> {
    abi::map_value(abi::HTTP_CALL_RESPONSE_HEADERS, jwe_gate_contract::MAC_HEADER)
}

/// Whether a callout brought an answer. nginx shows failures as headers too, and says in one how the callout ended.
pub(crate) fn is_answered() -> bool {
    let header = |name| abi::map_value(abi::HTTP_CALL_RESPONSE_HEADERS, name);
    header(":status").is_some() && header(":dispatch_status").is_none_or(|how| how == b"ok")
}

/// The body of the answer to a callout; nothing for one that is larger than any answer, or that broke off.
pub(crate) fn answer_body(size: usize) -> Option<Vec<u8>> {
    if size == 0 || size > jwe_gate_contract::MAX_BODY_BYTES {
        return None;
    }
    abi::buffer(abi::HTTP_CALL_RESPONSE_BODY, size)
}

/// Whether a callback can act on other requests than its own. A host that agrees to act on a context that cannot be acts
/// on its own whatever it is told.
pub(crate) fn acts_on_others() -> bool {
    !act_on(u32::MAX)
}

/// Makes the calls that follow act on this context; whether the host knows it.
pub(crate) fn act_on(context: u32) -> bool {
    abi::set_effective_context(context)
}

/// Lets a parked request go on.
pub(crate) fn resume() {
    abi::continue_stream(abi::REQUEST);
}

/// Lets a reply go on that was held.
pub(crate) fn resume_reply() {
    abi::continue_stream(abi::RESPONSE);
}

/// Answers a request.
pub(crate) fn reply<'a>(status: u32, headers: impl IntoIterator<Item = (&'a str, &'a str)>, body: &[u8]) {
    let headers: HeaderMap = headers.into_iter().collect();
    abi::send_local_response(status, headers.as_bytes(), body);
}

/// Answers a request that must not pass, without any word on why.
pub(crate) fn refuse() {
    reply(503, [("cache-control", "no-store")], b"{\"error\":\"unavailable\"}\n");
}

/// Ends a request and its stream.
pub(crate) fn cut() {
    abi::close_stream(abi::REQUEST);
}

/// Sets filter state of the request at hand, `wasm.<name>` in access logs of Envoy.
pub(crate) fn set_filter_state(name: &str, value: &str) {
    let _ = abi::set_property(name, value.as_bytes());
}

/// Sets a variable of the request at hand, `$<name>` in nginx; whether it is declared.
pub(crate) fn set_variable(name: &str, value: &[u8]) -> bool {
    abi::set_property(&format!("ngx\0{name}"), value)
}

/// Asks for ticks.
pub(crate) fn set_tick(period: Duration) {
    abi::set_tick_period(u32::try_from(period.as_millis()).unwrap_or(u32::MAX));
}

/// Writes to the proxy's log.
pub(crate) fn log(level: LogLevel, message: &str) {
    abi::log(level as u32, message.as_bytes());
}

/// Defines a counter, or finds it where another worker has.
pub(crate) fn counter(name: &str) -> Option<u32> {
    abi::define_metric(abi::COUNTER, name)
}

/// Defines a gauge, or finds it where another worker has.
pub(crate) fn gauge(name: &str) -> Option<u32> {
    abi::define_metric(abi::GAUGE, name)
}

/// Sets a gauge.
pub(crate) fn record(gauge: u32, value: u64) {
    abi::record_metric(gauge, value);
}

/// Adds to a counter.
pub(crate) fn count(counter: u32, amount: u64) {
    abi::increment_metric(counter, i64::try_from(amount).unwrap_or(i64::MAX));
}
