//! The whole site under load and through failures: slower than the other tests, and they keep the machine busy. What counts
//! every late answer runs beside none of them, as a program of its own (`soak`, `swap`).
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "helpers of tests are tests, and some are shared with other programs"
)]

mod cached_content;
mod fault_matrix;
mod faults;
mod uploads;
mod warm;
