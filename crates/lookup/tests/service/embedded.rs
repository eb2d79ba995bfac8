//! Without any server.

use jwe_gate_contract::{Kind, Question, Reason};
use jwe_gate_lookup::store::{SqliteStore, UserStore};
use jwe_gate_test_parts::scratch::Scratch;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};

use crate::support::{World, assert_allows, assert_denies, question};

#[tokio::test]
async fn users_and_sessions_in_a_file_are_found_and_outlive_the_process() {
    let scratch = Scratch::new().unwrap();
    let path = scratch.path().join("users.sqlite");
    let store = SqliteStore::open(&path).await.unwrap();
    for id in ["7", "007", "7", "o'brien\" --"] {
        store.add_user(id).await.unwrap();
    }
    drop(store);
    let pool = SqlitePool::connect_with(SqliteConnectOptions::new().filename(&path)).await.unwrap();
    let sessions = "INSERT INTO sessions VALUES ('live', '7', unixepoch() * 1000 + 60000), \
                    ('dead', '7', unixepoch() * 1000 - 1000), ('nobody', '8', unixepoch() * 1000 + 60000)";
    sqlx::raw_sql("PRAGMA foreign_keys = off").execute(&pool).await.unwrap();
    let mut connection = pool.acquire().await.unwrap();
    sqlx::raw_sql("PRAGMA foreign_keys = off").execute(&mut *connection).await.unwrap();
    sqlx::raw_sql(sessions).execute(&mut *connection).await.unwrap();

    let world = World::new(SqliteStore::open(&path).await.unwrap());
    for id in ["7", "007", "o'brien\" --"] {
        assert_allows(&world.subject(id).await, id);
    }
    for id in ["8", " 7", "+7", "7.0", "", "\0", "7\0"] {
        assert_denies(&world.subject(id).await, Reason::UnknownUser);
    }
    assert_allows(&world.opaque("live").await, "7");
    for token in ["dead", "nobody", "LIVE", ""] {
        assert_denies(&world.opaque(token).await, Reason::UnknownSession);
    }
}

#[tokio::test]
async fn the_file_s_clock_counts_milliseconds() {
    let scratch = Scratch::new().unwrap();
    let store = SqliteStore::open(&scratch.path().join("users.sqlite")).await.unwrap();
    let before = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let as_of = u128::from(store.users(&["7".into()]).await.unwrap().as_of_ms);
    assert!(as_of + 1 >= before && as_of < before + 60_000);
}

#[tokio::test]
async fn a_user_who_signed_up_after_having_been_unknown_is_found_by_a_newer_token() {
    let scratch = Scratch::new().unwrap();
    let path = scratch.path().join("users.sqlite");
    let store = SqliteStore::open(&path).await.unwrap();
    let world = World::new(SqliteStore::open(&path).await.unwrap());
    assert_denies(&world.subject("7").await, Reason::UnknownUser);
    store.add_user("7").await.unwrap();
    let issued = |at| Question { issued_at_ms: Some(at), ..question(Kind::Subject, "7") };
    // The cached answer says something about older tokens only.
    assert_denies(&world.ask(vec![issued(1000)]).await[0], Reason::UnknownUser);
    assert_eq!(world.queries(), 1);
    assert_allows(&world.ask(vec![issued(u64::MAX / 2)]).await[0], "7");
    assert_eq!(world.queries(), 2);
}
