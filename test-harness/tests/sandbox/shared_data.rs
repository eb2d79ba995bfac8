//! How often a request turns to shared data, each time a call out of the sandbox and a lock on the whole process.

use jwe_gate_test_harness::{Request, Token};
use jwe_gate_test_host::{RootId, World};

use super::parts::{answer, worker, world};

#[test]
fn a_known_token_leaves_shared_data_alone_and_a_lookup_turns_to_it_a_few_times() {
    let mut world = world();
    let [leader, follower] = [(); 2].map(|()| worker(&mut world));
    // A first lookup, so that both have their numbers.
    look_up(&mut world, leader, follower, "bob");
    world.pass(10);

    let cookies = Token::of("alice", world.now_ms()).pair();
    let parked = spent(&mut world, |world| send(world, leader, &cookies));
    let asked = spent(&mut world, World::run_until_idle);
    let parked_too = spent(&mut world, |world| send(world, follower, &cookies));
    let joined = spent(&mut world, World::run_until_idle);
    let answered = spent(&mut world, |world| answer(world, &["alice", "bob"]));
    let woken = spent(&mut world, World::run_until_idle);
    println!("leader: {parked} + {asked} + {answered}, follower: {parked_too} + {joined} + {woken}");
    assert_eq!((parked, asked), (1, 3), "reads L1; reads and writes the lead, reads L1");
    assert_eq!((parked_too, joined), (1, 3), "reads L1; reads and writes the lead, reads the leader's entry");
    assert_eq!(answered, 5, "reads and writes L1, reads and removes the lead, reads the follower's entry");
    assert_eq!(woken, 1, "reads L1");

    let again = spent(&mut world, |world| send(world, leader, &cookies));
    assert_eq!(again, 0);
    let idle = spent(&mut world, |world| world.advance(1_000));
    assert_eq!(idle, 0, "nothing is led or followed");
}

fn look_up(world: &mut World, leader: RootId, follower: RootId, subject: &str) {
    let cookies = Token::of(subject, world.now_ms()).pair();
    for root in [leader, follower] {
        send(world, root, &cookies);
        world.run_until_idle();
    }
    answer(world, &["alice", "bob"]);
    world.run_until_idle();
}

fn send(world: &mut World, root: RootId, cookies: &str) {
    world.request(root, Request::with_cookies(cookies).map());
}

/// How often shared data was turned to meanwhile.
fn spent(world: &mut World, act: impl FnOnce(&mut World)) -> u64 {
    world.reset_counts();
    act(world);
    let calls = world.hostcalls().iter().filter(|(name, _)| name.ends_with("_shared_data"));
    calls.map(|(_, count)| count).sum()
}
