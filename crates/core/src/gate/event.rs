//! What the gate is told, and what it wants done.

use std::borrow::Cow;
use std::ops::Deref;
use std::rc::Rc;
use std::time::Duration;

use super::reply::Reply;
use crate::headers::HeaderMap;
use crate::identity::Identity;
use crate::shared::QueueId;

/// A request, as the host numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContextId(pub u32);

/// A callout, as the gate numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CalloutId(pub u64);

/// What happened.
#[derive(Clone, Copy)]
pub enum Event<'a> {
    /// The configuration has taken effect.
    Configured,
    /// A request's headers have come, and [`Gate::admit_known`](super::Gate::admit_known) has not admitted it. Answered by
    /// exactly one of forward, reply and park for this context.
    RequestHeaders {
        /// The request.
        context: ContextId,
        /// Its headers.
        headers: &'a dyn RequestHeaders,
    },
    /// The headers of the reply to a request that was forwarded.
    ResponseHeaders {
        /// The request.
        context: ContextId,
        /// The reply's headers.
        headers: &'a dyn ReplyHeaders,
    },
    /// The request is over, or its client has gone. Nothing may be done to it any more. Of those that did not wait it is
    /// said only where [`Gate::watches_responses`](super::Gate::watches_responses).
    RequestGone {
        /// The request.
        context: ContextId,
    },
    /// These messages have come by the queue of this worker, its own and those of others; callouts may be made now.
    QueueMessages(&'a [Vec<u8>]),
    /// Time has passed; callouts may be made now.
    Tick,
    /// The host would not send a callout.
    DispatchFailed {
        /// The callout.
        callout: CalloutId,
    },
    /// A callout has come to an end.
    Answered {
        /// The callout.
        callout: CalloutId,
        /// The MAC of the body, if there was one.
        mac: Option<&'a [u8]>,
        /// The body, if there was one.
        body: Option<&'a [u8]>,
    },
    /// An answer came to a callout that the adapter does not know.
    UnknownAnswer,
}

impl Event<'_> {
    /// Whether it matters when it happened. What a request comes to after it went on does not depend on the time, and to ask
    /// the host for it costs.
    #[must_use]
    pub fn is_timed(&self) -> bool {
        !matches!(self, Self::ResponseHeaders { .. } | Self::RequestGone { .. })
    }
}

/// The request at hand.
pub trait RequestHeaders {
    /// Every header, in order: one crossing of the sandbox for all of them.
    fn map(&self) -> &HeaderMap;

    /// The address of the client, with or without a port, as the proxy has made sure of it: never what a header of the
    /// client says by itself.
    fn client(&self) -> Option<Vec<u8>>;

    /// Whether [`RequestHeaders::map`] holds all: some hosts show only so many.
    fn are_complete(&self) -> bool;
}

/// The headers of a reply, read only if they are needed.
pub trait ReplyHeaders {
    /// The lines of `Set-Cookie`, in order.
    fn set_cookies(&self) -> Vec<Vec<u8>>;
}

/// What is to be done.
#[derive(Debug)]
pub enum Effect {
    /// Ask for [`Event::QueueMessages`] in the root context, soon.
    Enqueue,
    /// Make a callout: from the root context, or from the request at hand where the host acts on no other.
    Dispatch(Callout),
    /// End a request and its stream.
    Cut {
        /// The request.
        context: ContextId,
    },
    /// Let a request go on to the upstream with these changes; resume it if it was parked.
    Forward {
        /// The request.
        context: ContextId,
        /// The changes.
        edits: Edits,
        /// What access logs are told.
        annotations: Annotations,
    },
    /// Hold the reply at hand until [`ReleaseReply`](Self::ReleaseReply) names it.
    HoldReply {
        /// The request.
        context: ContextId,
    },
    /// Tell the operator.
    Log {
        /// How urgent it is.
        level: LogLevel,
        /// What to say; never a token, a claim or a subject.
        message: String,
    },
    /// Hold a request until a later effect names it.
    Park {
        /// The request.
        context: ContextId,
    },
    /// Let a reply go on that was held.
    ReleaseReply {
        /// The request.
        context: ContextId,
    },
    /// Answer a request here.
    Reply {
        /// The request.
        context: ContextId,
        /// The answer.
        reply: Reply,
        /// What access logs are told.
        annotations: Annotations,
    },
    /// Let these be the only `Set-Cookie` lines of the reply at hand.
    SetCookies {
        /// The request.
        context: ContextId,
        /// The lines.
        lines: Vec<Vec<u8>>,
    },
    /// Tick this often from now on.
    SetTick(Duration),
    /// Put a message into the queue of another worker. Nothing relies on its arrival.
    Wake {
        /// The queue.
        queue: QueueId,
        /// What has ended.
        message: Vec<u8>,
    },
}

/// How urgent a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Lifecycle.
    Info,
    /// Something is degraded or should be put right.
    Warn,
}

/// A callout to the lookup service.
#[derive(Debug)]
pub struct Callout {
    /// Its number.
    pub callout: CalloutId,
    /// The proxy's cluster.
    pub cluster: Rc<str>,
    /// The `:authority`.
    pub authority: Rc<str>,
    /// The request target: path and query.
    pub target: Cow<'static, str>,
    /// The MAC of the body, or of the target where there is none, for [`MAC_HEADER`](jwe_gate_contract::MAC_HEADER).
    pub mac: String,
    /// The body of a `POST`; a `GET` has none.
    pub body: Option<Vec<u8>>,
    /// How long to wait for the answer.
    pub timeout: Duration,
}

/// What changes in a request before it goes on. In the order of the fields.
#[derive(Clone, Debug, Default)]
pub struct Edits {
    /// Headers to remove, every line of them.
    pub remove: Vec<Vec<u8>>,
    /// The cookies that may go on.
    pub cookie: HeaderEdit,
    /// The credentials that may go on.
    pub authorization: HeaderEdit,
    /// Who the user is.
    pub identity: Option<Rc<Identity>>,
    /// The identity once more, signed: the header, and the token.
    pub proof: Option<(Rc<str>, Rc<str>)>,
    /// What the app, and caches before it, are told of a request that nobody is named in. Each takes the place of all
    /// lines of its name.
    pub set: Vec<(&'static str, &'static str)>,
}

impl Edits {
    /// The memory that they hold beside themselves, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let names: usize = self.remove.iter().map(|name| size_of::<Vec<u8>>() + name.len()).sum();
        names + self.cookie.bytes() + self.authorization.bytes()
    }
}

/// What becomes of one header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum HeaderEdit {
    /// It stays as it is.
    #[default]
    Keep,
    /// All its lines go.
    Remove,
    /// All its lines make room for this one.
    Replace(Vec<u8>),
}

impl HeaderEdit {
    fn bytes(&self) -> usize {
        match self {
            Self::Replace(value) => value.len(),
            Self::Keep | Self::Remove => 0,
        }
    }
}

/// What access logs are told of a decision; only what the configuration asks for.
#[derive(Clone, Debug, Default)]
pub struct Annotations(pub Vec<(&'static str, Text)>);

/// A text that is the same for many requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Text {
    /// One of a fixed set.
    Fixed(&'static str),
    /// One of a user or a rule.
    Shared(Rc<str>),
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Fixed(text) => text,
            Self::Shared(text) => text,
        }
    }
}
