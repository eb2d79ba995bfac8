//! Many questions, few queries.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use jwe_gate_contract::Kind;
use jwe_gate_lookup::store::{Reading, StoreError, UserStore};

use crate::flights::Gated;
use crate::support::{LOAD, World, assert_allows, eventually, numbered_users, postgres, question, schema, store};

/// A database that takes its time.
pub(crate) struct Slow<S>(pub(crate) S, pub(crate) Duration);

#[async_trait]
impl<S: UserStore> UserStore for Slow<S> {
    async fn prepare(&self) -> Result<(), StoreError> {
        self.0.prepare().await
    }

    async fn users(&self, subjects: &[String]) -> Result<Reading, StoreError> {
        tokio::time::sleep(self.1).await;
        self.0.users(subjects).await
    }

    async fn sessions(&self, tokens: &[String]) -> Result<Reading, StoreError> {
        self.0.sessions(tokens).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_callouts_of_one_question_each_are_far_fewer_queries() {
    let postgres = postgres();
    let store = store(&numbered_users(&postgres, 1_000), schema("pg-adapter"));
    let world = World::new(Slow(store, Duration::from_millis(50)));
    let outcomes = world.subjects_at_once(1..=1_000).await;
    for (number, outcome) in (1..).zip(&outcomes) {
        assert_allows(outcome, &i32::to_string(&number));
    }
    println!("{} queries for 1000 callouts", world.queries());
    assert_eq!(world.keys(), 1_000);
    // How many depends on how fast they come; without batches there would be a thousand.
    assert!(world.queries() <= 200, "{}", world.queries());
}

#[tokio::test]
async fn a_callout_of_many_questions_is_one_query() {
    let postgres = postgres();
    let world = World::new(store(&numbered_users(&postgres, 256), schema("pg-adapter")));
    let questions = (1..=256).map(|number: u32| question(Kind::Subject, &number.to_string())).collect();
    let outcomes = world.ask(questions).await;
    assert_eq!((outcomes.len(), world.queries(), world.keys()), (256, 1, 256));
}

#[tokio::test]
async fn what_comes_while_every_query_is_taken_travels_in_the_next_one() {
    let gated = Gated::closed();
    let world = World::new(gated.clone());
    let asked = |keys: std::ops::RangeInclusive<u32>| {
        let world = world.clone();
        tokio::spawn(async move { world.subjects_at_once(keys).await })
    };
    let mut asking = Vec::new();
    // A lone question does not wait for company.
    for key in 1..=5 {
        asking.push(asked(key..=key));
        eventually("its query", || gated.queries().last() == Some(&vec![key.to_string()])).await;
    }
    assert_eq!(LOAD.queries, 5);
    asking.push(asked(6..=100));
    eventually("the others", || world.under_way() == 100).await;
    assert_eq!(gated.queries().len(), 5);
    // One of them comes back and takes all that waits along.
    gated.gate.add_permits(1);
    eventually("the next query", || gated.queries().len() == 6).await;
    assert_eq!(gated.queries().last().unwrap().len(), 95);
    gated.gate.add_permits(100);
    let outcomes = join_all(asking).await.into_iter().flat_map(Result::unwrap);
    for (number, outcome) in (1..).zip(outcomes) {
        assert_allows(&outcome, &i32::to_string(&number));
    }
    assert_eq!(gated.queries().len(), 6);
}
