//! The path on which the gate itself signs users out.

use serde_json::json;

use super::scenarios;
use crate::driver::Outcome;
use crate::feed::FeedMood;
use crate::request::Request;
use crate::scenario::{Setup, World};
use crate::token::COOKIE;

scenarios! {
    signing_out_ends_the_session_for_all_and_takes_its_cookies_away: setup();
    signing_out_without_a_sid_ends_what_was_issued_before: setup();
    a_browser_is_sent_on_when_it_has_signed_out: setup().with("/revocation/sign_out/location", "/bye?from=here");
    only_the_applications_own_pages_sign_out_and_only_by_post: setup();
    who_has_no_session_loses_its_cookies_all_the_same: setup();
    what_is_not_written_is_not_said_to_be_done: setup();
    a_client_that_does_not_wait_is_signed_out_all_the_same: setup();
    other_spellings_of_the_path_are_the_applications: setup();
}

fn setup() -> Setup {
    let sign_out = json!({ "path": "/sign-out" });
    let revocation = json!({ "cluster": "revocations", "poll_ms": 200, "sign_out": sign_out });
    Setup::default().workers(2).with("/revocation", revocation)
}

fn begin(world: &mut World) {
    world.lookup.add("alice");
    world.advance(600);
}

fn sign_out(cookies: &str) -> Request {
    Request::new("POST", "/sign-out").header("cookie", cookies).header("origin", "http://app.test")
}

fn is_refused_everywhere(world: &mut World, cookies: &str) {
    world.advance(600);
    for worker in [0, 1, 0, 1, 0, 1] {
        world.request(&Request::with_cookies(cookies).worker(worker)).refused(401);
    }
}

fn signing_out_ends_the_session_for_all_and_takes_its_cookies_away(world: &mut World) {
    begin(world);
    let cookies = world.token("alice").claim("sid", "phone").pair();
    let other = world.token("alice").claim("sid", "laptop").pair();
    world.get(&cookies).admitted("alice");
    let seen = world.request(&sign_out(&format!("theme=dark; {cookies}; {COOKIE}X.7=old"))).refused(204);
    let set = seen.reply("set-cookie");
    let taken: Vec<&str> = set.iter().map(|line| line.split(';').next().unwrap_or_default()).collect();
    let expected =
        [format!("__Host-{COOKIE}="), format!("__Secure-{COOKIE}="), format!("{COOKIE}="), format!("{COOKIE}X.7=")];
    assert_eq!(taken, expected);
    assert!(set.iter().all(|line| line.contains("Max-Age=0") && line.contains("Path=/")), "{set:?}");
    assert_eq!(seen.reply("cache-control"), ["no-store"]);
    is_refused_everywhere(world, &cookies);
    world.get(&other).admitted("alice");
    assert_eq!(world.count("jwe_gate.sign_out.durable"), 1);
}

fn signing_out_without_a_sid_ends_what_was_issued_before(world: &mut World) {
    begin(world);
    let cookies = world.token("alice").pair();
    world.request(&sign_out(&cookies)).refused(204);
    is_refused_everywhere(world, &cookies);
    let later = world.token("alice").claim("iat", world.now_ms() / 1000 + 10).pair();
    world.get(&later).admitted("alice");
}

fn a_browser_is_sent_on_when_it_has_signed_out(world: &mut World) {
    begin(world);
    let cookies = world.token("alice").claim("sid", "phone").pair();
    let seen = world.request(&sign_out(&cookies)).refused(303);
    assert_eq!(seen.reply("location"), ["/bye?from=here"]);
    is_refused_everywhere(world, &cookies);
}

fn only_the_applications_own_pages_sign_out_and_only_by_post(world: &mut World) {
    begin(world);
    let cookies = world.token("alice").claim("sid", "phone").pair();
    let seen = world.request(&Request::get("/sign-out").header("cookie", &cookies)).refused(405);
    assert_eq!(seen.reply("allow"), ["POST"]);
    let foreign = Request::new("POST", "/sign-out").header("cookie", &cookies).header("origin", "https://evil.test");
    assert!(world.request(&foreign).refused(403).reply("set-cookie").is_empty());
    world.advance(600);
    world.get(&cookies).admitted("alice");
}

fn who_has_no_session_loses_its_cookies_all_the_same(world: &mut World) {
    begin(world);
    for cookies in [format!("{COOKIE}=nonsense"), "theme=dark".to_owned()] {
        assert_eq!(world.request(&sign_out(&cookies)).refused(204).reply("set-cookie").len(), 3);
    }
    // A session that has ended is no session either.
    let cookies = world.token("alice").claim("sid", "phone").pair();
    world.lookup.feed.revoke_session("phone");
    is_refused_everywhere(world, &cookies);
    world.request(&sign_out(&cookies)).refused(204);
    assert_eq!(world.count("jwe_gate.sign_out.nothing"), 3);
    assert_eq!(world.lookup.feed.written(), 0);
}

fn what_is_not_written_is_not_said_to_be_done(world: &mut World) {
    begin(world);
    let cookies = world.token("alice").claim("sid", "phone").pair();
    for mood in [FeedMood::Unreachable, FeedMood::Forger] {
        world.lookup.feed.mood(mood);
        assert!(world.request(&sign_out(&cookies)).refused(503).reply("set-cookie").is_empty(), "{mood:?}");
    }
    world.lookup.feed.mood(FeedMood::Honest);
    world.request(&sign_out(&cookies)).refused(204);
    world.advance(2_000);
    is_refused_everywhere(world, &cookies);
    assert_eq!(world.count("jwe_gate.sign_out.failed"), 2);
}

fn a_client_that_does_not_wait_is_signed_out_all_the_same(world: &mut World) {
    begin(world);
    let cookies = world.token("alice").claim("sid", "phone").pair();
    world.lookup.hold();
    let sent = world.send(&sign_out(&cookies));
    world.outcome(sent).waits();
    world.abandon(sent);
    world.lookup.release();
    is_refused_everywhere(world, &cookies);
}

fn other_spellings_of_the_path_are_the_applications(world: &mut World) {
    begin(world);
    let cookies = world.token("alice").claim("sid", "phone").pair();
    for path in ["/sign-out/", "/sign-outs", "/Sign-out", "/x/sign-out", "/sign-ou%74"] {
        let request = Request { path: path.into(), ..sign_out(&cookies) };
        let seen = world.request(&request);
        assert!(
            matches!(seen.0, Outcome::Forwarded(_) | Outcome::Replied { status: 400 | 401 | 403, .. }),
            "{path} {seen:?}"
        );
    }
    assert_eq!(world.lookup.feed.written(), 0);
    // What follows the path is no part of it.
    let request = Request { path: "/sign-out?now".into(), ..sign_out(&cookies) };
    world.request(&request).refused(204);
    assert_eq!(world.lookup.feed.written(), 1);
}
