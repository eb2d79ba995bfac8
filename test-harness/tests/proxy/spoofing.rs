//! What clients say of themselves in a real Envoy: every header that only the gate may set, in every spelling that HTTP or
//! some server behind it knows, on every kind of route. The app never sees the client's value.

use std::collections::{BTreeMap, BTreeSet};

use jwe_gate_core::claims::ClaimPath;
use jwe_gate_core::identity::{Preset, Source, default_entries, same_header};
use jwe_gate_test_harness::artefact;
use jwe_gate_test_harness::driver::envoy::serve;
use jwe_gate_test_harness::lookup::{FakeLookup, LOOKUP_SECRET};
use jwe_gate_test_harness::token::{COOKIE, SECRET};
use jwe_gate_test_parts::envoy::{Envoy, Launch};
use jwe_gate_test_parts::envoy_config::{Config, Filter, Listener};
use jwe_gate_test_parts::http;
use jwe_gate_test_parts::server::Server;
use jwe_gate_test_parts::upstream::{Received, Upstream};
use serde_json::json;

use crate::h2;
use crate::stage::token;

/// In every value that a client gives, and in none that the gate gives.
const FORGED: &str = "f0rged";

/// What opens the bypass.
const BYPASS: &str = "the value of the bypass";

/// RFC 8037 appendix A.1.
const IDENTITY_KEY: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";

/// Headers that the gate reads for something else, and which this configuration gives to it alone.
const ALSO_READ: [&str; 3] = ["accept", "sec-fetch-mode", "x-requested-with"];

/// Every way in, and whether a session is shown there.
const DOORS: [(&str, bool); 9] = [
    ("/open", false),
    ("/open", true),
    ("/optional", false),
    ("/optional", true),
    ("/required", true),
    ("/forward", false),
    ("/report", false),
    ("/report", true),
    (BYPASSED, false),
];
const BYPASSED: &str = "/bypassed";

/// One name of a header, changed.
type Spelling = fn(&str) -> String;

/// How a name may be written, and whether Envoy lets it through over HTTP/1.1 and HTTP/2.
const NAMES: [(Spelling, bool, bool); 16] = [
    (|name| name.to_owned(), true, true),
    (|name| name.to_ascii_uppercase(), true, false),
    (|name| capitalised(name), true, false),
    (|name| alternating(name), true, false),
    (|name| name.replace('-', "_"), true, true),
    (|name| name.replace('-', "_").to_ascii_uppercase(), true, false),
    (|name| capitalised(name).replace('-', "_"), true, false),
    (|name| name.replacen('-', "_", 1), true, true),
    (|name| name.rsplitn(2, '-').collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("_"), true, true),
    (|name| alternating(name).replacen('-', "_", 1), true, false),
    (|name| name.replace('-', "."), true, true),
    (|name| name.replace('-', "~"), true, true),
    (|name| name.replacen('-', "!", 1), true, true),
    (|name| name.replacen('-', "+", 1), true, true),
    (|name| format!("{name} "), false, false),
    (|name| name.replacen('-', "[", 1), false, false),
];

/// How lines of these names may stand in a request; `@` stands for one of the names.
const LINES: [&str; 8] = [
    "@: f0rged",
    "@:f0rged",
    "@:\tf0rged\t ",
    "@: f0rged\r\n@: f0rged",
    "@: first f0rged\r\nx-own: between\r\n@: last f0rged",
    "@:\r\n@: f0rged",
    "@: f0rged, f0rged",
    "@:\r\n f0rged",
];

/// Envoy drops what these name before the filter sees it, and takes no more of them.
const NOMINATED: &str = "connection: x-user-id, x-user-email, x-forwarded-user, x_user_id\r\n";

#[test]
fn no_header_that_only_the_gate_may_set_arrives_with_the_clients_value() {
    let stage = Stage::start();
    for (spelling, passes, _) in NAMES {
        let names: Vec<String> = names().iter().map(|name| spelling(name)).collect();
        // The other ways to write a line are nothing that the name matters to.
        let lines = if names[0] == names[0].to_ascii_lowercase() { &LINES[..] } else { &LINES[..1] };
        for line in lines {
            let forged: String = names.iter().map(|name| line.replace('@', name) + "\r\n").collect();
            for door in DOORS {
                for nominated in ["", NOMINATED] {
                    let received = stage.http1("all", door, &format!("{nominated}{forged}"), "");
                    assert_eq!(received.is_some(), passes, "{door:?}: {line:?} with {}", names[0]);
                    received.inspect(|received| check(received, door));
                }
            }
        }
    }
}

#[test]
fn nor_over_http2() {
    let stage = Stage::start();
    for (spelling, _, passes) in NAMES {
        let forged: Vec<String> = names().iter().map(|name| spelling(name)).collect();
        let fields: Vec<(Vec<u8>, Vec<u8>)> = forged.iter().flat_map(|name| [field(name), field(name)]).collect();
        for door in DOORS {
            let received = stage.http2("all", door, &fields, &[]);
            assert_eq!(received.is_some(), passes, "{door:?}: {}", forged[0]);
            received.inspect(|received| check(received, door));
        }
    }
}

