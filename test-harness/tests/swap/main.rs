//! Swaps under load: 1,000 requests a second, requests that wait for a lookup, a WebSocket and a stream of events, while
//! module and configuration change, and some of both are broken. `SWAPS` says how many; 4 if it is not set.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests are tests too"
)]

#[path = "../common/deployer.rs"]
#[expect(dead_code, unreachable_pub, reason = "shared with other test programs")]
mod deployer;
mod load;
mod streams;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use deployer::{Deployer, rebuilt};
use jwe_gate_test_harness::driver::envoy::serve;
use jwe_gate_test_harness::lookup::LOOKUP_SECRET;
use jwe_gate_test_harness::token::SECRET;
use jwe_gate_test_harness::{FakeLookup, Token, artefact, health};
use jwe_gate_test_parts::envoy::{Envoy, Launch};
use jwe_gate_test_parts::envoy_config::{Config, Listener};
use jwe_gate_test_parts::http::{self, get};
use jwe_gate_test_parts::server::Server;
use jwe_gate_test_parts::streaming::Streaming;
use load::{Load, Visit, is_admitted};
use serde_json::{Value, json};
use streams::Stream;

#[test]
fn no_request_and_no_stream_notices_a_swap() {
    let mut stage = Stage::start();
    let known: Arc<Vec<Visit>> = Arc::new((0..USERS).map(|number| stage.visit(&format!("user-{number}"))).collect());
    for visit in known.iter() {
        stage.is_let_in(visit);
    }
    let vms = stage.vms();
    let streams = [Stream::web_socket, Stream::events].map(|open| open(stage.address(), &cookie("user-0")));
    let load = Load::start(stage.address(), RATE, CONNECTIONS, &known);

    let mut memory = Vec::new();
    for (number, change) in (1..).zip(CHANGES.into_iter().cycle().take(swaps())) {
        let before = streams.each_ref().map(Stream::messages);
        stage.swap(number, change);
        for (stream, before) in streams.iter().zip(before) {
            assert!(stream.messages() > before, "a stream stands still");
        }
        memory.push(stage.envoy.rss_kib().unwrap());
    }

    let sent = load.stop();
    println!(
        "{} requests in {:?}: p50 {:?}, p99 {:?}, p99.9 {:?}, longest {:?}",
        sent.latencies.len(),
        sent.took,
        sent.at(500),
        sent.at(990),
        sent.at(999),
        sent.at(1000),
    );
    assert!(sent.failures.is_empty(), "{} failed, such as {:?}", sent.failures.len(), sent.failures.first());

    // Every user was asked about once, whatever has been swapped since.
    assert_eq!(stage.lookup.questions().len(), stage.users.len(), "questions and users");

    // The first VMs have the two streams to this moment, and end with them.
    let pinned = stage.vms();
    let messages = streams.map(Stream::close);
    stage.envoy.wait_until("the VMs of old filters to end", |stats| stats[VMS] == vms).unwrap();
    println!("{messages:?} messages on the streams; VMs: {vms} at first, {pinned} with the streams, {vms} after them");
    assert!(pinned > vms, "the streams held no VM, so nothing is shown by their end");
    health::check(&stage.envoy);
    println!("memory in KiB after each swap: {memory:?}");
    if let (Some(early), Some(last)) = (memory.get(EARLY - 1), memory.last()) {
        let grown = last.saturating_sub(*early);
        assert!(grown <= GROWTH_KIB, "grown by {grown} KiB from swap {EARLY} to swap {}", memory.len());
    }
}

/// What is deployed, and whether it must be taken.
#[derive(Clone, Copy, Debug)]
enum Change {
    Module,
    BrokenModule,
    Configuration,
    BrokenConfiguration,
    Both,
}

struct Stage {
    envoy: Envoy,
    deployer: Deployer,
    lookup: FakeLookup,
    users: Vec<String>,
    // What serves now, so that one thing can be changed at a time.
    module: Vec<u8>,
    configuration: Value,
    _service: Server,
    _app: Streaming,
}

impl Stage {
    fn start() -> Self {
        let (lookup, app) = (FakeLookup::default(), Streaming::start().expect("the app starts"));
        let service = serve(lookup.clone());
        let deployer = Deployer::new(&[ENVIRONMENT[0], ENVIRONMENT[1], ONLY_HERE]);
        let (module, configuration) = (artefact::bytes(), configuration(0));
        deployer.first(&module, &configuration.to_string());
        let listener = Listener::to_cluster("gate", "app")
            .discovered_filter("jwe_gate", &deployer.directory())
            .option("upgrade_configs", json!([{ "upgrade_type": "websocket" }]));
        let config = Config::new().cluster("app", app.address()).cluster("lookup", service.address());
        let launch = Launch::new(config.listener(listener).build()).concurrency(2);
        let launch = ENVIRONMENT.into_iter().fold(launch, |launch, (name, value)| launch.env(name, value));
        let envoy = Envoy::start(&launch).expect("Envoy starts");
        Self { envoy, deployer, lookup, users: Vec::new(), module, configuration, _service: service, _app: app }
    }

    fn address(&self) -> std::net::SocketAddr {
        self.envoy.address("gate")
    }

