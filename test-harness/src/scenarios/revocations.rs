//! Sessions that are ended before their tokens expire, on proxies whose filter can act on all requests.

use serde_json::json;

use super::scenarios;
use crate::feed::FeedMood;
use crate::lookup::Mood;
use crate::request::Request;
use crate::scenario::{Seen, Setup, World};

scenarios! {
    a_revoked_session_is_refused_by_every_worker: followed();
    the_claim_that_names_the_session_may_be_another: followed().with("/sessions/0/claims/sid", "internal.sid");
    a_revoked_subject_may_sign_in_again: followed();
    a_request_that_waits_while_its_session_is_revoked_is_refused: followed();
    a_revoked_session_goes_on_without_a_name_where_none_is_required: followed().with("/routes/0/access", "optional");
    a_revoked_session_is_refused_on_issuer_paths: followed().with("/routes/0/access", "open");
    nobody_passes_before_the_feed_has_been_read:
        followed().with("/revocation/cluster", "nowhere").with("/revocation/ready_path", "/ready");
    nobody_passes_on_the_word_of_a_service_that_forgets: followed();
    a_stale_feed_denies_and_recovers: stale("deny");
    a_stale_feed_serves_where_it_may: stale("serve");
    readiness_ends_when_the_feed_is_too_old_to_admit_anybody: stale("deny").with("/revocation/ready_path", "/ready");
    readiness_lasts_where_a_stale_feed_serves: stale("serve").with("/revocation/ready_path", "/ready");
    a_forged_feed_is_no_feed: stale("deny");
    another_database_is_believed_as_a_whole: followed();
    a_snapshot_of_many_pages_is_complete: followed();
    another_configuration_knows_what_the_one_before_it_knew: followed();
    a_changed_user_is_looked_up_at_once: followed();
    streams_of_a_revoked_session_are_cut_and_others_go_on: followed();
    streams_whose_token_expires_are_cut: followed();
    streams_may_outlive_their_token: followed().with("/revocation/stream_policy", "finish");
    a_rule_lets_its_streams_outlive_their_token: followed().with("/routes", json!([
        { "hosts": ["downloads.test"], "access": "required", "stream_policy": "finish" },
        { "access": "required" },
    ]));
    streams_from_before_another_configuration_are_cut: followed();
}

const WORKERS: usize = 2;

fn followed() -> Setup {
    Setup::default().workers(WORKERS).with("/revocation", json!({ "cluster": "revocations", "poll_ms": 200 }))
}

fn stale(policy: &str) -> Setup {
    followed().with("/revocation/max_feed_age_seconds", 4).with("/revocation/on_stale_feed", policy)
}

/// A request of the user's session with this `sid`.
fn of(world: &World, user: &str, sid: &str) -> Request {
    Request::with_cookies(&world.token(user).claim("sid", sid).pair())
}

/// Sends a request to every worker, several times: a real proxy chooses the worker.
fn everywhere(world: &mut World, request: &Request, expected: impl Fn(Seen)) {
    for number in 0..10 {
        expected(world.request(&request.clone().worker(number % WORKERS)));
    }
}

/// Lets everybody hear what there is to hear.
fn heard(world: &mut World) {
    world.advance(600);
}

fn begin(world: &mut World) {
    world.lookup.add("alice");
    world.lookup.add("bob");
    heard(world);
}

fn a_revoked_session_is_refused_by_every_worker(world: &mut World) {
    begin(world);
    let (phone, laptop) = (of(world, "alice", "phone"), of(world, "alice", "laptop"));
    everywhere(world, &phone, |seen| drop(seen.admitted("alice")));
    everywhere(world, &laptop, |seen| drop(seen.admitted("alice")));
    world.lookup.feed.revoke_session("phone");
    heard(world);
    everywhere(world, &phone, |seen| drop(seen.refused(401)));
    // A token that was issued since is of the same session.
    let refreshed = Request::with_cookies(&world.token("alice").claim("sid", "phone").claim("jti", "another").pair());
    everywhere(world, &refreshed, |seen| drop(seen.refused(401)));
    everywhere(world, &laptop, |seen| drop(seen.admitted("alice")));
    world.get_as("bob").admitted("bob");
}

