//! What is served while the lookup fails. Nobody is admitted who was not known.

use super::scenarios;
use crate::lookup::Mood;
use crate::request::Request;
use crate::scenario::{Setup, World};

scenarios! {
    a_known_user_is_served_until_the_hard_limit: Setup::default();
    a_new_token_of_a_known_user_is_served_too: Setup::default();
    a_denial_stays_a_denial: Setup::default();
    a_denial_stays_a_denial_with_deny: on_error("deny");
    a_denial_stays_a_denial_with_allow: on_error("allow");
    with_deny_only_records_that_are_not_over_serve: on_error("deny");
    with_allow_a_good_token_of_an_unknown_user_passes: on_error("allow");
    with_allow_nothing_is_remembered_that_nobody_confirmed: on_error("allow");
    with_allow_an_issuer_path_still_waits_for_certainty: on_error("allow");
    with_allow_a_denial_that_is_over_admits_nobody: on_error("allow");
    with_allow_an_overload_is_still_an_overload: on_error("allow").with("/limits/waiting_requests", 1);
    an_unreachable_cluster_answers_at_once: Setup::default().with("/lookup/cluster", "missing");
    an_unknown_user_gets_503_and_is_asked_about_again: Setup::default();
}

fn on_error(choice: &str) -> Setup {
    Setup::default().with("/on_lookup_error", choice)
}

fn a_known_user_is_served_until_the_hard_limit(world: &mut World) {
    world.lookup.limits(500, 500, 3500);
    world.lookup.add("alice");
    let cookies = world.token("alice").pair();
    world.get(&cookies).admitted("alice");
    world.lookup.mood(Mood::Unreachable);
    world.advance(700);
    world.get(&cookies).admitted("alice");
    world.advance(1200);
    world.get(&cookies).admitted("alice");
    assert!(world.count("jwe_gate.fallback") >= 2);
    world.advance(2000);
    world.get(&cookies).refused(503);
    world.lookup.mood(Mood::Honest);
    world.get(&cookies).admitted("alice");
}

fn a_new_token_of_a_known_user_is_served_too(world: &mut World) {
    world.lookup.limits(500, 500, 60_000);
    world.lookup.add("alice");
    world.get_as("alice").admitted("alice");
    world.lookup.mood(Mood::Website);
    world.advance(700);
    world.get_as("alice").admitted("alice");
    world.get_as("bob").refused(503);
}

fn a_denial_stays_a_denial(world: &mut World) {
    world.lookup.limits(500, 500, 60_000);
    world.lookup.add("mallory");
    let cookies = world.token("mallory").pair();
    world.get(&cookies).admitted("mallory");
    world.lookup.ban("mallory");
    world.lookup.as_of(2);
    world.advance(700);
    world.get(&cookies).refused(403);
    world.lookup.mood(Mood::Unable);
    world.advance(1700);
    world.get(&cookies).refused(403);
    world.get_as("mallory").refused(403);
}

fn a_denial_stays_a_denial_with_deny(world: &mut World) {
    a_denial_stays_a_denial(world);
}

fn a_denial_stays_a_denial_with_allow(world: &mut World) {
    a_denial_stays_a_denial(world);
}

fn with_deny_only_records_that_are_not_over_serve(world: &mut World) {
    world.lookup.limits(600, 3000, 60_000);
    world.lookup.add("alice");
    let cookies = world.token("alice").pair();
    world.get(&cookies).admitted("alice");
    world.lookup.mood(Mood::Unable);
    world.get(&cookies).admitted("alice");
    // Stale, while it is being asked again.
    world.advance(700);
    world.get(&cookies).admitted("alice");
    world.advance(2500);
    let seen = world.get(&cookies).refused(503);
    assert_eq!(seen.reply("retry-after"), ["1"]);
    world.get_as("alice").refused(503);
    assert_eq!(world.count("jwe_gate.fallback"), 0);
    world.lookup.mood(Mood::Honest);
    world.get(&cookies).admitted("alice");
}

