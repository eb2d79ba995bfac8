//! Tokens that are none: they cost nobody anything outside the sandbox, and a client may be held to a number of them.

use serde_json::json;

use super::scenarios;
use crate::request::Request;
use crate::scenario::{Setup, World};
use crate::token::COOKIE;

scenarios! {
    forged_tokens_never_leave_the_sandbox: Setup::default();
    who_shows_too_many_forged_tokens_is_told_to_wait: limited();
    a_good_token_is_admitted_whoever_else_fails_from_there: limited();
    who_shows_no_token_has_not_failed: limited();
    all_token_failures_count_alike: limited();
    a_limited_client_does_not_reach_the_app_by_failing: limited().with("/routes/0/on_unauthenticated", "forward");
    a_window_ends: limited();
    without_a_limit_nobody_is_told_to_wait: Setup::default();
}

/// Three failures in two seconds.
fn limited() -> Setup {
    Setup::default().with("/limits", json!({ "failures": { "per_client": 3, "window_seconds": 2 } }))
}

fn forged(world: &World, number: usize) -> String {
    world.token(&format!("user-{number}")).secret("another secret").pair()
}

fn forged_tokens_never_leave_the_sandbox(world: &mut World) {
    world.lookup.add("alice");
    world.get_as("alice").admitted("alice");
    let (questions, callouts, writes) = (world.questions(), world.lookup.callouts(), world.shared_writes());
    assert_ne!(writes, Some(0), "the record of alice has been written");
    let good = world.token("alice").mint();
    for number in 0..1000 {
        let cookies = match number % 4 {
            0 => forged(world, number),
            1 => {
                // A good token with one character changed, another one each time.
                let mut forged = good.clone().into_bytes();
                let position = forged.len() - 1 - number / 4;
                forged[position] = if forged[position] == b'A' { b'B' } else { b'A' };
                format!("{COOKIE}={}", String::from_utf8(forged).unwrap())
            }
            2 => format!("{COOKIE}=eyJhbGciOiJkaXIifQ..{number}.AAAA.AAAA"),
            _ => format!("{COOKIE}.0={good}; {COOKIE}.2={number}"),
        };
        world.get(&cookies).refused(401);
    }
    world.advance(300);
    assert_eq!((world.questions(), world.lookup.callouts()), (questions, callouts));
    assert_eq!(world.shared_writes(), writes);
    assert_eq!(world.count("jwe_gate.parked"), 1);
    world.get(&format!("{COOKIE}={good}")).admitted("alice");
}

fn who_shows_too_many_forged_tokens_is_told_to_wait(world: &mut World) {
    for number in 0..3 {
        let cookies = forged(world, number);
        world.get(&cookies).refused(401);
    }
    let cookies = forged(world, 3);
    let seen = world.get(&cookies).refused(429);
    assert!(matches!(seen.reply("retry-after")[..], ["1" | "2"]), "{seen:?}");
    assert_eq!(seen.reply("content-type"), ["application/json"]);
    assert_eq!(seen.reply("cache-control"), ["no-store"]);
    assert_eq!(world.count("jwe_gate.decision.too_many_failures"), 1);
}

fn exhaust(world: &mut World) {
    for number in 0..4 {
        let cookies = forged(world, number);
        world.get(&cookies);
    }
    let cookies = forged(world, 4);
    world.get(&cookies).refused(429);
}

fn a_good_token_is_admitted_whoever_else_fails_from_there(world: &mut World) {
    world.lookup.add("alice");
    let known = world.token("alice").pair();
    world.get(&known).admitted("alice");
    exhaust(world);
    world.get(&known).admitted("alice");
    world.get_as("alice").admitted("alice");
    world.get_as("unknown").refused(403);
}

fn who_shows_no_token_has_not_failed(world: &mut World) {
    for _ in 0..6 {
        world.get("a=1").refused(401);
        world.request(&Request::get("/").header("authorization", "Basic YTpi")).refused(401);
    }
    exhaust(world);
    world.get("a=1").refused(401);
}

fn all_token_failures_count_alike(world: &mut World) {
    let expired = world.token("alice").claim("exp", world.now_ms() / 1000 - 100).pair();
    world.get(&expired).refused(401);
    world.get(&format!("{COOKIE}=a; {COOKIE}=b")).refused(401);
    world.get(&forged(world, 1)).refused(401);
    // Nor can they be told apart afterwards.
    world.get(&expired).refused(429);
    world.get(&format!("{COOKIE}=garbage")).refused(429);
}

fn a_limited_client_does_not_reach_the_app_by_failing(world: &mut World) {
    let cookies = forged(world, 0);
    world.get(&cookies).anonymous();
    exhaust(world);
    world.get("a=1").anonymous();
}

fn a_window_ends(world: &mut World) {
    exhaust(world);
    world.advance(2100);
    let cookies = forged(world, 9);
    world.get(&cookies).refused(401);
}

fn without_a_limit_nobody_is_told_to_wait(world: &mut World) {
    for number in 0..20 {
        let cookies = forged(world, number);
        world.get(&cookies).refused(401);
    }
}
