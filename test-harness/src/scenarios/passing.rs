//! Requests that go on without a session: routes that allow it, and the bypass.

use super::scenarios;
use crate::lookup::Mood;
use crate::request::Request;
use crate::scenario::{Setup, World};
use crate::token::COOKIE;

const VALUE: &str = "a-long-random-bypass-value";

scenarios! {
    an_optional_route_names_who_has_a_session: optional();
    an_optional_route_goes_on_without_what_was_not_accepted: optional();
    an_issuer_path_waits_for_certainty: optional();
    an_open_route_checks_issuer_paths: Setup::default().with("/routes/0/access", "open");
    the_bypass_lets_in_without_an_identity: bypass();
    a_wrong_bypass_value_opens_nothing: bypass();
    the_bypass_works_where_the_listener_strips: bypass().with("/listener_strips", true);
    the_reason_is_told_only_where_it_is_asked_for: Setup::default().with("/debug_header", true);
}

fn optional() -> Setup {
    Setup::default().with("/routes/0/access", "optional")
}

fn bypass() -> Setup {
    Setup::default().env("ALLOW_BYPASS", "true").env("BYPASS_HEADER_VALUE", VALUE)
}

fn an_optional_route_names_who_has_a_session(world: &mut World) {
    world.lookup.add("alice");
    world.get_as("alice").admitted("alice");
    world.get("a=1").anonymous();
}

fn an_optional_route_goes_on_without_what_was_not_accepted(world: &mut World) {
    for cookies in [
        format!("a=1; {COOKIE}=garbage"),
        format!("a=1; {}", world.token("alice").secret("another secret").pair()),
        format!("a=1; {}", world.token("unknown").pair()),
        format!("{COOKIE}=x; a=1; {COOKIE}=y"),
    ] {
        let seen = world.get(&cookies).anonymous();
        assert_eq!(seen.upstream("cookie"), ["a=1"], "{cookies}");
    }
}

fn an_issuer_path_waits_for_certainty(world: &mut World) {
    world.lookup.add("alice");
    world.lookup.mood(Mood::Unable);
    let cookies = world.token("alice").pair();
    for path in
        ["/api/auth/session", "/API/AUTH/session", "//api/auth/session", "/api%2fauth/session", "/x/..%2fapi/auth"]
    {
        world.request(&Request::get(path).header("cookie", &cookies)).refused(503);
    }
    let seen = world.request(&Request::get("/public").header("cookie", &cookies)).anonymous();
    assert!(seen.upstream("cookie").is_empty());
    world.lookup.mood(Mood::Honest);
    let seen = world.request(&Request::get("/api/auth/session?x").header("cookie", &cookies)).admitted("alice");
    assert_eq!(seen.upstream("cookie"), [cookies]);
}

fn an_open_route_checks_issuer_paths(world: &mut World) {
    world.lookup.add("alice");
    let cookies = world.token("alice").pair();
    let seen = world.request(&Request::get("/api/auth/session").header("cookie", &cookies)).admitted("alice");
    assert_eq!(seen.upstream("cookie"), [cookies]);
    let unknown = world.token("unknown").pair();
    let seen = world.request(&Request::get("/api/auth/session").header("cookie", unknown)).anonymous();
    assert!(seen.upstream("cookie").is_empty());
}

fn the_bypass_lets_in_without_an_identity(world: &mut World) {
    let cookies = format!("a=1; {}", world.token("alice").pair());
    let request = Request::with_cookies(&cookies).header("X-Bypass-Auth", VALUE).header("x-user-id", "admin");
    let seen = world.request(&request).anonymous();
    assert_eq!(seen.upstream("x-jwe-gate-bypass"), ["true"]);
    assert!(seen.upstream("x-bypass-auth").is_empty());
    assert_eq!(seen.upstream("cookie"), ["a=1"]);
    assert_eq!(world.count("jwe_gate.bypass"), 1);
    assert_eq!(world.questions(), 0);
}

fn a_wrong_bypass_value_opens_nothing(world: &mut World) {
    world.lookup.add("alice");
    for value in ["true", "", "a-long-random-bypass-valuE", "a-long-random-bypass-value "] {
        let value = if value.ends_with(' ') { "a-long-random-bypass-value-" } else { value };
        let seen = world.request(&Request::get("/").header("x-bypass-auth", value));
        seen.refused(401);
    }
    let twice = Request::get("/").header("x-bypass-auth", VALUE).header("x-bypass-auth", VALUE);
    world.request(&twice).refused(401);
    let cookies = world.token("alice").pair();
    let request = Request::with_cookies(&cookies).header("x-bypass-auth", "true").header("x_bypass_auth", VALUE);
    let seen = world.request(&request).admitted("alice");
    assert!(seen.upstream("x-bypass-auth").is_empty() && seen.upstream("x_bypass_auth").is_empty());
}

fn the_bypass_works_where_the_listener_strips(world: &mut World) {
    let seen = world.request(&Request::get("/").header("x-bypass-auth", VALUE)).anonymous();
    assert!(seen.upstream("x-bypass-auth").is_empty());
    world.request(&Request::get("/").header("x-bypass-auth", "true")).refused(401);
}

fn the_reason_is_told_only_where_it_is_asked_for(world: &mut World) {
    let seen = world.get("a=1").refused(401);
    assert_eq!(seen.reply("x-jwe-gate-reason"), ["no_token"]);
}
