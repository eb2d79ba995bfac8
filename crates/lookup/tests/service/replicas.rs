//! Services that share one Redis: each subject is looked up by one of them.

use std::process::Command;
use std::time::Duration;

use futures_util::future::join_all;
use jwe_gate_contract::{Cause, Kind, LOOKUP_PATH, LookupQuestion, LookupSecret, MAC_HEADER, Outcome, Reason, VERSION};
use jwe_gate_test_parts::ports::Port;
use jwe_gate_test_parts::postgres::{Database, Postgres};
use jwe_gate_test_parts::process::Process;
use jwe_gate_test_parts::redis::Redis;
use jwe_gate_test_parts::scratch::Scratch;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::batches::Slow;
use crate::outages::{impatient, locked};
use crate::process::program;
use crate::support::{
    SECRET, World, assert_allows, assert_denies, eventually, numbered_users, postgres, question, schema, store,
    users_with_id,
};

const RECORD: &str = "auth:v1:default:users.id:subject:7";
const CLAIM: &str = "{auth:v1:default:users.id:subject:7}:claim";

fn world(database: &Database, redis: &Redis) -> World {
    World::with_redis(store(database, schema("pg-adapter")), &redis.url())
}

fn claims(redis: &Redis) -> usize {
    redis.command(&["KEYS", "*:claim"]).unwrap().lines().filter(|line| !line.is_empty()).count()
}

