//! An application with `@auth/express` behind the gate: its own sign-out ends the session on every proxy, and whoever has a
//! copy of the token cannot turn it into one that lasts.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use jwe_gate_test_harness::driver::nginx;
use jwe_gate_test_harness::lookup::LOOKUP_SECRET;
use jwe_gate_test_harness::request::Request;
use jwe_gate_test_harness::scenario::{Setup, World};
use jwe_gate_test_harness::token::{COOKIE, SECRET, now_ms};
use jwe_gate_test_harness::{Token, artefact, health};
use jwe_gate_test_parts::envoy::{Envoy, Launch};
use jwe_gate_test_parts::envoy_config::{Config, Filter, Listener};
use jwe_gate_test_parts::fault_proxy::{FaultProxy, Mode};
use jwe_gate_test_parts::http::{Reply, get, send};
use serde_json::{Value, json};

use super::application::{Application, Browser, fresh_token};
use super::service::Service;

#[test]
fn the_applications_own_sign_out_ends_the_session_on_every_proxy() {
    let (application, service) = (Application::start(true), Service::start(&["alice"]));
    let proxies = [(); 3].map(|()| gate(&application, &service, service.address()));
    let [phone, laptop] = [(); 2].map(|()| Browser::signed_in(proxies[0].address("gate"), "alice"));
    let (copy, mut phone) = (phone.header(), phone);
    for proxy in &proxies {
        for browser in [&phone, &laptop] {
            assert_eq!(seen(proxy, &browser.header()), [Some("alice".into())]);
        }
    }
    let begun = Instant::now();
    let reply = phone.sign_out(proxies[1].address("gate"));
    assert_eq!((reply.status, phone.token()), (302, None), "{reply:?}");
    assert_eq!(service.revocations(), 1, "the browser has its reply, and the sign-out has not been written");
    for proxy in &proxies {
        wait_until("the session to be refused", || seen(proxy, &copy) == [None]);
    }
    println!("signed out by the application: refused by three proxies after {:?}", begun.elapsed());
    // Nobody else is touched, and the same user may sign in at once.
    let again = Browser::signed_in(proxies[2].address("gate"), "alice");
    for proxy in &proxies {
        for browser in [&laptop, &again] {
            assert_eq!(seen(proxy, &browser.header()), [Some("alice".into())]);
        }
        assert_eq!(seen(proxy, &copy), [None]);
        health::check(proxy);
    }
}

