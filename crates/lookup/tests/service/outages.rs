//! Postgres gone, silent, and back.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use jwe_gate_contract::{Cause, LookupSecret, Outcome, Reason};
use jwe_gate_lookup::cache::MemoryCache;
use jwe_gate_lookup::clock::Clock;
use jwe_gate_lookup::http::{KeySet, Readiness, Service};
use jwe_gate_lookup::lookup::{Lookup, Parts};
use jwe_gate_lookup::metrics::Metrics;
use jwe_gate_lookup::service::serve;
use jwe_gate_lookup::store::{PostgresPool, PostgresStore, TlsMode, UserStore};
use jwe_gate_test_parts::postgres::{Database, Postgres, PostgresOptions};
use jwe_gate_test_parts::process;
use jwe_gate_test_parts::redis::Redis;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{FRESHNESS, LOAD, SECRET, World, assert_allows, assert_denies, eventually, schema, users_with_id};

const UNAVAILABLE: Outcome = Outcome::Failed { cause: Cause::Unavailable };

/// Gives up soon, as these tests wait for it.
pub(crate) fn impatient(database: &Database) -> PostgresStore {
    let server = PostgresPool::from_url(&database.url()).unwrap();
    PostgresStore::new(server, 5, schema("pg-adapter"), Duration::from_millis(500))
}

#[tokio::test]
async fn without_postgres_the_known_pass_the_denied_stay_out_and_of_others_nothing_is_said() {
    let mut postgres = Postgres::start().unwrap();
    let world = World::new(impatient(&users_with_id(&postgres, "int4", &["7", "9"])));
    assert_allows(&world.subject("7").await, "7");
    assert_denies(&world.subject("8").await, Reason::UnknownUser);
    postgres.kill();

    // Fresh: as if nothing had happened.
    assert_allows(&world.subject("7").await, "7");
    assert_eq!(world.answers_from("memory"), 1);
    assert_eq!(world.subject("9").await, UNAVAILABLE);

    // No longer fresh, but within the hard limit: only for as long as asking fails.
    world.clock.advance(Duration::from_secs(601));
    let Outcome::Allow { limits, .. } = world.subject("7").await else { panic!() };
    assert_eq!((limits.fresh_ms, limits.stale_ms), (0, 0));
    assert!(limits.hard_ms > 3_500_000, "{limits:?}");
    let Outcome::Deny { limits, .. } = world.subject("8").await else { panic!() };
    assert_eq!((limits.fresh_ms, limits.stale_ms), (0, 0));

    // Past it: nothing is known any more.
    world.clock.advance(Duration::from_hours(1));
    assert_eq!(world.subject("7").await, UNAVAILABLE);
    assert_eq!(world.subject("8").await, UNAVAILABLE);

    postgres.restart().unwrap();
    assert_allows(&world.subject("7").await, "7");
    assert_allows(&world.subject("9").await, "9");
}

#[tokio::test]
async fn a_restarted_service_takes_its_last_resort_from_redis() {
    let mut postgres = Postgres::start().unwrap();
    let redis = Redis::start().unwrap();
    let database = users_with_id(&postgres, "int4", &["7"]);
    let name = "auth:v1:default:users.id:subject:7";
    World::with_redis(impatient(&database), &redis.url()).subject("7").await;
    eventually("the record", || redis.command(&["GET", name]).unwrap().contains("as_of_ms")).await;
    postgres.kill();
    // As if 601 of its 4200 seconds had passed.
    redis.command(&["PEXPIRE", name, "3599000"]).unwrap();
    let restarted = World::with_redis(impatient(&database), &redis.url());
    let Outcome::Allow { limits, .. } = restarted.subject("7").await else { panic!() };
    assert_eq!((limits.fresh_ms, limits.stale_ms, restarted.answers_from("last_resort")), (0, 0, 1));
    assert_eq!(restarted.subject("8").await, UNAVAILABLE);
}

#[tokio::test]
async fn a_silent_postgres_is_given_up_on_and_used_again_when_it_speaks() {
    let postgres = Postgres::start().unwrap();
    let world = World::new(impatient(&users_with_id(&postgres, "int4", &["7"])));
    assert_denies(&world.subject("8").await, Reason::UnknownUser);
    postgres.pause().unwrap();
    assert_eq!(world.subject("7").await, UNAVAILABLE);
    postgres.resume().unwrap();
    let mut outcome = world.subject("7").await;
    for _ in 0..20 {
        if outcome != UNAVAILABLE {
            break;
        }
        outcome = world.subject("7").await;
    }
    assert_allows(&outcome, "7");
}

