//! Who may pass where, and what the app is told of them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::scenarios;
use crate::request::Request;
use crate::scenario::{Setup, World, gate, set};
use crate::token::{COOKIE, Token};

scenarios! {
    the_first_rule_that_matches_decides: site();
    paths_that_can_be_read_in_two_ways_pass_no_open_rule: site();
    a_method_in_another_place_is_no_way_around_a_rule: site();
    headers_that_name_another_path_do_not_reach_the_app: site();
    a_session_without_the_claim_gets_403: site();
    claims_are_not_forgotten_with_the_token: site();
    one_tenants_token_is_worth_nothing_on_anothers_host: tenants();
    what_the_token_says_of_the_user_is_told: Setup::default();
    a_session_that_is_kept_from_the_app_still_reaches_the_issuer: Setup::default()
        .with("/identity", json!({ "remove_cookie": true, "remove_authorization": true }));
    a_signed_identity_is_told_and_signed_once: signed();
    report_mode_lets_everything_through_and_counts: site().with("/report", true);
    report_mode_still_removes_what_only_the_gate_may_say: site().with("/report", true);
}

/// A site with public pages, an API for administrators, and members everywhere else.
fn site() -> Setup {
    Setup::default().with("/routes", json!([
        { "paths": [{ "prefix": "/public" }, { "exact": "/" }], "access": "open" },
        { "paths": [{ "prefix": "/shop" }], "access": "optional" },
        { "paths": [{ "prefix": "/things" }], "methods": ["DELETE", "PUT"], "access": "required",
          "conditions": [{ "claim": "roles", "contains": "editor" }] },
        { "name": "admin", "paths": [{ "prefix": "/admin" }], "access": "required",
          "conditions": [{ "claim": "roles", "contains": "admin" }, { "claim": "org.id", "one_of": ["o-1", "o-2"] }] },
        { "access": "required" },
    ]))
}

fn as_user(path: &str, token: &Token) -> Request {
    Request::get(path).header("cookie", token.pair())
}

fn the_first_rule_that_matches_decides(world: &mut World) {
    world.lookup.add("alice");
    let alice = world.token("alice");
    for path in ["/", "/?a=/admin", "/public", "/public/a.css"] {
        world.request(&Request::get(path)).anonymous();
        let seen = world.request(&as_user(path, &alice)).anonymous();
        assert!(seen.upstream("cookie").is_empty(), "an open rule takes no session");
    }
    for path in ["/shop", "/shop/cart"] {
        world.request(&Request::get(path)).anonymous();
        world.request(&as_user(path, &alice)).admitted("alice");
    }
    for path in ["/publicity", "/shopping", "/other", "/admin"] {
        world.request(&Request::get(path)).refused(401);
    }
    world.request(&as_user("/publicity", &alice)).admitted("alice");
}

fn paths_that_can_be_read_in_two_ways_pass_no_open_rule(world: &mut World) {
    for path in [
        "/public;/../admin",
        "/public/..;/admin",
        "/public%2f..%2fadmin",
        "/public/%2e%2e/admin",
        "/public/%252e%252e/admin",
        "/public/..%5cadmin",
        "/public//admin",
        "/Public",
        "/shop;jsessionid=1",
    ] {
        world.request(&Request::get(path)).refused(401);
    }
}

fn a_method_in_another_place_is_no_way_around_a_rule(world: &mut World) {
    world.lookup.add("alice");
    let alice = world.token("alice").pair();
    let as_alice = |method, path| Request::new(method, path).header("cookie", &alice);
    world.request(&as_alice("GET", "/things/1")).admitted("alice");
    world.request(&as_alice("DELETE", "/things/1")).refused(403);
    let post = || as_alice("POST", "/things/1");
    world.request(&post()).admitted("alice");
    for header in ["x-http-method-override", "X-HTTP-Method", "x-method-override"] {
        world.request(&post().header(header, "DELETE")).refused(403);
    }
    world.request(&as_alice("POST", "/things/1?_method=DELETE")).refused(403);
}

fn headers_that_name_another_path_do_not_reach_the_app(world: &mut World) {
    let names = ["x-original-url", "x-original-uri", "x-rewrite-url"];
    let request = names.iter().fold(Request::get("/public"), |request, name| request.header(name, "/admin"));
    let seen = world.request(&request).anonymous();
    for name in names {
        assert!(seen.upstream(name).is_empty(), "{name}");
    }
}

