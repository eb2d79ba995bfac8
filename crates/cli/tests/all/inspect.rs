//! `jwe-gate inspect`: verdicts, exit statuses, and a hint for each thing that people trip over.

use serde_json::json;

use crate::common::{NOW, SECRET, config, inspect, inspect_with, mint, mint_with, run};

const PLAIN: &str = "authjs.session-token";
const SECURE: &str = "__Secure-authjs.session-token";
const V4: &str = "next-auth.session-token";

fn cookie(profile: &str, more: &[&str]) -> String {
    mint(profile, &[more, &["--chunk"]].concat())
}

#[test]
fn a_good_session_is_printed_as_one_json_object() {
    let header = cookie("authjs", &["--claim", "name=\"Alice\"", "--claim", "jti=\"j\""]);
    let run = inspect(&config("authjs", PLAIN), format!("a=1; {header}\n").as_bytes(), &[]);
    let claims = json!({"sub": "alice", "name": "Alice", "jti": "j", "iat": NOW, "exp": NOW + 30 * 24 * 3600});
    assert_eq!(run.json(), json!({"valid": true, "reason": "ok", "sub": "alice", "claims": claims}));
    assert_eq!((run.status, run.err.as_str()), (0, ""));
}

#[test]
fn no_session_is_status_one_and_says_why() {
    let run = inspect(&config("authjs", PLAIN), b"a=1", &[]);
    assert_eq!((run.status, run.json()["reason"].as_str()), (1, Some("no_token")));
    assert_eq!(run.json()["claims"], json!(null));
}

