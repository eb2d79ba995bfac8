//! `jwe-gate warm` against services and proxies that do not do as they should. Against real ones: the test harness.

use std::sync::{Arc, Mutex};

use jwe_gate_contract::{
    Answer, Cause, Limits, LookupAnswer, LookupQuestion, LookupSecret, MAC_HEADER, Outcome, Reason, VERSION,
};
use jwe_gate_test_parts::server::{self, Server};

use crate::common::{Run, SECRET, TempFile, run};

const USERS: &str = "alice\n\nbob\r\ncarol";

#[test]
fn it_counts_who_is_known_and_names_nobody() {
    let service = service(|user| match user {
        "bob" => deny(),
        user => allow(user),
    });
    let run = warm(&service, &[]);
    assert_eq!((run.status, run.out.as_str()), (0, "lookups: 3 asked, 2 allowed, 1 unknown, 0 failed\n"), "{run:?}");
}

#[test]
fn each_cause_of_failure_is_told_from_the_others() {
    let service = service(|user| match user {
        "alice" => Outcome::Failed { cause: Cause::Late },
        "bob" => Outcome::Failed { cause: Cause::Unavailable },
        _ => allow("somebody else"),
    });
    let run = warm(&service, &[]);
    assert_eq!(run.status, 1);
    assert!(run.out.starts_with("lookups: 3 asked, 0 allowed, 0 unknown, 3 failed\n"), "{run:?}");
    for cause in ["1 late", "1 unavailable", "1 answered with another user"] {
        assert!(run.out.contains(cause), "{cause}: {run:?}");
    }
}

#[test]
fn an_answer_that_is_not_the_services_is_believed_by_nobody() {
    let unsigned = Server::start(|_| server::Answer::new("application/json", "{}")).unwrap();
    let foreign = Server::start(|request| {
        let body = answers(&request.body, &|user| allow(user));
        let mac = LookupSecret::new("a secret that nobody shares").unwrap().sign_answer(&body);
        server::Answer::new("application/json", body).header(MAC_HEADER, mac)
    })
    .unwrap();
    for service in [unsigned, foreign] {
        let run = warm(&service, &[]);
        assert_eq!(run.status, 1, "{run:?}");
        assert!(run.out.contains("3 with an answer that is not the service's"), "{run:?}");
    }
}

#[test]
fn pages_are_asked_for_as_the_known_users_alone() {
    let service = service(|user| if user == "bob" { deny() } else { allow(user) });
    let cookies: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&cookies);
    let proxy = Server::start(move |request| {
        let (_, cookie) = request.headers.iter().find(|(name, _)| name == "cookie").unwrap();
        seen.lock().unwrap().push(String::from_utf8(cookie.clone()).unwrap());
        server::Answer::new("text/plain", "the page")
    })
    .unwrap();
    let page = format!("http://{}/content/page", proxy.address());
    let run = warm(&service, &["--page", &page]);
    assert_eq!(run.status, 0, "{run:?}");
    assert!(run.out.ends_with(&format!("{page}: 2 asked, 2 allowed, 0 unknown, 0 failed\n")), "{run:?}");
    // They are what the filter accepts.
    let config = configuration();
    let mut subjects: Vec<_> = cookies.lock().unwrap().iter().map(|cookie| inspected(&config, cookie)).collect();
    subjects.sort();
    assert_eq!(subjects, ["alice", "carol"]);
}

#[test]
fn a_proxy_that_refuses_or_fails_is_a_failure() {
    let service = service(allow);
    for (status, words) in [(401, "3 401: the proxy"), (503, "3 503: the proxy"), (500, "3 with a status of 500")] {
        let proxy = Server::start(move |_| {
            let mut answer = server::Answer::new("text/plain", "no");
            answer.status = status;
            answer
        })
        .unwrap();
        let run = warm(&service, &["--page", &format!("http://{}/", proxy.address())]);
        assert_eq!(run.status, 1, "{run:?}");
        assert!(run.out.contains(words), "{run:?}");
    }
    let gone = Server::start(|_| server::Answer::new("text/plain", "")).unwrap().address();
    let run = warm(&service, &["--page", &format!("http://{gone}/")]);
    assert!(run.status == 1 && run.out.contains("without an answer"), "{run:?}");
}

#[test]
fn what_cannot_be_asked_is_told_from_what_failed() {
    let file = TempFile::new(r#"{"sessions": [{"profile": "authjs", "cookie": "c", "secrets": [{"env": "SECRET"}]}]}"#);
    let run = run(&["warm", "--config", file.path(), "--lookup", "http://127.0.0.1:1"], SECRET, b"alice");
    assert_eq!(run.status, 2);
    assert!(run.err.contains("has no lookup"), "{run:?}");
}

fn warm(service: &Server, more: &[&str]) -> Run {
    let file = TempFile::new(&configuration());
    let lookup = format!("http://{}", service.address());
    let run = run(&[&["warm", "--config", file.path(), "--lookup", &lookup], more].concat(), SECRET, USERS.as_bytes());
    for name in ["alice", "bob", "carol", SECRET, "ey"] {
        assert!(!run.out.contains(name) && !run.err.contains(name), "{name} is printed: {run:?}");
    }
    run
}

fn configuration() -> String {
    r#"{"sessions": [{"profile": "authjs", "cookie": "authjs.session-token", "secrets": [{"env": "SECRET"}],
        "issuer": "https://localhost", "audience": "the app"}],
        "lookup": {"cluster": "c", "authority": "a", "secret": {"env": "SECRET"}}}"#
        .to_owned()
}

fn inspected(config: &str, cookie: &str) -> String {
    let file = TempFile::new(config);
    let run = run(&["inspect", "--config", file.path()], SECRET, cookie.as_bytes());
    assert_eq!(run.status, 0, "{run:?}");
    run.json().get("sub").unwrap().as_str().unwrap().to_owned()
}

fn service(outcome: impl Fn(&str) -> Outcome + Send + Sync + 'static) -> Server {
    Server::start(move |request| {
        let secret = LookupSecret::new(SECRET).unwrap();
        let (_, mac) = request.headers.iter().find(|(name, _)| name == MAC_HEADER).unwrap();
        assert!(secret.is_question(&request.body, mac));
        let body = answers(&request.body, &outcome);
        let mac = secret.sign_answer(&body);
        server::Answer::new("application/json", body).header(MAC_HEADER, mac)
    })
    .unwrap()
}

fn answers(question: &[u8], outcome: &dyn Fn(&str) -> Outcome) -> Vec<u8> {
    let question: LookupQuestion = serde_json::from_slice(question).unwrap();
    let answers = question.questions.into_iter().map(|question| {
        let outcome = outcome(&question.key);
        Answer { realm: question.realm, kind: question.kind, key: question.key, nonce: question.nonce, outcome }
    });
    serde_json::to_vec(&LookupAnswer { version: VERSION, answers: answers.collect() }).unwrap()
}

fn allow(user: &str) -> Outcome {
    Outcome::Allow { user: user.to_owned(), as_of_ms: 1, limits: LIMITS, fields: std::collections::BTreeMap::new() }
}

fn deny() -> Outcome {
    Outcome::Deny { reason: Reason::UnknownUser, as_of_ms: 1, limits: LIMITS }
}

const LIMITS: Limits = Limits { fresh_ms: 1, stale_ms: 1, hard_ms: 1 };
