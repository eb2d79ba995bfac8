//! Plays what the gate wants done.

use std::rc::Rc;

use jwe_gate_core::capabilities::Capabilities;
use jwe_gate_core::gate::{
    Admission, Annotations, Callout, CalloutId, ContextId, Edits, Effect, Event, HeaderEdit, LogLevel,
};
use jwe_gate_core::identity::Identity;
use jwe_gate_core::shared::SharedData;

use crate::host;
use crate::runtime::{InFlight, SharedRuntime};
use crate::variables;

/// What became of the request whose callback is running.
pub(crate) enum Played {
    /// It goes on.
    Forwarded,
    /// It waits, if it is not over.
    Held,
    /// It has been answered.
    Replied,
    /// Its reply waits.
    ReplyHeld,
}

/// Lets the gate handle an event and plays the effects. `current` is the request whose callback is running, if any:
/// the caller lets it go on, all others are resumed here.
pub(crate) fn play(runtime: &SharedRuntime, event: Event<'_>, current: Option<u32>) -> Played {
    let mut player = Player { runtime, current, played: Played::Held };
    player.handle(event);
    player.played
}

/// Tells the gate how a callout ended: the host's number of it, and how many headers and bytes came. `current` is the request
/// that made it, if a request did.
pub(crate) fn answered(
    runtime: &SharedRuntime,
    callout: CalloutId,
    (_, num_headers, body_size): (u32, usize, usize),
    current: Option<u32>,
) -> Played {
    // Without headers the callout was reset, and there is nothing to read.
    let (mac, body) = if num_headers > 0 && host::is_answered() {
        (host::answer_mac(), host::answer_body(body_size))
    } else {
        (None, None)
    };
    play(runtime, Event::Answered { callout, mac: mac.as_deref(), body: body.as_deref() }, current)
}

/// Says of the request at hand, which was admitted at once, who the user is. Whether all of it is told.
#[inline]
#[must_use]
pub(crate) fn admit(runtime: &SharedRuntime, admission: &Admission) -> bool {
    let Admission { identity, proof, annotations } = admission;
    if !annotations.0.is_empty() {
        annotate(runtime.borrow().capabilities, annotations);
    }
    name(identity, proof.as_ref())
}

struct Player<'a> {
    runtime: &'a SharedRuntime,
    current: Option<u32>,
    played: Played,
}

