//! One request inside the host.

use std::collections::BTreeMap;

use crate::headers::Headers;
use crate::ids::{At, RootId};
use crate::report::{Outcome, Reply, Response};

/// How far a request has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The filter is looking at the request headers.
    Arriving,
    Parked,
    Forwarded,
    /// The filter is looking at the response headers.
    Answering,
    AnswerParked,
    Answered,
    Replied,
    Reset,
    Gone,
}

/// Variables of a request, as nginx has them.
pub(crate) type Variables = BTreeMap<String, Vec<u8>>;

/// A request, its maps, and what may be done to it now.
#[expect(clippy::struct_excessive_bools, reason = "they are independent of one another and of the phase")]
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) root: RootId,
    pub(crate) at: At,
    pub(crate) phase: Phase,
    pub(crate) request: Headers,
    /// Filters reach the request headers only until the request goes on.
    pub(crate) request_open: bool,
    pub(crate) response: Headers,
    pub(crate) response_open: bool,
    /// While the access log is written, both maps can be read, whatever is open.
    pub(crate) logging: bool,
    pub(crate) request_body: Vec<u8>,
    pub(crate) response_body: Vec<u8>,
    pub(crate) reply: Option<Reply>,
    /// The proxy itself answered for a VM that failed: the filter is not asked about that reply.
    pub(crate) failed: bool,
    pub(crate) closed: bool,
    pub(crate) source_address: String,
    pub(crate) filter_state: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(crate) variables: Variables,
    /// The request headers as nginx holds them for the upstream, whatever the filter has removed.
    pub(crate) wire: Headers,
    /// What the upstream got.
    pub(crate) delivered: Option<Headers>,
}

impl Stream {
    pub(crate) fn new(root: RootId, at: At, request: Headers, source_address: String, variables: Variables) -> Self {
        Self {
            root,
            at,
            phase: Phase::Arriving,
            wire: request.clone(),
            request,
            request_open: true,
            response: Headers::new(),
            response_open: false,
            logging: false,
            request_body: Vec::new(),
            response_body: Vec::new(),
            reply: None,
            failed: false,
            closed: false,
            source_address,
            filter_state: BTreeMap::new(),
            variables,
            delivered: None,
        }
    }

    pub(crate) fn outcome(&self) -> Outcome {
        match (self.phase, &self.reply) {
            (Phase::Reset, _) => Outcome::Reset,
            (_, Some(reply)) => Outcome::Replied(reply.clone()),
            (Phase::Arriving | Phase::Parked, None) => Outcome::Parked,
            (Phase::Gone | Phase::Replied, None) => Outcome::Gone,
            (Phase::Forwarded | Phase::Answering | Phase::AnswerParked | Phase::Answered, None) => {
                Outcome::Forwarded(self.delivered.as_ref().unwrap_or(&self.request).clone())
            }
        }
    }

    pub(crate) fn response(&self) -> Response {
        match (self.phase, &self.reply) {
            (Phase::Reset, _) => Response::Reset,
            (_, Some(reply)) => Response::Replied(reply.clone()),
            (Phase::Answering | Phase::AnswerParked, None) => Response::Parked,
            (Phase::Answered, None) => Response::Forwarded(self.response.clone()),
            _ => Response::NotExpected,
        }
    }

    /// The client still waits for the head of a response.
    pub(crate) fn can_be_replied_to(&self) -> bool {
        !self.closed
            && matches!(
                self.phase,
                Phase::Arriving | Phase::Parked | Phase::Forwarded | Phase::Answering | Phase::AnswerParked
            )
    }
}
