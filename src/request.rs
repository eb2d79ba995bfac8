//! One request.

use jwe_gate_core::capabilities::Capabilities;
use jwe_gate_core::gate::{ContextId, Event};
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use crate::effects::{Played, answered, play};
use crate::host::{self, CurrentReply, CurrentRequest};
use crate::runtime::SharedRuntime;

/// The adapter's side of a request.
pub(crate) struct Request {
    context: u32,
    runtime: SharedRuntime,
    /// Whether the gate may have it in its list of waiting requests.
    held: bool,
}

impl Request {
    pub(crate) fn new(context: u32, runtime: SharedRuntime) -> Self {
        Self { context, runtime, held: false }
    }
}

impl Context for Request {
    /// Called where each request makes its own callout. Whatever has happened, the request is let go of or answered here:
    /// one that is left as it is would pass.
    fn on_http_call_response(&mut self, call: u32, num_headers: usize, body_size: usize, _num_trailers: usize) {
        let played = answered(&self.runtime, (call, num_headers, body_size), Some(self.context));
        let was_held = std::mem::take(&mut self.held);
        match played {
            Played::Forwarded => host::resume(),
            Played::Held if was_held => host::refuse(),
            Played::Held | Played::Replied | Played::ReplyHeld => {}
        }
    }
}

impl HttpContext for Request {
    fn on_http_request_headers(&mut self, num_headers: usize, _end_of_stream: bool) -> Action {
        let Capabilities { shown_headers, lowers_names, .. } = self.runtime.borrow().capabilities;
        let headers = CurrentRequest { are_complete: num_headers <= shown_headers, names_are_lower: lowers_names };
        let event = Event::RequestHeaders { context: ContextId(self.context), headers: &headers };
        match play(&self.runtime, event, Some(self.context)) {
            Played::Forwarded => Action::Continue,
            Played::Held => {
                self.held = true;
                Action::Pause
            }
            Played::Replied | Played::ReplyHeld => Action::Pause,
        }
    }

    /// Only called where there are trailers, which is never for HTTP/1.1 unless Envoy is told to.
    fn on_http_request_trailers(&mut self, _num_trailers: usize) -> Action {
        host::remove_trailers(|name| self.runtime.borrow().refuses_trailer(name));
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _num_headers: usize, _end_of_stream: bool) -> Action {
        if !self.runtime.borrow().watches_responses() {
            return Action::Continue;
        }
        let event = Event::ResponseHeaders { context: ContextId(self.context), headers: &CurrentReply };
        match play(&self.runtime, event, Some(self.context)) {
            Played::ReplyHeld => Action::Pause,
            Played::Forwarded | Played::Held | Played::Replied => Action::Continue,
        }
    }
}

impl Drop for Request {
    /// The host lets go of a request that is over, or whose client is gone. From here on nothing may act on it.
    fn drop(&mut self) {
        if self.held || self.runtime.borrow().watches_responses() {
            self.runtime.borrow_mut().forget_callouts(self.context);
            play(&self.runtime, Event::RequestGone { context: ContextId(self.context) }, None);
        }
    }
}

/// A request under a configuration that could not be read: refused, whatever it is.
pub(crate) struct Refused;

impl Context for Refused {}

impl HttpContext for Refused {
    fn on_http_request_headers(&mut self, _num_headers: usize, _end_of_stream: bool) -> Action {
        host::refuse();
        Action::Pause
    }
}
