//! The lookup service: answers whether a subject is known, from Redis and Postgres.
//!
//! [`service::assemble`] makes a [`http::Service`] of [`settings::Settings`], and [`service::serve`] serves it. Tests put
//! a [`lookup::Lookup`] together from parts of their own and call the [`http::router`] without a network.
#![forbid(unsafe_code)]

mod batch;
pub mod cache;
pub mod clock;
mod flight;
pub mod http;
pub mod key;
pub mod lookup;
pub mod metrics;
pub mod program;
pub mod record;
pub mod revocation;
pub mod schema;
pub mod selection;
pub mod service;
pub mod settings;
pub mod store;
