//! Ending sessions on a whole fleet of real Envoys: streams, order, wake-ups that are lost, restarts, partitions, beginnings.
//!
//! What is promised of time is what the service says in its receipts; that alone is asserted, and all times are printed.
#![expect(clippy::expect_used, reason = "helpers of tests are tests too")]

mod feed;
mod partition;
mod restarts;

use std::time::{Duration, Instant};

use jwe_gate_test_harness::fleet::{Fleet, Open, Plan, session};
use jwe_gate_test_harness::health;
use jwe_gate_test_parts::streaming::Streaming;

fn plan(proxies: usize) -> Plan {
    Plan::new(env!("CARGO_BIN_EXE_lookup-service"), proxies)
}

/// So many proxies before an app, all of which admit sessions.
fn fleet(proxies: usize) -> (Fleet, Streaming) {
    let app = Streaming::start().expect("the app starts");
    let fleet = plan(proxies).start(app.address()).expect("all parts start");
    fleet.admit(&session("bob", "other"));
    (fleet, app)
}

/// Nothing trapped, and nobody else was touched.
fn is_well(fleet: &Fleet) {
    for proxy in &fleet.proxies {
        assert_eq!(proxy.in_a_row(&session("bob", "other")), [200]);
        health::check(proxy.envoy());
    }
}

/// Fails if the session was admitted later than is promised after this moment.
fn is_refused_in_time(fleet: &Fleet, cookie: &str, receipt: Instant) -> Duration {
    let last = fleet.refuse(cookie).map_or(Duration::ZERO, |last| last.saturating_duration_since(receipt));
    assert!(last <= fleet.promised().expect("a receipt"), "admitted {last:?} after the receipt");
    last
}

#[test]
fn streams_of_a_user_who_signs_out_are_cut_on_all_proxies_and_those_of_others_go_on() {
    let (fleet, _app) = fleet(3);
    let (phone, laptop, other) = (session("alice", "phone"), session("alice", "laptop"), session("bob", "other"));
    fleet.admit(&phone);
    let open = |cookie: &str, number: usize| -> Vec<_> {
        let connections = fleet.proxies.iter().flat_map(|proxy| std::iter::repeat_n(proxy, number));
        connections.flat_map(|proxy| Open::both(|| proxy.connect(), cookie)).collect()
    };
    let doomed = open(&phone, 4);
    let others: Vec<_> = [&laptop, &other].into_iter().flat_map(|cookie| open(cookie, 2)).collect();
    doomed.iter().chain(&others).for_each(Open::goes_on);

    let sent = Instant::now();
    fleet.proxies[1].sign_out(&phone).unwrap();
    let receipt = Instant::now();
    let cut: Vec<_> = doomed.iter().map(|stream| stream.cut_after(receipt)).collect();
    let last = cut.iter().max().unwrap();
    println!(
        "acknowledged after {:?}; the last of {} streams on three proxies cut {last:?} later",
        receipt - sent,
        doomed.len()
    );
    assert!(*last <= fleet.promised().unwrap());
    others.iter().for_each(Open::goes_on);
    is_refused_in_time(&fleet, &phone, receipt);
    fleet.admit(&laptop);
    is_well(&fleet);
}
