//! Waiting together for one lookup.

use super::scenarios;
use crate::lookup::Mood;
use crate::request::Request;
use crate::scenario::{Setup, World};

scenarios! {
    requests_of_one_user_share_a_lookup: Setup::default();
    users_that_miss_together_are_asked_about_together: Setup::default();
    a_client_that_leaves_is_forgotten: Setup::default();
    everybody_who_waits_hears_of_a_failure: Setup::default();
    too_many_waiting_requests_are_turned_away: Setup::default().with("/limits/waiting_requests", 3);
    too_many_waiting_bytes_are_turned_away: Setup::default().with("/limits/waiting_bytes", 65_536);
}

fn send(world: &mut World, subject: &str) -> crate::driver::Sent {
    let cookies = world.token(subject).pair();
    world.send(&Request::with_cookies(&cookies))
}

fn requests_of_one_user_share_a_lookup(world: &mut World) {
    world.lookup.add("alice");
    world.lookup.hold();
    let sent: Vec<_> = (0..20).map(|_| send(world, "alice")).collect();
    for sent in &sent {
        world.outcome(*sent).waits();
    }
    world.lookup.release();
    for sent in sent {
        world.outcome(sent).admitted("alice");
    }
    assert_eq!(world.questions(), if world.traits().wait_together { 1 } else { 20 });
    assert_eq!(world.count("jwe_gate.parked"), 20);
}

fn users_that_miss_together_are_asked_about_together(world: &mut World) {
    world.lookup.hold();
    let users: Vec<String> = (0..10).map(|number| format!("user-{number}")).collect();
    users.iter().take(9).for_each(|user| world.lookup.add(user));
    let sent: Vec<_> = users.iter().map(|user| send(world, user)).collect();
    world.outcome(sent[0]).waits();
    world.lookup.release();
    for (sent, user) in sent.iter().zip(&users).take(9) {
        world.outcome(*sent).admitted(user);
    }
    world.outcome(sent[9]).refused(403);
    assert_eq!(world.questions(), 10);
    assert!(world.lookup.callouts() <= 10);
}

fn a_client_that_leaves_is_forgotten(world: &mut World) {
    world.lookup.add("alice");
    world.lookup.hold();
    let sent: Vec<_> = (0..6).map(|_| send(world, "alice")).collect();
    for sent in &sent {
        world.outcome(*sent).waits();
    }
    for sent in [sent[0], sent[3], sent[5]] {
        world.abandon(sent);
    }
    world.lookup.release();
    for sent in [sent[1], sent[2], sent[4]] {
        world.outcome(sent).admitted("alice");
    }
    // The last to leave leaves nobody behind, and the next one is served as ever.
    world.lookup.add("bob");
    world.lookup.hold();
    let alone = send(world, "bob");
    world.outcome(alone).waits();
    world.abandon(alone);
    world.lookup.release();
    world.advance(200);
    world.get_as("bob").admitted("bob");
    // Six for alice and one for bob, and one for bob again, as nobody heard what was answered.
    assert_eq!(world.questions(), if world.traits().wait_together { 2 } else { 8 });
}

fn everybody_who_waits_hears_of_a_failure(world: &mut World) {
    world.lookup.add("alice");
    world.lookup.hold();
    let sent: Vec<_> = (0..5).map(|_| send(world, "alice")).collect();
    world.outcome(sent[0]).waits();
    world.lookup.mood(Mood::Unreachable);
    world.lookup.release();
    for sent in sent {
        world.outcome(sent).refused(503);
    }
    world.lookup.mood(Mood::Honest);
    world.get_as("alice").admitted("alice");
}

fn too_many_waiting_requests_are_turned_away(world: &mut World) {
    world.lookup.add("alice");
    world.lookup.hold();
    let waiting: Vec<_> = (0..3).map(|_| send(world, "alice")).collect();
    for sent in &waiting {
        world.outcome(*sent).waits();
    }
    let seen = world.get_as("alice").refused(503);
    assert_eq!(seen.reply("retry-after"), ["1"]);
    world.lookup.release();
    for sent in waiting {
        world.outcome(sent).admitted("alice");
    }
    assert_eq!(world.count("jwe_gate.decision.overloaded"), 1);
    world.get_as("alice").admitted("alice");
}

fn too_many_waiting_bytes_are_turned_away(world: &mut World) {
    world.lookup.add("alice");
    world.lookup.hold();
    // What goes on is kept while the request waits, since a cookie that may be a session is taken out of it.
    let other = format!("authjs.session-token-x=1; large={}", "x".repeat(25_000));
    let large = format!("{}; {other}", world.token("alice").pair());
    let waiting: Vec<_> = (0..2).map(|_| world.send(&Request::with_cookies(&large))).collect();
    for sent in &waiting {
        world.outcome(*sent).waits();
    }
    let seen = world.get(&large).refused(503);
    assert_eq!(seen.reply("retry-after"), ["1"]);
    // A small one still has room.
    let small = send(world, "alice");
    world.outcome(small).waits();
    world.lookup.release();
    for sent in waiting.into_iter().chain([small]) {
        world.outcome(sent).admitted("alice");
    }
    assert_eq!(world.count("jwe_gate.decision.overloaded"), 1);
}
