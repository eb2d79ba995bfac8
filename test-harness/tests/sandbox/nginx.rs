//! The artefact for nginx under the shipped `nginx.conf`, against everything that was seen to go wrong there. What goes
//! wrong is shown by the tests of the test host's profile; here each of it meets the filter and its configuration.

use jwe_gate_contract::MAC_HEADER;
use jwe_gate_test_harness::driver::nginx::gate;
use jwe_gate_test_harness::lookup::{FakeLookup, LOOKUP_SECRET};
use jwe_gate_test_harness::scenario::{self, set};
use jwe_gate_test_harness::token::{COOKIE, SECRET, Token};
use jwe_gate_test_harness::{artefact, nginx_conf};
use jwe_gate_test_host::{Answer, Cluster, Headers, Outcome, Profile, RequestId, RootId, World};
use serde_json::{Value, json};

const LOOKUP: &str = "127.0.0.1:9090";

/// A worker under a configuration.
struct Proxy {
    world: World,
    root: RootId,
    lookup: FakeLookup,
}

impl Proxy {
    fn shipped() -> Self {
        Self::under(&nginx_conf::shipped(), &scenario::gate())
    }

    /// The shipped configuration without a line.
    fn without(line: &str) -> Self {
        let conf = nginx_conf::shipped();
        assert!(conf.contains(line), "{line}");
        Self::under(&conf.replace(line, ""), &scenario::gate())
    }

    fn under(conf: &str, config: &Value) -> Self {
        Self::running(&artefact::bytes_for_nginx(), conf, config)
    }

    fn running(wasm: &[u8], conf: &str, config: &Value) -> Self {
        let profile = Profile::Nginx(nginx_conf::profile(conf));
        let setup = World::setup().profile(profile).env("AUTH_SECRET", SECRET);
        let mut world = setup.env("JWE_GATE_LOOKUP_SECRET", LOOKUP_SECRET).build(wasm).unwrap();
        world.set_cluster(LOOKUP, Cluster::Reachable);
        let vm = world.add_vm();
        let root = world.configure(vm, "gate", gate(config.clone()).to_string()).unwrap();
        let lookup = FakeLookup::default();
        lookup.add("alice");
        Self { world, root, lookup }
    }

    fn pair(&self, subject: &str) -> String {
        Token::of(subject, self.world.now_ms()).pair()
    }

    fn send(&mut self, lines: &[(&str, &str)]) -> RequestId {
        let pseudo = [(":method", "GET"), (":scheme", "http"), (":authority", "app.test"), (":path", "/")];
        let headers: Headers = pseudo.iter().chain(lines).map(|(name, value)| (*name, *value)).collect();
        self.world.request(self.root, headers)
    }

    fn send_as(&mut self, subject: &str) -> RequestId {
        let pair = self.pair(subject);
        self.send(&[("cookie", &pair)])
    }

    /// Lets the service answer what waits.
    fn answer(&mut self) {
        for call in self.world.calls() {
            let mac = call.headers.first(MAC_HEADER).unwrap();
            let (lines, body) = self.lookup.answer(mac, &call.body).unwrap();
            let headers = lines.iter().map(|(name, value)| (*name, value)).collect();
            self.world.answer(call.id, Answer::Http { headers, body });
        }
    }

    fn get_as(&mut self, subject: &str) -> Outcome {
        let request = self.send_as(subject);
        self.answer();
        self.world.outcome(request)
    }

    fn status(&self, request: RequestId) -> u16 {
        match self.world.outcome(request) {
            Outcome::Replied(reply) => reply.status,
            other => panic!("a reply was expected: {other:?}"),
        }
    }

    #[track_caller]
    fn is_whole(&self) {
        assert!(self.world.traps().is_empty(), "{:?}", self.world.traps());
        assert!(self.world.misuses().is_empty(), "{:?}", self.world.misuses());
    }
}

#[track_caller]
fn user(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Forwarded(headers) => headers.text("x-user-id").unwrap_or_default(),
        other => panic!("not forwarded: {other:?}"),
    }
}

fn with(path: &str, value: Value) -> Value {
    let mut gate = scenario::gate();
    set(&mut gate, path, value);
    gate
}

#[test]
fn the_shipped_filter_configuration_fits_and_is_taken() {
    let config = nginx_conf::filter(&nginx_conf::shipped());
    assert!(config.len() <= 4000, "{} bytes", config.len());
    let mut proxy = Proxy::under(&nginx_conf::shipped(), &serde_json::from_str(&config).unwrap());
    let cookie = Token::of("alice", proxy.world.now_ms()).cookie("__Secure-authjs.session-token").pair();
    let request = proxy.send(&[("cookie", &cookie)]);
    proxy.answer();
    assert_eq!(user(&proxy.world.outcome(request)), "alice");
    proxy.is_whole();
}

