//! Gates beside each other, and one after another.

use serde_json::json;

use super::scenarios;
use crate::request::Request;
use crate::scenario::{Setup, World, gate, set};
use crate::token::SECRET;

scenarios! {
    two_gates_in_one_proxy_share_nothing: tenants();
    requests_that_wait_belong_to_their_gate: tenants();
    a_retired_secret_is_refused_at_once: rotating(&[SECRET]);
    a_rotation_keeps_what_is_known: rotating(&[SECRET]);
    an_edit_of_the_routes_keeps_what_is_known: rotating(&[SECRET]);
}

/// Two gates of different tenants: other secrets, another realm, one lookup service.
fn tenants() -> Setup {
    let tenant = |secret: &str, realm: &str| {
        let mut gate = gate();
        set(&mut gate, "/sessions/0/secrets", json!([secret]));
        set(&mut gate, "/lookup/realm", json!(realm));
        gate
    };
    Setup::default().gates(vec![tenant("the secret of one", "one"), tenant("the secret of the other", "other")])
}

fn rotating(secrets: &[&str]) -> Setup {
    Setup::default().with("/sessions/0/secrets", json!(secrets))
}

fn two_gates_in_one_proxy_share_nothing(world: &mut World) {
    world.lookup.add("alice");
    let one = world.token("alice").secret("the secret of one").pair();
    let other = world.token("alice").secret("the secret of the other").pair();
    world.request(&Request::with_cookies(&one).gate(0)).admitted("alice");
    world.request(&Request::with_cookies(&one).gate(1)).refused(401);
    world.request(&Request::with_cookies(&other).gate(0)).refused(401);
    assert_eq!(world.questions(), 1);
    // What one gate knows of a subject the other has to ask for itself.
    world.request(&Request::with_cookies(&other).gate(1)).admitted("alice");
    let realms: Vec<String> = world.lookup.questions().into_iter().map(|question| question.realm).collect();
    assert_eq!(realms, ["one", "other"]);
    world.lookup.remove("alice");
    world.request(&Request::with_cookies(&one).gate(0)).admitted("alice");
    world.request(&Request::with_cookies(&other).gate(1)).admitted("alice");
    assert_eq!(world.questions(), 2);
}

fn requests_that_wait_belong_to_their_gate(world: &mut World) {
    world.lookup.add("alice");
    world.lookup.hold();
    let one = world.token("alice").secret("the secret of one").pair();
    let other = world.token("alice").secret("the secret of the other").pair();
    let first = world.send(&Request::with_cookies(&one).gate(0));
    let second = world.send(&Request::with_cookies(&other).gate(1));
    world.outcome(first).waits();
    world.outcome(second).waits();
    world.lookup.release();
    world.outcome(first).admitted("alice");
    world.outcome(second).admitted("alice");
    assert_eq!(world.questions(), 2);
}

fn a_retired_secret_is_refused_at_once(world: &mut World) {
    world.lookup.add("alice");
    let cookies = world.token("alice").pair();
    world.get(&cookies).admitted("alice");
    world.reconfigure(0, &rotating(&["a new secret"]));
    world.get(&cookies).refused(401);
    world.get(&world.token("alice").secret("a new secret").pair()).admitted("alice");
}

fn a_rotation_keeps_what_is_known(world: &mut World) {
    world.lookup.add("alice");
    let cookies = world.token("alice").pair();
    world.get(&cookies).admitted("alice");
    world.reconfigure(0, &rotating(&["a new secret", SECRET]));
    world.get(&cookies).admitted("alice");
    world.get(&world.token("alice").secret("a new secret").pair()).admitted("alice");
    assert_eq!(world.questions(), asked_after_a_change(world));
}

fn an_edit_of_the_routes_keeps_what_is_known(world: &mut World) {
    world.lookup.add("alice");
    let cookies = world.token("alice").pair();
    world.get(&cookies).admitted("alice");
    world.reconfigure(0, &rotating(&[SECRET]).with("/routes/0/access", "optional"));
    world.get(&cookies).admitted("alice");
    assert_eq!(world.questions(), asked_after_a_change(world));
}

/// How often a user has been asked about who was known before another configuration came.
fn asked_after_a_change(world: &World) -> usize {
    if world.traits().keeps_shared_data { 1 } else { 2 }
}
