//! What hostile clients send, byte for byte, to a real Envoy: nothing of it harms the filter, or gets past it.
//!
//! Every session cookie and token that must not be accepted has `garbage` in it; the apps must never see the word.

use jwe_gate_core::identity::encode;
use jwe_gate_core::jwe::seal::{HeaderForm, Recipe};
use jwe_gate_core::jwe::{Encryption, KeyRing, Profile};
use jwe_gate_core::secret::Secret;
use jwe_gate_test_harness::artefact;
use jwe_gate_test_harness::token::{COOKIE, SECRET};
use jwe_gate_test_host::{Headers, Outcome, World};
use jwe_gate_test_parts::upstream::Received;
use serde_json::{Value, json};

use crate::h2;
use crate::stage::{GATES, Stage, token};

/// Cookie headers without a good session in them. `@` stands for the name of the session cookie.
fn cookies() -> Vec<Vec<u8>> {
    let texts = [
        "",
        ";",
        "=",
        "==;=;;=",
        "@",
        "@=",
        "@=garbage",
        "@=garbage; @=garbage",
        "@=; @=garbage",
        "@=garbage..garbage.garbage.garbage",
        "@=%",
        "@=%67arbage%",
        "@=\"garbage\"",
        "@X=garbage",
        "@-foo=garbage",
        "@.9=garbage",
        "@.00=garbage",
        "@.-1=garbage",
        "@.0=garbage; @.0=garbage",
        "@.0=garbage; @.18446744073709551616=garbage",
        "@ =garbage",
        "\t@=garbage",
        "=@=garbage",
        "\"@\"=garbage",
        "\"@=garbage\"",
        "a=1, @=garbage",
        "a=1 @=garbage",
        "a=\"1\"@=garbage",
        "a=\"; @=garbage; b=\"",
        "$Version=1; @=garbage; $Path=/",
        "__Secure-@=garbage",
        "__Host-@=garbage",
        "__secure-@=garbage",
        "%20@=garbage",
        "%61uthjs.session-token=garbage",
        "authjs%2Esession-token=garbage",
        "authjs%2esession-token.0=garbage",
        "AUTHJS.SESSION-TOKEN=garbage",
        "authjs_session-token=garbage",
        "authjs[session-token=garbage",
    ];
    let mut all: Vec<Vec<u8>> = texts.iter().map(|text| text.replace('@', COOKIE).into_bytes()).collect();
    let raw: [&[u8]; 6] = [
        b"\xff\xfe=\x80; @=garbage\xff",
        b"@=garbage\x01\x02",
        b"\x01@=garbage",
        b"\x7f@\x7f=garbage",
        b"\xc2\xa0@=garbage",
        b"a=\xed\xa0\x80; \xf0\x28=1; @=garbage\xf0",
    ];
    all.extend(raw.map(|bytes| replaced(bytes, b"@", COOKIE.as_bytes())));
    let numbered = |count: usize, cookie: fn(usize) -> String| (0..count).map(cookie).collect::<Vec<_>>().join("; ");
    all.extend([64, 65, 500].map(|count| numbered(count, |number| format!("{COOKIE}.{number}=garbage")).into_bytes()));
    all.push(numbered(5000, |number| format!("c{number}=1")).into_bytes());
    all.push(format!("{COOKIE}=garbage; ").repeat(1500).into_bytes());
    all.push(format!("{COOKIE}=garbage..a.{}.b", "A".repeat(60_000)).into_bytes());
    all.push(format!("a={}", "x".repeat(60_000)).into_bytes());
    for piece in FLOOD {
        all.push(piece.repeat(60_000 / piece.len()).into_bytes());
    }
    all
}