#[test]
fn a_request_that_is_let_through_before_its_answer_goes_nowhere() {
    let mut proxy = Proxy::without("proxy_wasm_request_headers_in_access on;");
    let request = proxy.send_as("alice");
    assert_eq!(proxy.status(request), 502);
    let mut proxy = Proxy::shipped();
    let request = proxy.send_as("alice");
    assert_eq!(proxy.world.outcome(request), Outcome::Parked);
    proxy.answer();
    assert_eq!(user(&proxy.world.outcome(request)), "alice");
}

#[test]
fn whatever_comes_back_from_a_lookup_the_request_is_answered_and_nothing_traps() {
    let ok = || Headers::from([(":status", "200")]);
    for answer in [
        Answer::Reset,
        Answer::Refused,
        Answer::Timeout,
        Answer::CutOff { headers: ok() },
        Answer::Http { headers: ok(), body: Vec::new() },
        Answer::Http { headers: ok(), body: b"<html>".to_vec() },
        Answer::Http { headers: Headers::from([(":status", "503"), (MAC_HEADER, "x")]), body: b"{}".to_vec() },
        Answer::Http { headers: ok(), body: vec![b'x'; 2 << 20] },
    ] {
        let mut proxy = Proxy::shipped();
        let request = proxy.send_as("alice");
        let call = proxy.world.calls().remove(0).id;
        let described = format!("{answer:?}");
        proxy.world.answer(call, answer);
        assert_eq!(proxy.status(request), 503, "{}", &described[..described.len().min(80)]);
        proxy.is_whole();
        assert_eq!(user(&proxy.get_as("alice")), "alice");
    }
}

#[test]
fn an_authentic_answer_counts_only_if_the_callout_is_said_to_have_ended_well() {
    let mut proxy = Proxy::shipped();
    let request = proxy.send_as("alice");
    let call = proxy.world.calls().remove(0);
    let (lines, body) = proxy.lookup.answer(call.headers.first(MAC_HEADER).unwrap(), &call.body).unwrap();
    let mut headers: Headers = lines.iter().map(|(name, value)| (*name, value)).collect();
    headers.add(":dispatch_status", "reader error");
    proxy.world.answer(call.id, Answer::Http { headers, body });
    assert_eq!(proxy.status(request), 503);
}

#[test]
fn each_request_asks_and_is_answered_for_itself() {
    let mut proxy = Proxy::shipped();
    proxy.lookup.add("bob");
    let requests = ["alice", "bob", "alice"].map(|user| proxy.send_as(user));
    assert_eq!(proxy.world.calls().len(), 3);
    let second = proxy.world.calls().remove(1);
    let (lines, body) = proxy.lookup.answer(second.headers.first(MAC_HEADER).unwrap(), &second.body).unwrap();
    let headers = lines.iter().map(|(name, value)| (*name, value)).collect();
    proxy.world.answer(second.id, Answer::Http { headers, body });
    assert_eq!(proxy.world.outcome(requests[0]), Outcome::Parked);
    assert_eq!(user(&proxy.world.outcome(requests[1])), "bob");
    assert_eq!(proxy.world.outcome(requests[2]), Outcome::Parked);
    proxy.answer();
    assert_eq!(user(&proxy.world.outcome(requests[0])), "alice");
    assert_eq!(user(&proxy.world.outcome(requests[2])), "alice");
    proxy.is_whole();
}

#[test]
fn a_service_that_drips_is_waited_for_and_nobody_else_decides_about_the_request() {
    let mut proxy = Proxy::shipped();
    let request = proxy.send_as("alice");
    let call = proxy.world.calls()[0].id;
    for _ in 0..10 {
        proxy.world.advance(9_000);
        proxy.world.answer_in_part(call);
    }
    assert_eq!(proxy.world.outcome(request), Outcome::Parked);
    proxy.is_whole();
    proxy.answer();
    assert_eq!(user(&proxy.world.outcome(request)), "alice");
    let request = proxy.send_as("bob");
    proxy.world.advance(10_000);
    assert_eq!(proxy.status(request), 503, "the host says that the time is over");
    proxy.is_whole();
}

