//! Every reading of a request that an application may have must be covered by the rule that it falls under.

use super::*;
use crate::config::{Access, StreamPolicy};
use crate::headers::Field;

fn rule(access: Access, path: Option<Pattern>) -> Rule {
    Rule {
        paths: path.into_iter().collect(),
        treatment: Treatment { access, ..Treatment::default() },
        ..Rule::default()
    }
}

fn prefix(path: &str) -> Pattern {
    Pattern::prefix(path).unwrap()
}

fn get(path: &str) -> RequestLine<'_> {
    RequestLine::read(Field::Line(b"GET"), Field::Line(b"app.test"), Field::Line(path.as_bytes()), false)
}

/// `/public` is open, `/admin` wants a condition, everything else wants a session.
fn site() -> Rules {
    let mut admin = rule(Access::Required, Some(prefix("/admin")));
    admin.treatment.conditions = 1;
    Rules::new(vec![rule(Access::Open, Some(prefix("/public"))), admin, rule(Access::Required, None)])
}

#[test]
fn the_first_rule_that_matches_counts() {
    for (path, rule) in [
        ("/public", 0),
        ("/public/", 0),
        ("/public/a.css", 0),
        ("/public/a.css?v=/admin", 0),
        ("/public/ein%20Bild.png", 0),
        ("/public/gr%C3%BCn", 0),
        ("/publication", 2),
        ("/admin", 1),
        ("/admin/users?all", 1),
        ("/administer", 2),
        ("/", 2),
        ("/other/public", 2),
    ] {
        assert_eq!(site().treatment(&get(path)).rule, rule, "{path}");
    }
}

#[test]
fn a_path_with_two_readings_must_satisfy_every_rule_that_it_could_fall_under() {
    let odd = [
        "/public/../admin",
        "/public/./x",
        "/public/..",
        "/public/.",
        "/public//x",
        "//public/x",
        "/public/%2e%2e/admin",
        "/public/.%2e/admin",
        "/public/%2E./admin",
        "/public%2f..%2fadmin",
        "/public%2Fx",
        "/public%5c..%5cadmin",
        "/public\\..\\admin",
        "/public/..\\admin",
        "/public;x=/../admin",
        "/public;/x",
        "/public/x;jsessionid=1",
        "/public/%3bx",
        "/public/%3Bx",
        "/public/%252e%252e/admin",
        "/public/%252fadmin",
        "/public/%25",
        "/public/%00",
        "/public/%0a",
        "/public/%0d%0aX-User-Id: a",
        "/public/%7f",
        "/public/%",
        "/public/%2",
        "/public/%zz",
        "/public/%+1",
        "/public/%u002e",
        "/public/%c0%ae%c0%ae/admin",
        "/public/%c0%af",
        "/public/%ff",
        "/public/%e0%80%af",
        "/public/%ef%bc%8f..",
        "/public/%ef%bc%8e",
        "/public/%e2%88%95x",
        "/public/%e2%80%a5/",
        "/public/%e2%80%8b",
        "/public/%ef%bb%bfx",
        "/public/%c4%b1",
        "/public/%e2%84%aa",
        "/public#/../admin",
        "/public?x#/admin",
        "/public/%23",
        "/public/%3f/../admin",
        "/public/%3F",
        "/%70ublic",
        "/publi%63",
        "/public/%7eroot",
        "/public/x.",
        "/public/x%20",
        "/public/x./y",
        "/public/.../admin",
        "/public/\u{e9}",
        "/public/ x",
        "/public/\t",
        "/public/\"x\"",
        "/public/<x>",
        "/public/{x}",
        "/public/|",
        "/public/^",
        "/public/`",
        "public/x",
        "",
        "*",
        "http://app.test/public/x",
        "app.test:443",
        "?x",
        "/public/%2e",
        "/public/%C2%85",
        "/public/%c2%ad",
    ];
    assert!(odd.len() >= 60);
    for path in odd {
        let treatment = site().treatment(&get(path));
        assert_eq!(treatment.access, Access::Required, "{path:?}");
        assert_eq!(treatment.conditions, 1, "{path:?}");
    }
}

#[test]
fn routers_that_ignore_case_or_a_slash_at_the_end_are_no_way_around_a_rule() {
    for path in ["/ADMIN", "/Admin/users", "/aDmIn/"] {
        assert_eq!(site().treatment(&get(path)).conditions, 1, "{path}");
    }
    for path in ["/PUBLIC", "/Public/x"] {
        assert_eq!(site().treatment(&get(path)).access, Access::Required, "{path}");
    }
    let mut report = rule(Access::Required, Some(Pattern::exact("/report").unwrap()));
    report.treatment.conditions = 2;
    let rules = Rules::new(vec![report, rule(Access::Optional, None)]);
    for path in ["/report", "/report/", "/REPORT"] {
        assert_eq!(rules.treatment(&get(path)).conditions, 2, "{path}");
    }
    assert_eq!(rules.treatment(&get("/reports")).conditions, 0);
}

#[test]
fn where_the_path_does_not_matter_an_odd_one_does_no_harm() {
    let rules = Rules::new(vec![rule(Access::Open, None)]);
    assert_eq!(rules.treatment(&get("/a%2fb;c//d")).access, Access::Open);
}

