//! `envoy/cached-content.yaml`: one page for many users is asked for once, and nobody gets anything of somebody else.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use hyper::header::HeaderName;
use jwe_gate_test_harness::burst::{Answer, App, Plan, Size, Stage, anonymous, content, request, subject};
use jwe_gate_test_harness::chain::{COOKIE, cookie};
use jwe_gate_test_parts::envoy::repository;
use jwe_gate_test_parts::server;

const FILE: &str = "envoy/cached-content.yaml";
const PROGRAM: &str = env!("CARGO_BIN_EXE_lookup-service");

/// `make burst` does the same with 2,000.
#[test]
fn a_burst_for_one_page_reaches_the_app_once_and_those_without_a_session_get_nothing() {
    let report = content(&Plan::cached(PROGRAM, 100), Size { requests: 300, users: 100 }).unwrap();
    println!("{report}");
    assert!(report.violations().is_empty(), "{report}");
}

#[test]
fn those_without_a_session_get_the_apps_own_answers_where_it_is_asked_and_leave_nothing() {
    let plan = Plan::cached(PROGRAM, 60).forwarding();
    let report = anonymous(&plan, Size { requests: 120, users: 60 }).unwrap();
    println!("{report}");
    assert!(report.violations().is_empty(), "{report}");
}

#[test]
fn what_is_cached_was_asked_for_on_behalf_of_nobody() {
    let site = site();
    let path = "/content/nobody";
    let identifying = [
        ("x-user-id", "admin"),
        ("x-jwe-gate-content", "forged"),
        ("forwarded", "for=192.0.2.60"),
        ("x-forwarded-for", "192.0.2.60"),
        ("x-real-ip", "192.0.2.60"),
        ("referer", "https://localhost/?code=4711"),
        ("proxy-authorization", "Basic YTpi"),
    ];
    let session = cookie(&subject(0));
    let first = site.get(path, &[&[("cookie", session.as_str())], identifying.as_slice()].concat());
    let second = site.visit(path, 1);
    assert_eq!((first.status, &first.body), (second.status, &second.body));
    let asked = site.asked(path);
    assert_eq!(asked.len(), 1);
    let mut names: Vec<_> = asked[0].headers.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["host", "x-forwarded-proto", "x-jwe-gate-content", "x-request-id"]);
    assert_eq!(asked[0].only("x-jwe-gate-content"), Some("for everybody"));
    // The app sets a cookie, echoes an identity and more; neither of the two sees it.
    for answer in [first, second] {
        let mut names: Vec<_> = answer.headers.keys().map(HeaderName::as_str).filter(|name| *name != "age").collect();
        names.sort_unstable();
        assert_eq!(
            names,
            ["cache-control", "content-length", "content-type", "date", "etag", "x-envoy-upstream-service-time"]
        );
    }
}

#[test]
fn nobody_without_a_good_session_gets_what_is_cached_by_any_method_or_header() {
    let site = site();
    let path = "/content/guarded";
    assert_eq!(site.visit(path, 0).status, 200);
    let stranger = cookie("nobody who is known");
    let forged = format!("{COOKIE}=eyJhbGciOiJkaXIifQ..AAAA.AAAA.AAAA");
    for headers in [
        &[][..],
        &[("cookie", forged.as_str())],
        &[("cookie", stranger.as_str())],
        &[("x-user-id", "admin")],
        &[("connection", "x-user-id"), ("x-user-id", "admin")],
        &[("authorization", "Bearer x")],
        &[("cache-control", "only-if-cached")],
        &[("range", "bytes=0-3")],
        &[("if-none-match", "*")],
    ] {
        for method in ["GET", "HEAD", "POST"] {
            let answer = site.send(method, path, headers);
            assert!(matches!(answer.status, 400 | 401 | 403), "{method} {headers:?}: {}", answer.status);
            assert!(!answer.text().contains("answer"), "{method} {headers:?}");
        }
    }
    assert_eq!(site.asked(path).len(), 1);
}

#[test]
fn a_client_cannot_make_the_app_be_asked_again() {
    let site = site();
    let path = "/content/once";
    let first = site.visit(path, 0);
    for (name, value) in [
        ("cache-control", "no-cache"),
        ("cache-control", "no-store, max-age=0"),
        ("pragma", "no-cache"),
        ("if-none-match", "\"tag\""),
        ("if-modified-since", "Sat, 21 Nov 2020 00:00:00 GMT"),
        ("range", "bytes=0-3"),
        ("if-range", "\"tag\""),
        ("authorization", "Bearer x"),
        ("accept-encoding", "gzip"),
        ("accept-language", "de"),
        ("cookie", "theme=light"),
    ] {
        let session = cookie(&subject(1));
        let answer = site.get(path, &[("cookie", session.as_str()), (name, value)]);
        // A second Cookie header is read together with the first.
        assert_eq!((answer.status, &answer.body), (200, &first.body), "{name}: {value}");
    }
    let head = site.send("HEAD", path, &[("cookie", &cookie(&subject(2)))]);
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(site.asked(path).len(), 1);
}

