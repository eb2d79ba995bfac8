//! The documents and the configurations that are shipped agree with each other and with the program.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::common::TempFile;

#[test]
fn the_configurations_that_are_shipped_are_accepted() {
    let configurations = shipped();
    for (file, least) in
        [("README.md", 1), ("docs/CONFIGURATION.md", 3), ("envoy/envoy.yaml", 1), ("nginx/nginx.conf", 1)]
    {
        let count = configurations.iter().filter(|(found, _)| found == file).count();
        assert!(count >= least, "{file} has only {count} configurations");
    }
    for (file, configuration) in configurations {
        let said = check(&configuration.to_string());
        assert!(said.ends_with(": accepted\n"), "{file}: {said}: {configuration}");
    }
}

#[test]
fn the_readme_shows_the_shipped_configuration() {
    assert_eq!(blocks(&text("README.md"))[0], values(&text("envoy/envoy.yaml"))[0]);
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
fn nginx_passes_on_the_same_variables() {
    let (nginx, envoy) = (text("nginx/nginx.conf"), text("envoy/envoy.yaml"));
    let named: Vec<_> = nginx.lines().filter_map(|line| line.strip_prefix("env ")?.strip_suffix(';')).collect();
    let (_, rest) = envoy.split_once("host_env_keys:\n").unwrap();
    let expected: Vec<_> = rest.lines().map_while(|line| line.trim().strip_prefix("- ")).collect();
    assert_eq!(named, expected);
}

/// Every configuration of the filter that is shipped or shown, with the file that it stands in.
pub(crate) fn shipped() -> Vec<(String, Value)> {
    let in_file = |file: &str, read: fn(&str) -> Vec<Value>| {
        read(&text(file)).into_iter().map(|found| (file.to_owned(), found)).collect::<Vec<_>>()
    };
    let yaml = files("envoy", "yaml");
    let mut recipes = files("docs/recipes", "json");
    // Two dots: what goes with a recipe in Envoy.
    recipes.retain(|file| file.matches('.').count() == 1);
    let mut found: Vec<_> = yaml.iter().flat_map(|file| in_file(file, values)).collect();
    found.extend(recipes.iter().flat_map(|file| in_file(file, |document| vec![json(document)])));
    found.extend(in_file("nginx/nginx.conf", arguments));
    found.extend(["README.md", "docs/CONFIGURATION.md"].into_iter().flat_map(|file| in_file(file, blocks)));
    found
}

/// The files of a folder whose names end like this.
fn files(folder: &str, extension: &str) -> Vec<String> {
    let names = std::fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().file_name());
    let names = names.map(|name| name.into_string().unwrap());
    let names = names.filter(|name| Path::new(name).extension().is_some_and(|found| found == extension));
    names.map(|name| format!("{folder}/{name}")).collect()
}

/// The blocks of a document that are marked as configurations of the filter.
fn blocks(document: &str) -> Vec<Value> {
    let blocks = document.split("```json filter\n").skip(1);
    blocks.map(|block| json(block.split("```").next().unwrap())).collect()
}

/// The texts in a configuration of Envoy that are JSON.
fn values(document: &str) -> Vec<Value> {
    let values = document.split("value: |\n").skip(1).filter(|rest| rest.trim_start().starts_with('{'));
    let value = |rest: &str| {
        let indentation = rest.find('{').unwrap();
        let lines = rest.lines().take_while(|line| line.find(|c| c != ' ').is_none_or(|at| at >= indentation));
        json(&lines.collect::<Vec<_>>().join("\n"))
    };
    values.map(value).collect()
}

/// The arguments of the filter in a configuration of nginx.
fn arguments(document: &str) -> Vec<Value> {
    let arguments = document.split("proxy_wasm jwe_gate '").skip(1);
    arguments.map(|rest| json(rest.split('\'').next().unwrap())).collect()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

pub(crate) fn text(document: &str) -> String {
    let path = root().join(document);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What `jwe-gate check` prints, every variable that is named being set.
fn check(config: &str) -> String {
    let file = TempFile::new(config);
    let mut command = Command::new(env!("CARGO_BIN_EXE_jwe-gate"));
    command.args(["check", file.path()]).env_clear();
    for name in ["AUTH_SECRET", "JWE_GATE_LOOKUP_SECRET"].into_iter().chain(variables(config)) {
        // Good for every use: a secret that is long enough, and a private key.
        command.env(name, "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A");
    }
    String::from_utf8(command.output().unwrap().stdout).unwrap()
}

/// The names in `{"env": "NAME"}`.
fn variables(config: &str) -> impl Iterator<Item = &str> {
    config.split("\"env\":").skip(1).filter_map(|rest| rest.split('"').nth(1))
}
