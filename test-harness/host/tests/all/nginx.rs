//! The profile of nginx: everything in which `ngx_wasm_module` was seen to differ from Envoy, and that decides safety.

use std::collections::HashMap;

use jwe_gate_test_host::{
    Answer, Caller, Cluster, Headers, Isolation, MisuseKind, Nginx, Outcome, Profile, Request, RootId, VmId, World,
};

use crate::support::{forwarded, get, guest, logged, replied, take_log};

const BODIES: [(&str, &str); 2] = [("response_headers", "(i32.const 0)"), ("response_body", "(i32.const 0)")];
const LOOKUP: &str = "127.0.0.1:9090";
const TRAP_IF_TOLD: &str = r#"(if (call $get (i32.const 0) "x-trap" (i32.const 8) (i32.const 12)) (then) (else unreachable))
    (i32.const 0)"#;
const ASK: &str = r#"(drop (call $call "127.0.0.1:9090" (i32.const 100)))"#;

fn conf() -> Nginx {
    Nginx::bare().waits().shm_kv("zone", 4096, true).set("ok", "0").set("user", "")
}

/// What the shipped configuration adds: nothing goes on without the filter's word.
fn closed() -> Nginx {
    conf().admitted_by("ok").proxy_set_header("X-User-Id", "user")
}

fn world_of(conf: Nginx, callbacks: &[(&str, &str)]) -> (World, VmId, RootId) {
    let mut world = World::setup().profile(Profile::Nginx(conf)).build(&guest(callbacks)).unwrap();
    world.set_cluster(LOOKUP, Cluster::Reachable);
    let vm = world.add_vm();
    let root = world.configure(vm, "gate", "configuration").unwrap();
    (world, vm, root)
}

fn park() -> String {
    format!("{ASK} (i32.const 1)")
}

fn http(body: &str) -> Answer {
    Answer::Http { headers: Headers::from([(":status", "200")]), body: body.into() }
}

fn answer(world: &mut World, answer: Answer) {
    let call = world.calls().remove(0).id;
    world.answer(call, answer);
}

#[test]
fn a_paused_request_goes_on_at_once_when_no_filter_follows() {
    let callbacks = [("request_headers", &*park())];
    let unsafe_conf = Nginx::bare().set("ok", "0");
    let (mut world, _, root) = world_of(unsafe_conf.clone(), &callbacks);
    let request = world.request(root, get());
    assert_eq!(forwarded(&world, request), get());
    let (mut world, _, root) = world_of(unsafe_conf.clone().admitted_by("ok"), &callbacks);
    let request = world.request(root, get());
    assert_eq!(replied(&world, request).status, 502);
    let (mut world, _, root) = world_of(unsafe_conf.waits(), &callbacks);
    let request = world.request(root, get());
    assert_eq!(world.outcome(request), Outcome::Parked);
}

#[test]
fn a_trap_over_an_answer_lets_the_request_through() {
    let callbacks = [("request_headers", &*park()), ("http_call_response", "(unreachable)")];
    let (mut world, _, root) = world_of(conf(), &callbacks);
    let request = world.request(root, get());
    answer(&mut world, http(""));
    assert_eq!(forwarded(&world, request), get());
    let (mut world, _, root) = world_of(closed(), &callbacks);
    let request = world.request(root, get());
    answer(&mut world, http(""));
    assert_eq!(replied(&world, request).status, 502);
}

#[test]
fn a_callback_that_does_nothing_lets_the_request_through() {
    let nothing = [("request_headers", &*park()), ("http_call_response", "")];
    let (mut world, _, root) = world_of(conf(), &nothing);
    let request = world.request(root, get());
    answer(&mut world, http(""));
    assert_eq!(forwarded(&world, request), get());
    let (mut world, _, root) = world_of(conf(), &[("request_headers", "(i32.const 1)")]);
    let request = world.request(root, get());
    assert_eq!(forwarded(&world, request), get(), "with nothing to wait for");
}