fn a_session_without_the_claim_gets_403(world: &mut World) {
    world.lookup.add("alice");
    let alice = world.token("alice");
    let admin = alice.clone().claim("roles", json!(["user", "admin"])).claim("org", json!({ "id": "o-2" }));
    world.request(&as_user("/admin", &alice)).refused(403);
    world.request(&as_user("/admin/users", &admin)).admitted("alice");
    for (roles, org) in [
        (json!("admin"), json!({ "id": "o-1" })),
        (json!(["administrator"]), json!({ "id": "o-1" })),
        (json!(["admin"]), json!({ "id": "o-3" })),
        (json!(["admin"]), json!("o-1")),
        (json!(["admin"]), Value::Null),
    ] {
        let token = alice.clone().claim("roles", roles.clone()).claim("org", org.clone());
        world.request(&as_user("/admin", &token)).refused(403);
    }
    assert_eq!(world.count("jwe_gate.decision.condition"), 6);
    assert_eq!(world.questions(), 1);
}

fn claims_are_not_forgotten_with_the_token(world: &mut World) {
    world.lookup.add("alice");
    let alice = world.token("alice");
    let admin = alice.clone().claim("roles", json!(["admin"])).claim("org", json!({ "id": "o-1" }));
    let (member, admin) = (alice.pair(), admin.pair());
    for _ in 0..3 {
        world.request(&Request::get("/admin").header("cookie", &member)).refused(403);
        world.request(&Request::get("/admin").header("cookie", &admin)).admitted("alice");
        world.request(&Request::get("/members").header("cookie", &member)).admitted("alice");
    }
}

fn tenants() -> Setup {
    let mut gate = gate();
    set(
        &mut gate,
        "/sessions",
        json!([
            { "name": "one", "profile": "authjs", "cookie": COOKIE },
            { "name": "two", "profile": "authjs", "cookie": "two.session-token" },
        ]),
    );
    set(
        &mut gate,
        "/routes",
        json!([
            { "hosts": ["one.test"], "access": "required", "sessions": ["one"] },
            { "hosts": ["two.test"], "access": "optional", "sessions": ["two"] },
            { "access": "required" },
        ]),
    );
    Setup::default().gates(vec![gate])
}

fn one_tenants_token_is_worth_nothing_on_anothers_host(world: &mut World) {
    world.lookup.add("alice");
    let one = world.token("alice").pair();
    let two = world.token("alice").cookie("two.session-token").pair();
    let at = |host: &str, cookies: &str| Request::with_cookies(cookies).host(host);
    world.request(&at("one.test", &one)).admitted("alice");
    world.request(&at("ONE.test.:8443", &one)).admitted("alice");
    world.request(&at("one.test", &two)).refused(401);
    world.request(&at("two.test", &two)).admitted("alice");
    let seen = world.request(&at("two.test", &one)).anonymous();
    assert!(seen.upstream("cookie").is_empty(), "what was not accepted does not go on");
    world.request(&at("three.test", &one)).admitted("alice");
    world.request(&at("three.test", &two)).admitted("alice");
}

fn what_the_token_says_of_the_user_is_told(world: &mut World) {
    world.lookup.add("alice");
    let alice = world.token("alice").claim("email", "alice@app.test").claim("name", " Alice \u{c5}\n");
    let seen = world.request(&as_user("/", &alice)).admitted("alice");
    assert_eq!(seen.upstream("x-user-email"), ["alice@app.test"]);
    assert_eq!(seen.upstream("x-user-name"), ["%20Alice %C3%85%0A"]);
    // What is not known is not said, and not the client's to say.
    let forged = as_user("/", &world.token("alice")).header("x-user-email", "root@app.test").header("X_User_Name", "r");
    let seen = world.request(&forged).admitted("alice");
    for name in ["x-user-email", "x-user-name", "x_user_name"] {
        assert!(seen.upstream(name).is_empty(), "{name}");
    }
}