fn the_claim_that_names_the_session_may_be_another(world: &mut World) {
    begin(world);
    let session = |world: &World, name: &str| {
        let token = world.token("alice").claim("sid", "phone").claim("internal", json!({ "sid": name }));
        Request::with_cookies(&token.pair())
    };
    let (phone, laptop) = (session(world, "phone"), session(world, "laptop"));
    world.lookup.feed.revoke_session("phone");
    heard(world);
    everywhere(world, &phone, |seen| drop(seen.refused(401)));
    everywhere(world, &laptop, |seen| drop(seen.admitted("alice")));
}

fn a_revoked_subject_may_sign_in_again(world: &mut World) {
    begin(world);
    let signed_in = |world: &World, ago: u64| {
        let then = world.now_ms() / 1000 - ago;
        Request::with_cookies(&world.token("alice").claim("auth_time", then).pair())
    };
    let before = signed_in(world, 100);
    everywhere(world, &before, |seen| drop(seen.admitted("alice")));
    world.lookup.feed.revoke_subject("alice", world.now_ms() - 90_000);
    heard(world);
    everywhere(world, &before, |seen| drop(seen.refused(401)));
    let after = signed_in(world, 80);
    everywhere(world, &after, |seen| drop(seen.admitted("alice")));
    world.get_as("bob").admitted("bob");
}

fn a_request_that_waits_while_its_session_is_revoked_is_refused(world: &mut World) {
    begin(world);
    world.lookup.hold();
    let request = of(world, "alice", "phone");
    let (phone, laptop) = (world.send(&request), of(world, "alice", "laptop"));
    let laptop = world.send(&laptop);
    world.outcome(phone).waits();
    world.lookup.feed.revoke_session("phone");
    heard(world);
    world.lookup.release();
    world.outcome(phone).refused(401);
    world.outcome(laptop).admitted("alice");
}

fn a_revoked_session_goes_on_without_a_name_where_none_is_required(world: &mut World) {
    begin(world);
    let request = of(world, "alice", "phone");
    everywhere(world, &request, |seen| drop(seen.admitted("alice")));
    world.lookup.feed.revoke_session("phone");
    heard(world);
    everywhere(world, &request, |seen| {
        let seen = seen.anonymous();
        assert!(seen.upstream("cookie").is_empty());
    });
}

fn a_revoked_session_is_refused_on_issuer_paths(world: &mut World) {
    begin(world);
    let session = of(world, "alice", "phone");
    let polled = Request { path: "/api/auth/session".into(), ..session };
    everywhere(world, &polled, |seen| assert!(!seen.upstream("cookie").is_empty()));
    world.lookup.feed.revoke_session("phone");
    heard(world);
    // The app gets no token that it could turn into a fresh one.
    everywhere(world, &polled, |seen| assert!(seen.upstream("cookie").is_empty()));
}

fn nobody_passes_before_the_feed_has_been_read(world: &mut World) {
    begin(world);
    let request = of(world, "alice", "phone");
    everywhere(world, &request, |seen| drop(seen.refused(503)));
    world.get("").refused(401);
    assert!(world.count("jwe_gate.decision.no_feed") >= 10);
    assert!(world.count("jwe_gate.feed.refused") >= 1);
}

fn nobody_passes_on_the_word_of_a_service_that_forgets(world: &mut World) {
    world.lookup.feed.mood(FeedMood::Forgetful);
    world.lookup.feed.begin_anew();
    begin(world);
    world.advance(1_500);
    assert!(world.count("jwe_gate.feed.session_age") >= 1);
}

fn a_stale_feed_denies_and_recovers(world: &mut World) {
    begin(world);
    let request = of(world, "alice", "phone");
    everywhere(world, &request, |seen| drop(seen.admitted("alice")));
    world.lookup.feed.mood(FeedMood::Unreachable);
    world.advance(1_000);
    everywhere(world, &request, |seen| drop(seen.admitted("alice")));
    world.advance(4_500);
    everywhere(world, &request, |seen| drop(seen.refused(503)));
    assert!(world.count("jwe_gate.decision.stale_feed") >= 10);
    world.lookup.feed.revoke_session("laptop");
    world.lookup.feed.mood(FeedMood::Honest);
    world.advance(2_000);
    everywhere(world, &request, |seen| drop(seen.admitted("alice")));
    let revoked = of(world, "alice", "laptop");
    everywhere(world, &revoked, |seen| drop(seen.refused(401)));
}