    /// How many VMs there are.
    fn vms(&self) -> u64 {
        self.envoy.stats().expect("the admin page answers")[VMS]
    }

    /// A request of a user that has not come before.
    fn visit(&mut self, user: &str) -> Visit {
        self.lookup.add(user);
        self.users.push(user.to_owned());
        (get("/", &[("cookie", &cookie(user))]), user.to_owned())
    }

    fn is_let_in(&self, visit: &Visit) {
        let reply = http::send(self.address(), &visit.0).expect("Envoy answers");
        assert!(is_admitted(&reply, &visit.1), "{}: {}", visit.1, reply.status);
    }

    /// Swaps while requests wait for a lookup, and shows that they and their verdicts survive.
    fn swap(&mut self, number: u8, change: Change) {
        self.lookup.hold();
        let visits: Vec<Visit> = (0..PARKED).map(|user| self.visit(&format!("parked-{number}-{user}"))).collect();
        let address = self.address();
        let parked: Vec<_> =
            visits.iter().cloned().map(|(request, _)| thread::spawn(move || http::send(address, request))).collect();
        self.wait_for_questions();

        let begun = Instant::now();
        self.deploy(number, change);
        let took = begun.elapsed();
        assert!(parked.iter().all(|request| !request.is_finished()), "a request that waits was answered");
        self.lookup.release();
        for (request, (_, user)) in parked.into_iter().zip(&visits) {
            let reply = request.join().expect("a thread that ends").expect("Envoy answers");
            assert!(is_admitted(&reply, user), "{user} waited during swap {number}: {}", reply.status);
        }
        // Known to the filter before the swap, so known to the one after it, in whichever worker.
        for visit in visits.iter().chain(&visits) {
            self.is_let_in(visit);
        }
        println!("swap {number:>2} {change:?}: {took:?}, {} VMs, {} KiB", self.vms(), self.envoy.rss_kib().unwrap());
    }

    fn deploy(&mut self, number: u8, change: Change) {
        let module = match change {
            Change::Module | Change::Both => rebuilt(&artefact::bytes(), number),
            Change::BrokenModule => rebuilt(&artefact::bytes()[..artefact::bytes().len() / 2], number),
            Change::Configuration | Change::BrokenConfiguration => self.module.clone(),
        };
        let mut configuration = match change {
            Change::Configuration | Change::Both => configuration(number),
            _ => self.configuration.clone(),
        };
        let broken = matches!(change, Change::BrokenModule | Change::BrokenConfiguration);
        if matches!(change, Change::BrokenConfiguration) {
            // The command has this variable, Envoy has not: only the filter itself can refuse it.
            configuration["sessions"][0]["secrets"] = json!([{ "env": ONLY_HERE.0 }]);
        }
        let before = self.deployer.document();
        let run = self.deployer.deploy(&module, &configuration.to_string(), &[&self.envoy]);
        assert_eq!(run.status, i32::from(broken), "swap {number} {change:?}: {run:?}");
        if broken {
            assert_eq!(self.deployer.document(), before);
        } else {
            (self.module, self.configuration) = (module, configuration);
        }
    }

    /// Waits until all users have been asked about who ever came.
    fn wait_for_questions(&self) {
        let begun = Instant::now();
        while self.lookup.questions().len() < self.users.len() {
            assert!(begun.elapsed() < Duration::from_secs(20), "{} questions", self.lookup.questions().len());
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A session cookie.
fn cookie(user: &str) -> String {
    Token::of(user, jwe_gate_test_harness::token::now_ms()).pair()
}

/// A configuration that differs from all others, and in nothing that verdicts depend on.
fn configuration(number: u8) -> Value {
    json!({
        "version": 1,
        "sessions": [{ "profile": "authjs", "cookie": jwe_gate_test_harness::token::COOKIE }],
        "lookup": { "cluster": "lookup", "timeout_ms": 20_000 },
        "limits": { "waiting_requests": 1000 + u32::from(number) },
        "routes": [{ "access": "required" }],
    })
}

fn swaps() -> usize {
    std::env::var("SWAPS").map_or(4, |swaps| swaps.parse().expect("SWAPS is a number"))
}

/// The order in which changes come, over and over.
const CHANGES: [Change; 5] =
    [Change::Module, Change::BrokenModule, Change::Configuration, Change::BrokenConfiguration, Change::Both];

const ENVIRONMENT: [(&str, &str); 2] = [("AUTH_SECRET", SECRET), ("JWE_GATE_LOOKUP_SECRET", LOOKUP_SECRET)];
const ONLY_HERE: (&str, &str) = ("ONLY_HERE", "a secret that Envoy does not have");
const VMS: &str = "wasm.envoy.wasm.runtime.v8.active";

const USERS: usize = 200;
const RATE: u32 = 1000;
const CONNECTIONS: u32 = 16;
const PARKED: usize = 4;
/// After so many swaps memory is compared with what it is in the end.
const EARLY: usize = 5;
/// V8 and the allocator take up to 35 MiB more until they have settled after 45 swaps, and then nothing up to 80. If the VMs
/// of each module stayed, it would be 80 MiB after 20 swaps and more with each.
const GROWTH_KIB: u64 = 48 * 1024;
