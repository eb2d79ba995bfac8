//! The types that id columns have, and the spellings that are not ids.

use jwe_gate_contract::{Cause, Kind, Outcome, Reason};
use jwe_gate_lookup::store::{StoreError, UserStore};

use crate::support::{World, assert_allows, assert_denies, postgres, question, schema, store, users_with_id};

#[tokio::test]
async fn only_canonical_spellings_of_existing_ids_are_users() {
    let uuid = "67e55044-10b1-426f-9247-bb680e5fe0c8";
    let upper = uuid.to_uppercase();
    let table: &[(&str, &[&str], &[&str])] = &[
        ("int2", &["7", "-7"], &["007", " 7", "7 ", "+7", "8", "70000", "", "x"]),
        ("int4", &["7", "2147483647"], &["007", " 7", "+7", "2147483648", "7.0", "7e0", "٧"]),
        ("int8", &["9007199254740993"], &["9007199254740992", "09007199254740993", "9223372036854775808"]),
        ("uuid", &[uuid], &[&upper, "67e5504410b1426f9247bb680e5fe0c8", "7", ""]),
        ("text", &["7", "007", " 7", "Alice"], &["alice", "7 ", "a\0", ""]),
        ("varchar(20)", &["Alice"], &["alice", "Alice ", "this is longer than twenty characters"]),
        ("char(10)", &["Alice"], &["alice", "Alice ", "Alice     ", "a\0"]),
    ];
    let postgres = postgres();
    for (id_type, known, unknown) in table {
        let world = World::new(store(&users_with_id(&postgres, id_type, known), schema("pg-adapter")));
        for id in *known {
            assert_allows(&world.subject(id).await, id);
        }
        for id in *unknown {
            assert_denies(&world.subject(id).await, Reason::UnknownUser);
        }
    }
}

#[tokio::test]
async fn a_domain_is_looked_up_as_what_it_is_made_of() {
    let postgres = postgres();
    let database = postgres.schema().unwrap();
    let tables = "CREATE DOMAIN small AS int4; CREATE DOMAIN user_id AS small CHECK (VALUE > 0); \
                  CREATE TABLE users (id user_id PRIMARY KEY); INSERT INTO users VALUES (7)";
    postgres.run_sql(&database, tables).unwrap();
    let world = World::new(store(&database, schema("pg-adapter")));
    assert_allows(&world.subject("7").await, "7");
    assert_denies(&world.subject("07").await, Reason::UnknownUser);
}

#[tokio::test]
async fn a_column_that_subjects_cannot_be_looked_up_in_is_named() {
    let postgres = postgres();
    let floating = store(&users_with_id(&postgres, "float8", &["7"]), schema("pg-adapter"));
    let error = floating.prepare().await.unwrap_err();
    assert_eq!(error.to_string(), "users.id has type float8; supported are integers, uuid, text, varchar and char");
    assert_eq!(World::new(floating).subject("7").await, Outcome::Failed { cause: Cause::Unavailable });

    let error = store(&postgres.schema().unwrap(), schema("prisma")).prepare().await.unwrap_err();
    assert_eq!(error, StoreError::TableMissing { column: "User.id".into() });
}

#[tokio::test]
async fn a_changed_id_type_is_noticed_when_a_lookup_fails() {
    let postgres = postgres();
    let database = users_with_id(&postgres, "int4", &["7"]);
    let world = World::new(store(&database, schema("pg-adapter")));
    assert_allows(&world.subject("7").await, "7");
    postgres.run_sql(&database, "ALTER TABLE users ALTER id TYPE text; INSERT INTO users VALUES ('alice')").unwrap();
    // The first lookup finds out, the next ones know.
    world.subject("8").await;
    assert_allows(&world.subject("alice").await, "alice");
}

#[tokio::test]
async fn many_questions_are_one_query_and_each_gets_its_own_answer() {
    let postgres = postgres();
    let database = postgres.schema().unwrap();
    let tables =
        "CREATE TABLE users (id int4 PRIMARY KEY); INSERT INTO users SELECT 2 * n FROM generate_series(1, 200) n";
    postgres.run_sql(&database, tables).unwrap();
    let world = World::new(store(&database, schema("pg-adapter")));
    let questions: Vec<_> = (1..=256).map(|n| question(Kind::Subject, &n.to_string())).collect();
    let outcomes = world.ask(questions).await;
    for (n, outcome) in (1..=256).zip(&outcomes) {
        match n % 2 {
            0 => assert_allows(outcome, &n.to_string()),
            _ => assert_denies(outcome, Reason::UnknownUser),
        }
    }
    assert_eq!(world.queries(), 1);
}
