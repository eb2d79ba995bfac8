//! The recipes in `docs/recipes`, each loaded as it stands and tried out in a real Envoy: what each request gets, and what the
//! app behind is told.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jwe_gate_core::jws::Signer;
use jwe_gate_core::secret::Secret;
use jwe_gate_test_harness::driver::envoy::serve;
use jwe_gate_test_harness::lookup::{FakeLookup, LOOKUP_SECRET};
use jwe_gate_test_harness::request::Request;
use jwe_gate_test_harness::token::SECRET;
use jwe_gate_test_harness::{Token, artefact};
use jwe_gate_test_parts::envoy::{Envoy, Launch, repository};
use jwe_gate_test_parts::envoy_config::{Config, Filter, Listener};
use jwe_gate_test_parts::http::{self, Reply};
use jwe_gate_test_parts::server::Server;
use jwe_gate_test_parts::upstream::{Received, Upstream};
use serde_json::{Map, Value, json};

use crate::stage::token;

/// Tries out one recipe.
type Trial = fn(&Kitchen);

/// What tries out which recipe.
const RECIPES: [(&str, Trial); 13] = [
    ("access-log", access_log),
    ("admin-by-field", admin_by_field),
    ("admin-by-role", admin_by_role),
    ("api-docs", api_docs),
    ("browser-app", browser_app),
    ("grafana", grafana),
    ("jenkins", jenkins),
    ("members-area", members_area),
    ("oauth2-proxy", oauth2_proxy),
    ("rbac", rbac),
    ("report", report),
    ("signed-identity", signed_identity),
    ("two-tenants", two_tenants),
];

/// The recipe `report` at the end of its week.
const ENFORCED: &str = "enforced";

#[test]
fn the_recipes_do_what_they_say() {
    let kitchen = Kitchen::start();
    for (name, recipe) in RECIPES {
        println!("{name}");
        recipe(&kitchen);
    }
}

#[test]
fn each_recipe_has_a_page_that_the_list_leads_to() {
    let list = read("README.md");
    let folder = fs::read_dir(repository().join("docs/recipes")).unwrap();
    let files: BTreeSet<String> = folder.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    let pages: BTreeSet<_> =
        files.iter().filter_map(|file| file.strip_suffix(".md")).filter(|name| *name != "README").collect();
    assert_eq!(pages, RECIPES.map(|(name, _)| name).into());
    for name in pages {
        assert!(list.contains(&format!("]({name}.md)")), "{name} is not in the list");
    }
    for file in files.iter().filter(|file| file.split('.').next_back() == Some("json")) {
        let page = format!("{}.md", file.split('.').next().unwrap());
        assert!(read(&page).contains(&format!("]({file})")), "{page} does not lead to {file}");
    }
}

fn grafana(kitchen: &Kitchen) {
    let at = kitchen.recipe("grafana");
    kitchen
        .user("ann", json!({ "email": "ann@example.com", "email_verified": "2026-01-01T00:00:00Z", "role": "Editor" }));
    kitchen.user("ben", json!({ "email": "ann@example.com", "email_verified": null, "role": "Viewer" }));
    let ann = session("ann").claim("name", "Ann \u{c5}");
    let seen = at.passes(&as_user("/d/1", &ann).header("x-webauth-user", "admin").header("X_WEBAUTH_ROLE", "Admin"));
    assert_eq!(seen.all("x-webauth-user"), ["ann@example.com"]);
    assert_eq!(seen.all("x-webauth-email"), ["ann@example.com"]);
    assert_eq!(seen.all("x-webauth-name"), ["Ann %C3%85"]);
    assert_eq!(seen.all("x-webauth-role"), ["Editor"]);
    assert!(seen.all("cookie").is_empty() && seen.all("x_webauth_role").is_empty() && seen.all("x-user-id").is_empty());
    // Nobody becomes somebody by an address that nobody has verified.
    let seen = at.passes(&as_user("/d/1", &session("ben")).header("x-webauth-user", "admin"));
    assert!(seen.all("x-webauth-user").is_empty() && seen.all("x-webauth-email").is_empty());
    at.answers(&Request::get("/d/1").header("x-webauth-user", "admin"), 401);
    let seen = at.passes(&Request::get("/api/health").header("x-webauth-user", "admin"));
    assert!(seen.all("x-webauth-user").is_empty());
    at.answers(&Request::new("POST", "/api/health"), 401);
}

