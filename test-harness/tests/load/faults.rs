//! What happens when parts of the shipped chain fail while requests arrive: nobody is let in who was not known, whoever
//! was known passes as long as the records last, and whoever was refused stays out.

use jwe_gate_test_harness::chain::{Chain, Lifetimes, Plan, Seen};
use jwe_gate_test_harness::health;

/// In the database, and asked about before anything fails.
const KNOWN: &str = "1";
/// In the database until just before the failure.
const REMOVED: &str = "2";
/// Never in the database.
const UNKNOWN: &str = "900";

/// Every second is a new lookup, and what was known then is good for the rest of the test.
const LASTING: Lifetimes = Lifetimes { fresh: 1, denied: 1, hard: 3600 };

/// Long enough to be seen to be used, short enough to be waited for.
const BRIEF: Lifetimes = Lifetimes { fresh: 1, denied: 1, hard: 3 };

#[test]
fn without_redis_everybody_is_still_answered_right() {
    let mut chain = chain(LASTING);
    assert_right(&chain, "10", "910");
    assert_ne!(redis_records(&chain), 0, "Redis takes part");
    let traffic = chain.traffic(&[KNOWN, UNKNOWN]);

    chain.redis.node_mut().kill();
    assert_right(&chain, "11", "911");
    chain.redis.node_mut().restart().unwrap();
    // It comes back empty, and is used again.
    let mut newcomers = 30..90;
    while redis_records(&chain) == 0 {
        assert!(chain.visit(&newcomers.next().expect("Redis is used again").to_string()).is_admitted());
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    chain.redis.node().pause().unwrap();
    assert_right(&chain, "12", "912");
    chain.redis.node().resume().unwrap();
    assert_right(&chain, "13", "913");

    let seen = traffic.stop();
    assert_all(&seen, KNOWN, Seen::is_admitted);
    assert_all(&seen, UNKNOWN, is_refused);
    health::check(&chain.envoy);
}

#[test]
fn while_postgres_fails_what_was_known_stands_and_nothing_new_is_believed() {
    let mut chain = chain(LASTING);
    outage(&mut chain, ["20", "920"], |chain| chain.postgres.kill(), |chain| chain.postgres.restart().unwrap());
    outage(
        &mut chain,
        ["21", "921"],
        |chain| chain.postgres.pause().unwrap(),
        |chain| chain.postgres.resume().unwrap(),
    );
}

#[test]
fn while_the_lookup_service_fails_what_was_known_stands_and_nothing_new_is_believed() {
    let mut chain = chain(LASTING);
    outage(&mut chain, ["20", "920"], |chain| chain.service.kill(), |chain| chain.service.restart().unwrap());
    outage(&mut chain, ["21", "921"], |chain| chain.service.pause().unwrap(), |chain| chain.service.resume().unwrap());
}

#[test]
fn known_users_pass_until_their_records_run_out_and_then_nobody_does() {
    let mut chain = chain(BRIEF);
    run_out(&mut chain, |chain| chain.postgres.kill(), |chain| chain.postgres.restart().unwrap());
    run_out(&mut chain, |chain| chain.service.kill(), |chain| chain.service.restart().unwrap());
}

/// A failure that ends before the records do. Neither `newcomer`, who is in the database, nor `stranger`, who is not, was
/// ever asked about.
fn outage(chain: &mut Chain, [newcomer, stranger]: [&str; 2], fail: fn(&mut Chain), mend: fn(&mut Chain)) {
    settle(chain);
    let traffic = chain.traffic(&[KNOWN, UNKNOWN, REMOVED]);
    fail(chain);
    await_fallbacks(chain);
    assert!(chain.visit(KNOWN).is_admitted());
    assert!(is_refused(&chain.visit(UNKNOWN)));
    assert!(is_refused(&chain.visit(REMOVED)));
    assert!(is_put_off(&chain.visit(newcomer)));
    assert!(is_put_off(&chain.visit(stranger)));

    mend(chain);
    assert!(chain.visit_until(newcomer, 200).iter().all(is_put_off));
    assert!(chain.visit_until(stranger, 403).iter().all(is_put_off));
    let seen = traffic.stop();
    assert_all(&seen, KNOWN, Seen::is_admitted);
    assert_all(&seen, UNKNOWN, is_refused);
    assert_all(&seen, REMOVED, is_refused);
    health::check(&chain.envoy);
}

/// A failure that outlasts the records.
fn run_out(chain: &mut Chain, fail: fn(&mut Chain), mend: fn(&mut Chain)) {
    settle(chain);
    fail(chain);
    let before = chain.visit_until(KNOWN, 503);
    assert!(!before.is_empty() && before.iter().all(Seen::is_admitted), "{before:?}");
    for refused in [UNKNOWN, REMOVED] {
        assert!(chain.visit_until(refused, 503).iter().all(is_refused));
    }
    for subject in [KNOWN, UNKNOWN, REMOVED] {
        assert!(is_put_off(&chain.visit(subject)), "{subject}");
    }

    mend(chain);
    assert!(chain.visit_until(KNOWN, 200).iter().all(is_put_off));
    for refused in [UNKNOWN, REMOVED] {
        assert!(chain.visit_until(refused, 403).iter().all(is_put_off));
    }
}

/// Lets the gate learn who is known, who is not, and who is no longer.
fn settle(chain: &Chain) {
    chain.sql(&format!("INSERT INTO users (id) VALUES ({REMOVED}) ON CONFLICT DO NOTHING"));
    assert!(chain.visit(KNOWN).is_admitted());
    assert!(is_refused(&chain.visit(UNKNOWN)));
    assert!(chain.visit_until(REMOVED, 200).iter().all(is_refused));
    chain.sql(&format!("DELETE FROM users WHERE id = {REMOVED}"));
    assert!(chain.visit_until(REMOVED, 403).iter().all(Seen::is_admitted));
    assert!(chain.visit(KNOWN).is_admitted());
}

/// Waits until what is known is past its time and used all the same.
fn await_fallbacks(chain: &mut Chain) {
    let count = |stats: &std::collections::BTreeMap<String, u64>| stats.get("wasmcustom.jwe_gate.fallback").copied();
    let before = count(&chain.envoy.stats().unwrap()).unwrap_or(0);
    // Each of the three users of the traffic.
    let enough = |now: Option<u64>| now.is_some_and(|now| now >= before + 3);
    chain.envoy.wait_until("known users to be served past their time", |stats| enough(count(stats))).unwrap();
}

fn assert_right(chain: &Chain, newcomer: &str, stranger: &str) {
    for known in [KNOWN, newcomer] {
        let seen = chain.visit(known);
        assert!(seen.is_admitted(), "{seen:?}\n{}", chain.service.log());
    }
    for unknown in [UNKNOWN, stranger] {
        let seen = chain.visit(unknown);
        assert!(is_refused(&seen), "{seen:?}\n{}", chain.service.log());
    }
}

fn assert_all(seen: &[Seen], subject: &str, is_so: fn(&Seen) -> bool) {
    let mut of_subject = seen.iter().filter(|seen| seen.subject == subject).peekable();
    assert!(of_subject.peek().is_some(), "{subject} was not seen");
    let other: Vec<_> = of_subject.filter(|seen| !is_so(seen)).collect();
    assert!(other.is_empty(), "{other:?}");
}

fn is_refused(seen: &Seen) -> bool {
    seen.status == 403 && seen.is_kept_out()
}

/// Told to come again, and the app has heard nothing of it.
fn is_put_off(seen: &Seen) -> bool {
    seen.status == 503 && seen.is_kept_out() && seen.retry_after.is_some()
}

fn redis_records(chain: &Chain) -> u32 {
    chain.redis.node().command(&["DBSIZE"]).unwrap().parse().unwrap()
}

fn chain(lifetimes: Lifetimes) -> Chain {
    let users = "INSERT INTO users (id) SELECT * FROM generate_series(1, 99)";
    Plan::new(env!("CARGO_BIN_EXE_lookup-service"), "pg-adapter", users).lifetimes(lifetimes).start()
}