/// Asks for 1,000 users in four messages, and checks each answer.
async fn ask_for_all(world: &World) {
    let messages = (0..4).map(|part| {
        let numbers = (1..=250).map(move |number: u32| part * 250 + number);
        let questions = numbers.map(|number| question(Kind::Subject, &number.to_string()));
        world.ask(questions.collect())
    });
    for (number, outcome) in (1..).zip(join_all(messages).await.concat()) {
        assert_allows(&outcome, &i32::to_string(&number));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_services_asked_for_the_same_thousand_at_once_look_each_up_once() {
    let (postgres, redis) = (postgres(), Redis::start().unwrap());
    let database = numbered_users(&postgres, 1_000);
    let slow = || Slow(store(&database, schema("pg-adapter")), Duration::from_millis(50));
    let worlds = [World::with_redis(slow(), &redis.url()), World::with_redis(slow(), &redis.url())];
    join_all(worlds.iter().map(ask_for_all)).await;

    let sum = |count: fn(&World) -> u64| worlds.iter().map(count).sum::<u64>();
    println!("{} queries for {} keys", sum(World::queries), sum(World::keys));
    assert_eq!(sum(World::keys), 1_000);
    assert_eq!((sum(|world| world.claims("won")), sum(|world| world.claims("expired"))), (1_000, 0));

    // The claims go with the write, which comes after the answer.
    eventually("the claims to be given back", || claims(&redis) == 0).await;
    assert_eq!(redis.command(&["DBSIZE"]).unwrap(), "1000");
}

#[tokio::test]
async fn the_lookup_of_a_service_that_was_killed_passes_to_another_one() {
    let (postgres, redis) = (Postgres::start().unwrap(), Redis::start().unwrap());
    let database = users_with_id(&postgres, "int4", &["7"]);
    let world = world(&database, &redis);
    // So that the tables have been read, and nothing but the lookup waits.
    assert_denies(&world.subject("8").await, Reason::UnknownUser);
    let lock = locked(&database).await;
    let mut holder = Replica::start(&database, &redis);
    let _connection = holder.ask("7").await;
    eventually("the claim", || claims(&redis) == 1).await;
    holder.process.kill();
    drop(lock);
    assert_allows(&world.subject("7").await, "7");
    eventually("the record", || redis.command(&["GET", RECORD]).unwrap().contains("allow")).await;
    eventually("no claim to be left", || claims(&redis) == 0).await;
}

#[tokio::test]
async fn a_claim_of_somebody_else_is_waited_for_within_the_time_and_never_taken_away() {
    let (postgres, redis) = (postgres(), Redis::start().unwrap());
    let mut world = world(&users_with_id(&postgres, "int4", &["7"]), &redis);
    // So that all connections are there, and the time goes into waiting.
    assert_denies(&world.subject("8").await, Reason::UnknownUser);
    redis.command(&["SET", CLAIM, "another's", "PX", "60000"]).unwrap();
    world.deadline_ms = 3_000;
    assert_allows(&world.subject("7").await, "7");
    assert_eq!((world.claims("expired"), world.claims("won"), world.queries()), (1, 1, 2));
    eventually("the record", || redis.command(&["GET", RECORD]).unwrap().contains("allow")).await;
    assert_eq!(redis.command(&["GET", CLAIM]).unwrap(), "another's");
}

#[tokio::test]
async fn a_claim_that_ends_by_itself_passes_to_whoever_waits() {
    let (postgres, redis) = (postgres(), Redis::start().unwrap());
    let world = world(&users_with_id(&postgres, "int4", &["7"]), &redis);
    redis.command(&["SET", CLAIM, "of one who died", "PX", "200"]).unwrap();
    assert_allows(&world.subject("7").await, "7");
    assert_eq!((world.claims("expired"), world.claims("won")), (0, 1));
    eventually("the claim to be given back", || claims(&redis) == 0).await;
}

#[tokio::test]
async fn a_claim_does_not_outlive_a_lookup_that_fails() {
    let (mut postgres, redis) = (Postgres::start().unwrap(), Redis::start().unwrap());
    let database = users_with_id(&postgres, "int4", &["7"]);
    let world = World::with_redis(impatient(&database), &redis.url());
    assert_denies(&world.subject("8").await, Reason::UnknownUser);
    postgres.kill();
    assert_eq!(world.subject("7").await, Outcome::Failed { cause: Cause::Unavailable });
    assert_eq!(world.claims("won"), 2);
    eventually("the claim to be given back", || claims(&redis) == 0).await;
}

#[tokio::test]
async fn a_claim_ends_by_itself_soon_after_the_database_would_have_given_up() {
    let (postgres, redis) = (postgres(), Redis::start().unwrap());
    let database = users_with_id(&postgres, "int4", &["7"]);
    let lock = locked(&database).await;
    let holder = Replica::start(&database, &redis);
    let _connection = holder.ask("7").await;
    eventually("the claim", || claims(&redis) == 1).await;
    let left: i64 = redis.command(&["PTTL", CLAIM]).unwrap().parse().unwrap();
    // POSTGRES_TIMEOUT is 10,000 there.
    assert!(left > 0 && left <= 10_250, "{left}");
    drop(lock);
}

#[tokio::test]
async fn an_outdated_record_is_looked_up_by_one_service_while_the_other_waits() {
    let (postgres, redis) = (postgres(), Redis::start().unwrap());
    let database = users_with_id(&postgres, "int4", &["7"]);
    assert_allows(&world(&database, &redis).subject("7").await, "7");
    eventually("the record", || redis.command(&["GET", RECORD]).unwrap().contains("allow")).await;
    // As if 601 of its 4200 seconds had passed.
    redis.command(&["PEXPIRE", RECORD, "3599000"]).unwrap();
    let slow = || Slow(store(&database, schema("pg-adapter")), Duration::from_millis(50));
    let worlds = [World::with_redis(slow(), &redis.url()), World::with_redis(slow(), &redis.url())];
    for outcome in join_all(worlds.iter().map(|world| world.subject("7"))).await {
        let Outcome::Allow { limits, .. } = outcome else { panic!("{outcome:?}") };
        assert!(limits.fresh_ms > 590_000, "{limits:?}");
    }
    assert_eq!(worlds.iter().map(World::queries).sum::<u64>(), 1);
}

#[tokio::test]
async fn a_redis_that_takes_no_more_claims_holds_nobody_up() {
    let (postgres, redis) = (postgres(), Redis::start().unwrap());
    let database = users_with_id(&postgres, "int4", &["7", "9"]);
    assert_allows(&world(&database, &redis).subject("7").await, "7");
    eventually("the record", || redis.command(&["GET", RECORD]).unwrap().contains("allow")).await;
    redis.command(&["CONFIG", "SET", "maxmemory", "1"]).unwrap();
    let world = world(&database, &redis);
    assert_allows(&world.subject("9").await, "9");
    assert_eq!((world.answers_from("database"), world.claims("expired")), (1, 0));
    // What it has can still be read, once the failed write has been got over.
    eventually("the write to fail", || world.count(&["redis_errors"]) > 0).await;
    world.clock.advance(Duration::from_secs(2));
    assert_allows(&world.subject("7").await, "7");
    assert_eq!(world.answers_from("redis"), 1);
}

/// The program as a process of its own.
struct Replica {
    // Fields drop in order: the process goes before its directory.
    process: Process,
    port: Port,
    _scratch: Scratch,
}

impl Replica {
    fn start(database: &Database, redis: &Redis) -> Self {
        let (scratch, port) = (Scratch::new().unwrap(), Port::take().unwrap());
        let mut command: Command = program();
        command.env("DATABASE_URL", database.url()).env("REDIS_URL", redis.url()).env("POSTGRES_TIMEOUT", "10000");
        command.arg("--listen").arg(port.address().to_string());
        let mut process = Process::spawn("jwe-gate-lookup", command, &scratch.path().join("log")).unwrap();
        process.wait_for_log("\"ready\"", Duration::from_secs(20)).unwrap();
        Self { process, port, _scratch: scratch }
    }

    /// Asks for a user and does not wait for the answer, which comes over the connection.
    async fn ask(&self, user: &str) -> TcpStream {
        let questions = vec![question(Kind::Subject, user)];
        let body = serde_json::to_string(&LookupQuestion { version: VERSION, deadline_ms: 20_000, questions }).unwrap();
        let mac = LookupSecret::new(SECRET).unwrap().sign_question(body.as_bytes());
        let length = body.len();
        let request = format!(
            "POST {LOOKUP_PATH} HTTP/1.1\r\nhost: x\r\n{MAC_HEADER}: {mac}\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        let mut stream = TcpStream::connect(self.port.address()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }
}
