//! The short way and the long way, side by side: whatever the one admits, the other would have admitted just so.

use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::config::Config;
use crate::gate::{Effects, Event};
use crate::jwe::seal::{HeaderForm, Recipe};
use crate::jwe::{Encryption, KeyRing, Profile};
use crate::secret::Secret;
use crate::shared::{Cas, QueueId, SharedData, SharedKey};

const SECRET: &str = "a secret for tests, and for nothing else";
const COOKIES: [&str; 2] = ["authjs.session-token", "other.session-token"];
const NOW: UnixMillis = UnixMillis::from_seconds(1_000_000);

/// Nothing is shared.
struct Alone;

impl SharedData for Alone {
    fn get(&self, _key: &SharedKey) -> (Option<Vec<u8>>, Cas) {
        (None, Cas::Absent)
    }

    fn put(&self, _key: &SharedKey, _value: &[u8], _cas: Cas) -> bool {
        true
    }

    fn queue(&self) -> Option<QueueId> {
        None
    }
}

struct Headers(HeaderMap);

impl RequestHeaders for Headers {
    fn map(&self) -> &HeaderMap {
        &self.0
    }

    fn client(&self) -> Option<Vec<u8>> {
        None
    }

    fn are_complete(&self) -> bool {
        true
    }
}

/// Numbers that look random and are the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.roll() % of.len()]
    }

    fn once_in(&mut self, times: usize) -> bool {
        self.roll().is_multiple_of(times)
    }
}

fn token(cookie: &str, subject: &str, role: &str, seconds: u64) -> String {
    let ring = KeyRing::derive(Profile::AuthJs, None, cookie, &[Secret::new(SECRET)]).unwrap();
    let recipe = Recipe { secret: 0, encryption: Encryption::A256CbcHs512, header: HeaderForm::Kid, iv: &[7; 16] };
    let issued = NOW.0 / 1000;
    let claims = json!({ "sub": subject, "roles": [role], "iat": issued, "exp": issued + seconds });
    ring.seal(&recipe, claims.to_string().as_bytes()).unwrap()
}

fn configurations() -> Vec<serde_json::Value> {
    let plain = json!({
        "sessions": COOKIES.map(|cookie| json!({ "profile": "authjs", "cookie": cookie, "name": cookie })),
        "bypass": { "value": "a-value-for-the-bypass-of-tests" },
        "identity": { "headers": { "x-user-id": "sub", "x-user-roles": { "claim": "roles" } } },
        "routes": [
            { "paths": [{ "prefix": "/open" }], "access": "open" },
            { "paths": [{ "prefix": "/maybe" }], "access": "optional" },
            { "hosts": ["other.test"], "access": "required", "sessions": [COOKIES[1]] },
            { "paths": [{ "prefix": "/admin" }], "access": "required", "conditions": [{ "claim": "roles", "contains": "admin" }] },
            { "paths": [{ "prefix": "/tried" }], "access": "required", "report": true },
            { "methods": ["DELETE"], "access": "required", "conditions": [{ "claim": "roles", "contains": "admin" }] },
            { "access": "required" },
        ],
    });
    let changed = |pointer: &str, value: serde_json::Value| {
        let mut configuration = plain.clone();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        configuration.pointer_mut(parent).unwrap()[name] = value;
        configuration
    };
    vec![
        plain.clone(),
        changed("/identity/remove_cookie", json!(true)),
        changed("/identity/remove_authorization", json!(true)),
        changed(
            "/access_log",
            json!({ "subject": "hash", "rule": true, "cache": true, "verdict": true, "session": true }),
        ),
        changed("/host", json!("nginx")),
    ]
}

fn gate(configuration: &serde_json::Value) -> Gate {
    let environment = |name: &str| (name == "AUTH_SECRET").then(|| SECRET.to_owned());
    let config = Config::from_json(configuration.to_string().as_bytes(), &environment).unwrap();
    Gate::new(Policy::compile(config).unwrap(), [3; 16])
}

fn cookie_lines() -> Vec<Vec<String>> {
    let [one, other] = COOKIES;
    let alice = token(one, "alice", "admin", 3600);
    let bob = token(one, "bob", "user", 30);
    let carol = token(other, "carol", "user", 3600);
    let (start, end) = bob.split_at(bob.len() / 2);
    [
        vec![format!("{one}={alice}")],
        vec![format!("theme=dark; {one}={alice}; lang=en")],
        vec![format!("{one}={alice}; {other}={carol}")],
        vec![format!("{other}={carol}; x=y")],
        vec![format!("{one}={bob}")],
        vec![format!("{one}.0={start}; {one}.1={end}")],
        vec![format!("{one}={alice}; {one}={bob}")],
        vec![format!("{one}={alice}; {one}X=1")],
        vec![format!("{one}={alice}"), "theme=dark".to_owned()],
        vec![format!("{one}=nonsense")],
        vec!["theme=dark".to_owned()],
        vec![],
    ]
    .to_vec()
}

