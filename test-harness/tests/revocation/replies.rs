//! Replies of the application that wait for the service, or that come when nothing is heard of it.

use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};

use jwe_gate_test_harness::token::now_ms;
use jwe_gate_test_harness::{Token, artefact, health};
use jwe_gate_test_parts::envoy::Envoy;
use jwe_gate_test_parts::envoy_config::{Filter, Listener};
use jwe_gate_test_parts::fault_proxy::{FaultProxy, Mode};
use jwe_gate_test_parts::http::{self, Connection, Reply, get};
use jwe_gate_test_parts::server::{Answer, Server};

use super::service::Service;
use super::{ENVIRONMENT, SET_COOKIES, configuration, cookie, in_a_row, start_between, wait_until};

#[test]
fn the_reply_of_an_observed_sign_out_waits_until_it_is_durable_and_no_longer_than_a_lookup() {
    let service = Service::start(&["alice"]);
    let (lookups, app) = (FaultProxy::start(service.address()).unwrap(), that_sets_cookies());
    let proxy = between(app.address(), lookups.address(), service.address());
    let sessions = ["phone", "laptop", "tablet"].map(|sid| cookie("alice", sid));
    wait_until("the feed to be read", || in_a_row(&proxy, &sessions[0]) == [200]);
    let observed = |count| wait_until("the sign-out to be seen", || proxy.stat("sign_out.observed").unwrap() == count);

    lookups.set(Mode::Pause);
    let reply = ask(&proxy, "/api/auth/signout", &sessions[0]);
    observed(1);
    assert!(!reply.is_finished() && service.revocations() == 0, "the client has heard before it was written");
    lookups.set(Mode::Pass);
    assert_eq!(lines(&reply.join().unwrap()), [CLEARED, "theme=dark"]);
    assert_eq!(service.revocations(), 1, "the client has heard, and it has not been written");

    // While the service is silent the client waits for a try, and it is written later all the same.
    lookups.set(Mode::Pause);
    let reply = ask(&proxy, "/api/auth/signout", &sessions[1]);
    assert_eq!(lines(&reply.join().unwrap()), [CLEARED, "theme=dark"]);
    assert_eq!(service.revocations(), 1);
    // Who does not wait at all has signed out, too.
    let mut impatient = Connection::open(proxy.address("gate")).unwrap();
    impatient.write(get("/api/auth/signout", &[("cookie", &sessions[2])]).as_bytes()).unwrap();
    observed(3);
    drop(impatient);
    wait_until("Envoy to notice", || proxy.stat("gate.downstream_rq_active").unwrap() == 0);
    lookups.set(Mode::Pass);
    for session in &sessions {
        wait_until("the session to be refused", || in_a_row(&proxy, session) == [401]);
    }
    // What was sent while nothing went on may arrive beside what was sent again, so it is the gate that counts.
    wait_until("the last receipt", || proxy.stat("sign_out.durable").unwrap() == 3);
    health::check(&proxy);
}

#[test]
fn a_late_reply_sets_no_session_that_a_revocation_of_which_nothing_was_heard_would_spare() {
    let service = Service::start(&["alice"]);
    let gate = Arc::new((Mutex::new(true), Condvar::new()));
    let (feed, app) = (FaultProxy::start(service.address()).unwrap(), that_waits_for(Arc::clone(&gate)));
    let proxy = between(app.address(), service.address(), feed.address());
    let named = cookie("alice", "phone");
    let unnamed = Token::of("alice", now_ms()).pair();
    wait_until("the feed to be read", || in_a_row(&proxy, &named) == [200]);

    *gate.0.lock().unwrap() = false;
    let asked = app.requests();
    let replies = [("/api/auth/session", &named), ("/api/auth/session", &unnamed), ("/page?session", &unnamed)];
    let replies = replies.map(|(path, cookie)| ask(&proxy, path, cookie));
    wait_until("the app to be asked", || app.requests() - asked == 3);
    feed.set(Mode::Pause);
    // Past the delay that the service promises, by default.
    wait_until("the feed to grow old", || proxy.stat("feed.age_ms").unwrap() > 2_000);
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
    let [named, unnamed, page] = replies.map(|reply| lines(&reply.join().unwrap()));
    assert_eq!(named, SET_COOKIES, "refresh does not change when the user signed in");
    assert_eq!(
        unnamed,
        SET_COOKIES[2..],
        "only the time of issue tells this session's tokens from those after its end"
    );
    assert_eq!(page, SET_COOKIES[2..], "nor does it matter where it is issued anew");
    health::check(&proxy);
}

/// An application that signs out, and sets another cookie.
fn that_sets_cookies() -> Server {
    Server::start(|request| {
        let answer = Answer::new("text/plain", "done");
        if request.line.contains("signout") {
            return answer.header("set-cookie", CLEARED).header("set-cookie", "theme=dark");
        }
        answer
    })
    .expect("a port")
}

/// An application that issues the session anew, as soon as it may.
fn that_waits_for(gate: Arc<(Mutex<bool>, Condvar)>) -> Server {
    Server::start(move |request| {
        let answer = Answer::new("text/plain", "done");
        if !request.line.contains("session") {
            return answer;
        }
        let open = gate.0.lock().expect("no holder panicked");
        drop(gate.1.wait_while(open, |open| !*open).expect("no holder panicked"));
        SET_COOKIES.iter().fold(answer, |answer, line| answer.header("set-cookie", *line))
    })
    .expect("a port")
}

fn between(app: SocketAddr, lookup: SocketAddr, feed: SocketAddr) -> Envoy {
    let filter = Filter::new(&artefact::path(), &configuration().to_string());
    let filter = filter.environment(&ENVIRONMENT.map(|(name, _)| name));
    start_between(Listener::to_cluster("gate", "app").filter(filter), app, (lookup, feed))
}

fn ask(proxy: &Envoy, path: &str, cookie: &str) -> JoinHandle<Reply> {
    let (address, request) = (proxy.address("gate"), get(path, &[("cookie", cookie), ("connection", "close")]));
    thread::spawn(move || http::send(address, request).expect("a reply"))
}

fn lines(reply: &Reply) -> Vec<String> {
    let lines = reply.headers.iter().filter(|(name, _)| name == "set-cookie");
    lines.map(|(_, line)| String::from_utf8_lossy(line).into_owned()).collect()
}

const CLEARED: &str = "authjs.session-token=; Path=/; HttpOnly; Max-Age=0";
