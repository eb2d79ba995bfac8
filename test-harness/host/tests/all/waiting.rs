//! Requests that wait, and who may act on them.

use jwe_gate_test_host::{MisuseKind, Outcome, Response};

use crate::support::{PARK, forwarded, get, logged, replied, take_log, world};

const TICKING: (&str, &str) = ("configure", "(drop (call $tick_every (i32.const 10))) (i32.const 1)");

/// Logs what acting on a context answers, then does it.
fn acting_on(context: u32, action: &str) -> String {
    format!("(call $log_number (call $act_as (i32.const {context}))) (call $log_number {action})")
}

const RESUME: &str = "(call $resume (i32.const 0))";
const REPLY: &str = r#"(call $reply (i32.const 403) "")"#;
const CUT: &str = "(call $close (i32.const 0))";

#[test]
fn a_parked_request_waits_until_it_is_resumed_with_its_headers_of_then() {
    let edit = format!(
        r#"(drop (call $act_as (i32.const 2))) (drop (call $add (i32.const 0) "x-user" "ann")) {}"#,
        acting_on(2, RESUME)
    );
    let (mut world, _, root) = world(&[TICKING, PARK, ("tick", &edit)]);
    let request = world.request(root, get());
    assert_eq!(world.outcome(request), Outcome::Parked);
    world.advance(9);
    assert_eq!(world.outcome(request), Outcome::Parked);
    world.advance(1);
    assert_eq!(forwarded(&world, request).text("x-user").unwrap(), "ann");
    assert_eq!(logged(&world), ["000", "000"]);
}