fn jenkins(kitchen: &Kitchen) {
    let at = kitchen.recipe("jenkins");
    kitchen.user("joe", json!({ "groups": ["dev", "ops|root"] }));
    let forged =
        as_user("/job/1", &session("joe")).header("X-Forwarded-User", "admin").header("x.forwarded.groups", "root");
    let seen = at.passes(&forged);
    assert_eq!(seen.all("x-forwarded-user"), ["joe"]);
    assert_eq!(seen.all("x-forwarded-groups"), ["dev|ops%7Croot"]);
    assert!(seen.all("x.forwarded.groups").is_empty());
    at.answers(&Request::get("/job/1"), 401);
    at.answers(&Request::get("/job/1").header("authorization", "Basic YTpi"), 401);
    let hook = Request::new("POST", "/github-webhook/").header("x-forwarded-user", "admin");
    assert!(at.passes(&hook).all("x-forwarded-user").is_empty());
    at.answers(&Request::get("/github-webhook/"), 401);
    at.answers(&Request::new("POST", "/github-webhook/..;/script"), 401);
}

fn oauth2_proxy(kitchen: &Kitchen) {
    let at = kitchen.recipe("oauth2-proxy");
    kitchen.user("oda", json!({ "email": "oda@example.com", "email_verified": true, "groups": ["a,b", "c"] }));
    let seen = at.passes(&as_user("/", &session("oda")).header("x-auth-request-user", "admin"));
    for (header, value) in
        [("user", "oda"), ("preferred-username", "oda"), ("email", "oda@example.com"), ("groups", "a%2Cb,c")]
    {
        assert_eq!(seen.all(&format!("x-auth-request-{header}")), [value], "{header}");
    }
    let reply = at.answers(&navigation("/reports?year=2026"), 302);
    let expected =
        "https://login.example.com/sign-in?callbackUrl=https%3A%2F%2Fintranet.example.com%2Freports%3Fyear%3D2026";
    assert_eq!(reply.header("location"), Some(expected));
    at.answers(&Request::get("/reports"), 401);
    let seen = at.passes(&Request::get("/ping").header("x-auth-request-email", "admin@example.com"));
    assert!(seen.all("x-auth-request-email").is_empty());
}

fn api_docs(kitchen: &Kitchen) {
    let at = kitchen.recipe("api-docs");
    kitchen.user("ada", json!({}));
    let ada = session("ada");
    for path in ["/docs", "/docs/orders.html", "/openapi.json"] {
        assert!(at.passes(&as_user(path, &ada)).all("x-user-id").is_empty(), "{path}");
        at.answers(&Request::new("POST", path), 401);
    }
    at.answers(&Request::get("/orders"), 401);
    assert_eq!(at.passes(&as_user("/orders", &ada)).all("x-user-id"), ["ada"]);
    let preflight = Request::new("OPTIONS", "/orders").header("origin", "https://app.example.com");
    at.answers(&preflight, 401);
    at.passes(&preflight.header("access-control-request-method", "POST"));
    let post =
        |origin: &str| Request::new("POST", "/orders").header("origin", origin).header("sec-fetch-site", "cross-site");
    at.passes(&post("https://app.example.com").header("cookie", ada.pair()));
    at.answers(&post("https://evil.example").header("cookie", ada.pair()), 403);
    at.passes(&post("https://evil.example").header("authorization", format!("Bearer {}", ada.mint())));
}