fn with_allow_a_good_token_of_an_unknown_user_passes(world: &mut World) {
    world.lookup.limits(500, 500, 60_000);
    world.lookup.add("alice");
    world.get_as("alice").admitted("alice");
    world.advance(600);
    for mood in [Mood::Unable, Mood::Unreachable, Mood::Website] {
        world.lookup.mood(mood);
        let cookies = world.token("bob").pair();
        let seen = world.get(&cookies).admitted("bob");
        assert_eq!(seen.upstream("cookie"), [cookies]);
        world.get_as("alice").admitted("alice");
        world.get(&world.token("bob").secret("another secret").pair()).refused(401);
        world.get("a=1").refused(401);
    }
    assert_eq!(world.count("jwe_gate.decision.unconfirmed"), 3);
    assert_eq!(world.count("jwe_gate.fallback"), 3);
}

fn with_allow_nothing_is_remembered_that_nobody_confirmed(world: &mut World) {
    world.lookup.mood(Mood::Unable);
    let cookies = world.token("bob").pair();
    for _ in 0..3 {
        world.get(&cookies).admitted("bob");
    }
    assert_eq!(world.questions(), 3);
    assert_eq!(world.count("jwe_gate.decision.unconfirmed"), 3);
    world.lookup.mood(Mood::Honest);
    world.get(&cookies).refused(403);
}

fn with_allow_an_issuer_path_still_waits_for_certainty(world: &mut World) {
    world.lookup.mood(Mood::Unable);
    let cookies = world.token("bob").pair();
    world.get(&cookies).admitted("bob");
    for path in ["/api/auth/session", "//api/auth/session", "/x/..%2fapi/auth"] {
        world.request(&Request::get(path).header("cookie", &cookies)).refused(503);
    }
    world.lookup.mood(Mood::Honest);
    world.lookup.add("bob");
    world.request(&Request::get("/api/auth/session").header("cookie", &cookies)).admitted("bob");
}

fn with_allow_a_denial_that_is_over_admits_nobody(world: &mut World) {
    world.lookup.limits(300, 300, 2000);
    world.lookup.add("mallory");
    world.lookup.ban("mallory");
    let cookies = world.token("mallory").pair();
    world.get(&cookies).refused(403);
    world.lookup.mood(Mood::Unable);
    world.advance(400);
    world.get(&cookies).refused(403);
    world.advance(2000);
    world.get(&cookies).refused(503);
    world.get_as("mallory").refused(503);
}

fn with_allow_an_overload_is_still_an_overload(world: &mut World) {
    world.lookup.hold();
    let waiting = world.token("alice").pair();
    let waiting = world.send(&Request::with_cookies(&waiting));
    world.outcome(waiting).waits();
    world.get_as("bob").refused(503);
    world.lookup.mood(Mood::Unable);
    world.lookup.release();
    world.outcome(waiting).admitted("alice");
}

fn an_unreachable_cluster_answers_at_once(world: &mut World) {
    world.lookup.add("alice");
    let requests: Vec<_> = (0..5)
        .map(|_| {
            let cookies = world.token("alice").pair();
            world.send(&Request::with_cookies(&cookies))
        })
        .collect();
    for sent in requests {
        world.outcome(sent).refused(503);
    }
    let counted = if world.traits().knows_clusters { "refused" } else { "lost" };
    assert!(world.count(&format!("jwe_gate.callout.{counted}")) >= 1);
    assert_eq!(world.count("jwe_gate.decision.lookup_failed"), 5);
}

fn an_unknown_user_gets_503_and_is_asked_about_again(world: &mut World) {
    world.lookup.mood(Mood::Unable);
    world.get_as("alice").refused(503);
    world.lookup.mood(Mood::Honest);
    world.lookup.add("alice");
    world.get_as("alice").admitted("alice");
    assert_eq!(world.questions(), 2);
}
