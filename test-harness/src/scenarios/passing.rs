//! Requests that go on without a session: routes that allow it, and the bypass.

use serde_json::{Value, json};

use super::scenarios;
use crate::lookup::Mood;
use crate::request::Request;
use crate::scenario::{Setup, World, gate, set};
use crate::token::COOKIE;

const VALUE: &str = "a-long-random-bypass-value";

scenarios! {
    an_optional_route_names_who_has_a_session: optional();
    an_optional_route_goes_on_without_what_was_not_accepted: optional();
    an_issuer_path_waits_for_certainty: optional();
    an_open_route_checks_issuer_paths: Setup::default().with("/routes/0/access", "open");
    who_has_no_session_goes_on_without_one_where_that_is_configured: forward();
    who_has_a_session_is_named_there_as_ever: forward();
    nobody_is_taken_for_a_stranger_while_nobody_knows: forward();
    the_status_is_the_gates_to_tell: Setup::default().gates(every_route());
    the_bypass_lets_in_without_an_identity: bypass();
    a_wrong_bypass_value_opens_nothing: bypass();
    the_reason_is_told_only_where_it_is_asked_for: Setup::default().with("/debug_header", true);
}

fn optional() -> Setup {
    Setup::default().with("/routes/0/access", "optional")
}

fn forward() -> Setup {
    Setup::default().with("/routes/0/on_unauthenticated", "forward")
}

fn every_route() -> Vec<Value> {
    let routes = [
        json!({ "access": "open" }),
        json!({ "access": "optional" }),
        json!({ "access": "required", "on_unauthenticated": "forward" }),
    ];
    let gate_with = |route| {
        let mut gate = gate();
        set(&mut gate, "/routes", json!([route]));
        gate
    };
    routes.map(gate_with).into()
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
    let seen = world.request(&Request::get("/api/auth/session").header("cookie", &cookies)).anonymous();
    assert_eq!(seen.upstream("cookie"), [cookies]);
    let unknown = world.token("unknown").pair();
    let seen = world.request(&Request::get("/api/auth/session").header("cookie", unknown)).anonymous();
    assert!(seen.upstream("cookie").is_empty());
}

fn who_has_no_session_goes_on_without_one_where_that_is_configured(world: &mut World) {
    world.lookup.add("mallory");
    world.lookup.ban("mallory");
    let expired = world.now_ms() / 1000 - 100;
    for (cookies, status) in [
        ("a=1".to_owned(), "unauthenticated"),
        (format!("a=1; {COOKIE}=garbage; {COOKIE}X=x"), "unauthenticated"),
        (format!("{COOKIE}=x; a=1; {COOKIE}=y"), "unauthenticated"),
        (format!("a=1; {}", world.token("alice").claim("exp", expired).pair()), "unauthenticated"),
        (format!("{}; a=1", world.token("unknown").pair()), "forbidden"),
        (format!("a=1; {}", world.token("mallory").pair()), "forbidden"),
    ] {
        for path in ["/", "/api/auth/signin"] {
            let bearer = format!("Bearer {}", world.token("alice").mint());
            let request = Request::get(path).header("cookie", &cookies).header("x-user-id", "admin");
            let request = request.header("cache-control", "max-stale=9999");
            // Where there is a session cookie, however bad, a Bearer is none; otherwise it would be a session.
            let with_bearer = cookies.contains(COOKIE);
            let request = if with_bearer { request.header("authorization", bearer) } else { request };
            let seen = world.request(&request).anonymous();
            assert_eq!(seen.upstream("cookie"), ["a=1"], "{cookies}");
            assert!(seen.upstream("authorization").is_empty(), "{cookies}");
            assert_eq!(seen.upstream("x-jwe-gate-status"), [status], "{cookies}");
            assert_eq!(seen.upstream("cache-control"), ["no-store, no-cache"], "{cookies}");
        }
    }
}

fn who_has_a_session_is_named_there_as_ever(world: &mut World) {
    world.lookup.add("alice");
    let cookies = world.token("alice").pair();
    for _ in 0..2 {
        let request = Request::with_cookies(&cookies).header("cache-control", "max-age=60");
        let seen = world.request(&request).admitted("alice");
        assert_eq!(seen.upstream("cookie"), [cookies.as_str()]);
        assert_eq!(seen.upstream("cache-control"), ["max-age=60"]);
        assert!(seen.upstream("x-jwe-gate-status").is_empty());
    }
}

fn nobody_is_taken_for_a_stranger_while_nobody_knows(world: &mut World) {
    world.lookup.mood(Mood::Unable);
    let cookies = world.token("alice").pair();
    for path in ["/", "/api/auth/session"] {
        let seen = world.request(&Request::get(path).header("cookie", &cookies)).refused(503);
        assert_eq!(seen.reply("retry-after"), ["1"]);
    }
    world.get("a=1").anonymous();
}

fn the_status_is_the_gates_to_tell(world: &mut World) {
    world.lookup.add("alice");
    let cookies = world.token("alice").pair();
    for (gate, anonymous) in [(0, None), (1, Some("unauthenticated")), (2, Some("unauthenticated"))] {
        let spoofed = |request: Request| request.header("X-Jwe-Gate-Status", "ok").header("x_jwe_gate_status", "ok");
        let signed_in = world.request(&spoofed(Request::with_cookies(&cookies)).gate(gate));
        assert!(signed_in.upstream("x-jwe-gate-status").is_empty(), "gate {gate}");
        let seen = world.request(&spoofed(Request::get("/")).gate(gate)).anonymous();
        assert_eq!(seen.upstream("x-jwe-gate-status"), Vec::from_iter(anonymous), "gate {gate}");
        assert!(seen.upstream("x_jwe_gate_status").is_empty(), "gate {gate}");
    }
    // Where everybody may pass the app is also told that nobody could find out.
    world.lookup.mood(Mood::Unable);
    let seen = world.request(&Request::with_cookies(&world.token("bob").pair()).gate(1)).anonymous();
    assert_eq!(seen.upstream("x-jwe-gate-status"), ["unavailable"]);
    assert!(seen.upstream("cache-control").is_empty());
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

fn the_reason_is_told_only_where_it_is_asked_for(world: &mut World) {
    let seen = world.get("a=1").refused(401);
    assert_eq!(seen.reply("x-jwe-gate-reason"), ["no_token"]);
}