fn members_area(kitchen: &Kitchen) {
    let at = kitchen.recipe("members-area");
    kitchen.user("may", json!({}));
    for path in ["/", "/about.html", "/membership", "/sign-in"] {
        at.passes(&Request::get(path));
    }
    let reply = at.answers(&navigation("/members/1"), 302);
    let expected = "https://www.example.com/sign-in?callbackUrl=https%3A%2F%2Fwww.example.com%2Fmembers%2F1";
    assert_eq!(reply.header("location"), Some(expected));
    at.answers(&Request::get("/members/1"), 401);
    assert_eq!(at.passes(&as_user("/members/1", &session("may"))).all("x-user-id"), ["may"]);
    for path in ["/Members", "/x/%2e%2e/members", "/members;x", "/x/..%2fmembers", "//members"] {
        at.answers(&Request::get(path), 401);
    }
}

fn admin_by_role(kitchen: &Kitchen) {
    let at = kitchen.recipe("admin-by-role");
    kitchen.user("rob", json!({}));
    let (rob, admin) = (session("rob"), session("rob").claim("roles", json!(["user", "admin"])));
    at.passes(&as_user("/orders", &rob));
    at.answers(&as_user("/admin/users", &rob), 403);
    at.answers(&as_user("/admin", &session("rob").claim("roles", "admin")), 403);
    assert_eq!(at.passes(&as_user("/admin/users", &admin)).all("x-user-id"), ["rob"]);
    at.answers(&as_user("/orders/%2e%2e/admin", &rob), 403);
    at.answers(&Request::get("/admin"), 401);
}

fn admin_by_field(kitchen: &Kitchen) {
    let at = kitchen.recipe("admin-by-field");
    for (user, role) in [("fay", "owner"), ("fred", "user")] {
        kitchen.user(user, json!({ "role": role }));
        // What a token says is not asked.
        let session = session(user).claim("role", "admin");
        let seen = at.passes(&as_user("/", &session).header("x-user-role", "admin").header("X_User_Role", "admin"));
        assert_eq!((seen.all("x-user-role"), seen.all("x_user_role").len()), (vec![role], 0));
        if role == "owner" {
            at.passes(&as_user("/admin", &session));
        } else {
            at.answers(&as_user("/admin", &session), 403);
        }
    }
    kitchen.user("fran", json!({ "role": null }));
    at.answers(&as_user("/admin", &session("fran")), 403);
    assert!(at.passes(&as_user("/", &session("fran")).header("x-user-role", "admin")).all("x-user-role").is_empty());
}

fn two_tenants(kitchen: &Kitchen) {
    let at = kitchen.recipe("two-tenants");
    kitchen.user("tim", json!({}));
    let of = |name: &str| {
        token("tim").cookie(&format!("__Secure-{name}.session-token")).secret(&format!("the secret of {name}"))
    };
    let (acme, globex) = (of("acme").pair(), of("globex").pair());
    let to = |host: &str, cookie: &str| Request::with_cookies(cookie).host(host);
    assert_eq!(at.passes(&to("acme.example.com", &acme)).all("x-user-id"), ["tim"]);
    assert_eq!(at.passes(&to("globex.example.com", &globex)).all("x-user-id"), ["tim"]);
    at.answers(&to("globex.example.com", &acme), 401);
    at.answers(&to("acme.example.com", &globex), 401);
    // One's own secret makes no session of the other's.
    at.answers(&to("globex.example.com", &of("globex").secret("the secret of acme").pair()), 401);
    // With both, each host sees its own.
    let seen = at.passes(&to("acme.example.com", &format!("{globex}; {acme}")));
    assert_eq!(seen.all("cookie"), [acme.as_str()]);
}

fn browser_app(kitchen: &Kitchen) {
    let at = kitchen.recipe("browser-app");
    kitchen.user("bea", json!({}));
    let bea = session("bea");
    let reply = at.answers(&navigation("/orders?page=2"), 302);
    let expected = "https://app.example.com/sign-in?callbackUrl=https%3A%2F%2Fapp.example.com%2Forders%3Fpage%3D2";
    assert_eq!((reply.header("location"), reply.header("cache-control")), (Some(expected), Some("no-store")));
    let fetch = Request::get("/api/orders").header("sec-fetch-mode", "cors").header("accept", "*/*");
    for request in [fetch, navigation("/api/orders")] {
        let reply = at.answers(&request, 401);
        assert_eq!(reply.header("content-type"), Some("application/json"));
        let body: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(body["error"], "unauthenticated", "{body}");
    }
    for path in ["/sign-in", "/_next/static/a.js", "/favicon.ico"] {
        assert!(at.passes(&as_user(path, &bea)).all("cookie").is_empty(), "{path}");
    }
    at.passes(&Request::get("/api/auth/providers"));
    let cookie = bea.pair();
    let seen = at.passes(&Request::get("/api/auth/session").header("cookie", &cookie));
    assert_eq!(seen.all("cookie"), [cookie.as_str()]);
    assert_eq!(at.passes(&as_user("/api/orders", &bea)).all("x-user-id"), ["bea"]);
    assert_eq!(at.passes(&as_user("/orders", &bea)).all("x-user-id"), ["bea"]);
}

