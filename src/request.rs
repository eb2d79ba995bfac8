//! Requests.

use jwe_gate_core::gate::{ContextId, Event};

use crate::contexts;
use crate::effects::{self, Played, play};
use crate::host::{self, CurrentReply, CurrentRequest};
use crate::runtime::{Runtime, SharedRuntime};

/// What becomes of the request or the reply whose callback is running, as the ABI numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Action {
    Continue = 0,
    Pause = 1,
}

/// A request has come.
pub(crate) fn headers(context: u32, num_headers: usize) -> Action {
    let Some(runtime) = contexts::begin(context) else {
        // Its configuration could not be read.
        host::refuse();
        return Action::Pause;
    };
    let headers = CurrentRequest::read(runtime.borrow().capabilities, num_headers);
    let admission = runtime.borrow_mut().admit_known(ContextId(context), &headers);
    let Some(admission) = admission else { return decide(&runtime, context, &headers) };
    if !effects::admit(&runtime, &admission) {
        effects::refuse_unchanged();
        return Action::Pause;
    }
    keep(&runtime, context, false);
    Action::Continue
}

#[cold]
fn decide(runtime: &SharedRuntime, context: u32, headers: &CurrentRequest) -> Action {
    let event = Event::RequestHeaders { context: ContextId(context), headers };
    let played = play(runtime, event, Some(context));
    keep(runtime, context, matches!(played, Played::Held));
    if matches!(played, Played::Forwarded) { Action::Continue } else { Action::Pause }
}

/// Remembers a request until it ends, where its reply or its end may matter. Elsewhere nearly all are over for the filter.
#[inline]
fn keep(runtime: &SharedRuntime, context: u32, held: bool) {
    let Runtime { root, keeps_requests, .. } = &*runtime.borrow();
    if held || *keeps_requests {
        contexts::keep(context, *root, held);
    }
}

/// The trailers of a request have come.
pub(crate) fn trailers(context: u32) -> Action {
    // Of a request that is not remembered, what any configuration refuses.
    let runtimes = contexts::of_request(context).map_or_else(contexts::roots, |runtime| vec![runtime]);
    if !host::remove_trailers(|name| runtimes.iter().any(|runtime| runtime.borrow().refuses_trailer(name))) {
        effects::refuse_unchanged();
        return Action::Pause;
    }
    Action::Continue
}

/// The reply to a request has come.
pub(crate) fn reply_headers(context: u32) -> Action {
    let Some(runtime) = contexts::of_request(context).filter(|runtime| runtime.borrow().watches_responses()) else {
        return Action::Continue;
    };
    let event = Event::ResponseHeaders { context: ContextId(context), headers: &CurrentReply };
    match play(&runtime, event, Some(context)) {
        Played::ReplyHeld => Action::Pause,
        Played::Forwarded | Played::Held | Played::Replied => Action::Continue,
    }
}

/// A callout has ended: the host's number of it, and how many headers and bytes came. `context` is whose it is, as the host says.
pub(crate) fn answered(context: u32, answer: (u32, usize, usize)) {
    let (call, ..) = answer;
    let asked = contexts::roots().into_iter().find_map(|runtime| {
        let in_flight = runtime.borrow_mut().callouts.remove(&call)?;
        Some((runtime, in_flight))
    });
    let Some((runtime, in_flight)) = asked else { return unknown_answer(context) };
    let request = in_flight.request;
    // Its headers and its body are those of this context.
    host::act_on(request.unwrap_or(runtime.borrow().root));
    let played = effects::answered(&runtime, in_flight.callout, answer, request);
    if let Some(context) = request {
        go_on(context, &played);
    }
}

#[cold]
fn unknown_answer(context: u32) {
    if let Some(runtime) = contexts::root(context).or_else(|| contexts::of_request(context)) {
        play(&runtime, Event::UnknownAnswer, None);
    }
    go_on(context, &Played::Held);
}

/// Where each request makes its own callout. Whatever has happened, the request is let go of or answered here: one that is
/// left as it is would pass.
fn go_on(context: u32, played: &Played) {
    let was_held = contexts::release(context);
    match played {
        Played::Forwarded => host::resume(),
        Played::Held if was_held => host::refuse(),
        Played::Held | Played::Replied | Played::ReplyHeld => {}
    }
}

/// A request is over that was kept, or its client has gone.
pub(crate) fn gone(runtime: &SharedRuntime, context: u32, held: bool) {
    if held || runtime.borrow().watches_responses() {
        runtime.borrow_mut().forget_callouts(context);
        play(runtime, Event::RequestGone { context: ContextId(context) }, None);
    }
}
