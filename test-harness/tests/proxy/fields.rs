//! Fields of users on their whole way: from Postgres through the lookup service into headers, conditions and signed
//! identities, in a real Envoy.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jwe_gate_core::jws::Signer;
use jwe_gate_core::secret::Secret;
use jwe_gate_test_harness::chain::Service;
use jwe_gate_test_harness::token::{COOKIE, SECRET, now_ms};
use jwe_gate_test_harness::{Token, artefact};
use jwe_gate_test_parts::envoy::{Envoy, Launch};
use jwe_gate_test_parts::envoy_config::{Config, Filter, Listener};
use jwe_gate_test_parts::http::{Reply, get, send};
use jwe_gate_test_parts::postgres::Postgres;
use jwe_gate_test_parts::upstream::{Received, Upstream};
use serde_json::{Map, Value, json};

const LOOKUP_SECRET: &str = "a lookup secret for tests only";

/// RFC 8037 appendix A.1 and A.2.
const PRIVATE: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
const PUBLIC: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

const USERS: &str = "
CREATE TABLE users (id text PRIMARY KEY, role text, groups text[], customer_id int8, banned_until timestamptz);
INSERT INTO users VALUES ('alice', 'admin', '{ops,a b}', 7, now() - interval '1 day'), ('bob', 'guest', '{}', NULL, NULL),
    ('mallory', 'admin', '{ops}', 8, now() + interval '1 day'), ('walter', repeat('x', 3000), '{}', 9, NULL)";

struct Chain {
    // Fields drop in order: whoever asks goes before who is asked.
    envoy: Envoy,
    service: Service,
    _app: Upstream,
    _postgres: Postgres,
}

impl Chain {
    fn start() -> Self {
        let (postgres, app) = (Postgres::start().unwrap(), Upstream::start().unwrap());
        let database = postgres.schema().unwrap();
        postgres.run_sql(&database, USERS).unwrap();
        let variables = [
            ("JWE_GATE_LOOKUP_SECRET", LOOKUP_SECRET.to_owned()),
            ("DATABASE_URL", database.url()),
            ("USER_FIELDS", "role,groups,customer=customer_id".to_owned()),
            ("USER_BANNED_FIELD", "banned_until".to_owned()),
            ("IDENTITY_PUBLIC_KEYS", PUBLIC.to_owned()),
        ];
        let variables: BTreeMap<_, _> = variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let service = Service::start(Path::new(env!("CARGO_BIN_EXE_lookup-service")), variables).unwrap();
        let filter = Filter::new(&artefact::path(), &gate().to_string());
        let filter = filter.variable("AUTH_SECRET", SECRET).variable("IDENTITY_KEY", PRIVATE);
        let listener =
            Listener::to_cluster("gate", "app").filter(filter.variable("JWE_GATE_LOOKUP_SECRET", LOOKUP_SECRET));
        let config = Config::new().cluster("app", app.address()).cluster("lookup", service.address());
        let envoy = Envoy::start(&Launch::new(config.listener(listener).build())).unwrap();
        Self { envoy, service, _app: app, _postgres: postgres }
    }

    /// Each time with another token, which the gate does not know yet.
    fn visit(&self, user: &str, path: &str) -> Reply {
        let cookie = Token::of(user, now_ms()).pair();
        send(self.envoy.address("gate"), get(path, &[("cookie", &cookie), ("connection", "close")])).unwrap()
    }
}

fn gate() -> Value {
    json!({
        "version": 1,
        "sessions": [{ "profile": "authjs", "cookie": COOKIE }],
        "lookup": { "cluster": "lookup", "fields": ["role", "groups", "customer"] },
        "routes": [
            {
                "paths": [{ "prefix": "/admin" }],
                "access": "required",
                "conditions": [{ "field": "role", "equals": "admin" }, { "field": "groups", "contains": "ops" }],
            },
            { "access": "required" },
        ],
        "identity": {
            "headers": {
                "x-user-id": "sub",
                "x-user-role": { "field": "role" },
                "x-user-groups": { "field": "groups" },
                "x-user-customer": { "field": "customer" },
            },
            "jwt": {
                "key": { "env": "IDENTITY_KEY" },
                "issuer": "gate",
                "audience": "app",
                "claims": { "role": { "field": "role" } },
            },
        },
    })
}

fn decode(part: &str) -> Map<String, Value> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[test]
fn what_the_database_says_of_a_user_reaches_headers_conditions_and_signed_identities() {
    let mut chain = Chain::start();
    for (user, path, status) in [
        ("alice", "/admin", 200),
        ("bob", "/", 200),
        ("bob", "/admin", 403),
        ("mallory", "/", 403),
        ("nobody", "/", 403),
        // A field that is too large is not cut off.
        ("walter", "/", 503),
    ] {
        let reply = chain.visit(user, path);
        assert_eq!(reply.status, status, "{user} {path}: {}\n{}", reply.text(), chain.service.log());
    }

    let keys = send(chain.service.address(), get("/.well-known/jwks.json", &[("connection", "close")])).unwrap();
    let keys: Value = serde_json::from_str(&keys.text()).unwrap();

    // From the gate's own records.
    chain.service.kill();
    let received = Received::from_reply(&chain.visit("alice", "/admin")).unwrap();
    assert_eq!(received.only("x-user-id"), Some("alice"));
    assert_eq!(received.only("x-user-role"), Some("admin"));
    assert_eq!(received.only("x-user-groups"), Some("ops,a b"));
    assert_eq!(received.only("x-user-customer"), Some("7"));
    let token = received.only("x-identity-jwt").unwrap();
    let [header, claims, _signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!("{token}") };
    assert_eq!(decode(header)["kid"], keys["keys"][0]["kid"]);
    let claims = decode(claims);
    let said = ["sub", "iss", "aud", "role"].map(|name| claims[name].as_str().unwrap());
    assert_eq!(said, ["alice", "gate", "app", "admin"]);
    // One key and one text have one signature.
    assert_eq!(Signer::new(&Secret::new(PRIVATE)).unwrap().sign(&claims), token);

    let received = Received::from_reply(&chain.visit("bob", "/")).unwrap();
    assert_eq!((received.only("x-user-role"), received.only("x-user-customer")), (Some("guest"), None));
    assert_eq!(chain.visit("bob", "/admin").status, 403);
    assert_eq!(chain.visit("mallory", "/").status, 403);
}
