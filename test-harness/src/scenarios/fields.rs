//! What the lookup is asked for besides the verdict.

use serde_json::json;

use super::scenarios;
use crate::lookup::Mood;
use crate::request::Request;
use crate::scenario::{Setup, World};

scenarios! {
    fields_are_asked_for_with_the_verdict_and_shared_with_it: asking(&["role", "email"]).workers(2);
    an_answer_without_the_fields_that_were_asked_for_is_none: asking(&["role"]);
    a_verdict_with_other_fields_is_asked_for_again: asking(&["role"]);
    fields_too_large_for_a_record_are_not_shared: asking(&["role"]);
    fields_are_asked_for_although_nobody_has_them: asking(&["role"]);
}

fn asking(fields: &[&str]) -> Setup {
    Setup::default().with("/lookup/fields", json!(fields))
}

fn fields_are_asked_for_with_the_verdict_and_shared_with_it(world: &mut World) {
    world.lookup.add("alice");
    world.lookup.field("alice", "role", "admin");
    let cookies = world.token("alice").pair();
    for worker in [0, 1, 0, 1] {
        world.request(&Request::with_cookies(&cookies).worker(worker)).admitted("alice");
    }
    world.get_as("mallory").refused(403);
    let asked: Vec<_> = world.lookup.questions().into_iter().map(|question| question.fields).collect();
    assert_eq!(asked, [["email", "role"], ["email", "role"]]);
}

fn an_answer_without_the_fields_that_were_asked_for_is_none(world: &mut World) {
    world.lookup.add("alice");
    world.lookup.mood(Mood::Sparing);
    world.get_as("alice").refused(503);
    world.lookup.mood(Mood::Honest);
    world.get_as("alice").admitted("alice");
    assert_eq!(world.questions(), 2);
}

fn a_verdict_with_other_fields_is_asked_for_again(world: &mut World) {
    world.lookup.add("alice");
    world.get_as("alice").admitted("alice");
    world.reconfigure(0, &asking(&["email", "role"]));
    world.get_as("alice").admitted("alice");
    assert_eq!(world.questions(), 2);
    world.reconfigure(0, &asking(&["role", "email"]));
    world.get_as("alice").admitted("alice");
    assert_eq!(world.questions(), if world.traits().keeps_shared_data { 2 } else { 3 });
}

fn fields_too_large_for_a_record_are_not_shared(world: &mut World) {
    world.lookup.add("alice");
    world.lookup.field("alice", "role", "x".repeat(1000));
    let cookies = world.token("alice").pair();
    world.get(&cookies).admitted("alice");
    world.get(&cookies).admitted("alice");
    assert_eq!(world.questions(), 1);
    assert_eq!(world.count("jwe_gate.l1.too_large"), 1);
}

fn fields_are_asked_for_although_nobody_has_them(world: &mut World) {
    world.lookup.add("alice");
    world.get_as("alice").admitted("alice");
    world.get_as("alice").admitted("alice");
    assert_eq!(world.questions(), 1);
}
