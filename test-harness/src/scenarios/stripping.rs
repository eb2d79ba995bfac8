//! What never reaches the app: identities and sessions that the gate did not make or accept.

use super::scenarios;
use crate::request::Request;
use crate::scenario::{Setup, World};
use crate::token::COOKIE;

scenarios! {
    identity_headers_of_clients_are_removed: Setup::default();
    a_known_token_carries_nothing_else_in: Setup::default();
    identity_headers_are_removed_on_open_routes: Setup::default().with("/routes/0/access", "open");
    cookies_that_look_like_the_session_are_removed: Setup::default();
    an_open_route_gets_no_session_at_all: Setup::default().with("/routes/0/access", "open");
    an_open_route_keeps_other_credentials: Setup::default().with("/routes/0/access", "open");
    ids_are_written_so_that_no_two_are_alike: Setup::default();
    ids_with_line_breaks_make_no_headers: Setup::default();
}

const SPELLINGS: [&str; 6] = ["X-User-Id", "x-user-id", "x_user_id", "X_User-Id", "x-user_id", "X-USER_ID"];

fn identity_headers_of_clients_are_removed(world: &mut World) {
    world.lookup.add("alice");
    let cookies = world.token("alice").pair();
    let spoofed = SPELLINGS.iter().fold(Request::with_cookies(&cookies), |request, name| request.header(name, "admin"));
    let spoofed = spoofed.header("x-jwe-gate-bypass", "true").header("x_jwe_gate_bypass", "true");
    let seen = world.request(&spoofed).admitted("alice");
    for spelling in ["x_user_id", "x_user-id", "x-user_id", "x-jwe-gate-bypass", "x_jwe_gate_bypass"] {
        assert!(seen.upstream(spelling).is_empty(), "{spelling}");
    }
}

fn a_known_token_carries_nothing_else_in(world: &mut World) {
    world.lookup.add("alice");
    let (pair, other) = (world.token("alice").pair(), world.token("bob").mint());
    world.get(&pair).admitted("alice");
    let seen = world.get(&format!("a=1; {pair}; {COOKIE}X={other}")).admitted("alice");
    assert_eq!(seen.upstream("cookie"), [format!("a=1; {pair}")]);
    let lines = Request::get("/").header("cookie", &pair).header("cookie", format!("{COOKIE}.9={other}"));
    let seen = world.request(&lines).admitted("alice");
    assert_eq!(seen.upstream("cookie"), [pair.as_str()]);
    let lines = Request::get("/").header("cookie", "a=1").header("cookie", &pair);
    world.request(&lines).admitted("alice");
    let bearer = Request::with_cookies(&pair).header("authorization", format!("Bearer {other}"));
    let seen = world.request(&bearer).admitted("alice");
    assert!(seen.upstream("authorization").is_empty());
    let basic = Request::with_cookies(&pair).header("authorization", "Basic YTpi");
    let seen = world.request(&basic).admitted("alice");
    assert_eq!(seen.upstream("authorization"), ["Basic YTpi"]);
    assert_eq!(world.questions(), 1);
}

fn identity_headers_are_removed_on_open_routes(world: &mut World) {
    let spoofed = SPELLINGS.iter().fold(Request::get("/"), |request, name| request.header(name, "admin"));
    let seen = world.request(&spoofed).anonymous();
    for spelling in ["x_user_id", "x_user-id", "x-user_id"] {
        assert!(seen.upstream(spelling).is_empty(), "{spelling}");
    }
}

fn cookies_that_look_like_the_session_are_removed(world: &mut World) {
    world.lookup.add("alice");
    let (pair, other) = (world.token("alice").pair(), world.token("bob").mint());
    let strangers = [
        format!("{COOKIE}X={other}"),
        format!("{COOKIE}.9={other}"),
        format!("{COOKIE}-foo={other}"),
        format!("__Secure-{COOKIE}={other}"),
        format!("__Host-{COOKIE}={other}"),
        format!("{COOKIE}.0={other}"),
        format!("{COOKIE}.00={other}"),
        COOKIE.to_owned(),
    ];
    for stranger in &strangers {
        for cookies in [format!("a=1; {stranger}; {pair}; b=2"), format!("{pair}; {stranger}; a=1; b=2")] {
            let seen = world.get(&cookies).admitted("alice");
            let [cookie] = seen.upstream("cookie")[..] else { panic!("one header expected: {seen:?}") };
            assert!(!cookie.contains(&other) && cookie.contains(&pair), "{stranger}: {cookie}");
            assert!(cookie.contains("a=1") && cookie.contains("b=2"), "{stranger}: {cookie}");
        }
    }
}

fn an_open_route_gets_no_session_at_all(world: &mut World) {
    let token = world.token("alice");
    let bearer = format!("Bearer {}", token.mint());
    let cookies = format!("a=1; {}; {COOKIE}.1=x; b=2", token.pair());
    let seen = world.request(&Request::with_cookies(&cookies).header("authorization", bearer)).anonymous();
    assert_eq!(seen.upstream("cookie"), ["a=1; b=2"]);
    assert!(seen.upstream("authorization").is_empty());
    let seen = world.get(&token.pair()).anonymous();
    assert!(seen.upstream("cookie").is_empty());
    assert_eq!(world.questions(), 0);
}

fn an_open_route_keeps_other_credentials(world: &mut World) {
    for value in ["Bearer an-api-key", "Basic YTpi", "Bearer a.b.c"] {
        let seen = world.request(&Request::get("/").header("authorization", value));
        assert_eq!(seen.upstream("authorization"), [value]);
    }
}

fn ids_are_written_so_that_no_two_are_alike(world: &mut World) {
    let ids = [
        ("admin", "admin"),
        (" admin", "%20admin"),
        ("admin ", "admin%20"),
        ("%20admin", "%2520admin"),
        ("J\u{fc}rgen, jr", "J%C3%BCrgen, jr"),
    ];
    for (id, header) in ids {
        world.lookup.add(id);
        world.get_as(id).admitted(header);
    }
}

fn ids_with_line_breaks_make_no_headers(world: &mut World) {
    for id in ["a\r\nx-admin: 1", "a\nb", "a\0b", "\u{7f}"] {
        world.lookup.add(id);
        let seen = world.get_as(id);
        assert!(seen.upstream("x-admin").is_empty());
        let [value] = seen.upstream("x-user-id")[..] else { panic!("one header expected: {seen:?}") };
        assert!(
            value.bytes().all(|byte| (0x21..0x7f).contains(&byte)) || !value.contains(['\r', '\n', '\0']),
            "{value:?}"
        );
    }
}
