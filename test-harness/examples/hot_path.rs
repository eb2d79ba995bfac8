//! What a request with a known token costs inside the sandbox: host calls, and instructions. Repeatable to the unit.

#![allow(
    clippy::cast_precision_loss,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a yardstick, not a part of the gate"
)]

use jwe_gate_test_harness::lookup::{FakeLookup, LOOKUP_SECRET};
use jwe_gate_test_harness::token::{COOKIE, SECRET, Token};
use jwe_gate_test_harness::{Request, artefact};
use jwe_gate_test_host::{Answer, Cluster, World};
use serde_json::json;

const ROUNDS: u64 = 100;

fn main() {
    for (headers, followed) in [(1, false), (6, false), (1, true)] {
        let headers =
            (0..headers).map(|index| (format!("x-user-{index}"), json!("sub"))).collect::<serde_json::Map<_, _>>();
        let count = headers.len();
        let setup = World::setup().env("AUTH_SECRET", SECRET).env("JWE_GATE_LOOKUP_SECRET", LOOKUP_SECRET);
        let mut world = setup.build(&artefact::bytes()).expect("the artefact loads");
        world.set_cluster("lookup", Cluster::Reachable);
        let vm = world.add_vm();
        let mut config = json!({
            "sessions": [{ "profile": "authjs", "cookie": COOKIE }],
            "lookup": { "cluster": "lookup" },
            "identity": { "headers": headers },
        });
        if followed {
            world.set_cluster(FEED, Cluster::Reachable);
            config["revocation"] = json!({ "cluster": FEED });
        }
        let root = world.configure(vm, "gate", config.to_string()).expect("the configuration is accepted");
        let token = Token::of("alice", world.now_ms()).claim("name", "Alice Example").claim("email", "alice@app.test");
        let request = Request::with_cookies(&format!("theme=dark; {}", token.pair()))
            .header("user-agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)")
            .header("accept", "text/html,application/xhtml+xml")
            .header("accept-language", "en-GB,en;q=0.9");
        let request_once = |world: &mut World| {
            let sent = world.request(root, request.map());
            world.run_until_idle();
            sent
        };
        let lookup = FakeLookup::default();
        lookup.add("alice");
        if followed {
            // Somebody else's session has ended.
            lookup.feed.revoke_session("of somebody else");
            world.advance(100);
            answer(&mut world, &lookup);
        }
        let first = request_once(&mut world);
        answer(&mut world, &lookup);
        world.end(first);
        world.reset_counts();
        for _ in 0..ROUNDS {
            let sent = request_once(&mut world);
            world.respond(sent, [(":status", "200")]);
            world.response_body(sent, "hello", true);
            world.end(sent);
        }
        let feed = if followed { ", revocations followed" } else { "" };
        println!("{count} identity headers{feed}: {} units of work a request", world.work() / ROUNDS);
        for (name, calls) in world.hostcalls() {
            println!("  {:5.2} {name}", *calls as f64 / ROUNDS as f64);
        }
    }
}

/// Answers what waits: a lookup, or a question to the feed.
fn answer(world: &mut World, lookup: &FakeLookup) {
    for call in world.calls() {
        let header = |name| call.headers.first(name).expect("a signed message").to_vec();
        let mac = header("x-jwe-gate-mac");
        let answer = if call.upstream == FEED {
            let target = String::from_utf8(header(":path")).expect("a target is text");
            // The next question is held back.
            if lookup.feed.questions() > 0 { None } else { lookup.feed.answer(&mac, &target) }
        } else {
            lookup.answer(&mac, &call.body)
        };
        let Some((lines, body)) = answer else { continue };
        world.answer(call.id, Answer::Http { headers: lines.into_iter().collect(), body });
    }
}

const FEED: &str = "revocations";