/// Header lines besides cookies, as they stand on the wire.
const LINES: [&[u8]; 46] = [
    b"x-user-id: admin",
    b"X-User-Id: admin",
    b"x_user_id: admin",
    b"X-USER_ID: admin",
    b"x-user-id:",
    b"x-user-id: \xff",
    b"x-user-id : admin",
    b" x-user-id: admin",
    b"x-user-id: a\r\nx-user-id: b\r\nx_user_id: c",
    b"x-other: 1\r\n x-user-id: admin",
    b"x-jwe-gate-bypass: true",
    b"X_JWE_Gate-Bypass: true",
    b"x-bypass-auth: true",
    b"connection: x-user-id",
    b"connection: close, x-user-id, cookie, authorization",
    b"connection: cookie",
    b"connection: upgrade\r\nupgrade: websocket",
    b"keep-alive: x-user-id",
    b"proxy-connection: x-user-id",
    b"te: trailers, x-user-id",
    b"x-envoy-original-path: /api/auth/session",
    b"x-forwarded-for: \xff, 127.0.0.1",
    b"authorization:",
    b"authorization: Bearer",
    b"authorization: Bearer garbage..a.b.c",
    b"authorization: bearer%20garbage..a.b.c",
    b"authorization: Bearer garbage%2E%2ea.b%2Ec",
    b"authorization: Bearer\tgarbage..a.b.c",
    b"authorization: Basic YTpi, Bearer garbage..a.b.c",
    b"authorization: Basic YTpi\r\nauthorization: Bearer garbage..a.b.c",
    b"authorization: Bearer garbage..a.b.c\r\nauthorization: Bearer garbage..a.b.c",
    b"authorization: Bearer \xff\xfe",
    b"authorization: \xff",
    b"authorization: Bearer \x01garbage..a.b.c",
    b"cookie:\r\ncookie: \r\ncookie:;",
    b"cookie: a=1\r\n authjs.session-token=garbage",
    b"cookie: a=1\r\n\tb=2; authjs.session-token=garbage",
    b"cookie: a=1\nauthjs.session-token: garbage",
    b"cookie: a=1\r cookie: authjs.session-token=garbage",
    b"Cookie : authjs.session-token=garbage",
    b"cookie\0: a=1",
    b"cookie: a=\0",
    b"\xff: x",
    b": x",
    b"no colon at all",
    b"host: another",
];

/// Requests that are odd as a whole. `{}` stands for header lines.
const REQUESTS: [&[u8]; 33] = [
    b"GET /\xff HTTP/1.1\r\nhost: a\r\n{}\r\n",
    b"GET /\x01 HTTP/1.1\r\nhost: a\r\n{}\r\n",
    b"GET /%00%ff%zz HTTP/1.1\r\nhost: a\r\n{}\r\n",
    b"GET //api/auth/session HTTP/1.1\r\nhost: a\r\n{}\r\n",
    b"GET /x/../api/auth/session HTTP/1.1\r\nhost: a\r\n{}\r\n",
    b"GET /api%2fauth/session HTTP/1.1\r\nhost: a\r\n{}\r\n",
    b"GET /api/auth/session;x HTTP/1.1\r\nhost: a\r\n{}\r\n",
    b"GET ?x HTTP/1.1\r\nhost: a\r\n{}\r\n",
    b"GET #x HTTP/1.1\r\nhost: a\r\n{}\r\n",
    b"GET * HTTP/1.1\r\nhost: a\r\n{}\r\n",
    b"GET  HTTP/1.1\r\nhost: a\r\n{}\r\n",
    b"GET HTTP/1.1\r\nhost: a\r\n{}\r\n",
    b"OPTIONS * HTTP/1.1\r\nhost: a\r\n{}\r\n",
    b"GET http://a/api/auth/session HTTP/1.1\r\nhost: b\r\n{}\r\n",
    b"GET http:///x HTTP/1.1\r\nhost: a\r\n{}\r\n",
    b"GET http://u:p@a/ HTTP/1.1\r\nhost: a\r\n{}\r\n",
    b"CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\n{}\r\n",
    b"GET / HTTP/1.0\r\n{}\r\n",
    b"GET / HTTP/1.1\r\n{}\r\n",
    b"GET / HTTP/9.9\r\nhost: a\r\n{}\r\n",
    b"get / http/1.1\r\nhost: a\r\n{}\r\n",
    b"\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n{}\r\n",
    b"TRACE / HTTP/1.1\r\nhost: a\r\n{}\r\n",
    b"\xff\xff / HTTP/1.1\r\nhost: a\r\n{}\r\n",
    b"POST / HTTP/1.1\r\nhost: a\r\n{}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /s HTTP/1.1\r\nhost: a\r\nx-user-id: admin\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: a\r\n{}content-length: 0\r\ncontent-length: 43\r\n\r\nGET /s HTTP/1.1\r\nhost: a\r\nx-user-id: admin\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: a\r\n{}transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: a\r\n{}transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: a\r\n{}transfer-encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: a\r\n{}transfer-encoding: chunked\r\n\r\n1;x=\xff\r\na\r\n0\r\nx-user-id: admin\r\ncookie: authjs.session-token=garbage\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: a\r\n{}transfer-encoding: chunked\r\ntrailer: x-user-id\r\n\r\nffffffffffffffffff\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: a\r\n{}content-length: -1\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: a\r\n{}content-length: 99999999999999999999\r\n\r\n",
];