#[test]
fn a_client_that_leaves_leaves_nothing_behind() {
    let mut proxy = Proxy::under(&nginx_conf::shipped(), &with("/limits/waiting_requests", json!(2)));
    for _ in 0..10 {
        let requests = [(); 2].map(|()| proxy.send_as("alice"));
        for request in requests {
            assert_eq!(proxy.world.outcome(request), Outcome::Parked);
            proxy.world.reset(request);
        }
    }
    proxy.world.advance(60_000);
    proxy.is_whole();
    assert_eq!(user(&proxy.get_as("alice")), "alice");
}

#[test]
fn with_a_vm_for_each_request_it_works_as_well() {
    let conf = nginx_conf::shipped().replace("proxy_wasm_isolation none;", "proxy_wasm_isolation stream;");
    let mut proxy = Proxy::under(&conf, &scenario::gate());
    assert_eq!(user(&proxy.get_as("alice")), "alice");
    let request = proxy.send_as("alice");
    assert_eq!(user(&proxy.world.outcome(request)), "alice", "by what is shared");
    let refused = proxy.get_as("mallory");
    assert!(matches!(refused, Outcome::Replied(reply) if reply.status == 403));
    proxy.is_whole();
}

#[test]
fn what_lies_under_a_key_of_the_same_checksum_is_not_taken_for_ones_own() {
    let mut proxy = Proxy::under(&nginx_conf::shipped(), &with("/cache/l1_records", json!(4096)));
    proxy.get_as("alice");
    let key = proxy.world.shared_keys().remove(0);
    let value = proxy.world.shared_data(&key).unwrap();
    let refused = proxy.get_as("mallory");
    assert!(matches!(refused, Outcome::Replied(reply) if reply.status == 403));
    let key = proxy.world.shared_keys().into_iter().find(|other| *other != key).unwrap();
    proxy.world.set_shared_data(key, value);
    proxy.send_as("mallory");
    assert_eq!(proxy.world.calls().len(), 1, "asked about again, since nothing is known");
}

#[test]
fn clients_name_nobody_whatever_they_send() {
    let mut proxy = Proxy::shipped();
    let pair = proxy.pair("alice");
    let lines = [
        ("X-User-Id", "admin"),
        ("x-user-id", "root"),
        ("x_user_id", "admin"),
        ("x-jwe-gate-bypass", "true"),
        ("x-bypass-auth", "guess"),
        ("cookie", &pair),
    ];
    let request = proxy.send(&lines);
    proxy.answer();
    let Outcome::Forwarded(headers) = proxy.world.outcome(request) else { panic!("not forwarded") };
    assert_eq!(headers.all("x-user-id"), [b"alice"]);
    for name in ["x_user_id", "x-jwe-gate-bypass", "x-bypass-auth"] {
        assert!(!headers.contains(name), "{name}");
    }
    let mut proxy = Proxy::under(&nginx_conf::shipped(), &with("/routes/0/access", json!("optional")));
    let request = proxy.send(&lines[..5]);
    let Outcome::Forwarded(headers) = proxy.world.outcome(request) else { panic!("not forwarded") };
    assert!(!headers.contains("x-user-id"));
}

#[test]
fn of_several_cookie_lines_only_what_was_accepted_goes_on() {
    let mut proxy = Proxy::shipped();
    let (pair, other) = (proxy.pair("alice"), format!("{COOKIE}.9={}", proxy.pair("bob")));
    let request =
        proxy.send(&[("cookie", "a=1"), ("cookie", &pair), ("cookie", &other), ("authorization", "Basic YTpi")]);
    proxy.answer();
    let Outcome::Forwarded(headers) = proxy.world.outcome(request) else { panic!("not forwarded") };
    assert_eq!(headers.all("cookie").len(), 1);
    let cookie = headers.text("cookie").unwrap();
    assert!(cookie.contains("a=1") && cookie.contains(&pair) && !cookie.contains(&other), "{cookie}");
    assert_eq!(headers.all("authorization"), [b"Basic YTpi"]);
}

#[test]
fn a_request_with_more_headers_than_are_shown_is_refused() {
    for (count, refused) in [(80, false), (95, true), (150, true)] {
        let mut proxy = Proxy::under(&nginx_conf::shipped(), &with("/routes/0/access", json!("optional")));
        let names: Vec<String> = (0..count).map(|number| format!("x-{number}")).collect();
        let pair = proxy.pair("alice");
        let mut lines: Vec<_> = names.iter().map(|name| (name.as_str(), "value")).collect();
        lines.push(("cookie", &pair));
        let request = proxy.send(&lines);
        proxy.answer();
        let outcome = proxy.world.outcome(request);
        assert_eq!(matches!(&outcome, Outcome::Replied(reply) if reply.status == 400), refused, "{count}: {outcome:?}");
        proxy.is_whole();
    }
}

