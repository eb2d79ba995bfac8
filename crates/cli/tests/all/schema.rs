//! `jwe-gate schema`: what is published is what the program prints, and says what the program does.

use jsonschema::Validator;
use jwe_gate_core::config::Config;
use serde_json::{Value, json};

use crate::common::run;
use crate::documents::{shipped, text};

#[test]
fn what_is_published_is_what_the_program_prints() {
    for (file, arguments) in
        [("docs/filter.schema.json", &["schema"][..]), ("docs/REFERENCE.md", &["schema", "--reference"])]
    {
        assert!(text(file) == printed(arguments), "{file} is not current: run `make reference`");
    }
}

#[test]
fn every_field_is_described() {
    let mut fields = 0;
    each_field(&schema(), "", &mut |path, field| {
        assert!(field["description"].as_str().is_some_and(|words| words.ends_with('.')), "{path}: {field}");
        fields += 1;
    });
    assert!(fields >= 70, "only {fields} fields");
}

#[test]
fn every_configuration_that_is_shipped_is_valid() {
    let validator = validator();
    let configurations = shipped();
    assert!(configurations.len() >= 18, "only {} configurations", configurations.len());
    for (file, configuration) in configurations {
        let errors: Vec<_> = validator.iter_errors(&configuration).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{file}: {errors:?}: {configuration}");
    }
}

#[test]
fn what_has_the_wrong_form_is_not_valid() {
    let validator = validator();
    let golden = text("crates/core/tests/golden/bad_configurations.txt");
    let cases = golden.split("\n\n").map(|case| case.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>());
    let mut seen = 0;
    for case in cases.filter(|case| !case.is_empty()) {
        let [input, message] = case[..] else { panic!("two lines expected: {case:?}") };
        let json = input.split_once(" | ").map_or(input, |(_, json)| json);
        // The other faults are of variables, of several fields together, or cannot be seen once JSON has been read.
        let Ok(configuration) = serde_json::from_str(json) else { continue };
        if is_of_form(message) {
            assert!(!validator.is_valid(&configuration), "{configuration} is valid, but: {message}");
            seen += 1;
        }
    }
    assert!(seen >= 45, "only {seen} cases");
}

#[test]
fn the_defaults_are_those_of_the_program() {
    let schema = schema();
    let plain = json!({
        "sessions": [{ "profile": "authjs", "cookie": "c" }],
        "lookup": {}, "revocation": {}, "cache": {}, "replies": {}, "access_log": {},
        "routes": [{ "access": "required" }],
        "bypass": { "value": { "env": "LONG" } },
        "identity": { "jwt": { "key": { "env": "KEY" }, "issuer": "a", "audience": "b" } },
        "limits": { "failures": {} },
    });
    let objects = [
        ("", ""),
        ("/sessions/0", "/sessions/items"),
        ("/lookup", "/lookup"),
        ("/revocation", "/revocation"),
        ("/cache", "/cache"),
        ("/routes/0", "/routes/items"),
        ("/bypass", "/bypass"),
        ("/identity", "/identity"),
        ("/identity/jwt", "/identity/properties/jwt"),
        ("/limits", "/limits"),
        ("/limits/failures", "/limits/properties/failures"),
        ("/access_log", "/access_log"),
    ];
    let mut seen = 0;
    for (object, described) in objects {
        let described =
            if described.is_empty() { "/properties".to_owned() } else { format!("/properties{described}/properties") };
        for (name, field) in schema.pointer(&described).unwrap().as_object().unwrap() {
            let Some(default) = field.get("default") else { continue };
            let mut written = plain.clone();
            written.pointer_mut(object).unwrap()[name] = default.clone();
            assert!(meaning(&written) == meaning(&plain), "{object}/{name}: {default} is not the default");
            seen += 1;
        }
    }
    assert!(seen >= 45, "only {seen} defaults");
    let other = json!({ "lookup": { "timeout_ms": 999 }, "sessions": [{ "profile": "authjs", "cookie": "c" }] });
    assert_ne!(
        meaning(&other),
        meaning(&json!({ "lookup": {}, "sessions": [{ "profile": "authjs", "cookie": "c" }] }))
    );
}

/// Whether a message is about one field by itself.
fn is_of_form(message: &str) -> bool {
    const NOT: [&str; 3] = [
        "env.",
        "revocation.max_feed_age_seconds: must be a whole number from 31",
        "identity.headers: must not be empty",
    ];
    const OF_FORM: [&str; 10] = [
        "unknown field",
        "unknown variant",
        "invalid type",
        "invalid value",
        "missing field",
        "must be a whole number from",
        "must be an object",
        "must not be empty",
        "must begin with a slash",
        "has no value",
    ];
    !NOT.iter().any(|part| message.starts_with(part)) && OF_FORM.iter().any(|part| message.contains(part))
}

/// What the program makes of a configuration.
fn meaning(configuration: &Value) -> String {
    let environment = |name: &str| {
        let key = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
        ["AUTH_SECRET", "JWE_GATE_LOOKUP_SECRET", "LONG", "KEY"].contains(&name).then(|| key.to_owned())
    };
    let config = Config::from_json(configuration.to_string().as_bytes(), &environment);
    format!("{:?}", config.unwrap_or_else(|error| panic!("{error}: {configuration}")))
}

/// Visits every field that has a name of its own.
fn each_field(schema: &Value, path: &str, visit: &mut impl FnMut(&str, &Value)) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        visit(&path, field);
        for inner in [field, &field["items"]].into_iter().filter(|inner| inner.get("properties").is_some()) {
            assert_eq!(inner["additionalProperties"], json!(false), "{path} takes what it does not know");
            each_field(inner, &path, visit);
        }
    }
}

fn validator() -> Validator {
    let schema = schema();
    assert!(jsonschema::meta::is_valid(&schema));
    jsonschema::validator_for(&schema).unwrap()
}

fn schema() -> Value {
    serde_json::from_str(&printed(&["schema"])).unwrap()
}

fn printed(arguments: &[&str]) -> String {
    let run = run(arguments, "", b"");
    assert_eq!((run.status, run.err.as_str()), (0, ""));
    run.out
}
