//! What the artefact asks of a proxy, what it offers, how large it is, and what it says about itself.
//!
//! The lists in `golden/` are written anew with `UPDATE_GOLDEN=1`; a change in them is to be looked at, since an import is
//! something that a proxy may not have, and an export is a callback that every request pays for.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use jwe_gate_build_info::BuildInfo;
use jwe_gate_test_harness::artefact;
use jwe_gate_test_host::{exports, imports};
use jwe_gate_test_parts::envoy::repository;

/// The budget: a proxy compiles all of it, and a cluster pulls it over the network. The README names it, too.
const MOST_BYTES: usize = 1_179_648;

/// What a module of ABI 0.2.1 has besides callbacks.
const ABI: [&str; 3] = ["_initialize", "memory", "proxy_abi_version_0_2_1"];

#[test]
fn the_imports_are_those_on_the_list() {
    matches_golden("artefact_imports.txt", &imports(&artefact::bytes()).unwrap());
}

#[test]
fn the_exports_are_those_on_the_list() {
    matches_golden("artefact_exports.txt", &exports(&artefact::bytes()).unwrap());
}

#[test]
fn nothing_is_exported_but_what_is_kept_and_what_the_abi_needs() {
    let keep = std::fs::read_to_string(repository().join("exports.keep")).unwrap();
    let keep = keep.lines().filter(|line| !line.starts_with('#')).map(str::to_owned);
    let expected: BTreeSet<String> = keep.chain(ABI.map(str::to_owned)).collect();
    assert_eq!(exports(&artefact::bytes()).unwrap(), expected);
}

#[test]
fn the_one_for_nginx_has_the_callbacks_that_nginx_needs_and_asks_for_the_same() {
    let more = std::fs::read_to_string(repository().join("exports-nginx.keep")).unwrap();
    let more = more.lines().filter(|line| !line.starts_with('#')).map(str::to_owned);
    let expected: BTreeSet<String> = exports(&artefact::bytes()).unwrap().into_iter().chain(more).collect();
    assert_eq!(exports(&artefact::bytes_for_nginx()).unwrap(), expected);
    assert_eq!(imports(&artefact::bytes_for_nginx()).unwrap(), imports(&artefact::bytes()).unwrap());
}

#[test]
fn the_artefact_stays_within_its_size() {
    let bytes = artefact::bytes().len();
    assert!(bytes <= MOST_BYTES, "{bytes} bytes, more than {MOST_BYTES}");
    let readme = std::fs::read_to_string(repository().join("README.md")).unwrap();
    assert!(readme.contains("more than 1,179,648 bytes"), "the README names another budget than {MOST_BYTES}");
}

#[test]
fn it_says_of_which_version_and_by_which_compiler_it_was_built() {
    let info = BuildInfo::read(&artefact::bytes()).unwrap();
    assert_eq!(info.version, env!("CARGO_PKG_VERSION"));
    assert!(info.tools.iter().any(|tool| tool.starts_with("rustc 1.")), "{:?}", info.tools);
}

#[test]
fn nothing_in_it_depends_on_the_folders_in_which_it_was_built() {
    let wasm = artefact::bytes();
    let home = std::env::var("CARGO_HOME").or_else(|_| std::env::var("HOME")).unwrap();
    for folder in [repository().canonicalize().unwrap(), PathBuf::from(home)] {
        // With the slash: `/root` is also in `src/root.rs`.
        let name = format!("{}/", folder.display());
        assert!(!wasm.windows(name.len()).any(|bytes| bytes == name.as_bytes()), "{name} is in it");
    }
}

/// Compares names with a file, or writes it.
fn matches_golden(name: &str, found: &BTreeSet<String>) {
    let path = golden(name);
    let found = found.iter().fold(String::new(), |lines, name| lines + name + "\n");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, expected, "{}: if this is meant, write it anew with UPDATE_GOLDEN=1", path.display());
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}