fn a_stale_feed_serves_where_it_may(world: &mut World) {
    begin(world);
    let (phone, laptop) = (of(world, "alice", "phone"), of(world, "alice", "laptop"));
    world.lookup.feed.revoke_session("laptop");
    heard(world);
    world.lookup.feed.mood(FeedMood::Unreachable);
    world.advance(6_500);
    everywhere(world, &phone, |seen| drop(seen.admitted("alice")));
    // What is known is not forgotten, and no token is issued again that nobody could tell from those of before.
    everywhere(world, &laptop, |seen| drop(seen.refused(401)));
    let polled = Request { path: "/api/auth/session".into(), ..phone };
    everywhere(world, &polled, |seen| drop(seen.refused(503)));
}

/// What every worker answers to whoever asks whether the proxy is ready, without a session and with one.
fn ready(world: &mut World, status: u16) {
    for cookies in [None, Some(of(world, "alice", "phone"))] {
        let request = Request { path: "/ready?probe".into(), ..cookies.unwrap_or_else(|| Request::new("GET", "/")) };
        everywhere(world, &request, |seen| drop(seen.refused(status)));
    }
}

fn readiness_ends_when_the_feed_is_too_old_to_admit_anybody(world: &mut World) {
    begin(world);
    ready(world, 200);
    assert_eq!(world.count("jwe_gate.decision.ok"), 0);
    world.lookup.feed.mood(FeedMood::Unreachable);
    world.advance(5_500);
    ready(world, 503);
    // Another spelling is the application's.
    world.get("").refused(401);
    world.request(&Request::new("GET", "/ready/")).refused(401);
    world.lookup.feed.mood(FeedMood::Honest);
    world.advance(2_000);
    ready(world, 200);
}

fn readiness_lasts_where_a_stale_feed_serves(world: &mut World) {
    begin(world);
    world.lookup.feed.mood(FeedMood::Unreachable);
    world.advance(6_500);
    ready(world, 200);
}

fn a_forged_feed_is_no_feed(world: &mut World) {
    begin(world);
    world.lookup.feed.mood(FeedMood::Forger);
    world.advance(5_500);
    let request = of(world, "alice", "phone");
    everywhere(world, &request, |seen| drop(seen.refused(503)));
    assert!(world.count("jwe_gate.feed.invalid") >= 1);
}

fn another_database_is_believed_as_a_whole(world: &mut World) {
    begin(world);
    let (phone, laptop) = (of(world, "alice", "phone"), of(world, "alice", "laptop"));
    world.lookup.feed.revoke_session("phone");
    heard(world);
    everywhere(world, &phone, |seen| drop(seen.refused(401)));
    world.lookup.feed.begin_anew();
    world.lookup.feed.revoke_session("laptop");
    world.advance(1_500);
    everywhere(world, &phone, |seen| drop(seen.admitted("alice")));
    everywhere(world, &laptop, |seen| drop(seen.refused(401)));
}

fn a_snapshot_of_many_pages_is_complete(world: &mut World) {
    begin(world);
    let feed = &world.lookup.feed;
    feed.mood(FeedMood::Unreachable);
    feed.page(7);
    feed.begin_anew();
    (0..300).for_each(|number| feed.revoke_session(&number.to_string()));
    feed.mood(FeedMood::Honest);
    world.advance(8_000);
    for sid in ["0", "127", "128", "299"] {
        let request = of(world, "alice", sid);
        everywhere(world, &request, |seen| drop(seen.refused(401)));
    }
    let request = of(world, "alice", "300");
    everywhere(world, &request, |seen| drop(seen.admitted("alice")));
}

fn another_configuration_knows_what_the_one_before_it_knew(world: &mut World) {
    begin(world);
    let request = of(world, "alice", "phone");
    world.lookup.feed.revoke_session("phone");
    heard(world);
    world.lookup.feed.mood(FeedMood::Unreachable);
    world.reconfigure(0, &followed().with("/debug_header", true));
    let other = of(world, "alice", "laptop");
    everywhere(world, &other, |seen| drop(seen.admitted("alice")));
    everywhere(world, &request, |seen| assert_eq!(seen.refused(401).reply("x-jwe-gate-reason"), ["revoked"]));
}

