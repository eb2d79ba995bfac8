//! `jwe-gate check --path`: what becomes of a request, and why.

use crate::common::{NOW, Run, SECRET, TempFile, mint, run};

const COOKIE: &str = "authjs.session-token";

/// Rules for an application with an admin area, a status page and a part for customers.
const CONFIG: &str = r#"{
    "sessions": [{"profile": "authjs", "cookie": "authjs.session-token", "secrets": [{"env": "SECRET"}]}],
    "lookup": {"secret": {"env": "SECRET"}, "fields": ["customer"]},
    "revocation": {"ready_path": "/ready", "sign_out": {"path": "/out"}},
    "public_url": "https://app.test",
    "sign_in": "/in",
    "routes": [
        {"name": "public", "paths": [{"exact": "/in"}, {"exact": "/status"}], "access": "open"},
        {"name": "admin", "paths": [{"prefix": "/admin"}], "access": "required", "on_unauthenticated": "redirect",
            "conditions": [{"claim": "roles", "contains": "admin"}]},
        {"name": "shop", "hosts": ["shop.test"], "methods": ["GET"], "access": "required",
            "conditions": [{"field": "customer", "equals": "c-7"}]},
        {"name": "rest", "access": "required"}
    ],
    "identity": {"headers": {"x-user-id": "sub", "x-customer": {"field": "customer"}}}
}"#;

fn explain(more: &[&str]) -> Run {
    let file = TempFile::new(CONFIG);
    let now = NOW.to_string();
    let run = run(&[&["check", file.path(), "--now", &now], more].concat(), SECRET, b"");
    assert!(run.out.contains(": accepted\n") || run.status == 2, "{run:?}");
    run
}

fn cookie(more: &[&str]) -> String {
    format!("{COOKIE}={}", mint("authjs", more))
}

/// The lines of one section.
fn section<'a>(run: &'a Run, title: &str) -> Vec<&'a str> {
    let mut lines = run.out.lines().skip_while(|line| line.strip_suffix(':') != Some(title)).skip(1);
    let lines: Vec<_> = std::iter::from_fn(|| lines.next()?.strip_prefix("  ")).collect();
    assert!(!lines.is_empty(), "no section {title}: {}", run.out);
    lines
}

