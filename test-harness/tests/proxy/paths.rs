//! Odd paths before `open: /public` and `required: /` in a real Envoy, with its normalisation as shipped and without any.
//!
//! What is expected is derived from what Envoy really sends on: an app tells the path that it got, and if some way of
//! reading that path leads out of `/public`, the gate must have asked for a session.

use std::collections::BTreeSet;

use jwe_gate_test_harness::artefact;
use jwe_gate_test_harness::token::{COOKIE, SECRET};
use jwe_gate_test_parts::envoy::{Envoy, Launch};
use jwe_gate_test_parts::envoy_config::{Config, Filter, Listener};
use jwe_gate_test_parts::http;
use jwe_gate_test_parts::upstream::{Received, Upstream};
use serde_json::json;

use crate::h2;
use crate::stage::token;

/// Every application reads these alike.
const PLAIN: [&str; 14] = [
    "/public",
    "/public/",
    "/public?next=/admin",
    "/public/a.css",
    "/public/a/b/c-d_e~f",
    "/public/a%20b",
    "/public/%C3%A9",
    "/public/x?path=..%2f..%2fadmin",
    "/public/x?a=/../admin;b",
    "/public/a.b..c",
    "/public/...x",
    "/public/a,b:c@d!e$f&g'(h)*+=",
    "/public/admin",
    "/public/Admin",
];

const ODD: [&str; 98] = [
    "/",
    "//",
    "/admin",
    "/admin/public",
    "/publicity",
    "/public.",
    "/public%20",
    "/public%",
    "/public%zz",
    "/public%2",
    "/public%2f",
    "/public%00",
    "/public%00/../admin",
    "/public%0a",
    "/public%0d%0aadmin",
    "/public%09",
    "/Public",
    "/PUBLIC/a",
    "/publiC/../admin",
    "/%70ublic",
    "/p%75blic/a",
    "/public//admin",
    "/public//../admin",
    "//public",
    "//public/../admin",
    "//admin/public",
    "///public",
    "/./public",
    "/./admin",
    "/public/.",
    "/public/..",
    "/public/../",
    "/public/../admin",
    "/public/../public",
    "/public/./../admin",
    "/public/a/../../admin",
    "/public/.../admin",
    "/public/..../admin",
    "/admin/../public",
    "/admin/..",
    "/admin/../public/x",
    "/../public",
    "/../admin",
    "/public/%2e%2e/admin",
    "/public/%2E%2E/admin",
    "/public/.%2e/admin",
    "/public/%2e./admin",
    "/public/%2e",
    "/public/%252e%252e/admin",
    "/public/%25252e%25252e/admin",
    "/public/..%2fadmin",
    "/public/..%2Fadmin",
    "/public/..%252fadmin",
    "/public%2f..%2fadmin",
    "/public%2f..%2f..%2fadmin",
    "/public%252f..%252fadmin",
    "/public/%2e%2e%2fadmin",
    "/public/x%2f..%2f..%2fadmin",
    "/public/..\\admin",
    "/public\\..\\admin",
    "/public\\",
    "\\public",
    "/\\public",
    "/\\admin",
    "/public/..%5cadmin",
    "/public/..%5Cadmin",
    "/public%5c..%5cadmin",
    "/public/..%255cadmin",
    "/public;",
    "/public;x=y",
    "/public;/admin",
    "/public;/../admin",
    "/public/;/../admin",
    "/public/..;/admin",
    "/public/..;x=y/admin",
    "/public/..;/..;/admin",
    "/public/a;b",
    "/;/admin",
    "/admin;/public",
    "/public/..%3b/admin",
    "/public/..%3Bx/admin",
    "/public%3b/../admin",
    "/public/..%00/admin",
    "/public/..%20/admin",
    "/public/.. /admin",
    "/public/..%0a/admin",
    "/public/..%ff/admin",
    "/public/%c0%ae%c0%ae/admin",
    "/public/%c0%af../admin",
    "/public/%ef%bc%8e%ef%bc%8e/admin",
    "/public/..%ef%bc%8fadmin",
    "/public/..%e2%88%95admin",
    "/public/%u002e%u002e/admin",
    "/public/..#/admin",
    "/public#/../admin",
    "/public?/../admin#/x",
    "/public/..?/admin",
    "/public/%2e%2e?x",
];

/// Request targets of another form: only HTTP/1.1 has them.
const TARGETS: [&str; 8] = [
    "http://a.test/public",
    "http://a.test/public/../admin",
    "http://a.test/admin",
    "http://a.test",
    "HTTP://a.test//public/..;/admin",
    "http://a.test/public%2f..%2fadmin",
    "*",
    "public",
];

#[test]
fn whoever_could_be_led_out_of_the_public_part_needs_a_session() {
    let stage = Stage::start();
    let (mut open, mut closed) = (0, 0);
    for listener in LISTENERS {
        for path in ODD.iter().chain(&PLAIN).chain(&TARGETS) {
            let over_http2 = (!TARGETS.contains(path)).then(|| stage.http2(listener, path));
            for received in [stage.http1(listener, path, None), over_http2.flatten()] {
                let Some(seen) = received else {
                    closed += 1;
                    continue;
                };
                open += 1;
                let outside = readings(&seen).into_iter().find(|reading| !is_public(reading));
                assert_eq!(outside, None, "{listener}: {path} arrives as {seen} without a session");
            }
        }
    }
    // Neither everything nor nothing.
    assert!(open >= 2 * 2 * PLAIN.len() && closed >= 2 * ODD.len(), "{open} passed, {closed} did not");
}