#[test]
fn what_cannot_be_asked_is_status_two() {
    let cases: [&[&str]; 5] = [
        &["inspect"],
        &["inspect", "--config", "/does/not/exist"],
        &["inspect", "--config", "/does/not/exist", "--now", "soon"],
        &["mint", "--profile", "authjs", "--sub", "a"],
        &["nonsense"],
    ];
    for arguments in cases {
        let run = run(arguments, SECRET, b"");
        assert_eq!((run.status, run.out.as_str()), (2, ""), "{arguments:?}");
        assert!(!run.err.is_empty(), "{arguments:?}");
    }
    let run = inspect(r#"{"sessions": [{"profile": "authjs", "cookie": "a b", "secrets": ["x"]}]}"#, b"", &[]);
    assert_eq!(run.status, 2);
    assert!(run.err.contains("sessions[0].cookie"), "{}", run.err);
}

#[test]
fn bytes_that_are_no_text_are_no_problem() {
    let run = inspect(&config("authjs", PLAIN), b"a=\xff\xfe\0; authjs.session-token=\xff", &[]);
    assert_eq!((run.status, run.json()["reason"].as_str()), (1, Some("malformed_token")));
}

#[test]
fn a_bearer_counts_when_there_is_no_cookie() {
    let bearer = format!("Bearer {}", mint("authjs", &[]));
    let run = inspect(&config("authjs", PLAIN), b"", &["--authorization", &bearer]);
    assert_eq!((run.status, run.json()["sub"].as_str()), (0, Some("alice")));
}

#[test]
fn each_profile_opens_what_is_minted_for_it() {
    for (profile, name) in [("authjs", PLAIN), ("authjs-legacy", V4), ("next-auth", V4)] {
        let run = inspect(&config(profile, name), cookie(profile, &[]).as_bytes(), &[]);
        assert_eq!(run.status, 0, "{profile}: {run:?}");
    }
}

/// One mistake, the reason that is given and a part of what is said about it.
struct Mistake {
    what: &'static str,
    config: String,
    header: String,
    reason: &'static str,
    hint: &'static str,
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn mistakes() -> Vec<Mistake> {
    let long = format!("pad=\"{}\"", "x".repeat(6000));
    let chunked = cookie("authjs", &["--claim", &long]);
    let chunks: Vec<&str> = chunked.split("; ").collect();
    let value = |index: usize| chunks[index].split_once('=').unwrap().1;
    let v5 = cookie("authjs", &[]);
    let v5_token = mint("authjs", &[]);
    let secure_token = mint("authjs", &["--cookie", SECURE]);
    let mistake = |what, config, header, reason, hint| Mistake { what, config, header, reason, hint };
    vec![
        mistake(
            "the __Secure- cookie and the plain name",
            config("authjs", PLAIN),
            cookie("authjs", &["--cookie", SECURE]),
            "no_token",
            "and it opens with the configured secret",
        ),
        mistake(
            "the salt of the other spelling",
            config("authjs", PLAIN),
            format!("{PLAIN}={secure_token}"),
            "key_not_found",
            "opens with the salt \"__Secure-authjs.session-token\"",
        ),
        mistake(
            "a v4 token in a v5 configuration",
            config("authjs", PLAIN),
            format!("{PLAIN}={}", mint("next-auth", &[])),
            "decrypt_failed",
            "set \"profile\": \"next-auth\"",
        ),
        mistake(
            "a v4 cookie and a v5 configuration",
            config("authjs", PLAIN),
            cookie("next-auth", &[]),
            "no_token",
            "of NextAuth v4",
        ),
        mistake(
            "a v5 token in a v4 configuration: the length of the key has changed",
            config("next-auth", V4),
            format!("{V4}={v5_token}"),
            "enc_not_allowed",
            "64-byte key",
        ),
        mistake(
            "a missing chunk",
            config("authjs", PLAIN),
            chunks[1].to_owned(),
            "chunk_incomplete",
            "the chunk \"authjs.session-token.0\" is missing",
        ),
        mistake(
            "a chunk left over from a longer session",
            config("authjs", PLAIN),
            format!("{chunked}; {PLAIN}.{}=AAAA", chunks.len()),
            "malformed_token",
            "left over from a longer session",
        ),
        mistake(
            "chunks in another order",
            config("authjs", PLAIN),
            format!("{PLAIN}.0={}; {PLAIN}.1={}; {PLAIN}.2={}", value(1), value(0), value(2)),
            "header_invalid",
            "in another order",
        ),
        mistake(
            "a plain cookie left over beside chunks",
            config("authjs", PLAIN),
            format!("{PLAIN}=AAAA; {chunked}"),
            "malformed_token",
            "the chunks beside it hold the session",
        ),
        mistake("the cookie twice", config("authjs", PLAIN), format!("{v5}; {v5}"), "ambiguous_cookie", "two domains"),
        mistake(
            "another secret",
            config("authjs", PLAIN),
            format!("{PLAIN}={}", mint_with("a secret from last year", "authjs", &[])),
            "key_not_found",
            "no matching decryption secret",
        ),
        mistake(
            "another secret and no kid",
            config("next-auth", V4),
            format!("{V4}={}", mint_with("a secret from last year", "next-auth", &[])),
            "decrypt_failed",
            "JWEDecryptionFailed",
        ),
        mistake(
            "a session of the database",
            config("authjs", PLAIN),
            format!("{PLAIN}=c5ed8c91-07d0-485e-9b86-49d86f40370b"),
            "malformed_token",
            "\"strategy\": \"database\"",
        ),
        mistake(
            "a signed token",
            config("authjs", PLAIN),
            format!("{PLAIN}=e30.e30.AAAA"),
            "malformed_token",
            "three parts",
        ),
        mistake(
            "an expired session",
            config("authjs", PLAIN),
            cookie("authjs", &["--iat", "1767000000", "--exp", "1767100000"]),
            "expired",
            "expired 125600 seconds ago",
        ),
        mistake(
            "two clocks",
            config("authjs", PLAIN),
            cookie("authjs", &["--exp", &(NOW - 60).to_string()]),
            "expired",
            "compare the clocks",
        ),
        mistake(
            "a clock that is ahead",
            config("authjs", PLAIN),
            cookie("authjs", &["--iat", &(NOW + 600).to_string()]),
            "issued_in_future",
            "the app's clock is ahead",
        ),
        mistake(
            "a session that lasts too long",
            config("authjs", PLAIN),
            cookie("authjs", &["--exp", &(NOW + 90 * 24 * 3600).to_string()]),
            "session_too_old",
            "max_session_age",
        ),
        mistake(
            "the name of the header",
            config("authjs", PLAIN),
            format!("Cookie: {v5}"),
            "no_token",
            "give the header's value alone",
        ),
        mistake(
            "a session too large for the limits",
            config("authjs", PLAIN),
            format!("{PLAIN}={}", "A".repeat(100_000)),
            "token_too_large",
            "\"jwt\" callback",
        ),
        mistake(
            "a header that proxies refuse",
            config("authjs", PLAIN),
            format!("a={}", "x".repeat(70_000)),
            "no_token",
            "431",
        ),
    ]
}

#[test]
fn every_common_mistake_gets_a_hint() {
    for Mistake { what, config, header, reason, hint } in mistakes() {
        let run = inspect(&config, header.as_bytes(), &[]);
        assert_eq!((run.status, run.json()["reason"].as_str()), (1, Some(reason)), "{what}: {run:?}");
        assert!(run.hints().contains(hint), "{what}: {}", run.hints());
    }
}

#[test]
fn a_secret_that_was_copied_badly_is_told() {
    let cases = [
        ("a line break here", format!("{SECRET}\n"), SECRET.to_owned(), "no line break at its end"),
        ("a line break there", SECRET.to_owned(), format!("{SECRET}\n"), "a line break at its end, as the app's has"),
        ("white space here", format!(" {SECRET}"), SECRET.to_owned(), "no white space around it"),
        ("quotes here", format!("\"{SECRET}\""), SECRET.to_owned(), "no quotes around it"),
        ("quotes there", SECRET.to_owned(), format!("\"{SECRET}\""), "double quotes around it, as the app's has"),
    ];
    for (what, here, there, hint) in cases {
        let header = mint_with(&there, "authjs", &["--chunk"]);
        let run = inspect_with(&here, &config("authjs", PLAIN), header.as_bytes(), &[]);
        assert_eq!(run.status, 1, "{what}");
        assert!(run.hints().contains(hint), "{what}: {}", run.hints());
        assert!(!run.out.contains(SECRET), "{what}: the secret is printed");
    }
}

#[test]
fn a_large_header_is_told_even_if_the_session_is_good() {
    let header = format!("{}; a={}", cookie("authjs", &[]), "x".repeat(9000));
    let run = inspect(&config("authjs", PLAIN), header.as_bytes(), &[]);
    assert_eq!(run.status, 0);
    assert!(run.hints().contains("nginx"), "{}", run.hints());
}