#[test]
fn a_trap_frees_all_that_wait_unless_each_request_has_its_own_vm() {
    let trapping = format!(
        r#"(if (call $get (i32.const 0) "x-trap" (i32.const 8) (i32.const 12)) (then {ASK}) (else unreachable))
        (i32.const 1)"#
    );
    for (isolation, freed) in [(Isolation::None, true), (Isolation::Stream, false)] {
        let (mut world, _, root) = world_of(conf().isolation(isolation), &[("request_headers", &trapping)]);
        let waiting = [(); 2].map(|()| world.request(root, get()));
        assert_eq!(world.outcome(waiting[0]), Outcome::Parked);
        let fatal = world.request(root, [(":path", "/"), ("x-trap", "1")]);
        assert_eq!(replied(&world, fatal).status, 500);
        for request in waiting {
            assert_eq!(matches!(world.outcome(request), Outcome::Forwarded(_)), freed, "{isolation:?}");
        }
    }
    let (mut world, _, root) = world_of(closed(), &[("request_headers", &trapping)]);
    let waiting = world.request(root, get());
    world.request(root, [(":path", "/"), ("x-trap", "1")]);
    assert_eq!(
        replied(&world, waiting).status,
        502,
        "and where nothing goes on without the filter's word it is refused"
    );
}

#[test]
fn an_effective_context_is_taken_and_ignored() {
    let act = r#"(call $log_number (call $act_as (i32.const 2))) (call $log_number (call $act_as (i32.const -1)))
        (drop (call $reply (i32.const 403) "")) (i32.const 1)"#;
    let first =
        format!("(if (i32.eq (local.get $id) (i32.const 2)) (then {ASK}) (else {}))", act.replace("(i32.const 1)", ""));
    let (mut world, _, root) = world_of(conf(), &[("request_headers", &format!("{first} (i32.const 1)"))]);
    let waiting = world.request(root, get());
    let acting = world.request(root, get());
    assert_eq!(logged(&world), ["000", "000"]);
    assert_eq!(replied(&world, acting).status, 403, "the reply went to the request at hand");
    assert_eq!(world.outcome(waiting), Outcome::Parked);
}

#[test]
fn resuming_without_a_request_at_hand_crashes_the_worker() {
    let (mut world, _, root) = world_of(
        conf(),
        &[
            ("configure", "(drop (call $tick_every (i32.const 10))) (i32.const 1)"),
            ("request_headers", &park()),
            ("tick", "(drop (call $act_as (i32.const 2))) (drop (call $resume (i32.const 0)))"),
        ],
    );
    let request = world.request(root, get());
    world.advance(10);
    assert_eq!(world.outcome(request), Outcome::Gone);
    assert_eq!(world.misuses()[0].kind, MisuseKind::CrashedWorker);
}

#[test]
fn what_is_not_implemented_traps() {
    for call in [
        "(drop (call $close (i32.const 0)))",
        "(drop (call $log_level (i32.const 16)))",
        r#"(drop (call $resolve "" "queue" (i32.const 16)))"#,
    ] {
        let (mut world, _, root) = world_of(conf(), &[("request_headers", &format!("{call} (i32.const 0)"))]);
        let request = world.request(root, get());
        assert_eq!((replied(&world, request).status, world.traps().len()), (500, 1), "{call}");
    }
}

#[test]
fn two_keys_of_one_checksum_are_one_key() {
    let (one, other) = colliding_keys();
    let write = format!(
        r#"(call $log_number (call $set_shared "{one}" "value" (i32.const 0)))
        (call $log_number (call $shared "{other}" (i32.const 8) (i32.const 12) (i32.const 16))) (call $log_given)
        (i32.const 0)"#
    );
    let (mut world, _, root) = world_of(conf(), &[("request_headers", &write)]);
    world.request(root, get());
    assert_eq!(logged(&world), ["000", "000", "value"]);
}