#[test]
fn public_paths_that_everybody_reads_alike_pass_and_no_others_are_closed_to_members() {
    let stage = Stage::start();
    let session = format!("{COOKIE}={}", token("alice").mint());
    for listener in LISTENERS {
        for path in PLAIN {
            assert_eq!(stage.http1(listener, path, None).as_deref(), Some(path), "{listener}");
            assert_eq!(stage.http2(listener, path).as_deref(), Some(path), "{listener}: HTTP/2");
        }
        for path in ["/admin", "/", "/publicity", "/public;x=y", "/Public"] {
            assert_eq!(stage.http1(listener, path, None), None, "{listener}: {path}");
            assert_eq!(stage.http1(listener, path, Some(&session)).as_deref(), Some(path), "{listener}");
        }
    }
}

/// Without normalisation the readings have to find something, or the suite above shows nothing.
#[test]
fn the_ways_of_reading_lead_out_of_the_public_part() {
    for path in ["/public/..;/admin", "/public/%252e%252e/admin", "/public\\..\\admin", "/Public", "/public/..%2fadmin"]
    {
        assert!(readings(path).iter().any(|reading| !is_public(reading)), "{path}");
    }
    for path in PLAIN {
        assert!(readings(path).iter().all(|reading| is_public(reading)), "{path}: {:?}", readings(path));
    }
}

/// As shipped, and with nothing of it.
const LISTENERS: [&str; 2] = ["normalised", "raw"];

struct Stage {
    envoy: Envoy,
    _app: Upstream,
}

impl Stage {
    fn start() -> Self {
        let app = Upstream::start().unwrap();
        let configuration = json!({
            "sessions": [{ "profile": "authjs", "cookie": COOKIE }],
            "routes": [{ "paths": [{ "prefix": "/public" }], "access": "open" }, { "access": "required" }],
        });
        let listener = |name: &str, normalises: bool| {
            let filter = Filter::new(&artefact::path(), &configuration.to_string()).variable("AUTH_SECRET", SECRET);
            let slashes = if normalises { "REJECT_REQUEST" } else { "KEEP_UNCHANGED" };
            Listener::to_cluster(name, "app")
                .filter(filter)
                .option("normalize_path", json!(normalises))
                .option("merge_slashes", json!(normalises))
                .option("path_with_escaped_slashes_action", json!(slashes))
        };
        let config = Config::new().cluster("app", app.address());
        let config = config.listener(listener(LISTENERS[0], true)).listener(listener(LISTENERS[1], false));
        Self { envoy: Envoy::start(&Launch::new(config.build())).unwrap(), _app: app }
    }

    /// The path that the app got, if it got any.
    fn http1(&self, listener: &str, target: &str, cookie: Option<&str>) -> Option<String> {
        let cookie = cookie.map(|cookie| format!("cookie: {cookie}\r\n")).unwrap_or_default();
        let request = format!("GET {target} HTTP/1.1\r\nhost: a.test\r\n{cookie}\r\n");
        let reply = http::send(self.envoy.address(listener), request).ok()?;
        Received::from_reply(&reply).ok().map(|received| path_of(&received))
    }

    fn http2(&self, listener: &str, path: &str) -> Option<String> {
        let fields = [(":method", "GET"), (":scheme", "http"), (":authority", "a.test"), (":path", path)];
        let fields = fields.map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let body = h2::send(self.envoy.address(listener), &fields);
        serde_json::from_slice(&body).ok().map(|received| path_of(&received))
    }
}

fn path_of(received: &Received) -> String {
    let line = received.line.strip_prefix("GET ").and_then(|line| line.strip_suffix(" HTTP/1.1"));
    line.unwrap_or_else(|| panic!("{received:?}")).to_owned()
}

fn is_public(path: &str) -> bool {
    path.strip_prefix("/public").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// All that applications, and what stands before their routers, make of a target: each step may be taken or not, in any
/// order, and decoding twice.
fn readings(target: &str) -> BTreeSet<String> {
    let bare = target.split('?').next().unwrap_or_default().to_owned();
    let mut found = BTreeSet::from([bare.clone()]);
    let mut open = vec![(bare, 0)];
    while let Some((path, depth)) = open.pop() {
        for step in STEPS {
            let read = step(&path);
            if depth < STEPS.len() && found.insert(read.clone()) {
                open.push((read, depth + 1));
            }
        }
    }
    found
}

const STEPS: [fn(&str) -> String; 7] = [
    |path| decoded(path),
    |path| path.replace('\\', "/"),
    |path| path.split('/').map(|part| part.split(';').next().unwrap_or("")).collect::<Vec<_>>().join("/"),
    |path| without_dots(path),
    |path| folded(path),
    |path| merged(path),
    |path| path.split(['#', '\0', '\n']).next().unwrap_or("").to_owned(),
];

fn decoded(path: &str) -> String {
    let (bytes, mut read, mut at) = (path.as_bytes(), Vec::new(), 0);
    while let Some(byte) = bytes.get(at) {
        let digits = path.get(at + 1..at + 3).filter(|_| *byte == b'%');
        let escaped = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        read.push(escaped.unwrap_or(*byte));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&read).into_owned()
}

/// A router that ignores case takes `/Public` for `/public`; one that does not takes it for something else.
fn folded(path: &str) -> String {
    path.to_ascii_lowercase()
}

fn merged(path: &str) -> String {
    let mut read = path.to_owned();
    while read.contains("//") {
        read = read.replace("//", "/");
    }
    read
}

fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for part in path.split('/').skip(1) {
        match part {
            "." => {}
            ".." => drop(kept.pop()),
            part => kept.push(part),
        }
    }
    format!("/{}", kept.join("/"))
}
