//! What browsers get: the sign-in page, and no request that another site has made for them.

use serde_json::json;

use super::scenarios;
use crate::request::Request;
use crate::scenario::{Setup, World};

scenarios! {
    a_browser_that_navigates_is_sent_to_the_sign_in_page: sign_in();
    scripts_get_a_status_and_no_page: sign_in();
    the_way_back_leads_nowhere_else: sign_in();
    replies_are_written_as_configured: sign_in().with("/replies", json!({
        "unauthenticated": { "content_type": "application/problem+json", "body": r#"{"status":{{status}},"in":"{{sign_in}}"}"# },
    }));
    another_site_cannot_use_the_users_cookie: Setup::default().with("/allowed_origins", json!(["https://www.app.test"]));
    websockets_of_another_site_are_refused: Setup::default();
    a_bearer_is_nothing_that_another_site_can_lend: Setup::default();
    a_rule_may_allow_other_sites: hooks();
    preflights_pass_where_that_is_configured: hooks();
}

fn sign_in() -> Setup {
    Setup::default().with("/public_url", "https://app.test").with("/sign_in", "/in").with(
        "/routes",
        json!([
            { "paths": [{ "exact": "/in" }], "access": "open" },
            { "access": "required", "on_unauthenticated": "redirect" },
        ]),
    )
}

fn hooks() -> Setup {
    Setup::default().with("/routes", json!([
        { "paths": [{ "prefix": "/hooks" }], "access": "required", "allow_cross_site": true, "allow_preflight": true },
        { "access": "required" },
    ]))
}

fn page(path: &str) -> Request {
    Request::get(path).header("sec-fetch-mode", "navigate").header("accept", "text/html,*/*;q=0.8")
}

fn a_browser_that_navigates_is_sent_to_the_sign_in_page(world: &mut World) {
    let seen = world.request(&page("/orders?page=2&x=a/b").host("evil.test")).refused(302);
    let location = "https://app.test/in?callbackUrl=https%3A%2F%2Fapp.test%2Forders%3Fpage%3D2%26x%3Da%2Fb";
    assert_eq!(seen.reply("location"), [location]);
    assert_eq!(seen.reply("cache-control"), ["no-store"]);
    assert!(seen.reply("vary")[0].contains("Sec-Fetch-Mode"));
    // Who sends no Fetch metadata is told by what it accepts.
    world.request(&Request::get("/").header("accept", "text/html")).refused(302);
    let bad = page("/").header("cookie", "authjs.session-token=bad");
    world.request(&bad).refused(302);
    world.request(&page("/in")).anonymous();
    // Who is signed in and may not pass would be sent there and back for ever.
    let stranger = page("/").header("cookie", world.token("nobody").pair());
    world.request(&stranger).refused(403);
}

fn scripts_get_a_status_and_no_page(world: &mut World) {
    for request in [
        Request::get("/"),
        Request::get("/").header("accept", "application/json"),
        Request::get("/").header("accept", "*/*"),
        Request::get("/").header("sec-fetch-mode", "cors").header("accept", "text/html"),
        page("/").header("x-requested-with", "XMLHttpRequest"),
        Request::new("POST", "/").header("content-length", "0").header("accept", "text/html"),
    ] {
        world.request(&request).refused(401);
    }
}

fn the_way_back_leads_nowhere_else(world: &mut World) {
    for (path, back) in [
        ("//evil.test/x", "%2F%2Fevil.test%2Fx"),
        ("/@evil.test", "%2F%40evil.test"),
        ("/?callbackUrl=https://evil.test", "%2F%3FcallbackUrl%3Dhttps%3A%2F%2Fevil.test"),
    ] {
        let seen = world.request(&page(path)).refused(302);
        let location = format!("https://app.test/in?callbackUrl=https%3A%2F%2Fapp.test{back}");
        assert_eq!(seen.reply("location"), [location]);
    }
}

fn replies_are_written_as_configured(world: &mut World) {
    let seen = world.request(&Request::get("/")).refused(401);
    assert_eq!(seen.reply("content-type"), ["application/problem+json"]);
    assert_eq!(seen.reply("www-authenticate"), ["Bearer realm=\"jwe-gate\""]);
}

fn another_site_cannot_use_the_users_cookie(world: &mut World) {
    world.lookup.add("alice");
    let alice = world.token("alice").pair();
    let post = |headers: &[(&str, &str)]| {
        let request = Request::new("POST", "/transfer").header("content-length", "0").header("cookie", &alice);
        headers.iter().fold(request, |request, (name, value)| request.header(name, value))
    };
    for own in [
        &[("sec-fetch-site", "same-origin")][..],
        &[("sec-fetch-site", "none")],
        &[("origin", "https://app.test")],
        &[("sec-fetch-site", "same-site"), ("origin", "https://www.app.test")],
        &[],
    ] {
        world.request(&post(own)).admitted("alice");
    }
    for foreign in [
        &[("sec-fetch-site", "cross-site")][..],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "cross-site"), ("origin", "https://evil.test")],
        &[("origin", "https://evil.test")],
        &[("origin", "null")],
        &[("origin", "https://app.test.evil.test")],
    ] {
        world.request(&post(foreign)).refused(403);
    }
    assert_eq!(world.count("jwe_gate.decision.cross_site"), 6);
    // To look at a page is no harm.
    let link = Request::with_cookies(&alice).header("sec-fetch-site", "cross-site");
    world.request(&link).admitted("alice");
    // Without a session there is nothing to lend, and nothing to be told about.
    world.request(&Request::new("POST", "/").header("content-length", "0").header("origin", "null")).refused(401);
}

fn websockets_of_another_site_are_refused(world: &mut World) {
    world.lookup.add("alice");
    let alice = world.token("alice").pair();
    let upgrade = |origin: &str| {
        let request = Request::with_cookies(&alice).header("connection", "upgrade").header("upgrade", "websocket");
        request
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "AQIDBAUGBwgJCgsMDQ4PEA==")
            .header("origin", origin)
    };
    world.request(&upgrade("https://evil.test")).refused(403);
}

fn a_bearer_is_nothing_that_another_site_can_lend(world: &mut World) {
    world.lookup.add("alice");
    let bearer = format!("Bearer {}", world.token("alice").mint());
    let post = Request::new("POST", "/").header("content-length", "0").header("sec-fetch-site", "cross-site");
    world.request(&post.header("authorization", bearer)).admitted("alice");
}

fn a_rule_may_allow_other_sites(world: &mut World) {
    world.lookup.add("alice");
    let alice = world.token("alice").pair();
    let post = |path| {
        let request = Request::new("POST", path).header("content-length", "0").header("cookie", &alice);
        request.header("sec-fetch-site", "cross-site").header("origin", "https://pay.test")
    };
    world.request(&post("/hooks/paid")).admitted("alice");
    world.request(&post("/transfer")).refused(403);
    // Nobody can tell which of the two this is.
    world.request(&post("/hooks/..%2ftransfer")).refused(403);
}

fn preflights_pass_where_that_is_configured(world: &mut World) {
    let preflight = |path| {
        let request = Request::new("OPTIONS", path).header("origin", "https://pay.test");
        request.header("access-control-request-method", "POST")
    };
    world.request(&preflight("/hooks/paid").header("cookie", "a=1; authjs.session-token=x")).anonymous();
    world.request(&preflight("/transfer")).refused(401);
    world.request(&Request::new("OPTIONS", "/hooks/paid")).refused(401);
    world.request(&Request::get("/hooks/paid").header("origin", "https://pay.test")).refused(401);
}
