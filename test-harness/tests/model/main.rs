//! Revocation against a model: whatever the order in which users sign in, refresh and sign out, replicas and proxies restart
//! and connections break, no session that has ended is admitted once the promised delay has passed, and none is refused
//! that nobody ended.
//!
//! The filter is the artefact, in two proxies of two workers each. The service is the real one, two replicas of it, on a
//! store in memory and on the test's clock: a database's clock cannot be set. What is in SQL is tested where it is, in the
//! service's own tests.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests are tests too"
)]

mod contact;
mod database;
mod fleet;
mod proxy;
mod run;
mod service;
mod sessions;
mod step;

use proptest::test_runner::{Config, TestRunner};

/// Another number of cases: `PROPTEST_CASES`.
const CASES: u32 = 200;

#[test]
fn whatever_happens_sessions_that_have_ended_are_refused_and_no_others() {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(CASES);
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 500, ..Config::default() };
    let explored = TestRunner::new(config).run(&step::stories(), |story| {
        run::play(&story);
        Ok(())
    });
    if let Err(error) = explored {
        panic!("{error}");
    }
}