#[tokio::test]
async fn lookups_that_wait_for_a_lock_do_not_pile_up_in_the_database() {
    let postgres = Postgres::start().unwrap();
    let database = users_with_id(&postgres, "int4", &["7"]);
    let world = World::new(impatient(&database));
    assert_allows(&world.subject("7").await, "7");
    let lock = locked(&database).await;
    for id in 100..112 {
        world.subject(&id.to_string()).await;
    }
    let backends = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'jwe-gate-lookup'";
    let count: u32 = postgres.run_sql(&database, backends).unwrap().parse().unwrap();
    assert!(count <= 5, "{count} connections");
    drop(lock);
}

#[tokio::test]
async fn the_service_lives_without_postgres_and_is_ready_once_it_has_seen_the_tables() {
    let mut postgres = Postgres::start().unwrap();
    let database = users_with_id(&postgres, "int4", &["7"]);
    postgres.kill();
    let (clock, metrics) = (Clock::default(), Arc::new(Metrics::new()));
    let store: Arc<dyn UserStore> = Arc::new(impatient(&database));
    let memory = MemoryCache::new(100);
    let parts =
        Parts { store, shared: None, memory, freshness: FRESHNESS, load: LOAD, metrics: metrics.clone(), clock };
    let service = Service {
        secret: LookupSecret::new(SECRET).unwrap(),
        realm: "default".into(),
        lookup: Lookup::new(parts),
        metrics,
        readiness: Readiness::default(),
        revoking: None,
        keys: KeySet::default(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let readiness = service.readiness.clone();
    let serving = tokio::spawn(serve(listener, service, std::future::pending()));
    assert_eq!(status(address, "/livez").await, StatusCode::OK);
    assert_eq!(status(address, "/readyz").await, StatusCode::SERVICE_UNAVAILABLE);
    postgres.restart().unwrap();
    eventually("readiness", || readiness.is_set()).await;
    assert_eq!(status(address, "/readyz").await, StatusCode::OK);
    serving.abort();
}

async fn status(address: std::net::SocketAddr, path: &str) -> StatusCode {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    reply.split(' ').nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn tls_to_postgres_is_verified_against_the_given_authority() {
    let postgres = Postgres::start_with(&PostgresOptions { tls: true, ..Default::default() }).unwrap();
    let database = users_with_id(&postgres, "int4", &["7"]);
    let authority = postgres.certificates().unwrap().authority.clone();
    let open = |mode, authority| {
        let server = PostgresPool::from_url(&database.url()).unwrap().with_tls(Some(mode), authority);
        World::new(PostgresStore::new(server, 2, schema("pg-adapter"), Duration::from_secs(2)))
    };
    assert_allows(&open(TlsMode::VerifyFull, Some(authority)).subject("7").await, "7");
    assert_eq!(open(TlsMode::VerifyFull, None).subject("7").await, UNAVAILABLE);
    assert_eq!(open(TlsMode::Disable, None).subject("7").await, UNAVAILABLE);
}

/// What a host does that vanishes without a word: its side of a connection stays open and never says anything again.
#[tokio::test]
async fn a_connection_that_falls_silent_in_mid_query_gives_up_its_place_in_the_pool() {
    let postgres = Postgres::start().unwrap();
    let database = users_with_id(&postgres, "int4", &["7", "9"]);
    let server = PostgresPool::from_url(&database.url()).unwrap();
    let world = World::new(PostgresStore::new(server, 1, schema("pg-adapter"), Duration::from_millis(100)));
    eventually_allows(&world, "7").await;

    let lock = locked(&database).await;
    assert_eq!(world.subject("9").await, UNAVAILABLE);
    let waiting =
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'jwe-gate-lookup' AND wait_event_type = 'Lock'";
    let silenced = postgres.run_sql(&database, waiting).unwrap();
    let mut stop = Command::new("kill");
    stop.args(["-STOP", &silenced]);
    process::run(stop).unwrap();
    drop(lock);

    eventually_allows(&world, "9").await;
}

/// The table `users`, held by somebody else until the transaction is dropped.
pub(crate) async fn locked(database: &Database) -> sqlx::Transaction<'static, sqlx::Postgres> {
    let mut lock = sqlx::PgPool::connect(&database.url()).await.unwrap().begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE users").execute(&mut *lock).await.unwrap();
    lock
}

async fn eventually_allows(world: &World, subject: &str) {
    let start = Instant::now();
    let mut outcome = world.subject(subject).await;
    while outcome == UNAVAILABLE && start.elapsed() < Duration::from_secs(20) {
        tokio::time::sleep(Duration::from_millis(50)).await;
        outcome = world.subject(subject).await;
    }
    assert_allows(&outcome, subject);
}