#[test]
fn a_parked_request_can_be_replied_to_from_elsewhere() {
    let (mut world, _, root) = world(&[
        TICKING,
        PARK,
        ("tick", &acting_on(2, REPLY)),
        ("response_headers", r#"(call $log "response") (i32.const 0)"#),
    ]);
    let request = world.request(root, get());
    world.advance(10);
    assert_eq!(replied(&world, request).status, 403);
    assert_eq!(logged(&world), ["000", "000", "response"]);
    assert!(!world.is_open(request));
}

#[test]
fn one_callback_acts_on_many_requests_in_the_order_of_its_calls() {
    let all = [acting_on(3, REPLY), acting_on(2, RESUME), acting_on(4, CUT)].concat();
    let (mut world, _, root) =
        world(&[TICKING, PARK, ("tick", &all), ("delete", "(call $log_number (local.get $id))")]);
    let requests = [(); 4].map(|()| world.request(root, get()));
    world.advance(10);
    assert_eq!(forwarded(&world, requests[0]), get());
    assert_eq!(replied(&world, requests[1]).status, 403);
    assert_eq!(world.outcome(requests[2]), Outcome::Reset);
    assert_eq!(world.outcome(requests[3]), Outcome::Parked);
    assert_eq!(logged(&world)[6..], ["003", "004"], "those that ended, after the callback");
}

#[test]
fn acting_on_a_context_that_is_gone_is_a_bad_argument_and_acts_on_nobody() {
    let (mut world, _, root) = world(&[TICKING, PARK, ("tick", &acting_on(2, RESUME))]);
    let gone = world.request(root, get());
    let waiting = world.request(root, get());
    world.reset(gone);
    world.advance(10);
    assert_eq!(take_log(&mut world), ["002", "000"]);
    assert_eq!(world.outcome(gone), Outcome::Gone);
    assert_eq!(world.outcome(waiting), Outcome::Parked);
}

#[test]
fn an_effective_context_lasts_for_one_callback() {
    let (mut world, _, root) = world(&[
        TICKING,
        PARK,
        (
            "tick",
            r#"(if (i32.eqz (global.get $count)) (then (drop (call $act_as (i32.const 2)))))
            (global.set $count (i32.const 1))
            (call $log_number (call $get (i32.const 0) ":path" (i32.const 8) (i32.const 12)))"#,
        ),
    ]);
    world.request(root, get());
    world.advance(20);
    assert_eq!(logged(&world), ["000", "002"]);
}

#[test]
fn a_request_that_ends_is_logged_done_and_deleted_whether_it_waited_or_not() {
    let (mut world, _, root) = world(&[
        PARK,
        ("log", r#"(call $log "log")"#),
        ("done", r#"(call $log "done") (i32.const 1)"#),
        ("delete", r#"(call $log "delete")"#),
    ]);
    let request = world.request(root, get());
    world.reset(request);
    assert_eq!(take_log(&mut world), ["log", "done", "delete"]);
    world.end(request);
    assert!(logged(&world).is_empty(), "a request ends once");
    assert_eq!(world.outcome(request), Outcome::Gone);
}

#[test]
fn a_reply_stops_the_request_whose_callback_sent_it_for_another() {
    let (mut world, _, root) = world(&[(
        "request_headers",
        r#"(if (i32.eq (local.get $id) (i32.const 3))
            (then (drop (call $act_as (i32.const 2))) (drop (call $reply (i32.const 403) ""))))
        (i32.eq (local.get $id) (i32.const 2))"#,
    )]);
    let first = world.request(root, get());
    let second = world.request(root, get());
    assert_eq!(replied(&world, first).status, 403);
    assert_eq!(world.outcome(second), Outcome::Parked, "though its callback said continue");
}

#[test]
fn a_stream_that_runs_can_be_cut() {
    let (mut world, _, root) = world(&[TICKING, ("tick", &acting_on(2, CUT))]);
    let request = world.request(root, get());
    world.respond(request, [(":status", "101")]);
    assert!(world.is_open(request));
    world.advance(10);
    assert!(!world.is_open(request));
    assert_eq!((world.outcome(request), world.response(request)), (Outcome::Reset, Response::Reset));
}

#[test]
fn a_reply_after_the_response_began_can_only_cut() {
    let (mut world, _, root) = world(&[TICKING, ("tick", &acting_on(2, REPLY))]);
    let request = world.request(root, get());
    world.respond(request, [(":status", "200")]);
    world.advance(10);
    assert_eq!(world.outcome(request), Outcome::Reset);
}

#[test]
fn a_response_can_wait_and_be_resumed_or_replaced() {
    let park = ("response_headers", "(i32.const 1)");
    for (action, expected) in [("(call $resume (i32.const 1))", 200), (r#"(call $reply (i32.const 502) "")"#, 502)] {
        let (mut world, _, root) = world(&[TICKING, park, ("tick", &acting_on(2, action))]);
        let request = world.request(root, get());
        assert_eq!(world.respond(request, [(":status", "200")]), Response::Parked);
        world.advance(10);
        let status = match world.response(request) {
            Response::Forwarded(headers) => headers.text(":status").unwrap().parse().unwrap(),
            Response::Replied(reply) => reply.status,
            other => panic!("{other:?}"),
        };
        assert_eq!(status, expected);
    }
}

#[test]
fn what_no_correct_filter_does_is_kept() {
    let twice = |action: &str| format!("(drop (call $act_as (i32.const 2))) (drop {action}) (drop {action})");
    for (action, kind) in [(RESUME, MisuseKind::ResumedNotParked), (REPLY, MisuseKind::RepliedTwice)] {
        let (mut world, _, root) = world(&[TICKING, PARK, ("tick", &twice(action))]);
        let request = world.request(root, get());
        world.advance(10);
        let misuses: Vec<_> = world.misuses().iter().map(|misuse| (misuse.request, misuse.kind)).collect();
        assert_eq!(misuses, [(Some(request), kind)]);
    }
    let (mut early, _, root) = world(&[("request_headers", &format!("(drop {RESUME}) (i32.const 1)"))]);
    let request = early.request(root, get());
    assert_eq!(forwarded(&early, request), get(), "it goes on all the same");
    assert_eq!(early.misuses()[0].kind, MisuseKind::ResumedNotParked);

    let (mut world, ..) = world(&[TICKING, ("tick", "(drop (call $reply (i32.const 200) \"\"))")]);
    world.advance(10);
    assert_eq!(world.misuses()[0].kind, MisuseKind::RepliedWithoutRequest);
}
