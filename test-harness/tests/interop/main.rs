//! Sessions between the gate and the packages themselves, both ways, minted now: what `@auth/core` and `next-auth` issue
//! passes a real Envoy, and what `jwe-gate mint` makes they take for their own. Identities that the gate signs are
//! verified by a package that apps verify such with. And an application with `@auth/express` signs users out.
//!
//! It needs Node and the packages, so it runs only when it is named: `scripts/interop` installs what it needs and does so.
#![expect(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests too")]

mod application;
#[path = "../revocation/service.rs"]
#[expect(dead_code, reason = "shared with other test programs")]
mod service;
mod sign_out;

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use jwe_gate_core::jws::Signer;
use jwe_gate_core::secret::Secret;
use jwe_gate_test_harness::artefact;
use jwe_gate_test_parts::envoy::{Envoy, Launch, repository};
use jwe_gate_test_parts::envoy_config::{Config, Filter, Listener};
use jwe_gate_test_parts::http::{Reply, get, send};
use jwe_gate_test_parts::ports::Port;
use jwe_gate_test_parts::process::Process;
use jwe_gate_test_parts::scratch::Scratch;
use jwe_gate_test_parts::upstream::{Received, Upstream};
use serde_json::{Value, json};

const SECRET: &str = "Zq8+oW1kR5m/7cVn3xJtYw==";
const SUBJECT: &str = "cm4k2x7d90000";

/// Every kind of session: package, whether the site has TLS, and whether the cookie is in chunks.
fn kinds() -> impl Iterator<Item = (&'static str, bool, bool)> {
    let packages = ["authjs", "next-auth"].into_iter();
    packages
        .flat_map(|package| [false, true].map(|secure| [false, true].map(|chunked| (package, secure, chunked))))
        .flatten()
}

#[test]
fn what_the_packages_issue_passes_the_gate() {
    let tasks = kinds().map(|(package, secure, chunked)| {
        json!({ "do": "issue", "package": package, "secret": SECRET, "secure": secure,
                "subject": SUBJECT, "claims": claims(chunked) })
    });
    let cookies = in_node(&tasks.collect::<Vec<_>>());
    let gate = Gate::start();
    for ((package, secure, chunked), cookie) in kinds().zip(&cookies) {
        let (what, cookie) = (format!("{package} secure={secure} chunked={chunked}"), cookie.as_str().unwrap());
        let name = name(package, secure);
        let first = if chunked { format!("; {name}.0=ey") } else { format!("; {name}=ey") };
        assert!(cookie.contains(&first), "{what}: {cookie}");

        let received = Received::from_reply(&gate.send(cookie)).unwrap_or_else(|error| panic!("{what}: {error:#}"));
        assert_eq!(received.all("x-user-id"), [SUBJECT], "{what}");
        assert_eq!(received.only("cookie"), Some(cookie), "{what}");

        assert_eq!(
            gate.send(&under_the_other_name(cookie)).status,
            401,
            "{what}: a token under a name that it is not for"
        );
    }
    assert_eq!(cookies.len(), 8);
}

#[test]
fn what_mint_makes_the_packages_take_for_their_own() {
    let tasks: Vec<_> = kinds()
        .map(|(package, secure, chunked)| {
            json!({ "do": "read", "package": package, "secret": SECRET, "secure": secure,
                    "cookie": mint(package, &name(package, secure), chunked) })
        })
        .collect();
    let of_others = tasks.iter().cloned().map(|mut task| {
        task.as_object_mut().unwrap().insert("secret".into(), "another secret".into());
        task
    });
    let of_others: Vec<_> = of_others.collect();
    assert_eq!(in_node(&tasks), vec![Value::from(SUBJECT); 8]);
    assert_eq!(in_node(&of_others), vec![Value::Null; 8], "another secret opens nothing");
}

#[test]
fn the_claims_that_the_shipped_callback_sets_are_kept_by_a_refresh_and_new_at_each_sign_in() {
    for package in ["authjs", "next-auth"] {
        let task = |action: &str, cookie: &Value| {
            json!({ "do": action, "package": package, "secret": SECRET, "secure": true, "subject": SUBJECT,
                    "claims": {}, "cookie": cookie })
        };
        let issue = task("issue", &Value::Null);
        let sign_ins = in_node(&[issue.clone(), issue]);
        let refreshed = in_node(&[task("refresh", &sign_ins[0]), task("refresh", &sign_ins[1])]);
        let again = in_node(&[task("refresh", &refreshed[0]["cookie"])]);
        let [first, second, later] = [&refreshed[0], &refreshed[1], &again[0]].map(|it| &it["token"]);
        assert_eq!(first["sid"].as_str().map(str::len), Some(36), "{package}: {first}");
        let (auth_time, iat) = (first["auth_time"].as_f64().unwrap(), first["iat"].as_f64().unwrap());
        assert!(auth_time <= iat && auth_time + 60.0 > iat, "{package}: {first}");
        assert_ne!(first["jti"], later["jti"], "{package}: it is another token");
        assert_eq!((&first["sid"], &first["auth_time"]), (&later["sid"], &later["auth_time"]), "{package}");
        assert_ne!(first["sid"], second["sid"], "{package}: another sign-in");
    }
}

