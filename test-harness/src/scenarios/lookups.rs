//! Who is asked about, how often, and what is believed.

use super::scenarios;
use crate::lookup::Mood;
use crate::scenario::{Setup, World};

scenarios! {
    a_known_token_is_not_asked_about_again: Setup::default();
    a_fresh_token_of_a_known_user_is_not_asked_about: Setup::default();
    workers_share_what_they_learn: Setup::default().workers(2);
    an_unknown_user_is_refused_and_remembered: Setup::default();
    a_banned_user_is_refused: Setup::default();
    the_service_is_told_when_the_token_was_issued: Setup::default();
    a_sign_up_is_seen_although_the_user_was_unknown_before: Setup::default();
    a_replica_that_lags_is_asked_until_it_knows_the_user: Setup::default();
    an_unknown_user_is_asked_about_again_soon: Setup::default();
    unknown_users_push_no_known_one_out: Setup::default().with("/cache/l0_entries", 16).with("/cache/l1_records", 16);
    a_verdict_is_asked_again_when_it_is_no_longer_fresh: Setup::default();
    a_stale_verdict_is_used_while_it_is_asked_again: Setup::default();
    an_answer_counts_only_if_it_is_one: Setup::default();
    an_older_answer_never_replaces_a_newer_one: Setup::default().with("/cache/l0_entries", 16);
    a_user_id_too_long_for_a_record_is_still_admitted: Setup::default();
}

fn a_known_token_is_not_asked_about_again(world: &mut World) {
    world.lookup.add("alice");
    let cookies = world.token("alice").pair();
    for _ in 0..5 {
        world.get(&cookies).admitted("alice");
    }
    assert_eq!(world.questions(), 1);
    assert_eq!(world.count("jwe_gate.l0.hit"), 4);
    assert_eq!(world.count("jwe_gate.l0.miss"), 1);
}

fn a_fresh_token_of_a_known_user_is_not_asked_about(world: &mut World) {
    world.lookup.add("alice");
    for _ in 0..5 {
        world.get_as("alice").admitted("alice");
    }
    assert_eq!(world.questions(), 1);
    assert_eq!(world.count("jwe_gate.l1.hit"), 4);
}

fn workers_share_what_they_learn(world: &mut World) {
    use crate::request::Request;
    world.lookup.add("alice");
    let cookies = world.token("alice").pair();
    for worker in [0, 1, 0, 1] {
        world.request(&Request::with_cookies(&cookies).worker(worker)).admitted("alice");
    }
    assert_eq!(world.questions(), 1);
}

fn an_unknown_user_is_refused_and_remembered(world: &mut World) {
    let cookies = world.token("mallory").pair();
    let as_of = world.now_ms();
    world.lookup.as_of(as_of);
    for _ in 0..3 {
        let seen = world.get(&cookies).refused(403);
        assert!(seen.reply("www-authenticate").is_empty());
    }
    world.get_as("mallory").refused(403);
    assert_eq!(world.questions(), 1);
    assert_eq!(world.count("jwe_gate.decision.unknown_user"), 4);
}

fn a_banned_user_is_refused(world: &mut World) {
    world.lookup.add("mallory");
    world.lookup.ban("mallory");
    world.get_as("mallory").refused(403);
    assert_eq!(world.count("jwe_gate.decision.banned"), 1);
}

fn a_sign_up_is_seen_although_the_user_was_unknown_before(world: &mut World) {
    let now = world.now_ms();
    world.lookup.as_of(now);
    world.get_as("carol").refused(403);
    world.lookup.add("carol");
    // An old token meets the denial that is known; one issued after it is asked about.
    world.get_as("carol").refused(403);
    let fresh = world.token("carol").claim("iat", now / 1000 + 1).pair();
    world.lookup.as_of(now + 1000);
    world.get(&fresh).admitted("carol");
    assert_eq!(world.questions(), 2);
}

fn a_replica_that_lags_is_asked_until_it_knows_the_user(world: &mut World) {
    let signed_up = world.now_ms();
    let cookies = world.token("carol").claim("iat", signed_up / 1000).pair();
    // What the replica says is older than the token each time, so it is never used for another request.
    for lag in [5000, 3000, 1000] {
        world.lookup.as_of(signed_up - lag);
        world.get(&cookies).refused(403);
    }
    assert_eq!(world.questions(), 3);
    world.lookup.add("carol");
    world.lookup.as_of(signed_up + 10);
    world.get(&cookies).admitted("carol");
    world.get(&cookies).admitted("carol");
    assert_eq!(world.questions(), 4);
}

