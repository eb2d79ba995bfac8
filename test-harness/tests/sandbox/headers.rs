//! A proxy that does not change headers as it is told: what goes on then is not what the gate has made of it.

use jwe_gate_test_harness::token::COOKIE;
use jwe_gate_test_harness::{Request, Token};
use jwe_gate_test_host::{Level, Outcome, RequestId, RootId, World};

use super::parts::{self, answer, worker};

const IDENTITY: &str = "x-user-id";

#[test]
fn nobody_passes_whom_the_app_would_not_be_told() {
    let (mut world, root) = world();
    let (cookie, waiting) = (alice(&world), ask(&mut world, root, "bob"));
    send(&mut world, root, &Request::with_cookies(&cookie), is_forwarded);
    world.fix_header(IDENTITY);
    send(&mut world, root, &Request::with_cookies(&cookie), is_refused);
    answer(&mut world, &["bob"]);
    world.run_until_idle();
    assert!(is_refused(&world, waiting));
    // Once on the short way, and once after a lookup.
    assert_eq!(complaints(&world), 2);
}

#[test]
fn nobody_passes_with_a_name_that_cannot_be_taken_away() {
    let (mut world, root) = world();
    let cookie = alice(&world);
    let forged = Request::with_cookies(&cookie).header("X_User-Id", "mallory");
    let named = |world: &World, request| match world.outcome(request) {
        Outcome::Forwarded(headers) => headers.first(b"x_user-id").is_none(),
        _ => false,
    };
    send(&mut world, root, &forged, named);
    world.fix_header("x_user-id");
    send(&mut world, root, &Request::with_cookies(&cookie), is_forwarded);
    send(&mut world, root, &forged, is_refused);
    assert_eq!(complaints(&world), 1);
}

#[test]
fn nobody_passes_with_a_cookie_that_was_not_accepted_and_stays() {
    let (mut world, root) = world();
    let cookie = alice(&world);
    let cookies = Request::with_cookies(&format!("{cookie}; {COOKIE}X=part"));
    let cleaned = |world: &World, request| match world.outcome(request) {
        Outcome::Forwarded(headers) => headers.first(b"cookie").is_some_and(|line| !line.ends_with(b"part")),
        _ => false,
    };
    send(&mut world, root, &cookies, cleaned);
    world.fix_header("cookie");
    send(&mut world, root, &Request::with_cookies(&cookie), is_forwarded);
    send(&mut world, root, &cookies, is_refused);
}

/// A world with a filter that knows Alice.
fn world() -> (World, RootId) {
    let mut world = parts::world();
    let root = worker(&mut world);
    let request = ask(&mut world, root, "alice");
    answer(&mut world, &["alice"]);
    world.run_until_idle();
    assert!(is_forwarded(&world, request));
    (world, root)
}

fn alice(world: &World) -> String {
    Token::of("alice", world.now_ms()).pair()
}

/// A request for which the filter has to ask.
fn ask(world: &mut World, root: RootId, user: &str) -> RequestId {
    let cookies = Token::of(user, world.now_ms()).pair();
    let request = world.request(root, Request::with_cookies(&cookies).map());
    world.run_until_idle();
    assert_eq!(world.calls().len(), 1);
    request
}

#[track_caller]
fn send(world: &mut World, root: RootId, request: &Request, expected: fn(&World, RequestId) -> bool) {
    let request = world.request(root, request.map());
    assert!(expected(world, request), "{:?}", world.outcome(request));
    assert!(world.traps().is_empty() && world.misuses().is_empty());
}

fn is_forwarded(world: &World, request: RequestId) -> bool {
    matches!(world.outcome(request), Outcome::Forwarded(_))
}

fn is_refused(world: &World, request: RequestId) -> bool {
    matches!(world.outcome(request), Outcome::Replied(reply) if reply.status == 503)
}

fn complaints(world: &World) -> usize {
    world.log_texts(Level::Error).iter().filter(|text| text.contains("did not change its headers")).count()
}
