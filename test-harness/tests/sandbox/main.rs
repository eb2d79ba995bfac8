//! The filter in the test host: what needs its clock, its shared data and its order of events, and no real proxy.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "helpers of tests are tests, and some are shared with other programs"
)]

mod artefact;
#[path = "../common/cases.rs"]
mod cases;
mod headers;
mod interleavings;
mod nginx;
mod parts;
mod queues;
mod shared_data;
mod together;
mod vectors;
