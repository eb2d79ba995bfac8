//! Which tokens end with a session, whatever they look like; and which replies of applications end none.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};
use jwe_gate_test_harness::scenario::set;
use jwe_gate_test_harness::token::{COOKIE, now_ms};
use jwe_gate_test_harness::{Token, artefact, health};
use jwe_gate_test_parts::envoy::Envoy;
use jwe_gate_test_parts::envoy_config::{Filter, Listener};
use jwe_gate_test_parts::http::{self, Reply, get};
use jwe_gate_test_parts::server::{Answer, Server};
use jwe_gate_test_parts::streaming::Streaming;
use serde_json::json;

use super::service::Service;
use super::{ENVIRONMENT, configuration, cookie, in_a_row, start, wait_until};

#[test]
fn every_token_of_a_session_ends_with_it_and_the_next_sign_in_does_not() {
    let (app, service) = (Streaming::start().unwrap(), Service::start(&["alice", "bob"]));
    let proxies = [(); 2].map(|()| that_signs_out(app.address(), service.address()));
    // The second user's app sets neither `sid` nor `auth_time`.
    for user in ["alice", "bob"] {
        let now = now_ms() / 1000;
        let session = |sid: &str, signed_in: u64| match user {
            "alice" => Token::of(user, now_ms()).claim("sid", sid).claim("auth_time", signed_in),
            _ => Token::of(user, now_ms()),
        };
        let session_of_before = session("phone", now - 600);
        // Without `auth_time` it has to be later than what the clocks may differ by, and the promised delay.
        let next = session("laptop", now).claim("iat", if user == "alice" { now } else { now + 14 });
        let shown = session_of_before.mint();
        let copies = [
            session_of_before.clone().claim("iat", now - 500).claim("jti", "an older copy").mint(),
            session_of_before.clone().claim("iat", now - 1).claim("jti", "refreshed").mint(),
        ];
        let lines: Vec<_> = [&shown, &copies[0], &copies[1]].into_iter().flat_map(|token| spellings(token)).collect();
        for proxy in &proxies {
            wait_until("the feed to be read", || in_a_row(proxy, &format!("{COOKIE}={shown}")) == [200]);
            for line in &lines {
                assert_eq!(ask(proxy, "GET", "/", line).status, 200, "before: {}", line.0);
            }
            // Nor are there two readings of one token: what decodes alike is refused at any time.
            for variant in variants(&shown) {
                assert_eq!(in_a_row(proxy, &format!("{COOKIE}={variant}")), [401]);
            }
        }
        // The session is shown in one of its spellings.
        assert_eq!(ask(&proxies[0], "POST", "/sign-out", &spellings(&shown)[2]).status, 204);
        for proxy in &proxies {
            wait_until("the session to be refused", || in_a_row(proxy, &format!("{COOKIE}={shown}")) == [401]);
            for line in &lines {
                assert_eq!(ask(proxy, "GET", "/", line).status, 401, "after: {}", line.0);
            }
            for variant in variants(&shown) {
                assert_eq!(in_a_row(proxy, &format!("{COOKIE}={variant}")), [401]);
            }
            assert_eq!(in_a_row(proxy, &next.pair()), [200], "a sign-in after the sign-out");
        }
    }
    proxies.iter().for_each(health::check);
}

