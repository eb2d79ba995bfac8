//! One request.

use std::rc::Rc;

use jwe_gate_core::claims::Session;
use jwe_gate_core::gate::{ContextId, Event};
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use crate::effects::{Played, play};
use crate::host::{self, CurrentRequest};
use crate::runtime::SharedRuntime;

/// The adapter's side of a request.
pub(crate) struct Request {
    context: u32,
    runtime: SharedRuntime,
    /// For whom it was forwarded in its own callback.
    session: Option<Rc<Session>>,
    /// Whether the gate may have it in its list of waiting requests.
    held: bool,
}

impl Request {
    pub(crate) fn new(context: u32, runtime: SharedRuntime) -> Self {
        Self { context, runtime, session: None, held: false }
    }
}

impl Context for Request {}

impl HttpContext for Request {
    fn on_http_request_headers(&mut self, _num_headers: usize, _end_of_stream: bool) -> Action {
        let event = Event::RequestHeaders { context: ContextId(self.context), headers: &CurrentRequest };
        match play(&self.runtime, event, Some(self.context)) {
            Played::Forwarded(session) => {
                self.session = session;
                Action::Continue
            }
            Played::Held => {
                self.held = true;
                Action::Pause
            }
        }
    }

    fn on_http_response_headers(&mut self, _num_headers: usize, _end_of_stream: bool) -> Action {
        if !self.runtime.borrow().watches_responses() {
            return Action::Continue;
        }
        let resumed = || self.runtime.borrow_mut().resumed.remove(&self.context);
        if let Some(session) = self.session.take().or_else(resumed) {
            let event = Event::ResponseHeaders { context: ContextId(self.context), session: &session };
            play(&self.runtime, event, Some(self.context));
        }
        Action::Continue
    }
}

impl Drop for Request {
    /// The host lets go of a request that is over, or whose client is gone. From here on nothing may act on it.
    fn drop(&mut self) {
        if self.held {
            self.runtime.borrow_mut().resumed.remove(&self.context);
            play(&self.runtime, Event::RequestGone { context: ContextId(self.context) }, None);
        }
    }
}

/// A request under a configuration that could not be read: refused, whatever it is.
pub(crate) struct Refused;

impl Context for Refused {}

impl HttpContext for Refused {
    fn on_http_request_headers(&mut self, _num_headers: usize, _end_of_stream: bool) -> Action {
        host::reply(503, vec![("cache-control", "no-store")], b"{\"error\":\"unavailable\"}\n");
        Action::Pause
    }
}
