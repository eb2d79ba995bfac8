//! Header maps, bodies and properties, as a filter sees them.

use jwe_gate_test_host::{Headers, Outcome, Request, Response, World};

use crate::support::{PARK, forwarded, get, guest, logged, replied, take_log, world};

const GET_COOKIE: &str = r#"(call $log_number (call $get (i32.const 0) "Cookie" (i32.const 8) (i32.const 12)))"#;

fn with_cookies(values: &[&[u8]]) -> Headers {
    let mut headers = get();
    for value in values {
        headers.add("cookie", value);
    }
    headers
}

#[test]
fn a_getter_gives_only_the_first_of_several_lines() {
    let (mut world, _, root) = world(&[("request_headers", &format!("{GET_COOKIE} (call $log_given) (i32.const 0)"))]);
    world.request(root, with_cookies(&[b"a=1", b"b=2"]));
    assert_eq!(logged(&world), ["000", "a=1"]);
}

#[test]
fn a_header_that_is_absent_is_not_found() {
    let (mut world, _, root) = world(&[("request_headers", &format!("{GET_COOKIE} (i32.const 0)"))]);
    world.request(root, get());
    assert_eq!(logged(&world), ["001"]);
}

#[test]
fn values_are_bytes() {
    let body = r#"(drop (call $get (i32.const 0) "cookie" (i32.const 8) (i32.const 12)))
        (drop (call $replace (i32.const 0) "x-copy" (i32.load (i32.const 8)) (i32.load (i32.const 12))))
        (i32.const 0)"#;
    let (mut world, _, root) = world(&[("request_headers", body)]);
    let request = world.request(root, with_cookies(&[b"\xff\x00\xfe"]));
    assert_eq!(forwarded(&world, request).first("x-copy"), Some(&b"\xff\x00\xfe"[..]));
}

#[test]
fn replace_drops_the_other_lines_and_add_keeps_them_and_remove_takes_all() {
    let body = r#"(drop (call $replace (i32.const 0) "Cookie" "new"))
        (drop (call $add (i32.const 0) "X-Kept" "2"))
        (drop (call $remove (i32.const 0) "X-Gone"))
        (i32.const 0)"#;
    let (mut world, _, root) = world(&[("request_headers", body)]);
    let mut headers = with_cookies(&[b"a=1", b"b=2"]);
    for (name, value) in [("x-kept", "1"), ("x-gone", "1"), ("x-gone", "2")] {
        headers.add(name, value);
    }
    let request = world.request(root, headers);
    let forwarded = forwarded(&world, request);
    assert_eq!(forwarded.all("cookie"), [b"new"]);
    assert_eq!(forwarded.all("x-kept"), [b"1", b"2"]);
    assert!(!forwarded.contains("x-gone"));
    assert_eq!(forwarded.text(":path").unwrap(), "/page?x=1");
}

#[test]
fn the_whole_map_can_be_read_and_written_back() {
    let body = r#"(call $log_number (call $pairs (i32.const 0) (i32.const 8) (i32.const 12)))
        (call $log_number (i32.load (i32.load (i32.const 8))))
        (drop (call $remove (i32.const 0) "cookie"))
        (drop (call $set_pairs (i32.const 0) (i32.load (i32.const 8)) (i32.load (i32.const 12))))
        (i32.const 0)"#;
    let (mut world, _, root) = world(&[("request_headers", body)]);
    let headers = with_cookies(&[b"a=1", b"b=2"]);
    let request = world.request(root, headers.clone());
    assert_eq!(logged(&world), ["000", "005"]);
    assert_eq!(forwarded(&world, request), headers);
}

#[test]
fn names_that_the_proxy_takes_for_lists_arrive_as_one_line() {
    let body = r#"(drop (call $get (i32.const 0) "authorization" (i32.const 8) (i32.const 12)))
        (call $log_given) (call $log_number (local.get $headers)) (i32.const 0)"#;
    let (mut world, _, root) = world(&[("request_headers", body)]);
    let mut headers = get();
    headers.add("Authorization", "Bearer x");
    headers.add("authorization", "Bearer y");
    world.request(root, headers);
    assert_eq!(logged(&world), ["Bearer x,Bearer y", "004"]);
}

#[test]
fn request_headers_are_out_of_reach_once_the_request_goes_on() {
    let resume = r#"(drop (call $act_as (i32.const 2))) (drop (call $resume (i32.const 0)))
        (call $log_number (call $replace (i32.const 0) "x-late" "1"))
        (call $log_number (call $pairs (i32.const 0) (i32.const 8) (i32.const 12)))
        (call $log_number (i32.load (i32.const 12)))"#;
    let (mut world, _, root) = world(&[
        PARK,
        ("tick", resume),
        ("configure", "(drop (call $tick_every (i32.const 10))) (i32.const 1)"),
        ("response_headers", &format!("{GET_COOKIE} (i32.const 0)")),
    ]);
    let request = world.request(root, with_cookies(&[b"a=1"]));
    world.advance(10);
    assert_eq!(take_log(&mut world), ["002", "000", "000"]);
    assert!(!forwarded(&world, request).contains("x-late"));
    world.respond(request, [(":status", "200")]);
    assert_eq!(logged(&world), ["002"]);
}

#[test]
fn request_headers_are_out_of_reach_after_a_callback_that_lets_the_request_pass() {
    let (mut world, _, root) = world(&[("response_headers", &format!("{GET_COOKIE} (i32.const 0)"))]);
    let request = world.request(root, with_cookies(&[b"a=1"]));
    world.respond(request, [(":status", "200")]);
    assert_eq!(logged(&world), ["002"]);
}

