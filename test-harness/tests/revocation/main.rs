//! Revocation in a real Envoy: with the real service from end to end, across a swap of the module, and in replies.
#![expect(clippy::expect_used, reason = "helpers of tests are tests too")]

mod clocks;
#[path = "../common/deployer.rs"]
#[expect(dead_code, unreachable_pub, reason = "shared with other test programs")]
mod deployer;
mod replies;
mod service;
mod tokens;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use deployer::{Deployer, rebuilt};
use jwe_gate_test_harness::driver::envoy::serve;
use jwe_gate_test_harness::fleet::{Open, wait_until};
use jwe_gate_test_harness::lookup::LOOKUP_SECRET;
use jwe_gate_test_harness::token::{COOKIE, SECRET, now_ms};
use jwe_gate_test_harness::{FakeLookup, Token, artefact, health};
use jwe_gate_test_parts::envoy::{Envoy, Launch};
use jwe_gate_test_parts::envoy_config::{Config, Filter, Listener};
use jwe_gate_test_parts::http::{self, Connection, get};
use jwe_gate_test_parts::server::{Answer, Server};
use jwe_gate_test_parts::streaming::Streaming;
use serde_json::{Value, json};
use service::Service;

/// The session cookie of a user's session with this `sid`.
fn cookie(user: &str, sid: &str) -> String {
    Token::of(user, now_ms()).claim("sid", sid).claim("auth_time", now_ms() / 1000 - 60).pair()
}

fn configuration() -> Value {
    json!({
        "version": 1,
        "sessions": [{ "profile": "authjs", "cookie": COOKIE }],
        "lookup": { "cluster": "lookup", "timeout_ms": 5_000 },
        "revocation": { "cluster": "revocations", "observe_sign_out": true },
        "routes": [{ "access": "required" }],
    })
}

/// An Envoy with two workers before this app, and this service behind it.
fn envoy(app: SocketAddr, service: SocketAddr) -> Envoy {
    let names = ENVIRONMENT.map(|(name, _)| name);
    let filter = Filter::new(&artefact::path(), &configuration().to_string()).environment(&names);
    let listener = Listener::to_cluster("gate", "app").filter(filter);
    start(listener, app, service)
}

fn start(listener: Listener, app: SocketAddr, service: SocketAddr) -> Envoy {
    start_between(listener, app, (service, service))
}

/// The same, with a service for lookups and sign-outs and one for the feed.
fn start_between(listener: Listener, app: SocketAddr, (lookup, feed): (SocketAddr, SocketAddr)) -> Envoy {
    let listener = listener.option("upgrade_configs", json!([{ "upgrade_type": "websocket" }]));
    let config = Config::new().cluster("app", app).cluster("lookup", lookup).cluster("revocations", feed);
    let launch = Launch::new(config.listener(listener).build()).concurrency(2);
    let launch = ENVIRONMENT.into_iter().fold(launch, |launch, (name, value)| launch.env(name, value));
    Envoy::start(&launch).expect("Envoy starts")
}

/// The status for a session, on a connection of its own; 401 for a request that is cut, as what is under way may be.
fn status(envoy: &Envoy, cookie: &str) -> u16 {
    let request = get("/", &[("cookie", cookie), ("connection", "close")]);
    http::send(envoy.address("gate"), request).map_or(401, |reply| reply.status)
}

/// The statuses for a session on ten connections, so by both workers; each once.
fn in_a_row(envoy: &Envoy, cookie: &str) -> Vec<u16> {
    let statuses: BTreeSet<_> = (0..10).map(|_| status(envoy, cookie)).collect();
    statuses.into_iter().collect()
}