#[test]
fn what_the_app_does_not_give_to_everybody_is_not_stored() {
    let site = site();
    for path in [
        "/content/status/302",
        "/content/status/401",
        "/content/status/403",
        "/content/status/500",
        "/content/status/503",
        "/content/no-cache",
        "/content/private",
        "/content/no-store",
        "/content/revalidate",
        "/content/silent",
        "/content/vary",
    ] {
        let (one, other) = (site.visit(path, 0), site.visit(path, 1));
        assert_ne!(one.body, other.body, "{path}");
        assert_eq!(site.asked(path).len(), 2, "{path}");
        for answer in [one, other] {
            assert!(answer.all("set-cookie").is_empty() && answer.all("x-user-id").is_empty(), "{path}");
        }
    }
}

/// Everything but the cached pages is as without the cache: the app knows the user, and may set cookies.
#[test]
fn other_pages_and_other_methods_are_the_apps_own() {
    let site = site();
    for (method, path) in [("GET", "/account"), ("GET", "/content"), ("GET", "/CONTENT/x"), ("POST", "/content/posted")]
    {
        for user in 0..2 {
            let session = cookie(&subject(user));
            let answer = site.send(method, path, &[("cookie", &session)]);
            assert_eq!(answer.all("set-cookie").len(), 1, "{path}");
            let asked = site.asked(path);
            let asked = asked.last().unwrap();
            assert_eq!(asked.only("x-user-id"), Some(subject(user).as_str()), "{path}");
            assert_eq!(asked.only("cookie"), Some(session.as_str()), "{path}");
        }
        assert_eq!(site.asked(path).len(), 2, "{path}");
    }
}

/// Envoy 1.40 crashes under load when it asks whether a page has changed, and it has. So it never asks that.
#[test]
fn a_page_is_asked_for_anew_in_its_time_and_never_whether_it_has_changed() {
    let app = App::start(|received, number| answer(&received.line, number)).unwrap();
    let plan = Plan { edits: vec![("%START_TIME(%Y%m%d%H%M)%", "%START_TIME(%s)%")], ..Plan::new(PROGRAM, FILE, 20) };
    let site = Site { stage: plan.start(app.address()).unwrap(), app };
    for path in ["/content/short", "/content/revalidate", "/content/dateless"] {
        let start = Instant::now();
        let mut seen = std::collections::BTreeSet::new();
        let mut crowd = site.stage.crowd(20).unwrap();
        // Until the page has turned twice.
        while seen.len() < 3 {
            assert!(start.elapsed() < PATIENCE, "{path}: it lasts for a second");
            let requests = (0..20).map(|user| request(path, &[("cookie", &cookie(&subject(user)))]));
            for answer in crowd.rush(requests.collect()).unwrap() {
                let answer = answer.expect("Envoy answers");
                assert_eq!(answer.status, 200, "{path}");
                seen.insert(answer.text());
            }
        }
        let conditional = ["if-none-match", "if-modified-since"];
        let asked = site.asked(path);
        assert!(asked.iter().all(|asked| conditional.iter().all(|name| asked.all(name).is_empty())), "{asked:?}");
    }
    assert_eq!(site.stage.counter("event_type.validate").unwrap(), 0);
}

/// It would crash, too, when an answer broke off that it is storing.
#[test]
fn an_answer_that_breaks_off_is_an_error_and_nothing_more() {
    let site = site();
    for path in ["/content/broken", "/content/broken/again"] {
        let mut crowd = site.stage.crowd(50).unwrap();
        let requests = (0..50).map(|user| request(path, &[("cookie", &cookie(&subject(user % USERS)))]));
        let answers = crowd.rush(requests.collect()).unwrap();
        assert!(answers.iter().all(|answer| answer.as_ref().is_some_and(|answer| matches!(answer.status, 502 | 503))));
    }
    assert_eq!(site.visit("/content/whole", 0).status, 200);
}

/// How long a page lasts and how long a user is known are two things: the gate judges each request.
#[test]
fn a_user_who_is_gone_gets_no_page_however_long_it_is_stored() {
    let site = site();
    let path = "/content/lasting";
    let leaver = subject(USERS - 1);
    assert_eq!(site.visit(path, 0).status, 200);
    site.stage.postgres.run_sql(&site.stage.database, &format!("DELETE FROM people WHERE id = '{leaver}'")).unwrap();
    assert_eq!(site.visit(path, USERS - 1).status, 403);
    assert_eq!(site.visit(path, 1).status, 200);
    assert_eq!(site.asked(path).len(), 1);
}

