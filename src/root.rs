//! The root context: one configuration in one worker.

use std::cell::RefCell;
use std::rc::Rc;

use jwe_gate_core::config::Config;
use jwe_gate_core::gate::{Event, Gate};
use jwe_gate_core::policy::Policy;
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{BufferType, ContextType, LogLevel};

use crate::effects::{answered, play};
use crate::host;
use crate::request::{Refused, Request};
use crate::runtime::{Runtime, SharedRuntime};

/// The adapter's side of a configuration.
pub(crate) struct Root {
    context: u32,
    /// Nothing until a configuration has been accepted.
    runtime: Option<SharedRuntime>,
}

impl Root {
    pub(crate) fn new(context: u32) -> Self {
        Self { context, runtime: None }
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, size: usize) -> bool {
        let json = if size == 0 { None } else { hostcalls::get_buffer(BufferType::PluginConfiguration, 0, size).ok() };
        let environment = |name: &str| std::env::var(name).ok();
        let config = match Config::from_json(&json.flatten().unwrap_or_default(), &environment) {
            Ok(config) => config,
            Err(error) => {
                host::log(LogLevel::Error, &format!("jwe-gate: configuration refused: {error}"));
                return false;
            }
        };
        let capabilities = config.host.capabilities();
        if host::acts_on_others() != capabilities.acts_on_others {
            let error = format!("host: this proxy is not `{}`", config.host.as_str());
            host::log(LogLevel::Error, &format!("jwe-gate: configuration refused: {error}"));
            return false;
        }
        let policy = match Policy::compile(config) {
            Ok(policy) => policy,
            Err(error) => {
                host::log(LogLevel::Error, &format!("jwe-gate: configuration refused: sessions: {error}"));
                return false;
            }
        };
        let seed = host::seed();
        let gate = Gate::new(policy, seed);
        let runtime = Rc::new(RefCell::new(Runtime::new(gate, self.context, capabilities)));
        play(&runtime, Event::Configured, None);
        self.runtime = Some(runtime);
        true
    }

    fn create_http_context(&self, context: u32) -> Option<Box<dyn HttpContext>> {
        Some(match &self.runtime {
            Some(runtime) => Box::new(Request::new(context, runtime.clone())),
            None => Box::new(Refused),
        })
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn on_queue_ready(&mut self, queue: u32) {
        let messages = host::drain(queue);
        if let Some(runtime) = &self.runtime {
            play(runtime, Event::QueueMessages(&messages), None);
        }
    }

    fn on_tick(&mut self) {
        if let Some(runtime) = &self.runtime {
            play(runtime, Event::Tick, None);
            runtime.borrow_mut().flush_counters();
            runtime.borrow_mut().show_gauges();
        }
    }
}

impl Context for Root {
    fn on_http_call_response(&mut self, call: u32, num_headers: usize, body_size: usize, _num_trailers: usize) {
        let Some(runtime) = &self.runtime else { return };
        answered(runtime, (call, num_headers, body_size), None);
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        if let Some(runtime) = &self.runtime {
            runtime.borrow_mut().flush_counters();
        }
    }
}
