use super::*;
use crate::claims::Test;
use crate::identity::Source;
use crate::route::{Treatment, Unauthenticated};

/// Parses with this environment; the error as the operator reads it.
fn parse(json: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
    let environment =
        |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    Config::from_json(json.as_bytes(), &environment).map_err(|error| error.to_string())
}

const SECRET: (&str, &str) = ("AUTH_SECRET", "a secret for tests");
const LOOKUP: (&str, &str) = ("JWE_GATE_LOOKUP_SECRET", "0123456789abcdef");

#[test]
fn bad_configurations_are_refused_with_the_field_and_the_reason() {
    let golden = include_str!("../../tests/golden/bad_configurations.txt");
    let (mut seen, mut wrong) = (0, Vec::new());
    for case in golden.split("\n\n").filter(|case| !case.trim().is_empty()) {
        let lines: Vec<&str> = case.lines().filter(|line| !line.starts_with('#')).collect();
        let [input, expected] = lines[..] else { panic!("two lines expected: {case}") };
        let (variables, json) = input.split_once(" | ").unwrap_or(("", input));
        let variables: Vec<_> = variables.split_whitespace().filter_map(|pair| pair.split_once('=')).collect();
        let error = parse(json, &[&variables[..], &[SECRET]].concat()).expect_err(json);
        if error != expected {
            wrong.push(format!("{input}\n    {error}\n    not: {expected}"));
        }
        seen += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen >= 25, "only {seen} cases");
}

#[test]
fn an_empty_configuration_means_what_the_variables_say() {
    let config = parse("", &[("JWT_SECRET", "legacy"), ("JWT_SALT", "__Secure-authjs.session-token")]).unwrap();
    let [session] = &config.sessions[..] else { panic!("one session expected") };
    assert_eq!(session.cookie.as_str(), "__Secure-authjs.session-token");
    assert_eq!(session.profile, Profile::AuthJs);
    let treatments: Vec<_> = config.routes.rules.as_slice().iter().map(|rule| rule.treatment).collect();
    assert_eq!(treatments, [Treatment::default()]);
    let headers: Vec<_> = config.identity.entries.iter().map(|entry| &*entry.header).collect();
    assert_eq!(headers, ["x-user-id", "x-user-email", "x-user-name"]);
    assert!(config.lookup.is_none());
}

#[test]
fn secrets_of_the_environment_come_in_the_order_of_the_packages() {
    let variables = [
        ("AUTH_SECRET", "d"),
        ("AUTH_SECRET_2", "b"),
        ("JWT_SECRET", "b"),
        ("AUTH_SECRET_3", "a"),
        ("AUTH_SECRET_1", "c"),
    ];
    let config = parse("{}", &variables).unwrap();
    let secrets: Vec<&[u8]> = config.sessions[0].secrets.iter().map(Secret::expose).collect();
    assert_eq!(secrets, [b"a", b"b", b"c", b"d"]);
}

