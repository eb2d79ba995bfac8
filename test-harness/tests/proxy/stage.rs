//! Several gates in one Envoy, each before an app that remembers what it got, and what must hold of all that it got.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jwe_gate_core::identity::encode;
use jwe_gate_test_harness::token::{COOKIE, SECRET};
use jwe_gate_test_harness::{Token, artefact, health};
use jwe_gate_test_parts::envoy::{Envoy, Launch};
use jwe_gate_test_parts::envoy_config::{Config, Filter, Listener};
use jwe_gate_test_parts::http::{Connection, Reply};
use jwe_gate_test_parts::server::{Answer, Server};
use jwe_gate_test_parts::upstream::Received;
use serde_json::json;

/// The ways in which a gate can guard. The last requires a session too, and leaves forged headers to its listener, as the
/// shipped configuration does.
pub const GATES: [&str; 4] = ["open", "optional", "required", STRIPPED];

const STRIPPED: &str = "stripped";

/// The gates, and the users whose tokens are good.
pub struct Stage {
    envoy: Envoy,
    apps: BTreeMap<&'static str, App>,
    /// Encoded ids by token.
    users: BTreeMap<String, String>,
}

/// An app, and what it has got.
struct App {
    server: Server,
    received: Arc<Mutex<Vec<Received>>>,
}

impl App {
    fn start() -> Self {
        let received: Arc<Mutex<Vec<Received>>> = Arc::default();
        let log = Arc::clone(&received);
        let server = Server::start(move |request| {
            let request = Received::from(request);
            let body = serde_json::to_vec(&request).expect("text is JSON");
            log.lock().expect("no holder of the lock panicked").push(request);
            Answer::new("application/json", body)
        });
        Self { server: server.expect("a free port"), received }
    }
}

impl Stage {
    /// Starts everything. Envoy lets more through than it does by default, so that the filter gets to see it.
    pub fn start() -> Self {
        let apps: BTreeMap<&str, App> = GATES.map(|gate| (gate, App::start())).into();
        let config = apps.iter().fold(Config::new(), |config, (gate, app)| {
            let configuration = json!({
                "version": 1,
                "sessions": [{ "profile": "authjs", "cookie": COOKIE }],
                "routes": [{ "access": if *gate == STRIPPED { "required" } else { gate } }],
            });
            let filter = Filter::new(&artefact::path(), &configuration.to_string()).name(gate);
            let underscores = if *gate == STRIPPED { "DROP_HEADER" } else { "ALLOW" };
            let mutations = ["x-user-", "x-jwe-gate-"]
                .map(|prefix| json!({ "remove_on_match": { "key_matcher": { "prefix": prefix } } }));
            let strip = json!([{
                "name": "strip",
                "typed_config": { "@type": HEADER_MUTATION, "mutations": mutations },
            }]);
            let limits = json!({ "max_headers_count": 10_000, "headers_with_underscores_action": underscores });
            let listener = Listener::to_cluster(gate, gate)
                .filter(filter.variable("AUTH_SECRET", SECRET))
                .option("delayed_close_timeout", json!("0.05s"))
                .option("max_request_headers_kb", json!(96))
                .option("common_http_protocol_options", limits)
                .option("early_header_mutation_extensions", if *gate == STRIPPED { strip } else { json!([]) });
            config.cluster(gate, app.server.address()).listener(listener)
        });
        let envoy = Envoy::start(&Launch::new(config.build())).expect("Envoy starts");
        Self { envoy, apps, users: BTreeMap::new() }
    }

    /// Where a gate listens.
    pub fn address(&self, gate: &str) -> SocketAddr {
        self.envoy.address(gate)
    }

    /// A good token of this user.
    pub fn token(&mut self, user: &str) -> String {
        let token = token(user).mint();
        self.know(&token, user);
        token
    }

    /// Lets a token be one of this user, if it is accepted.
    pub fn know(&mut self, token: &str, user: &str) {
        self.users.insert(token.to_owned(), encode(user));
    }

    /// Sends bytes, whatever they are. Nothing comes back when Envoy closes, or waits for more.
    pub fn send(&self, gate: &str, bytes: &[u8]) -> Option<Reply> {
        let stream = TcpStream::connect(self.address(gate)).expect("Envoy listens");
        stream.set_read_timeout(Some(Duration::from_secs(1))).expect("a timeout");
        Connection::over(stream).send(bytes).ok()
    }

    /// How many requests have reached the app behind a gate.
    pub fn received(&self, gate: &str) -> usize {
        self.apps[gate].received.lock().expect("no holder of the lock panicked").len()
    }

