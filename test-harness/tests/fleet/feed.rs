//! The way of a revocation from the database to all proxies.

use std::thread;
use std::time::{Duration, Instant};

use jwe_gate_test_harness::fleet::{end_session, session, wait_until};
use jwe_gate_test_parts::fault_proxy::Mode;

use crate::{fleet, is_refused_in_time, is_well};

/// What the service writes of a session, but for the notification.
fn written(sid: &str) -> String {
    format!(
        "UPDATE jwe_gate_feed SET seq = seq + 1; \
         INSERT INTO jwe_gate_revocations SELECT realm, seq, 'by hand {sid}', 'session', '{sid}', 'proxy', \
         0, 0, 0, 9700000000000 FROM jwe_gate_feed"
    )
}

#[test]
fn a_writer_with_a_lower_number_that_commits_last_is_missed_by_no_proxy() {
    let (fleet, _app) = fleet(3);
    let (first, second) = (session("alice", "first"), session("alice", "second"));
    fleet.admit(&first);
    fleet.admit(&second);
    let sql = |statements: &str| fleet.postgres.run_sql(&fleet.database, statements).unwrap();
    let low = format!("BEGIN; {}; SELECT pg_advisory_lock_shared(1); COMMIT", written("first"));
    thread::scope(|scope| {
        // The first writer has its number, and does not commit before it may.
        let hold = "SELECT pg_advisory_lock(1); SELECT pg_sleep(60)";
        let holder = scope.spawn(|| fleet.postgres.run_sql(&fleet.database, hold));
        let advisory = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted =";
        wait_until("the lock", || sql(&format!("{advisory} true")) == "1");
        let low = scope.spawn(|| sql(&low));
        wait_until("the first writer to have its number", || sql(&format!("{advisory} false")) == "1");
        let high = scope.spawn(|| end_session(fleet.services[0].address(), "second"));
        let blocked = "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity USING (pid) \
                       WHERE NOT l.granted AND query LIKE '%jwe_gate_feed%' AND locktype <> 'advisory'";
        wait_until("the second writer to wait", || sql(blocked) != "0");
        assert!(!high.is_finished(), "the higher number is acknowledged before the lower one is visible");
        sql("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted");
        assert!(holder.join().unwrap().is_err(), "it was to hold the lock until now");
        low.join().unwrap();
        let receipt = high.join().unwrap().unwrap();
        assert_eq!(receipt.seq, 2);
    });
    let committed = Instant::now();
    for cookie in [&first, &second] {
        is_refused_in_time(&fleet, cookie, committed);
    }
    is_well(&fleet);
}

#[test]
fn wake_ups_that_are_lost_cost_no_more_time_than_is_promised() {
    let (fleet, _app) = fleet(2);
    let sql = |statements: &str| fleet.postgres.run_sql(&fleet.database, statements).unwrap();
    // Nobody is told: what writes does not notify.
    let silent = session("alice", "silent");
    fleet.admit(&silent);
    sql(&written("silent"));
    let last = is_refused_in_time(&fleet, &silent, Instant::now());
    println!("without a notification: last admitted {last:?} after the commit");

    // The listeners are gone for a second. The replica that does not write, and alone can be reached, finds it by itself.
    for (replica, sid) in ["one", "another"].into_iter().enumerate() {
        let cookie = session("alice", sid);
        fleet.admit(&cookie);
        fleet.is_whole();
        fleet.proxies.iter().for_each(|proxy| proxy.link(replica, Mode::Reset));
        let listening = "FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND pid <> pg_backend_pid()";
        wait_until("both replicas to listen", || sql(&format!("SELECT count(*) {listening}")) == "2");
        sql(&format!("SELECT pg_terminate_backend(pid) {listening}"));
        end_session(fleet.services[replica].address(), sid).unwrap();
        let last = is_refused_in_time(&fleet, &cookie, Instant::now());
        println!("notification lost: last admitted {last:?} after the receipt");
        fleet.proxies.iter().for_each(|proxy| proxy.link(replica, Mode::Pass));
    }
    is_well(&fleet);
}

#[test]
fn a_replica_that_cannot_be_reached_or_is_silent_does_not_keep_revocations_from_proxies() {
    let (fleet, _app) = fleet(2);
    for mode in [Mode::Refuse, Mode::Pause] {
        let cookie = session("alice", &format!("{mode:?}"));
        fleet.admit(&cookie);
        fleet.is_whole();
        fleet.proxies.iter().for_each(|proxy| proxy.link(0, mode));
        end_session(fleet.services[1].address(), &format!("{mode:?}")).unwrap();
        let receipt = Instant::now();
        let last = fleet.refuse(&cookie).map_or(Duration::ZERO, |last| last.saturating_duration_since(receipt));
        println!("one replica away, {mode:?}: last admitted {last:?} after the receipt");
        fleet.proxies.iter().for_each(|proxy| proxy.link(0, Mode::Pass));
    }
    is_well(&fleet);
}
