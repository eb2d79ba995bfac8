//! Which credentials are found, and which are good.

use jwe_gate_core::jwe::Profile;
use serde_json::json;

use super::scenarios;
use crate::request::Request;
use crate::scenario::{Setup, World, gate};
use crate::token::{COOKIE, SECRET, Token};

scenarios! {
    without_a_token_the_answer_is_401: Setup::default();
    a_good_token_of_a_known_user_is_admitted: Setup::default();
    a_forged_token_is_refused_and_never_asked_about: Setup::default();
    all_token_failures_look_alike: Setup::default();
    an_expired_token_is_refused_although_it_was_known: Setup::default();
    a_session_that_is_too_old_is_refused: Setup::default();
    chunks_are_joined_in_any_order: Setup::default();
    crumbs_of_several_header_lines_are_read: Setup::default();
    a_bearer_counts_only_without_a_cookie: Setup::default();
    a_percent_encoded_cookie_is_read: Setup::default();
    two_cookies_of_one_name_are_refused: Setup::default();
    an_old_secret_is_accepted_beside_the_new_one: Setup::default().env("AUTH_SECRET_1", SECRET).env("AUTH_SECRET", "old");
    each_profile_is_accepted: Setup::default().gates(vec![json!({ "sessions": [
        { "profile": "authjs", "cookie": "__Secure-authjs.session-token" },
        { "profile": "authjs-legacy", "cookie": "next-auth.session-token" },
        { "profile": "next-auth", "cookie": "next-auth.session-token" },
    ] })]);
    without_lookups_a_good_token_is_enough: {
        let mut gate = gate();
        gate.as_object_mut().unwrap().remove("lookup");
        Setup::default().gates(vec![gate])
    };
    claims_that_are_too_large_are_refused: Setup::default();
}

fn without_a_token_the_answer_is_401(world: &mut World) {
    let seen = world.get("other=1").refused(401);
    assert_eq!(seen.reply("www-authenticate"), ["Bearer realm=\"jwe-gate\""]);
    assert_eq!(seen.reply("cache-control"), ["no-store"]);
    assert!(seen.reply("vary")[0].starts_with("Cookie, Authorization, Origin, "));
    world.request(&Request::get("/")).refused(401);
    assert_eq!(world.questions(), 0);
    assert_eq!(world.count("jwe_gate.decision.no_token"), 2);
}

fn a_good_token_of_a_known_user_is_admitted(world: &mut World) {
    world.lookup.add("alice");
    let cookies = format!("theme=dark; {}; lang=de", world.token("alice").pair());
    let seen = world.get(&cookies).admitted("alice");
    assert_eq!(seen.upstream("cookie"), [cookies]);
    assert_eq!(world.count("jwe_gate.decision.ok"), 1);
}

fn a_forged_token_is_refused_and_never_asked_about(world: &mut World) {
    world.lookup.add("alice");
    let token = world.token("alice");
    let good = token.mint();
    for position in [10, good.len() / 2, good.len() - 1] {
        let mut forged = good.clone().into_bytes();
        forged[position] = if forged[position] == b'A' { b'B' } else { b'A' };
        world.get(&format!("{COOKIE}={}", String::from_utf8(forged).unwrap())).refused(401);
    }
    world.get(&token.secret("another secret").pair()).refused(401);
    assert_eq!(world.questions(), 0);
}

fn all_token_failures_look_alike(world: &mut World) {
    let now = world.now_ms() / 1000;
    let cookies = [
        "nothing=here".to_owned(),
        format!("{COOKIE}=garbage"),
        world.token("alice").secret("another secret").pair(),
        world.token("alice").claim("exp", now - 100).pair(),
        format!("{COOKIE}=a; {COOKIE}=b"),
    ];
    let mut replies = cookies.iter().map(|cookies| {
        let seen = world.get(cookies).refused(401);
        let kept = |name: &str| !matches!(name, "date" | "server" | "x-envoy-upstream-service-time");
        let crate::driver::Outcome::Replied { mut headers, .. } = seen.0 else { unreachable!("it was refused") };
        headers.retain(|(name, _)| kept(name));
        headers
    });
    let first = replies.next().unwrap();
    assert!(replies.all(|reply| reply == first));
}

fn an_expired_token_is_refused_although_it_was_known(world: &mut World) {
    world.lookup.add("alice");
    // Fifteen seconds of tolerance for clocks that differ: the token has two left.
    let exp = world.now_ms() / 1000 - 13;
    let cookies = world.token("alice").claim("exp", exp).pair();
    world.get(&cookies).admitted("alice");
    world.advance(2500);
    world.get(&cookies).refused(401);
    assert_eq!(world.count("jwe_gate.decision.expired"), 1);
}