#[test]
fn a_session_that_meets_the_conditions_goes_on() {
    let run = explain(&["--path", "/admin/users", "--cookie", &cookie(&["--claim", r#"roles=["admin"]"#])]);
    assert_eq!(run.status, 0, "{run:?}");
    assert_eq!(
        section(&run, "rules"),
        ["public: no, by its path", "admin: yes", "shop: not looked at", "rest: not looked at"]
    );
    assert!(section(&run, "session").contains(&"claim roles contains \"admin\": met"), "{}", run.out);
    let decision = section(&run, "decision");
    for line in ["it goes on to the application", "sets x-user-id", "reason: ok", "session: authjs.session-token"] {
        assert!(decision.contains(&line), "{line}: {}", run.out);
    }
}

#[test]
fn a_session_without_the_claim_is_told_which_one() {
    let run = explain(&["--path", "/admin", "--cookie", &cookie(&["--claim", r#"roles=["editor"]"#])]);
    assert_eq!(run.status, 1, "{run:?}");
    assert!(section(&run, "session").contains(&"claim roles contains \"admin\": not met"), "{}", run.out);
    assert_eq!(section(&run, "decision")[0], "it is answered with 403");
}

#[test]
fn a_browser_without_a_session_is_sent_to_sign_in() {
    let accept = "accept: text/html";
    let run = explain(&["--path", "/admin?a=b", "--header", accept, "--header", "sec-fetch-mode: navigate"]);
    assert_eq!(run.status, 1, "{run:?}");
    let decision = section(&run, "decision");
    assert_eq!(decision[0], "it is answered with 302");
    assert!(decision[1].starts_with("location: https://app.test/in?callbackUrl="), "{decision:?}");
    assert!(section(&run, "session")[0].starts_with("none: no_token"), "{}", run.out);
}

#[test]
fn what_is_read_in_two_ways_satisfies_every_rule_that_it_could_fall_under() {
    let run = explain(&["--path", "/%2fadmin", "--host", "app.test", "--cookie", &cookie(&[])]);
    assert_eq!(run.status, 1, "{run:?}");
    let rules = section(&run, "rules");
    assert_eq!(rules[0], "public: perhaps, by its path: it can be read in more than one way");
    assert_eq!(rules[2..4], ["shop: no, by its host", "rest: yes"]);
    assert!(section(&run, "session").contains(&"claim roles contains \"admin\": not met"), "{}", run.out);
}

#[test]
fn fields_are_supposed() {
    let cookie = cookie(&[]);
    let shop = ["--path", "/", "--host", "shop.test", "--cookie", &cookie];
    let silent = explain(&shop);
    assert_eq!(silent.status, 1, "{silent:?}");
    assert!(silent.out.contains("suppose it with --field customer=VALUE"), "{}", silent.out);
    let supposed = explain(&[&shop[..], &["--field", "customer=c-7"]].concat());
    assert_eq!(supposed.status, 0, "{supposed:?}");
    assert!(section(&supposed, "decision").contains(&"sets x-customer"), "{}", supposed.out);
    let unknown = explain(&[&shop[..], &["--field", "role=admin-of-all"]].concat());
    assert_eq!(unknown.status, 2, "{unknown:?}");
    assert!(unknown.err.contains("--field role") && !unknown.err.contains("admin-of-all"), "{}", unknown.err);
}

#[test]
fn what_the_lookup_says_is_supposed() {
    let cookie = cookie(&[]);
    for (user, status) in [("known", None), ("unknown", Some(403)), ("banned", Some(403)), ("unanswered", Some(503))] {
        let run = explain(&["--path", "/", "--host", "app.test", "--cookie", &cookie, "--user", user]);
        let expected =
            status.map_or("it goes on to the application".to_owned(), |status| format!("it is answered with {status}"));
        assert_eq!(section(&run, "decision")[0], expected, "{user}: {}", run.out);
    }
}

#[test]
fn another_site_is_refused_with_a_cookie() {
    let cookie = cookie(&[]);
    let request = ["--path", "/", "--method", "POST", "--host", "app.test", "--cookie", &cookie];
    let run = explain(&[&request[..], &["--header", "origin: https://evil.test"]].concat());
    assert_eq!(section(&run, "decision")[0], "it is answered with 403");
    assert!(section(&run, "request").contains(&"another site made it, so a cookie does not count"), "{}", run.out);
}

#[test]
fn open_rules_look_at_no_token_and_sign_out_is_named() {
    let open = explain(&["--path", "/status", "--cookie", &cookie(&[]), "--header", "x-user-id: root"]);
    assert_eq!(open.status, 0, "{open:?}");
    assert_eq!(section(&open, "session"), ["not looked at (open)"]);
    assert!(section(&open, "decision").contains(&"removes x-user-id"), "{}", open.out);
    assert!(explain(&["--path", "/out"]).out.contains("a POST to this path signs out"));
    assert!(explain(&["--path", "/ready?probe"]).out.contains("answers this path by the age of the feed"));
}

#[test]
fn tokens_claims_and_values_stay_unsaid_unless_they_are_asked_for() {
    let token = mint("authjs", &["--claim", r#"email="alice@app.test""#]);
    let header = TempFile::new(&format!("Authorization: Bearer {token}\nX-Note: a\n"));
    let cookie = TempFile::new(&format!("{COOKIE}={token}\n"));
    let (header, cookie) = (format!("@{}", header.path()), format!("@{}", cookie.path()));
    for credential in [["--header", &header], ["--cookie", &cookie]] {
        let request = [&["--path", "/", "--host", "app.test"][..], &credential].concat();
        let (plain, shown) = (explain(&request), explain(&[&request[..], &["--show-values"]].concat()));
        assert_eq!((plain.status, shown.status), (0, 0), "{plain:?}");
        assert!(!plain.out.contains("alice"), "{}", plain.out);
        assert!(shown.out.contains("sets x-user-id: alice") && shown.out.contains("alice@app.test"), "{}", shown.out);
        assert!(!shown.out.contains(&token) && !shown.out.contains(SECRET), "{}", shown.out);
    }
}
