//! The test host itself: what it models of a proxy, shown by small guests.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod callouts;
mod headers;
mod lifecycle;
mod nginx;
mod sharing;
mod support;
mod time;
mod waiting;
