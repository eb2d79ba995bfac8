//! Plays what the gate wants done.

use std::rc::Rc;

use jwe_gate_core::claims::Session;
use jwe_gate_core::gate::{Annotations, Callout, ContextId, Edits, Effect, Effects, Event, HeaderEdit, LogLevel};

use crate::host;
use crate::runtime::SharedRuntime;

/// What became of the request whose callback is running.
pub(crate) enum Played {
    /// It goes on.
    Forwarded(Option<Rc<Session>>),
    /// It has been answered, or waits.
    Held,
}

/// Lets the gate handle an event and plays the effects. `current` is the request whose callback is running, if any:
/// it goes on by the callback's return value, all others by being resumed.
pub(crate) fn play(runtime: &SharedRuntime, event: Event<'_>, current: Option<u32>) -> Played {
    let mut player = Player { runtime, current, played: Played::Held };
    player.handle(event);
    player.played
}

struct Player<'a> {
    runtime: &'a SharedRuntime,
    current: Option<u32>,
    played: Played,
}

impl Player<'_> {
    fn handle(&mut self, event: Event<'_>) {
        let mut effects = Effects::new();
        self.runtime.borrow_mut().handle(event, &mut effects);
        for effect in effects {
            self.play(effect);
        }
    }

    fn play(&mut self, effect: Effect) {
        match effect {
            Effect::Enqueue => {
                let queue = self.runtime.borrow().queue();
                queue.into_iter().for_each(host::enqueue);
            }
            Effect::Dispatch(callout) => self.dispatch(&callout),
            Effect::Cut { context } => self.on(context, host::cut),
            Effect::Forward { context, edits, session, annotations } => {
                if self.act_on(context) {
                    annotate(&annotations);
                    edit(&edits);
                    self.go_on(context, session);
                }
            }
            Effect::Log { level, message } => host::log(log_level(level), &message),
            Effect::Park { .. } => {}
            Effect::Put { set, cas, value, put } => {
                if !host::put(&set, &value, cas) {
                    self.handle(Event::PutConflicted(put));
                }
            }
            Effect::Reply { context, reply, annotations } => self.on(context, || {
                annotate(&annotations);
                let headers = reply.headers.iter().map(|(name, value)| (*name, &**value)).collect();
                host::reply(reply.status, headers, reply.body.as_bytes());
            }),
            Effect::SetTick(period) => host::set_tick(period),
        }
    }

    fn dispatch(&mut self, callout: &Callout) {
        let root = self.runtime.borrow().root;
        // Waiters of an earlier callout may have been acted on in this very callback.
        let dispatched = if host::act_on(root) { host::dispatch(callout).ok() } else { None };
        match dispatched {
            Some(call) => drop(self.runtime.borrow_mut().callouts.insert(call, callout.callout)),
            None => self.handle(Event::DispatchFailed { callout: callout.callout }),
        }
    }

    fn on(&self, context: ContextId, act: impl FnOnce()) {
        if self.act_on(context) {
            act();
        }
    }

    fn act_on(&self, context: ContextId) -> bool {
        self.current == Some(context.0) || host::act_on(context.0)
    }

    fn go_on(&mut self, context: ContextId, session: Option<Rc<Session>>) {
        if self.current == Some(context.0) {
            self.played = Played::Forwarded(session);
            return;
        }
        if let Some(session) = session {
            self.runtime.borrow_mut().resumed.insert(context.0, session);
        }
        host::resume();
    }
}

fn annotate(annotations: &Annotations) {
    if let Some(reason) = annotations.reason {
        host::set_filter_state("jwe_gate_reason", reason);
    }
    if let Some(subject) = &annotations.subject {
        host::set_filter_state("jwe_gate_subject", subject);
    }
}

fn edit(edits: &Edits) {
    for name in &edits.remove {
        // Names that are not text are none that a proxy lets through.
        std::str::from_utf8(name).into_iter().for_each(host::remove_header);
    }
    edit_header("cookie", &edits.cookie);
    edit_header("authorization", &edits.authorization);
    if let Some((name, identity)) = &edits.identity {
        host::set_header(name, identity.user_id.as_bytes());
    }
    for (name, value) in &edits.set {
        host::set_header(name, value.as_bytes());
    }
}

fn edit_header(name: &str, edit: &HeaderEdit) {
    match edit {
        HeaderEdit::Keep => {}
        HeaderEdit::Remove => host::remove_header(name),
        HeaderEdit::Replace(value) => host::set_header(name, value),
    }
}

fn log_level(level: LogLevel) -> proxy_wasm::types::LogLevel {
    match level {
        LogLevel::Info => proxy_wasm::types::LogLevel::Info,
        LogLevel::Warn => proxy_wasm::types::LogLevel::Warn,
    }
}
