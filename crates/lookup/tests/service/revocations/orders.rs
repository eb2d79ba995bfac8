//! Numbers become visible in their order, whoever writes and whenever they commit.

use std::time::Duration;

use futures_util::future::join_all;
use jwe_gate_test_parts::postgres::{Database, Postgres};
use sqlx::PgPool;

use super::{Cursor, RULES, Replica};
use crate::support::{eventually, postgres, users_with_id};

/// What another service does, up to its commit.
async fn half_written(database: &Database) -> sqlx::Transaction<'static, sqlx::Postgres> {
    let mut transaction = PgPool::connect(&database.url()).await.unwrap().begin().await.unwrap();
    let statements = "UPDATE jwe_gate_feed SET seq = seq + 1; \
                      INSERT INTO jwe_gate_revocations SELECT 'default', seq, 'half written', 'session', 'first', \
                      'proxy', 0, 0, 0, 9700000000000 FROM jwe_gate_feed";
    sqlx::raw_sql(statements).execute(&mut *transaction).await.unwrap();
    transaction
}

fn waiting_for_locks(postgres: &Postgres, database: &Database) -> bool {
    let sql = "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity USING (pid) \
               WHERE NOT l.granted AND query LIKE '%jwe_gate_feed%'";
    postgres.run_sql(database, sql).unwrap() != "0"
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_with_a_lower_number_that_commits_last_is_missed_by_nobody() {
    let postgres = Postgres::start().unwrap();
    let database = users_with_id(&postgres, "int4", &["7"]);
    let replica = Replica::start(&database, RULES);
    replica.is_ready().await;
    let mut cursor = Cursor::default();
    replica.follow(&mut cursor, 0).await;

    let first = half_written(&database).await;
    let second = replica.end("second");
    tokio::pin!(second);
    let locked = eventually("the second writer to wait", || waiting_for_locks(&postgres, &database));
    tokio::select! {
        number = &mut second => panic!("{number} was acknowledged before the number below it"),
        () = locked => {}
    }
    // Nobody sees the second before the first.
    assert_eq!(replica.follow(&mut cursor, 500).await.upto, 0);
    first.commit().await.unwrap();
    assert_eq!(second.await, 2);
    let mut numbers = Vec::new();
    while cursor.after < 2 {
        numbers.extend(replica.follow(&mut cursor, 20_000).await.entries.iter().map(|entry| entry.seq));
    }
    assert_eq!(numbers, [1, 2]);
}

#[tokio::test]
async fn a_writer_that_gives_up_takes_its_number_back() {
    let postgres = postgres();
    let database = users_with_id(&postgres, "int4", &["7"]);
    let replica = Replica::start(&database, RULES);
    replica.is_ready().await;
    half_written(&database).await.rollback().await.unwrap();
    assert_eq!(replica.end("s").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writers_at_two_services_are_followed_without_a_gap() {
    let postgres = postgres();
    let database = users_with_id(&postgres, "int4", &["7"]);
    let replicas = [Replica::start(&database, RULES), Replica::start(&database, RULES)];
    for replica in &replicas {
        replica.is_ready().await;
    }
    let write = |writer: usize| {
        let replica = &replicas[writer % 2];
        async move {
            for number in 0..25 {
                replica.end(&format!("{writer} {number}")).await;
            }
        }
    };
    let follow = |reader: usize| {
        let replicas = &replicas;
        async move {
            let (mut cursor, mut numbers) = (Cursor::default(), Vec::new());
            // Each answer from the other service than the one before.
            for turn in reader.. {
                let answer = replicas[turn % 2].follow(&mut cursor, 1_000).await;
                assert!(!answer.snapshot || numbers.is_empty(), "a second snapshot");
                numbers.extend(answer.entries.iter().map(|entry| entry.seq));
                if cursor.after >= 200 {
                    break;
                }
            }
            numbers
        }
    };
    let ((), found) = tokio::join!(
        async {
            join_all((0..8).map(write)).await;
        },
        join_all((0..4).map(follow))
    );
    for numbers in found {
        assert_eq!(numbers, (1..=200).collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_of_sign_outs_is_acknowledged_one_by_one_and_all_of_it() {
    let postgres = postgres();
    let database = users_with_id(&postgres, "int4", &["7"]);
    let replica = Replica::start(&database, RULES);
    replica.is_ready().await;
    let names: Vec<_> = (0..500).map(|number| format!("sid {number}")).collect();
    let start = std::time::Instant::now();
    let mut numbers = join_all(names.iter().map(|sid| replica.end(sid))).await;
    println!("500 at once, each with a commit of its own: {:?}", start.elapsed());
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=500).collect::<Vec<_>>());
}

#[tokio::test]
async fn databases_whose_transactions_are_stricter_by_default_do_as_well() {
    let postgres = Postgres::start_with(&jwe_gate_test_parts::postgres::PostgresOptions {
        settings: vec![("default_transaction_isolation".into(), "serializable".into())],
        ..Default::default()
    })
    .unwrap();
    let database = users_with_id(&postgres, "int4", &["7"]);
    let replica = Replica::start(&database, RULES);
    replica.is_ready().await;
    let first = half_written(&database).await;
    let second = replica.end("second");
    tokio::pin!(second);
    tokio::select! {
        number = &mut second => panic!("{number} was acknowledged before the number below it"),
        () = tokio::time::sleep(Duration::from_millis(200)) => {}
    }
    first.commit().await.unwrap();
    assert_eq!(second.await, 2);
}
