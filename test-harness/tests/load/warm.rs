//! `jwe-gate warm` against the whole chain: after it, a burst asks nobody about anybody.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use jwe_gate_test_harness::burst::{App, Plan, Stage, request, subject};
use jwe_gate_test_harness::chain::{AUTH_SECRET, LOOKUP_SECRET, cookie};
use jwe_gate_test_parts::scratch::Scratch;

const USERS: usize = 300;
const CONFIGURATION: &str = r#"{
    "version": 1,
    "sessions": [{ "profile": "authjs", "cookie": "__Secure-authjs.session-token" }],
    "lookup": { "cluster": "jwe_gate_lookup", "authority": "jwe-gate-lookup", "secret": { "env": "JWE_GATE_LOOKUP_SECRET" } },
    "routes": [{ "access": "required" }]
}"#;

#[test]
fn after_it_a_burst_finds_every_user_known_and_the_page_stored() {
    let app = App::with_one_page().unwrap();
    let stage = Plan::cached(env!("CARGO_BIN_EXE_lookup-service"), USERS).start(app.address()).unwrap();
    let page = format!("https://localhost:{}/content/page", stage.gates[0].address("https").port());
    let ca = stage.authority().to_str().unwrap();
    let lookups = warm(&stage, LOOKUP_SECRET, &["--page", &page, "--ca", ca, "--host", "localhost"]);
    let out = String::from_utf8(lookups.stdout).unwrap();
    let expected = format!(
        "lookups: 301 asked, 300 allowed, 1 unknown, 0 failed\n{page}: 300 asked, 300 allowed, 0 unknown, 0 failed\n"
    );
    assert_eq!(out, expected, "{}", String::from_utf8_lossy(&lookups.stderr));
    assert_eq!(lookups.status.code(), Some(0));

    stage.await_decisions(300).unwrap();
    let (asked, questions) = (stage.asked().unwrap(), stage.counter("jwe_gate.questions").unwrap());
    assert_eq!((asked.rows, asked.most, app.received().len()), (300, 1, 1));
    let requests = (0..USERS).map(|user| request("/content/page", &[("cookie", &cookie(&subject(user)))]));
    let answers = stage.crowd(USERS).unwrap().rush(requests.collect()).unwrap();
    assert!(answers.iter().all(|answer| answer.as_ref().is_some_and(|answer| answer.status == 200)));
    stage.await_decisions(600).unwrap();
    assert_eq!(stage.asked().unwrap(), asked);
    assert_eq!(stage.counter("jwe_gate.questions").unwrap(), questions);
    assert_eq!(app.received().len(), 1);
}

#[test]
fn with_another_secret_it_says_so_and_fails() {
    let app = App::with_one_page().unwrap();
    let stage =
        Plan { gates: 0, ..Plan::cached(env!("CARGO_BIN_EXE_lookup-service"), 1) }.start(app.address()).unwrap();
    let output = warm(&stage, "a secret that the service has not", &[]);
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(out.starts_with("lookups: 301 asked, 0 allowed, 0 unknown, 301 failed\n"), "{out}");
    assert!(out.contains("the service has another secret"), "{out}");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stage.asked().unwrap().queries, 0);
}

/// Warms all users, and one who is not known.
fn warm(stage: &Stage, lookup_secret: &str, more: &[&str]) -> Output {
    let scratch = Scratch::new().unwrap();
    let file = scratch.path().join("gate.json");
    std::fs::write(&file, CONFIGURATION).unwrap();
    let lookup = format!("http://{}", stage.lookup());
    let mut child = Command::new(env!("CARGO_BIN_EXE_command-line"))
        .args(["warm", "--config", file.to_str().unwrap(), "--lookup", &lookup])
        .args(more)
        .env_clear()
        .env("AUTH_SECRET", AUTH_SECRET)
        .env("JWE_GATE_LOOKUP_SECRET", lookup_secret)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let users: String = (0..USERS).map(|user| subject(user) + "\n").collect();
    child.stdin.take().unwrap().write_all((users + "\nnobody who is known\n").as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}