/// Pieces that make a header of any length, and much work for a careless parser.
const FLOOD: [&str; 14] = [
    ",",
    "\"",
    ";",
    "=",
    " a",
    "a=",
    ", ",
    "%20",
    "%",
    "\"a\",",
    "a=\"b",
    "__Secure-",
    " authjs.session-toke",
    ",authjs.session-token.0",
];

#[test]
fn hostile_headers_harm_nobody() {
    let mut stage = Stage::start();
    let good = format!("cookie: {COOKIE}={}", stage.token("alice")).into_bytes();
    let bob = stage.token("bob");
    // A second good session: nobody may be taken for both, nor the app see one of somebody else.
    let seconds = ["authorization: Bearer ", "cookie: authjs.session-token=", "cookie: authjs.session-token.0="];
    let seconds = seconds.map(|start| format!("{start}{bob}").into_bytes());
    let cookies = cookies().into_iter().map(|cookie| [b"cookie: ".as_slice(), &cookie].concat());
    let lines: Vec<Vec<u8>> = cookies.chain(LINES.map(<[u8]>::to_vec)).chain(seconds).collect();
    for gate in GATES {
        for line in &lines {
            for lines in [&[line][..], &[line, &good], &[&good, line]] {
                let lines: Vec<u8> = lines.iter().flat_map(|line| [line, b"\r\n".as_slice()].concat()).collect();
                stage.send(gate, &[b"GET / HTTP/1.1\r\nhost: a\r\n", lines.as_slice(), b"\r\n"].concat());
            }
        }
    }
    for (gate, least) in GATES.into_iter().zip([200, 200, 60, 60]) {
        assert!(stage.received(gate) >= least, "{gate}: {} only", stage.received(gate));
    }
    stage.finish();
}

#[test]
fn odd_requests_harm_nobody() {
    let mut stage = Stage::start();
    let good = format!("cookie: {COOKIE}={}\r\n", stage.token("alice"));
    let strangers = "cookie: authjs.session-token.9=garbage\r\nx-user-id: admin\r\nX_User_Id: admin\r\n";
    for gate in GATES {
        for request in REQUESTS {
            for lines in [strangers.to_owned(), format!("{good}{strangers}")] {
                stage.send(gate, &replaced(request, b"{}", lines.as_bytes()));
            }
        }
        assert!(stage.received(gate) >= 6, "{gate}: {} only", stage.received(gate));
    }
    stage.finish();
}

