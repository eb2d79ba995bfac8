//! Who may do what, and what is refused.

use axum::body::Body;
use axum::http::{Request, header};
use jwe_gate_contract::{MAC_HEADER, REVOCATIONS_PATH, RevocationRequest, Shown, Target, VERSION};

use super::{
    Cursor, RULES, Replica, bearer, by_admin, by_proxy, id, now_ms, question, request, shown, signed_get, signed_post,
};
use crate::support::{World, postgres, schema, store, users_with_id};

fn sid() -> Target {
    Target::Session { sid: "s".into() }
}

fn subject(sub: impl Into<String>) -> Target {
    Target::Subject { sub: sub.into() }
}

fn delete(sub: &str, authorization: Option<&str>) -> Request<Body> {
    let delete = Request::delete(format!("/v1/subjects/{sub}/sessions"));
    let delete = authorization.iter().fold(delete, |delete, value| delete.header(header::AUTHORIZATION, *value));
    delete.body(Body::empty()).unwrap()
}

fn with(mut request: Request<Body>, name: &'static str, value: &str) -> Request<Body> {
    request.headers_mut().append(name, value.parse().unwrap());
    request
}

/// A body that asks for a subject, with this field in place.
fn body(field: &str, value: serde_json::Value) -> Vec<u8> {
    let mut body = serde_json::to_value(request(&id(), Target::Shown(shown("7", None)))).unwrap();
    body[field] = value;
    serde_json::to_vec(&body).unwrap()
}

#[tokio::test]
async fn proxies_and_administrators_do_what_they_may_and_nobody_else_does_anything() {
    let postgres = postgres();
    let database = users_with_id(&postgres, "int4", &["7"]);
    let replica = Replica::start(&database, RULES);
    replica.is_ready().await;
    let feed = question(&Cursor::default(), 0).target();
    let unsigned = |request: RevocationRequest| {
        Request::post(REVOCATIONS_PATH).body(Body::from(serde_json::to_vec(&request).unwrap())).unwrap()
    };
    let authorization = header::AUTHORIZATION.as_str();
    let long = "x".repeat(1_025);
    let cases = [
        ("a proxy names a session", by_proxy(&request(&id(), sid())), 403, "forbidden"),
        ("a proxy names a subject", by_proxy(&request(&id(), subject("7"))), 403, "forbidden"),
        ("an administrator shows", by_admin(&request(&id(), Target::Shown(shown("7", None)))), 403, "forbidden"),
        ("nobody", unsigned(request(&id(), sid())), 401, "unauthorized"),
        ("nobody, not even a body", Request::post(REVOCATIONS_PATH).body(Body::empty()).unwrap(), 401, "unauthorized"),
        (
            "another secret",
            with(unsigned(request(&id(), sid())), authorization, &"Bearer x".repeat(8)),
            401,
            "unauthorized",
        ),
        (
            "another scheme",
            with(unsigned(request(&id(), sid())), authorization, &bearer().replace("Bearer", "Basic")),
            401,
            "unauthorized",
        ),
        ("two secrets", with(by_admin(&request(&id(), sid())), authorization, &bearer()), 401, "unauthorized"),
        ("two credentials", with(by_proxy(&request(&id(), sid())), authorization, &bearer()), 401, "unauthorized"),
        (
            "a MAC of another kind",
            with(
                unsigned(request(&id(), sid())),
                MAC_HEADER,
                signed_get(&feed).headers()[MAC_HEADER].to_str().unwrap(),
            ),
            401,
            "unauthorized",
        ),
        ("no JSON", signed_post(b"<html>".to_vec()), 400, "malformed"),
        ("an unknown field", signed_post(body("only_on", "phone".into())), 400, "malformed"),
        ("another version", signed_post(body("version", (VERSION + 1).into())), 400, "version"),
        ("another realm", signed_post(body("realm", "another".into())), 400, "realm"),
        ("a short id", signed_post(body("id", "short".into())), 400, "malformed"),
        ("an id of other letters", signed_post(body("id", "0123456789abcdef ".into())), 400, "malformed"),
        ("an empty sub", by_admin(&request(&id(), subject(""))), 400, "malformed"),
        ("a NUL", by_admin(&request(&id(), subject("7\0"))), 400, "malformed"),
        ("a long sub", by_admin(&request(&id(), subject(long.as_str()))), 400, "malformed"),
        ("a long sid", by_proxy(&request(&id(), Target::Shown(shown("7", Some(&long))))), 400, "malformed"),
        ("delete without a secret", delete("7", None), 401, "unauthorized"),
        ("delete with another", delete("7", Some("Bearer x")), 401, "unauthorized"),
        ("delete what is no text", delete("%ff", Some(&bearer())), 400, "malformed"),
        ("delete a NUL", delete("7%00", Some(&bearer())), 400, "malformed"),
        ("follow unsigned", Request::get(&feed).body(Body::empty()).unwrap(), 401, "unauthorized"),
        (
            "follow as an administrator",
            with(Request::get(&feed).body(Body::empty()).unwrap(), authorization, &bearer()),
            401,
            "unauthorized",
        ),
        (
            "follow something else than was signed",
            with(
                Request::get(format!("{feed}&after=1")).body(Body::empty()).unwrap(),
                MAC_HEADER,
                signed_get(&feed).headers()[MAC_HEADER].to_str().unwrap(),
            ),
            401,
            "unauthorized",
        ),
        ("follow another realm", signed_get(&feed.replace("realm=default", "realm=x")), 400, "realm"),
        ("follow in another version", signed_get(&feed.replace("version=1", "version=2")), 400, "version"),
        (
            "follow without a nonce",
            signed_get(&format!("{REVOCATIONS_PATH}?version=1&realm=default")),
            400,
            "malformed",
        ),
    ];
    for (name, request, status, error) in cases {
        let answered = replica.send(request).await;
        assert_eq!(answered.error(), (status, error.into()), "{name}");
        assert!(!answered.headers.contains_key(MAC_HEADER), "{name}");
        assert_eq!(answered.headers.contains_key(header::WWW_AUTHENTICATE), status == 401, "{name}");
    }
    assert_eq!(postgres.run_sql(&database, "SELECT count(*) FROM jwe_gate_revocations").unwrap(), "0");
}

#[tokio::test]
async fn a_session_that_can_be_no_live_one_is_not_ended() {
    let postgres = postgres();
    let replica = Replica::start(&users_with_id(&postgres, "int4", &["7"]), RULES);
    replica.is_ready().await;
    let month = 30 * 24 * 3_600_000;
    for (issued_at_ms, status) in [
        (now_ms() + 120_000, 422),
        (u64::MAX, 422),
        (now_ms() - month - 120_000, 422),
        (0, 422),
        (now_ms() + 15_000, 201),
        (now_ms() - month, 201),
    ] {
        let answered = replica.show(&id(), Shown { issued_at_ms, ..shown("7", None) }).await;
        assert_eq!(answered.status.as_u16(), status, "{issued_at_ms}");
    }
}

#[tokio::test]
async fn where_revocations_are_off_there_are_none() {
    let postgres = postgres();
    let database = users_with_id(&postgres, "int4", &["7"]);
    let world = World::new(store(&database, schema("pg-adapter")));
    let response = world.get(&question(&Cursor::default(), 0).target()).await;
    assert_eq!(response.status().as_u16(), 404);
    assert_eq!(postgres.run_sql(&database, "SELECT to_regclass('jwe_gate_feed')").unwrap(), "");
}
