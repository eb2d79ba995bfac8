//! Root contexts: one configuration in one worker each.

use std::cell::RefCell;
use std::rc::Rc;

use jwe_gate_core::config::Config;
use jwe_gate_core::gate::{Event, Gate};
use jwe_gate_core::policy::Policy;

use crate::effects::play;
use crate::host::{self, LogLevel};
use crate::runtime::{Runtime, SharedRuntime};

/// Takes a configuration of this size; nothing if it is refused.
pub(crate) fn configure(root: u32, size: usize) -> Option<SharedRuntime> {
    let json = host::configuration(size);
    let environment = |name: &str| std::env::var(name).ok();
    let config = Config::from_json(&json, &environment).map_err(|error| refuse(&error.to_string())).ok()?;
    let capabilities = config.host.capabilities();
    if host::acts_on_others() != capabilities.acts_on_others {
        refuse(&format!("host: this proxy is not `{}`", config.host.as_str()));
        return None;
    }
    let policy = Policy::compile(config).map_err(|error| refuse(&format!("sessions: {error}"))).ok()?;
    let gate = Gate::new(policy, host::seed());
    let runtime = Rc::new(RefCell::new(Runtime::new(gate, root, capabilities)));
    play(&runtime, Event::Configured, None);
    Some(runtime)
}

fn refuse(error: &str) {
    host::log(LogLevel::Error, &format!("jwe-gate: configuration refused: {error}"));
}

/// Something is in a queue.
pub(crate) fn queue_ready(runtime: Option<&SharedRuntime>, queue: u32) {
    let messages = host::drain(queue);
    if let Some(runtime) = runtime {
        play(runtime, Event::QueueMessages(&messages), None);
    }
}

/// Time has passed.
pub(crate) fn tick(runtime: &SharedRuntime) {
    play(runtime, Event::Tick, None);
    runtime.borrow_mut().flush_counters();
    runtime.borrow_mut().show_gauges();
}

/// The configuration is not in use any more.
pub(crate) fn gone(runtime: &SharedRuntime) {
    runtime.borrow_mut().flush_counters();
}