#[test]
fn hosts_are_compared_without_case_port_and_last_dot() {
    let mut tenant = rule(Access::Open, None);
    tenant.hosts = vec![HostPattern::new("a.test").unwrap(), HostPattern::new("*.b.test").unwrap()];
    let rules = Rules::new(vec![tenant, rule(Access::Required, None)]);
    let of = |host: &str| {
        rules
            .treatment(&RequestLine::read(Field::Line(b"GET"), Field::Line(host.as_bytes()), Field::Line(b"/"), false))
            .access
    };
    for host in ["a.test", "A.Test", "a.test:8443", "a.test.", "a.test.:80", "x.b.test", "y.x.b.test"] {
        assert_eq!(of(host), Access::Open, "{host}");
    }
    for host in [
        "b.test",
        "xa.test",
        "xb.test",
        "a.test.evil",
        "a.test@evil",
        "evil/a.test",
        "a..test",
        "",
        "a.test:x",
        "a.test\\",
        "a.test,b",
        "[::1]",
        "a%2etest",
        "a.test evil",
    ] {
        assert_eq!(of(host), Access::Required, "{host}");
    }
    let twice = RequestLine::read(Field::Line(b"GET"), Field::Several, Field::Line(b"/"), false);
    assert_eq!(rules.treatment(&twice).access, Access::Required);
}

#[test]
fn a_method_that_can_be_overridden_is_no_way_around_a_rule() {
    let mut writes = rule(Access::Required, None);
    writes.methods = vec!["POST".to_owned(), "DELETE".to_owned()];
    writes.treatment.conditions = 4;
    let rules = Rules::new(vec![writes, rule(Access::Required, None)]);
    let of = |method: &str, path: &str, overridden| {
        let (method, path) = (Field::Line(method.as_bytes()), Field::Line(path.as_bytes()));
        rules.treatment(&RequestLine::read(method, Field::Line(b"a.test"), path, overridden)).conditions
    };
    assert_eq!(of("DELETE", "/", false), 4);
    assert_eq!(of("delete", "/", false), 4);
    assert_eq!(of("GET", "/?method=DELETE", false), 0);
    for (method, path, overridden) in [
        ("PUT", "/", true),
        ("PUT", "/?_method=delete", false),
        ("PUT", "/?a&%5Fm%65thod=x", false),
        ("GET", "/?a;_METHOD=x", false),
    ] {
        assert_eq!(of(method, path, overridden), 4, "{method} {path}");
    }
}

#[test]
fn a_request_that_no_rule_matches_needs_a_session() {
    assert_eq!(
        Rules::new(vec![rule(Access::Open, Some(prefix("/public")))]).treatment(&get("/x")),
        Treatment::default()
    );
    assert!(!Rules::new(vec![rule(Access::Open, Some(prefix("/public")))]).are_complete());
    assert!(site().are_complete());
}

#[test]
fn a_glob_stays_within_its_segments() {
    let matches = |glob: &str, path: &str| Pattern::glob(glob).unwrap().matches(path);
    for (glob, path) in [
        ("/api/*/public", "/api/v1/public"),
        ("/files/**", "/files/a/b/c"),
        ("/files/**", "/files"),
        ("/**/x", "/x"),
        ("/**/x", "/a/b/x"),
        ("/a/**/b/**/c", "/a/1/b/2/3/c"),
        ("/*.png", "/a.png"),
        ("/a*b*c", "/axxbyyc"),
        ("/a*", "/a"),
        ("/*", "/"),
    ] {
        assert!(matches(glob, path), "{glob} {path}");
    }
    for (glob, path) in [
        ("/api/*/public", "/api/v1/v2/public"),
        ("/api/*/public", "/api/public"),
        ("/*.png", "/a/b.png"),
        ("/a*b*c", "/axxc"),
        ("/a*bc", "/abcd"),
        ("/*", "/a/b"),
        ("/aa*aa", "/aaa"),
        ("/x/**/y", "/x/yy"),
    ] {
        assert!(!matches(glob, path), "{glob} {path}");
    }
}

#[test]
fn a_pattern_that_no_path_can_match_is_refused() {
    for path in ["public", "", "/a%20b", "/a?b", "/a//b", "//a", "/a/./b", "/a/..", "/a;b", "/a\\b", "/a."] {
        assert!(Pattern::prefix(path).is_err(), "{path}");
    }
    for glob in ["/a/***", "/a**", "/**/**/**", "x/*"] {
        assert!(Pattern::glob(glob).is_err(), "{glob}");
    }
    assert!(Pattern::exact("/grün/ein Bild.png").is_ok());
    for host in ["", "*", "*.", "a.test:80", "a_b..c", "https://a.test", "a.test/"] {
        assert_eq!(HostPattern::new(host), None, "{host}");
    }
}

#[test]
fn streams_are_cut_where_either_of_two_possible_rules_says_so() {
    let mut downloads = rule(Access::Required, Some(prefix("/downloads")));
    downloads.treatment.streams = StreamPolicy::Finish;
    let rules = Rules::new(vec![downloads, rule(Access::Required, None)]);
    assert_eq!(rules.treatment(&get("/downloads/film")).streams, StreamPolicy::Finish);
    assert_eq!(rules.treatment(&get("/Downloads/film")).streams, StreamPolicy::Cut);
    assert_eq!(rules.treatment(&get("/other")).streams, StreamPolicy::Cut);
}

proptest::proptest! {
    /// Rules rely on it: what does not even almost match is not looked at to the letter.
    #[test]
    fn what_matches_to_the_letter_almost_matches(pattern in "(/[aB*]{0,2}){1,3}|(/[aB]?){0,2}/\\*\\*/?[aB]?", path in "(/[aB]{0,2}){1,4}") {
        let plain = pattern.replace('*', "a");
        for pattern in [Pattern::exact(&plain), Pattern::prefix(&plain), Pattern::glob(&pattern)].into_iter().flatten() {
            let almost = pattern.almost_matches(&path, &super::pattern::loose(&path));
            proptest::prop_assert!(almost || !pattern.matches(&path), "{pattern:?} and {path}");
        }
    }
}
