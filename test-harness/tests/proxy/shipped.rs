//! The shipped Envoy configuration as it stands: what it logs, which routes are open, and which headers get through.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use jwe_gate_test_harness::chain::{COOKIE, Chain, Plan, cookie};
use jwe_gate_test_parts::http::get;
use jwe_gate_test_parts::upstream::Received;
use serde_json::Value;

#[test]
fn the_access_log_says_why_and_of_whom_no_more_than_a_hash() {
    let chain = chain();
    let (first, again, stranger) = (cookie(ALICE), cookie(ALICE), cookie("mallory@example.org"));
    let forged = format!("{COOKIE}=eyJhbGciOiJkaXIifQ..AAAA.AAAA.AAAA");
    for (path, cookie) in
        [("/first?code=swordfish", &first), ("/again", &again), ("/stranger", &stranger), ("/forged", &forged)]
    {
        let _ = chain.get(path, &[("cookie", cookie)]);
    }
    let _ = chain.get("/nobody", &[]);

    let entry = |path: &str| logged(&chain, path);
    let alice = entry("/first");
    assert_eq!((&alice["status"], &alice["gate_reason"]), (&200.into(), &"ok".into()));
    let hash = alice["gate_subject"].as_str().unwrap();
    assert!(hash.len() >= 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{hash}");
    assert_eq!(entry("/again")["gate_subject"], alice["gate_subject"], "one user has one hash");
    for (path, status, reason) in
        [("/stranger", 403, "unknown_user"), ("/forged", 401, "header_invalid"), ("/nobody", 401, "no_token")]
    {
        let entry = entry(path);
        assert_eq!((&entry["status"], &entry["gate_reason"]), (&status.into(), &reason.into()), "{entry}");
        let is_known =
            entry["gate_subject"].as_str().is_some_and(|subject| subject.len() == hash.len() && subject != hash);
        assert_eq!(is_known, path == "/stranger", "{entry}");
    }

    let log = chain.envoy.log();
    for secret in [ALICE, "mallory", "swordfish", token(&first), token(&again), token(&stranger), token(&forged)] {
        assert!(!log.contains(secret), "{secret:?} is in the log");
    }
}

#[test]
fn the_health_route_answers_without_a_session_and_everything_else_asks_for_one() {
    let chain = chain();
    let health = chain.get("/healthz", &[]);
    assert_eq!((health.status, health.text().as_str()), (200, "ok\n"));
    for path in ["/", "/healthz/", "/healthz/x", "/healthz%2f", "/HEALTHZ", "/x/../admin", "//healthz/.."] {
        let reply = chain.get(path, &[]);
        assert!(matches!(reply.status, 400 | 401), "{path}: {}", reply.status);
    }
    // With a query it is the same route, and nothing of the app is behind it.
    assert_eq!(chain.get("/healthz?x=/admin", &[]).text(), "ok\n");
}

#[test]
fn an_identity_that_the_client_claims_never_arrives() {
    let chain = chain();
    let cookie = cookie(ALICE);
    let spoofed = ["X-User-Id", "x-user-id", "X-USER-ID", "x-user-roles", "X-User-Email", "x-jwe-gate-bypass"];
    for name in spoofed {
        let reply = chain.get("/", &[(name, "admin"), ("cookie", &cookie), (name, "root")]);
        let received = Received::from_reply(&reply).unwrap();
        assert_eq!(received.all("x-user-id"), [ALICE], "{name}");
        assert!(!format!("{received:?}").contains("admin") && !format!("{received:?}").contains("root"), "{name}");
        // By itself it is nothing.
        assert_eq!(chain.get("/", &[(name, "admin")]).status, 401, "{name}");
    }
    let named_in_connection = [("cookie", cookie.as_str()), ("connection", "x-user-id"), ("x-user-id", "admin")];
    assert_eq!(Received::from_reply(&chain.get("/", &named_in_connection)).unwrap().all("x-user-id"), [ALICE]);
}

#[test]
fn headers_that_some_apps_read_as_the_identity_are_refused() {
    let chain = chain();
    let cookie = cookie(ALICE);
    for name in ["x_user_id", "X_User_Id", "x-user_id"] {
        let reply = chain.get("/", &[(name, "admin"), ("cookie", &cookie)]);
        assert_eq!(reply.status, 400, "{name}");
        assert!(Received::from_reply(&reply).is_err(), "{name}: the app was asked");
    }
}

/// The session cookie itself reaches the app, which reads it too; the cookies beside it are not the gate's business.
#[test]
fn what_the_gate_accepted_arrives_unchanged() {
    let chain = chain();
    let cookie = cookie(ALICE);
    let received = Received::from_reply(&chain.get("/a%20b?c=d", &[("cookie", &cookie), ("x-own", "1")])).unwrap();
    assert_eq!(received.line, "GET /a%20b?c=d HTTP/1.1");
    assert_eq!((received.only("cookie"), received.only("x-own")), (Some(cookie.as_str()), Some("1")));
}

const ALICE: &str = "alice@example.org";

fn token(cookie: &str) -> &str {
    cookie.rsplit('=').next().unwrap()
}

/// The entry of a request for `path`. Envoy writes them now and then.
fn logged(chain: &Chain, path: &str) -> Value {
    let start = Instant::now();
    loop {
        let log = chain.envoy.log();
        let mut entries = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        if let Some(entry) = entries.find(|entry| entry["path"] == path) {
            return entry;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "no entry of {path} in the access log:\n{log}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// One for all tests of this file, which leave it as it is.
fn chain() -> Arc<Chain> {
    static SHARED: Mutex<Weak<Chain>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(chain) = shared.upgrade() {
        return chain;
    }
    let users = format!("INSERT INTO \"user\" (id) VALUES ('{ALICE}')");
    let chain = Arc::new(Plan::new(env!("CARGO_BIN_EXE_lookup-service"), "drizzle", users).start());
    *shared = Arc::downgrade(&chain);
    chain
}

#[test]
fn two_requests_on_one_connection_are_told_apart() {
    let chain = chain();
    let mut connection = chain.connect();
    let cookie = cookie(ALICE);
    for _ in 0..2 {
        assert_eq!(connection.send(get("/", &[("cookie", &cookie)])).unwrap().status, 200);
        assert_eq!(connection.send(get("/", &[])).unwrap().status, 401);
    }
}