fn an_unknown_user_is_asked_about_again_soon(world: &mut World) {
    // For denials, too: asked again after a second, and not used meanwhile.
    world.lookup.limits(1000, 1000, 60_000);
    let now = world.now_ms();
    world.lookup.as_of(now);
    let cookies = world.token("carol").pair();
    world.get(&cookies).refused(403);
    world.lookup.add("carol");
    world.lookup.as_of(now + 10);
    world.advance(1100);
    world.get(&cookies).admitted("carol");
    assert_eq!(world.questions(), 2);
}

fn unknown_users_push_no_known_one_out(world: &mut World) {
    let now = world.now_ms();
    world.lookup.as_of(now);
    world.lookup.add("alice");
    let cookies = world.token("alice").pair();
    world.get(&cookies).admitted("alice");
    for number in 0..200 {
        world.get_as(&format!("unknown-{number}")).refused(403);
    }
    let questions = world.questions();
    world.get(&cookies).admitted("alice");
    assert_eq!(world.count("jwe_gate.l0.hit"), 1);
    world.get_as("alice").admitted("alice");
    assert_eq!(world.questions(), questions);
}

fn a_verdict_is_asked_again_when_it_is_no_longer_fresh(world: &mut World) {
    world.lookup.limits(1000, 1000, 5000);
    world.lookup.add("alice");
    let cookies = world.token("alice").pair();
    world.get(&cookies).admitted("alice");
    world.lookup.remove("alice");
    let now = world.now_ms();
    world.lookup.as_of(now);
    world.get(&cookies).admitted("alice");
    world.advance(1100);
    world.get(&cookies).refused(403);
    assert_eq!(world.questions(), 2);
}

fn a_stale_verdict_is_used_while_it_is_asked_again(world: &mut World) {
    world.lookup.limits(500, 60_000, 90_000);
    world.lookup.add("alice");
    let cookies = world.token("alice").pair();
    world.get(&cookies).admitted("alice");
    world.advance(600);
    world.lookup.hold();
    // Nobody waits, and it is asked once.
    let sent = world.send(&crate::request::Request::with_cookies(&cookies));
    world.outcome(sent).admitted("alice");
    let sent = world.send(&crate::request::Request::with_cookies(&cookies));
    world.outcome(sent).admitted("alice");
    // Where nobody can be woken the next tick asks.
    world.advance(200);
    assert_eq!(world.questions(), 2);
    world.lookup.release();
    world.advance(200);
    world.get(&cookies).admitted("alice");
    assert_eq!(world.questions(), 2);
}

fn an_answer_counts_only_if_it_is_one(world: &mut World) {
    world.lookup.add("alice");
    world.get_as("alice").admitted("alice");
    let moods = [
        Mood::Replayer,
        Mood::Mistaken,
        Mood::Unsigned,
        Mood::Forger,
        Mood::Website,
        Mood::Confused,
        Mood::Newer,
        Mood::Unable,
        Mood::Unreachable,
    ];
    for (number, mood) in moods.into_iter().enumerate() {
        let user = format!("user-{number}");
        world.lookup.add(&user);
        world.lookup.mood(mood);
        let seen = world.get_as(&user).refused(503);
        assert_eq!(seen.reply("retry-after"), ["1"], "{mood:?}");
        world.lookup.mood(Mood::Honest);
        world.get_as(&user).admitted(&user);
    }
}

fn an_older_answer_never_replaces_a_newer_one(world: &mut World) {
    world.lookup.limits(0, 0, 60_000);
    world.lookup.as_of(1000);
    let cookies = world.token("mallory").claim("iat", world.now_ms() / 1000 - 500).pair();
    // The newest answer, by the clock of the database, says no.
    let later = world.now_ms();
    world.lookup.as_of(later);
    world.get(&cookies).refused(403);
    // A lagging replica still knows the user.
    world.lookup.add("mallory");
    world.lookup.as_of(later - 100);
    world.advance(1100);
    world.get(&cookies).refused(403);
    world.lookup.as_of(later + 100);
    world.advance(1100);
    world.get(&cookies).admitted("mallory");
}

fn a_user_id_too_long_for_a_record_is_still_admitted(world: &mut World) {
    let user = "u".repeat(900);
    world.lookup.add(&user);
    let cookies = world.token(&user).pair();
    world.get(&cookies).admitted(&user);
    world.get(&cookies).admitted(&user);
    assert_eq!(world.questions(), 1);
    assert_eq!(world.count("jwe_gate.l1.too_large"), 1);
}

fn the_service_is_told_when_the_token_was_issued(world: &mut World) {
    let issued = world.now_ms() / 1000 - 60;
    world.get_as("alice").refused(403);
    let told: Vec<_> = world.lookup.questions().into_iter().map(|question| question.issued_at_ms).collect();
    assert_eq!(told.len(), 1);
    // A real clock may have gone on between the two readings.
    assert!(told[0].is_some_and(|told| (issued * 1000..=issued * 1000 + 1000).contains(&told)), "{told:?}");
}