/// Whoever comes first may go away; the others wait for the same answer.
#[test]
fn those_who_wait_are_served_though_the_first_has_gone() {
    let site = site();
    let path = "/content/slow";
    let mut first = site.connect();
    first.write(jwe_gate_test_parts::http::get(path, &[("cookie", &cookie(&subject(0)))]).as_bytes()).unwrap();
    let start = Instant::now();
    while site.asked(path).is_empty() {
        assert!(start.elapsed() < PATIENCE, "the app is asked");
        std::thread::sleep(STEP);
    }
    drop(first);
    let mut crowd = site.stage.crowd(20).unwrap();
    let requests = (0..20).map(|user| request(path, &[("cookie", &cookie(&subject(user)))]));
    let answers = crowd.rush(requests.collect()).unwrap();
    assert!(answers.iter().all(|answer| answer.as_ref().is_some_and(|answer| answer.status == 200)));
    assert_eq!(site.asked(path).len(), 1);
}

/// What is not said to differ does not: whoever changes one of the two files is told to change the other.
#[test]
fn apart_from_the_cache_the_file_is_the_other_shipped_one() {
    let lines = |file: &str| {
        let text = std::fs::read_to_string(repository().join(file)).unwrap();
        let code = text.lines().map(|line| line.split_once(" # ").map_or(line, |(code, _)| code).trim_end());
        let code = code.filter(|line| !line.is_empty() && !line.trim_start().starts_with('#'));
        code.map(str::to_owned).collect::<Vec<_>>()
    };
    let cached = lines(FILE);
    let mut rest = cached.iter();
    for line in lines("envoy/envoy.yaml") {
        assert!(rest.any(|other| *other == line), "{FILE} lacks this line of envoy.yaml, here: {line:?}");
    }
}

const USERS: usize = 50;
const PATIENCE: Duration = Duration::from_secs(30);
const STEP: Duration = Duration::from_millis(50);

/// An app behind the gate and its cache.
struct Site {
    stage: Stage,
    app: App,
}

impl Site {
    fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("GET", path, headers)
    }

    fn send(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = request(path, headers);
        *request.method_mut() = method.parse().unwrap();
        let answers = self.stage.crowd(1).unwrap().rush(vec![request]).unwrap();
        answers.into_iter().next().flatten().expect("Envoy answers")
    }

    fn visit(&self, path: &str, user: usize) -> Answer {
        self.get(path, &[("cookie", &cookie(&subject(user)))])
    }

    fn connect(&self) -> jwe_gate_test_parts::http::Connection {
        self.stage.connect()
    }

    fn asked(&self, path: &str) -> Vec<jwe_gate_test_parts::upstream::Received> {
        let path = format!(" {path} ");
        self.app.received().into_iter().filter(|received| received.line.contains(&path)).collect()
    }
}

/// What the app answers, by path. Every answer differs, and says that it may be stored where not said otherwise.
fn answer(line: &str, number: usize) -> server::Answer {
    let path = line.split(' ').nth(1).unwrap_or_default();
    let mut answer = server::Answer::new("text/plain", format!("answer {number}"))
        .header("set-cookie", format!("{COOKIE}=refreshed-{number}"))
        .header("x-user-id", "an echo")
        .header("etag", "\"tag\"");
    let lasts = match path {
        "/content/private" => Some("private, max-age=600"),
        "/content/no-cache" => Some("no-cache"),
        "/content/no-store" => Some("no-store"),
        "/content/revalidate" => Some("max-age=0, must-revalidate"),
        "/content/short" => Some("max-age=1"),
        "/content/silent" => None,
        _ => Some("max-age=600"),
    };
    if let Some(lasts) = lasts {
        answer = answer.header("cache-control", lasts);
    }
    if path != "/content/dateless" {
        answer = answer.header("date", "Sat, 21 Nov 2026 00:00:00 GMT");
    }
    match path {
        "/content/vary" => answer = answer.header("vary", "accept-encoding"),
        "/content/slow" => std::thread::sleep(Duration::from_secs(1)),
        path if path.starts_with("/content/broken") => answer.missing = 10,
        _ => {}
    }
    if let Some(status) = path.strip_prefix("/content/status/") {
        answer.status = status.parse().unwrap_or(200);
    }
    answer
}

/// One for all tests of this file.
fn site() -> Arc<Site> {
    static SHARED: Mutex<Weak<Site>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(site) = shared.upgrade() {
        return site;
    }
    let app = App::start(|received, number| answer(&received.line, number)).unwrap();
    let stage = Plan::cached(PROGRAM, USERS).start(app.address()).unwrap();
    let site = Arc::new(Site { stage, app });
    *shared = Arc::downgrade(&site);
    site
}
