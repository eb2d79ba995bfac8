//! Callouts: taken or refused at once, answered, timed out, lost.

use jwe_gate_test_host::{Answer, Caller, Cluster, Headers};

use crate::support::{get, logged, take_log, world};

const CALL: &str = r#"(call $log_number (call $call "lookup" (i32.const 100)))"#;

const HEAR: (&str, &str) = (
    "http_call_response",
    r#"(call $log_number (local.get $id)) (call $log_number (local.get $headers))
    (call $log_number (call $get (i32.const 6) ":status" (i32.const 8) (i32.const 12))) (call $log_given)
    (call $log_number (call $buffer (i32.const 4) (i32.const 0) (i32.const 999) (i32.const 8) (i32.const 12)))
    (call $log_given)"#,
);

fn http(body: &str) -> Answer {
    Answer::Http { headers: Headers::from([(":status", "200"), ("x", "y")]), body: body.into() }
}

fn tick_calls() -> [(&'static str, &'static str); 3] {
    [
        ("configure", "(drop (call $tick_every (i32.const 10))) (i32.const 1)"),
        ("tick", r#"(call $log_number (call $call "lookup" (i32.const 100))) (drop (call $tick_every (i32.const 0)))"#),
        HEAR,
    ]
}

#[test]
fn dispatching_fails_at_once_and_says_how() {
    for (cluster, status) in [
        (None, "002"),
        (Some(Cluster::Unknown), "002"),
        (Some(Cluster::Unavailable), "010"),
        (Some(Cluster::Reachable), "000"),
    ] {
        let (mut world, ..) = world(&tick_calls());
        if let Some(cluster) = cluster {
            world.set_cluster("lookup", cluster);
        }
        world.advance(10);
        assert_eq!(logged(&world), [status], "{cluster:?}");
        assert_eq!(world.calls().len(), usize::from(status == "000"));
    }
}

#[test]
fn a_request_without_method_path_or_authority_is_a_bad_argument() {
    let body =
        r#"(call $log_number (call $proxy_http_call "lookup" "\00\00\00\00" "" "" (i32.const 0) (i32.const 16)))"#;
    let (mut world, ..) = world(&[tick_calls()[0], ("tick", body)]);
    world.set_cluster("lookup", Cluster::Reachable);
    world.advance(10);
    assert_eq!(logged(&world), ["002"]);
}

#[test]
fn a_callout_can_be_seen_and_its_answer_reaches_the_root_that_made_it() {
    let (mut world, vm, root) = world(&tick_calls());
    world.set_cluster("lookup", Cluster::Reachable);
    world.advance(10);
    let call = world.calls().remove(0);
    assert_eq!((call.vm, call.from, call.upstream.as_str()), (vm, Caller::Root(root), "lookup"));
    assert_eq!((call.body.as_slice(), call.timeout_ms), (&b"question"[..], 100));
    assert_eq!(call.headers.text(":path").unwrap(), "/q");
    assert_eq!(world.calls_of(root), std::slice::from_ref(&call));
    world.clear_log();

    assert!(world.answer(call.id, http("answer")));
    assert_eq!(take_log(&mut world), ["001", "002", "000", "200", "000", "answer"]);
    assert!(!world.answer(call.id, http("again")), "an answer comes once");
    assert!(world.calls().is_empty() && logged(&world).is_empty());
}

#[test]
fn failures_look_as_the_proxy_shows_them() {
    // After a reset there is no map, no body, and what was given before is left as it was.
    let cases = [
        (Answer::Reset, vec!["000", "002", "", "001", ""]),
        (Answer::Timeout, vec!["003", "000", "504", "000", "upstream request timeout"]),
    ];
    for (answer, expected) in cases {
        let (mut world, ..) = world(&tick_calls());
        world.set_cluster("lookup", Cluster::Reachable);
        world.advance(10);
        let call = world.calls().remove(0).id;
        world.clear_log();
        assert!(world.answer(call, answer));
        assert_eq!(logged(&world)[1..], expected);
    }
}

#[test]
fn a_callout_times_out_when_its_time_has_passed() {
    let (mut world, ..) = world(&tick_calls());
    world.set_cluster("lookup", Cluster::Reachable);
    world.advance(10);
    world.clear_log();
    world.advance(99);
    assert!(logged(&world).is_empty());
    world.advance(1);
    assert_eq!(logged(&world)[3], "504");
    assert!(world.calls().is_empty());
}

#[test]
fn a_callout_of_a_request_is_answered_to_its_root_also_when_the_request_is_gone() {
    let (mut world, _, root) = world(&[("request_headers", &format!("{CALL} (i32.const 1)")), HEAR]);
    world.set_cluster("lookup", Cluster::Reachable);
    let request = world.request(root, get());
    let call = world.calls().remove(0);
    assert_eq!(call.from, Caller::Request(request));
    world.reset(request);
    world.clear_log();
    assert!(world.answer(call.id, http("")));
    assert_eq!(logged(&world)[0], "001", "the host names the root; the SDK knows whom it was for");
}

#[test]
fn a_callout_ends_with_its_root_context() {
    let (mut world, vm, root) = world(&tick_calls());
    world.set_cluster("lookup", Cluster::Reachable);
    world.advance(10);
    let call = world.calls().remove(0).id;
    world.configure(vm, "gate", "newer").unwrap();
    assert!(!world.is_alive(root));
    assert!(world.calls().is_empty());
    assert!(!world.answer(call, http("")));
}

#[test]
fn callouts_of_two_roots_in_one_vm_have_different_numbers() {
    let hear = ("http_call_response", "(call $log_number (local.get $id)) (call $log_number (local.get $token))");
    let [configure, tick, _] = tick_calls();
    let (mut world, vm, _) = world(&[configure, tick, hear]);
    world.configure(vm, "other", "").unwrap();
    world.set_cluster("lookup", Cluster::Reachable);
    world.advance(10);
    world.clear_log();
    for call in world.calls() {
        world.answer(call.id, http(""));
    }
    assert_eq!(logged(&world), ["001", "004", "002", "008"]);
}

#[test]
fn an_answer_is_readable_only_while_it_is_delivered() {
    let read = r#"(call $log_number (call $get (i32.const 6) ":status" (i32.const 8) (i32.const 12)))"#;
    let (mut world, _, root) = world(&[
        ("request_headers", &format!(r#"{read} (drop (call $call "lookup" (i32.const 0))) (i32.const 0)"#)),
        ("http_call_response", read),
    ]);
    world.set_cluster("lookup", Cluster::Reachable);
    world.request(root, get());
    world.answer(world.calls()[0].id, http(""));
    world.request(root, get());
    assert_eq!(logged(&world), ["002", "000", "002"]);
}
