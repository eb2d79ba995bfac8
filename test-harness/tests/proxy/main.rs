//! The filter in a real Envoy, and what nginx does by itself under the shipped configuration. `make test-envoy-matrix` runs
//! most of it in each supported version of Envoy.
//!
//! One program, since each one links compilers and databases anew; the tests share what it costs to start.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "helpers of tests are tests, and some are shared with other programs"
)]

#[path = "../common/cases.rs"]
mod cases;
#[path = "../common/deployer.rs"]
mod deployer;
mod fields;
mod h2;
mod hostile;
mod hot_swap;
mod lookup_cluster;
mod nginx;
mod paths;
mod recipes;
mod refusals;
mod remint;
mod schemas_chain;
mod shipped;
mod spoofing;
mod stage;
mod vectors;