#[test]
fn the_database_check_is_switched_by_its_variable() {
    let with = |json: &str, switch: &str| parse(json, &[SECRET, LOOKUP, ("ENABLE_DB_CHECK", switch)]).unwrap();
    assert!(with("{}", "true").lookup.is_some());
    assert!(with("{}", "false").lookup.is_none());
    assert!(with("{}", "").lookup.is_none());
    assert!(with(r#"{"lookup":{}}"#, "").lookup.is_some());
    let off = with(r#"{"lookup":{}}"#, "false");
    assert!(off.lookup.is_none());
    assert_eq!(off.warnings, ["lookup: switched off by ENABLE_DB_CHECK; every valid token passes"]);
}

#[test]
fn the_time_to_live_of_records_comes_from_the_old_variable() {
    let lookup = |json, variables: &[_]| parse(json, &[&[SECRET, LOOKUP], variables].concat()).unwrap().lookup.unwrap();
    assert_eq!(lookup(r#"{"lookup":{}}"#, &[]).max_fresh, Duration::from_mins(10));
    assert_eq!(lookup(r#"{"lookup":{}}"#, &[("REDIS_CACHE_TTL", "30")]).max_fresh, Duration::from_secs(30));
    let both = lookup(r#"{"lookup":{"max_fresh_seconds":5}}"#, &[("REDIS_CACHE_TTL", "30")]);
    assert_eq!(both.max_fresh, Duration::from_secs(5));
}

#[test]
fn letting_unknown_users_pass_is_warned_about() {
    let lookup = |json| parse(json, &[SECRET, LOOKUP]).unwrap();
    let allow = lookup(r#"{"lookup":{},"on_lookup_error":"allow"}"#);
    assert_eq!(allow.lookup.unwrap().on_error, OnLookupError::Allow);
    assert_eq!(allow.warnings.len(), 1);
    let default = lookup(r#"{"lookup":{}}"#);
    assert_eq!(default.lookup.unwrap().on_error, OnLookupError::Stale);
    assert!(default.warnings.is_empty());
}

#[test]
fn numbers_may_be_written_as_a_struct_writes_them() {
    let config = parse(r#"{"version":1.0,"cache":{"l1_records":1e5},"sessions":[{"profile":"authjs","cookie":"c","max_session_age":3.6e3}]}"#, &[SECRET]).unwrap();
    assert_eq!(config.cache.l1_records, 100_000);
    assert_eq!(config.sessions[0].rules.max_session_age, Some(Duration::from_hours(1)));
}

#[test]
fn the_old_variables_open_the_bypass_and_a_file_can_close_it() {
    let value = ("BYPASS_HEADER_VALUE", "a-long-random-value");
    let config = parse("{}", &[SECRET, ("ALLOW_BYPASS", "true"), value, ("BYPASS_HEADER", "X-Door")]).unwrap();
    assert_eq!(config.bypass.unwrap().header, "x-door");
    assert!(parse("{}", &[SECRET, value]).unwrap().bypass.is_none());
    let json = r#"{"bypass":{"value":{"env":"BYPASS_HEADER_VALUE"}}}"#;
    assert!(parse(json, &[SECRET, value]).unwrap().bypass.is_some());
    assert!(parse(json, &[SECRET, value, ("ALLOW_BYPASS", "false")]).unwrap().bypass.is_none());
}

#[test]
fn literal_secrets_work_with_a_warning_and_are_never_shown() {
    let json = r#"{"sessions":[{"profile":"authjs","cookie":"c","secrets":["hunter2hunter2"]}]}"#;
    let config = parse(json, &[]).unwrap();
    assert_eq!(config.warnings.len(), 1);
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn a_secret_in_the_wrong_field_is_not_echoed() {
    for json in [
        r#"{"sessions":"hunter2"}"#,
        r#"{"sessions":[{"profile":"authjs","cookie":"c","secrets":"hunter2"}]}"#,
        r#"{"sessions":[{"profile":"authjs","cookie":"c","secrets":[{"hunter2":"x"}]}]}"#,
        r#"{"sessions":[{"profile":"authjs","cookie":"c","max_session_age":"hunter2"}]}"#,
        r#"{"bypass":{"header":"hunter2 ","value":"hunter2"}}"#,
    ] {
        let error = parse(json, &[SECRET]).unwrap_err();
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn nginx_takes_four_thousand_bytes() {
    let text = |length: usize| {
        let json = r#"{"host":"nginx"}"#;
        format!("{json}{}", " ".repeat(length - json.len()))
    };
    assert!(parse(&text(4000), &[SECRET]).is_ok());
    assert_eq!(parse(&text(4001), &[SECRET]).unwrap_err(), "host: nginx takes a configuration of at most 4000 bytes");
    assert!(parse(&text(4001).replace("nginx", "envoy"), &[SECRET]).is_ok());
}

#[test]
fn a_struct_reads_as_the_json_that_it_stands_for() {
    use prost::Message;
    use prost_types::{ListValue, Struct, Value as Proto, value::Kind};

    let proto = |kind| Proto { kind: Some(kind) };
    let object = |fields: Vec<(&str, Proto)>| Struct {
        fields: fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
    };
    let document = |version: f64| {
        let session = object(vec![
            ("profile", proto(Kind::StringValue("next-auth".into()))),
            ("cookie", proto(Kind::StringValue("c".into()))),
            ("bearer", proto(Kind::BoolValue(false))),
        ]);
        let sessions = ListValue { values: vec![proto(Kind::StructValue(session))] };
        object(vec![("version", proto(Kind::NumberValue(version))), ("sessions", proto(Kind::ListValue(sessions)))])
    };
    let environment = |name: &str| (name == "AUTH_SECRET").then(|| "s".to_owned());
    let config = Config::from_json(&document(1.0).encode_to_vec(), &environment).unwrap();
    assert_eq!(config.sessions[0].profile, Profile::NextAuth);
    assert!(!config.sessions[0].bearer);
    let error = Config::from_json(&document(2.0).encode_to_vec(), &environment).unwrap_err();
    assert_eq!(error.to_string(), "version: this build reads version 1");
    // JSON may begin with the byte that a Struct begins with.
    assert!(Config::from_json(b"\n{\n}", &environment).is_ok());
}

/// A site with a rule of each kind.
const SITE: &str = r#"{
    "sessions": [
        { "profile": "authjs", "cookie": "a", "name": "customers" },
        { "profile": "authjs", "cookie": "b", "name": "staff" },
        { "profile": "next-auth", "cookie": "c", "name": "staff" }
    ],
    "public_url": "https://App.test/",
    "sign_in": "/in?from=gate",
    "allowed_origins": ["https://www.app.test"],
    "routes": [
        { "name": "assets", "paths": [{ "prefix": "/static" }, { "glob": "/**/*.css" }], "access": "open" },
        { "paths": [{ "exact": "/in" }], "access": "optional", "allow_preflight": true },
        { "name": "staff", "hosts": ["*.staff.test"], "methods": ["GET", "POST"], "access": "required",
          "sessions": ["staff"], "on_unauthenticated": "redirect", "allow_cross_site": true,
          "conditions": [
              { "claim": "roles", "contains": "admin" },
              { "claim": ["https://app.test/org", "id"], "one_of": ["o-1", 2] }
          ] },
        { "access": "required", "conditions": [{ "claim": "roles", "contains": "admin" }], "report": true }
    ]
}"#;

#[test]
fn rules_mean_what_they_say() {
    let config = parse(SITE, &[SECRET]).unwrap();
    let names: Vec<&str> = config.routes.names.iter().map(|name| &**name).collect();
    assert_eq!(names, ["assets", "1", "staff", "3"]);
    let rules: Vec<_> = config.routes.rules.as_slice().iter().collect();
    assert_eq!(rules[0].treatment, Treatment { access: Access::Open, ..Treatment::default() });
    assert_eq!(rules[0].paths.len(), 2);
    let optional = Treatment { rule: 1, access: Access::Optional, allow_preflight: true, ..Treatment::default() };
    assert_eq!(rules[1].treatment, optional);
    let staff = Treatment {
        rule: 2,
        sessions: 0b110,
        conditions: 0b11,
        unauthenticated: Unauthenticated::Redirect,
        allow_cross_site: true,
        ..Treatment::default()
    };
    assert_eq!(rules[2].treatment, staff);
    // The same condition has the same bit.
    assert_eq!(rules[3].treatment, Treatment { rule: 3, conditions: 1, report: true, ..Treatment::default() });
    let tests: Vec<_> = config.routes.claims.iter().flatten().map(|condition| &condition.test).collect();
    assert!(matches!(tests[..], [Test::Contains(_), Test::OneOf(_)]));
    assert_eq!(config.allowed_origins, ["https://app.test", "https://www.app.test"]);
    assert_eq!(config.sign_in.unwrap().page(), "https://app.test/in?from=gate");
}

#[test]
fn report_for_all_makes_every_rule_report() {
    let config = parse(r#"{"report":true}"#, &[SECRET]).unwrap();
    assert!(config.routes.rules.as_slice().iter().all(|rule| rule.treatment.report));
    let config = parse(
        r#"{"report":true,"routes":[{"paths":[{"exact":"/a"}],"access":"required"},{"access":"required"}]}"#,
        &[SECRET],
    );
    assert!(config.unwrap().routes.rules.as_slice().iter().all(|rule| rule.treatment.report));
}

#[test]
fn presets_come_beside_the_table() {
    let json = r#"{"identity":{"headers":{"x-id":"sub","x-org":{"claim":"org.id"}},"presets":["grafana","jenkins"],"account":"verified_email"}}"#;
    let config = parse(json, &[SECRET]).unwrap();
    let source = |name: &str| config.identity.entries.iter().find(|entry| &*entry.header == name).map(|it| &it.source);
    assert_eq!(source("x-id"), Some(&Source::Subject));
    assert_eq!(source("x-webauth-user"), Some(&Source::VerifiedEmail));
    assert_eq!(source("x-forwarded-user"), Some(&Source::VerifiedEmail));
    assert!(matches!(source("x-webauth-role"), Some(Source::Claim(_))));
    assert_eq!(source("x-user-id"), None);
}

#[test]
fn a_rule_says_what_becomes_of_its_streams_or_the_configuration_does() {
    let policies = |json: &str| -> Vec<StreamPolicy> {
        let config = parse(json, &[SECRET, LOOKUP]).unwrap();
        config.routes.rules.as_slice().iter().map(|rule| rule.treatment.streams).collect()
    };
    let routes = r#""lookup":{},"routes":[
        {"paths":[{"exact":"/a"}],"access":"required","stream_policy":"finish"},
        {"paths":[{"exact":"/b"}],"access":"required","stream_policy":"cut"},
        {"access":"required"}]"#;
    let [finish, cut] = [StreamPolicy::Finish, StreamPolicy::Cut];
    assert_eq!(policies(&format!(r#"{{"revocation":{{}},{routes}}}"#)), [finish, cut, cut]);
    assert_eq!(policies(&format!(r#"{{"revocation":{{"stream_policy":"finish"}},{routes}}}"#)), [finish, cut, finish]);
    assert_eq!(policies(r#"{"revocation":{"stream_policy":"finish"},"lookup":{}}"#), [finish]);
}
