//! Many who ask at once, and some who go away.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::join_all;
use jwe_gate_contract::{Cause, Outcome};
use jwe_gate_lookup::store::{Finding, Reading, StoreError, UserFields, UserStore};
use tokio::sync::Semaphore;

use crate::support::{World, assert_allows, eventually, postgres, schema, store, users_with_id};

/// Knows everybody, and answers when it is let.
#[derive(Clone)]
pub(crate) struct Gated {
    pub(crate) gate: Arc<Semaphore>,
    /// The keys of each query, in order.
    pub(crate) queries: Arc<Mutex<Vec<Vec<String>>>>,
}

impl Gated {
    pub(crate) fn closed() -> Self {
        Self { gate: Arc::new(Semaphore::new(0)), queries: Arc::default() }
    }

    pub(crate) fn queries(&self) -> Vec<Vec<String>> {
        self.queries.lock().unwrap().clone()
    }
}

#[async_trait]
impl UserStore for Gated {
    async fn prepare(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn users(&self, subjects: &[String]) -> Result<Reading, StoreError> {
        self.queries.lock().unwrap().push(subjects.to_vec());
        self.gate.acquire().await.unwrap().forget();
        let known = |user: &String| Finding::Known { user: user.clone(), ends_in_ms: None, fields: UserFields::new() };
        Ok(Reading { as_of_ms: 1, findings: subjects.iter().map(known).collect() })
    }

    async fn sessions(&self, _tokens: &[String]) -> Result<Reading, StoreError> {
        panic!("the database's driver has a bug");
    }
}

fn gated() -> (World, Gated) {
    let store = Gated::closed();
    (World::new(store.clone()), store)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_that_asks_for_one_subject_costs_one_query() {
    let postgres = postgres();
    let world = World::new(store(&users_with_id(&postgres, "int4", &["7"]), schema("pg-adapter")));
    for outcome in join_all((0..200).map(|_| world.subject("7"))).await {
        assert_allows(&outcome, "7");
    }
    assert_eq!(world.queries(), 1);
}

#[tokio::test]
async fn those_who_joined_get_their_answer_when_the_first_one_goes_away() {
    let (world, store) = gated();
    let mut first = Box::pin(world.subject("7"));
    assert!(first.as_mut().now_or_never().is_none());
    let joined = tokio::spawn({
        let world = world.clone();
        async move { world.subject("7").await }
    });
    eventually("the second to join", || world.count(&["joined_questions_total"]) == 1 || store.queries().len() > 1)
        .await;
    drop(first);
    store.gate.add_permits(1);
    assert_allows(&joined.await.unwrap(), "7");
    assert_eq!(store.queries().len(), 1);
}

#[tokio::test]
async fn what_is_not_known_by_the_deadline_is_late_and_known_the_next_time() {
    let (mut world, store) = gated();
    world.deadline_ms = 50;
    assert_eq!(world.subject("7").await, Outcome::Failed { cause: Cause::Late });
    store.gate.add_permits(1);
    world.deadline_ms = 20_000;
    assert_allows(&world.subject("7").await, "7");
    assert_eq!(store.queries().len(), 1);
}

#[tokio::test]
async fn a_known_user_passes_by_the_last_record_when_the_database_is_late() {
    let (mut world, store) = gated();
    store.gate.add_permits(1);
    assert_allows(&world.subject("7").await, "7");
    world.clock.advance(Duration::from_secs(700));
    world.deadline_ms = 50;
    let Outcome::Allow { limits, .. } = world.subject("7").await else { panic!() };
    assert_eq!((limits.fresh_ms, limits.stale_ms), (0, 0));
    assert!(limits.hard_ms > 3_400_000 && limits.hard_ms <= 3_500_000, "{limits:?}");
}

#[tokio::test]
async fn a_crash_in_a_lookup_is_a_failed_answer_and_not_a_hang() {
    let (world, _store) = gated();
    assert_eq!(world.opaque("token").await, Outcome::Failed { cause: Cause::Unavailable });
}