#[test]
fn identities_are_verified_with_the_keys_that_the_lookup_service_publishes() {
    let ((one, one_public), (next, next_public), (strange, _)) = (new_key(), new_key(), new_key());
    let service = Publishing::start(&format!("{one_public},{next_public}"));
    let claims = json!({ "sub": SUBJECT, "iss": "gate", "aud": "app", "exp": 4_102_444_800_u64, "roles": ["a", "ä"] });
    let sign = |key: &str| Signer::new(&Secret::new(key)).unwrap().sign(claims.as_object().unwrap());
    let task = |token: String, audience: &str| {
        json!({ "do": "verify", "package": "jose", "token": token, "keys": service.keys(), "issuer": "gate",
                "audience": audience })
    };
    let good = sign(&one);
    let (start, end) = good.rsplit_once('.').unwrap();
    let altered = format!("{}.{end}", sign(&next).rsplit_once('.').unwrap().0);
    let without_signature = format!("{start}.");
    let tasks = [
        task(good.clone(), "app"),
        task(sign(&next), "app"),
        task(good.clone(), "another app"),
        task(altered, "app"),
        task(without_signature, "app"),
        task(sign(&strange), "app"),
    ];
    let null = Value::Null;
    assert_eq!(in_node(&tasks), [claims.clone(), claims, null.clone(), null.clone(), null.clone(), null]);
}

/// A lookup service that publishes keys.
struct Publishing {
    // Fields drop in order: the process goes before its directory.
    _process: Process,
    port: Port,
    _scratch: Scratch,
}

impl Publishing {
    fn start(keys: &str) -> Self {
        let (scratch, port) = (Scratch::new().unwrap(), Port::take().unwrap());
        let mut command = Command::new(env!("CARGO_BIN_EXE_lookup-service"));
        command.env_clear().env("JWE_GATE_LOOKUP_SECRET", SECRET).env("IDENTITY_PUBLIC_KEYS", keys);
        command.arg("--embedded").arg(scratch.path().join("users.sqlite"));
        command.arg("--listen").arg(port.address().to_string());
        let mut process = Process::spawn("lookup-service", command, &scratch.path().join("log")).unwrap();
        process.wait_for_log("\"ready\"", Duration::from_secs(20)).unwrap();
        Self { _process: process, port, _scratch: scratch }
    }

    fn keys(&self) -> String {
        format!("http://{}/.well-known/jwks.json", self.port.address())
    }
}

/// Both halves of a key, as `jwe-gate identity-key` prints them.
fn new_key() -> (String, String) {
    let output = Command::new(command_line()).arg("identity-key").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let half = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
    (half("IDENTITY_KEY="), half("IDENTITY_PUBLIC_KEYS="))
}

/// An Envoy whose filter knows all the cookies and asks no lookup service.
struct Gate {
    envoy: Envoy,
    _app: Upstream,
}

impl Gate {
    fn start() -> Self {
        let app = Upstream::start().unwrap();
        let sessions = ["authjs", "next-auth"]
            .map(|package| [false, true].map(|secure| json!({ "profile": package, "cookie": name(package, secure) })));
        let gate = json!({ "version": 1, "sessions": sessions.concat() }).to_string();
        let filter = Filter::new(&artefact::path(), &gate).environment(&["AUTH_SECRET"]);
        let listener = Listener::to_cluster("gate", "app").filter(filter);
        let config = Config::new().cluster("app", app.address()).listener(listener);
        let envoy = Envoy::start(&Launch::new(config.build()).env("AUTH_SECRET", SECRET)).unwrap();
        Self { envoy, _app: app }
    }

    fn send(&self, cookie: &str) -> Reply {
        send(self.envoy.address("gate"), get("/", &[("cookie", cookie), ("connection", "close")])).unwrap()
    }
}

fn name(package: &str, secure: bool) -> String {
    format!("{}{package}.session-token", if secure { "__Secure-" } else { "" })
}

/// For Auth.js v5 the name is part of the key. For NextAuth v4 it is not, so there it becomes a name of nobody's.
fn under_the_other_name(cookie: &str) -> String {
    let (plain, secure) = ("authjs.session-token", "__Secure-authjs.session-token");
    match (cookie.contains(secure), cookie.contains(plain)) {
        (true, _) => cookie.replace(secure, plain),
        (false, true) => cookie.replace(plain, secure),
        (false, false) => cookie.replace("next-auth.session-token", "authjs.session-token"),
    }
}

fn claims(chunked: bool) -> Value {
    if chunked { json!({ "groups": groups() }) } else { json!({}) }
}

/// Enough of them that the cookie is cut.
fn groups() -> Value {
    vec!["a group with a rather long name"; 300].into()
}

/// The Cookie header of a session that `jwe-gate` has made.
fn mint(package: &str, name: &str, chunked: bool) -> String {
    let mut command = Command::new(command_line());
    command.env_clear().env("THE_SECRET", SECRET).args(["mint", "--secret-env", "THE_SECRET", "--chunk"]);
    command.args(["--profile", package, "--cookie", name, "--sub", SUBJECT]);
    if chunked {
        command.args(["--claim", &format!("groups={}", groups())]);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let cookie = String::from_utf8(output.stdout).unwrap().trim_end().to_owned();
    assert_eq!(cookie.contains(&format!("{name}.1=")), chunked, "{cookie}");
    cookie
}

/// The results of `tasks`; see `interop/main.mjs`.
fn in_node(tasks: &[Value]) -> Vec<Value> {
    let mut command = Command::new("node");
    command.arg("main.mjs").current_dir(packages()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut node = command.spawn().unwrap_or_else(|error| panic!("node is needed: {error}"));
    node.stdin.take().unwrap().write_all(Value::from(tasks).to_string().as_bytes()).unwrap();
    let output = node.wait_with_output().unwrap();
    assert!(output.status.success(), "{}:\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Where `scripts/interop` has put the packages, and what uses them.
fn packages() -> PathBuf {
    let folder = repository().join(".build/interop");
    assert!(folder.join("node_modules").is_dir(), "{} has no packages: run scripts/interop", folder.display());
    folder
}

fn command_line() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let file = program.parent().and_then(|deps| deps.parent()).unwrap().join("jwe-gate");
    assert!(file.is_file(), "{} is missing: run scripts/interop", file.display());
    file
}
