//! Small guests in text form. A test writes the callbacks; everything else a guest needs is here.
//!
//! In a callback's body a literal such as `"name"` stands for its address and its length, so it fits wherever the ABI
//! takes a pair of those. Results go to fixed places: a pointer to 8, a size to 12, a number to 16.

use std::fmt::Write as _;

use jwe_gate_test_host::{Headers, Level, Outcome, Reply, RequestId, RootId, VmId, World};

/// Where literals lie; the allocator's memory begins far behind them.
const LITERALS: usize = 1024;

const PRELUDE: &str = r#"
  (import "env" "proxy_log" (func $proxy_log (param i32 i32 i32) (result i32)))
  (import "env" "proxy_get_header_map_value" (func $get (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_get_header_map_pairs" (func $pairs (param i32 i32 i32) (result i32)))
  (import "env" "proxy_set_header_map_pairs" (func $set_pairs (param i32 i32 i32) (result i32)))
  (import "env" "proxy_add_header_map_value" (func $add (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_replace_header_map_value" (func $replace (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_remove_header_map_value" (func $remove (param i32 i32 i32) (result i32)))
  (import "env" "proxy_get_buffer_bytes" (func $buffer (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_get_property" (func $property (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_set_property" (func $set_property (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_get_shared_data" (func $shared (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_set_shared_data" (func $set_shared (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_register_shared_queue" (func $register (param i32 i32 i32) (result i32)))
  (import "env" "proxy_resolve_shared_queue" (func $resolve (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_enqueue_shared_queue" (func $enqueue (param i32 i32 i32) (result i32)))
  (import "env" "proxy_dequeue_shared_queue" (func $dequeue (param i32 i32 i32) (result i32)))
  (import "env" "proxy_define_metric" (func $define (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_increment_metric" (func $increment (param i32 i64) (result i32)))
  (import "env" "proxy_record_metric" (func $record (param i32 i64) (result i32)))
  (import "env" "proxy_get_metric" (func $metric (param i32 i32) (result i32)))
  (import "env" "proxy_continue_stream" (func $resume (param i32) (result i32)))
  (import "env" "proxy_close_stream" (func $close (param i32) (result i32)))
  (import "env" "proxy_send_local_response" (func $proxy_reply (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_set_effective_context" (func $act_as (param i32) (result i32)))
  (import "env" "proxy_http_call"
    (func $proxy_http_call (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_set_tick_period_milliseconds" (func $tick_every (param i32) (result i32)))
  (import "env" "proxy_get_current_time_nanoseconds" (func $now (param i32) (result i32)))
  (import "env" "proxy_get_log_level" (func $log_level (param i32) (result i32)))
  (import "env" "proxy_done" (func $done (result i32)))
  (import "env" "proxy_grpc_cancel" (func $grpc_cancel (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $environ (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ_sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (memory (export "memory") 4)
  (global $heap (mut i32) (i32.const 65536))
  (global $kept (mut i32) (i32.const 0))
  (global $count (mut i32) (i32.const 0))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param $size i32) (result i32)
    (global.get $heap)
    (global.set $heap (i32.add (global.get $heap) (local.get $size))))
  (func $log (param i32 i32) (drop (call $proxy_log (i32.const 2) (local.get 0) (local.get 1))))
  ;; Logs what was given: the text whose address is at 8 and whose size is at 12.
  (func $log_given (call $log (i32.load (i32.const 8)) (i32.load (i32.const 12))))
  ;; Logs the last three digits of a number.
  (func $log_number (param i32)
    (i32.store8 (i32.const 32) (i32.add (i32.const 48) (i32.rem_u (i32.div_u (local.get 0) (i32.const 100)) (i32.const 10))))
    (i32.store8 (i32.const 33) (i32.add (i32.const 48) (i32.rem_u (i32.div_u (local.get 0) (i32.const 10)) (i32.const 10))))
    (i32.store8 (i32.const 34) (i32.add (i32.const 48) (i32.rem_u (local.get 0) (i32.const 10))))
    (call $log (i32.const 32) (i32.const 3)))
  ;; Replies with a status, a text, and one header `x-from: guest`.
  (func $reply (param $code i32) (param $text i32) (param $size i32) (result i32)
    (call $proxy_reply (local.get $code) (i32.const 0) (i32.const 0) (local.get $text) (local.get $size)
      "\01\00\00\00\06\00\00\00\05\00\00\00X-From\00guest\00" (i32.const -1)))
  ;; Calls a cluster with a complete request, the body `question` and a timeout; the number goes to 16.
  (func $call (param $name i32) (param $size i32) (param $timeout i32) (result i32)
    (call $proxy_http_call (local.get $name) (local.get $size)
      "\03\00\00\00\07\00\00\00\04\00\00\00\05\00\00\00\02\00\00\00\0a\00\00\00\01\00\00\00:method\00POST\00:path\00/q\00:authority\00a\00"
      "question" (i32.const 0) (i32.const 0) (local.get $timeout) (i32.const 16)))
"#;

/// The signatures of the callbacks that tests write, with names for their parameters.
const CALLBACKS: [(&str, &str); 13] = [
    ("proxy_on_context_create", "(param $id i32) (param $root i32)"),
    ("proxy_on_vm_start", "(param $id i32) (param $size i32) (result i32)"),
    ("proxy_on_configure", "(param $id i32) (param $size i32) (result i32)"),
    ("proxy_on_tick", "(param $id i32)"),
    ("proxy_on_queue_ready", "(param $id i32) (param $queue i32)"),
    ("proxy_on_request_headers", "(param $id i32) (param $headers i32) (param $end i32) (result i32)"),
    ("proxy_on_request_body", "(param $id i32) (param $size i32) (param $end i32) (result i32)"),
    ("proxy_on_response_body", "(param $id i32) (param $size i32) (param $end i32) (result i32)"),
    ("proxy_on_response_headers", "(param $id i32) (param $headers i32) (param $end i32) (result i32)"),
    (
        "proxy_on_http_call_response",
        "(param $id i32) (param $token i32) (param $headers i32) (param $size i32) (param $trailers i32)",
    ),
    ("proxy_on_done", "(param $id i32) (result i32)"),
    ("proxy_on_log", "(param $id i32)"),
    ("proxy_on_delete", "(param $id i32)"),
];

/// A guest with these callbacks, each a name without `proxy_on_` and a body.
pub(crate) fn guest(callbacks: &[(&str, &str)]) -> Vec<u8> {
    let mut text = PRELUDE.to_owned();
    for (name, body) in callbacks {
        let name = format!("proxy_on_{name}");
        let (_, signature) = CALLBACKS.iter().find(|(known, _)| *known == name).unwrap();
        write!(text, "(func (export @{name}@) {signature} {body})").unwrap();
    }
    let (code, data) = place_literals(&text);
    format!("(module {code} {data})").into_bytes()
}

/// Replaces each literal by its address and length, outside the declarations of imports and exports.
fn place_literals(text: &str) -> (String, String) {
    let (mut code, mut data, mut at) = (String::new(), String::new(), LITERALS);
    for line in text.lines() {
        let declaration = line.trim_start().starts_with("(import") || line.trim_start().starts_with("(memory");
        if declaration || (line.contains("(export \"") && !line.contains('@')) {
            code.push_str(line);
        } else {
            for (index, part) in line.split('"').enumerate() {
                if index % 2 == 0 {
                    code.push_str(&part.replace('@', "\""));
                } else {
                    let length = length(part);
                    write!(code, "(i32.const {at}) (i32.const {length})").unwrap();
                    write!(data, "(data (i32.const {at}) \"{part}\")").unwrap();
                    at += length;
                }
            }
        }
        code.push('\n');
    }
    (code, data)
}

/// An escape is a backslash and two digits for one byte.
fn length(literal: &str) -> usize {
    literal.len() - 2 * literal.matches('\\').count()
}

/// A world with one worker and one configured filter, without a rehearsal.
pub(crate) fn world(callbacks: &[(&str, &str)]) -> (World, VmId, RootId) {
    let mut world = World::setup().canary(false).build(&guest(callbacks)).unwrap();
    let vm = world.add_vm();
    let root = world.configure(vm, "gate", "configuration").unwrap();
    (world, vm, root)
}

/// The headers of an ordinary request.
pub(crate) fn get() -> Headers {
    Headers::from([(":method", "GET"), (":path", "/page?x=1"), (":authority", "site")])
}

/// What the guest logged.
pub(crate) fn logged(world: &World) -> Vec<String> {
    world.log_texts(Level::Trace).into_iter().map(str::to_owned).collect()
}

/// What the guest logged since the last time.
pub(crate) fn take_log(world: &mut World) -> Vec<String> {
    let lines = logged(world);
    world.clear_log();
    lines
}

pub(crate) fn forwarded(world: &World, request: RequestId) -> Headers {
    match world.outcome(request) {
        Outcome::Forwarded(headers) => headers,
        other => panic!("not forwarded: {other:?}"),
    }
}

pub(crate) fn replied(world: &World, request: RequestId) -> Reply {
    match world.outcome(request) {
        Outcome::Replied(reply) => reply,
        other => panic!("not replied: {other:?}"),
    }
}

pub(crate) const PARK: (&str, &str) = ("request_headers", "(i32.const 1)");
