//! `jwe-gate revoke` against services that do and do not do as they should.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use jwe_gate_contract::{Receipt, RevocationRequest, Target, VERSION};
use jwe_gate_test_parts::server::{Answer, Request, Server};

use crate::common::{Run, SECRET, run};

fn revoke(service: &Server, target: &[&str]) -> Run {
    let url = format!("http://{}", service.address());
    let arguments = [&["revoke", "--service", &url, "--token-env", "SECRET"], target].concat();
    run(&arguments, SECRET, b"")
}

fn receipt(request: &RevocationRequest) -> Answer {
    let receipt = Receipt {
        version: VERSION,
        realm: request.realm.clone(),
        id: request.id.clone(),
        epoch: "e".into(),
        seq: 7,
        at_ms: 1,
        promised_delay_ms: 2_000,
    };
    Answer { status: 201, ..Answer::new("application/json", serde_json::to_vec(&receipt).unwrap()) }
}

fn read(request: &Request) -> RevocationRequest {
    serde_json::from_slice(&request.body).unwrap()
}

#[test]
fn it_names_the_session_or_the_subject_and_prints_neither() {
    let targets: Arc<Mutex<Vec<Target>>> = Arc::default();
    let seen = Arc::clone(&targets);
    let service = Server::start(move |request| {
        let request = read(&request);
        seen.lock().unwrap().push(request.target.clone());
        receipt(&request)
    })
    .unwrap();
    for target in [["--session", "a sid"], ["--subject", "alice"]] {
        let run = revoke(&service, &target);
        let expected = "written as number 7; every proxy applies it within 2000 ms\n";
        assert_eq!((run.status, run.out.as_str()), (0, expected), "{run:?}");
    }
    let expected = [Target::Session { sid: "a sid".into() }, Target::Subject { sub: "alice".into() }];
    assert_eq!(*targets.lock().unwrap(), expected);
}

#[test]
fn it_sends_the_same_request_again_until_it_is_answered() {
    let ids: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&ids);
    let service = Server::start(move |request| {
        let request = read(&request);
        let mut ids = seen.lock().unwrap();
        ids.push(request.id.clone());
        if ids.len() < 3 { Answer { status: 503, ..Answer::new("text/plain", "") } } else { receipt(&request) }
    })
    .unwrap();
    assert_eq!(revoke(&service, &["--session", "s"]).status, 0);
    let ids = ids.lock().unwrap();
    assert_eq!((ids.len(), ids.iter().collect::<BTreeSet<_>>().len()), (3, 1));
}

#[test]
fn a_refusal_is_told_and_not_repeated() {
    let service = Server::start(|_| {
        let body = r#"{"error":"unauthorized","message":"the credentials are missing or wrong"}"#;
        Answer { status: 401, ..Answer::new("application/json", body) }
    })
    .unwrap();
    let run = revoke(&service, &["--subject", "alice"]);
    let expected = "not known to be written: refused with 401: the credentials are missing or wrong\n";
    assert_eq!((run.status, run.out.as_str(), service.requests()), (1, expected, 1));
    assert!(!run.err.contains("alice") && !run.err.contains(SECRET));
}

#[test]
fn something_else_than_a_receipt_is_none() {
    let service = Server::start(|request| {
        let request = RevocationRequest { id: "another".into(), ..read(&request) };
        receipt(&request)
    })
    .unwrap();
    let run = revoke(&service, &["--session", "s"]);
    assert_eq!(run.status, 1);
    assert!(run.out.contains("no receipt"), "{run:?}");
}

#[test]
fn a_target_is_needed_and_only_one() {
    let none = run(&["revoke", "--service", "http://127.0.0.1:1", "--token-env", "SECRET"], SECRET, b"");
    let both = ["revoke", "--service", "http://127.0.0.1:1", "--subject", "a", "--session", "b"];
    assert_eq!((none.status, run(&both, SECRET, b"").status), (2, 2));
}

#[test]
fn without_the_secret_nothing_is_sent() {
    let run = run(&["revoke", "--service", "http://127.0.0.1:1", "--subject", "a"], SECRET, b"");
    assert_eq!(run.status, 2);
    assert!(run.err.contains("REVOCATION_ADMIN_TOKEN"), "{run:?}");
}
