//! The token vectors through the artefact in a real Envoy, whose time cannot be set: what depends on it is made anew.

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use jwe_gate_core::jwe::Profile;
use jwe_gate_test_harness::{Request, artefact, health};
use jwe_gate_test_parts::envoy::{Envoy, Launch};
use jwe_gate_test_parts::envoy_config::{Config, Filter, Listener};
use jwe_gate_test_parts::http;
use jwe_gate_test_parts::upstream::{Received, Upstream};
use serde_json::{Value, json};

use crate::cases::{self, Case, Lines, Outcome};
use crate::remint;

#[test]
fn every_vector_has_the_verdict_of_its_package() {
    let cases = cases::load();
    let app = Upstream::start().unwrap();
    let mut configurations: Vec<Value> = Vec::new();
    let mut gates = Vec::new();
    for (case, profile) in &cases {
        let configuration = case.configuration(*profile);
        let known = configurations.iter().position(|known| *known == configuration);
        gates.push(known.unwrap_or(configurations.len()));
        if known.is_none() {
            configurations.push(configuration);
        }
    }
    let envoy = start(&configurations, &app);

    let (mut complaints, mut admitted) = (Vec::new(), 0);
    for ((case, profile), gate) in cases.iter().zip(gates) {
        let (lines, outcome) = outcome(envoy.address(&gate.to_string()), case, *profile);
        admitted += usize::from(matches!(outcome, Outcome::Admitted(_)));
        complaints.extend(case.complaint(&lines, &outcome));
    }
    assert!(complaints.is_empty(), "{} of {}:\n{}", complaints.len(), cases.len(), complaints.join("\n"));
    assert!(admitted >= 30, "only {admitted} admitted");
    health::check(&envoy);
}

/// One gate for each configuration, named by its number.
fn start(configurations: &[Value], app: &Upstream) -> Envoy {
    let listener = |(gate, configuration): (usize, &Value)| {
        let filter = Filter::new(&artefact::path(), &configuration.to_string()).name(&format!("gate-{gate}"));
        // One vector has more cookies than Envoy takes by default.
        Listener::to_cluster(&gate.to_string(), "app").filter(filter).option("max_request_headers_kb", json!(96))
    };
    let listeners = configurations.iter().enumerate().map(listener);
    let config = listeners.fold(Config::new().cluster("app", app.address()), Config::listener);
    Envoy::start(&Launch::new(config.build())).unwrap()
}

/// What becomes of a case that is made for the very second in which it is decided; some are a second off the limit.
fn outcome(gate: SocketAddr, case: &Case, profile: Profile) -> (Lines, Outcome) {
    for _ in 0..10 {
        let now = now();
        let lines = remint::at(case, profile, now);
        let outcome = send(gate, &lines);
        if now == self::now() {
            return (lines, outcome);
        }
    }
    panic!("{}: no answer within the second of the question", case.id)
}

fn send(gate: SocketAddr, lines: &Lines) -> Outcome {
    let request = Request::get("/").header("x-user-id", "admin");
    let request = lines.cookies.iter().fold(request, |request, line| request.header("cookie", line));
    let request = lines.authorization.iter().fold(request, |request, line| request.header("authorization", line));
    let reply = http::send(gate, request.bytes()).unwrap();
    match Received::from_reply(&reply) {
        Ok(received) => Outcome::Admitted(received.headers),
        Err(_) => Outcome::Refused(reply.status),
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}
