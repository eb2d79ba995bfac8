//! A Redis Cluster and a Redis with sentinels, and what the service makes of their troubles.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use jwe_gate_contract::Kind;
use jwe_gate_lookup::cache::{Credentials, RedisNode, RedisServer, Tls};
use jwe_gate_test_parts::postgres::Database;
use jwe_gate_test_parts::redis_cluster::RedisCluster;
use jwe_gate_test_parts::redis_sentinels::RedisSentinels;

use crate::batches::Slow;
use crate::support::{World, assert_allows, eventually, numbered_users, postgres, question, schema, store};

const USERS: u32 = 30;

fn nodes(addresses: &str) -> Vec<RedisNode> {
    addresses.split(',').map(|address| address.parse().unwrap()).collect()
}

fn on_cluster(database: &Database, cluster: &RedisCluster) -> World {
    let server = RedisServer::cluster(&nodes(&cluster.addresses()), &Credentials::default(), &Tls::Off).unwrap();
    World::with_server(store(database, schema("pg-adapter")), server)
}

fn with_sentinels(database: &Database, parts: &RedisSentinels) -> World {
    let none = Credentials::default();
    let sentinels = nodes(&parts.addresses());
    let server = RedisServer::sentinels(&sentinels, RedisSentinels::MASTER, &none, &none, &Tls::Off).unwrap();
    World::with_server(store(database, schema("pg-adapter")), server)
}

/// Asks for all users in one message, and checks each answer.
async fn ask_for_all(world: &World, count: u32) {
    let questions = (1..=count).map(|number| question(Kind::Subject, &number.to_string())).collect();
    for (number, outcome) in (1..).zip(world.ask(questions).await) {
        assert_allows(&outcome, &u32::to_string(&number));
    }
}

/// Until all that this service no longer holds fresh itself is found in the cache.
async fn until_the_cache_works(world: &World) {
    let start = Instant::now();
    loop {
        let before = world.answers_from("redis");
        world.clock.advance(Duration::from_secs(601));
        ask_for_all(world, USERS).await;
        if world.answers_from("redis") == before + u64::from(USERS) {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "{}", world.metrics.render());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_cluster_records_are_shared_and_each_user_is_looked_up_once() {
    let (postgres, cluster) = (postgres(), RedisCluster::start(false).unwrap());
    let database = numbered_users(&postgres, 250);
    let server = || RedisServer::cluster(&nodes(&cluster.addresses()), &Credentials::default(), &Tls::Off).unwrap();
    let slow = || Slow(store(&database, schema("pg-adapter")), Duration::from_millis(50));
    let worlds = [World::with_server(slow(), server()), World::with_server(slow(), server())];
    join_all(worlds.iter().map(|world| ask_for_all(world, 250))).await;
    assert_eq!(worlds.iter().map(World::keys).sum::<u64>(), 250);
    assert_eq!(worlds.iter().map(|world| world.count(&["redis_errors"])).sum::<u64>(), 0);
    // On all three nodes, and no claim is left on any.
    eventually("all records and no claims", || {
        let sizes: Vec<u32> =
            (0..3).map(|node| cluster.node(node).command(&["DBSIZE"]).unwrap().parse().unwrap()).collect();
        sizes.iter().all(|size| *size > 50) && sizes.iter().sum::<u32>() == 250
    })
    .await;
    let third = on_cluster(&database, &cluster);
    ask_for_all(&third, 250).await;
    assert_eq!((third.answers_from("redis"), third.queries()), (250, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_of_a_cluster_that_is_killed_costs_no_answer_and_its_replica_takes_over() {
    let (postgres, mut cluster) = (postgres(), RedisCluster::start(true).unwrap());
    let database = numbered_users(&postgres, USERS);
    let (connected, fresh) = (on_cluster(&database, &cluster), on_cluster(&database, &cluster));
    until_the_cache_works(&connected).await;
    cluster.node_mut(0).kill();
    connected.clock.advance(Duration::from_secs(601));
    for world in [&connected, &fresh] {
        ask_for_all(world, USERS).await;
    }
    cluster.wait_until_whole().unwrap();
    for world in [&connected, &fresh] {
        until_the_cache_works(world).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_of_a_cluster_that_is_paused_costs_no_answer() {
    let (postgres, cluster) = (postgres(), RedisCluster::start(true).unwrap());
    let database = numbered_users(&postgres, USERS);
    let (mut connected, mut fresh) = (on_cluster(&database, &cluster), on_cluster(&database, &cluster));
    (connected.deadline_ms, fresh.deadline_ms) = (3_000, 3_000);
    until_the_cache_works(&connected).await;
    cluster.node(1).pause().unwrap();
    // Its replica takes over. Whoever connects only now is not kept from the others by an address that does not answer.
    for world in [&connected, &fresh] {
        ask_for_all(world, USERS).await;
        until_the_cache_works(world).await;
    }
    cluster.node(1).resume().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinels_lead_to_the_master_and_after_a_failover_to_the_next_one() {
    let (postgres, mut parts) = (postgres(), RedisSentinels::start().unwrap());
    let database = numbered_users(&postgres, USERS);
    let (connected, fresh) = (with_sentinels(&database, &parts), with_sentinels(&database, &parts));
    until_the_cache_works(&connected).await;
    assert_eq!(connected.count(&["redis_errors"]), 0);
    parts.server_mut(0).kill();
    connected.clock.advance(Duration::from_secs(601));
    ask_for_all(&connected, USERS).await;
    parts.wait_for_master(1).unwrap();
    for world in [&connected, &fresh] {
        until_the_cache_works(world).await;
    }
    assert_eq!(parts.server(1).command(&["DBSIZE"]).unwrap(), USERS.to_string());
}
