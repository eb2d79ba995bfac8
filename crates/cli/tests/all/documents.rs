//! The documents: configurations in them are accepted, and no field, value or bound is missing.
//!
//! What there is to document is found by asking the program: its messages name the fields that it knows, the values that
//! a field may have, and the bounds of numbers.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::common::TempFile;

const PROBE: &str = "probe";

#[test]
fn the_configurations_in_the_documents_are_accepted() {
    for (document, least) in [("README.md", 1), ("docs/CONFIGURATION.md", 3)] {
        let blocks = configurations(&text(document));
        assert!(blocks.len() >= least, "{document} has only {} configurations", blocks.len());
        for block in blocks {
            assert!(check(&block).ends_with(": accepted\n"), "{document}: {}: {block}", check(&block));
        }
    }
}

#[test]
fn the_readme_shows_the_shipped_configuration() {
    let shipped = text("envoy/envoy.yaml");
    let (_, rest) = shipped.split_once("value: |\n").unwrap();
    let indentation = rest.find('{').unwrap();
    let lines = rest.lines().take_while(|line| line.find(|c| c != ' ').is_none_or(|at| at >= indentation));
    let shipped: Value = serde_json::from_str(&lines.collect::<Vec<_>>().join("\n")).unwrap();
    let shown: Value = serde_json::from_str(&configurations(&text("README.md"))[0]).unwrap();
    assert_eq!(shown, shipped);
}

#[test]
fn every_field_is_documented_and_nothing_else_is() {
    let fields: BTreeSet<String> = fields().into_iter().collect();
    let documented: BTreeSet<String> = rows().into_iter().map(|(field, _)| field).collect();
    assert!(fields.len() >= 30, "only {} fields were found: have the messages changed?", fields.len());
    let missing: Vec<_> = fields.difference(&documented).collect();
    let unknown: Vec<_> = documented.difference(&fields).collect();
    assert!(missing.is_empty() && unknown.is_empty(), "missing: {missing:?}, not a field: {unknown:?}");
}

#[test]
fn the_values_and_bounds_of_fields_are_documented() {
    let (mut values, mut bounds) = (0, 0);
    for (field, row) in rows() {
        let message = check(&with(&field, &json!(PROBE)).to_string());
        if message.contains("unknown variant") {
            for value in quoted(&message).filter(|value| *value != PROBE) {
                assert!(row.contains(&format!("`\"{value}\"`")), "{value} is missing: {row}");
                values += 1;
            }
        }
        let message = check(&with(&field, &json!(u64::MAX)).to_string());
        if let Some((_, bound)) = message.trim_end().split_once("must be a whole number from ") {
            assert!(row.contains(bound), "{bound} is missing: {row}");
            bounds += 1;
        }
    }
    assert!(values >= 9 && bounds >= 10, "{values} values and {bounds} bounds: have the messages changed?");
}

#[test]
fn every_variable_that_the_shipped_configuration_passes_on_is_documented() {
    let (shipped, documented) = (text("envoy/envoy.yaml"), text("docs/CONFIGURATION.md"));
    let (_, rest) = shipped.split_once("host_env_keys:\n").unwrap();
    let names: Vec<_> = rest.lines().map_while(|line| line.trim().strip_prefix("- ")).collect();
    assert!(names.len() >= 10, "{names:?}");
    for name in names {
        assert!(documented.contains(&format!("`{name}`")), "{name}");
    }
}

#[test]
fn nginx_passes_on_the_same_variables_and_its_configuration_is_accepted() {
    let (nginx, envoy) = (text("nginx/nginx.conf"), text("envoy/envoy.yaml"));
    let named: Vec<_> = nginx.lines().filter_map(|line| line.strip_prefix("env ")?.strip_suffix(';')).collect();
    let (_, rest) = envoy.split_once("host_env_keys:\n").unwrap();
    let expected: Vec<_> = rest.lines().map_while(|line| line.trim().strip_prefix("- ")).collect();
    assert_eq!(named, expected);
    let (_, rest) = nginx.split_once("proxy_wasm jwe_gate '").unwrap();
    let config = rest.split('\'').next().unwrap();
    assert!(check(config).ends_with(": accepted\n"), "{}", check(config));
}

/// The paths of all fields, found by giving each object a field that it does not know.
fn fields() -> Vec<String> {
    let (mut found, mut open) = (Vec::new(), vec![String::new()]);
    while let Some(path) = open.pop() {
        for list in [false, true] {
            let inside = if list { format!("{path}[]") } else { path.clone() };
            let field = if inside.is_empty() { PROBE.to_owned() } else { format!("{inside}.{PROBE}") };
            let message = check(&bare(&field, &json!(0)).to_string());
            let known = message.split_once("unknown field `probe`, expected ");
            let known = known.or_else(|| message.split_once("has only the field ")).map_or("", |(_, known)| known);
            for name in quoted(known) {
                let path = if inside.is_empty() { name.to_owned() } else { format!("{inside}.{name}") };
                found.push(path.clone());
                open.push(path);
            }
        }
    }
    found
}

/// The rows of the tables of fields: the path, and the whole row.
fn rows() -> Vec<(String, String)> {
    let document = text("docs/CONFIGURATION.md");
    let (_, section) = document.split_once("\n## Fields of the filter\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|row| Some((row.strip_prefix("| `")?.split('`').next()?, row)));
    rows.map(|(field, row)| (field.to_owned(), row.to_owned())).collect()
}

/// A configuration with nothing but this field, `[]` in its path being a list of one.
fn bare(path: &str, value: &Value) -> Value {
    let steps = path.replace("[]", ".[]");
    steps.split('.').filter(|step| !step.is_empty()).rev().fold(value.clone(), |inner, step| match step {
        "[]" => json!([inner]),
        name => json!({ name: inner }),
    })
}

/// The same with what the objects around the field need to be accepted.
fn with(path: &str, value: &Value) -> Value {
    let mut config = bare(path, value);
    if let Some(session) = config.pointer_mut("/sessions/0").and_then(Value::as_object_mut) {
        session.entry("profile").or_insert(json!("authjs"));
        session.entry("cookie").or_insert(json!("c"));
    }
    config
}

/// The words between backticks.
fn quoted(message: &str) -> impl Iterator<Item = &str> {
    message.split('`').skip(1).step_by(2)
}

/// The blocks that are marked as configurations of the filter.
fn configurations(document: &str) -> Vec<String> {
    let blocks = document.split("```json filter\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap().to_owned()).collect()
}

fn text(document: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(document);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What `jwe-gate check` prints, every variable that is named being set.
fn check(config: &str) -> String {
    let file = TempFile::new(config);
    let mut command = Command::new(env!("CARGO_BIN_EXE_jwe-gate"));
    command.args(["check", file.path()]).env_clear();
    for name in ["AUTH_SECRET", "JWE_GATE_LOOKUP_SECRET"].into_iter().chain(variables(config)) {
        command.env(name, format!("{name}: long enough for every use"));
    }
    String::from_utf8(command.output().unwrap().stdout).unwrap()
}

/// The names in `{"env": "NAME"}`.
fn variables(config: &str) -> impl Iterator<Item = &str> {
    config.split("\"env\":").skip(1).filter_map(|rest| rest.split('"').nth(1))
}