fn a_changed_user_is_looked_up_at_once(world: &mut World) {
    begin(world);
    let request = of(world, "alice", "phone");
    everywhere(world, &request, |seen| drop(seen.admitted("alice")));
    world.get_as("bob").admitted("bob");
    let asked = world.questions();
    everywhere(world, &request, |seen| drop(seen.admitted("alice")));
    assert_eq!(world.questions(), asked);
    world.lookup.remove("alice");
    world.lookup.as_of(world.now_ms() + 2_000);
    world.lookup.feed.changed("alice", world.now_ms() + 1_000);
    heard(world);
    everywhere(world, &request, |seen| drop(seen.refused(403)));
    world.get_as("bob").admitted("bob");
    assert_eq!(world.questions(), asked + 1);
    // An outage admits nobody on the word of before.
    world.lookup.feed.changed("bob", world.now_ms() + 3_000);
    heard(world);
    world.lookup.mood(Mood::Unreachable);
    world.get_as("bob").refused(503);
}

fn streams_of_a_revoked_session_are_cut_and_others_go_on(world: &mut World) {
    begin(world);
    let (phone, laptop) = (of(world, "alice", "phone"), of(world, "alice", "laptop"));
    let doomed: Vec<_> = (0..6).map(|number| world.open(&phone.clone().worker(number % WORKERS))).collect();
    let others: Vec<_> = (0..6).map(|number| world.open(&laptop.clone().worker(number % WORKERS))).collect();
    heard(world);
    assert!(world.is_open(doomed[0]) && world.is_open(others[0]));
    world.lookup.feed.revoke_session("phone");
    heard(world);
    assert!(doomed.into_iter().all(|stream| !world.is_open(stream)));
    assert!(others.into_iter().all(|stream| world.is_open(stream)));
    assert_eq!(world.count("jwe_gate.cut.revoked"), 6);
    everywhere(world, &laptop, |seen| drop(seen.admitted("alice")));
}

/// A session whose token is over a second from now, tolerance included.
fn almost_over(world: &World) -> Request {
    let now = world.now_ms() / 1000;
    Request::with_cookies(&world.token("alice").claim("exp", now - 13).pair())
}

fn streams_whose_token_expires_are_cut(world: &mut World) {
    begin(world);
    let (short, long) = (almost_over(world), of(world, "alice", "laptop"));
    let (short, long) = (world.open(&short), world.open(&long));
    world.advance(3_000);
    assert!(!world.is_open(short));
    assert!(world.is_open(long));
    assert_eq!(world.count("jwe_gate.cut.expired"), 1);
}

fn streams_may_outlive_their_token(world: &mut World) {
    begin(world);
    let request = almost_over(world);
    let stream = world.open(&request);
    world.advance(3_000);
    assert!(world.is_open(stream));
    world.request(&request).refused(401);
}

fn a_rule_lets_its_streams_outlive_their_token(world: &mut World) {
    begin(world);
    let (short, long) = (almost_over(world), of(world, "alice", "phone"));
    let download = world.open(&short.clone().host("downloads.test"));
    let other = world.open(&short);
    let revoked = world.open(&long.host("downloads.test"));
    world.advance(3_000);
    assert!(world.is_open(download) && !world.is_open(other));
    assert_eq!(world.count("jwe_gate.cut.expired"), 1);
    // A session that is ended is another matter.
    assert!(world.is_open(revoked));
    world.lookup.feed.revoke_session("phone");
    heard(world);
    assert!(world.is_open(download) && !world.is_open(revoked));
}

fn streams_from_before_another_configuration_are_cut(world: &mut World) {
    begin(world);
    let (phone, laptop) = (of(world, "alice", "phone"), of(world, "alice", "laptop"));
    let (doomed, other) = (world.open(&phone), world.open(&laptop));
    world.reconfigure(0, &followed().with("/debug_header", true));
    world.advance(2_000);
    assert!(world.is_open(doomed));
    world.lookup.feed.revoke_session("phone");
    world.advance(1_500);
    assert!(!world.is_open(doomed));
    assert!(world.is_open(other));
}