/// The app's connections carry trailers here, which Envoy does not do unless it is told to.
#[test]
fn trailers_carry_neither_an_identity_nor_a_credential() {
    let stage = Stage::start();
    let credentials = ["cookie", "authorization"].map(str::to_owned);
    for (spelling, http1, http2) in NAMES {
        let names: Vec<String> = names().iter().chain(&credentials).map(|name| spelling(name)).collect();
        let lines = names.join(&format!(": {FORGED}\r\n")) + &format!(": {FORGED}\r\n");
        let fields: Vec<(Vec<u8>, Vec<u8>)> = names.iter().map(|name| field(name)).collect();
        for door in DOORS {
            let over_1 = stage.http1("all", door, "", &format!("{lines}x-checksum: 7\r\n"));
            let over_2 =
                stage.http2("all", door, &[], &[&*fields, &[(b"x-checksum".to_vec(), b"7".to_vec())]].concat());
            for (received, passes) in [(over_1, http1), (over_2, http2)] {
                let Some(received) = received else { continue };
                check(&received, door);
                let others: Vec<_> = received.trailers.iter().map(|(name, _)| name.as_str()).collect();
                assert_eq!(others, if passes { &["x-checksum"][..] } else { &[] }, "{door:?}: {}", names[0]);
            }
        }
    }
}

#[test]
fn as_shipped_no_trailer_at_all_reaches_an_app() {
    let stage = Stage::start();
    for door in DOORS {
        let lines = format!("x-user-id: {FORGED}\r\nx-checksum: 7\r\n");
        let fields = [field("x-user-id"), (b"x-checksum".to_vec(), b"7".to_vec())];
        for received in [stage.http1("plain", door, "", &lines), stage.http2("plain", door, &[], &fields)] {
            let received = received.unwrap_or_else(|| panic!("{door:?}: trailers are no reason to refuse"));
            check(&received, door);
            assert_eq!(received.trailers, [], "{door:?}");
        }
    }
}

/// A gate that sets all the headers that a gate can set, before an app that tells what it got.
struct Stage {
    envoy: Envoy,
    lookup: FakeLookup,
    _service: Server,
    _app: Upstream,
}

impl Stage {
    fn start() -> Self {
        let (app, lookup) = (Upstream::start().unwrap(), FakeLookup::default());
        let service = serve(lookup.clone());
        let also_read = ALSO_READ.into_iter().map(|name| (name, json!("sub")));
        let by_default = [
            ("x-user-id", json!("sub")),
            ("x-user-email", json!({ "claim": "email" })),
            ("x-user-name", json!({ "claim": "name" })),
        ];
        let configuration = json!({
            "sessions": [{ "profile": "authjs", "cookie": COOKIE }],
            "lookup": { "cluster": "lookup" },
            "routes": [
                { "paths": [{ "prefix": "/open" }], "access": "open" },
                { "paths": [{ "prefix": "/optional" }], "access": "optional" },
                { "paths": [{ "prefix": "/report" }], "access": "required", "report": true },
                { "paths": [{ "prefix": "/forward" }], "access": "required", "on_unauthenticated": "forward" },
                { "access": "required" },
            ],
            "identity": {
                "presets": ["grafana", "jenkins", "oauth2-proxy"],
                "headers": also_read.chain(by_default).collect::<BTreeMap<_, _>>(),
                "jwt": { "key": { "env": "IDENTITY_KEY" }, "issuer": "https://a.test", "audience": "apps" },
            },
            "bypass": { "value": { "env": "BYPASS" } },
        });
        let listener = |name: &str, trailers: bool| {
            let filter = Filter::new(&artefact::path(), &configuration.to_string())
                .variable("AUTH_SECRET", SECRET)
                .variable("JWE_GATE_LOOKUP_SECRET", LOOKUP_SECRET)
                .variable("IDENTITY_KEY", IDENTITY_KEY)
                .variable("BYPASS", BYPASS);
            Listener::to_cluster(name, name)
                .filter(filter)
                .option("http_protocol_options", json!({ "enable_trailers": trailers }))
                .option("common_http_protocol_options", json!({ "max_headers_count": 1000 }))
                .option("delayed_close_timeout", json!("0.05s"))
        };
        let trailers = json!({ "http_protocol_options": { "enable_trailers": true } });
        let config = Config::new()
            .cluster_speaking("all", app.address(), &trailers)
            .cluster("plain", app.address())
            .cluster("lookup", service.address())
            .listener(listener("all", true))
            .listener(listener("plain", false));
        let envoy = Envoy::start(&Launch::new(config.build())).unwrap();
        Self { envoy, lookup, _service: service, _app: app }
    }

