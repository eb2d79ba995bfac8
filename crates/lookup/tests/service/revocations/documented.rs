//! `docs/openapi.json` says what the service does: each answer is one that is described there, and each that is
//! described there is given.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use axum::body::Body;
use axum::http::{Request, header};
use jwe_gate_contract::{MAX_BODY_BYTES, REVOCATIONS_PATH, Shown, Target};
use jwe_gate_test_parts::postgres::Postgres;
use serde_json::{Value, json};

use super::{
    Answered, Cursor, RULES, Replica, bearer, by_admin, by_proxy, id, journal, question, request, shown, signed_get,
    signed_post,
};
use crate::support::users_with_id;

struct Document {
    root: Value,
    seen: BTreeSet<(String, String, u16)>,
    errors: BTreeSet<String>,
}

impl Document {
    fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
        let root = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        Self { root, seen: BTreeSet::new(), errors: BTreeSet::new() }
    }

    fn is_valid(&self, schema: &Value, value: &Value) -> Result<(), String> {
        // References are to this document.
        let schema = json!({ "components": self.root["components"], "allOf": [schema] });
        let validator = jsonschema::draft202012::new(&schema).unwrap();
        validator.validate(value).map_err(|error| format!("{error} at {}", error.instance_path()))
    }

    /// Checks an answer to a method and path against what is said of it.
    fn check(&mut self, method: &str, path: &str, answered: &Answered) {
        let status = answered.status.as_u16();
        let place = format!("{method} {path} {status}");
        let described = &self.root["paths"][path][method]["responses"][status.to_string()];
        assert!(described.is_object(), "{place} is not described: {answered:?}");
        for (name, header) in described["headers"].as_object().into_iter().flatten() {
            let value = answered.headers.get(name).unwrap_or_else(|| panic!("{place} has no {name}"));
            self.is_valid(&header["schema"], &value.to_str().unwrap().into()).unwrap();
        }
        match described["content"].as_object().and_then(|content| content.iter().next()) {
            None => assert!(answered.body.is_empty(), "{place}"),
            Some((content_type, content)) => {
                let found = answered.headers[header::CONTENT_TYPE].to_str().unwrap();
                assert_eq!(found.split(';').next(), Some(content_type.as_str()), "{place}");
                if content_type == "application/json" {
                    self.is_valid(&content["schema"], &answered.json()).unwrap_or_else(|why| panic!("{place}: {why}"));
                    self.errors.extend(answered.json()["error"].as_str().map(str::to_owned));
                    assert_eq!(answered.headers[header::CACHE_CONTROL], "no-store", "{place}");
                }
            }
        }
        self.seen.insert((path.to_owned(), method.to_owned(), status));
    }

    fn described(&self) -> BTreeSet<(String, String, u16)> {
        let mut all = BTreeSet::new();
        for (path, methods) in self.root["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                let statuses = operation["responses"].as_object().unwrap().keys();
                all.extend(statuses.map(|status| (path.clone(), method.clone(), status.parse().unwrap())));
            }
        }
        all
    }
}

fn delete(path: &str, authorization: &str) -> Request<Body> {
    Request::delete(path).header(header::AUTHORIZATION, authorization).body(Body::empty()).unwrap()
}

fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn each_answer_is_described_and_each_that_is_described_is_given() {
    const SESSIONS: &str = "/v1/subjects/{sub}/sessions";
    let mut postgres = Postgres::start().unwrap();
    let database = users_with_id(&postgres, "int4", &["7"]);
    let replica = Replica::start(&database, RULES);
    replica.is_ready().await;
    replica.readiness.set();
    let mut document = Document::read();

    let ids = [id(), id()];
    let session = || Target::Session { sid: "s".into() };
    let future = Shown { issued_at_ms: u64::MAX, ..shown("7", None) };
    let posts = [
        by_proxy(&request(&ids[0], Target::Shown(shown("7", Some("s"))))),
        by_proxy(&request(&ids[0], Target::Shown(shown("7", Some("s"))))),
        by_proxy(&request(&ids[0], Target::Shown(shown("7", Some("another"))))),
        by_admin(&request(&ids[1], Target::Subject { sub: "7".into() })),
        by_proxy(&request(&id(), session())),
        by_proxy(&request(&id(), Target::Shown(future))),
        by_admin(&request("short", session())),
        by_admin(&jwe_gate_contract::RevocationRequest { realm: "x".into(), ..request(&id(), session()) }),
        by_admin(&jwe_gate_contract::RevocationRequest { version: 2, ..request(&id(), session()) }),
        Request::post(REVOCATIONS_PATH).body(Body::empty()).unwrap(),
        signed_post(vec![b' '; MAX_BODY_BYTES + 1]),
    ];
    for post in posts {
        document.check("post", REVOCATIONS_PATH, &replica.send(post).await);
    }
    for path in ["/v1/subjects/7/sessions", "/v1/subjects/%ff/sessions"] {
        document.check("delete", SESSIONS, &replica.send(delete(path, &bearer())).await);
    }
    document.check("delete", SESSIONS, &replica.send(delete("/v1/subjects/7/sessions", "Bearer x")).await);

    let mut cursor = Cursor::default();
    while cursor.after < 3 {
        replica.follow(&mut cursor, 5_000).await;
    }
    // As the trigger does.
    let changed = "INSERT INTO jwe_gate_revocations SELECT 'default', 4, 'changed', 'changed', '7', 'database', 1, 0, 0, \
                   9700000000000; UPDATE jwe_gate_feed SET seq = 4";
    postgres.run_sql(&database, changed).unwrap();
    while cursor.after < 4 {
        replica.follow(&mut cursor, 5_000).await;
    }
    let everything = replica.ask(&Cursor::default(), 0).await;
    let kinds: BTreeSet<_> =
        everything.json()["entries"].as_array().unwrap().iter().map(|it| it["kind"].to_string()).collect();
    assert_eq!(kinds.len(), 3);
    document.check("get", REVOCATIONS_PATH, &everything);
    let target = question(&cursor, 0).target();
    for get in [signed_get(&target), get(&target), signed_get(&target.replace("version=1", "version=2"))] {
        document.check("get", REVOCATIONS_PATH, &replica.send(get).await);
    }
    for path in ["/livez", "/readyz", "/metrics"] {
        document.check("get", path, &replica.send(get(path)).await);
    }

    let off = Replica::without_revocations(&database);
    document.check("post", REVOCATIONS_PATH, &off.send(by_admin(&request(&id(), session()))).await);
    document.check("get", REVOCATIONS_PATH, &off.send(signed_get(&target)).await);
    document.check("delete", SESSIONS, &off.send(delete("/v1/subjects/7/sessions", &bearer())).await);

    postgres.kill();
    let fresh = Replica::on(std::sync::Arc::new(journal(&database)), &database, RULES);
    document.check("post", REVOCATIONS_PATH, &fresh.send(by_admin(&request(&id(), session()))).await);
    document.check("get", REVOCATIONS_PATH, &fresh.send(signed_get(&target)).await);
    document.check("get", "/readyz", &fresh.send(get("/readyz")).await);
    document.check("delete", SESSIONS, &fresh.send(delete("/v1/subjects/7/sessions", &bearer())).await);

    assert_eq!(document.seen, document.described());
    let codes = document.root["components"]["schemas"]["Problem"]["properties"]["error"]["enum"].as_array().unwrap();
    let codes: BTreeSet<_> = codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect();
    // Ten thousand who wait are more than a test should have.
    let tested: BTreeSet<_> = codes.into_iter().filter(|code| code != "busy").collect();
    assert_eq!(document.errors, tested);
}

#[test]
fn requests_are_described_as_they_are_read() {
    let document = Document::read();
    let schema = json!({ "$ref": "#/components/schemas/RevocationRequest" });
    let full = Shown { auth_time_ms: Some(1), ..shown("7", Some("s")) };
    for target in [
        Target::Session { sid: "s".into() },
        Target::Subject { sub: "7".into() },
        Target::Shown(shown("7", None)),
        Target::Shown(full),
    ] {
        let mut value = serde_json::to_value(request(&id(), target)).unwrap();
        document.is_valid(&schema, &value).unwrap();
        value["target"]["more"] = 1.into();
        assert!(document.is_valid(&schema, &value).is_err());
        assert!(serde_json::from_value::<jwe_gate_contract::RevocationRequest>(value).is_err());
    }
    let parameters = document.root["paths"][REVOCATIONS_PATH]["get"]["parameters"].as_array().unwrap();
    let named: BTreeSet<_> = parameters.iter().map(|parameter| parameter["name"].as_str().unwrap()).collect();
    let asked = serde_json::to_value(question(&Cursor { epoch: Some("e".into()), after: 1 }, 1)).unwrap();
    assert_eq!(named, asked.as_object().unwrap().keys().map(String::as_str).collect());
}
