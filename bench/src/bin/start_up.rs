//! `make bench`: how long it takes until a VM answers, from Envoy's start to its first answer, beside an Envoy without the
//! filter: by the clock, and in processor time, which what else the machine does changes less. Most of the difference is V8
//! compiling the module. Nothing is asserted.
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use jwe_gate_bench::module;
use jwe_gate_bench::tokens::{COOKIE, SECRET};
use jwe_gate_test_parts::envoy::{Envoy, Launch};
use jwe_gate_test_parts::envoy_config::{Config, Filter, Listener};
use jwe_gate_test_parts::http;
use serde_json::json;

fn main() -> Result<()> {
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        without.push(until_answered(Listener::answering(NAME, "hello\n"), 200)?);
        with.push(until_answered(Listener::answering(NAME, "hello\n").filter(gate()?), 401)?);
    }
    println!("Envoy's start to its first answer, one worker, medians of {ROUNDS}.\n");
    println!("{:<24}{:>12}{:>18}", "", "clock", "processor time");
    let (without, with) = (medians(&without), medians(&with));
    for (name, times) in [("without the filter", without), ("with it", with)] {
        println!("{name:<24}{:>9.0} ms{:>15.0} ms", milliseconds(times.clock), milliseconds(times.processor));
    }
    let added = |of: fn(Times) -> Duration| milliseconds(of(with).saturating_sub(of(without)));
    println!("{:<24}{:>9.0} ms{:>15.0} ms", "added", added(|times| times.clock), added(|times| times.processor));
    Ok(())
}

/// What a start took.
#[derive(Clone, Copy, Debug)]
struct Times {
    clock: Duration,
    processor: Duration,
}

fn until_answered(listener: Listener, status: u16) -> Result<Times> {
    let launch = Launch::new(Config::new().listener(listener).build()).env("AUTH_SECRET", SECRET);
    let start = Instant::now();
    let envoy = Envoy::start(&launch)?;
    let reply = http::send(envoy.address(NAME), http::get("/", &[("connection", "close")]))?;
    let times = Times { clock: start.elapsed(), processor: envoy.cpu_time()? };
    ensure!(reply.status == status, "the answer is {}, not {status}", reply.status);
    Ok(times)
}

fn gate() -> Result<Filter> {
    let configuration = json!({
        "version": 1,
        "sessions": [{ "profile": "authjs", "cookie": COOKIE }],
        "routes": [{ "access": "required" }],
    });
    Ok(Filter::new(&module("jwe_gate.wasm")?, &configuration.to_string()).environment(&["AUTH_SECRET"]))
}

fn medians(times: &[Times]) -> Times {
    let median = |of: fn(&Times) -> Duration| {
        let mut times: Vec<_> = times.iter().map(of).collect();
        times.sort();
        times.get(times.len() / 2).copied().unwrap_or_default()
    };
    Times { clock: median(|times| times.clock), processor: median(|times| times.processor) }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

const NAME: &str = "start";
const ROUNDS: usize = 11;
