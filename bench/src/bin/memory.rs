//! `make memory`: 200,000 users, each with a valid token of their own, through one Envoy. What it holds in the end must
//! stay within the configured caches, however many users there are.
use anyhow::{Result, ensure};
use jwe_gate_bench::lookup::{self, Lookup};
use jwe_gate_bench::module;
use jwe_gate_bench::tokens::{COOKIE, Mint, SECRET};
use jwe_gate_test_parts::envoy::{Envoy, Launch};
use jwe_gate_test_parts::envoy_config::{Config, Filter, Listener};
use jwe_gate_test_parts::load;
use serde_json::json;

fn main() -> Result<()> {
    let lookup = Lookup::start()?;
    let envoy = start(&lookup)?;
    let mint = Mint::new()?;
    let send = |users: std::ops::Range<u64>| -> Result<()> {
        let requests = users.map(|user| mint.token(user).map(|token| Mint::request(&token, "/dashboard", "en")));
        let requests = requests.collect::<Result<Vec<_>>>()?;
        let outcome = load::run(envoy.address("gate"), CONNECTIONS, &requests)?;
        ensure!(outcome.all(200), "not every user was admitted: {:?}", outcome.statuses);
        Ok(())
    };
    // The same work on few users first, so that code, buffers and connections are not counted as caches.
    for _ in 0..20 {
        send(0..1000)?;
    }
    let before = envoy.rss_kib()?;
    for start in (0..USERS).step_by(BATCH) {
        send(start..start + BATCH as u64)?;
        println!("{:>8} users: {:>8} KiB", start + BATCH as u64, envoy.rss_kib()?);
    }
    let grown = envoy.rss_kib()?.saturating_sub(before);
    println!(
        "before {before} KiB, {USERS} users later {} KiB: grown by {grown} KiB; the caches may take {} KiB; {} questions in {} lookups",
        before + grown,
        budget_kib(),
        lookup.questions(),
        lookup.messages(),
    );
    // Else verdicts did not go through the shared cache, and nothing has been shown.
    ensure!(lookup.questions() >= USERS, "not every user was looked up");
    ensure!(grown <= budget_kib(), "Envoy has grown by more than its caches may take");
    Ok(())
}

fn start(lookup: &Lookup) -> Result<Envoy> {
    let configuration = json!({
        "version": 1,
        "sessions": [{ "profile": "authjs", "cookie": COOKIE }],
        "lookup": { "cluster": "jwe_gate_lookup", "authority": "lookup", "timeout_ms": 5000 },
        "cache": { "l0_entries": L0_ENTRIES, "l1_records": L1_RECORDS, "record_bytes": RECORD_BYTES },
        "routes": [{ "access": "required" }],
    });
    let filter = Filter::new(&module("jwe_gate.wasm")?, &configuration.to_string());
    let filter = filter.environment(&["AUTH_SECRET", "JWE_GATE_LOOKUP_SECRET"]);
    let config = Config::new()
        .cluster("jwe_gate_lookup", lookup.address())
        .listener(Listener::answering("gate", "hello\n").filter(filter));
    let launch = Launch::new(config.build()).env("AUTH_SECRET", SECRET).env("JWE_GATE_LOOKUP_SECRET", lookup::SECRET);
    Envoy::start(&launch)
}

/// What the caches may take: each shared record its size, each remembered token of each worker 2 KiB, and a quarter more
/// for what allocators leave unused.
const fn budget_kib() -> u64 {
    (L1_RECORDS * RECORD_BYTES + WORKERS * L0_ENTRIES * 2048) * 5 / 4 / 1024
}

const USERS: u64 = 200_000;
const BATCH: usize = 20_000;
const CONNECTIONS: usize = 16;
const WORKERS: u64 = 1;
// The defaults.
const L0_ENTRIES: u64 = 4096;
const L1_RECORDS: u64 = 1 << 16;
const RECORD_BYTES: u64 = 512;