#[test]
fn polling_with_a_copy_of_the_token_brings_nothing_that_outlives_the_sign_out() {
    for (with_callback, hears) in [(true, true), (false, true), (true, false), (false, false)] {
        let what = format!("with the callback: {with_callback}; the other proxy hears of it: {hears}");
        let (application, service) = (Application::start(with_callback), Service::start(&["alice"]));
        let feed = FaultProxy::start(service.address()).unwrap();
        let one = gate(&application, &service, service.address());
        let other = gate(&application, &service, feed.address());
        let mut browser = Browser::signed_in(one.address("gate"), "alice");
        let stolen = browser.token().unwrap().to_owned();
        for disguise in &DISGUISES {
            let reply = disguise.show(application.address(), &stolen);
            assert_eq!(fresh_token(&reply).is_some(), disguise.takes_the_application_in, "{}", disguise.before);
        }

        let is_over = AtomicBool::new(false);
        let (signed_out, polls) = thread::scope(|scope| {
            let (proxy, stolen, is_over) = (other.address("gate"), &stolen, &is_over);
            let poll = |disguise| scope.spawn(move || poll(proxy, disguise, stolen, is_over));
            let thieves: Vec<_> = DISGUISES.iter().map(poll).collect();
            thread::sleep(Duration::from_secs(1));
            feed.set(if hears { Mode::Pass } else { Mode::Pause });
            let reply = browser.sign_out(one.address("gate"));
            let signed_out = Instant::now();
            assert_eq!((reply.status, browser.token()), (302, None), "{what}");
            thread::sleep(DELAY + Duration::from_secs(1));
            is_over.store(true, Ordering::SeqCst);
            (signed_out, thieves.into_iter().map(|thief| thief.join().unwrap()).collect::<Vec<_>>())
        });
        for (disguise, polls) in DISGUISES.iter().zip(&polls).skip(1) {
            assert!(polls.iter().all(|poll| poll.fresh.is_none()), "{what}: {}", disguise.before);
        }
        let gained: Vec<_> = polls[0].iter().filter_map(|poll| Some((poll.sent, poll.fresh.as_ref()?))).collect();
        let (before, after): (Vec<_>, Vec<_>) = gained.iter().partition(|(sent, _)| *sent < signed_out);
        let late = after.iter().filter(|(sent, _)| *sent > signed_out + DELAY).count();
        println!(
            "{what}: {} fresh tokens before the sign-out, {} after, {late} later than promised",
            before.len(),
            after.len()
        );
        assert!(before.len() > 5, "{what}: nothing was gained before, so nothing is shown");
        // Who does not hear goes on with the same session, for as long as `max_feed_age_seconds` says. Where nothing in a
        // token says that it is the same, it does not.
        assert!(late == 0 || with_callback && !hears, "{what}: {late}");
        assert!(hears || !after.is_empty(), "{what}: it has heard");

        feed.set(Mode::Pass);
        for proxy in [&one, &other] {
            wait_until("the session to be refused", || seen(proxy, &format!("{COOKIE}={stolen}")) == [None]);
            for (_, token) in &gained {
                assert_eq!(seen(proxy, &format!("{COOKIE}={token}")), [None], "{what}");
                assert_eq!(fresh_token(&DISGUISES[0].show(proxy.address("gate"), token)), None, "{what}");
            }
            health::check(proxy);
        }
    }
}

#[test]
fn no_disguise_of_a_token_reaches_the_application_through_nginx_either() {
    let application = Application::start(true);
    // The test host's clock is not the application's: a token that both accept.
    let setup = Setup::default().with("/routes", routes()).with("/sessions/0/max_session_age", "off");
    let mut world = World::start(&setup, nginx::start);
    world.lookup.add("alice");
    let token = Token::of("alice", world.now_ms()).claim("exp", 4_102_444_800_u64).mint();
    for disguise in &DISGUISES {
        let (name, value) = disguise.line(&token);
        let seen = world.request(&Request::get("/api/auth/session").header(name, value));
        let lines =
            ["cookie", "authorization"].map(|name| seen.upstream(name).into_iter().map(move |value| (name, value)));
        let lines: Vec<_> = lines.into_iter().flatten().chain([("connection", "close")]).collect();
        let reply = send(application.address(), get("/api/auth/session", &lines)).unwrap();
        assert_eq!(reply.status, 200);
        assert_eq!(fresh_token(&reply).is_some(), disguise.is_a_session_cookie(), "{}", disguise.before);
    }
    world.finish();
}

/// How a thief shows a copy of a token.
struct Disguise {
    header: &'static str,
    /// What stands before the token.
    before: &'static str,
    /// Whether the application itself makes a fresh token of it.
    takes_the_application_in: bool,
}

/// The first is none.
const DISGUISES: [Disguise; 6] = [
    Disguise { header: "cookie", before: "authjs.session-token=", takes_the_application_in: true },
    Disguise { header: "cookie", before: "authjs.session-tokenX=", takes_the_application_in: true },
    Disguise { header: "cookie", before: "authjs.session-token.9=", takes_the_application_in: true },
    Disguise { header: "cookie", before: "authjs.session-token-foo=", takes_the_application_in: true },
    Disguise { header: "cookie", before: "__Secure-authjs.session-token=", takes_the_application_in: false },
    Disguise { header: "authorization", before: "Bearer ", takes_the_application_in: false },
];

