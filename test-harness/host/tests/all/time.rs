//! The clock, timers, randomness, the environment and the log: what WASI and the ABI give besides requests.

use jwe_gate_test_host::{Level, World};

use crate::support::{get, guest, logged, take_log, world};

const TICK: (&str, &str) = ("tick", r#"(call $log "tick")"#);

fn every(ms: u32) -> String {
    format!("(drop (call $tick_every (i32.const {ms})))")
}

#[test]
fn ticks_fire_in_every_vm_when_they_are_due() {
    let mut world =
        World::setup().canary(false).build(&guest(&[("configure", &(every(10) + "(i32.const 1)")), TICK])).unwrap();
    let workers = [world.add_vm(), world.add_vm()];
    for worker in workers {
        world.configure(worker, "gate", "").unwrap();
    }
    world.advance(9);
    assert!(logged(&world).is_empty());
    world.advance(11);
    let by: Vec<_> = world.log().iter().map(|line| line.vm).collect();
    assert_eq!(by, [workers[0], workers[1], workers[0], workers[1]]);
}

#[test]
fn a_timer_can_be_changed_and_stopped_in_its_own_callback() {
    let tick = format!(
        r#"(call $log "tick") (if (global.get $count) (then {}) (else {})) (global.set $count (i32.const 1))"#,
        every(0),
        every(50)
    );
    let (mut world, ..) = world(&[("configure", &(every(10) + "(i32.const 1)")), ("tick", &tick)]);
    world.advance(10);
    assert_eq!(take_log(&mut world).len(), 1);
    world.advance(49);
    assert!(logged(&world).is_empty());
    world.advance(1);
    assert_eq!(take_log(&mut world).len(), 1);
    world.advance(10_000);
    assert!(logged(&world).is_empty());
}

#[test]
fn the_clock_is_the_tests_and_timers_do_not_follow_when_it_is_set() {
    let seconds = "(drop (call $now (i32.const 24)))
        (call $log_number (i32.wrap_i64 (i64.div_u (i64.load (i32.const 24)) (i64.const 1000000000))))
        (drop (call $clock (i32.const 0) (i64.const 0) (i32.const 24)))
        (call $log_number (i32.wrap_i64 (i64.div_u (i64.load (i32.const 24)) (i64.const 1000000000))))
        (call $log_number (call $clock (i32.const 2) (i64.const 0) (i32.const 24)))";
    let wasm = guest(&[("configure", &(every(1_000) + "(i32.const 1)")), ("tick", seconds)]);
    let mut world = World::setup().canary(false).start_ms(100_000).build(&wasm).unwrap();
    let vm = world.add_vm();
    world.configure(vm, "gate", "").unwrap();
    world.step_clock(-40_000);
    assert_eq!(world.now_ms(), 60_000);
    world.advance(999);
    assert!(logged(&world).is_empty());
    world.advance(1);
    assert_eq!(logged(&world), ["061", "061", "058"]);
}

fn random_byte(seed: u64) -> Vec<String> {
    let body = "(drop (call $random (i32.const 24) (i32.const 1))) (call $log_number (i32.load8_u (i32.const 24))) (i32.const 0)";
    let mut world = World::setup().canary(false).seed(seed).build(&guest(&[("request_headers", body)])).unwrap();
    let vm = world.add_vm();
    let root = world.configure(vm, "gate", "").unwrap();
    for _ in 0..4 {
        world.request(root, get());
    }
    logged(&world)
}

#[test]
fn randomness_repeats_with_its_seed_and_differs_without() {
    assert_eq!(random_byte(1), random_byte(1));
    assert_ne!(random_byte(1), random_byte(2));
    let bytes = random_byte(1);
    assert!(bytes.iter().any(|byte| *byte != bytes[0]));
}

#[test]
fn environment_variables_arrive() {
    let body = "(drop (call $environ_sizes (i32.const 24) (i32.const 28))) (drop (call $environ (i32.const 40) (i32.const 64)))
        (call $log_number (i32.load (i32.const 24)))
        (call $log (i32.load (i32.const 44)) (i32.const 3)) (call $log_number (i32.load (i32.const 28))) (i32.const 1)";
    let setup = World::setup().canary(false).env("AUTH_SECRET", "s").env("B", "2");
    let mut world = setup.build(&guest(&[("configure", body)])).unwrap();
    let vm = world.add_vm();
    world.configure(vm, "gate", "").unwrap();
    assert_eq!(logged(&world), ["002", "B=2", "018"]);
}

#[test]
fn output_goes_to_the_log_and_other_files_do_not_exist() {
    let body = r"(i32.store (i32.const 24) (i32.const 40)) (i32.store (i32.const 28) (i32.const 2))
        (i32.store16 (i32.const 40) (i32.const 0x0a68))
        (drop (call $fd_write (i32.const 2) (i32.const 24) (i32.const 1) (i32.const 16)))
        (call $log_number (i32.load (i32.const 16)))
        (call $log_number (call $fd_write (i32.const 3) (i32.const 24) (i32.const 1) (i32.const 16)))
        (call $log_number (call $path_open (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
            (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 0)))
        (call $log_number (call $grpc_cancel (i32.const 1))) (i32.const 1)";
    let (world, ..) = world(&[("configure", body)]);
    assert_eq!(logged(&world), ["h", "002", "008", "052", "012"]);
    assert_eq!(world.log()[0].level, Level::Error);
}

#[test]
fn memory_that_is_not_there_is_an_invalid_access() {
    let body = "(call $log_number (call $now (i32.const -4)))
        (call $log_number (call $set_shared (i32.const 0) (i32.const -1) (i32.const 0) (i32.const 0) (i32.const 0)))
        (call $log_number (call $get (i32.const 9) (i32.const 0) (i32.const 0) (i32.const 8) (i32.const 12))) (i32.const 1)";
    let (world, ..) = world(&[("configure", body)]);
    assert_eq!(logged(&world), ["006", "006", "002"]);
}

#[test]
fn host_calls_and_work_are_counted_and_the_same_every_time() {
    let count = || {
        let body = r#"(drop (call $get (i32.const 0) ":path" (i32.const 8) (i32.const 12)))
            (drop (call $get (i32.const 0) ":method" (i32.const 8) (i32.const 12)))
            (drop (call $replace (i32.const 0) "x" "y")) (i32.const 0)"#;
        let mut world =
            World::new(&guest(&[("configure", "(call $log \"configured\") (i32.const 1)"), ("request_headers", body)]))
                .unwrap();
        let vm = world.add_vm();
        let root = world.configure(vm, "gate", "").unwrap();
        let configuring = world.hostcalls().clone();
        world.reset_counts();
        world.request(root, get());
        (configuring, world.hostcalls().clone(), world.work())
    };
    let (configuring, counts, work) = count();
    assert_eq!(configuring.into_iter().collect::<Vec<_>>(), [("proxy_log".to_owned(), 1)], "the canary's do not count");
    assert_eq!(counts["proxy_get_header_map_value"], 2);
    assert_eq!(counts["proxy_replace_header_map_value"], 1);
    assert_eq!(counts.len(), 2);
    assert!(work > 0);
    assert_eq!(count().2, work);
}

#[test]
fn log_lines_below_the_level_are_not_kept() {
    let wasm = guest(&[("configure", r#"(call $log "info") (i32.const 1)"#)]);
    for (level, lines) in [(Level::Info, 1), (Level::Warn, 0)] {
        let mut world = World::setup().canary(false).log_level(level).build(&wasm).unwrap();
        let vm = world.add_vm();
        world.configure(vm, "gate", "").unwrap();
        assert_eq!(world.log().len(), lines);
    }
}
