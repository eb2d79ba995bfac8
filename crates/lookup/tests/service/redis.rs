//! With a real Redis in front, in all its moods.

use std::sync::Arc;
use std::time::Duration;

use jwe_gate_contract::{Cause, Kind, Limits, Outcome, Reason};
use jwe_gate_lookup::cache::{CacheError, RedisServer};
use jwe_gate_lookup::clock::Clock;
use jwe_gate_lookup::key::RecordKey;
use jwe_gate_lookup::record::{Freshness, Held, Record, Verdict};
use jwe_gate_lookup::store::UserFields;
use jwe_gate_test_parts::postgres::{Database, Postgres};
use jwe_gate_test_parts::redis::{Redis, RedisOptions};

use crate::support::{
    FRESHNESS, World, assert_allows, assert_denies, cache_on, database, eventually, postgres, read, redis_cache,
    schema, store, users_with_id, write,
};

const NAME: &str = "auth:v1:default:users.id:subject:7";

fn world(postgres: &Postgres, redis: &Redis) -> World {
    world_of(&users_with_id(postgres, "int4", &["7"]), redis)
}

fn world_of(database: &Database, redis: &Redis) -> World {
    World::with_redis(store(database, schema("pg-adapter")), &redis.url())
}

fn stored(redis: &Redis) -> String {
    redis.command(&["GET", NAME]).unwrap()
}

fn held(verdict: Verdict, as_of_ms: u64, clock: &Clock) -> Held {
    let limits = Limits { fresh_ms: 100_000, stale_ms: 200_000, hard_ms: 300_000 };
    Held { record: Record { verdict, as_of_ms, limits }, since: clock.now() }
}

fn allow() -> Verdict {
    Verdict::Allow { user: "7".into(), fields: UserFields::new() }
}

fn deny() -> Verdict {
    Verdict::Deny { reason: Reason::UnknownUser }
}

#[tokio::test]
async fn a_second_service_answers_from_what_the_first_one_wrote() {
    let (postgres, redis) = (postgres(), Redis::start().unwrap());
    let database = database(&postgres, "pg-adapter");
    postgres.run_sql(&database, "INSERT INTO users (id) VALUES (7)").unwrap();
    let first = World::with_redis(store(&database, schema("pg-adapter")), &redis.url());
    let second = World::with_redis(store(&database, schema("pg-adapter")), &redis.url());
    let Outcome::Allow { as_of_ms: written, .. } = first.subject("7").await else { panic!() };
    eventually("the record", || stored(&redis).contains("as_of_ms")).await;
    let Outcome::Allow { as_of_ms, limits, .. } = second.subject("7").await else { panic!() };
    assert_eq!((as_of_ms, second.queries(), second.answers_from("redis")), (written, 0, 1));
    assert!(limits.fresh_ms <= 600_000 && limits.fresh_ms > 570_000, "{limits:?}");

    assert_denies(&first.opaque("a secret token").await, Reason::UnknownSession);
    eventually("the second record", || redis.command(&["DBSIZE"]).unwrap() == "2").await;
    let everything = redis.command(&["KEYS", "*"]).unwrap();
    assert!(!everything.contains("a secret token") && everything.contains("opaque:sha256-"), "{everything}");
}

#[tokio::test]
async fn the_age_of_a_record_is_told_by_its_time_to_live() {
    let (postgres, redis) = (postgres(), Redis::start().unwrap());
    world(&postgres, &redis).subject("7").await;
    eventually("the record", || stored(&redis).contains("as_of_ms")).await;
    let left: u64 = redis.command(&["PTTL", NAME]).unwrap().parse().unwrap();
    assert!(left <= 4_200_000 && left > 4_100_000, "{left}");
    // As if 500 seconds had passed.
    redis.command(&["PEXPIRE", NAME, &(left - 500_000).to_string()]).unwrap();
    let second = world(&postgres, &redis);
    let Outcome::Allow { limits, .. } = second.subject("7").await else { panic!() };
    assert!(limits.fresh_ms <= 100_000 && limits.fresh_ms > 50_000, "{limits:?}");
    assert_eq!(second.queries(), 0);
}

