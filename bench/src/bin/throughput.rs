//! `make bench`: what a warm filter costs, beside a filter that does nothing and no filter at all.
//!
//! All variants are listeners of one Envoy with one worker, in front of one upstream, and take turns in rounds so short, and in
//! an order that alternates, that what else the machine does falls on all of them alike. Where a process has its memory favours
//! one or the other by as much as a filter costs, so Envoy is started several times. Nothing is asserted.
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use jwe_gate_bench::lookup::{self, Lookup};
use jwe_gate_bench::module;
use jwe_gate_bench::tokens::{COOKIE, Mint, SECRET};
use jwe_gate_test_parts::envoy::{Envoy, Launch};
use jwe_gate_test_parts::envoy_config::{Config, Filter, Listener};
use jwe_gate_test_parts::load;
use jwe_gate_test_parts::process::run;
use serde_json::{Value, json};

fn main() -> Result<()> {
    let mut app = Envoy::start(&Launch::new(Config::new().listener(Listener::answering("app", "hello\n")).build()))?;
    pin(app.process().id(), "1")?;
    pin(std::process::id(), "1")?;
    let lookup = Lookup::start()?;
    let variants = variants()?;
    let traffic = Traffic::new(&Mint::new()?)?;
    let mut samples = vec![Vec::new(); variants.len()];
    for _ in 0..STARTS {
        let envoy = start(&variants, app.address("app"), lookup.address())?;
        let listeners: Vec<_> = variants.iter().map(|(name, ..)| (envoy.address(name), traffic.of(name))).collect();
        for (listener, requests) in listeners.iter().cycle().take(WARM_UP * listeners.len()) {
            measure(&envoy, *listener, requests)?;
        }
        for round in 0..ROUNDS {
            let mut order: Vec<_> = listeners.iter().zip(&mut samples).collect();
            if round % 2 == 1 {
                order.reverse();
            }
            for ((listener, requests), samples) in order {
                samples.push(measure(&envoy, *listener, requests)?);
            }
        }
    }
    report(&variants.map(|(name, _)| name), &samples);
    Ok(())
}

/// One Envoy with a listener for each variant, before this app and this lookup service.
fn start(variants: &[Variant], app: SocketAddr, lookup: SocketAddr) -> Result<Envoy> {
    let mut config = Config::new().cluster("app", app).cluster("jwe_gate_lookup", lookup);
    for (name, filter) in variants {
        let listener = Listener::to_cluster(name, "app").option("common_http_protocol_options", underscores());
        let listener = listener.option("early_header_mutation_extensions", early_removal());
        config = config.listener(filter.iter().cloned().fold(listener, Listener::filter));
    }
    let launch = Launch::new(config.build()).env("AUTH_SECRET", SECRET).env("JWE_GATE_LOOKUP_SECRET", lookup::SECRET);
    let mut envoy = Envoy::start(&launch)?;
    pin(envoy.process().id(), "0")?;
    Ok(envoy)
}

/// Keeps a process on one processor, so that what is measured does not move, and shares with nobody.
fn pin(process: u32, processor: &str) -> Result<()> {
    let mut taskset = Command::new("taskset");
    taskset.args(["--all-tasks", "--cpu-list", "--pid", processor, &process.to_string()]);
    run(taskset).map(drop)
}

