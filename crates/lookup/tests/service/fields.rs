//! What is said of a user besides the id, from Postgres and from a file.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jwe_gate_contract::{Cause, Kind, Outcome, Question, Reason};
use jwe_gate_lookup::cache::RedisCache;
use jwe_gate_lookup::clock::Clock;
use jwe_gate_lookup::key::Namespace;
use jwe_gate_lookup::schema::Schema;
use jwe_gate_lookup::selection::{Selection, Source};
use jwe_gate_lookup::store::{SqliteStore, UserStore};
use jwe_gate_test_parts::postgres::{Database, Postgres};
use jwe_gate_test_parts::process;
use jwe_gate_test_parts::redis::Redis;
use jwe_gate_test_parts::scratch::Scratch;
use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};

use crate::process::program;
use crate::support::{FRESHNESS, World, assert_allows, assert_denies, postgres, question, schema, store};

pub(crate) fn columns(fields: &str, banned: Option<&str>) -> Selection {
    let source = if fields.is_empty() { Source::default() } else { Source::Columns(fields.parse().unwrap()) };
    Selection { source, banned: banned.map(|column| column.parse().unwrap()) }
}

fn query(query: &str, banned: Option<&str>) -> Selection {
    Selection { source: Source::Query(query.into()), ..columns("", banned) }
}

fn selecting(selection: Selection) -> Schema {
    Schema { selection, ..schema("pg-adapter") }
}

fn with_tables(postgres: &Postgres, tables: &str) -> Database {
    let database = postgres.schema().unwrap();
    postgres.run_sql(&database, tables).unwrap();
    database
}

fn asking(kind: Kind, key: &str, fields: &[&str]) -> Question {
    Question { fields: fields.iter().map(|&field| field.to_owned()).collect(), ..question(kind, key) }
}

async fn ask(world: &World, key: &str, fields: &[&str]) -> Outcome {
    world.ask(vec![asking(Kind::Subject, key, fields)]).await.remove(0)
}

async fn fields_of(world: &World, key: &str, fields: &[&str]) -> Value {
    match ask(world, key, fields).await {
        Outcome::Allow { user, fields, .. } if user == key => json!(fields),
        other => panic!("{other:?}"),
    }
}

const FAILED: Outcome = Outcome::Failed { cause: Cause::Unavailable };
const UNSUPPORTED: Outcome = Outcome::Failed { cause: Cause::Unsupported };

const EVERY_TYPE: &str = r#"
CREATE TYPE plan AS ENUM ('free', 'paid');
CREATE TABLE users (id int4 PRIMARY KEY, email text, "isAdmin" bool, credit numeric, big int8, permissions text[],
    profile jsonb, joined timestamptz, plan plan, customer_id uuid);
INSERT INTO users VALUES (7, 'a@b', true, 1.5, 9007199254740993, '{read,write}', '{"a": {"b": [1, null]}}',
    '2026-01-02 03:04:05+01', 'paid', '67e55044-10b1-426f-9247-bb680e5fe0c8');
INSERT INTO users VALUES (8);"#;

#[tokio::test]
async fn values_of_columns_become_json_by_their_type() {
    let postgres = postgres();
    let database = with_tables(&postgres, EVERY_TYPE);
    let list = "email,isAdmin,credit,big,permissions,profile,joined,plan,customer=customer_id";
    let world = World::new(store(&database, selecting(columns(list, None))));
    let names = ["email", "isAdmin", "credit", "big", "permissions", "profile", "joined", "plan", "customer"];
    assert_eq!(
        fields_of(&world, "7", &names).await,
        json!({
            "email": "a@b", "isAdmin": true, "credit": 1.5, "big": 9_007_199_254_740_993_u64,
            "permissions": ["read", "write"], "profile": { "a": { "b": [1, null] } },
            "joined": "2026-01-02T02:04:05+00:00", "plan": "paid", "customer": "67e55044-10b1-426f-9247-bb680e5fe0c8",
        })
    );
    let nulls: Value = names.iter().map(|name| ((*name).to_owned(), Value::Null)).collect();
    assert_eq!(fields_of(&world, "8", &names).await, nulls);
}