#[tokio::test]
async fn what_is_no_record_of_ours_is_a_miss_and_is_overwritten() {
    let (postgres, redis) = (postgres(), Redis::start().unwrap());
    let database = users_with_id(&postgres, "int4", &["7"]);
    let good = r#"{"version":1,"realm":"default","kind":"subject","verdict":"allow","user":"7","as_of_ms":1,"fresh_ms":600000,"stale_ms":600000,"hard_ms":600000}"#;
    let values: Vec<(&str, String)> = vec![
        ("the old system's", "true".into()),
        ("a half", good[..40].into()),
        ("another realm's", good.replace("default", "other")),
        ("another version's", good.replace("\"version\":1", "\"version\":2")),
        ("another kind's", good.replace("subject", "opaque")),
        ("one that outlives itself", good.replace("\"hard_ms\":600000", "\"hard_ms\":599999")),
        ("disordered limits", good.replace("\"stale_ms\":600000", "\"stale_ms\":5")),
        ("a long one", "x".repeat(100_000)),
        ("nothing", String::new()),
        ("a list", "[]".into()),
    ];
    for (what, value) in values {
        redis.command(&["SET", NAME, &value, "PX", "600000"]).unwrap();
        let world = world_of(&database, &redis);
        assert_allows(&world.subject("7").await, "7");
        assert_eq!(world.answers_from("database"), 1, "{what}");
        eventually(what, || stored(&redis).contains("\"hard_ms\":4200000")).await;
    }
    // A good one, to see that the others were refused for what is wrong with them.
    redis.command(&["SET", NAME, good, "PX", "600000"]).unwrap();
    let world_with_good = world_of(&database, &redis);
    world_with_good.subject("7").await;
    assert_eq!(world_with_good.answers_from("redis"), 1);
    // The same without an end, and a value of another type.
    for command in [&["SET", NAME, good][..], &["RPUSH", NAME, "x"]] {
        redis.command(&["DEL", NAME]).unwrap();
        redis.command(command).unwrap();
        let world = world_of(&database, &redis);
        assert_allows(&world.subject("7").await, "7");
        assert_eq!((world.answers_from("database"), world.count(&["redis_errors"])), (1, 0), "{command:?}");
    }
}

#[tokio::test]
async fn an_older_record_never_replaces_a_newer_one_and_a_denial_wins_a_tie() {
    let redis = Redis::start().unwrap();
    let clock = Clock::default();
    let (cache, key) = (redis_cache(&redis.url(), &clock), RecordKey::new(Kind::Subject, "7"));
    let steps = [
        (allow(), 10, (allow(), 10)),
        (deny(), 9, (allow(), 10)),
        (deny(), 10, (deny(), 10)),
        (allow(), 10, (deny(), 10)),
        (allow(), 9, (deny(), 10)),
        (allow(), 11, (allow(), 11)),
        (deny(), 1_800_000_000_000, (deny(), 1_800_000_000_000)),
        (allow(), 1_799_999_999_999, (deny(), 1_800_000_000_000)),
    ];
    for (verdict, as_of_ms, expected) in steps {
        write(&cache, &key, held(verdict, as_of_ms, &clock)).await.unwrap();
        let found = read(&cache, &key).await.unwrap().unwrap();
        assert_eq!((found.record.verdict, found.record.as_of_ms), expected);
    }
}

#[tokio::test]
async fn a_user_who_is_gone_is_denied_everywhere_from_the_next_query_on() {
    let (postgres, redis) = (postgres(), Redis::start().unwrap());
    let database = users_with_id(&postgres, "int4", &["7"]);
    let clock = Clock::default();
    let freshness = Freshness { positive: Duration::ZERO, ..FRESHNESS };
    let shared = Arc::new(redis_cache(&redis.url(), &clock));
    let world = World::with(Arc::new(store(&database, schema("pg-adapter"))), Some(shared), freshness, clock);
    assert_allows(&world.subject("7").await, "7");
    eventually("the positive", || stored(&redis).contains("allow")).await;
    postgres.run_sql(&database, "DELETE FROM users").unwrap();
    assert_denies(&world.subject("7").await, Reason::UnknownUser);
    eventually("the negative", || stored(&redis).contains("deny")).await;
    assert_denies(&world.subject("7").await, Reason::UnknownUser);
}

#[tokio::test]
async fn a_denial_stays_in_redis_briefly_unless_somebody_had_been_let_in() {
    let (postgres, redis) = (postgres(), Redis::start().unwrap());
    let database = users_with_id(&postgres, "int4", &["7"]);
    let left = |id: &str| redis.command(&["PTTL", &NAME.replace('7', id)]).unwrap().parse::<i64>().unwrap();
    let stranger = world_of(&database, &redis);
    assert_denies(&stranger.subject("8").await, Reason::UnknownUser);
    eventually("the denial", || left("8") > 0).await;
    assert!(left("8") <= 10_000, "{}", left("8"));
    // It serves others for as long as it is fresh, and no longer.
    let other = world_of(&database, &redis);
    let Outcome::Deny { limits, .. } = other.subject("8").await else { panic!() };
    assert!(limits.fresh_ms <= 10_000 && other.queries() == 0, "{limits:?}");

    let world = world_of(&database, &redis);
    assert_allows(&world.subject("7").await, "7");
    eventually("the positive", || stored(&redis).contains("allow")).await;
    postgres.run_sql(&database, "DELETE FROM users").unwrap();
    // As if 601 of its 4200 seconds had passed, here and there.
    world.clock.advance(Duration::from_secs(601));
    redis.command(&["PEXPIRE", NAME, "3599000"]).unwrap();
    for round in 1..=2 {
        assert_denies(&world.subject("7").await, Reason::UnknownUser);
        eventually("the denial", || stored(&redis).contains("deny") && left("7") > 4_190_000).await;
        assert_eq!(world.queries(), 1 + round);
        world.clock.advance(Duration::from_secs(11));
        redis.command(&["PEXPIRE", NAME, "4180000"]).unwrap();
    }
}

