//! Scenarios of the gate, written once, and the drivers that run them.
//!
//! A scenario says what a client sends and what can be observed: the reply, what the app is told, which questions
//! reach the lookup service, what is counted. [`Driver`]s run it on the core alone, on the artefact in wasmtime as Envoy
//! and as nginx would run it, and on the artefact in a real Envoy. Every scenario runs on every driver; where proxies differ
//! it expects what the [`driver::Traits`] of the driver say.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::needless_for_each,
    clippy::panic,
    clippy::return_self_not_must_use,
    clippy::unwrap_used,
    reason = "this is test code: a panic is how it reports"
)]

pub mod artefact;
pub mod burst;
pub mod chain;
pub mod driver;
pub mod faults;
pub mod feed;
pub mod fleet;
pub mod health;
pub mod lookup;
pub mod nginx_conf;
pub mod request;
pub mod scenario;
pub mod scenarios;
pub mod soak;
pub mod steps;
pub mod token;

pub use driver::{Driver, Outcome};
pub use lookup::{FakeLookup, Mood};
pub use request::Request;
pub use scenario::{Scenario, Setup, World};
pub use token::Token;
