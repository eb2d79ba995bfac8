//! Bad configurations in a real Envoy: refused with the field and the reason, while the old one goes on serving.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jwe_gate_test_harness::token::{COOKIE, SECRET};
use jwe_gate_test_harness::{Token, artefact, health};
use jwe_gate_test_parts::envoy::{Envoy, Launch};
use jwe_gate_test_parts::envoy_config::{Config, Filter, Listener};
use jwe_gate_test_parts::http;
use jwe_gate_test_parts::scratch::Scratch;
use jwe_gate_test_parts::upstream::{Received, Upstream};
use serde_json::{Value, json};

/// A configuration that is refused.
struct Bad {
    variables: Vec<(String, String)>,
    text: String,
    message: String,
}

/// An Envoy that reads its filter from a folder.
struct Stage {
    envoy: Envoy,
    folder: Scratch,
    pushed: u32,
    _app: Upstream,
}

#[test]
fn each_is_refused_with_its_message_and_the_old_one_goes_on_serving() {
    let mut stage = Stage::start();
    for bad in bad_configurations() {
        stage.refuses(&bad, bad.filter(&bad.text));
    }
    health::check(&stage.envoy);
}

#[test]
fn each_is_refused_as_a_struct_as_it_is_as_text() {
    let mut stage = Stage::start();
    let mut refused = 0;
    for bad in bad_configurations() {
        // A Struct has no whole numbers and no field twice, so that there is another message or none.
        let other_words = ["integer `", "duplicate field"].iter().any(|words| bad.message.contains(words));
        let Ok(value @ Value::Object(_)) = serde_json::from_str(&bad.text) else { continue };
        if !other_words {
            stage.refuses(&bad, bad.filter("").structured(&value));
            refused += 1;
        }
    }
    assert!(refused >= 30, "only {refused} cases");
    health::check(&stage.envoy);
}

#[test]
fn a_good_struct_takes_the_place_of_the_configuration_before() {
    let mut stage = Stage::start();
    assert_eq!(stage.identity("x-user-id"), Some("alice".to_owned()));
    let configuration = json!({
        "version": 1,
        "sessions": [{ "profile": "authjs", "cookie": COOKIE, "max_session_age": 7200, "bearer": false }],
        "identity": { "headers": { "x-account": "sub" } },
        "routes": [{ "access": "required" }],
    });
    stage.push(filter("").variable("AUTH_SECRET", SECRET).structured(&configuration));
    let deadline = Instant::now() + Duration::from_secs(20);
    while stage.identity("x-account").as_deref() != Some("alice") {
        assert!(Instant::now() < deadline, "not taken: {}", stage.envoy.log());
    }
    health::check(&stage.envoy);
}

#[test]
fn an_envoy_that_starts_with_a_bad_one_ends_and_says_why() {
    let text = filter(r#"{"sessions":[{"profile":"authjs"}]}"#);
    let structured = filter("").structured(&json!({ "sessions": [{ "profile": "authjs" }] }));
    for filter in [text, structured] {
        let listener = Listener::answering("a", "").filter(filter.variable("AUTH_SECRET", SECRET));
        let log = Envoy::refusal(&Launch::new(Config::new().listener(listener).build())).unwrap();
        assert!(log.contains("jwe-gate: configuration refused: sessions[0]: missing field `cookie`"), "{log}");
    }
}

/// The cases that the core's own test reads too.
fn bad_configurations() -> Vec<Bad> {
    let golden = include_str!("../../../crates/core/tests/golden/bad_configurations.txt");
    let cases = golden.split("\n\n").filter(|case| !case.trim().is_empty());
    let cases: Vec<Bad> = cases.map(Bad::parse).collect();
    assert!(cases.len() >= 25, "only {} cases", cases.len());
    cases
}

impl Bad {
    fn parse(case: &str) -> Self {
        let lines: Vec<&str> = case.lines().filter(|line| !line.starts_with('#')).collect();
        let [input, message] = lines[..] else { panic!("two lines expected: {case}") };
        let (variables, text) = input.split_once(" | ").unwrap_or(("", input));
        let variables = variables.split_whitespace().filter_map(|pair| pair.split_once('='));
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self { variables: variables.collect(), text: text.to_owned(), message: message.to_owned() }
    }

    fn filter(&self, text: &str) -> Filter {
        let filter = filter(text).variable("AUTH_SECRET", SECRET);
        self.variables.iter().fold(filter, |filter, (name, value)| filter.variable(name, value))
    }
}

impl Stage {
    fn start() -> Self {
        let (app, folder) = (Upstream::start().unwrap(), Scratch::new().unwrap());
        let good = json!({ "version": 1, "sessions": [{ "profile": "authjs", "cookie": COOKIE }] });
        place(&folder, 0, filter(&good.to_string()).variable("AUTH_SECRET", SECRET));
        let listener = Listener::to_cluster("gate", "app").discovered_filter(NAME, folder.path());
        let config = Config::new().cluster("app", app.address()).listener(listener);
        let envoy = Envoy::start(&Launch::new(config.build())).unwrap();
        Self { envoy, folder, pushed: 0, _app: app }
    }

    fn push(&mut self, filter: Filter) {
        self.pushed += 1;
        place(&self.folder, self.pushed, filter);
    }

    fn refuses(&mut self, bad: &Bad, filter: Filter) {
        let said = self.envoy.log().len();
        let count = |stats: &BTreeMap<String, u64>, what: &str| -> u64 {
            let about = |name: &str| name.contains(&format!(".{NAME}.")) && name.ends_with(what);
            stats.iter().filter(|(name, _)| about(name)).map(|(_, value)| value).sum()
        };
        let before = self.envoy.stats().unwrap();
        self.push(filter);
        // What is refused is counted under both names, what is taken under the first alone.
        let changed = |stats: &BTreeMap<String, u64>, what: &str| count(stats, what) > count(&before, what);
        let decided = |stats: &BTreeMap<String, u64>| changed(stats, "config_reload") || changed(stats, "config_fail");
        self.envoy.wait_until(&format!("a decision on {}", bad.text), decided).unwrap();
        assert!(changed(&self.envoy.stats().unwrap(), "config_fail"), "{} was accepted", bad.text);
        let log = self.envoy.log();
        let line = format!("jwe-gate: configuration refused: {}\n", bad.message);
        assert!(log[said..].contains(&line), "{}: expected {line:?} in\n{}", bad.text, &log[said..]);
        assert_eq!(self.identity("x-user-id"), Some("alice".to_owned()), "after {}", bad.text);
    }

    /// What the app is told of a user with a good token in the header `name`.
    fn identity(&self, name: &str) -> Option<String> {
        let token = Token::of("alice", jwe_gate_test_harness::token::now_ms());
        let reply = http::send(self.envoy.address("gate"), http::get("/", &[("cookie", &token.pair())])).unwrap();
        Received::from_reply(&reply).unwrap().only(name).map(str::to_owned)
    }
}

fn filter(text: &str) -> Filter {
    Filter::new(&artefact::path(), text).name(NAME)
}

/// Puts the filter where Envoy looks for it, in one step.
fn place(folder: &Scratch, version: u32, filter: Filter) {
    let new = folder.path().join(format!(".{version}"));
    std::fs::write(&new, filter.into_discovery()).unwrap();
    std::fs::rename(new, folder.path().join(format!("{NAME}.json"))).unwrap();
}

const NAME: &str = "jwe_gate";