impl Player<'_> {
    fn handle(&mut self, event: Event<'_>) {
        let mut effects = self.runtime.borrow_mut().handle(event);
        for effect in effects.drain(..) {
            self.play(effect);
        }
        self.runtime.borrow_mut().effects = effects;
    }

    fn play(&mut self, effect: Effect) {
        match effect {
            Effect::Enqueue => {
                // Where nobody can be woken the next tick does it.
                let queue = self.runtime.borrow().shared.queue();
                if let Some(queue) = queue {
                    host::enqueue(queue, b"!");
                }
            }
            Effect::Dispatch(callout) => self.dispatch(&callout),
            Effect::Cut { context } if self.capabilities().acts_on_others => {
                self.on(context, host::cut);
            }
            Effect::Forward { context, edits, annotations } => {
                if self.act_on(context) {
                    annotate(self.capabilities(), &annotations);
                    self.forward(context, &edits);
                }
            }
            Effect::HoldReply { context } => self.ended(context, Played::ReplyHeld),
            Effect::Log { level, message } => host::log(log_level(level), &message),
            Effect::Cut { .. } | Effect::Park { .. } => {}
            Effect::ReleaseReply { context } => self.on(context, host::resume_reply),
            Effect::Reply { context, reply, annotations } => {
                if self.act_on(context) {
                    annotate(self.capabilities(), &annotations);
                    let headers = reply.headers.iter().map(|(name, value)| (*name, &**value));
                    host::reply(reply.status, headers, reply.body.as_bytes());
                    self.ended(context, Played::Replied);
                }
            }
            Effect::SetCookies { context, lines } => {
                if self.current == Some(context.0) {
                    host::set_cookies(&lines);
                }
            }
            Effect::SetTick(period) => host::set_tick(period),
            Effect::Wake { queue, message } => host::enqueue(queue, &message),
        }
    }

    fn dispatch(&mut self, callout: &Callout) {
        let root = self.runtime.borrow().root;
        let alone = !self.capabilities().acts_on_others;
        // Waiters of an earlier callout may have been acted on in this very callback.
        let dispatched = if alone || host::act_on(root) { host::dispatch(callout) } else { None };
        match dispatched {
            Some(call) => {
                let request = self.current.filter(|_| alone);
                let in_flight = InFlight { callout: callout.callout, request };
                self.runtime.borrow_mut().callouts.insert(call, in_flight);
            }
            None => self.handle(Event::DispatchFailed { callout: callout.callout }),
        }
    }

    fn on(&self, context: ContextId, act: impl FnOnce()) {
        if self.act_on(context) {
            act();
        }
    }

    fn act_on(&self, context: ContextId) -> bool {
        // A host that cannot act on others says that it can, and then acts on the request at hand.
        self.current == Some(context.0) || self.capabilities().acts_on_others && host::act_on(context.0)
    }

    fn capabilities(&self) -> Capabilities {
        self.runtime.borrow().capabilities
    }

    fn forward(&mut self, context: ContextId, edits: &Edits) {
        if self.capabilities().edits_headers {
            if !edit(edits) {
                refuse_unchanged();
                return self.ended(context, Played::Replied);
            }
        } else if !variables::tell(edits) {
            host::refuse();
            return self.ended(context, Played::Replied);
        }
        self.go_on(context);
    }

    fn ended(&mut self, context: ContextId, played: Played) {
        if self.current == Some(context.0) {
            self.played = played;
        }
    }

    fn go_on(&mut self, context: ContextId) {
        if self.current == Some(context.0) {
            self.played = Played::Forwarded;
        } else {
            host::resume();
        }
    }
}

fn annotate(capabilities: Capabilities, annotations: &Annotations) {
    let by_variable = !capabilities.edits_headers;
    for (name, value) in &annotations.0 {
        if by_variable {
            // Only logs read it: one that is not declared is not wanted.
            let _ = host::set_variable(&format!("jwe_{name}"), value.as_bytes());
        } else {
            host::set_filter_state(&format!("jwe_gate_{name}"), value);
        }
    }
}

/// Tells the app who the user is. Whatever the client calls by these names has been removed, so that the proxy need not look
/// for it. Whether all of it is told.
#[inline]
fn name(identity: &Identity, proof: Option<&(Rc<str>, Rc<str>)>) -> bool {
    identity.headers.iter().all(|(name, value)| host::add_header(name, value.as_bytes()))
        && proof.is_none_or(|(name, token)| host::add_header(name, token.as_bytes()))
}

/// Makes a request what goes on. Whether all of it is done.
fn edit(edits: &Edits) -> bool {
    edits.remove.iter().all(|name| host::remove_header(name))
        && edit_header("cookie", &edits.cookie)
        && edit_header("authorization", &edits.authorization)
        && edits.identity.as_ref().is_none_or(|identity| name(identity, edits.proof.as_ref()))
        && edits.set.iter().all(|(name, value)| host::set_header(name, value.as_bytes()))
}

fn edit_header(name: &str, edit: &HeaderEdit) -> bool {
    match edit {
        HeaderEdit::Keep => true,
        HeaderEdit::Remove => host::remove_header(name.as_bytes()),
        HeaderEdit::Replace(value) => host::set_header(name, value),
    }
}

/// What goes on is what the gate has made of it. A request that the proxy has left as it was may name anybody.
#[cold]
pub(crate) fn refuse_unchanged() {
    host::log(
        host::LogLevel::Error,
        "jwe-gate: a request is refused, as the proxy did not change its headers as it was told",
    );
    host::refuse();
}

fn log_level(level: LogLevel) -> host::LogLevel {
    match level {
        LogLevel::Info => host::LogLevel::Info,
        LogLevel::Warn => host::LogLevel::Warn,
    }
}