#[test]
fn a_session_that_the_real_service_ends_is_over_everywhere_and_stays_so() {
    let (app, mut service) = (Streaming::start().unwrap(), Service::start(&["alice", "bob"]));
    let mut proxy = envoy(app.address(), service.address());
    let (phone, laptop, other) = (cookie("alice", "phone"), cookie("alice", "laptop"), cookie("bob", "phone-2"));
    // A fresh proxy may say that it does not know yet, and nothing else.
    wait_until("the feed to be read", || {
        let statuses = in_a_row(&proxy, &phone);
        assert!(statuses.iter().all(|status| [200, 503].contains(status)), "{statuses:?}");
        statuses == [200]
    });
    let connect = || Connection::open(proxy.address("gate")).unwrap();
    let doomed: Vec<_> = (0..8).flat_map(|_| Open::both(connect, &phone)).collect();
    let others: Vec<_> = [&laptop, &other].iter().flat_map(|cookie| Open::both(connect, cookie)).collect();
    doomed.iter().chain(&others).for_each(Open::goes_on);

    let begun = Instant::now();
    service.end_session("phone");
    let acknowledged = begun.elapsed();
    let refused = wait_until("the session to be refused", || in_a_row(&proxy, &phone) == [401]);
    let cut = doomed.iter().map(|stream| stream.cut_after(begun)).max().unwrap();
    println!(
        "durable after {acknowledged:?}, refused for good {refused:?} later, the last of 16 streams cut after {cut:?}"
    );
    others.iter().for_each(Open::goes_on);
    assert_eq!([status(&proxy, &laptop), status(&proxy, &other)], [200, 200]);

    // The subject's other sessions end together; a sign-in from later on is another matter.
    service.end_subject("alice");
    wait_until("all of the user's sessions to be refused", || in_a_row(&proxy, &laptop) == [401]);
    let later =
        Token::of("alice", now_ms()).claim("iat", now_ms() / 1000 + 10).claim("auth_time", now_ms() / 1000 + 10);
    assert_eq!([status(&proxy, &later.pair()), status(&proxy, &other)], [200, 200]);

    // What has ended stays so: after the service, after the proxy, and after both have begun anew.
    service.restart();
    assert_eq!(status(&proxy, &phone), 401);
    for _ in 0..2 {
        health::check(&proxy);
        proxy = envoy(app.address(), service.address());
        wait_until("the feed to be read", || {
            assert!(!in_a_row(&proxy, &phone).contains(&200), "a session that has ended is let in");
            in_a_row(&proxy, &other) == [200]
        });
        assert_eq!(in_a_row(&proxy, &phone), [401]);
        service.restart();
    }
    health::check(&proxy);
}

#[test]
fn how_soon_a_session_is_refused() {
    let (app, service) = (Streaming::start().unwrap(), Service::start(&["alice"]));
    let proxy = envoy(app.address(), service.address());
    let sids: Vec<_> = (0..ROUNDS).map(|round| format!("session-{round}")).collect();
    wait_until("the feed to be read", || in_a_row(&proxy, &cookie("alice", "first")) == [200]);
    let mut times: Vec<_> = sids
        .iter()
        .map(|sid| {
            let cookie = cookie("alice", sid);
            assert_eq!(status(&proxy, &cookie), 200);
            service.end_session(sid);
            let begun = Instant::now();
            let mut last = begun;
            wait_until("the session to be refused", || {
                let statuses = in_a_row(&proxy, &cookie);
                last = if statuses.contains(&200) { Instant::now() } else { last };
                statuses == [401]
            });
            last.saturating_duration_since(begun)
        })
        .collect();
    times.sort_unstable();
    println!(
        "last admitted after the receipt, {ROUNDS} rounds: p50 {:?}, longest {:?}",
        times[ROUNDS / 2],
        times[ROUNDS - 1]
    );
}

#[test]
fn a_stream_under_a_module_that_was_swapped_out_is_cut_as_well() {
    let (lookup, app) = (FakeLookup::default(), Streaming::start().unwrap());
    lookup.add("alice");
    let service = serve(lookup.clone());
    let deployer = Deployer::new(&ENVIRONMENT);
    deployer.first(&artefact::bytes(), &configuration().to_string());
    let listener = Listener::to_cluster("gate", "app").discovered_filter("jwe_gate", &deployer.directory());
    let proxy = start(listener, app.address(), service.address());
    let (phone, laptop) = (cookie("alice", "phone"), cookie("alice", "laptop"));
    wait_until("the feed to be read", || in_a_row(&proxy, &phone) == [200]);
    let vms = || proxy.stats().unwrap()["wasm.envoy.wasm.runtime.v8.active"];
    let before = vms();
    let connect = || Connection::open(proxy.address("gate")).unwrap();
    let doomed: Vec<_> = (0..4).flat_map(|_| Open::both(connect, &phone)).collect();
    let others: Vec<_> = (0..4).flat_map(|_| Open::both(connect, &laptop)).collect();
    doomed.iter().chain(&others).for_each(Open::goes_on);

    let run = deployer.deploy(&rebuilt(&artefact::bytes(), 1), &configuration().to_string(), &[&proxy]);
    assert_eq!(run.status, 0, "{run:?}");
    assert!(vms() > before, "the streams hold no VM, so nothing is shown");
    // Longer than the new VM may take to be the one that asks.
    thread::sleep(Duration::from_secs(2));
    doomed.iter().for_each(Open::goes_on);
    let begun = Instant::now();
    lookup.feed.revoke_session("phone");
    let cut = doomed.iter().map(|stream| stream.cut_after(begun)).max().unwrap();
    println!("the last of 8 streams under the old module was cut after {cut:?}");
    assert_eq!([status(&proxy, &phone), status(&proxy, &laptop)], [401, 200]);
    others.iter().for_each(Open::goes_on);
    drop(others);
    wait_until("the old VMs to end", || vms() <= before);
    health::check(&proxy);
}

