//! Configurations and VMs: several, replaced, refused, failed, reloaded.

use jwe_gate_test_host::{
    Answer, Cluster, FailurePolicy, Headers, Outcome, RejectionCause, RequestId, RootId, World, exports, imports,
};

use crate::support::{PARK, get, guest, logged, replied, take_log, world};

const SHOW_CONFIGURATION: &str = r"(call $log_number (local.get $id))
    (drop (call $buffer (i32.const 7) (i32.const 0) (i32.const 999) (i32.const 8) (i32.const 12)))
    (call $log_given)";

/// Refuses the configuration `no` and traps on one of three bytes.
const CHOOSY: &str = r#"(call $log "asked")
    (if (i32.eq (local.get $size) (i32.const 3)) (then unreachable))
    (i32.ne (local.get $size) (i32.const 2))"#;

#[test]
fn one_vm_holds_several_configurations_and_starts_once() {
    let (mut world, vm, _) = world(&[
        ("context_create", r#"(call $log "create") (call $log_number (local.get $root))"#),
        ("vm_start", r#"(call $log "start") (i32.const 1)"#),
        ("configure", &format!("{SHOW_CONFIGURATION} (i32.const 1)")),
        ("request_headers", "(call $log_number (local.get $id)) (i32.const 0)"),
    ]);
    assert_eq!(take_log(&mut world), ["create", "000", "start", "001", "configuration"]);
    let second = world.configure(vm, "second", "another").unwrap();
    assert_eq!(take_log(&mut world), ["create", "000", "002", "another"]);
    world.request(second, get());
    assert_eq!(logged(&world), ["create", "002", "003"]);
}

#[test]
fn a_configuration_is_readable_only_while_it_is_applied() {
    let read =
        "(call $log_number (call $buffer (i32.const 7) (i32.const 0) (i32.const 999) (i32.const 8) (i32.const 12)))";
    let configure = format!("(drop (call $tick_every (i32.const 10))) {read} (i32.const 1)");
    let (mut world, ..) = world(&[("configure", &configure), ("tick", read)]);
    world.advance(10);
    assert_eq!(logged(&world), ["000", "001"]);
}

#[test]
fn a_replaced_configuration_ends_with_its_last_request() {
    let (mut world, vm, old) = world(&[
        PARK,
        ("done", r#"(call $log "done") (call $log_number (local.get $id)) (i32.const 1)"#),
        ("delete", r#"(call $log "delete") (call $log_number (local.get $id))"#),
    ]);
    let request = world.request(old, get());
    let new = world.configure(vm, "gate", "newer").unwrap();
    assert!(world.is_alive(old) && logged(&world).is_empty());
    world.end(request);
    assert_eq!(logged(&world), ["done", "002", "delete", "002", "done", "001", "delete", "001"]);
    assert!(!world.is_alive(old) && world.is_alive(new));
    let late = world.request(old, get());
    assert_eq!(replied(&world, late).status, 503);
    assert!(world.traps().is_empty());
}

#[test]
fn a_root_that_is_not_done_is_deleted_when_it_says_so() {
    let (mut world, vm, _) = world(&[
        ("configure", "(drop (call $tick_every (i32.const 10))) (i32.const 1)"),
        ("done", "(i32.const 0)"),
        ("tick", r"(call $log_number (local.get $id)) (call $log_number (call $done))"),
        ("delete", r#"(call $log "delete")"#),
    ]);
    world.configure(vm, "gate", "newer").unwrap();
    assert!(logged(&world).is_empty());
    world.advance(10);
    assert_eq!(take_log(&mut world), ["001", "000", "delete", "002", "001"]);
    world.advance(10);
    assert_eq!(logged(&world), ["002", "001"], "the deleted one ticks no more");
}

#[test]
fn a_refused_configuration_leaves_the_old_one_in_service() {
    let mut world = World::new(&guest(&[("configure", CHOOSY)])).unwrap();
    let vm = world.add_vm();
    let root = world.configure(vm, "gate", "good").unwrap();
    let refused = world.configure(vm, "gate", "no").unwrap_err();
    assert_eq!(refused.cause, RejectionCause::ConfigurationRefused);
    assert_eq!(refused.log, ["asked"]);
    let trapped = world.configure(vm, "gate", "tra").unwrap_err();
    assert!(
        matches!(trapped.cause, RejectionCause::Trapped(trap) if trap.canary && trap.callback == "proxy_on_configure")
    );
    let request = world.request(root, get());
    assert!(matches!(world.outcome(request), Outcome::Forwarded(_)));
    assert!(!world.has_failed(vm));
}

#[test]
fn each_configuration_is_tried_in_a_vm_of_its_own_first() {
    let mut world = World::new(&guest(&[("configure", CHOOSY)])).unwrap();
    let vm = world.add_vm();
    world.configure(vm, "gate", "good").unwrap();
    let canaries: Vec<_> = world.log().iter().map(|line| line.canary).collect();
    assert_eq!(canaries, [true, false]);
    assert_eq!(logged(&world), ["asked"]);
}

#[test]
fn a_vm_that_refuses_to_start_is_reported() {
    let mut world = World::new(&guest(&[("vm_start", "(i32.const 0)")])).unwrap();
    let vm = world.add_vm();
    assert_eq!(world.configure(vm, "gate", "").unwrap_err().cause, RejectionCause::VmStartRefused);
}

/// Parks its first two requests and traps on the third.
const TRAPPING: &str = "(if (i32.ge_u (local.get $id) (i32.const 4)) (then unreachable)) (i32.const 1)";

fn two_parked_and_one_trapped(policy: FailurePolicy) -> (World, RootId, [RequestId; 3]) {
    let configure = r#"(call $log "configured") (drop (call $tick_every (i32.const 10))) (i32.const 1)"#;
    let callbacks = [("request_headers", TRAPPING), ("configure", configure), ("tick", r#"(call $log "tick")"#)];
    let mut world = World::setup().canary(false).failure_policy(policy).build(&guest(&callbacks)).unwrap();
    let vm = world.add_vm();
    let root = world.configure(vm, "gate", "").unwrap();
    let requests = [(); 3].map(|()| world.request(root, get()));
    (world, root, requests)
}

#[test]
fn a_trap_answers_its_request_with_503_and_leaves_the_parked_ones_hanging() {
    let (mut world, _, requests) = two_parked_and_one_trapped(FailurePolicy::FailReload);
    let reply = replied(&world, requests[2]);
    assert_eq!((reply.status, reply.details.as_str()), (503, "wasm_fail_stream"));
    let trap = &world.traps()[0];
    assert_eq!((trap.callback.as_str(), trap.context, trap.canary), ("proxy_on_request_headers", 4, false));
    assert!(trap.message.contains("unreachable") && !trap.out_of_fuel);
    world.clear_log();
    world.advance(1_000);
    assert!(logged(&world).is_empty(), "a failed VM does not tick");
    assert_eq!(world.outcome(requests[0]), Outcome::Parked);
    assert_eq!(world.outcome(requests[1]), Outcome::Parked);
}

#[test]
fn after_a_trap_the_next_request_gets_a_new_vm() {
    let (mut world, root, _) = two_parked_and_one_trapped(FailurePolicy::FailReload);
    world.clear_log();
    let next = world.request(root, get());
    assert_eq!(world.outcome(next), Outcome::Parked);
    assert_eq!(world.context_id(next), Some(2), "numbers start anew");
    assert_eq!(logged(&world), ["configured"]);
    world.advance(10);
    assert_eq!(logged(&world), ["configured", "tick"]);
}

#[test]
fn a_vm_that_fails_closed_answers_503_for_ever() {
    let (mut world, root, _) = two_parked_and_one_trapped(FailurePolicy::FailClosed);
    world.clear_log();
    for _ in 0..2 {
        let next = world.request(root, get());
        assert_eq!(replied(&world, next).status, 503);
    }
    assert!(logged(&world).is_empty());
}

#[test]
fn a_trap_in_an_answer_leaves_every_parked_request_hanging() {
    let (mut world, vm, root) = world(&[
        ("request_headers", r#"(drop (call $call "lookup" (i32.const 0))) (i32.const 1)"#),
        ("http_call_response", "unreachable"),
    ]);
    world.set_cluster("lookup", Cluster::Reachable);
    let requests = [(); 2].map(|()| world.request(root, get()));
    let calls = world.calls();
    assert!(world.answer(calls[0].id, Answer::Http { headers: Headers::new(), body: Vec::new() }));
    assert!(!world.answer(calls[1].id, Answer::Reset), "nobody is there to hear it");
    assert!(world.has_failed(vm));
    assert_eq!(requests.map(|request| world.outcome(request)), [Outcome::Parked, Outcome::Parked]);
}

#[test]
fn a_callback_that_loops_is_ended() {
    let looping = guest(&[("request_headers", "(loop $again (br $again)) unreachable")]);
    let mut world = World::setup().fuel(1_000_000).build(&looping).unwrap();
    let vm = world.add_vm();
    let root = world.configure(vm, "gate", "").unwrap();
    let request = world.request(root, get());
    assert_eq!(replied(&world, request).status, 503);
    assert!(world.traps()[0].out_of_fuel);
}

#[test]
fn leaving_the_process_is_a_trap() {
    let (mut world, _, root) = world(&[("request_headers", "(call $exit (i32.const 3)) (i32.const 0)")]);
    let request = world.request(root, get());
    assert_eq!(replied(&world, request).status, 503);
    assert!(world.traps()[0].message.contains("proc_exit(3)"));
}

#[test]
fn workers_can_run_different_modules() {
    let mut world = World::new(&guest(&[("request_headers", r#"(call $log "old") (i32.const 0)"#)])).unwrap();
    let newer = guest(&[("request_headers", r#"(call $log "new") (i32.const 0)"#)]);
    let workers = [world.add_vm(), world.add_vm_of(&newer, "test").unwrap()];
    for worker in workers {
        let root = world.configure(worker, "gate", "").unwrap();
        world.request(root, get());
    }
    assert_eq!(logged(&world), ["old", "new"]);
    assert_eq!(world.memory_size(workers[0]), 4 * 65_536);
}

#[test]
fn what_a_module_imports_and_exports_can_be_listed() {
    let wasm =
        br#"(module (import "env" "proxy_log" (func (param i32 i32 i32) (result i32))) (memory (export "memory") 1))"#;
    assert_eq!(exports(wasm).unwrap().into_iter().collect::<Vec<_>>(), ["memory"]);
    assert_eq!(imports(wasm).unwrap().into_iter().collect::<Vec<_>>(), ["env.proxy_log"]);
    assert!(exports(b"nonsense").is_err());
}
