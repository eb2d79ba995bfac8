//! The artefact in a real Envoy, with a real app and a real lookup service behind it; time is real too.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use jwe_gate_contract::MAC_HEADER;
use jwe_gate_test_parts::envoy::{Envoy, Launch};
use jwe_gate_test_parts::envoy_config::{Config, Filter, Listener};
use jwe_gate_test_parts::scratch::Scratch;
use jwe_gate_test_parts::server::{Answer, Server};
use jwe_gate_test_parts::streaming::Streaming;
use serde_json::json;

use super::clients::{Clients, GLANCE};
use super::{Driver, Outcome, Sent};
use crate::lookup::FakeLookup;
use crate::request::Request;
use crate::scenario::Setup;
use crate::{artefact, token};

/// Starts it.
#[must_use]
pub fn start(setup: &Setup, lookup: FakeLookup) -> Box<dyn Driver> {
    let app = Streaming::start().expect("the app starts");
    let service = serve(lookup.clone());
    let filters = Scratch::new().expect("a folder of one's own");
    let mut config = Config::new().cluster("app", app.address()).cluster("lookup", service.address());
    config = config.cluster("revocations", service.address());
    for gate in 0..setup.gates.len() {
        place(filters.path(), gate, setup, 0);
        let listener = Listener::to_cluster(&name(gate), "app")
            .option("http2_protocol_options", json!({}))
            .option("use_remote_address", json!(true));
        config = config.listener(listener.discovered_filter(&name(gate), filters.path()));
    }
    let workers = u32::try_from(setup.workers).expect("few workers");
    let mut launch = Launch::new(config.build()).concurrency(workers);
    for (name, value) in &setup.environment {
        launch = launch.env(name, value);
    }
    let envoy = Envoy::start(&launch).expect("Envoy starts");
    let driver = Real { envoy, _app: app, _service: service, lookup, filters, clients: Clients::default(), version: 0 };
    Box::new(driver)
}

struct Real {
    envoy: Envoy,
    _app: Streaming,
    _service: Server,
    lookup: FakeLookup,
    filters: Scratch,
    clients: Clients,
    version: u32,
}

impl Driver for Real {
    fn now_ms(&self) -> u64 {
        token::now_ms()
    }

    fn advance(&mut self, ms: u64) {
        thread::sleep(Duration::from_millis(ms));
    }

    fn send(&mut self, request: &Request) -> Sent {
        self.clients.send(self.envoy.address(&name(request.gate)), request)
    }

    fn abandon(&mut self, sent: Sent) {
        self.clients.abandon(sent);
    }

    fn outcome(&mut self, sent: Sent) -> Outcome {
        self.clients.outcome(sent, self.lookup.is_held())
    }

    fn open(&mut self, request: &Request) -> Sent {
        self.clients.open(self.envoy.address(&name(request.gate)), request)
    }

    fn is_open(&mut self, sent: Sent) -> bool {
        self.clients.is_open(sent)
    }

    fn counters(&mut self) -> BTreeMap<String, u64> {
        // The filter tells on ticks.
        thread::sleep(GLANCE);
        let stats = self.envoy.stats().expect("the admin page answers");
        let own =
            stats.into_iter().filter_map(|(name, value)| Some((name.strip_prefix("wasmcustom.")?.to_owned(), value)));
        own.collect()
    }

    fn shared_writes(&mut self) -> Option<u64> {
        None
    }

    fn reconfigure(&mut self, gate: usize, setup: &Setup) -> Result<(), String> {
        let taken = |stats: &BTreeMap<String, u64>, what: &str| -> u64 {
            let about = |stat: &str| stat.contains(&format!(".{}.", name(gate))) && stat.ends_with(what);
            stats.iter().filter(|(stat, _)| about(stat)).map(|(_, value)| value).sum()
        };
        let before = self.envoy.stats().expect("the admin page answers");
        self.version += 1;
        place(self.filters.path(), gate, setup, self.version);
        let changed = |stats: &BTreeMap<String, u64>, what| taken(stats, what) > taken(&before, what);
        self.envoy
            .wait_until("the configuration to be taken", |stats| {
                changed(stats, "config_reload") || changed(stats, "config_fail")
            })
            .expect("Envoy takes notice");
        let refused = changed(&self.envoy.stats().expect("the admin page answers"), "config_fail");
        if refused { Err(self.envoy.log()) } else { Ok(()) }
    }

    fn check_health(&mut self) {
        let stats = self.envoy.stats().expect("the admin page answers");
        for (name, value) in &stats {
            let failed =
                name.ends_with("vm_reload") || name.ends_with("wasm_fail_stream") || name.contains("runtime_error");
            assert!(!failed || *value == 0, "{name}: {value}\n{}", self.envoy.log());
        }
        assert!(!self.envoy.log().contains("Function: proxy_on"), "{}", self.envoy.log());
    }
}

fn name(gate: usize) -> String {
    format!("gate-{gate}")
}

/// Puts a gate's configuration where Envoy looks for it, in one step.
fn place(folder: &std::path::Path, gate: usize, setup: &Setup, version: u32) {
    let names: Vec<&str> = setup.environment.iter().map(|(name, _)| name.as_str()).collect();
    let filter = Filter::new(&artefact::path(), &setup.gates[gate].to_string()).name(&name(gate)).environment(&names);
    let new = folder.join(format!(".{gate}-{version}"));
    std::fs::write(&new, filter.into_discovery()).expect("a folder of one's own");
    std::fs::rename(new, folder.join(format!("{}.json", name(gate)))).expect("a folder of one's own");
}

/// The lookup service of the scenario, over a network.
///
/// # Panics
/// When there is no free port.
#[must_use]
pub fn serve(lookup: FakeLookup) -> Server {
    let answer = move |request: jwe_gate_test_parts::server::Request| {
        let mac = request.headers.iter().find(|(name, _)| name == MAC_HEADER).map(|(_, mac)| mac.clone());
        let mac = mac.unwrap_or_default();
        let target = request.line.strip_prefix("GET ").and_then(|rest| rest.split(' ').next());
        let answer = if let Some(target) = target {
            lookup.feed.answer_later(&mac, target)
        } else {
            lookup.arrived(&request.body);
            lookup.wait();
            let path = request.line.split(' ').nth(1).unwrap_or_default();
            lookup.answer_at(path, &mac, &request.body)
        };
        match answer {
            None => Answer { status: 503, headers: Vec::new(), body: Vec::new(), missing: 0 },
            Some((headers, body)) => {
                let answer = Answer::new("application/json", body);
                headers.into_iter().fold(answer, |answer, (name, value)| answer.header(name, value))
            }
        }
    };
    Server::start(answer).expect("the service starts")
}