fn a_session_that_is_kept_from_the_app_still_reaches_the_issuer(world: &mut World) {
    world.lookup.add("alice");
    let pair = world.token("alice").pair();
    let cookies = format!("a=1; {pair}");
    let seen = world.get(&cookies).admitted("alice");
    assert_eq!(seen.upstream("cookie"), ["a=1"]);
    let issuer = Request::get("/api/auth/session").header("cookie", &cookies);
    assert_eq!(world.request(&issuer).admitted("alice").upstream("cookie"), [cookies.as_str()]);
    let bearer = format!("Bearer {}", world.token("alice").mint());
    let seen = world.request(&Request::get("/").header("authorization", &bearer)).admitted("alice");
    assert!(seen.upstream("authorization").is_empty());
    let issuer = Request::get("/api/auth/session").header("authorization", &bearer);
    assert_eq!(world.request(&issuer).admitted("alice").upstream("authorization"), [bearer.as_str()]);
}

fn signed() -> Setup {
    // RFC 8037 appendix A.1.
    let key = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
    let jwt = json!({
        "key": { "env": "IDENTITY_KEY" }, "issuer": "https://app.test", "audience": "apps",
        "claims": { "email": { "claim": "email" } },
    });
    Setup::default().env("IDENTITY_KEY", key).with("/identity", json!({ "jwt": jwt }))
}

fn a_signed_identity_is_told_and_signed_once(world: &mut World) {
    world.lookup.add("alice");
    let pair = world.token("alice").claim("email", "alice@app.test").pair();
    let token = |world: &mut World| {
        let seen = world.request(&Request::with_cookies(&pair).header("x-identity-jwt", "forged")).admitted("alice");
        let [token] = seen.upstream("x-identity-jwt")[..] else { panic!("one token is told") };
        token.to_owned()
    };
    let first = token(world);
    let parts: Vec<&str> = first.split('.').collect();
    let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).expect("base64url");
    let header: Value = serde_json::from_slice(&decoded(parts[0])).expect("a header");
    assert_eq!(
        (&header["alg"], &header["kid"]),
        (&json!("EdDSA"), &json!("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"))
    );
    let claims: Value = serde_json::from_slice(&decoded(parts[1])).expect("claims");
    assert_eq!((&claims["sub"], &claims["email"]), (&json!("alice"), &json!("alice@app.test")));
    assert_eq!((&claims["iss"], &claims["aud"]), (&json!("https://app.test"), &json!("apps")));
    assert_eq!(decoded(parts[2]).len(), 64);
    assert_eq!(token(world), first);
    let nobody = world.request(&Request::get("/").header("x-identity-jwt", "forged"));
    nobody.refused(401);
}

fn report_mode_lets_everything_through_and_counts(world: &mut World) {
    world.lookup.add("alice");
    let alice = world.token("alice").pair();
    let seen = world.request(&Request::get("/members")).anonymous();
    assert_eq!(seen.upstream("x-jwe-gate-status"), ["unauthenticated"]);
    world.request(&Request::get("/members").header("cookie", &alice)).admitted("alice");
    // The app still has its own checks, so it still sees what it has always seen.
    let bad = format!("{COOKIE}=bad");
    let seen = world.request(&Request::get("/members").header("cookie", &bad)).anonymous();
    assert_eq!(seen.upstream("cookie"), [bad.as_str()]);
    let seen = world.request(&Request::get("/admin").header("cookie", &alice)).anonymous();
    assert_eq!(seen.upstream("cookie"), [alice.as_str()]);
    assert_eq!(seen.upstream("x-jwe-gate-status"), ["forbidden"]);
    let stranger = world.token("nobody").pair();
    world.request(&Request::get("/members").header("cookie", &stranger)).anonymous();
    assert_eq!(world.count("jwe_gate.reported.no_token"), 1);
    assert_eq!(world.count("jwe_gate.reported.condition"), 1);
    assert_eq!(world.count("jwe_gate.reported.unknown_user"), 1);
    assert_eq!(world.count("jwe_gate.decision.reported"), 4);
    assert_eq!(world.count("jwe_gate.decision.ok"), 1);
}

fn report_mode_still_removes_what_only_the_gate_may_say(world: &mut World) {
    let forged = Request::get("/members").header("x-user-id", "root").header("x-user-email", "root@app.test");
    let seen = world.request(&forged.header("x-jwe-gate-bypass", "true")).anonymous();
    for name in ["x-user-email", "x-jwe-gate-bypass"] {
        assert!(seen.upstream(name).is_empty(), "{name}");
    }
}