type Variant = (&'static str, Option<Filter>);

/// What clients send.
struct Traffic {
    /// One user who asks for one page again and again.
    same: Vec<Vec<u8>>,
    /// As many users and pages as a site in use has.
    many: Vec<Vec<u8>>,
    /// One user, with a cookie that some script sets anew each time.
    changing: Vec<Vec<u8>>,
}

impl Traffic {
    fn new(mint: &Mint) -> Result<Self> {
        let tokens = (0..USERS).map(|user| mint.token(user)).collect::<Result<Vec<_>>>()?;
        let token = mint.token(1)?;
        let many = tokens.iter().cycle().zip((0..PAGES).cycle());
        Ok(Self {
            same: vec![Mint::request(&token, "/dashboard", "en")],
            many: many
                .map(|(token, page)| Mint::request(token, &format!("/pages/of/{page}"), "en"))
                .take(REQUESTS)
                .collect(),
            changing: (0..REQUESTS).map(|visit| Mint::request(&token, "/dashboard", &visit.to_string())).collect(),
        })
    }

    fn of(&self, variant: &str) -> &[Vec<u8>] {
        match variant {
            MANY => &self.many,
            CHANGING => &self.changing,
            _ => &self.same,
        }
    }
}

fn variants() -> Result<[Variant; 11]> {
    let noop = |file, name, configuration| {
        Ok::<_, anyhow::Error>(Some(Filter::new(&module(file)?, configuration).name(name).vm_id(name)))
    };
    let gate = |name, more: Value| {
        let mut configuration = json!({
            "version": 1,
            "sessions": [{ "profile": "authjs", "cookie": COOKIE }],
            "lookup": { "cluster": "jwe_gate_lookup", "authority": "lookup", "timeout_ms": 2000 },
            "identity": { "headers": { "x-user-id": "sub" } },
        });
        if let (Some(configuration), Value::Object(more)) = (configuration.as_object_mut(), more) {
            configuration.extend(more);
        }
        let filter = Filter::new(&module("jwe_gate.wasm")?, &configuration.to_string()).name(name).vm_id(name);
        Ok::<_, anyhow::Error>(Some(filter.environment(&["AUTH_SECRET", "JWE_GATE_LOOKUP_SECRET"])))
    };
    Ok([
        (BARE, None),
        (NOOP, noop("noop.wasm", "noop", "")?),
        ("no-op, trimmed exports", noop("noop_trimmed.wasm", "noop_trimmed", "")?),
        // What the gate cannot do without: no code of its own can make it cheaper than this.
        ("the same, with the gate's host calls", noop("noop_trimmed.wasm", "calls", "1")?),
        ("the same, and 6 headers set", noop("noop_trimmed.wasm", "calls_6", "6")?),
        ("jwe-gate", gate("gate", json!({}))?),
        (MANY, gate("gate_many", json!({}))?),
        (CHANGING, gate("gate_changing", json!({}))?),
        ("jwe-gate, reason and subject logged", gate("gate_log", logged())?),
        ("jwe-gate, 20 routes", gate("gate_20", json!({ "routes": routes() }))?),
        ("jwe-gate, 20 routes and 6 headers", gate("gate_20_6", json!({ "routes": routes(), "identity": six() }))?),
    ])
}

fn logged() -> Value {
    json!({ "access_log": { "reason": true, "subject": "hash" } })
}

/// Nineteen rules that do not match, of all kinds, and the one that does.
fn routes() -> Value {
    let rule = |number: usize| match number % 4 {
        0 => json!({ "paths": [{ "prefix": format!("/static/{number}") }], "access": "open" }),
        1 => json!({ "paths": [{ "exact": format!("/pages/{number}") }], "access": "optional" }),
        2 => json!({ "hosts": [format!("h{number}.example.com")], "access": "required" }),
        _ => json!({
            "paths": [{ "glob": format!("/api/*/{number}/**") }], "methods": ["POST"], "access": "required",
            "conditions": [{ "claim": "roles", "contains": format!("role-{number}") }],
        }),
    };
    (0..19).map(rule).chain([json!({ "access": "required" })]).collect()
}

fn six() -> Value {
    json!({ "headers": {
        "x-user-id": "sub", "x-user-email": { "claim": "email" }, "x-user-name": { "claim": "name" },
        "x-user-picture": { "claim": "picture" }, "x-user-session": { "claim": "jti" }, "x-user-key": "sub",
    } })
}

/// One turn of one variant: requests per second, and microseconds of Envoy's processor time per request.
#[derive(Clone, Copy, Debug)]
struct Sample {
    rate: f64,
    cpu: f64,
}

fn measure(envoy: &Envoy, listener: SocketAddr, requests: &[Vec<u8>]) -> Result<Sample> {
    let before = envoy.cpu_time()?;
    let requests = requests.iter().map(Vec::as_slice).cycle().take(REQUESTS);
    let outcome = load::run(listener, CONNECTIONS, requests)?;
    let used = envoy.cpu_time()?.saturating_sub(before);
    ensure!(outcome.all(200), "not every request was answered with 200: {:?}", outcome.statuses);
    Ok(Sample { rate: per_request(outcome.elapsed).recip() * 1e6, cpu: per_request(used) })
}

fn report(names: &[&str], samples: &[Vec<Sample>]) {
    let of = |name: &str| names.iter().position(|other| *other == name).and_then(|at| samples.get(at));
    let (Some(bare), Some(noop)) = (of(BARE), of(NOOP)) else { return };
    println!(
        "One worker, started {STARTS} times, {ROUNDS} rounds of {REQUESTS} requests each; medians, ratios round by round.\n"
    );
    println!(
        "{:<38}{:>12}{:>14}{:>16}{:>14}{:>18}",
        "", "requests/s", "CPU µs/req", "added CPU µs", "rate ÷ no-op", "middle half"
    );
    for (name, samples) in names.iter().zip(samples) {
        let added = samples.iter().zip(bare).map(|(one, bare)| one.cpu - bare.cpu);
        let ratio = samples.iter().zip(noop).map(|(one, noop)| one.rate / noop.rate);
        let [low, ratio, high] = quartiles(ratio);
        println!(
            "{name:<38}{:>12.0}{:>14.1}{:>16.1}{ratio:>14.3}{:>18}",
            median(samples.iter().map(|sample| sample.rate)),
            median(samples.iter().map(|sample| sample.cpu)),
            median(added),
            format!("{low:.3} to {high:.3}"),
        );
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let [_, median, _] = quartiles(values);
    median
}

fn quartiles(values: impl Iterator<Item = f64>) -> [f64; 3] {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values.get(values.len() * quarter / 4).copied().unwrap_or(f64::NAN))
}

/// In microseconds.
fn per_request(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6 / f64::from(u32::try_from(REQUESTS).unwrap_or(u32::MAX))
}

/// As in the shipped configuration, for all variants: what the listener costs is not the filter's.
fn underscores() -> serde_json::Value {
    json!({ "headers_with_underscores_action": "REJECT_REQUEST" })
}

fn early_removal() -> serde_json::Value {
    let mutation = "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation";
    json!([{ "name": "early", "typed_config": {
        "@type": format!("type.googleapis.com/{mutation}"),
        "mutations": [{ "remove_on_match": { "key_matcher": { "prefix": "x-user-" } } }],
    } }])
}

const BARE: &str = "Envoy without a filter";
const NOOP: &str = "no-op, all exports of the SDK";
const MANY: &str = "the same, 1,000 users and 20 pages";
const CHANGING: &str = "the same, another cookie each time";
const USERS: u64 = 1_000;
const PAGES: usize = 20;
const STARTS: usize = 6;
/// Rounds before it counts: V8 compiles a second time what is called often.
const WARM_UP: usize = 5;
const ROUNDS: usize = 60;
const REQUESTS: usize = 1_000;
const CONNECTIONS: usize = 16;