#[test]
fn a_variable_that_is_not_declared_refuses_requests_without_a_trap() {
    for name in
        ["x_user_id", "x_user_email", "x_user_name", "cookie", "authorization", "bypass", "status", "cache_control"]
    {
        let line = &format!("set $jwe_{name} \"\";");
        let mut proxy = Proxy::without(line);
        assert!(matches!(proxy.get_as("alice"), Outcome::Replied(reply) if reply.status == 503), "{line}");
        proxy.is_whole();
    }
    for line in ["set $jwe_reason \"\";", "set $jwe_subject \"\";"] {
        let conf = nginx_conf::shipped().replace(line, "");
        let access_log = json!({ "reason": true, "subject": "hash" });
        let mut proxy = Proxy::under(&conf, &with("/access_log", access_log));
        assert_eq!(user(&proxy.get_as("alice")), "alice", "{line}");
        proxy.is_whole();
    }
}

#[test]
fn shared_values_are_written_where_there_are_none_and_all_have_one_size() {
    let conf = nginx_conf::shipped().replace("shm_kv jwe_gate 20m eviction=slru;", "shm_kv jwe_gate 1m eviction=slru;");
    let mut proxy = Proxy::under(&conf, &with("/cache/l1_records", json!(8192)));
    let users: Vec<String> = (0..700).map(|number| format!("user-{number}")).collect();
    for name in &users {
        proxy.lookup.add(name);
    }
    for name in &users {
        assert_eq!(user(&proxy.get_as(name)), *name);
    }
    proxy.is_whole();
    let keys = proxy.world.shared_keys();
    assert!(keys.len() > 400, "{}", keys.len());
    assert!(keys.iter().all(|key| key.starts_with(b"jwe_gate/")));
    assert!(keys.iter().all(|key| proxy.world.shared_data(key).unwrap().len() == 2048));
}

#[test]
fn a_torn_read_is_no_verdict() {
    let mut proxy = Proxy::shipped();
    proxy.get_as("alice");
    let key = proxy.world.shared_keys().remove(0);
    let size = proxy.world.shared_data(&key).unwrap().len();
    proxy.world.tear_next_read(vec![7; size]);
    let request = proxy.send_as("alice");
    assert_eq!(proxy.world.outcome(request), Outcome::Parked, "asked about again");
    proxy.answer();
    assert_eq!(user(&proxy.world.outcome(request)), "alice");
    proxy.is_whole();
}

#[test]
fn timers_that_traps_have_left_do_no_more_work() {
    let mut proxy = Proxy::shipped();
    proxy.lookup.limits(500, 60_000, 90_000);
    proxy.get_as("alice");
    proxy.world.advance(1_000);
    (1..10).for_each(|number| proxy.world.leave_timer(proxy.root, number * 5));
    assert_eq!(user(&proxy.get_as("alice")), "alice", "by what is stale");
    proxy.world.advance(60);
    assert!(proxy.world.calls().is_empty(), "nine ticks came too soon");
    proxy.world.advance(50);
    assert_eq!(proxy.world.calls().len(), 1);
}

#[test]
fn the_build_for_envoy_would_crash_nginx_and_the_one_for_nginx_does_not() {
    for (wasm, misuses) in [(artefact::bytes(), 1), (artefact::bytes_for_nginx(), 0)] {
        let mut proxy = Proxy::running(&wasm, &nginx_conf::shipped(), &scenario::gate());
        let request = proxy.send_as("alice");
        proxy.answer();
        proxy.world.respond(request, [(":status", "200")]);
        proxy.world.response_body(request, "hello", true);
        assert_eq!(proxy.world.misuses().len(), misuses);
    }
}

#[test]
fn a_configuration_for_another_proxy_is_refused() {
    let refused = |profile: Profile, config: Value| {
        let setup =
            World::setup().profile(profile).env("AUTH_SECRET", SECRET).env("JWE_GATE_LOOKUP_SECRET", LOOKUP_SECRET);
        let mut world = setup.build(&artefact::bytes_for_nginx()).unwrap();
        let vm = world.add_vm();
        world.configure(vm, "gate", config.to_string()).err().map(|refused| refused.log.join("\n"))
    };
    let nginx = || Profile::Nginx(nginx_conf::profile(&nginx_conf::shipped()));
    let message = refused(nginx(), scenario::gate()).unwrap();
    assert!(message.contains("host: this proxy is not `envoy`"), "{message}");
    let message = refused(Profile::Envoy, gate(scenario::gate())).unwrap();
    assert!(message.contains("host: this proxy is not `nginx`"), "{message}");
    assert_eq!(refused(nginx(), gate(scenario::gate())), None);
}