    /// Fails if an app got what it must not, or the filter is not as well as at the beginning.
    pub fn finish(mut self) {
        for (gate, app) in &self.apps {
            for request in app.received.lock().expect("no holder of the lock panicked").iter() {
                if let Err(complaint) = self.inspect(gate, request) {
                    panic!("{gate}: {complaint}: {request:?}");
                }
            }
        }
        let token = self.token("the last user");
        let request = format!("GET / HTTP/1.1\r\nhost: a\r\ncookie: {COOKIE}={token}\r\n\r\n");
        for gate in GATES {
            let reply = self.send(gate, request.as_bytes()).expect("Envoy is alive");
            let seen = Received::from_reply(&reply).expect("the request goes on").only("x-user-id").map(str::to_owned);
            assert_eq!(seen.as_deref(), (gate != "open").then_some("the last user"), "{gate}");
        }
        health::check(&self.envoy);
    }

    /// Only a gate says who a user is, and says it of the token that the app can see; no other session is to be seen.
    fn inspect(&self, gate: &str, request: &Received) -> Result<(), String> {
        let ours = |name: &str| ["x-user-id", "x-jwe-gate-bypass"].contains(&name.replace('_', "-").as_str());
        let named: Vec<_> = request.headers.iter().filter(|(name, _)| ours(name)).collect();
        let named = match named[..] {
            [] if ["required", STRIPPED].contains(&gate) => return Err("no identity".into()),
            [] => None,
            [(name, value)] if name == "x-user-id" => Some(value),
            _ => return Err("forged identity".into()),
        };
        let cookies = request.all("cookie").join("; ");
        // Where everybody passes, paths of the issuer get the session and nobody gets a name.
        let is_named = |user: &String| Some(user) == named || gate == "open";
        let accepted = self.users.iter().find(|(token, user)| is_named(user) && shows(request, token));
        if named.is_some() && accepted.is_none() {
            return Err("an identity without its token".into());
        }
        let left =
            cookies.split(';').map(str::trim).filter(|pair| !accepted.is_some_and(|(token, _)| is_of(pair, token)));
        let left = folded(&left.chain(request.all("authorization")).collect::<Vec<_>>().join(";"));
        if left.contains(&folded(COOKIE)) || left.contains("garbage") {
            return Err("a session cookie that was not accepted".into());
        }
        let foreign =
            self.users.keys().find(|token| shows(request, token) && Some(*token) != accepted.map(|(token, _)| token));
        foreign.map_or(Ok(()), |_| Err("a token that was not accepted".into()))
    }
}

/// A token that can be changed before it is minted.
pub fn token(user: &str) -> Token {
    Token::of(user, jwe_gate_test_harness::token::now_ms())
}

/// Whether the request shows all of a token, in one cookie, in chunks, or as a Bearer.
fn shows(request: &Received, token: &str) -> bool {
    let cookies = request.all("cookie").join("; ");
    let mut chunks: Vec<(usize, &str)> = Vec::new();
    for (name, value) in cookies.split(';').filter_map(|pair| pair.trim().split_once('=')) {
        if let Some(number) = name.strip_prefix(COOKIE).and_then(|rest| rest.strip_prefix('.')) {
            chunks.push((number.parse().unwrap_or(usize::MAX), value));
        }
    }
    chunks.sort_unstable();
    let joined: String = chunks.into_iter().map(|(_, value)| value).collect();
    cookies.contains(token) || joined == token || request.all("authorization").iter().any(|value| value.contains(token))
}

/// Whether a cookie is one that a token came in.
fn is_of(pair: &str, token: &str) -> bool {
    pair.split_once('=').is_some_and(|(name, value)| match name.strip_prefix(COOKIE) {
        Some("") => value == token,
        Some(rest) => rest.starts_with('.') && !value.is_empty() && token.contains(value),
        None => false,
    })
}

/// Text as the laxest parser reads it.
fn folded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let escape = rest.get(1..3).filter(|_| first == '%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let (byte, length) = escape.map_or((first, first.len_utf8()), |byte| (char::from(byte), 3));
        rest = &rest[length..];
        match byte {
            '.' | ' ' | '[' | '+' => bytes.push('_'),
            '!'..='~' if byte != '"' => bytes.push(byte.to_ascii_lowercase()),
            _ => {}
        }
    }
    bytes.into_iter().collect()
}

const HEADER_MUTATION: &str =
    "type.googleapis.com/envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation";