/// Two different keys that nginx takes for one.
fn colliding_keys() -> (String, String) {
    let mut seen = HashMap::new();
    for number in 0_u64.. {
        let key = format!("zone/{:x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        if let Some(other) = seen.insert(crc32fast::hash(key.as_bytes()), key.clone()) {
            return (other, key);
        }
    }
    unreachable!("there are more keys than checksums")
}

#[test]
fn a_removed_header_reaches_the_upstream_and_a_replaced_one_keeps_its_second_line() {
    let edit = r#"(drop (call $remove (i32.const 0) "x-user")) (drop (call $replace (i32.const 0) "cookie" "new"))
        (i32.const 0)"#;
    let (mut world, _, root) = world_of(conf(), &[("request_headers", edit)]);
    let request = world.request(root, [("x-user", "admin"), ("cookie", "a"), ("cookie", "b")]);
    assert_eq!(forwarded(&world, request), Headers::from([("x-user", "admin"), ("cookie", "new"), ("cookie", "b")]));
}

#[test]
fn a_header_made_of_a_variable_takes_the_place_of_all_lines_and_is_not_sent_while_that_is_empty() {
    let admit = |user: &str| {
        format!(
            r#"(drop (call $set_property "ngx\00user" "{user}")) (drop (call $set_property "ngx\00ok" "1")) (i32.const 0)"#
        )
    };
    for (user, expected) in [("ann", vec![&b"ann"[..]]), ("", vec![])] {
        let (mut world, _, root) = world_of(closed(), &[("request_headers", &admit(user))]);
        let request = world.request(root, [("x-user-id", "admin"), ("X-USER-ID", "root"), ("x_user_id", "admin")]);
        assert_eq!(forwarded(&world, request).all("x-user-id"), expected);
        assert!(!forwarded(&world, request).contains("x_user_id"), "names with an underscore are dropped");
    }
}

#[test]
fn the_header_map_is_cut_to_a_hundred_pairs_and_the_count_is_right() {
    let count = r#"(call $log_number (local.get $headers)) (drop (call $pairs (i32.const 0) (i32.const 8) (i32.const 12)))
        (call $log_number (i32.load (i32.load (i32.const 8))))
        (call $log_number (call $get (i32.const 0) "x-last" (i32.const 8) (i32.const 12))) (i32.const 0)"#;
    let (mut world, _, root) = world_of(conf(), &[("request_headers", count)]);
    let mut headers: Headers = (0..119).map(|number| (format!("x-{number}"), "value")).collect();
    headers.add("x-last", "1");
    world.request(root, headers);
    assert_eq!(logged(&world), ["120", "100", "000"]);
}

#[test]
fn a_header_by_name_is_its_first_line() {
    let read =
        r#"(drop (call $get (i32.const 0) "cookie" (i32.const 8) (i32.const 12))) (call $log_given) (i32.const 0)"#;
    let (mut world, _, root) = world_of(conf(), &[("request_headers", read)]);
    world.request(root, [("cookie", "a=1"), ("cookie", "b=2")]);
    assert_eq!(logged(&world), ["a=1"]);
}

#[test]
fn the_end_of_a_stream_is_never_flagged() {
    let (mut world, _, root) =
        world_of(conf(), &[("request_headers", "(call $log_number (local.get $end)) (i32.const 0)")]);
    world.request_with(root, Request::new(get()));
    assert_eq!(logged(&world), ["000"]);
}