#[tokio::test]
async fn an_answer_has_the_fields_that_were_asked_for_and_no_others() {
    let postgres = postgres();
    let database = with_tables(&postgres, EVERY_TYPE);
    let world = World::new(store(&database, selecting(columns("email,plan", None))));
    let asked = [
        asking(Kind::Subject, "7", &["plan"]),
        asking(Kind::Subject, "7", &[]),
        asking(Kind::Subject, "7", &["email", "plan"]),
        asking(Kind::Subject, "7", &["email", "credit"]),
        asking(Kind::Subject, "9", &["credit"]),
    ];
    let outcomes = world.ask(asked.to_vec()).await;
    let fields = |outcome: &Outcome| match outcome {
        Outcome::Allow { fields, .. } => json!(fields),
        other => panic!("{other:?}"),
    };
    assert_eq!(fields(&outcomes[0]), json!({ "plan": "paid" }));
    assert_eq!(fields(&outcomes[1]), json!({}));
    assert_eq!(fields(&outcomes[2]), json!({ "email": "a@b", "plan": "paid" }));
    assert_eq!(outcomes[3], UNSUPPORTED);
    assert_denies(&outcomes[4], Reason::UnknownUser);
    assert_eq!((world.queries(), world.keys()), (1, 2));
    assert_eq!(world.count(&["answers_total", "verdict=\"unsupported\""]), 1);
}

const ROLES: &str = "
CREATE TABLE accounts (id text PRIMARY KEY, deleted bool NOT NULL DEFAULT false, banned bool, ban_ends timestamptz);
CREATE TABLE permissions (account text REFERENCES accounts, name text);
INSERT INTO accounts VALUES ('ann', false, false, NULL), ('bob', true, false, NULL), ('cid', false, true, now() + interval '1 day'),
    ('dan', false, true, now() - interval '1 day'), ('eve', false, true, NULL);
INSERT INTO permissions VALUES ('ann', 'write'), ('ann', 'read'), ('cid', 'read');";

const ROLES_QUERY: &str = "
SELECT a.id, (a.banned AND coalesce(a.ban_ends > now(), true)) AS is_banned,
    coalesce(array_agg(p.name ORDER BY p.name) FILTER (WHERE p.name IS NOT NULL), '{}') AS permissions
FROM accounts a LEFT JOIN permissions p ON p.account = a.id
WHERE a.id = ANY($1) AND NOT a.deleted GROUP BY a.id -- the deleted are unknown";

#[tokio::test]
async fn a_query_says_who_is_known_who_is_barred_and_all_the_rest() {
    let postgres = postgres();
    let database = with_tables(&postgres, ROLES);
    let world = World::new(store(&database, selecting(query(ROLES_QUERY, Some("is_banned")))));
    let permissions = ["permissions"];
    assert_eq!(fields_of(&world, "ann", &permissions).await, json!({ "permissions": ["read", "write"] }));
    assert_eq!(fields_of(&world, "dan", &permissions).await, json!({ "permissions": [] }));
    assert_denies(&ask(&world, "bob", &permissions).await, Reason::UnknownUser);
    assert_denies(&ask(&world, "cid", &permissions).await, Reason::Banned);
    assert_denies(&ask(&world, "eve", &permissions).await, Reason::Banned);
    assert_denies(&ask(&world, "' OR true --", &permissions).await, Reason::UnknownUser);
    assert_eq!(ask(&world, "ann", &["is_banned"]).await, UNSUPPORTED);
    assert_eq!(ask(&world, "ann", &["id"]).await, UNSUPPORTED);
}

#[tokio::test]
async fn the_type_of_the_ids_is_that_of_the_query() {
    let postgres = postgres();
    let database = with_tables(&postgres, "CREATE TABLE users (id int8, a int4); INSERT INTO users VALUES (7, 1)");
    for list in ["= ANY($1)", "= ANY($1::int4[])", "::text = ANY($1)"] {
        let text = format!("SELECT id, a FROM users WHERE id{list}");
        let world = World::new(store(&database, selecting(query(&text, None))));
        assert_eq!(fields_of(&world, "7", &["a"]).await, json!({ "a": 1 }), "{list}");
        assert_denies(&world.subject("07").await, Reason::UnknownUser);
        assert_denies(&world.subject("x").await, Reason::UnknownUser);
    }
}

