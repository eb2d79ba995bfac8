//! The lookup service against real servers.
#![expect(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod batches;
mod contract;
mod embedded;
mod fields;
mod flights;
mod ids;
mod outages;
mod plans;
mod process;
mod redis;
mod redis_topologies;
mod replicas;
mod revocations;
mod schemas;
mod settings;
mod shedding;
mod support;
