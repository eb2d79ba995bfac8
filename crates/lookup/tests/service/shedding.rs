//! More than can be done: some is refused at once, and nothing is done that nobody waits for.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use jwe_gate_contract::{Cause, Outcome};
use jwe_gate_lookup::clock::Clock;
use jwe_gate_lookup::lookup::Load;
use jwe_gate_lookup::store::UserStore;
use jwe_gate_test_parts::postgres::Postgres;

use crate::flights::Gated;
use crate::outages::impatient;
use crate::support::{FRESHNESS, World, assert_allows, eventually, numbered_users};

const UNAVAILABLE: Outcome = Outcome::Failed { cause: Cause::Unavailable };

fn world_under(load: Load, store: impl UserStore + 'static) -> World {
    World::under(load, Arc::new(store), None, FRESHNESS, Clock::default())
}

fn gated(questions: usize) -> (World, Gated) {
    let store = Gated::closed();
    (world_under(Load { questions, queries: 1 }, store.clone()), store)
}

#[tokio::test]
async fn beyond_the_bound_the_answer_is_failed_at_once_and_then_there_is_room_again() {
    let (world, store) = gated(10);
    let first = tokio::spawn({
        let world = world.clone();
        async move { world.subjects_at_once(1..=10).await }
    });
    eventually("the first ten", || world.under_way() == 10).await;
    // Nothing has been answered, and these do not wait.
    for outcome in world.subjects_at_once(11..=30).await {
        assert_eq!(outcome, UNAVAILABLE);
    }
    assert_eq!(world.count(&["shed_questions_total", "full"]), 20);
    // Who asks for what is under way takes room as well.
    assert_eq!(world.subject("1").await, UNAVAILABLE);
    store.gate.add_permits(100);
    for (number, outcome) in (1..).zip(first.await.unwrap()) {
        assert_allows(&outcome, &i32::to_string(&number));
    }
    eventually("room", || world.under_way() == 0).await;
    assert_allows(&world.subject("30").await, "30");
}

#[tokio::test]
async fn whoever_is_refused_and_known_passes_by_the_last_record() {
    let (world, store) = gated(1);
    store.gate.add_permits(1);
    assert_allows(&world.subject("7").await, "7");
    world.clock.advance(Duration::from_secs(700));
    let blocking = tokio::spawn({
        let world = world.clone();
        async move { world.subject("8").await }
    });
    eventually("the other question", || world.under_way() == 1).await;
    let Outcome::Allow { limits, .. } = world.subject("7").await else { panic!() };
    assert_eq!((limits.fresh_ms, limits.stale_ms), (0, 0));
    assert_eq!(world.subject("9").await, UNAVAILABLE);
    blocking.abort();
}

#[tokio::test]
async fn what_is_answered_from_memory_needs_no_room() {
    let (world, store) = gated(1);
    store.gate.add_permits(1);
    assert_allows(&world.subject("7").await, "7");
    let mut blocking = Box::pin(world.subject("8"));
    assert!(blocking.as_mut().now_or_never().is_none());
    assert_allows(&world.subject("7").await, "7");
}

#[tokio::test]
async fn a_question_whose_time_is_over_before_its_turn_is_not_sent_to_the_database() {
    let (world, store) = gated(100);
    let mut first = Box::pin(world.subject("first"));
    assert!(first.as_mut().now_or_never().is_none());
    eventually("the first query", || store.queries().len() == 1).await;
    let hasty = World { deadline_ms: 50, ..world.clone() };
    assert_eq!(hasty.subject("hasty").await, Outcome::Failed { cause: Cause::Late });
    let mut patient = Box::pin(world.subject("patient"));
    assert!(patient.as_mut().now_or_never().is_none());
    store.gate.add_permits(100);
    assert_allows(&first.await, "first");
    assert_allows(&patient.await, "patient");
    assert_eq!(store.queries(), [["first"], ["patient"]]);
    assert_eq!(world.count(&["shed_questions_total", "gone"]) + world.count(&["shed_questions_total", "late"]), 1);
}

#[tokio::test]
async fn a_question_whose_asker_has_gone_is_not_sent_to_the_database_unless_others_wait() {
    let (world, store) = gated(100);
    let mut first = Box::pin(world.subject("first"));
    assert!(first.as_mut().now_or_never().is_none());
    eventually("the first query", || store.queries().len() == 1).await;
    let mut gone: Vec<_> = ["gone", "shared"].map(|key| Box::pin(world.subject(key))).into();
    let mut staying = Box::pin(world.subject("shared"));
    for asking in gone.iter_mut().chain([&mut staying]) {
        assert!(asking.as_mut().now_or_never().is_none());
    }
    drop(gone);
    store.gate.add_permits(100);
    assert_allows(&first.await, "first");
    assert_allows(&staying.await, "shared");
    assert_eq!(store.queries(), [["first"], ["shared"]]);
    assert_eq!(world.count(&["shed_questions_total", "gone"]), 1);
    eventually("room", || world.under_way() == 0).await;
    assert_allows(&world.subject("gone").await, "gone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_postgres_under_load_fails_everybody_in_time_and_recovers_by_itself() {
    let postgres = Postgres::start().unwrap();
    let database = numbered_users(&postgres, 3_000);
    let world = world_under(Load { questions: 1_000, queries: 5 }, impatient(&database));
    assert_allows(&world.subject("1").await, "1");
    postgres.pause().unwrap();
    for round in 0..3 {
        let outcomes = world.subjects_at_once(2..=3_000).await;
        assert!(outcomes.iter().all(|outcome| *outcome == UNAVAILABLE), "{round}");
        eventually("nothing to be left", || world.under_way() == 0).await;
    }
    assert!(world.count(&["shed_questions_total", "full"]) > 0);
    postgres.resume().unwrap();
    let start = std::time::Instant::now();
    while world.subject("2").await == UNAVAILABLE {
        assert!(start.elapsed() < Duration::from_secs(20), "it did not recover");
    }
    for outcome in world.subjects_at_once(2..=900).await {
        assert!(matches!(outcome, Outcome::Allow { .. }), "{outcome:?}");
    }
}
