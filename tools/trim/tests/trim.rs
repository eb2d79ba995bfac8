//! Trimming a small module that looks like a filter: what goes, what stays, and what is refused.

#![expect(clippy::unwrap_used, reason = "also the helpers of a test may fail it")]

use std::process::Command;
use std::{env, fs};

use jwe_gate_trim::{Plan, TrimError, trim};
use walrus::Module;

const FILTER: &str = r#"(module
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (import "env" "proxy_get_status" (func $status (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (table 2 funcref)
  (elem (i32.const 0) $by_table)
  (func $by_table)
  (func (export "_initialize"))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) i32.const 0)
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (call_indirect (i32.const 0))
    (call $log (i32.const 0) (i32.const 0) (i32.const 0)))
  (func $only_for_grpc (drop (call $status (i32.const 0) (i32.const 0) (i32.const 0))))
  (func (export "proxy_on_grpc_close") (param i32 i32 i32) (call $only_for_grpc))
  (func (export "proxy_on_tick") (param i32)))"#;

fn filter() -> Vec<u8> {
    wat::parse_str(FILTER).unwrap()
}

fn keeping(names: &[&str]) -> Plan {
    Plan { keep: names.iter().map(ToString::to_string).collect(), ..Plan::default() }
}

fn module(wasm: &[u8]) -> Module {
    Module::from_buffer(wasm).unwrap()
}

fn exports(wasm: &[u8]) -> Vec<String> {
    let mut names: Vec<_> = module(wasm).exports.iter().map(|export| export.name.clone()).collect();
    names.sort();
    names
}

#[test]
fn callbacks_that_are_not_kept_are_dropped_and_nothing_else() {
    let trimmed = trim(&filter(), &keeping(&["proxy_on_request_headers"])).unwrap();
    assert_eq!(
        exports(&trimmed),
        ["_initialize", "memory", "proxy_abi_version_0_2_1", "proxy_on_memory_allocate", "proxy_on_request_headers"]
    );
}

#[test]
fn code_and_imports_that_only_a_dropped_callback_reached_go_with_it() {
    let trimmed = module(&trim(&filter(), &keeping(&["proxy_on_request_headers"])).unwrap());
    let imports: Vec<_> = trimmed.imports.iter().map(|import| import.name.as_str()).collect();
    assert_eq!(imports, ["proxy_log"]);
    assert!(trimmed.funcs.by_name("only_for_grpc").is_none());
    assert!(trimmed.funcs.by_name("by_table").is_some(), "a function in the table stays reachable");
}

#[test]
fn a_name_to_keep_that_is_missing_is_refused() {
    let error = trim(&filter(), &keeping(&["proxy_on_tick", "proxy_on_tock"])).unwrap_err();
    assert!(matches!(&error, TrimError::Missing(names) if names == &["proxy_on_tock"]), "{error}");
}

#[test]
fn what_is_no_module_is_refused() {
    assert!(matches!(trim(b"\0asm", &Plan::default()), Err(TrimError::InvalidModule(_))));
}

#[test]
fn names_are_kept_unless_stripped() {
    let plan = keeping(&["proxy_on_request_headers"]);
    let named = trim(&filter(), &plan).unwrap();
    let stripped = trim(&filter(), &Plan { strip: true, ..plan }).unwrap();
    assert!(module(&named).funcs.by_name("by_table").is_some());
    assert!(module(&stripped).funcs.by_name("by_table").is_none());
    assert!(stripped.len() < named.len());
}

#[test]
fn sections_are_added_and_replaced() {
    let stamped = |wasm: &[u8], version: &str| {
        let sections = [("version".to_owned(), version.to_owned())].into();
        trim(wasm, &Plan { sections, ..keeping(&["proxy_on_tick"]) }).unwrap()
    };
    let twice = stamped(&stamped(&filter(), "0.1.0"), "0.2.0");
    assert_eq!(twice, stamped(&filter(), "0.2.0"));
    let module = module(&twice);
    let version = module.customs.iter().find(|(_, section)| section.name() == "version").unwrap().1;
    assert_eq!(&*version.data(&walrus::IdsToIndices::default()), b"0.2.0");
}

#[test]
fn trimming_twice_changes_nothing_more() {
    let plan = keeping(&["proxy_on_request_headers"]);
    let once = trim(&filter(), &plan).unwrap();
    assert_eq!(trim(&once, &plan).unwrap(), once);
}

#[test]
fn the_program_reads_and_writes_files_and_fails_aloud() {
    let directory = env::temp_dir().join(format!("jwe-gate-trim-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    let (input, output) = (directory.join("in.wasm"), directory.join("out.wasm"));
    fs::write(&input, filter()).unwrap();
    let run = |keep: &str| {
        Command::new(env!("CARGO_BIN_EXE_jwe-gate-trim")).args([&input, &output]).args(["--keep", keep]).output()
    };

    let refused = run("proxy_on_tock").unwrap();
    let written_when_refused = output.exists();
    let accepted = run("proxy_on_tick").unwrap();
    let trimmed = fs::read(&output);
    fs::remove_dir_all(&directory).unwrap();

    assert!(!refused.status.success() && !written_when_refused);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("proxy_on_tock"));
    assert!(accepted.status.success());
    assert!(exports(&trimmed.unwrap()).contains(&"proxy_on_tick".to_owned()));
}
