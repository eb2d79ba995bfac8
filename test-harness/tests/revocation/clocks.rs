//! Whose session has ended when the application's clock and the database's differ, up to the five seconds that
//! `REVOCATION_SKEW` allows, either way. What `docs/OPERATIONS.md` states is what is tested here.

use jwe_gate_test_harness::token::now_ms;
use jwe_gate_test_harness::{Token, health};
use jwe_gate_test_parts::envoy::Envoy;
use jwe_gate_test_parts::http::{self, get};
use jwe_gate_test_parts::server::{Answer, Server};
use jwe_gate_test_parts::streaming::Streaming;

use super::service::Service;
use super::{SET_COOKIES, cookie, envoy, in_a_row, wait_until};

/// What the service of these tests allows and promises, in milliseconds; its defaults.
const SKEW: i64 = 5_000;
const DELAY: i64 = 2_000;

#[test]
fn however_the_clocks_differ_the_old_session_ends_and_the_new_one_waits_no_longer_than_stated() {
    let (app, service) = (Streaming::start().unwrap(), Service::start(&["alice"]));
    let proxy = envoy(app.address(), service.address());
    let old = cookie("alice", "the old one");
    wait_until("the feed to be read", || in_a_row(&proxy, &old) == [200]);
    let revoked = service.end_subject("alice");
    wait_until("the session to be refused", || in_a_row(&proxy, &old) == [401]);

    // The application's clock against the database's. Where they agree a new sign-in is refused for the skew and a
    // second; where the application's is behind, for twice the skew and a second.
    for off in [-SKEW, -2_500, 0, 2_500, SKEW] {
        let app = App { revoked, off };
        for before in [1, 400, 999, 1_000, 60_000] {
            // Copies that were refreshed since, until every proxy had heard.
            for refreshed in [-before, DELAY - 1] {
                assert_eq!(app.status(&proxy, Some(-before), refreshed), 401, "{before} ms before, off by {off} ms");
                assert_eq!(app.status(&proxy, None, refreshed), 401, "{before} ms before, off by {off} ms");
            }
        }
        let waits = SKEW - off;
        for (signed_in, status) in [(waits - 1, 401), (waits + 1_000, 200)] {
            assert_eq!(app.status(&proxy, Some(signed_in), signed_in), status, "{signed_in} ms after, off by {off} ms");
            // Without `auth_time` it is the promised delay longer.
            let issued = signed_in + DELAY;
            assert_eq!(app.status(&proxy, None, issued), status, "{issued} ms after, off by {off} ms");
        }
    }
    health::check(&proxy);
}

#[test]
fn with_a_sid_the_next_sign_in_is_let_in_within_the_same_second() {
    let service = Service::start(&["alice", "bob"]);
    let app = Server::start(|request| match request.line.split(' ').nth(1) {
        Some("/api/auth/signout") => {
            Answer::new("text/plain", "done").header("set-cookie", SET_COOKIES[0].replace("fresh", ""))
        }
        _ => Answer::new("text/plain", "done"),
    })
    .unwrap();
    let proxy = envoy(app.address(), service.address());
    wait_until("the feed to be read", || in_a_row(&proxy, &cookie("alice", "first")) == [200]);
    let sign_out = |cookie: &str| {
        let request = get("/api/auth/signout", &[("cookie", cookie), ("connection", "close")]);
        assert_eq!(http::send(proxy.address("gate"), request).unwrap().status, 200);
        wait_until("the session to be refused", || in_a_row(&proxy, cookie) == [401]);
    };
    for off in [-SKEW, 0, SKEW] {
        let app = App { revoked: now_ms(), off };
        // All within one second by the application's clock: nothing but `sid` tells the two sessions apart.
        let token = |sid: String| app.token(Some(0), 0).claim("sid", sid).pair();
        let (old, new) = (token(format!("before, {off}")), token(format!("after, {off}")));
        sign_out(&old);
        assert_eq!([in_a_row(&proxy, &new), in_a_row(&proxy, &old)], [[200], [401]], "off by {off} ms");
    }
    // Whatever the clocks say, and though no `sid` does, the session that was shown has ended.
    let now = now_ms();
    sign_out(&Token::of("bob", now).claim("auth_time", now / 1000 + 13).claim("iat", now / 1000 + 13).pair());
    health::check(&proxy);
}

/// An application whose clock is `off` from the database's, both in milliseconds.
struct App {
    /// When sessions were ended, by the database's clock.
    revoked: u64,
    off: i64,
}

impl App {
    /// What the proxy says to a session of which the user signed in, and for which the token was issued, so long after the
    /// revocation.
    fn status(&self, proxy: &Envoy, signed_in: Option<i64>, issued: i64) -> u16 {
        let token = self.token(signed_in, issued).pair();
        super::status(proxy, &token)
    }

    fn token(&self, signed_in: Option<i64>, issued: i64) -> Token {
        let token = Token::of("alice", now_ms()).claim("iat", self.claim(issued));
        signed_in.into_iter().fold(token, |token, signed_in| token.claim("auth_time", self.claim(signed_in)))
    }

    /// Whole seconds by the application's clock.
    fn claim(&self, after: i64) -> i64 {
        (self.revoked.cast_signed() + self.off + after).div_euclid(1000)
    }
}