#[test]
fn only_declared_variables_can_be_set() {
    let set = |path: &str| format!(r#"(call $log_number (call $set_property "{path}" "1"))"#);
    let all = ["ngx\\00ok", "wasmx\\00x", "request\\00query", "ngx\\00other", "name"].map(set).concat();
    let (mut world, _, root) = world_of(conf(), &[("request_headers", &format!("{all} (i32.const 0)"))]);
    world.request(root, get());
    assert_eq!(logged(&world), ["000", "000", "000", "001", "001"]);
}

#[test]
fn shared_data_needs_a_zone() {
    for (key, conf, traps) in [
        ("zone/a", conf(), 0),
        ("other/a", conf(), 1),
        ("plain", conf(), 1),
        ("other/a", conf().shm_kv("*", 4096, false), 0),
    ] {
        let get = format!(r#"(drop (call $shared "{key}" (i32.const 8) (i32.const 12) (i32.const 16))) (i32.const 0)"#);
        let (mut world, _, root) = world_of(conf, &[("request_headers", &get)]);
        world.request(root, crate::support::get());
        assert_eq!(world.traps().len(), traps, "{key}");
    }
}

#[test]
fn a_cas_of_zero_writes_only_where_there_is_nothing() {
    let set = |cas: &str| format!(r#"(call $log_number (call $set_shared "zone/a" "v" {cas}))"#);
    let read = r#"(drop (call $shared "zone/a" (i32.const 8) (i32.const 12) (i32.const 16)))"#;
    let all = [
        set("(i32.const -1)"),
        set("(i32.const 0)"),
        set("(i32.const 0)"),
        read.to_owned(),
        set("(i32.load (i32.const 16))"),
        set("(i32.load (i32.const 16))"),
    ];
    let (mut world, _, root) = world_of(conf(), &[("request_headers", &format!("{} (i32.const 0)", all.concat()))]);
    world.request(root, get());
    assert_eq!(logged(&world), ["008", "000", "008", "000", "008"]);
}

#[test]
fn a_value_too_large_a_full_zone_and_a_value_that_grows_in_one_trap() {
    let set = |key: &str, value: &str| format!(r#"(drop (call $set_shared "zone/{key}" "{value}" (i32.const 0)))"#);
    let grow = r#"(drop (call $shared "zone/a" (i32.const 8) (i32.const 12) (i32.const 16)))
        (drop (call $set_shared "zone/a" "12345678901" (i32.load (i32.const 16))))"#;
    for (evicts, calls, trap) in [
        (true, set("a", "12345678901"), Some("larger")),
        (false, set("a", "123456") + &set("b", "123456"), Some("full")),
        (true, set("a", "123456") + &set("b", "123456"), None),
        (true, set("a", "12345") + &set("b", "12345") + &grow.replace("12345678901", "123456"), Some("grew")),
        (true, set("a", "12345") + &set("b", "12345") + &grow.replace("12345678901", "54321"), None),
    ] {
        let conf = Nginx::bare().shm_kv("zone", 10, evicts);
        let (mut world, _, root) = world_of(conf, &[("request_headers", &format!("{calls} (i32.const 0)"))]);
        world.request(root, get());
        let message = world.traps().first().map(|trap| trap.message.clone());
        assert_eq!(message.is_some(), trap.is_some(), "{calls}: {message:?}");
        assert!(message.unwrap_or_default().contains(trap.unwrap_or_default()));
    }
}

#[test]
fn a_read_can_be_torn_and_a_reload_empties_the_zones() {
    let read = r#"(call $log_number (call $shared "zone/a" (i32.const 8) (i32.const 12) (i32.const 16))) (call $log_given)
        (i32.const 0)"#;
    let (mut world, _, root) = world_of(conf(), &[("request_headers", read)]);
    world.set_shared_data("zone/a", "aaaa");
    world.tear_next_read("bbbb");
    world.request(root, get());
    world.request(root, get());
    world.reload();
    world.request(root, get());
    assert_eq!(logged(&world)[..5], ["000", "bbaa", "000", "aaaa", "001"]);
}

const HEAR: &str = r#"(call $log_number (call $get (i32.const 6) ":status" (i32.const 8) (i32.const 12)))
    (drop (call $get (i32.const 6) ":dispatch_status" (i32.const 8) (i32.const 12))) (call $log_given)
    (call $log_number (call $buffer (i32.const 4) (i32.const 0) (i32.const 999) (i32.const 8) (i32.const 12)))
    (drop (call $resume (i32.const 0)))"#;

#[test]
fn a_callout_is_answered_to_the_request_that_made_it() {
    let hear = format!("(call $log_number (local.get $id)) {HEAR}");
    let (mut world, _, root) = world_of(conf(), &[("request_headers", &park()), ("http_call_response", &hear)]);
    let request = world.request(root, get());
    assert_eq!(world.calls()[0].from, Caller::Request(request));
    answer(&mut world, http("answer"));
    assert_eq!(take_log(&mut world), ["002", "000", "ok", "000"]);
    assert_eq!(forwarded(&world, request), get());
    let gone = world.request(root, get());
    world.reset(gone);
    assert!(world.calls().is_empty(), "a callout ends with its request");
}

#[test]
fn a_callout_that_fails_has_no_status() {
    for (failure, how) in
        [(Answer::Reset, "reader error"), (Answer::Refused, "connection refused"), (Answer::Timeout, "timeout")]
    {
        let (mut world, _, root) = world_of(conf(), &[("request_headers", &park()), ("http_call_response", HEAR)]);
        world.request(root, get());
        answer(&mut world, failure);
        assert_eq!(logged(&world)[..2], ["001", how]);
    }
}

#[test]
fn a_body_that_breaks_off_cannot_be_read() {
    let (mut world, _, root) = world_of(conf(), &[("request_headers", &park()), ("http_call_response", HEAR)]);
    world.request(root, get());
    answer(&mut world, Answer::CutOff { headers: Headers::from([(":status", "200")]) });
    assert_eq!(logged(&world), ["000", "ok", "010"]);
}

#[test]
fn a_callout_to_what_is_no_address_fails_later_and_not_at_once() {
    let park = r#"(call $log_number (call $call "lookup" (i32.const 100))) (i32.const 1)"#;
    let (mut world, _, root) = world_of(conf(), &[("request_headers", park), ("http_call_response", HEAR)]);
    let request = world.request(root, get());
    assert_eq!((take_log(&mut world), world.outcome(request)), (vec!["000".to_owned()], Outcome::Parked));
    world.run_until_idle();
    assert_eq!(logged(&world)[..2], ["001", "connection refused"]);
}

#[test]
fn a_callout_without_a_path_traps_and_so_does_one_while_configuring() {
    let bare = r#"(drop (call $proxy_http_call "127.0.0.1:9090" "\00\00\00\00" "" "" (i32.const 0) (i32.const 16))) (i32.const 0)"#;
    let (mut world, _, root) = world_of(conf(), &[("request_headers", bare)]);
    world.request(root, get());
    assert_eq!(world.traps().len(), 1);
    let wasm = guest(&[("configure", &format!("{ASK} (i32.const 1)"))]);
    let mut world = World::setup().profile(Profile::Nginx(conf())).build(&wasm).unwrap();
    let vm = world.add_vm();
    world.configure(vm, "gate", "").unwrap_err();
    assert_eq!(world.traps().len(), 1);
}

#[test]
fn the_time_of_a_callout_is_that_of_each_read() {
    let (mut world, _, root) = world_of(conf(), &[("request_headers", &park()), ("http_call_response", HEAR)]);
    world.request(root, get());
    let call = world.calls()[0].id;
    for _ in 0..5 {
        world.advance(90);
        world.answer_in_part(call);
    }
    assert!(logged(&world).is_empty());
    world.advance(100);
    assert_eq!(logged(&world)[..2], ["001", "timeout"]);
}

#[test]
fn callouts_from_ticks_work() {
    let tick = format!("{ASK} (call $log_number (local.get $id))");
    let (mut world, _, root) =
        world_of(conf(), &[("configure", "(drop (call $tick_every (i32.const 10))) (i32.const 1)"), ("tick", &tick)]);
    world.advance(10);
    assert_eq!(world.calls()[0].from, Caller::Root(root));
}

#[test]
fn a_tick_can_be_set_once_and_each_trap_leaves_a_timer() {
    let twice = "(drop (call $tick_every (i32.const 10))) (drop (call $tick_every (i32.const 20))) (i32.const 1)";
    let wasm = guest(&[("configure", twice)]);
    let mut world = World::setup().profile(Profile::Nginx(conf())).build(&wasm).unwrap();
    let vm = world.add_vm();
    world.configure(vm, "gate", "").unwrap_err();
    assert_eq!(world.traps().len(), 1);

    let (mut world, _, root) = world_of(
        conf(),
        &[
            ("configure", "(drop (call $tick_every (i32.const 10))) (i32.const 1)"),
            ("tick", r#"(call $log "tick")"#),
            ("request_headers", TRAP_IF_TOLD),
        ],
    );
    world.advance(20);
    assert_eq!(take_log(&mut world).len(), 2);
    world.request(root, [("x-trap", "1")]);
    world.request(root, get());
    world.clear_log();
    world.advance(100);
    assert_eq!(take_log(&mut world).len(), 20);
}

#[test]
fn after_a_trap_only_configure_runs_on_the_new_vm() {
    let (mut world, _, root) = world_of(
        conf(),
        &[
            ("vm_start", r#"(call $log "start") (i32.const 1)"#),
            ("configure", r#"(call $log "configure") (i32.const 1)"#),
            ("request_headers", TRAP_IF_TOLD),
        ],
    );
    assert_eq!(take_log(&mut world), ["start", "configure"]);
    world.request(root, [("x-trap", "1")]);
    let request = world.request(root, get());
    assert_eq!((take_log(&mut world), forwarded(&world, request)), (vec!["configure".to_owned()], get()));
}

#[test]
fn a_message_in_a_queue_wakes_nobody() {
    let send = r#"(drop (call $register "queue" (i32.const 16)))
        (call $log_number (call $enqueue (i32.load (i32.const 16)) "hello")) (i32.const 0)"#;
    let (mut world, _, root) =
        world_of(conf(), &[("request_headers", send), ("queue_ready", r#"(call $log "woken")"#)]);
    world.request(root, get());
    world.advance(1000);
    assert_eq!((logged(&world), world.queue_depth("queue")), (vec!["000".to_owned()], 1));
}

#[test]
fn of_reply_headers_that_come_twice_the_last_is_sent() {
    let reply = r#"(drop (call $proxy_reply (i32.const 401) (i32.const 0) (i32.const 0) "x"
        "\02\00\00\00\01\00\00\00\01\00\00\00\01\00\00\00\01\00\00\00a\001\00a\002\00" (i32.const -1))) (i32.const 1)"#;
    let (mut world, _, root) = world_of(conf(), &[("request_headers", reply)]);
    let request = world.request(root, get());
    assert_eq!(replied(&world, request).headers.all("a"), [b"2"]);
}

#[test]
fn a_module_without_the_callbacks_of_replies_crashes_the_worker_at_the_first_one() {
    for (callbacks, misuses) in [(&BODIES[..], 0), (&BODIES[..1], 1), (&[], 1)] {
        let (mut world, _, root) = world_of(conf(), callbacks);
        let request = world.request(root, get());
        world.respond(request, [(":status", "200")]);
        assert_eq!(world.misuses().len(), misuses);
    }
}

#[test]
fn a_configuration_is_an_argument_of_limited_length() {
    let mut world = World::setup().profile(Profile::Nginx(conf())).build(&guest(&[])).unwrap();
    let vm = world.add_vm();
    world.configure(vm, "gate", vec![b'x'; 4000]).unwrap();
    world.configure(vm, "other", vec![b'x'; 4001]).unwrap_err();
}
