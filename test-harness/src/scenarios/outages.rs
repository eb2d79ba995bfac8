//! What is served while the lookup fails. Nobody is admitted who was not known.

use super::scenarios;
use crate::lookup::Mood;
use crate::scenario::{Setup, World};

scenarios! {
    a_known_user_is_served_until_the_hard_limit: Setup::default();
    a_new_token_of_a_known_user_is_served_too: Setup::default();
    a_denial_stays_a_denial: Setup::default();
    an_unreachable_cluster_answers_at_once: Setup::default().with("/lookup/cluster", "missing");
    an_unknown_user_gets_503_and_is_asked_about_again: Setup::default();
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

fn an_unreachable_cluster_answers_at_once(world: &mut World) {
    world.lookup.add("alice");
    let requests: Vec<_> = (0..5)
        .map(|_| {
            let cookies = world.token("alice").pair();
            world.send(&crate::request::Request::with_cookies(&cookies))
        })
        .collect();
    for sent in requests {
        world.outcome(sent).refused(503);
    }
    assert!(world.count("jwe_gate.callout.refused") >= 1);
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