fn report(kitchen: &Kitchen) {
    kitchen.user("rex", json!({}));
    let rex = session("rex");
    let requests = [
        (Request::get("/orders").header("x-user-id", "admin"), 401, "unauthenticated"),
        (as_user("/admin", &rex).header("x-user-id", "admin"), 403, "forbidden"),
        (as_user("/orders", &session("a stranger to the service")), 403, "forbidden"),
    ];
    let (trial, enforced) = (kitchen.recipe("report"), kitchen.recipe(ENFORCED));
    for (request, status, said) in &requests {
        let seen = trial.passes(request);
        assert_eq!((seen.all("x-user-id").len(), seen.all("x-jwe-gate-status")), (0, vec![*said]), "{request:?}");
        enforced.answers(request, *status);
    }
    for gate in [&trial, &enforced] {
        assert_eq!(gate.passes(&as_user("/orders", &rex)).all("x-user-id"), ["rex"]);
        assert!(gate.passes(&as_user("/public/a.css", &rex)).all("x-user-id").is_empty());
    }
    kitchen.wait_for("the reports to be counted", || {
        let stats = kitchen.envoy.stats().unwrap();
        let reported = |reason: &str| stats.get(&format!("wasmcustom.jwe_gate.reported.{reason}")).copied();
        ["no_token", "condition", "unknown_user"].into_iter().all(|reason| reported(reason) == Some(1))
    });
}

fn signed_identity(kitchen: &Kitchen) {
    let at = kitchen.recipe("signed-identity");
    kitchen.user("sam", json!({ "role": "clerk" }));
    let seen =
        at.passes(&as_user("/", &session("sam")).header("x-identity-jwt", "forged").header("X_Identity_JWT", "forged"));
    assert!(seen.all("cookie").is_empty() && seen.all("x_identity_jwt").is_empty());
    let jwt = seen.only("x-identity-jwt").unwrap();
    let part = |number: usize| URL_SAFE_NO_PAD.decode(jwt.split('.').nth(number).unwrap()).unwrap();
    let header: Value = serde_json::from_slice(&part(0)).unwrap();
    assert_eq!(header["alg"], "EdDSA");
    let claims: Map<String, Value> = serde_json::from_slice(&part(1)).unwrap();
    for (name, value) in [("sub", "sam"), ("iss", "https://gate.example.com"), ("aud", "orders"), ("role", "clerk")] {
        assert_eq!(claims[name], value, "{name}");
    }
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 300);
    // Ed25519 signs the same text in the same way, so who has the key can compare.
    assert_eq!(Signer::new(&Secret::new(IDENTITY_KEY)).unwrap().sign(&claims), jwt);
    at.answers(&Request::get("/").header("x-identity-jwt", jwt), 401);
}

fn rbac(kitchen: &Kitchen) {
    let at = kitchen.recipe("rbac");
    kitchen.user("ray", json!({}));
    let from = |address: &str, request: Request| request.header("x-forwarded-for", address);
    let (inside, outside) = ("10.1.2.3", "203.0.113.7");
    at.passes(&from(inside, as_user("/internal/x", &session("ray"))));
    at.answers(&from(outside, as_user("/internal/x", &session("ray"))), 403);
    at.answers(&from(inside, Request::get("/internal/x")), 403);
    at.answers(&from(inside, as_user("/internal", &session("ray").secret("another"))), 403);
    at.answers(&from(inside, as_user("/internal", &session("a stranger to the service"))), 403);
    // Nothing of a client's makes a verdict.
    let forged = Request::get("/internal").header("wasm.jwe_gate_verdict", "allow").header("x-user-id", "ray");
    at.answers(&from(inside, forged), 403);
    at.passes(&from(outside, as_user("/", &session("ray"))));
    at.passes(&from(outside, Request::get("/pages")));
    at.answers(&from(outside, Request::get("/")), 401);
}

