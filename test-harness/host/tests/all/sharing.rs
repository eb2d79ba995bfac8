//! What workers share: data, queues, metrics.

use jwe_gate_test_host::{Headers, RootId, VmId, World};

use crate::support::{get, guest, logged, take_log, world};

const OK: &str = "(i32.const 1)";
const READ: &str = r#"(call $log_number (call $shared "key" (i32.const 8) (i32.const 12) (i32.const 16)))"#;
const CAS: &str = "(call $log_number (i32.load (i32.const 16)))";

fn set(value: &str, cas: &str) -> String {
    format!(r#"(call $log_number (call $set_shared "key" "{value}" {cas}))"#)
}

/// Two workers with the same filter, under one `vm_id` or two.
fn two_workers(callbacks: &[(&str, &str)], second_vm_id: &str) -> (World, [VmId; 2], [RootId; 2]) {
    let wasm = guest(callbacks);
    let mut world = World::setup().canary(false).build(&wasm).unwrap();
    let workers = [world.add_vm(), world.add_vm_of(&wasm, second_vm_id).unwrap()];
    let roots = workers.map(|worker| world.configure(worker, "gate", "").unwrap());
    (world, workers, roots)
}

#[test]
fn absent_data_is_not_found_and_a_first_value_needs_no_cas() {
    let body = [READ, &set("one", "(i32.const 77)"), READ, "(call $log_given)", CAS].concat();
    let (world, ..) = world(&[("configure", &format!("{body} {OK}"))]);
    assert_eq!(logged(&world), ["001", "000", "000", "one", "001"]);
}

#[test]
fn a_stale_cas_mismatches_and_zero_always_wins() {
    let body = [
        set("one", "(i32.const 0)"),
        set("two", "(i32.const 1)"),
        set("three", "(i32.const 1)"),
        READ.to_owned(),
        "(call $log_given)".to_owned(),
        CAS.to_owned(),
        set("four", "(i32.const 0)"),
        set("", "(i32.const 3)"),
        READ.to_owned(),
        "(call $log_number (i32.load (i32.const 8)))".to_owned(),
    ];
    let (world, ..) = world(&[("configure", &format!("{} {OK}", body.concat()))]);
    let expected = ["000", "000", "008", "000", "two", "002", "000", "000", "000", "000"];
    assert_eq!(logged(&world), expected, "an empty value is a value, at a null pointer");
}

#[test]
fn data_is_shared_by_workers_of_one_vm_id_only_and_counted() {
    for (second, seen) in [("test", ["001", "000"]), ("other", ["001", "001"])] {
        let body = format!("{READ} {} {OK}", r#"(drop (call $set_shared "key" "value" (i32.const 0)))"#);
        let (world, ..) = two_workers(&[("configure", &body)], second);
        assert_eq!(logged(&world), seen);
        let keys = if second == "test" { 1 } else { 2 };
        let size = world.shared_size();
        assert_eq!((size.keys, size.bytes), (keys, keys * 8));
        assert_eq!(world.shared_data("key").unwrap(), b"value");
        assert_eq!(world.shared_keys(), [b"key"]);
    }
}

#[test]
fn what_a_test_puts_into_shared_data_a_filter_reads() {
    let (mut world, _, root) = world(&[("request_headers", &format!("{READ} (call $log_given) (i32.const 0)"))]);
    world.set_shared_data("key", "broken");
    world.request(root, get());
    assert_eq!(logged(&world), ["000", "broken"]);
}

const REGISTER: &str = r#"(drop (call $register "queue" (i32.const 16))) (i32.const 1)"#;
const ENQUEUE: &str = r#"(call $log_number (call $resolve "" "queue" (i32.const 16)))
    (call $log_number (call $enqueue (i32.load (i32.const 16)) "message")) (i32.const 0)"#;
const DEQUEUE: &str = r#"(call $log "ready") (call $log_number (local.get $id))
    (call $log_number (call $dequeue (local.get $queue) (i32.const 8) (i32.const 12))) (call $log_given)
    (call $log_number (call $dequeue (local.get $queue) (i32.const 8) (i32.const 12)))"#;

#[test]
fn a_message_wakes_the_worker_that_registered_last_and_only_when_it_is_delivered() {
    let (mut world, workers, roots) =
        two_workers(&[("configure", REGISTER), ("request_headers", ENQUEUE), ("queue_ready", DEQUEUE)], "test");
    world.request(roots[0], get());
    assert_eq!(take_log(&mut world), ["000", "000"]);
    assert_eq!((world.pending_wakeups(), world.queue_depth("queue")), (1, 1));
    world.run_until_idle();
    assert_eq!(logged(&world), ["ready", "001", "000", "message", "007"]);
    assert_eq!((world.pending_wakeups(), world.queue_depth("queue")), (0, 0));
    assert!(world.log().iter().all(|line| line.vm == workers[1]));
}

#[test]
fn a_lost_wakeup_leaves_its_message() {
    let (mut world, _, root) =
        world(&[("configure", REGISTER), ("request_headers", ENQUEUE), ("queue_ready", DEQUEUE)]);
    world.request(root, get());
    world.lose_wakeups();
    world.advance(1_000);
    assert_eq!(logged(&world), ["000", "000"]);
    assert_eq!(world.queue_depth("queue"), 1);
}

#[test]
fn a_queue_of_another_name_or_number_is_not_found() {
    let body = r#"(call $log_number (call $resolve "" "nobody" (i32.const 16)))
        (call $log_number (call $resolve "elsewhere" "queue" (i32.const 16)))
        (call $log_number (call $enqueue (i32.const 9) ""))
        (call $log_number (call $dequeue (i32.const 9) (i32.const 8) (i32.const 12))) (i32.const 0)"#;
    let (mut world, _, root) = world(&[("configure", REGISTER), ("request_headers", body)]);
    world.request(root, get());
    assert_eq!(logged(&world), ["001"; 4]);
}

#[test]
fn a_queue_that_only_a_canary_registered_takes_messages_and_wakes_nobody() {
    // The second VM to start finds the queue and leaves it alone.
    let only_first = r#"(if (call $resolve "" "queue" (i32.const 16))
        (then (drop (call $register "queue" (i32.const 16))))) (i32.const 1)"#;
    let callbacks = [("vm_start", only_first), ("request_headers", ENQUEUE), ("queue_ready", DEQUEUE)];
    let mut world = World::new(&guest(&callbacks)).unwrap();
    let vm = world.add_vm();
    let root = world.configure(vm, "gate", "").unwrap();
    world.request(root, get());
    world.run_until_idle();
    assert_eq!(logged(&world), ["000", "000"]);
    assert_eq!(world.queue_depth("queue"), 1);
}

#[test]
fn a_metric_of_one_name_is_one_value_over_all_workers() {
    let body = r#"(drop (call $define (i32.const 0) "requests" (i32.const 16)))
        (call $log_number (call $increment (i32.load (i32.const 16)) (i64.const 2)))
        (call $log_number (call $record (i32.load (i32.const 16)) (i64.const 3)))
        (call $log_number (call $metric (i32.load (i32.const 16)) (i32.const 24)))
        (call $log_number (i32.load (i32.const 24))) (i32.const 1)"#;
    let (world, ..) = two_workers(&[("configure", body)], "test");
    assert_eq!(logged(&world), ["000", "000", "000", "005", "000", "000", "000", "010"]);
    assert_eq!(world.metric("requests"), Some(10));
    assert_eq!(world.metric_names(), ["requests"]);
}

#[test]
fn counters_never_fall_and_gauges_do_and_histograms_keep_samples() {
    let body = r#"(drop (call $define (i32.const 0) "counter" (i32.const 16)))
        (call $log_number (call $increment (i32.load (i32.const 16)) (i64.const 0)))
        (call $log_number (call $increment (i32.load (i32.const 16)) (i64.const -1)))
        (drop (call $define (i32.const 1) "gauge" (i32.const 16)))
        (drop (call $record (i32.load (i32.const 16)) (i64.const 7)))
        (call $log_number (call $increment (i32.load (i32.const 16)) (i64.const -2)))
        (drop (call $define (i32.const 2) "histogram" (i32.const 16)))
        (call $log_number (call $record (i32.load (i32.const 16)) (i64.const 9)))
        (call $log_number (call $metric (i32.load (i32.const 16)) (i32.const 24)))
        (call $log_number (call $define (i32.const 3) "none" (i32.const 16)))
        (call $log_number (call $record (i32.const 99) (i64.const 9))) (i32.const 1)"#;
    let (world, ..) = world(&[("configure", body)]);
    assert_eq!(logged(&world), ["002", "002", "000", "000", "002", "002", "001"]);
    assert_eq!((world.metric("counter"), world.metric("gauge")), (Some(0), Some(5)));
    assert_eq!((world.histogram("histogram"), world.metric("none")), (vec![9], None));
}

#[test]
fn a_message_for_a_filter_that_was_replaced_wakes_nobody() {
    let once = r#"(if (call $resolve "" "queue" (i32.const 16)) (then (drop (call $register "queue" (i32.const 16)))))
        (i32.const 1)"#;
    let (mut world, vm, _) = world(&[("configure", once), ("request_headers", ENQUEUE), ("queue_ready", DEQUEUE)]);
    let newer = world.configure(vm, "gate", "newer").unwrap();
    world.request(newer, get());
    assert_eq!(world.pending_wakeups(), 1);
    world.run_until_idle();
    assert_eq!(logged(&world), ["000", "000"]);
}

#[test]
fn a_message_for_a_vm_that_was_reloaded_wakes_the_context_of_the_same_number() {
    let enqueue_or_trap = format!("(if (i32.eqz (local.get $headers)) (then unreachable)) {ENQUEUE}");
    let callbacks = [
        ("configure", REGISTER),
        ("request_headers", enqueue_or_trap.as_str()),
        ("queue_ready", r#"(call $log "ready")"#),
    ];
    let (mut world, _, root) = world(&callbacks);
    world.request(root, get());
    world.request(root, Headers::new());
    world.run_until_idle();
    assert_eq!(take_log(&mut world), ["000", "000"], "the VM has failed");
    world.request(root, get());
    world.run_until_idle();
    assert_eq!(logged(&world), ["000", "000", "ready"]);
}