/// Headers besides those that every request has: most requests have none of them.
fn oddities(alice: &str) -> Vec<(&'static str, String)> {
    let plain = [
        ("authorization", "Basic dTpw"),
        ("x-user-id", "mallory"),
        ("x_user_roles", "admin"),
        ("x-bypass-auth", "a-value-for-the-bypass-of-tests"),
        ("x-http-method-override", "DELETE"),
        ("x-original-url", "/open"),
        ("x-jwe-gate-status", "unauthenticated"),
        ("host", "other.test"),
        (":authority", "other.test"),
        (":path", "/open"),
        (":method", "DELETE"),
        ("upgrade", "websocket"),
        (":protocol", "websocket"),
        ("origin", "https://evil.test"),
        ("sec-fetch-site", "cross-site"),
        ("access-control-request-method", "DELETE"),
        ("accept", "text/html"),
        ("x-request-id", "1"),
    ];
    let bearer = [("authorization", format!("Bearer {alice}"))];
    plain.map(|(name, value)| (name, value.to_owned())).into_iter().chain(bearer).collect()
}

const METHODS: [&str; 6] = ["GET", "GET", "HEAD", "POST", "OPTIONS", "DELETE"];
const HOSTS: [&str; 3] = ["app.test", "app.test", "other.test"];
const PATHS: [&str; 16] = [
    "/",
    "/",
    "/page",
    "/page?q=1",
    "/open/x",
    "/maybe/x",
    "/admin",
    "/tried/x",
    "/api/auth/session",
    "/API/auth/session",
    "/page?_method=DELETE",
    "/page?%5Fmethod=DELETE",
    "/open/../page",
    "/open%2fx",
    "/page;x",
    "//page",
];

#[test]
fn what_is_admitted_at_once_is_what_the_long_way_admits() {
    let lines = cookie_lines();
    let oddities = oddities(&token(COOKIES[0], "alice", "admin", 3600));
    let mut admitted = Vec::new();
    for (number, configuration) in (1..).zip(configurations()) {
        let (mut short, mut long) = (gate(&configuration), gate(&configuration));
        let (mut dice, mut now, mut at_once) = (Dice(number), NOW, 0);
        for context in 0..15_000_u32 {
            let mut map = vec![
                (":method", (*dice.pick(&METHODS)).to_owned()),
                (":authority", (*dice.pick(&HOSTS)).to_owned()),
                (":path", (*dice.pick(&PATHS)).to_owned()),
            ];
            map.extend(dice.pick(&lines).iter().map(|line| ("cookie", line.clone())));
            while dice.once_in(4) {
                map.push(dice.pick(&oddities).clone());
            }
            if dice.once_in(200) {
                map.remove(dice.roll() % 3);
            }
            // At the end of the run the token of one user has long expired.
            now = UnixMillis(now.0 + 4);
            let headers = Headers(map.iter().map(|(name, value)| (name, value)).collect());
            let context = ContextId(context);
            let expected = decided(&mut long, now, context, &headers);
            let found = match short.admit_known(now, context, &headers) {
                Some(admission) => {
                    at_once += 1;
                    vec![admission.into_effect(context)]
                }
                None => decided(&mut short, now, context, &headers),
            };
            assert_eq!(format!("{found:?}"), format!("{expected:?}"), "{map:?}");
        }
        let counted = |gate: &mut Gate| gate.counters().take().collect::<BTreeMap<_, _>>();
        assert_eq!(counted(&mut short), counted(&mut long));
        admitted.push(at_once);
    }
    let [plain, no_cookie, no_authorization, logged, nginx] = admitted.try_into().unwrap();
    assert!(plain.min(no_authorization).min(logged) > 400, "{plain} {no_authorization} {logged}");
    assert_eq!((no_cookie, nginx), (0, 0), "there each request has to be changed");
}

fn decided(gate: &mut Gate, now: UnixMillis, context: ContextId, headers: &Headers) -> Effects {
    let mut effects = Effects::new();
    gate.handle(now, Event::RequestHeaders { context, headers }, &Alone, &mut effects);
    effects
}
