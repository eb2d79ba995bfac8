//! Workers of one process ask together. A real proxy chooses the worker of a connection, so there are many of them.

use serde_json::json;

use super::scenarios;
use crate::driver::Sent;
use crate::lookup::Mood;
use crate::request::Request;
use crate::scenario::{Setup, World, gate, set};

scenarios! {
    two_workers_share_a_lookup: Setup::default().workers(2);
    two_workers_ask_about_each_user_once: Setup::default().workers(2);
    two_workers_share_a_denial: Setup::default().workers(2);
    two_workers_share_a_failure: Setup::default().workers(2);
    two_workers_share_a_refresh: Setup::default().workers(2);
    clients_of_two_workers_leave: Setup::default().workers(2);
    a_callout_that_is_not_sent_holds_nobody_up: Setup::default().workers(2).with("/lookup/cluster", "nowhere");
    two_workers_keep_realms_apart: realms().workers(2);
}

const WORKERS: usize = 2;
const CLIENTS: usize = 20;

fn send(world: &mut World, subjects: &[&str]) -> Vec<Sent> {
    let send = |number: usize| {
        let cookies = world.token(subjects[number % subjects.len()]).pair();
        world.send(&Request::with_cookies(&cookies).worker(number / subjects.len() % WORKERS))
    };
    (0..CLIENTS * subjects.len()).map(send).collect()
}

/// How many questions there are when requests wait together, and when each asks for itself.
fn assert_asked(world: &World, together: usize, alone: usize) {
    let expected = if world.traits().wait_together { together } else { alone };
    assert_eq!(world.questions(), expected);
}

/// Two gates that differ in their realm alone.
fn realms() -> Setup {
    let realm = |name: &str| {
        let mut gate = gate();
        set(&mut gate, "/lookup/realm", json!(name));
        gate
    };
    Setup::default().gates(vec![realm("one"), realm("other")])
}

fn two_workers_share_a_lookup(world: &mut World) {
    world.lookup.add("alice");
    world.lookup.hold();
    let sent = send(world, &["alice"]);
    world.outcome(sent[0]).waits();
    world.outcome(sent[CLIENTS - 1]).waits();
    world.lookup.release();
    for sent in sent {
        world.outcome(sent).admitted("alice");
    }
    assert_asked(world, 1, CLIENTS);
    let follows = world.traits().wait_together;
    assert_eq!(world.count("jwe_gate.together.followed"), u64::from(follows));
    assert_eq!(world.count("jwe_gate.together.taken_over"), 0);
    assert_eq!(world.count("jwe_gate.together.unannounced"), 0);
}

fn two_workers_ask_about_each_user_once(world: &mut World) {
    let users = ["alice", "bob", "carol", "dave", "erin"];
    users.iter().for_each(|user| world.lookup.add(user));
    world.lookup.hold();
    let sent = send(world, &users);
    world.outcome(sent[0]).waits();
    world.lookup.release();
    for (number, sent) in sent.into_iter().enumerate() {
        world.outcome(sent).admitted(users[number % users.len()]);
    }
    assert_asked(world, users.len(), users.len() * CLIENTS);
}

fn two_workers_share_a_denial(world: &mut World) {
    world.lookup.hold();
    let sent = send(world, &["mallory"]);
    world.outcome(sent[0]).waits();
    world.lookup.as_of(world.now_ms());
    world.lookup.release();
    for sent in sent {
        world.outcome(sent).refused(403);
    }
    assert_asked(world, 1, CLIENTS);
}

fn two_workers_share_a_failure(world: &mut World) {
    world.lookup.add("alice");
    world.lookup.hold();
    let sent = send(world, &["alice"]);
    world.outcome(sent[0]).waits();
    world.lookup.mood(Mood::Unreachable);
    world.lookup.release();
    for sent in sent {
        world.outcome(sent).refused(503);
    }
    // The others do not ask in their turn.
    assert_asked(world, 1, CLIENTS);
    world.lookup.mood(Mood::Honest);
    world.get_as("alice").admitted("alice");
}

fn two_workers_share_a_refresh(world: &mut World) {
    world.lookup.add("alice");
    world.lookup.limits(500, 60_000, 60_000);
    for sent in send(world, &["alice"]) {
        world.outcome(sent).admitted("alice");
    }
    assert_asked(world, 1, CLIENTS);
    let before = world.questions();
    world.advance(1_000);
    world.lookup.hold();
    for sent in send(world, &["alice"]) {
        world.outcome(sent).admitted("alice");
    }
    world.advance(300);
    let refreshes = if world.traits().wait_together { 1 } else { WORKERS };
    assert_eq!(world.questions() - before, refreshes);
    world.lookup.limits(60_000, 60_000, 60_000);
    world.lookup.release();
    world.advance(300);
    for sent in send(world, &["alice"]) {
        world.outcome(sent).admitted("alice");
    }
    world.advance(300);
    assert_eq!(world.questions() - before, refreshes);
}

fn clients_of_two_workers_leave(world: &mut World) {
    world.lookup.add("alice");
    world.lookup.hold();
    let sent = send(world, &["alice"]);
    world.outcome(sent[0]).waits();
    let (leaving, staying): (Vec<_>, Vec<_>) = sent.into_iter().enumerate().partition(|(number, _)| number % 3 > 0);
    for (_, sent) in leaving {
        world.abandon(sent);
    }
    world.lookup.release();
    for (_, sent) in staying {
        world.outcome(sent).admitted("alice");
    }
    assert_asked(world, 1, CLIENTS);
}

fn a_callout_that_is_not_sent_holds_nobody_up(world: &mut World) {
    for sent in send(world, &["alice", "bob"]) {
        let seen = world.outcome(sent).refused(503);
        assert_eq!(seen.reply("retry-after"), ["1"]);
    }
    if world.traits().knows_clusters {
        assert_eq!(world.questions(), 0);
    }
}

fn two_workers_keep_realms_apart(world: &mut World) {
    world.lookup.add("alice");
    world.lookup.hold();
    let cookies = world.token("alice").pair();
    let request = |number: usize| Request::with_cookies(&cookies).gate(number % 2).worker(number / 2 % WORKERS);
    let sent: Vec<_> = (0..2 * CLIENTS).map(|number| world.send(&request(number))).collect();
    world.outcome(sent[0]).waits();
    world.lookup.release();
    for sent in sent {
        world.outcome(sent).admitted("alice");
    }
    let mut realms: Vec<String> = world.lookup.questions().into_iter().map(|question| question.realm).collect();
    realms.sort();
    if !world.traits().wait_together {
        assert_eq!(realms.len(), 2 * CLIENTS);
        realms.dedup();
    }
    assert_eq!(realms, ["one", "other"]);
}