fn a_session_that_is_too_old_is_refused(world: &mut World) {
    world.lookup.add("alice");
    let now = world.now_ms() / 1000;
    let days = |days: u64| days * 24 * 3600;
    world.get(&world.token("alice").claim("iat", now - days(31)).pair()).refused(401);
    world.get(&world.token("alice").claim("exp", now + days(31)).pair()).refused(401);
    world.get(&world.token("alice").claim("iat", now + 60).pair()).refused(401);
    world.get(&world.token("alice").claim("iat", now - days(20)).pair()).admitted("alice");
}

fn chunks_are_joined_in_any_order(world: &mut World) {
    world.lookup.add("alice");
    let token = world.token("alice").claim("padding", "x".repeat(6000)).mint();
    let chunks: Vec<String> = token
        .as_bytes()
        .chunks(3936)
        .enumerate()
        .map(|(number, chunk)| format!("{COOKIE}.{number}={}", std::str::from_utf8(chunk).unwrap()))
        .collect();
    assert!(chunks.len() > 2);
    let reversed: Vec<&str> = chunks.iter().rev().map(String::as_str).collect();
    let cookies = reversed.join("; ");
    assert_eq!(world.get(&cookies).admitted("alice").upstream("cookie"), [cookies]);
    world.get(&chunks[1..].join("; ")).refused(401);
}

fn crumbs_of_several_header_lines_are_read(world: &mut World) {
    world.lookup.add("alice");
    let pair = world.token("alice").pair();
    let request = Request::get("/").header("cookie", "a=1").header("cookie", &pair).header("Cookie", "b=2");
    world.request(&request).admitted("alice");
    let request = Request::get("/").header("cookie", &pair).header("cookie", format!("{COOKIE}=x"));
    world.request(&request).refused(401);
}

fn a_bearer_counts_only_without_a_cookie(world: &mut World) {
    world.lookup.add("alice");
    world.lookup.add("bob");
    let bearer = format!("bearer {}", world.token("alice").mint());
    let seen = world.request(&Request::get("/").header("authorization", &bearer)).admitted("alice");
    assert_eq!(seen.upstream("authorization"), [bearer.as_str()]);
    let both = Request::with_cookies(&world.token("bob").pair()).header("authorization", &bearer);
    let seen = world.request(&both).admitted("bob");
    assert!(seen.upstream("authorization").is_empty());
    let bad = Request::with_cookies(&format!("{COOKIE}=garbage")).header("authorization", &bearer);
    world.request(&bad).refused(401);
}

fn a_percent_encoded_cookie_is_read(world: &mut World) {
    world.lookup.add("alice");
    let token = world.token("alice").mint().replace('.', "%2E");
    world.get(&format!("{COOKIE}={token}")).admitted("alice");
}

fn two_cookies_of_one_name_are_refused(world: &mut World) {
    world.lookup.add("alice");
    world.lookup.add("bob");
    let (alice, bob) = (world.token("alice").pair(), world.token("bob").pair());
    world.get(&format!("{alice}; {bob}")).refused(401);
    world.get(&format!("{COOKIE}=; {alice}")).refused(401);
    assert_eq!(world.questions(), 0);
}

fn an_old_secret_is_accepted_beside_the_new_one(world: &mut World) {
    world.lookup.add("alice");
    world.get_as("alice").admitted("alice");
    world.get(&world.token("alice").secret("old").pair()).admitted("alice");
    world.get(&world.token("alice").secret("older").pair()).refused(401);
}

fn each_profile_is_accepted(world: &mut World) {
    let tokens = [
        Token::of("alice", world.now_ms()).cookie("__Secure-authjs.session-token"),
        Token::of("alice", world.now_ms()).cookie("next-auth.session-token").profile(Profile::AuthJsLegacy),
        Token::of("alice", world.now_ms()).cookie("next-auth.session-token").profile(Profile::NextAuth),
    ];
    for token in &tokens {
        world.get(&token.pair()).admitted("alice");
    }
    // The name without the prefix is another cookie, and the token of one family none of another.
    world.get(&tokens[0].clone().cookie("authjs.session-token").pair()).refused(401);
    world.get(&format!("__Secure-authjs.session-token={}", tokens[1].mint())).refused(401);
}

fn without_lookups_a_good_token_is_enough(world: &mut World) {
    world.get_as("alice").admitted("alice");
    world.get(&world.token("alice").secret("another secret").pair()).refused(401);
    assert_eq!(world.questions(), 0);
}

fn claims_that_are_too_large_are_refused(world: &mut World) {
    let subject = "x".repeat(5000);
    world.lookup.add(&subject);
    world.get_as(&subject).refused(401);
    world.get(&world.token("alice").claim("sub", "").pair()).refused(401);
    world.get(&world.token("alice").claim("sub", 7).pair()).refused(401);
    assert_eq!(world.questions(), 0);
}