fn access_log(kitchen: &Kitchen) {
    let at = kitchen.recipe("access-log");
    kitchen.user("lea.secretive", json!({}));
    let (lea, stranger) = (session("lea.secretive").pair(), session("stranger.secretive").pair());
    let get = |path: &str, cookie: &str| Request::get(path).header("cookie", cookie);
    at.passes(&get("/log-1?secret=swordfish", &lea));
    at.passes(&get("/log-2", &lea));
    at.passes(&get("/public/log-3", &lea));
    at.answers(&Request::get("/log-4"), 401);
    at.answers(&get("/log-5", &stranger), 403);

    let told = |path: &str| {
        let entry = kitchen.logged(&|line: &Value| line["path"] == path);
        let fields = ["status", "gate_verdict", "gate_reason", "gate_rule", "gate_session", "gate_cache"];
        (fields.map(|field| entry[field].clone()), entry)
    };
    let (first, of_lea) = told("/log-1");
    assert_eq!(json!(first), json!([200, "allow", "ok", "app", "web", "lookup"]));
    let hash = of_lea["gate_subject"].as_str().unwrap();
    assert!(hash.len() == 32 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{hash}");
    let waited = &of_lea["gate_lookup_ms"];
    assert!(waited.as_str().map_or(waited.is_u64(), |text| text.parse::<u64>().is_ok()), "{waited}");
    let (second, again) = told("/log-2");
    assert_eq!(json!(second), json!([200, "allow", "ok", "app", "web", "l0"]));
    assert_eq!((again["gate_subject"].as_str(), &again["gate_lookup_ms"]), (Some(hash), &Value::Null));
    assert_eq!(json!(told("/public/log-3").0), json!([200, "none", "open", "public", null, "none"]));
    assert_eq!(json!(told("/log-4").0), json!([401, "deny", "no_token", "app", null, "none"]));
    let (refused, of_stranger) = told("/log-5");
    assert_eq!(json!(refused), json!([403, "deny", "unknown_user", "app", "web", "lookup"]));

    let audited = |reason: &str| kitchen.logged(&|line: &Value| line["audit"] == "denied" && line["reason"] == reason);
    let expected = json!({ "audit": "denied", "left_out": 0, "reason": "no_token", "rule": "app", "subject": null });
    assert_eq!(audited("no_token"), expected);
    assert_eq!(audited("unknown_user")["subject"], of_stranger["gate_subject"]);
    assert!(read("access-log.md").contains(&expected.to_string()), "the page shows another line than {expected}");
    let log = kitchen.envoy.log();
    for secret in ["secretive", "swordfish", "session-token", &lea[lea.len() - 40..], &stranger[stranger.len() - 40..]]
    {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

/// All recipes in one Envoy, each behind a listener of its name.
struct Kitchen {
    envoy: Envoy,
    lookup: FakeLookup,
    _service: Server,
    _app: Upstream,
}

impl Kitchen {
    fn start() -> Self {
        let (app, lookup) = (Upstream::start().unwrap(), FakeLookup::default());
        let service = serve(lookup.clone());
        let mut configurations: BTreeMap<&str, Value> =
            RECIPES.map(|(name, _)| (name, json(&format!("{name}.json")))).into();
        let mut enforced = configurations["report"].clone();
        assert_eq!(enforced.as_object_mut().unwrap().remove("report"), Some(json!(true)));
        configurations.insert(ENFORCED, enforced);
        let mut config = Config::new().cluster("app", app.address()).cluster("jwe_gate_lookup", service.address());
        for (name, configuration) in &configurations {
            config = config.listener(listener(name, configuration));
        }
        let mut launch = Launch::new(config.build());
        // The default of Envoy, at which audit lines are to be seen.
        launch.log_level = "info";
        Self { envoy: Envoy::start(&launch).unwrap(), lookup, _service: service, _app: app }
    }

    fn recipe(&self, name: &'static str) -> Recipe<'_> {
        Recipe { kitchen: self, name }
    }

    /// Lets the service know a user, and these fields.
    fn user(&self, user: &str, fields: Value) {
        self.lookup.add(user);
        let Value::Object(fields) = fields else { panic!("an object is expected: {fields}") };
        for (name, value) in fields {
            self.lookup.field(user, &name, value);
        }
    }

    /// The first JSON in Envoy's log that is so. Access logs are written now and then.
    fn logged(&self, is_so: &dyn Fn(&Value) -> bool) -> Value {
        let find = || {
            let log = self.envoy.log();
            let values = log.lines().filter_map(|line| serde_json::from_str(line.get(line.find('{')?..)?).ok());
            values.into_iter().find(is_so)
        };
        let mut found = None;
        self.wait_for("a line in the log", || {
            found = find();
            found.is_some()
        });
        found.unwrap()
    }

    fn wait_for(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let start = Instant::now();
        while !is_so() {
            assert!(start.elapsed() < Duration::from_secs(20), "waited for {what}:\n{}", self.envoy.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn listener(name: &str, configuration: &Value) -> Listener {
    let filter = Filter::new(&artefact::path(), &configuration.to_string())
        .name(name)
        .variable("AUTH_SECRET", SECRET)
        .variable("ACME_AUTH_SECRET", "the secret of acme")
        .variable("GLOBEX_AUTH_SECRET", "the secret of globex")
        .variable("JWE_GATE_LOOKUP_SECRET", LOOKUP_SECRET)
        .variable("IDENTITY_KEY", IDENTITY_KEY);
    let listener = Listener::to_cluster(name, "app").filter(filter);
    match name {
        "rbac" => listener.other_filter(json("rbac.filter.json")),
        "access-log" => listener.option(
            "access_log",
            json!([{
                "name": "log",
                "typed_config": { "@type": STDOUT, "log_format": json("access-log.format.json") },
            }]),
        ),
        _ => listener,
    }
}

/// One of them.
struct Recipe<'a> {
    kitchen: &'a Kitchen,
    name: &'static str,
}

impl Recipe<'_> {
    /// What the app got of a request that must reach it.
    fn passes(&self, request: &Request) -> Received {
        let reply = self.send(request);
        Received::from_reply(&reply).unwrap_or_else(|error| panic!("{}: {request:?}: {error}", self.name))
    }

    /// The proxy's own answer.
    fn answers(&self, request: &Request, status: u16) -> Reply {
        let reply = self.send(request);
        assert_eq!(reply.status, status, "{}: {request:?}: {}", self.name, reply.text());
        assert!(Received::from_reply(&reply).is_err(), "{}: {request:?} reached the app", self.name);
        reply
    }

    fn send(&self, request: &Request) -> Reply {
        let address = self.kitchen.envoy.address(self.name);
        let request = match &*request.method {
            "POST" => request.clone().header("content-length", "0"),
            _ => request.clone(),
        };
        http::send(address, request.bytes()).unwrap_or_else(|error| panic!("{}: {request:?}: {error}", self.name))
    }
}

/// A session in the cookie of most recipes.
fn session(user: &str) -> Token {
    token(user).cookie("__Secure-authjs.session-token")
}

fn as_user(path: &str, session: &Token) -> Request {
    Request::get(path).header("cookie", session.pair())
}

/// A browser opens a page.
fn navigation(path: &str) -> Request {
    Request::get(path).header("sec-fetch-mode", "navigate").header("accept", "text/html,*/*;q=0.8")
}

fn read(file: &str) -> String {
    let path = repository().join("docs/recipes").join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn json(file: &str) -> Value {
    serde_json::from_str(&read(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// RFC 8037 appendix A.1.
const IDENTITY_KEY: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";

const STDOUT: &str = "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog";
