//! Who is answered, and what.

use axum::http::StatusCode;
use jwe_gate_contract::{
    Cause, Kind, LookupQuestion, LookupSecret, MAX_BODY_BYTES, MAX_QUESTIONS, Outcome, Question, Reason, VERSION,
};
use jwe_gate_lookup::http::KeySet;
use jwe_gate_lookup::store::SqliteStore;
use jwe_gate_test_parts::scratch::Scratch;

use crate::support::{SECRET, World, assert_allows, assert_denies, question};

async fn world() -> (World, Scratch) {
    let scratch = Scratch::new().unwrap();
    let store = SqliteStore::open(&scratch.path().join("users.sqlite")).await.unwrap();
    store.add_user("7").await.unwrap();
    (World::new(store), scratch)
}

fn message(version: u32, questions: Vec<Question>) -> Vec<u8> {
    serde_json::to_vec(&LookupQuestion { version, deadline_ms: 1_000, questions }).unwrap()
}

fn sign(body: &[u8]) -> String {
    LookupSecret::new(SECRET).unwrap().sign_question(body)
}

#[tokio::test]
async fn an_unsigned_or_wrongly_signed_message_gets_401_and_no_word_more() {
    let (world, _scratch) = world().await;
    let body = message(VERSION, vec![question(Kind::Subject, "7")]);
    let other = LookupSecret::new("another secret for tests").unwrap().sign_question(&body);
    let as_answer = LookupSecret::new(SECRET).unwrap().sign_answer(&body);
    let of_another_body = sign(b"{}");
    for mac in [None, Some(""), Some("x"), Some(&other), Some(&as_answer), Some(&of_another_body)] {
        let response = world.post(body.clone(), mac.map(|mac: &str| mac)).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{mac:?}");
        assert!(axum::body::to_bytes(response.into_body(), 1_000).await.unwrap().is_empty());
    }
    assert_eq!(world.count(&["rejected_messages", "reason=\"unsigned\""]), 6);
    assert_eq!(world.queries(), 0);
}

#[tokio::test]
async fn a_signed_message_that_is_no_question_of_this_version_is_refused() {
    let (world, _scratch) = world().await;
    let too_many = (0..=MAX_QUESTIONS).map(|_| question(Kind::Subject, "7")).collect();
    let table = [
        (message(2, vec![]), "version"),
        (br#"{"version": 2, "something": "new"}"#.to_vec(), "version"),
        (b"<html>".to_vec(), "malformed"),
        (br#"{"version": 1, "deadline_ms": -1, "questions": []}"#.to_vec(), "malformed"),
        (message(VERSION, too_many), "too_many"),
    ];
    for (body, reason) in table {
        let response = world.post(body.clone(), Some(&sign(&body))).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{reason}");
        assert!(world.count(&["rejected_messages", &format!("reason=\"{reason}\"")]) > 0, "{reason}");
    }
    let large = vec![b' '; MAX_BODY_BYTES + 1];
    assert_eq!(world.post(large.clone(), Some(&sign(&large))).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn other_realms_and_fields_are_not_served_and_do_not_disturb_the_rest() {
    let (world, _scratch) = world().await;
    let good = question(Kind::Subject, "7");
    let realm = Question { realm: "other".into(), ..question(Kind::Subject, "7") };
    let fields = Question { fields: vec!["email".into()], ..question(Kind::Subject, "7") };
    let outcomes = world.ask(vec![realm, good, fields]).await;
    let unsupported = Outcome::Failed { cause: Cause::Unsupported };
    assert_eq!((&outcomes[0], &outcomes[2]), (&unsupported, &unsupported));
    assert_allows(&outcomes[1], "7");
}

#[tokio::test]
async fn no_questions_get_no_answers_and_equal_questions_get_equal_ones() {
    let (world, _scratch) = world().await;
    assert!(world.ask(vec![]).await.is_empty());
    let outcomes =
        world.ask(vec![question(Kind::Subject, "7"), question(Kind::Subject, "7"), question(Kind::Opaque, "7")]).await;
    assert_allows(&outcomes[0], "7");
    assert_allows(&outcomes[1], "7");
    assert_denies(&outcomes[2], Reason::UnknownSession);
    assert_eq!(world.count(&["database_queries", "kind=\"subject\""]), 1);
}

#[tokio::test]
async fn an_answer_is_never_stored_by_a_cache_on_the_way() {
    let (world, _scratch) = world().await;
    let body = message(VERSION, vec![question(Kind::Subject, "7")]);
    let response = world.post(body.clone(), Some(&sign(&body))).await;
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(response.headers()["content-type"], "application/json");
}

#[tokio::test]
async fn an_answer_promises_only_what_remains_of_the_limits() {
    let (world, _scratch) = world().await;
    let Outcome::Allow { as_of_ms: first, .. } = world.subject("7").await else { panic!() };
    world.clock.advance(std::time::Duration::from_secs(400));
    let Outcome::Allow { limits, as_of_ms, .. } = world.subject("7").await else { panic!() };
    assert_eq!((as_of_ms, world.answers_from("memory")), (first, 1));
    assert!(limits.fresh_ms <= 200_000 && limits.fresh_ms > 180_000, "{limits:?}");
    assert!(limits.stale_ms <= 260_000 && limits.hard_ms <= 3_800_000, "{limits:?}");
    world.clock.advance(std::time::Duration::from_secs(201));
    world.subject("7").await;
    assert_eq!(world.queries(), 2);
}

#[tokio::test]
async fn public_keys_are_published_for_all_and_for_a_while() {
    let (world, _scratch) = world().await;
    assert_eq!(world.get("/.well-known/jwks.json").await.status(), StatusCode::NOT_FOUND);

    // The keys of RFC 8037 appendix A.2 and of RFC 8032 section 7.1, TEST 2.
    let keys = ["11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw"];
    let set = KeySet::new(&keys.map(|key| key.parse().unwrap()));
    let response = world.publishing(set).get("/.well-known/jwks.json").await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "application/jwk-set+json");
    assert_eq!(response.headers()["cache-control"], "public, max-age=300");
    let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let kids: Vec<_> = body["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap()).collect();
    assert_eq!(kids[0], "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    assert_eq!(kids.len(), 2);
    for (key, x) in body["keys"].as_array().unwrap().iter().zip(keys) {
        assert_eq!((&key["x"], &key["kty"], &key["crv"]), (&x.into(), &"OKP".into(), &"Ed25519".into()));
        assert_eq!((&key["use"], &key["alg"]), (&"sig".into(), &"EdDSA".into()));
    }
}

#[tokio::test]
async fn the_metrics_page_counts_answers_and_times_queries_and_names_nobody() {
    let (world, _scratch) = world().await;
    world.subject("7").await;
    world.subject("somebody").await;
    let response = world.get("/metrics").await;
    assert_eq!(response.headers()["content-type"], "text/plain; version=0.0.4");
    let page = axum::body::to_bytes(response.into_body(), 100_000).await.unwrap();
    let page = std::str::from_utf8(&page).unwrap();
    for line in [
        r#"jwe_gate_lookup_answers_total{verdict="allow",layer="database"} 1"#,
        r#"jwe_gate_lookup_answers_total{verdict="deny",layer="database"} 1"#,
        r#"jwe_gate_lookup_database_queries_total{kind="subject",result="ok"} 2"#,
        r#"jwe_gate_lookup_database_seconds_count{kind="subject"} 2"#,
        r#"jwe_gate_lookup_database_seconds_bucket{kind="subject",le="+Inf"} 2"#,
    ] {
        assert!(page.contains(line), "{line}\n{page}");
    }
    assert!(!page.contains("somebody"));
}