#[test]
fn the_applications_own_sign_out_ends_the_session_everywhere() {
    let service = Service::start(&["alice"]);
    let app = Server::start(|request| {
        let answer = Answer::new("text/plain", "done");
        match request.line.split(' ').nth(1).unwrap_or_default() {
            "/api/auth/signout" | "/another/app" => answer.header("set-cookie", SET_COOKIES[0].replace("fresh", "")),
            "/api/auth/session" => answer.header("set-cookie", SET_COOKIES[0]).header("set-cookie", SET_COOKIES[2]),
            _ => answer,
        }
    })
    .unwrap();
    let proxies = [(); 2].map(|()| envoy(app.address(), service.address()));
    let phone = cookie("alice", "phone");
    for proxy in &proxies {
        wait_until("the feed to be read", || in_a_row(proxy, &phone) == [200]);
    }
    let ask = |path: &str, cookie: &str| {
        let request = get(path, &[("cookie", cookie), ("connection", "close")]);
        http::send(proxies[0].address("gate"), request).unwrap()
    };
    // A refresh, and another application's reply, end nothing.
    for path in ["/api/auth/session", "/another/app"] {
        assert_eq!(ask(path, &phone).status, 200);
    }
    thread::sleep(Duration::from_millis(500));
    assert_eq!(proxies.each_ref().map(|proxy| in_a_row(proxy, &phone)), [[200], [200]]);
    let begun = Instant::now();
    let reply = ask("/api/auth/signout", &phone);
    assert_eq!((reply.status, reply.header("set-cookie")), (200, Some(&*SET_COOKIES[0].replace("fresh", ""))));
    for proxy in &proxies {
        wait_until("the session to be refused", || in_a_row(proxy, &phone) == [401]);
    }
    println!("the application's own sign-out: refused by two proxies after {:?}", begun.elapsed());
    assert_eq!(status(&proxies[1], &cookie("alice", "laptop")), 200);

    // While the service is away it is asked for again.
    let laptop = cookie("alice", "laptop");
    let mut service = service;
    service.kill();
    assert_eq!(ask("/api/auth/signout", &laptop).status, 200);
    service.restart();
    for proxy in &proxies {
        wait_until("the session to be refused", || in_a_row(proxy, &laptop) == [401]);
        health::check(proxy);
    }
}

#[test]
fn a_reply_sets_no_session_cookie_when_its_session_has_ended_meanwhile() {
    let lookup = FakeLookup::default();
    lookup.add("alice");
    let service = serve(lookup.clone());
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let opened = Arc::clone(&gate);
    let app = Server::start(move |request| {
        if request.line.contains("slow") {
            let open = opened.0.lock().expect("no holder panicked");
            drop(opened.1.wait_while(open, |open| !*open).expect("no holder panicked"));
        }
        SET_COOKIES.iter().fold(Answer::new("text/plain", "done"), |answer, line| answer.header("set-cookie", *line))
    })
    .unwrap();
    let proxy = envoy(app.address(), service.address());
    let (phone, laptop) = (cookie("alice", "phone"), cookie("alice", "laptop"));
    wait_until("the feed to be read", || in_a_row(&proxy, &phone) == [200]);
    let asked = app.requests();
    let ask = |cookie: &str, path: &str| {
        let mut connection = Connection::open(proxy.address("gate")).unwrap();
        let request = get(path, &[("cookie", cookie)]);
        thread::spawn(move || {
            connection.send(request).map(|reply| {
                let lines = reply.headers.into_iter().filter(|(name, _)| name == "set-cookie");
                lines.map(|(_, line)| String::from_utf8(line).unwrap()).collect::<Vec<_>>()
            })
        })
    };
    let polled = ask(&phone, "/api/auth/session?slow");
    let page = ask(&phone, "/page?slow");
    let other = ask(&laptop, "/api/auth/session?slow");
    wait_until("the app to be asked", || app.requests() - asked == 3);
    lookup.feed.revoke_session("phone");
    wait_until("the session to be refused", || in_a_row(&proxy, &phone) == [401]);
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
    assert_eq!(polled.join().unwrap().unwrap(), SET_COOKIES[2..], "a poll of the session that has ended");
    assert!(page.join().unwrap().is_err(), "a page of the session that has ended is cut");
    assert_eq!(other.join().unwrap().unwrap(), SET_COOKIES, "a poll of another session");
    health::check(&proxy);
}

const SET_COOKIES: [&str; 4] = [
    "authjs.session-token=fresh; Path=/; HttpOnly",
    "__Secure-authjs.session-token.0=fresh; Path=/; Secure",
    "authjs.session-token.1=; Max-Age=0; Path=/",
    "theme=dark",
];
const ENVIRONMENT: [(&str, &str); 2] = [("AUTH_SECRET", SECRET), ("JWE_GATE_LOOKUP_SECRET", LOOKUP_SECRET)];
const ROUNDS: usize = 40;