impl Disguise {
    fn line(&self, token: &str) -> (&'static str, String) {
        (self.header, format!("{}{token}", self.before))
    }

    /// Asks for the session, which the application issues anew with each answer.
    fn show(&self, to: SocketAddr, token: &str) -> Reply {
        let (name, value) = self.line(token);
        send(to, get("/api/auth/session", &[(name, &value), ("connection", "close")])).unwrap()
    }

    fn is_a_session_cookie(&self) -> bool {
        self.before == format!("{COOKIE}=")
    }
}

/// One poll.
struct Poll {
    sent: Instant,
    fresh: Option<String>,
}

/// Polls twenty times a second, each time with the newest token that it has got.
fn poll(proxy: SocketAddr, disguise: &Disguise, stolen: &str, is_over: &AtomicBool) -> Vec<Poll> {
    let (mut token, mut polls) = (stolen.to_owned(), Vec::new());
    while !is_over.load(Ordering::SeqCst) {
        let sent = Instant::now();
        let fresh = fresh_token(&disguise.show(proxy, &token));
        token = fresh.clone().unwrap_or(token);
        polls.push(Poll { sent, fresh });
        thread::sleep((sent + Duration::from_millis(50)).saturating_duration_since(Instant::now()));
    }
    polls
}

/// An Envoy with two workers between browsers and this application, which has read the feed behind this address.
fn gate(application: &Application, service: &Service, feed: SocketAddr) -> Envoy {
    let gate = json!({
        "version": 1,
        "sessions": [{ "profile": "authjs", "cookie": COOKIE }],
        "lookup": { "cluster": "lookup", "timeout_ms": 5_000 },
        "revocation": { "cluster": "revocations", "observe_sign_out": true },
        "routes": routes(),
    });
    let filter =
        Filter::new(&artefact::path(), &gate.to_string()).environment(&["AUTH_SECRET", "JWE_GATE_LOOKUP_SECRET"]);
    let config = Config::new().cluster("app", application.address());
    let config = config.cluster("lookup", service.address()).cluster("revocations", feed);
    let config = config.listener(Listener::to_cluster("gate", "app").filter(filter));
    let launch = Launch::new(config.build()).concurrency(2).env("AUTH_SECRET", SECRET);
    let envoy = Envoy::start(&launch.env("JWE_GATE_LOOKUP_SECRET", LOOKUP_SECRET)).unwrap();
    let cookie = Token::of("alice", now_ms()).pair();
    let is_ready = || (0..10).all(|_| ask(&envoy, &cookie).is_some_and(|reply| reply.status == 200));
    wait_until("the feed to be read", is_ready);
    envoy
}

fn routes() -> Value {
    json!([{ "paths": [{ "prefix": "/api/auth" }], "access": "optional" }, { "access": "required" }])
}

/// Whom the application sees behind these cookies, on six connections; each answer once. Nobody where the gate refuses.
fn seen(proxy: &Envoy, cookies: &str) -> Vec<Option<String>> {
    let mut seen: Vec<_> = (0..6).map(|_| whom(proxy, cookies)).collect();
    seen.sort();
    seen.dedup();
    seen
}

fn whom(proxy: &Envoy, cookies: &str) -> Option<String> {
    let reply = ask(proxy, cookies).filter(|reply| reply.status != 401)?;
    let page: Value =
        serde_json::from_slice(&reply.body).unwrap_or_else(|_| panic!("{} {}", reply.status, reply.text()));
    assert_eq!(page.get("gate"), page.get("own"), "the gate names whom the application finds");
    page.get("gate")?.as_str().map(str::to_owned)
}

/// Nothing for a request that is cut, as what is under way may be when a session ends.
fn ask(proxy: &Envoy, cookies: &str) -> Option<Reply> {
    send(proxy.address("gate"), get("/", &[("cookie", cookies), ("connection", "close")])).ok()
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(30), "waiting for {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// What the service promises: `REVOCATION_DELAY`, by default.
const DELAY: Duration = Duration::from_secs(2);