#[test]
fn http2_crumbs_are_read_as_one_cookie_header() {
    let mut stage = Stage::start();
    let padded = token("alice").claim("padding", "x".repeat(6000)).mint();
    stage.know(&padded, "alice");
    let plain = stage.token("bob");
    let chunk = |number: usize| {
        format!(
            "{COOKIE}.{number}={}",
            padded.as_bytes().chunks(3936).nth(number).map_or("", |chunk| std::str::from_utf8(chunk).unwrap())
        )
    };
    let crumbs: Vec<Vec<String>> = vec![
        vec!["a=1".into(), chunk(1), chunk(2), "b=2".into(), chunk(0)],
        vec![format!("{COOKIE}={plain}"), "x=y".into()],
    ];
    for (crumbs, user) in crumbs.iter().zip(["alice", "bob"]) {
        let before = stage.received("required");
        h2_request(&stage, "required", &crumbs.iter().map(|crumb| ("cookie", crumb.as_bytes())).collect::<Vec<_>>());
        assert_eq!(stage.received("required"), before + 1, "{user} is admitted");
    }

    let good = format!("{COOKIE}={plain}");
    let stranger = format!("{COOKIE}X=garbage");
    let many: Vec<(&str, &[u8])> = vec![("cookie", stranger.as_bytes()); 1000];
    let odd: [&[(&str, &[u8])]; 9] = [
        &many,
        &[("cookie", b"\xff\x80=\xff")],
        &[("cookie", b"")],
        &[("cookie", b"a=\0")],
        &[("x-user-id", b"admin")],
        &[("x_user_id", b"admin")],
        &[("X-User-Id", b"admin")],
        &[("connection", b"x-user-id")],
        &[("authorization", b"Bearer garbage..a.b.c"), ("authorization", b"Bearer garbage..a.b.c")],
    ];
    for gate in GATES {
        for fields in odd {
            h2_request(&stage, gate, fields);
            h2_request(&stage, gate, &[&[("cookie", good.as_bytes())], fields].concat());
        }
    }
    stage.finish();
}

fn h2_request(stage: &Stage, gate: &str, fields: &[(&str, &[u8])]) {
    let pseudo: [(&[u8], &[u8]); 4] =
        [(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"a"), (b":path", b"/")];
    let fields = fields.iter().map(|(name, value)| (name.as_bytes(), *value));
    h2::send(stage.address(gate), &pseudo.into_iter().chain(fields).collect::<Vec<_>>());
}

#[test]
fn odd_claims_are_refused_or_named_without_doubt() {
    let mut stage = Stage::start();
    // The payload, and who is admitted by it.
    let mut cases: Vec<(String, Option<String>)> = Vec::new();
    let good = serde_json::to_value(json!({ "iat": now() - 60, "exp": now() + 3600 })).unwrap();
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims["sub"] = "alice".into();
        claims[name] = value;
        claims.to_string()
    };
    for id in
        [" admin", "admin ", "a\r\nx-user-id: admin", "a\0b", "\u{7f}", "\u{fc}", "%41", "a, b", "\t", "a\nb", "😀"]
    {
        cases.push((with("sub", id.into()), Some(id.into())));
    }
    for odd in [json!(""), json!(null), json!(7), json!(["alice"]), json!({ "a": 1 }), json!("x".repeat(50_000))] {
        cases.push((with("sub", odd), None));
    }
    for number in ["1e400", "-1e400", "1e308", "-1", "18446744073709551616", "0.0000001", "9".repeat(5000).as_str()] {
        for name in ["iat", "exp", "nbf"] {
            cases.push((with(name, "NUMBER".into()).replace("\"NUMBER\"", number), None));
        }
        cases.push((with("other", "NUMBER".into()).replace("\"NUMBER\"", number), None));
    }
    for nest in ["[", "{\"a\":"] {
        let close = if nest == "[" { "]" } else { "}" };
        let deep = |depth: usize| format!("{}1{}", nest.repeat(depth), close.repeat(depth));
        for depth in [50, 127, 128, 4000] {
            cases.push((with("deep", "DEEP".into()).replace("\"DEEP\"", &deep(depth)), None));
            cases.push((deep(depth), None));
        }
        cases.push((nest.repeat(8000), None));
    }

    for (payload, expected) in &cases {
        let token = seal(payload.as_bytes());
        // Where nobody is expected, alice may be admitted all the same, but nobody else.
        let user = expected.clone().unwrap_or_else(|| "alice".into());
        stage.know(&token, &user);
        for gate in GATES {
            let request = format!("GET / HTTP/1.1\r\nhost: a\r\ncookie: {COOKIE}={token}\r\n\r\n");
            let reply = stage.send(gate, request.as_bytes()).unwrap_or_else(|| panic!("no answer to {payload:.80}"));
            if let (Some(id), "required" | "stripped") = (expected, gate) {
                let seen = Received::from_reply(&reply).unwrap();
                assert_eq!(seen.only("x-user-id"), Some(encode(id).as_str()), "{id:?}");
            } else {
                assert!(matches!(reply.status, 200 | 401), "{}: {payload:.80}", reply.status);
            }
        }
    }
    stage.finish();
}

