//! The filter: a thin adapter between a proxy-wasm host (ABI 0.2.1) and the gate in `jwe-gate-core`.
//!
//! It reads what the gate asks for, plays the effects that the gate returns, and holds no policy of its own: what is
//! worth a unit test is in the core. Every host function that is used has one wrapper in [`host`].
//! Where proxies differ it asks for their capabilities, which the configuration gives by the name of the proxy.

#![expect(missing_docs, reason = "the SDK's macro makes the module's only public item, the entry point")]

mod effects;
mod host;
mod queue;
mod raw;
mod request;
mod root;
mod runtime;
mod variables;

use proxy_wasm::types::LogLevel;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|context| Box::new(root::Root::new(context)));
}}
