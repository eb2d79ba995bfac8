//! Users and sessions in the tables of four adapters.

use std::time::Duration;

use jwe_gate_contract::{Outcome, Reason};
use jwe_gate_lookup::store::PostgresStore;
use jwe_gate_test_parts::postgres::{Database, Postgres};
use sqlx::postgres::PgPoolOptions;

use crate::support::{World, assert_allows, assert_denies, database, postgres, schema, store};

/// Rows of one user and of three sessions: live for an hour, dead for an hour, live but of nobody's (where the tables
/// allow that).
fn fill(postgres: &Postgres, database: &Database, preset: &str) -> &'static str {
    let utc = "(now() AT TIME ZONE 'UTC')";
    let (user, statements) = match preset {
        "pg-adapter" => (
            "7",
            r#"INSERT INTO users (id) VALUES (7);
            INSERT INTO sessions ("userId", expires, "sessionToken") VALUES
            (7, now() + interval '1 hour', 'live'), (7, now() - interval '1 hour', 'dead'),
            (7, 'infinity', 'endless');"#
                .to_owned(),
        ),
        "prisma" => (
            "clx1",
            format!(
                r#"INSERT INTO "User" (id, email, "updatedAt") VALUES ('clx1', 'a@b', now());
                INSERT INTO "Session" ("sessionToken", "userId", expires, "updatedAt") VALUES
                ('live', 'clx1', {utc} + interval '1 hour', now()), ('dead', 'clx1', {utc} - interval '1 hour', now()),
                ('endless', 'clx1', 'infinity', now());"#
            ),
        ),
        "drizzle" => (
            "u-1",
            format!(
                r#"INSERT INTO "user" (id) VALUES ('u-1');
                INSERT INTO "session" VALUES ('live', 'u-1', {utc} + interval '1 hour'),
                ('dead', 'u-1', {utc} - interval '1 hour'), ('endless', 'u-1', 'infinity');"#
            ),
        ),
        "better-auth" => (
            "Xy9",
            r#"INSERT INTO "user" (id, name, email, "emailVerified") VALUES ('Xy9', 'A', 'a@b', true);
            INSERT INTO "session" (id, token, "userId", "expiresAt", "updatedAt") VALUES
            ('live-id', 'live', 'Xy9', now() + interval '1 hour', now()),
            ('dead-id', 'dead', 'Xy9', now() - interval '1 hour', now()),
            ('endless-id', 'endless', 'Xy9', 'infinity', now());"#
                .to_owned(),
        ),
        other => panic!("no rows for {other}"),
    };
    postgres.run_sql(database, &statements).unwrap();
    user
}

async fn users_and_sessions_are_found_in(preset: &str) {
    let postgres = postgres();
    let database = database(&postgres, preset);
    let user = fill(&postgres, &database, preset);
    let world = World::new(store(&database, schema(preset)));

    assert_allows(&world.subject(user).await, user);
    assert_denies(&world.subject("8").await, Reason::UnknownUser);
    assert_allows(&world.opaque("live").await, user);
    assert_allows(&world.opaque("endless").await, user);
    for token in ["dead", "unknown", "LIVE", "live ", "live-id", "", "\0"] {
        assert_denies(&world.opaque(token).await, Reason::UnknownSession);
    }
}

#[tokio::test]
async fn pg_adapter_users_and_sessions_are_found() {
    users_and_sessions_are_found_in("pg-adapter").await;
}

#[tokio::test]
async fn prisma_users_and_sessions_are_found() {
    users_and_sessions_are_found_in("prisma").await;
}

#[tokio::test]
async fn drizzle_users_and_sessions_are_found() {
    users_and_sessions_are_found_in("drizzle").await;
}

#[tokio::test]
async fn better_auth_users_and_sessions_are_found() {
    users_and_sessions_are_found_in("better-auth").await;
}

#[tokio::test]
async fn sessions_end_on_time_whatever_the_time_zone_of_the_connection() {
    let postgres = postgres();
    for preset in ["pg-adapter", "prisma", "drizzle", "better-auth"] {
        let database = database(&postgres, preset);
        let user = fill(&postgres, &database, preset);
        for zone in ["SET TIME ZONE 'America/New_York'", "SET TIME ZONE 'Asia/Tokyo'"] {
            let pool = PgPoolOptions::new().after_connect(move |connection, _| {
                Box::pin(async move { sqlx::query(zone).execute(connection).await.map(drop) })
            });
            let pool = pool.connect_lazy(&database.url()).unwrap();
            let world = World::new(PostgresStore::on(pool, schema(preset), Duration::from_secs(5)));
            assert_allows(&world.opaque("live").await, user);
            assert_denies(&world.opaque("dead").await, Reason::UnknownSession);
            let Outcome::Allow { limits, .. } = world.opaque("live").await else { panic!("{preset} in {zone}") };
            assert!((3_500_000..=3_600_000).contains(&limits.hard_ms), "{preset} in {zone}: {limits:?}");
        }
    }
}

#[tokio::test]
async fn the_end_of_a_session_bounds_how_long_its_answer_may_be_used() {
    let postgres = postgres();
    let database = database(&postgres, "pg-adapter");
    postgres
        .run_sql(
            &database,
            r#"INSERT INTO users (id) VALUES (7); INSERT INTO sessions ("userId", expires, "sessionToken")
            VALUES (7, now() + interval '60 seconds', 'short')"#,
        )
        .unwrap();
    let world = World::new(store(&database, schema("pg-adapter")));
    let Outcome::Allow { limits, as_of_ms, .. } = world.opaque("short").await else { panic!() };
    assert!(limits.fresh_ms <= 60_000 && limits.hard_ms == limits.fresh_ms && limits.fresh_ms > 30_000, "{limits:?}");
    let clock: u64 =
        postgres.run_sql(&database, "SELECT floor(extract(epoch FROM now()) * 1000)::bigint").unwrap().parse().unwrap();
    assert!(as_of_ms <= clock && clock - as_of_ms < 30_000);
}

#[tokio::test]
async fn a_table_and_field_of_ones_own_are_found_with_their_case_and_schema() {
    let postgres = postgres();
    let database = postgres.database().unwrap();
    postgres
        .run_sql(
            &database,
            r#"CREATE SCHEMA app; CREATE TABLE app."People" ("personId" uuid PRIMARY KEY);
            INSERT INTO app."People" VALUES ('67e55044-10b1-426f-9247-bb680e5fe0c8')"#,
        )
        .unwrap();
    let mut own = schema("pg-adapter");
    own.users = "app.People".parse().unwrap();
    own.user_id = "personId".parse().unwrap();
    let world = World::new(store(&database, own));
    let id = "67e55044-10b1-426f-9247-bb680e5fe0c8";
    assert_allows(&world.subject(id).await, id);
    assert_denies(&world.subject(&id.to_uppercase()).await, Reason::UnknownUser);
    // There is no table of sessions here.
    assert_eq!(world.opaque("live").await, Outcome::Failed { cause: jwe_gate_contract::Cause::Unsupported });
}