#[test]
fn floods_cost_little_and_no_more_than_their_length() {
    // Units of work of one request, of which a slow machine does hundreds of millions in a second.
    const MOST_WORK: u64 = 60_000_000;
    let mut world = World::setup().env("AUTH_SECRET", SECRET).build(&artefact::bytes()).unwrap();
    let vm = world.add_vm();
    for gate in ["open", "optional", "required"] {
        let configuration = json!({
            "version": 1,
            "sessions": [{ "profile": "authjs", "cookie": COOKIE }, { "profile": "next-auth", "cookie": "next-auth.session-token" }],
            "routes": [{ "access": gate }],
        });
        let root = world.configure(vm, gate, configuration.to_string()).unwrap();
        for (name, prefix) in [("cookie", ""), ("cookie", "authjs.session-token="), ("authorization", "Bearer ")] {
            for piece in
                FLOOD.iter().chain(&["eyJ.", "A", "a=b; ", "authjs.session-token.1=x; ", "authjs.session-token=x; "])
            {
                let mut work = |bytes: usize| {
                    let value = format!("{prefix}{}", piece.repeat(bytes / piece.len()));
                    world.reset_counts();
                    let request = world.request(root, headers(name, value.as_bytes()));
                    assert_ne!(world.outcome(request), Outcome::Parked);
                    world.end(request);
                    world.work()
                };
                let (half, whole) = (work(30_000), work(60_000));
                assert!(whole <= MOST_WORK, "{gate}: {name}: {prefix}{piece:?}: {whole}");
                assert!(whole <= 3 * half, "{gate}: {name}: {prefix}{piece:?}: {half}, then {whole}");
            }
        }
    }
    assert!(world.traps().is_empty(), "{:?}", world.traps());
}

fn headers(name: &str, value: &[u8]) -> Headers {
    let mut headers = Headers::from([(":method", "GET"), (":scheme", "https"), (":authority", "a"), (":path", "/")]);
    headers.add(name, value);
    headers
}

/// A token with this payload, which need not be one.
fn seal(payload: &[u8]) -> String {
    let keys = KeyRing::derive(Profile::AuthJs, None, COOKIE, &[Secret::new(SECRET)]).unwrap();
    let recipe = Recipe { secret: 0, encryption: Encryption::A256CbcHs512, header: HeaderForm::Kid, iv: &[7; 16] };
    keys.seal(&recipe, payload).unwrap()
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

fn replaced(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let mut rest = bytes;
    let mut result = Vec::new();
    while let Some(at) = rest.windows(old.len()).position(|window| window == old) {
        result.extend([&rest[..at], new].concat());
        rest = &rest[at + old.len()..];
    }
    result.extend(rest);
    result
}