#[tokio::test]
async fn an_older_positive_in_redis_does_not_undo_a_denial_that_redis_missed() {
    let (postgres, redis) = (postgres(), Redis::start().unwrap());
    let world = world_of(&users_with_id(&postgres, "int4", &[]), &redis);
    assert_denies(&world.subject("7").await, Reason::UnknownUser);
    eventually("the denial", || stored(&redis).contains("deny")).await;
    let older = r#"{"version":1,"realm":"default","kind":"subject","verdict":"allow","user":"7","as_of_ms":1,"fresh_ms":600000,"stale_ms":600000,"hard_ms":600000}"#;
    redis.command(&["SET", NAME, older, "PX", "600000"]).unwrap();
    world.clock.advance(Duration::from_secs(11));
    assert_denies(&world.subject("7").await, Reason::UnknownUser);
    assert_eq!(world.answers_from("database"), 2);
}

#[tokio::test]
async fn a_question_in_a_hurry_does_not_make_redis_seem_to_fail() {
    let (postgres, redis) = (postgres(), Redis::start().unwrap());
    let mut world = world_of(&users_with_id(&postgres, "int4", &["7"]), &redis);
    world.deadline_ms = 0;
    assert_eq!(world.subject("7").await, Outcome::Failed { cause: Cause::Late });
    world.deadline_ms = 20_000;
    assert_allows(&world.subject("7").await, "7");
    eventually("the record", || stored(&redis).contains("allow")).await;
    assert_eq!(world.count(&["redis_errors"]), 0);
}

#[tokio::test]
async fn a_killed_redis_costs_no_answer_and_is_used_again_when_it_is_back() {
    let (postgres, mut redis) = (postgres(), Redis::start().unwrap());
    let world = world(&postgres, &redis);
    assert_allows(&world.subject("7").await, "7");
    eventually("the record", || stored(&redis).contains("as_of_ms")).await;
    redis.kill();
    for id in ["8", "9", "10"] {
        assert_denies(&world.subject(id).await, Reason::UnknownUser);
    }
    assert!(world.count(&["redis_errors"]) > 0);
    redis.restart().unwrap();
    world.clock.advance(Duration::from_secs(20));
    assert_denies(&world.subject("11").await, Reason::UnknownUser);
    eventually("new records", || redis.command(&["DBSIZE"]).unwrap() != "0").await;
    assert_allows(&world.subject("7").await, "7");
}

#[tokio::test]
async fn a_silent_redis_leaves_the_database_time_to_answer() {
    let (postgres, redis) = (postgres(), Redis::start().unwrap());
    let mut world = world(&postgres, &redis);
    assert_denies(&world.subject("8").await, Reason::UnknownUser);
    // It is written after the answer, and would be a second request to time out.
    eventually("the record", || redis.command(&["DBSIZE"]).unwrap() == "1").await;
    redis.pause().unwrap();
    world.deadline_ms = 3_000;
    assert_allows(&world.subject("7").await, "7");
    // The next ones do not even try.
    assert_denies(&world.subject("9").await, Reason::UnknownUser);
    assert_eq!(world.count(&["redis_errors", "timed_out"]), 1);
    assert!(world.count(&["redis_errors", "skipped"]) > 0);
    redis.resume().unwrap();
}

#[tokio::test]
async fn a_wrong_password_is_a_redis_of_no_use_and_not_an_answer() {
    let options = RedisOptions { password: Some("the right one".into()), tls: false };
    let (postgres, redis) = (postgres(), Redis::start_with(options).unwrap());
    redis.command(&["SET", NAME, "true"]).unwrap();
    let database = users_with_id(&postgres, "int4", &[]);
    for url in [redis.url().replace("the right one", "wrong"), format!("redis://{}", redis.address())] {
        let world = World::with_redis(store(&database, schema("pg-adapter")), &url);
        assert_denies(&world.subject("7").await, Reason::UnknownUser);
        assert!(world.count(&["redis_errors", "refused"]) > 0, "{}", world.metrics.render());
    }
}

#[tokio::test]
async fn password_and_tls_are_used_and_an_unknown_authority_is_not_trusted() {
    let options = RedisOptions { password: Some("opensesame".into()), tls: true };
    let redis = Redis::start_with(options).unwrap();
    let pem = std::fs::read(&redis.certificates().unwrap().authority).unwrap();
    let (clock, key) = (Clock::default(), RecordKey::new(Kind::Subject, "7"));
    let cache = |authority| cache_on(RedisServer::from_url(&redis.url(), authority).unwrap(), &clock);
    write(&cache(Some(pem)), &key, held(allow(), 1, &clock)).await.unwrap();
    assert!(stored(&redis).contains("\"user\":\"7\""));
    let error = read(&cache(None), &key).await.unwrap_err();
    assert_eq!(error, CacheError::Unreachable);
}