#[tokio::test]
async fn a_column_says_whether_or_until_when_users_are_barred() {
    let postgres = postgres();
    let utc = "(now() AT TIME ZONE 'UTC')";
    let cases = [
        ("bool", "true".to_owned(), "false".to_owned()),
        ("timestamptz", "now() + interval '1 hour'".to_owned(), "now() - interval '1 hour'".to_owned()),
        ("timestamptz", "'infinity'".to_owned(), "'-infinity'".to_owned()),
        ("timestamp", format!("{utc} + interval '1 minute'"), format!("{utc} - interval '1 minute'")),
    ];
    for (kind, barred, free) in cases {
        let tables = format!(
            "CREATE TABLE users (id int4 PRIMARY KEY, ban {kind}); INSERT INTO users VALUES (1, {barred}), (2, {free}), (3, NULL);
             CREATE TABLE sessions (\"sessionToken\" text, \"userId\" int4, expires timestamptz);
             INSERT INTO sessions SELECT 's' || id, id, now() + interval '1 hour' FROM users"
        );
        let database = with_tables(&postgres, &tables);
        for fields in ["", "ban"] {
            let world = World::new(store(&database, selecting(columns(fields, Some("ban")))));
            assert_denies(&world.subject("1").await, Reason::Banned);
            assert_allows(&world.subject("2").await, "2");
            assert_allows(&world.subject("3").await, "3");
            assert_denies(&world.subject("4").await, Reason::UnknownUser);
            assert_denies(&world.opaque("s1").await, Reason::Banned);
            assert_allows(&world.opaque("s2").await, "2");
            assert_denies(&world.opaque("s4").await, Reason::UnknownSession);
        }
    }
}

#[tokio::test]
async fn sessions_come_with_the_fields_of_their_users() {
    let postgres = postgres();
    let tables = "CREATE TABLE users (id int4 PRIMARY KEY, role text); INSERT INTO users VALUES (7, 'admin');
        CREATE TABLE sessions (\"sessionToken\" text, \"userId\" int4, expires timestamptz);
        INSERT INTO sessions VALUES ('s', 7, now() + interval '1 minute')";
    let database = with_tables(&postgres, tables);
    let world = World::new(store(&database, selecting(columns("role", None))));
    let outcome = world.ask(vec![asking(Kind::Opaque, "s", &["role"])]).await.remove(0);
    let Outcome::Allow { user, fields, limits, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!((user.as_str(), json!(fields)), ("7", json!({ "role": "admin" })));
    assert!(limits.hard_ms <= 60_000, "{limits:?}");
}

#[tokio::test]
async fn what_does_not_fit_fails_for_its_user_alone_and_is_tried_again() {
    let postgres = postgres();
    let tables = "CREATE TABLE users (id int4, role text); INSERT INTO users VALUES
        (1, 'a'), (2, repeat('x', 5000)), (3, 'a'), (3, 'b'), (4, repeat('x', 1000000)), (5, 'a'), (5, 'a')";
    let database = with_tables(&postgres, tables);
    let world = World::new(store(&database, selecting(columns("role", None))));
    let asked = (1..=5).map(|id: u32| asking(Kind::Subject, &id.to_string(), &["role"]));
    let outcomes = world.ask(asked.collect()).await;
    assert_allows(&outcomes[0], "1");
    assert_eq!(outcomes[1..4], [FAILED, FAILED, FAILED]);
    assert_allows(&outcomes[4], "5");
    assert_eq!(world.queries(), 1);
    assert_eq!(world.count(&["unfit_users_total", "reason=\"too_large\""]), 2);
    assert_eq!(world.count(&["unfit_users_total", "reason=\"ambiguous\""]), 1);
    assert_eq!(world.under_way(), 0);
    postgres.run_sql(&database, "UPDATE users SET role = 'b' WHERE id = 2").unwrap();
    assert_eq!(fields_of(&world, "2", &["role"]).await, json!({ "role": "b" }));
}

#[tokio::test]
async fn what_is_not_there_is_told_with_the_variable_and_the_reason() {
    let postgres = postgres();
    let database = with_tables(&postgres, "CREATE TABLE users (id int4 PRIMARY KEY, a text, mood point)");
    let table = [
        (columns("a,rolle", None), "USER_FIELDS: column u.rolle does not exist"),
        (columns("a", Some("b")), "USER_FIELDS: column u.b does not exist"),
        (columns("", Some("b")), "USER_BANNED_FIELD: column u.b does not exist"),
        (columns("", Some("a")), "USER_BANNED_FIELD: has type TEXT; supported are boolean and timestamp"),
        (query("SELEC 1", None), "USER_QUERY: syntax error at or near \"SELEC\""),
        (query("SELECT id FROM nobody WHERE id = ANY($1)", None), "USER_QUERY: relation \"nobody\" does not exist"),
        (query("SELECT a FROM users WHERE id = ANY($1)", None), "USER_QUERY: it has no column `id`"),
        (
            query("SELECT id, a, a FROM users WHERE id = ANY($1)", None),
            "USER_QUERY: it has two columns with the name a",
        ),
        (
            query("SELECT id, lower(a), 1 FROM users WHERE id = ANY($1)", None),
            "USER_QUERY: its column \"?column?\" needs a name of letters, digits and `_`",
        ),
        (query("SELECT id FROM users", None), "USER_QUERY: it has 0 parameters; it needs one, $1, the list of ids"),
        (
            query("SELECT id FROM users WHERE id = $1", None),
            "USER_QUERY: $1 has type INT4; write a list of ids, such as `= ANY($1)` or `= ANY($1::text[])`",
        ),
        (query("SELECT id FROM users WHERE id = ANY($1)", Some("b")), "USER_BANNED_FIELD: the query has no column b"),
        (
            query("DELETE FROM users WHERE id = ANY($1) RETURNING id", None),
            "USER_QUERY: syntax error at or near \"FROM\"",
        ),
        (
            query("WITH gone AS (DELETE FROM users WHERE id = ANY($1) RETURNING id) SELECT id FROM gone", None),
            "USER_QUERY: WITH clause containing a data-modifying statement must be at the top level",
        ),
        (
            query("SELECT id FROM users WHERE id = ANY($1)) q; DELETE FROM users; SELECT (1", None),
            "USER_QUERY: syntax error at or near \")\"",
        ),
    ];
    for (selection, expected) in table {
        let store = store(&database, selecting(selection));
        assert_eq!(store.prepare().await.unwrap_err().to_string(), expected);
        assert_eq!(World::new(store).subject("7").await, FAILED);
    }
}

#[tokio::test]
async fn a_column_that_goes_is_noticed() {
    let postgres = postgres();
    let tables = "CREATE TABLE users (id int4 PRIMARY KEY, a text); INSERT INTO users VALUES (7, 'x'), (8, 'y')";
    let database = with_tables(&postgres, tables);
    let world = World::new(store(&database, selecting(columns("a", None))));
    assert_eq!(fields_of(&world, "7", &["a"]).await, json!({ "a": "x" }));
    postgres.run_sql(&database, "ALTER TABLE users DROP a").unwrap();
    assert_eq!(ask(&world, "8", &["a"]).await, FAILED);
    assert_eq!(fields_of(&world, "7", &["a"]).await, json!({ "a": "x" }));
    postgres.run_sql(&database, "ALTER TABLE users ADD a int4").unwrap();
    assert_eq!(fields_of(&world, "8", &["a"]).await, json!({ "a": null }));
}

#[tokio::test]
async fn users_with_fields_are_found_by_an_index() {
    let postgres = postgres();
    let tables = "CREATE TABLE users (id int4 PRIMARY KEY, a text, ban timestamptz);
        INSERT INTO users SELECT n, n FROM generate_series(1, 10000) n; ANALYZE";
    let database = with_tables(&postgres, tables);
    let by_query = query("SELECT id, a, ban FROM users WHERE id = ANY($1)", Some("ban"));
    for selection in [columns("a", None), columns("", Some("ban")), columns("a", Some("ban")), by_query] {
        let store = store(&database, selecting(selection));
        store.prepare().await.unwrap();
        let (users, _) = store.statements().unwrap();
        for mode in ["force_custom_plan", "force_generic_plan"] {
            let plan = format!("SET plan_cache_mode = {mode}; PREPARE it AS {users}; EXPLAIN EXECUTE it ('{{5,77}}')");
            let plan = postgres.run_sql(&database, &plan).unwrap();
            assert!(plan.contains("Index") && !plan.contains("Seq Scan"), "{mode}:\n{plan}");
        }
    }
}

#[tokio::test]
async fn records_with_fields_are_shared_and_those_of_another_selection_are_not_read() {
    let (postgres, redis) = (postgres(), Redis::start().unwrap());
    let tables = "CREATE TABLE users (id int4 PRIMARY KEY, a text, b text); INSERT INTO users VALUES (7, 'x', 'y')";
    let database = with_tables(&postgres, tables);
    let world = |selection: Selection| {
        let (schema, clock) = (selecting(selection), Clock::default());
        let (users, sessions) = schema.record_labels();
        let namespace = Namespace::new("auth:", "default", &users, &sessions);
        let server = jwe_gate_lookup::cache::RedisServer::from_url(&redis.url(), None).unwrap();
        let (timeout, claim) = (Duration::from_secs(5), Duration::from_secs(6));
        let cache = RedisCache::new(server, namespace, timeout, claim, clock.clone());
        World::with(Arc::new(store(&database, schema)), Some(Arc::new(cache)), FRESHNESS, clock)
    };
    let first = world(columns("a,b", None));
    assert_eq!(fields_of(&first, "7", &["a"]).await, json!({ "a": "x" }));
    crate::support::eventually("the record", || redis.command(&["DBSIZE"]).unwrap().trim() == "1").await;
    let second = world(columns("a,b", None));
    assert_eq!(fields_of(&second, "7", &["a", "b"]).await, json!({ "a": "x", "b": "y" }));
    assert_eq!((second.queries(), second.answers_from("redis")), (0, 1));
    assert_eq!(fields_of(&second, "7", &["b"]).await, json!({ "b": "y" }));
    assert_eq!(second.answers_from("memory"), 1);
    for other in [columns("a=b", None), columns("", None)] {
        let world = world(other);
        assert_allows(&world.subject("7").await, "7");
        assert_eq!((world.queries(), world.answers_from("redis")), (1, 0));
    }
}

async fn file(scratch: &Scratch, statements: &str) -> SqliteStore {
    let path = scratch.path().join("users.sqlite");
    drop(SqliteStore::open(&path).await.unwrap());
    run(&path, statements).await;
    SqliteStore::open(&path).await.unwrap()
}

async fn run(path: &Path, statements: &str) {
    let pool = SqlitePool::connect_with(SqliteConnectOptions::new().filename(path)).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(statements.to_owned())).execute(&pool).await.unwrap();
    pool.close().await;
}

const FILE: &str = r#"
ALTER TABLE users ADD COLUMN email TEXT; ALTER TABLE users ADD COLUMN "isAdmin" BOOLEAN;
ALTER TABLE users ADD COLUMN level INTEGER; ALTER TABLE users ADD COLUMN permissions JSON;
ALTER TABLE users ADD COLUMN photo BLOB; ALTER TABLE users ADD COLUMN ban;
INSERT INTO users VALUES ('7', '["a"]', 1, 3, '["read"]', x'00ff', NULL), ('8', NULL, NULL, NULL, NULL, NULL, 0),
    ('9', NULL, 2, NULL, NULL, NULL, NULL), ('10', NULL, 0, NULL, '[', NULL, NULL),
    ('b1', NULL, NULL, NULL, NULL, NULL, 1), ('b2', NULL, NULL, NULL, NULL, NULL, datetime('now', '+1 hour')),
    ('f1', NULL, NULL, NULL, NULL, NULL, datetime('now', '-1 hour')), ('?', NULL, NULL, NULL, NULL, NULL, 'soon');
INSERT INTO sessions VALUES ('s7', '7', unixepoch() * 1000 + 60000), ('sb', 'b1', unixepoch() * 1000 + 60000);"#;

#[tokio::test]
async fn columns_of_a_file_are_read_as_they_are_declared() {
    let scratch = Scratch::new().unwrap();
    let store = file(&scratch, FILE).await.selecting(columns("email,isAdmin,level,permissions,photo", Some("ban")));
    let world = World::new(store);
    let names = ["email", "isAdmin", "level", "permissions", "photo"];
    assert_eq!(
        fields_of(&world, "7", &names).await,
        json!({ "email": "[\"a\"]", "isAdmin": true, "level": 3, "permissions": ["read"], "photo": "00FF" })
    );
    let outcome = world.ask(vec![asking(Kind::Opaque, "s7", &["level"])]).await.remove(0);
    assert!(matches!(&outcome, Outcome::Allow { fields, .. } if json!(fields) == json!({ "level": 3 })), "{outcome:?}");
    assert_eq!(fields_of(&world, "8", &["isAdmin"]).await, json!({ "isAdmin": null }));
    assert_eq!((ask(&world, "9", &[]).await, ask(&world, "10", &[]).await), (FAILED, FAILED));
    assert_denies(&world.subject("b1").await, Reason::Banned);
    assert_denies(&world.subject("b2").await, Reason::Banned);
    assert_denies(&world.opaque("sb").await, Reason::Banned);
    assert_allows(&world.subject("f1").await, "f1");
    assert_eq!(world.subject("?").await, FAILED);
}

#[tokio::test]
async fn a_query_on_a_file_says_who_is_known_and_all_the_rest() {
    let scratch = Scratch::new().unwrap();
    let tables =
        "CREATE TABLE roles (user TEXT, name TEXT); INSERT INTO roles VALUES ('7', 'a'), ('7', 'b'), ('8', 'c');
        INSERT INTO users VALUES ('7'), ('8')";
    let text = "SELECT u.id, json_group_array(r.name) AS roles, count(*) AS number, '[' AS odd, u.id = '8' AS banned
        FROM users u JOIN roles r ON r.user = u.id WHERE u.id IN (SELECT value FROM json_each(?1)) GROUP BY u.id";
    let world = World::new(file(&scratch, tables).await.selecting(query(text, Some("banned"))));
    let fields = fields_of(&world, "7", &["roles", "number", "odd"]).await;
    assert_eq!(fields, json!({ "roles": ["a", "b"], "number": 2, "odd": "[" }));
    assert_denies(&world.subject("8").await, Reason::Banned);
    assert_denies(&world.subject("9").await, Reason::UnknownUser);
}

#[tokio::test]
async fn what_a_file_does_not_have_is_told_with_the_variable_and_the_reason() {
    let scratch = Scratch::new().unwrap();
    let path = scratch.path().join("users.sqlite");
    let ids = "WHERE id IN (SELECT value FROM json_each(?1))";
    let table = [
        (columns("email", None), "USER_FIELDS: the table users has no column email".to_owned()),
        (columns("", Some("ban")), "USER_BANNED_FIELD: the table users has no column ban".to_owned()),
        (
            query("SELECT id FROM users", None),
            "USER_QUERY: it has 0 parameters; it needs one, ?1, the list of ids".into(),
        ),
        (query(&format!("SELECT id AS it FROM users {ids}"), None), "USER_QUERY: it has no column `id`".into()),
        (
            query(&format!("SELECT id FROM users {ids}"), Some("b")),
            "USER_BANNED_FIELD: the query has no column b".into(),
        ),
        (query(&format!("SELECT id FROM nobody {ids}"), None), "USER_QUERY: no such table: nobody".into()),
        (
            query(&format!("DELETE FROM users {ids} RETURNING id"), None),
            "USER_QUERY: near \"DELETE\": syntax error".into(),
        ),
    ];
    for (selection, expected) in table {
        let store = SqliteStore::open(&path).await.unwrap().selecting(selection);
        assert_eq!(store.prepare().await.unwrap_err().to_string(), expected);
    }
}

#[test]
fn a_service_on_a_file_without_the_columns_does_not_start() {
    let scratch = Scratch::new().unwrap();
    let mut command = program();
    command.arg("--embedded").arg(scratch.path().join("users.sqlite")).env("USER_FIELDS", "email");
    let error = process::run(command).unwrap_err().to_string();
    assert!(error.ends_with("jwe-gate-lookup: USER_FIELDS: the table users has no column email\n"), "{error}");
}