#[test]
fn a_refresh_that_clears_chunks_and_the_reply_of_another_application_end_nothing() {
    let service = Service::start(&["alice"]);
    let app = Server::start(|request| {
        let cleared = |name: &str| format!("{name}=; Max-Age=0; Path=/");
        let (whole, first, second) = (COOKIE.to_owned(), format!("{COOKIE}.0"), format!("{COOKIE}.1"));
        let lines = match request.line.split(' ').nth(1).unwrap_or_default() {
            // A token that has become shorter, and one that has become longer.
            "/api/auth/session?shorter" => vec![format!("{whole}=fresh"), cleared(&first), cleared(&second)],
            "/api/auth/session?longer" => vec![cleared(&whole), format!("{first}=fr"), format!("{second}=esh")],
            // A chunk that was left over.
            "/api/auth/session?left-over" => vec![cleared(&second)],
            "/another/app" | "/api/auth/signout" => vec![cleared(&whole), cleared(&first), cleared(&second)],
            _ => vec![],
        };
        lines.into_iter().fold(Answer::new("text/plain", "done"), |answer, line| answer.header("set-cookie", line))
    })
    .unwrap();
    let proxy = that_signs_out(app.address(), service.address());
    let session = |sid| Token::of("alice", now_ms()).claim("sid", sid).claim("auth_time", now_ms() / 1000).mint();
    let (phone, last) = (session("phone"), cookie("alice", "the last"));
    let [whole, _, chunked, _] = spellings(&phone);
    wait_until("the feed to be read", || in_a_row(&proxy, &whole.1) == [200]);
    for path in ["/api/auth/session?shorter", "/api/auth/session?longer", "/api/auth/session?left-over", "/another/app"]
    {
        for line in [&whole, &chunked] {
            let reply = ask(&proxy, "GET", path, line);
            assert_eq!((reply.status, reply.header("set-cookie").is_some()), (200, true), "{path}");
        }
    }
    // What had been asked for before this is written before it, or with it.
    assert_eq!(ask(&proxy, "GET", "/api/auth/signout", &("cookie", last.clone())).status, 200);
    wait_until("the session to be refused", || in_a_row(&proxy, &last) == [401]);
    assert_eq!([in_a_row(&proxy, &whole.1), in_a_row(&proxy, &chunked.1)], [[200], [200]]);
    assert_eq!(service.revocations(), 1);
    health::check(&proxy);
}

/// An Envoy whose gate signs out on a path of its own.
fn that_signs_out(app: SocketAddr, service: SocketAddr) -> Envoy {
    let mut configuration = configuration();
    set(&mut configuration, "/revocation/sign_out", json!({ "path": "/sign-out" }));
    let filter = Filter::new(&artefact::path(), &configuration.to_string());
    let filter = filter.environment(&ENVIRONMENT.map(|(name, _)| name));
    start(Listener::to_cluster("gate", "app").filter(filter), app, service)
}

/// The header lines that show one token: as it is, escaped, in chunks, and as Bearer.
fn spellings(token: &str) -> [(&'static str, String); 4] {
    let escaped = token.replace('e', "%65").replace('.', "%2E");
    let (start, end) = token.split_at(token.len() / 2);
    [
        ("cookie", format!("{COOKIE}={token}")),
        ("cookie", format!("{COOKIE}={escaped}")),
        ("cookie", format!("{COOKIE}.1={end}; theme=dark; {COOKIE}.0={start}")),
        ("authorization", format!("Bearer {token}")),
    ]
}

/// The token with each other last character with which its last part decodes to the same bytes, for who does not look at
/// the bits that are left over.
fn variants(token: &str) -> Vec<String> {
    let lenient = GeneralPurpose::new(&alphabet::URL_SAFE, NO_PAD.with_decode_allow_trailing_bits(true));
    let decoded = |token: &str| lenient.decode(token.rsplit('.').next().unwrap_or_default()).ok();
    let start = token.get(..token.len() - 1).unwrap_or_default();
    let others = alphabet::URL_SAFE.as_str().chars().map(|last| format!("{start}{last}"));
    let variants: Vec<_> = others.filter(|other| other != token && decoded(other) == decoded(token)).collect();
    // A tag of 32 bytes leaves two bits over.
    assert_eq!(variants.len(), 3);
    variants
}

fn ask(proxy: &Envoy, method: &str, path: &str, (name, value): &(&str, String)) -> Reply {
    let headers = [(*name, &**value), ("connection", "close"), ("content-length", "0")];
    let request = get(path, &headers).replacen("GET", method, 1);
    http::send(proxy.address("gate"), request).expect("Envoy answers")
}