#[test]
fn both_maps_can_be_read_while_the_access_log_is_written() {
    let log = format!(
        r#"{GET_COOKIE} (call $log_number (call $get (i32.const 2) ":status" (i32.const 8) (i32.const 12)))
        (call $log_given) (call $log_number (call $replace (i32.const 2) "x" "y"))"#
    );
    let (mut world, _, root) = world(&[("log", &log)]);
    let request = world.request(root, with_cookies(&[b"a=1"]));
    world.respond(request, [(":status", "204")]);
    world.end(request);
    assert_eq!(logged(&world), ["000", "000", "204", "002"]);
}

#[test]
fn response_headers_can_be_changed_before_they_go_to_the_client() {
    let body = r#"(drop (call $remove (i32.const 2) "set-cookie")) (i32.const 0)"#;
    let (mut world, _, root) = world(&[("response_headers", body)]);
    let request = world.request(root, get());
    let response = world.respond(request, [(":status", "200"), ("set-cookie", "a"), ("set-cookie", "b")]);
    assert_eq!(response, Response::Forwarded(Headers::from([(":status", "200")])));
    assert_eq!(world.respond(request, get()), Response::NotExpected, "a response comes once");
}

#[test]
fn a_body_is_readable_in_its_callback_and_not_after() {
    let read =
        "(call $log_number (call $buffer (i32.const 0) (i32.const 1) (i32.const 99) (i32.const 8) (i32.const 12)))
        (call $log_given)";
    let (mut world, _, root) = world(&[("request_body", &format!("{read} (i32.const 0)"))]);
    let request = world.request_with(root, Request { end_of_stream: false, ..Request::new(get()) });
    assert!(world.request_body(request, "body", true));
    assert_eq!(logged(&world), ["000", "ody"]);
    world.end(request);
    assert!(!world.request_body(request, "more", true));
}

#[test]
fn properties_join_lines_and_name_the_plugin() {
    let show = |path: &str| {
        format!(
            r#"(call $log_number (call $property "{path}" (i32.const 8) (i32.const 12)))
            (call $log_given)"#
        )
    };
    let paths = [
        r"request\00headers\00cookie",
        r"request\00path",
        r"request\00url_path",
        r"request\00method",
        r"source\00address",
        "plugin_root_id",
        "plugin_vm_id",
    ];
    let body: String = paths.iter().map(|path| show(path)).collect();
    let (mut world, _, root) = world(&[("request_headers", &format!("{body} (i32.const 0)"))]);
    world.request(root, with_cookies(&[b"a=1", b"b=2", b""]));
    let values: Vec<_> = logged(&world).chunks(2).map(|pair| pair[1].clone()).collect();
    assert_eq!(values, ["a=1,b=2,", "/page?x=1", "/page", "GET", "127.0.0.1:40000", "gate", "test"]);
}

#[test]
fn properties_that_are_not_there_are_not_found() {
    let show = |path: &str| format!(r#"(call $log_number (call $property "{path}" (i32.const 8) (i32.const 12)))"#);
    let paths = [r"node\00metadata", r"request\00headers\00x", r"request\00nonsense", "unset"];
    let body: String = paths.iter().map(|path| show(path)).collect();
    let (mut world, _, root) = world(&[("request_headers", &format!("{body} (i32.const 0)"))]);
    world.request(root, get());
    assert_eq!(logged(&world), ["001"; 4]);
}

#[test]
fn what_a_filter_sets_is_filter_state_of_its_request_and_nothing_on_a_root() {
    let set = r#"(call $log_number (call $set_property "subject" "ann"))"#;
    let read = r#"(drop (call $property "subject" (i32.const 8) (i32.const 12))) (call $log_given)"#;
    let (mut world, _, root) = world(&[
        ("configure", &format!("{set} (i32.const 1)")),
        ("request_headers", &format!("{set} {read} (i32.const 0)")),
    ]);
    let request = world.request(root, get());
    assert_eq!(logged(&world), ["001", "000", "ann"]);
    assert_eq!(world.filter_state(request, "subject").unwrap(), b"ann");
    assert_eq!(world.filter_state(request, "other"), None);
}

#[test]
fn a_reply_ends_the_request_and_its_headers_pass_the_filter() {
    let (mut world, _, root) = world(&[
        ("request_headers", r#"(drop (call $reply (i32.const 401) "no entry")) (i32.const 0)"#),
        ("response_headers", r#"(drop (call $replace (i32.const 2) "x-seen" "yes")) (i32.const 0)"#),
        ("delete", r#"(call $log "deleted")"#),
    ]);
    let request = world.request(root, get());
    let reply = replied(&world, request);
    assert_eq!((reply.status, reply.body.as_slice(), reply.grpc_status), (401, &b"no entry"[..], None));
    let expected = [("x-from", "guest"), ("content-length", "8"), ("content-type", "text/plain"), ("x-seen", "yes")];
    assert_eq!(reply.headers, Headers::from(expected));
    assert!(!world.is_open(request));
    assert_eq!(logged(&world), ["deleted"]);
}

#[test]
fn a_callback_that_is_not_exported_lets_everything_pass() {
    let mut world = World::new(&guest(&[])).unwrap();
    let vm = world.add_vm();
    let root = world.configure(vm, "gate", "").unwrap();
    let request = world.request(root, get());
    assert_eq!(world.outcome(request), Outcome::Forwarded(get()));
    assert!(matches!(world.respond(request, [(":status", "200")]), Response::Forwarded(_)));
    world.end(request);
    assert!(world.hostcalls().is_empty());
}
