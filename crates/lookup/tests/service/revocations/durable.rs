//! What has been acknowledged stays.

use std::time::Duration;

use axum::http::StatusCode;
use jwe_gate_lookup::store::journal::{Journal, PostgresJournal};
use jwe_gate_lookup::store::{PostgresPool, StoreError};
use jwe_gate_test_parts::postgres::{Postgres, PostgresOptions};

use super::{Cursor, PATIENCE, RULES, Replica, id, journal, shown};
use crate::support::{postgres, users_with_id};

#[tokio::test]
async fn a_revocation_outlives_a_crash_even_where_the_database_acknowledges_too_early() {
    let settings = [("synchronous_commit", "off"), ("wal_writer_delay", "10s"), ("fsync", "on")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let mut postgres = Postgres::start_with(&PostgresOptions { settings, ..Default::default() }).unwrap();
    let database = users_with_id(&postgres, "int4", &["7"]);
    let replica = Replica::start(&database, RULES);
    replica.is_ready().await;
    postgres.run_sql(&database, "CREATE TABLE other (n int)").unwrap();
    assert_eq!(replica.end("s").await, 1);
    // The server does lose what others were told is written: else this test says nothing.
    postgres.run_sql(&database, "INSERT INTO other VALUES (1)").unwrap();
    postgres.kill();
    postgres.restart().unwrap();
    assert_eq!(postgres.run_sql(&database, "SELECT count(*) FROM other").unwrap(), "0");
    assert_eq!(postgres.run_sql(&database, "SELECT seq, name FROM jwe_gate_revocations").unwrap(), "1|s");

    // The same service goes on, and so does the cursor.
    let mut cursor = Cursor::default();
    replica.follow(&mut cursor, 0).await;
    assert_eq!(replica.end("t").await, 2);
    while cursor.after < 2 {
        assert!(!replica.follow(&mut cursor, 20_000).await.snapshot);
    }
}

#[tokio::test]
async fn a_standby_that_takes_over_begins_another_epoch_since_it_may_have_been_behind() {
    let mut postgres = Postgres::start().unwrap();
    let database = users_with_id(&postgres, "int4", &["7"]);
    let replica = Replica::start(&database, RULES);
    replica.end("before").await;
    let copy = postgres.promoted_copy().unwrap();
    assert_eq!(replica.end("lost").await, 2);
    let mut cursor = Cursor::default();
    while cursor.after < 2 {
        replica.follow(&mut cursor, 20_000).await;
    }
    postgres.kill();

    let database = database.at(copy.address());
    let replica = Replica::start(&database, RULES);
    // The same number once more, for something else.
    assert_eq!(replica.end("after").await, 2);
    let epoch = cursor.epoch.clone();
    let answer = replica.follow(&mut cursor, 20_000).await;
    assert!(answer.snapshot && Some(&answer.epoch) != epoch.as_ref(), "{answer:?}");
}

#[tokio::test]
async fn without_the_database_nothing_is_acknowledged_and_what_is_known_is_told_with_its_age() {
    let mut postgres = Postgres::start().unwrap();
    let database = users_with_id(&postgres, "int4", &["7"]);
    let replica = Replica::start(&database, RULES);
    replica.end("s").await;
    let mut cursor = Cursor::default();
    while cursor.after < 1 {
        replica.follow(&mut cursor, 5_000).await;
    }
    postgres.kill();
    let (id, session) = (id(), shown("7", None));
    assert_eq!(replica.show(&id, session.clone()).await.error(), (503, "unavailable".into()));
    replica.clock.advance(Duration::from_mins(2));
    let answer = replica.follow(&mut cursor.clone(), 0).await;
    assert!(answer.complete && answer.entries.is_empty() && answer.read_ms_ago >= 120_000, "{answer:?}");
    let snapshot = replica.follow(&mut Cursor::default(), 0).await;
    assert!(snapshot.entries.len() == 1 && snapshot.read_ms_ago >= 120_000);
    // What another service has told cannot be judged now.
    let other = replica.ask(&Cursor { after: 5, ..cursor.clone() }, 0).await;
    assert_eq!(other.error(), (503, "unavailable".into()));
    let fresh = Replica::start(&database, RULES);
    assert_eq!(fresh.ask(&Cursor::default(), 0).await.error(), (503, "unavailable".into()));
    assert_eq!(fresh.show(&id, session.clone()).await.error(), (503, "unavailable".into()));

    postgres.restart().unwrap();
    for replica in [&replica, &fresh] {
        let answered = replica.until_written(|| replica.show(&id, session.clone())).await;
        assert_eq!(answered.receipt().seq, 2);
    }
}

#[tokio::test]
async fn a_role_that_may_not_make_tables_says_so_until_somebody_else_has_made_them() {
    let postgres = postgres();
    let database = users_with_id(&postgres, "int4", &["7"]);
    let role = format!("modest_{}", std::process::id());
    let schema = postgres.run_sql(&database, "SELECT current_schema()").unwrap();
    let create = format!("CREATE ROLE {role} LOGIN PASSWORD 'modest'; GRANT USAGE ON SCHEMA {schema} TO {role}");
    postgres.run_sql(&database, &create).unwrap();
    let url = database.url().replace("postgres:postgres@", &format!("{role}:modest@"));
    let journal = PostgresJournal::new(PostgresPool::from_url(&url).unwrap(), "default", PATIENCE);
    let refused = journal.prepare().await;
    assert_eq!(refused, Err(StoreError::Refused { sqlstate: "42501".into() }));

    // As the file says.
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("sql/revocations.sql");
    let file = std::fs::read_to_string(file).unwrap();
    for _ in 0..2 {
        postgres.run_sql(&database, &file).unwrap();
    }
    let grant = format!(
        "GRANT SELECT, INSERT, UPDATE ON jwe_gate_feed TO {role}; \
         GRANT SELECT, INSERT, DELETE ON jwe_gate_revocations TO {role}"
    );
    postgres.run_sql(&database, &grant).unwrap();
    journal.prepare().await.unwrap();
    let replica = Replica::on(std::sync::Arc::new(journal), &database, RULES);
    assert_eq!(replica.end("s").await, 1);
    let drop = format!("DROP OWNED BY {role}; DROP ROLE {role}");
    postgres.run_sql(&database, &drop).unwrap();
}

#[tokio::test]
async fn services_that_start_at_once_make_the_tables_together() {
    let postgres = postgres();
    let database = users_with_id(&postgres, "int4", &["7"]);
    let journals: Vec<_> = (0..8).map(|_| journal(&database)).collect();
    for prepared in futures_util::future::join_all(journals.iter().map(Journal::prepare)).await {
        prepared.unwrap();
    }
    let epochs = "SELECT count(*), count(DISTINCT epoch) FROM jwe_gate_feed";
    assert_eq!(postgres.run_sql(&database, epochs).unwrap(), "1|1");
}

#[tokio::test]
async fn tables_that_vanish_are_made_again_and_begin_another_epoch() {
    let postgres = postgres();
    let database = users_with_id(&postgres, "int4", &["7"]);
    let replica = Replica::start(&database, RULES);
    replica.end("s").await;
    let before = replica.end_as(&id(), "t").await.receipt();
    postgres.run_sql(&database, "DROP TABLE jwe_gate_feed, jwe_gate_revocations").unwrap();
    let mut cursor = Cursor { epoch: Some(before.epoch), after: before.seq };
    assert!(replica.follow(&mut cursor, 20_000).await.snapshot);
    let answered = replica.end_as(&id(), "u").await;
    assert_eq!((answered.status, answered.receipt().seq), (StatusCode::CREATED, 1));
}
