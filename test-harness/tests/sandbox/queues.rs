//! Queues over many swaps: a proxy never forgets one, so that old ones must serve again.

use jwe_gate_test_harness::{Request, Token};
use jwe_gate_test_host::{Answer, Outcome, RequestId, RootId, World};

use super::parts::{worker, world};

const SWAPS: usize = 20;

#[test]
fn a_filter_gives_its_queue_to_the_one_after_it() {
    let mut world = world();
    for number in 0..SWAPS {
        let root = worker(&mut world);
        let request = ask(&mut world, root, &format!("user-{number}"));
        answer(&mut world, request);
        world.retire(root);
        assert!(!world.is_alive(root));
    }
    assert_eq!(world.queues(), 1);
}

#[test]
fn a_filter_keeps_its_queue_as_long_as_it_has_requests() {
    let mut world = world();
    let old = worker(&mut world);
    let waiting = ask(&mut world, old, "somebody who waits");
    world.retire(old);
    for number in 0..SWAPS {
        let root = worker(&mut world);
        let request = ask(&mut world, root, &format!("user-{number}"));
        answer(&mut world, request);
        world.retire(root);
    }
    assert_eq!(world.queues(), 2);
    // It is still the old one's own, and wakes it.
    let another = ask(&mut world, old, "somebody else");
    answer(&mut world, another);
    answer(&mut world, waiting);
    assert!(!world.is_alive(old));
    assert!(world.traps().is_empty() && world.misuses().is_empty());
}

/// A request that makes the filter ask, woken by its queue and not by a tick.
fn ask(world: &mut World, root: RootId, user: &str) -> RequestId {
    let cookies = Token::of(user, world.now_ms()).pair();
    let (before, request) = (world.calls().len(), world.request(root, Request::with_cookies(&cookies).map()));
    world.run_until_idle();
    assert_eq!(world.calls().len(), before + 1, "the queue of {user}'s filter wakes nobody");
    request
}

/// Lets the last lookup fail, and its request end.
fn answer(world: &mut World, request: RequestId) {
    let call = world.calls().last().expect("a lookup").id;
    world.answer(call, Answer::Reset);
    world.run_until_idle();
    assert!(matches!(world.outcome(request), Outcome::Replied(reply) if reply.status == 503));
}
