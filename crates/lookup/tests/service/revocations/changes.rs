//! Users that are changed, banned or deleted in the database, with the trigger that is shipped.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use jwe_gate_contract::{
    Fact, Kind, LOOKUP_PATH, LookupQuestion, LookupSecret, MAC_HEADER, Outcome, Reason, TagKind, VERSION,
};
use jwe_gate_test_parts::postgres::{Database, Postgres};
use jwe_gate_test_parts::redis::Redis;

use super::{Cursor, Replica, TOLD_ONLY, journal};
use crate::support::{SECRET, assert_allows, assert_denies, eventually, question, users_with_id};

/// Installs it as its file says.
fn install(postgres: &Postgres, database: &Database) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql/user_changes.sql");
    let text = fs::read_to_string(path).unwrap();
    postgres
        .run_sql(database, "ALTER TABLE users ADD banned_until timestamptz, ADD role text, ADD visits int")
        .unwrap();
    postgres.run_sql(database, &text).unwrap();
    let (_, example) = text.split_once("--   CREATE TRIGGER").unwrap();
    postgres.run_sql(database, &format!("CREATE TRIGGER{}", example.replace("--  ", ""))).unwrap();
}

async fn look_up(replica: &Replica, subject: &str) -> Outcome {
    let questions = vec![question(Kind::Subject, subject)];
    let body = serde_json::to_vec(&LookupQuestion { version: VERSION, deadline_ms: 20_000, questions }).unwrap();
    let mac = LookupSecret::new(SECRET).unwrap().sign_question(&body);
    let answered =
        replica.send(Request::post(LOOKUP_PATH).header(MAC_HEADER, mac).body(Body::from(body)).unwrap()).await;
    let answer: jwe_gate_contract::LookupAnswer = serde_json::from_slice(&answered.body).unwrap();
    answer.answers.into_iter().next().unwrap().outcome
}

/// The moments in the changes of `subject` that follow, at least one.
async fn changes(replica: &Replica, cursor: &mut Cursor, subject: &str) -> Vec<u64> {
    let expected = LookupSecret::new(SECRET).unwrap().tag("default", TagKind::Subject, subject);
    let answer = replica.follow(cursor, 20_000).await;
    let moment = |fact| match fact {
        Fact::Changed { tag, as_of_ms } if tag == expected => as_of_ms,
        other => panic!("{other:?}"),
    };
    answer.entries.iter().map(|entry| moment(entry.fact)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_user_is_looked_up_again_at_once_by_every_service() {
    let (postgres, redis) = (Postgres::start().unwrap(), Redis::start().unwrap());
    let database = users_with_id(&postgres, "int4", &["7", "8"]);
    install(&postgres, &database);
    let replicas = [(); 2].map(|()| Replica::with(Arc::new(journal(&database)), &database, Some(&redis), TOLD_ONLY));
    let mut cursors = [Cursor::default(), Cursor::default()];
    for (replica, cursor) in replicas.iter().zip(&mut cursors) {
        replica.is_ready().await;
        replica.follow(cursor, 0).await;
        assert_allows(&look_up(replica, "7").await, "7");
        assert_allows(&look_up(replica, "8").await, "8");
    }
    listening(&postgres, &database, 2).await;
    let records = || redis.command(&["DBSIZE"]).unwrap() == "2";
    eventually("the records in Redis", records).await;

    // What changes with every visit announces nothing.
    postgres.run_sql(&database, "UPDATE users SET visits = 1").unwrap();
    postgres.run_sql(&database, "DELETE FROM users WHERE id = 7").unwrap();
    for (replica, cursor) in replicas.iter().zip(&mut cursors) {
        let moments = changes(replica, cursor, "7").await;
        // Two services heard of it, and it is there once.
        assert_eq!(moments.len(), 1);
        let outcome = look_up(replica, "7").await;
        assert_denies(&outcome, Reason::UnknownUser);
        assert!(matches!(outcome, Outcome::Deny { as_of_ms, .. } if as_of_ms >= moments[0]), "{outcome:?}");
        assert_allows(&look_up(replica, "8").await, "8");
    }
    let rows = "SELECT count(*), max(name), max(revoked_by) FROM jwe_gate_revocations";
    assert_eq!(postgres.run_sql(&database, rows).unwrap(), "1|7|database");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_known_to_a_service_that_starts_later_and_outlasts_an_outage() {
    let (mut postgres, redis) = (Postgres::start().unwrap(), Redis::start().unwrap());
    let database = users_with_id(&postgres, "text", &["auth0|7"]);
    install(&postgres, &database);
    let start = || Replica::with(Arc::new(journal(&database)), &database, Some(&redis), TOLD_ONLY);
    let replica = start();
    replica.is_ready().await;
    assert_allows(&look_up(&replica, "auth0|7").await, "auth0|7");
    eventually("the record in Redis", || redis.command(&["DBSIZE"]).unwrap() == "1").await;
    let mut cursor = Cursor::default();
    replica.follow(&mut cursor, 0).await;
    listening(&postgres, &database, 1).await;
    postgres.run_sql(&database, "UPDATE users SET banned_until = 'infinity'").unwrap();
    assert_eq!(changes(&replica, &mut cursor, "auth0|7").await.len(), 1);

    // What Redis has is from before.
    let later = start();
    later.is_ready().await;
    postgres.kill();
    for replica in [&replica, &later] {
        let outcome = look_up(replica, "auth0|7").await;
        assert!(matches!(outcome, Outcome::Failed { .. }), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_change_that_nobody_s_session_can_name_is_no_obstacle() {
    let postgres = Postgres::start().unwrap();
    let database = users_with_id(&postgres, "text", &[&"x".repeat(9_000), "two words"]);
    install(&postgres, &database);
    let replica = Replica::start(&database, TOLD_ONLY);
    replica.is_ready().await;
    let mut cursor = Cursor::default();
    replica.follow(&mut cursor, 0).await;
    listening(&postgres, &database, 1).await;
    postgres.run_sql(&database, "UPDATE users SET role = 'admin'").unwrap();
    assert_eq!(changes(&replica, &mut cursor, "two words").await.len(), 1);
}

/// Until so many services listen.
async fn listening(postgres: &Postgres, database: &Database, services: usize) {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'";
    let listen = || postgres.run_sql(database, sql).unwrap() == services.to_string();
    eventually("the services to listen", listen).await;
}
