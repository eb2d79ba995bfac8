//! What a test can ask about afterwards: requests, replies, callouts, log lines, traps and misuse.

use crate::abi::Level;
use crate::headers::Headers;
use crate::ids::{CallId, RequestId, RootId, VmId};

/// A request as the client makes it.
#[derive(Debug, Clone)]
pub struct Request {
    /// Header lines, pseudo headers included.
    pub headers: Headers,
    /// Whether no body follows.
    pub end_of_stream: bool,
    /// The client's address, the property `source.address`.
    pub source_address: String,
}

impl Request {
    /// A request without a body, from a client on this machine.
    #[must_use]
    pub fn new(headers: impl Into<Headers>) -> Self {
        Self { headers: headers.into(), end_of_stream: true, source_address: "127.0.0.1:40000".to_owned() }
    }
}

/// Where a request stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It went to the upstream with these headers.
    Forwarded(Headers),
    /// The client left, or the test ended it, while it was parked.
    Gone,
    /// It waits for the filter.
    Parked,
    /// The client got a reply from the filter or, after a trap, from the proxy.
    Replied(Reply),
    /// The filter cut it.
    Reset,
}

/// Where a response stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// It went to the client with these headers.
    Forwarded(Headers),
    /// There is no response to be had: the request was never forwarded, or is over.
    NotExpected,
    /// It waits for the filter.
    Parked,
    /// The client got this in its place.
    Replied(Reply),
    /// The filter cut it.
    Reset,
}

/// A reply that did not come from the upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// Its headers as the client gets them, `:status` aside.
    pub headers: Headers,
    /// Its body.
    pub body: Vec<u8>,
    /// The gRPC status, if the filter gave one that exists.
    pub grpc_status: Option<u32>,
    /// What the access log calls it.
    pub details: String,
}

/// A callout that a filter made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Its handle.
    pub id: CallId,
    /// The worker it was made on.
    pub vm: VmId,
    /// Who made it.
    pub from: Caller,
    /// The cluster.
    pub upstream: String,
    /// Its headers.
    pub headers: Headers,
    /// Its body.
    pub body: Vec<u8>,
    /// Its trailers.
    pub trailers: Headers,
    /// How long the filter gives it; zero is for ever.
    pub timeout_ms: u64,
}

/// Which context made a callout. The host delivers the answer to the root context either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// A request's context. The Rust SDK drops the answer when that request is gone.
    Request(RequestId),
    /// A root context.
    Root(RootId),
    /// A root context of a VM that tries a configuration out.
    Canary,
}

/// How an upstream answers a callout.
#[derive(Debug, Clone)]
pub enum Answer {
    /// With a response. A missing `:status` becomes 200.
    Http {
        /// Its headers.
        headers: Headers,
        /// Its body.
        body: Vec<u8>,
    },
    /// By closing the connection: the filter sees no headers at all.
    Reset,
    /// With a response whose body breaks off. Envoy shows it as a reset; nginx hands it over, and fails when it is read.
    CutOff {
        /// Its headers.
        headers: Headers,
    },
    /// Not at all, for nothing listens there: the filter sees a plain 503.
    Refused,
    /// Too late: the filter sees a plain 504.
    Timeout,
}

/// What a cluster does when a callout is dispatched. One that was never set is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cluster {
    /// Takes callouts; the test answers them.
    Reachable,
    /// Has no host, or a tripped circuit breaker: dispatching fails at once.
    Unavailable,
    /// Is not configured: dispatching fails at once, and differently.
    Unknown,
}

/// What a failed VM means for the requests that follow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FailurePolicy {
    /// Every later request is answered 503.
    FailClosed,
    /// The next request gets a new VM.
    #[default]
    FailReload,
}

/// A line that a filter logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// The worker.
    pub vm: VmId,
    /// Whether the VM was only trying a configuration out.
    pub canary: bool,
    /// How important it is.
    pub level: Level,
    /// The text; what is not UTF-8 is replaced.
    pub text: String,
}

/// A callback that did not come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trap {
    /// The worker.
    pub vm: VmId,
    /// Whether the VM was only trying a configuration out.
    pub canary: bool,
    /// The callback.
    pub callback: String,
    /// The context that it was called for.
    pub context: u32,
    /// Whether it ran for too long, as a loop without an end does.
    pub out_of_fuel: bool,
    /// What the engine says.
    pub message: String,
}

/// Something that a correct filter never does, though no status tells it so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misuse {
    /// The request, where it is about one.
    pub request: Option<RequestId>,
    /// What was done.
    pub kind: MisuseKind,
}

/// Kinds of misuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MisuseKind {
    /// Something was done that takes the whole worker down, with all its requests.
    CrashedWorker,
    /// A reply for a request that is over or already answered.
    RepliedTwice,
    /// A reply from a context that has no request.
    RepliedWithoutRequest,
    /// A request or response was resumed that was not parked.
    ResumedNotParked,
}
