//! The filter: a thin adapter between a proxy-wasm host (ABI 0.2.1) and the gate in `jwe-gate-core`.
//!
//! It reads what the gate asks for, plays the effects that the gate returns, and holds no policy of its own: what is
//! worth a unit test is in the core. [`callbacks`] is what the host calls, [`abi`] what it is called for; between them every
//! use of the host has one wrapper in [`host`].
//! Where proxies differ it asks for their capabilities, which the configuration gives by the name of the proxy.

mod abi;
mod callbacks;
mod contexts;
mod effects;
mod host;
mod queue;
mod request;
mod root;
mod runtime;
mod variables;