    /// The header lines of a request that comes in by this door. Each session is another user's, who must be looked up.
    fn credentials(&self, (path, session): (&str, bool)) -> Vec<(&'static str, String)> {
        let user = format!("user-{}", fastrand::u64(..));
        self.lookup.add(&user);
        let token = token(&user).claim("email", "user@app.test").mint();
        let cookie = session.then(|| ("cookie", format!("{COOKIE}={token}")));
        let bypass = (path == BYPASSED).then(|| ("x-bypass-auth", BYPASS.to_owned()));
        let own = ("x-own", format!("not {FORGED}"));
        [Some(own), cookie, bypass].into_iter().flatten().collect()
    }

    /// What the app got of a request with these lines, if anything.
    fn http1(&self, listener: &str, door: (&str, bool), lines: &str, trailers: &str) -> Option<Received> {
        let own = self.credentials(door).into_iter();
        let own = own.fold(String::new(), |own, (name, value)| own + name + ": " + &value + "\r\n");
        let start = format!("POST {} HTTP/1.1\r\nhost: a.test\r\n{lines}{own}", door.0);
        let request = format!("{start}transfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n{trailers}\r\n");
        let reply = http::send(self.envoy.address(listener), request).ok()?;
        Received::from_reply(&reply).ok()
    }

    fn http2(
        &self,
        listener: &str,
        door: (&str, bool),
        fields: &[(Vec<u8>, Vec<u8>)],
        trailers: &[(Vec<u8>, Vec<u8>)],
    ) -> Option<Received> {
        let pseudo = [(":method", "POST"), (":scheme", "http"), (":authority", "a.test"), (":path", door.0)];
        let own = self.credentials(door);
        let own = own.iter().map(|(name, value)| (*name, value.as_str()));
        let own = pseudo.into_iter().chain(own).map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let fields: Vec<_> = own.chain(fields.iter().map(|(name, value)| (&**name, &**value))).collect();
        let address = self.envoy.address(listener);
        let body = if trailers.is_empty() {
            h2::send(address, &fields)
        } else {
            h2::send_with_trailers(address, &fields, trailers)
        };
        serde_json::from_slice(&body).ok()
    }
}

/// Fails if what arrived is the client's word, or not what belongs to this door.
fn check(received: &Received, (path, session): (&str, bool)) {
    let lines = received.headers.iter().chain(&received.trailers);
    let forged: Vec<_> = lines.filter(|(name, value)| value.contains(FORGED) && name != "x-own").collect();
    assert!(forged.is_empty(), "{path}: {forged:?}");
    assert_eq!(received.all("x-own").last(), Some(&&*format!("not {FORGED}")), "{path}: other headers stay");
    assert!(!received.headers.iter().any(|(_, value)| value.contains(BYPASS)), "{path}: {received:?}");
    for (name, named) in [("x-user-id", session && path != "/open"), ("x-identity-jwt", session && path != "/open")] {
        let like_it = received.headers.iter().filter(|(theirs, _)| same_header(name, theirs.as_bytes()));
        assert_eq!(like_it.count(), usize::from(named), "{path}: {name}: {received:?}");
    }
    let user = received.only("x-user-id");
    assert!(user.is_none_or(|user| user.starts_with("user-")), "{path}: {user:?}");
    for (marker, only) in [("x-jwe-gate-bypass", path == BYPASSED), ("x-jwe-gate-status", !session && unnamed(path))] {
        assert_eq!(received.all(marker).len(), usize::from(only), "{path}: {marker}");
    }
}

/// Where the app is told that a request was checked and goes on without a session.
fn unnamed(path: &str) -> bool {
    ["/optional", "/forward", "/report"].contains(&path)
}

/// Every header that only the gate may set, by default and with all that can be configured.
fn names() -> BTreeSet<String> {
    let fact = |name: &str| ClaimPath::dotted(name).map_or(Source::Subject, Source::Claim);
    let presets = [Preset::Grafana, Preset::Jenkins, Preset::OAuth2Proxy];
    let entries =
        presets.into_iter().flat_map(|preset| preset.entries(&Source::Subject, fact)).chain(default_entries());
    let own = ["x-identity-jwt", "x-jwe-gate-status", "x-jwe-gate-bypass"].into_iter().chain(ALSO_READ);
    let rewriting = ["x-original-url", "x-original-uri", "x-rewrite-url"];
    entries.map(|entry| entry.header.to_string()).chain(own.chain(rewriting).map(str::to_owned)).collect()
}

fn field(name: &str) -> (Vec<u8>, Vec<u8>) {
    (name.as_bytes().to_vec(), FORGED.as_bytes().to_vec())
}

fn capitalised(name: &str) -> String {
    let word = |word: &str| word.get(..1).unwrap_or("").to_ascii_uppercase() + word.get(1..).unwrap_or("");
    name.split('-').map(word).collect::<Vec<_>>().join("-")
}

fn alternating(name: &str) -> String {
    let letter = |(at, letter): (usize, char)| if at % 2 == 0 { letter.to_ascii_uppercase() } else { letter };
    name.chars().enumerate().map(letter).collect()
}
